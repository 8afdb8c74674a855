package exports_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"google.golang.org/grpc/codes"

	"github.com/cagnotte/cagnotte/services/collectives"
	"github.com/cagnotte/cagnotte/services/exports"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/pgtest"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/ledger"
	"github.com/cagnotte/cagnotte/services/money"
)

var paris, _ = time.LoadLocation("Europe/Paris")

// years is what the generated books are about.
const firstYear, lastYear = 2024, 2026

func fecOf(closing int, version string) exports.Request {
	return exports.Request{
		Collective: vallon, Format: exports.FormatFEC, StartDate: fmt.Sprintf("%d-01-01", closing), EndDate: fmt.Sprintf("%d-12-31", closing), Version: version,
	}
}

// generate posts three years of two collectives, in no order of time, and dates the records so that their order is
// that of posting while their days are before, inside and after the years that they are about.
func generate(t *testing.T, books *ledger.Service, pool *pgxpool.Pool, seed uint64, count int) {
	t.Helper()
	random := rand.New(rand.NewPCG(seed, 0))
	roles := []ledger.AccountRole{
		ledger.RoleStripeBalance, ledger.RoleStripeFees, ledger.RoleDonations, ledger.RoleRefunds, ledger.RoleTransit, ledger.RoleBank, ledger.RoleUnknownReceipts,
		ledger.RoleSurplus, ledger.RoleCash, ledger.RoleChequesToBank, ledger.RoleSuppliers, ledger.RoleLawyerFees, ledger.RoleLitigationCosts,
	}
	kinds := []string{
		ledger.KindDonation, ledger.KindRefund, ledger.KindDispute, ledger.KindPayout, ledger.KindFee, ledger.KindOther, ledger.KindDeposit,
		ledger.KindExpense, ledger.KindExpensePayment, ledger.KindReceipt, ledger.KindReversal, "cash_donation", "opening",
	}
	begin := time.Date(firstYear, 1, 1, 0, 0, 0, 0, paris)
	span := time.Date(lastYear+1, 1, 1, 0, 0, 0, 0, paris).Sub(begin)
	var txs []ledger.Transaction
	for i := range count {
		at := begin.Add(time.Duration(random.Int64N(int64(span))))
		if random.IntN(5) == 0 { // the ends of years
			at = time.Date(firstYear+random.IntN(3), 1, 1, 0, 0, 0, 0, paris).Add(-time.Microsecond * time.Duration(random.IntN(2)))
		}
		if at.Before(begin) {
			at = begin
		}
		one, two := roles[random.IntN(len(roles))], roles[random.IntN(len(roles))]
		amount := eur(1 + random.Int64N(50_000))
		collective := []string{vallon, vallon, "technopolice-marseille"}[random.IntN(3)]
		reference := fmt.Sprintf("txn_%d%s", i, []string{"", "\t", " | ", "\r\n", "é"}[random.IntN(5)])
		txs = append(txs, pair(reference, kinds[random.IntN(len(kinds))], at, one, two, amount, collective, []string{"", "avocate"}[random.IntN(2)]))
	}
	post(t, books, pool, txs...)
	if _, err := pgtest.Owner(t, pool).Exec(t.Context(), `
		DO $$ BEGIN
			SET LOCAL session_replication_role = replica;
			UPDATE ledger.transactions SET recorded_at = '2023-12-30'::timestamptz + id * interval '31 hours';
		END $$`); err != nil {
		t.Fatal(err)
	}
	seal(t, books)
	// One checkpoint signs all: the days are those of many.
	if _, err := pgtest.Owner(t, pool).Exec(t.Context(), `
		DO $$ BEGIN
			SET LOCAL session_replication_role = replica;
			INSERT INTO ledger.checkpoints (size, previous_size, signed_at, book, root, consistency, note, verifier_key)
			SELECT s.number, s.number - 1, '2023-12-30'::timestamptz + s.number * interval '31 hours', c.book, c.root, c.consistency, c.note, c.verifier_key
			FROM ledger.seals AS s
			JOIN ledger.checkpoints AS c ON c.book = s.book
			WHERE s.number < c.size
			ON CONFLICT DO NOTHING;
		END $$`); err != nil {
		t.Fatal(err)
	}
}

// byAccount sums lines by account.
func byAccount(lines []fecLine, wanted func(fecLine) bool) map[string]int64 {
	sums := map[string]int64{}
	for _, line := range lines {
		if wanted(line) {
			if sums[line["CompteNum"]] += line.minor(); sums[line["CompteNum"]] == 0 {
				delete(sums, line["CompteNum"])
			}
		}
	}
	return sums
}

