package exports_test

import (
	"strings"
	"testing"

	"github.com/cagnotte/cagnotte/services/exports"
	"github.com/cagnotte/cagnotte/services/ledger"
)

// TestProofAgreesWithTheEntries checks an export offline, and that it has the transactions of the other formats.
func TestProofAgreesWithTheEntries(t *testing.T) {
	service, books, pool := open(t, "Europe/Paris")
	motley(t, books, pool)
	seal(t, books)
	proof, _ := download(t, service, exports.Request{Collective: vallon, Format: exports.FormatProof})
	report, err := ledger.VerifyArchive(strings.NewReader(proof), "")
	if err != nil || len(report.Differences) > 0 || report.Collective != vallon {
		t.Fatalf("report %+v, err = %v", report, err)
	}
	lines, _ := download(t, service, exports.Request{Collective: vallon, Format: exports.FormatJSONL})
	transactions := map[string]bool{}
	for line := range strings.Lines(lines) {
		_, rest, _ := strings.Cut(line, `"transaction":"`)
		id, _, _ := strings.Cut(rest, `"`)
		transactions[id] = true
	}
	if got := report.Own + report.Shared; got != int64(len(transactions)) || got == 0 {
		t.Errorf("%d transactions are in the proof, and %d in the entries", got, len(transactions))
	}
}
