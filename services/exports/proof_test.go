package exports_test

import (
	"io"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/cagnotte/cagnotte/services/exports"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/ledger"
	"github.com/cagnotte/cagnotte/services/ledger/proof"
)

// TestProofAgreesWithTheEntries checks an export offline, and that it has the transactions of the other formats.
func TestProofAgreesWithTheEntries(t *testing.T) {
	service, books, pool := open(t, "Europe/Paris")
	motley(t, books, pool)
	seal(t, books)
	file, _ := download(t, service, exports.Request{Collective: vallon, Format: exports.FormatProof})
	report, err := proof.VerifyArchive(strings.NewReader(file), "")
	if err != nil || len(report.Differences) > 0 || report.Collective != vallon {
		t.Fatalf("report %+v, err = %v", report, err)
	}
	for _, field := range []string{"start_date", "end_date"} {
		req := exports.Request{Collective: vallon, Format: exports.FormatProof}
		if field == "start_date" {
			req.StartDate = "2026-01-01"
		} else {
			req.EndDate = "2026-12-31"
		}
		if err := service.Write(t.Context(), io.Discard, req); errs.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), field) {
			t.Errorf("of a span: err = %v", err)
		}
	}
	lines, _ := download(t, service, exports.Request{Collective: vallon, Format: exports.FormatJSONL})
	transactions := map[string]bool{}
	for line := range strings.Lines(lines) {
		_, rest, _ := strings.Cut(line, `"transaction":"`)
		id, _, _ := strings.Cut(rest, `"`)
		transactions[id] = true
	}
	if got := report.Own; got != int64(len(transactions)) || got == 0 {
		t.Errorf("%d transactions are in the proof, and %d in the entries", got, len(transactions))
	}
}

// TestExportOfABook has what belongs to no collective, of that book alone.
func TestExportOfABook(t *testing.T) {
	service, books, pool := open(t, "Europe/Paris")
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	fee := pair("fee_1", ledger.KindFee, at, ledger.RoleStripeFees, ledger.RoleStripeBalance, eur(200), "", "")
	post(t, books, pool, fee, pair("txn_1", ledger.KindDonation, at, ledger.RoleStripeBalance, ledger.RoleDonations, eur(700), vallon, "avocate"))
	seal(t, books)
	for _, format := range exports.Formats() {
		req := year(format)
		req.Collective, req.Book = "", "instance/books/platform"
		text, header := download(t, service, req)
		if strings.Contains(text, "txn_1") {
			t.Errorf("%s has a collective's", format)
		}
		if format == exports.FormatCSV && (!strings.Contains(text, "fee_1") || !strings.HasPrefix(header.FileName, "platform-ledger")) {
			t.Errorf("%s has not the fee, or is called %s", format, header.FileName)
		}
	}
	for _, name := range []string{"instance/books/acct_nobody", "platform", "instance/books/"} {
		if err := service.Write(t.Context(), io.Discard, exports.Request{Book: name}); errs.Code(err) != codes.NotFound {
			t.Errorf("%s: %v", name, err)
		}
	}
}