func TestFEC(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint("books ", seed), func(t *testing.T) {
			service, books, pool := open(t, "Europe/Paris")
			generate(t, books, pool, seed, 1200)
			var entries int
			closing := map[string]int64{} // of the year before
			for year := firstYear; year <= lastYear; year++ {
				text, header := download(t, service, fecOf(year, ""))
				if want := fmt.Sprintf("ASSOFEC%d1231.txt", year); header.FileName != want {
					t.Errorf("the file is %s, want %s", header.FileName, want)
				}
				lines, problems := checkFEC(text, fmt.Sprint(year, "0101"), fmt.Sprint(year, "1231"))
				if len(problems) > 0 {
					t.Fatalf("%d: %d problems: %s", year, len(problems), strings.Join(problems[:min(5, len(problems))], "\n"))
				}
				opened := byAccount(lines, func(l fecLine) bool { return l["JournalCode"] == "AN" })
				if diff := cmp.Diff(closing, carried(opened)); diff != "" {
					t.Errorf("%d (-closed +opened):\n%s", year, diff)
				}
				entries += len(slices.DeleteFunc(slices.Clone(lines), func(l fecLine) bool { return l["JournalCode"] == "AN" }))
				agree(t, books, lines, year)
				closing = carried(byAccount(lines, func(fecLine) bool { return true }))
			}
			if all := len(cells(t, file(t, service, exports.Request{Collective: vallon}))); entries != all {
				t.Errorf("the years have %d entries, the books %d", entries, all)
			}
		})
	}
}

// carried is what a closing hands to the next opening: income and expense become results, and those of several
// years, which nobody has allocated, are one.
func carried(sums map[string]int64) map[string]int64 {
	next := map[string]int64{}
	for code, sum := range sums {
		if code[0] == '6' || code[0] == '7' || code == "120" || code == "129" {
			code = "12"
		}
		if next[code] += sum; next[code] == 0 {
			delete(next, code)
		}
	}
	return next
}

// agree compares the accounts of the balance sheet at the end of a year with the ledger's own balances.
func agree(t *testing.T, books *ledger.Service, lines []fecLine, year int) {
	t.Helper()
	accounts, err := books.Accounts(t.Context(), "", vallon, time.Date(year+1, 1, 1, 0, 0, 0, 0, paris))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]int64{}
	for _, a := range accounts {
		for _, balance := range a.Balances {
			if balance.Minor != 0 && a.Code != "120" && a.Code != "129" && a.Type != ledger.TypeIncome && a.Type != ledger.TypeExpense {
				want[a.Code] = balance.Minor
			}
		}
	}
	got := byAccount(lines, func(l fecLine) bool {
		return l["CompteNum"][0] != '6' && l["CompteNum"][0] != '7' && l["CompteNum"][:2] != "12"
	})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%d (-ledger +FEC):\n%s", year, diff)
	}
}

func TestFECKeepsItsNumbers(t *testing.T) {
	service, books, pool := open(t, "Europe/Paris")
	generate(t, books, pool, 9, 60)
	before, _ := download(t, service, fecOf(lastYear, ""))
	// Back-dated to the first day of the year, and so first by its own date.
	post(t, books, pool, pair("txn_back", ledger.KindDonation, time.Date(lastYear, 1, 1, 0, 0, 0, 0, paris), ledger.RoleBank, ledger.RoleDonations, eur(1), vallon, ""))
	if unsealed, _ := download(t, service, fecOf(lastYear, "")); unsealed != before {
		t.Error("what is not sealed is in the file")
	}
	seal(t, books)
	after, _ := download(t, service, fecOf(lastYear, ""))
	if !strings.HasPrefix(after, before) || len(after) == len(before) {
		t.Error("a late entry changed what stood in the file before it")
	}
}

func TestFECSaysWhatWasTakenBack(t *testing.T) {
	service, books, pool := open(t, "Europe/Paris")
	at := time.Date(lastYear, 6, 1, 12, 0, 0, 0, paris)
	post(t, books, pool, pair("expense:1", ledger.KindExpense, at, ledger.RoleLawyerFees, ledger.RoleSuppliers, eur(7), vallon, ""),
		pair("expense:1:reversed", ledger.KindReversal, at, ledger.RoleSuppliers, ledger.RoleLawyerFees, eur(7), vallon, ""))
	seal(t, books)
	text, _ := download(t, service, fecOf(lastYear, ""))
	lines, problems := checkFEC(text, fmt.Sprint(lastYear, "0101"), fmt.Sprint(lastYear, "1231"))
	if len(problems) > 0 || len(lines) != 4 {
		t.Fatalf("%d lines: %q", len(lines), problems)
	}
	for i, want := range []string{"ACH Facture", "ACH Facture", "OD Extourne", "OD Extourne"} {
		if got := lines[i]["JournalCode"] + " " + lines[i]["EcritureLib"]; got != want {
			t.Errorf("line %d is %q, want %q", i, got, want)
		}
	}
}

// TestFECNamesThePapers looks at the three columns that tell of the paper and of the validation.
func TestFECNamesThePapers(t *testing.T) {
	_, books, pool := open(t, "Europe/Paris")
	id := func(n int) string { return fmt.Sprintf("01890a5d-ac96-774b-bcce-b302099a80%02x", n) }
	at := time.Date(lastYear, 6, 1, 12, 0, 0, 0, paris)
	posted := func(reference, kind string) ledger.Transaction {
		return pair(reference, kind, at, ledger.RoleLawyerFees, ledger.RoleUnknownReceipts, eur(7), vallon, "")
	}
	post(t, books, pool,
		posted("txn_stripe", ledger.KindFee), posted("payout:po_1", ledger.KindPayout), posted("payout:po_1:returned", ledger.KindPayout),
		posted("expense:"+id(1), ledger.KindExpense), posted("expense-payment:"+id(1)+":1", ledger.KindExpensePayment),
		posted("expense:"+id(1)+":reversed", ledger.KindReversal),
		posted("offline-donation:"+id(2), ledger.KindDonation), posted("deposit:"+id(3), ledger.KindDeposit), posted("deposit:"+id(3)+":"+id(2), ledger.KindDeposit),
		posted("expense:"+id(4), ledger.KindExpense), posted("bank-line:"+id(5), ledger.KindReceipt))
	if err := postgres.InTx(t.Context(), pool, func(ctx context.Context, tx pgx.Tx) error {
		_, err := books.ReclassifyTx(ctx, tx, "", ledger.Reclassification{
			Original: "txn_stripe", Reference: "reclassification:" + id(6), Effective: at, Collective: vallon, Amount: eur(7),
			FromCode: "6226", ToCode: "6227",
		})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if err := postgres.InTx(t.Context(), pool, func(ctx context.Context, tx pgx.Tx) error {
		_, err := books.ReverseTx(ctx, tx, "", ledger.Reversal{
			Original: "reclassification:" + id(6), Reference: "reversal:" + id(7), Effective: at, Collective: vallon,
		})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	signed := time.Date(lastYear, 6, 4, 23, 30, 0, 0, paris)
	sealer := ledger.New(ledger.Config{Pool: pool, SecretKey: bytes.Repeat([]byte{7}, 32), Now: func() time.Time { return signed }})
	if err := sealer.SealAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	service := exports.New(exports.Config{
		Ledger: books, Collectives: collectives.New(collectives.Config{Pool: pool}),
		Documents: func(_ context.Context, collective string) (map[uuid.UUID]exports.Document, error) {
			if collective != vallon {
				return nil, errors.New("another's papers were asked for")
			}
			return map[uuid.UUID]exports.Document{
				uuid.MustParse(id(1)): {Number: "F-2026/17", Day: "2026-05-12"},
				uuid.MustParse(id(2)): {Number: "CAG-ABCD-EFGH", Day: "2026-05-30"},
				uuid.MustParse(id(3)): {Day: "2026-05-31"},
				// Of the year before.
				uuid.MustParse(id(4)): {Number: "F|2025\t9", Day: "2025-12-30"},
				uuid.MustParse(id(5)): {Day: "2026-05-29"},
			}, nil
		},
	})
	text, _ := download(t, service, fecOf(lastYear, ""))
	lines, problems := checkFEC(text, fmt.Sprint(lastYear, "0101"), fmt.Sprint(lastYear, "1231"))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	var got []string
	for i, line := range lines {
		if i%2 == 0 {
			got = append(got, line["PieceRef"]+" "+line["PieceDate"])
		}
		if line["ValidDate"] != "20260604" || line["EcritureDate"] != "20260601" {
			t.Errorf("line %d was validated on %s, and is of %s", i, line["ValidDate"], line["EcritureDate"])
		}
	}
	want := []string{
		"txn_stripe 20260601", "po_1 20260601", "po_1 20260601",
		"F-2026/17 20260512", "F-2026/17 20260512", "F-2026/17 20260512",
		"CAG-ABCD-EFGH 20260530", "REM-099A8003 20260531", "REM-099A8003 20260531",
		"F 2025 9 20260601", "REL-099A8005 20260529", "txn_stripe 20260601", "txn_stripe 20260601",
	}
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if uuids := regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-`).FindAllString(text, -1); len(uuids) > 0 {
		t.Errorf("ids of our own are in it: %v", uuids)
	}
}

func TestFECNamesAndYears(t *testing.T) {
	service, _, _ := open(t, "Europe/Paris")
	for _, c := range []struct {
		req  exports.Request
		name string
	}{
		{exports.Request{EndDate: "2026-12-31", SIREN: "732829320"}, "732829320FEC20261231.txt"},
		{exports.Request{EndDate: "2024-02-29"}, "ASSOFEC20240229.txt"},
	} {
		c.req.Collective, c.req.Format = vallon, exports.FormatFEC
		text, header := download(t, service, c.req)
		if header.FileName != c.name || strings.Count(text, "\r\n") != 1 {
			t.Errorf("%s: %q", header.FileName, text)
		}
		c.req.Format = exports.FormatFECNotice
		notice, header := download(t, service, c.req)
		if header.FileName != strings.TrimSuffix(c.name, ".txt")+"-notice.txt" || !strings.Contains(notice, c.name) || !strings.Contains(notice, c.req.SIREN) {
			t.Errorf("%s: %s", header.FileName, notice)
		}
		if strings.Count(notice, "Opérations diverses") != 1 {
			t.Errorf("the journal of several kinds is not there once:\n%s", notice)
		}
		for _, column := range fecColumns {
			if !strings.Contains(notice, " "+column+" ") {
				t.Errorf("%s is not described", column)
			}
		}
	}
	notice, _ := download(t, service, exports.Request{Collective: vallon, Format: exports.FormatFECNotice, EndDate: "2025-02-28"})
	if !strings.Contains(notice, "du 01/03/2024 au 28/02/2025") {
		t.Errorf("the year is another one: %s", notice)
	}
	for _, c := range []struct{ field, to, siren string }{
		{"end_date", "", ""}, {"siren", "2026-12-31", "732829321"}, {"siren", "2026-12-31", "73282932"}, {"siren", "2026-12-31", "73282932x"},
	} {
		err := service.Write(t.Context(), io.Discard, exports.Request{Collective: vallon, Format: exports.FormatFEC, EndDate: c.to, SIREN: c.siren})
		if e := errs.As(err); e == nil || e.Code != codes.InvalidArgument || len(e.Fields) != 1 || e.Fields[0].Field != c.field {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

func TestFECRefusesWhatItCannotHold(t *testing.T) {
	at := time.Date(lastYear, 6, 1, 12, 0, 0, 0, paris)
	yen := pair("txn_yen", ledger.KindDonation, at, ledger.RoleBank, ledger.RoleDonations, money.Amount{Minor: 700, Currency: "JPY"}, vallon, "")
	letters := pair("txn_letters", ledger.KindDonation, at, "", "", eur(5), vallon, "")
	letters.Entries[0].Code, letters.Entries[1].Code = "5X", "530"
	for reason, tx := range map[string]ledger.Transaction{"FEC_CURRENCY": yen, "FEC_ACCOUNT": letters} {
		t.Run(reason, func(t *testing.T) {
			service, books, pool := open(t, "Europe/Paris")
			if _, err := pgtest.Owner(t, pool).Exec(t.Context(), `INSERT INTO ledger.accounts (book, code, display_name, type) VALUES ('', '5X', 'X', 'asset')`); err != nil {
				t.Fatal(err)
			}
			post(t, books, pool, tx)
			seal(t, books)
			for year, want := range map[int]string{lastYear - 1: "", lastYear: reason, lastYear + 1: reason} {
				var got string
				// Nothing is sent of what is refused, so the writer's own error is not met.
				if err := service.Write(t.Context(), failing{io.ErrClosedPipe}, fecOf(year, "")); !errors.Is(err, io.ErrClosedPipe) {
					got = errs.As(err).Reason.String()
				}
				if got != want {
					t.Errorf("%d: the reason is %q, want %q", year, got, want)
				}
			}
		})
	}
}
