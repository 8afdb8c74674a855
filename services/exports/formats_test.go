package exports_test

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/cagnotte/cagnotte/services/exports"
	"github.com/cagnotte/cagnotte/services/internal/pgtest"
	"github.com/cagnotte/cagnotte/services/ledger"
	"github.com/cagnotte/cagnotte/services/money"
)

// need makes sure that a program is there. A missing one is installed where that is possible, and fails the test with
// the line that installs it where not.
func need(t *testing.T, program string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), "../../.tools/need", program).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// motley posts what is hard to write: every role, two currencies, amounts of both ends, references and names with what is
// special in each format, an account in another's name, and somebody else's share.
func motley(t *testing.T, books *ledger.Service, pool *pgxpool.Pool) {
	t.Helper()
	owner := pgtest.Owner(t, pool)
	for code, name := range map[string]string{
		"627":  "  Frais: (bancaires);  \"d'été\" \\ [x] | 50 % *",
		"4718": "!!!",
		"467":  "Ｄivers  e\u0301té\u00a0\t=1+1",
	} {
		if _, err := owner.Exec(t.Context(), `UPDATE ledger.accounts SET display_name = $2 WHERE code = $1`, code, name); err != nil {
			t.Fatal(err)
		}
	}
	at := time.Date(2026, 1, 31, 22, 59, 59, 999_999_000, time.UTC)
	roles := []ledger.AccountRole{
		ledger.RoleDonations, ledger.RoleRefunds, ledger.RoleDisputes, ledger.RoleStripeFees, ledger.RoleTransit, ledger.RoleBank,
		ledger.RoleUnknownReceipts, ledger.RoleSurplus, ledger.RoleDeficit,
		ledger.RoleCash, ledger.RoleChequesToBank, ledger.RoleSuppliers, ledger.RoleLawyerFees, ledger.RoleLitigationCosts,
	}
	references := []string{
		"txn_plain", "(a) ; b | c", "100 %", `say "no"\`, "two\r\nlines\tand tabs", "=1+1", " edges ", "été ≠ 夏 😀", "<&>'",
		"offline-donation:1", "deposit:1", "expense:1", "expense-payment:1:1", "bank-line:1:1",
	}
	kinds := []string{
		ledger.KindDonation, ledger.KindRefund, ledger.KindDispute, ledger.KindFee, ledger.KindPayout, ledger.KindOther, ledger.KindDeposit,
		ledger.KindExpense, ledger.KindExpensePayment, ledger.KindReceipt, ledger.KindReversal, "cash_donation",
	}
	var txs []ledger.Transaction
	for i, role := range roles {
		for j, amount := range []money.Amount{eur(1), eur(-999_999_999_99), {Minor: 700, Currency: "JPY"}} {
			at = at.Add(7*time.Hour + time.Microsecond)
			tx := pair(fmt.Sprint(references[i], j), kinds[(i+j)%len(kinds)], at, ledger.RoleStripeBalance, role, amount, vallon, []string{"avocate", ""}[j%2])
			other := pair("", "", at, role, ledger.RoleBank, amount, "technopolice-marseille", "recours")
			tx.Entries = append(tx.Entries, other.Entries...)
			txs = append(txs, tx)
		}
	}
	divers := []ledger.Entry{
		{Code: "467", Amount: eur(5), Collective: vallon},
		{Code: "530", Amount: eur(-3), Collective: vallon},
		{Code: "530", Amount: eur(-2), Collective: vallon},
	}
	txs = append(txs, ledger.Transaction{Reference: "txn_code", Kind: ledger.KindOther, Effective: at, Entries: divers})
	post(t, books, pool, txs...)
}

// balances are a collective's by account code and currency, read by the query of the ledger's own reads.
func balances(t *testing.T, books *ledger.Service) map[string]string {
	t.Helper()
	accounts, err := books.Accounts(t.Context(), "", vallon, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, a := range accounts {
		for _, balance := range a.Balances {
			if balance.Minor != 0 {
				found[a.Code+" "+string(balance.Currency)] = balance.Decimal()
			}
		}
	}
	if len(found) < 3 {
		t.Fatalf("the balances are %v", found)
	}
	return found
}

// written writes a file into a folder of the test.
func written(t *testing.T, service *exports.Service, req exports.Request) string {
	t.Helper()
	text, header := download(t, service, req)
	path := filepath.Join(t.TempDir(), header.FileName)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func output(t *testing.T, tool string, args ...string) string {
	t.Helper()
	command := exec.CommandContext(t.Context(), tool, args...)
	command.Env = append(os.Environ(), "LANG=C.UTF-8", "LC_ALL=C.UTF-8")
	out, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", tool, args[0], err, out)
	}
	return string(out)
}

func cells(t *testing.T, text string) [][]string {
	t.Helper()
	records, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil || len(records) == 0 {
		t.Fatalf("%v in %s", err, text)
	}
	return records[1:]
}

func TestHledger(t *testing.T) {
	need(t, "hledger")
	service, books, pool := open(t, "Europe/Paris")
	motley(t, books, pool)
	path := written(t, service, exports.Request{Collective: vallon, Format: exports.FormatHledger})
	output(t, "hledger", "check", "--strict", "-f", path)
	t.Run("has our balances to the cent", func(t *testing.T) {
		got := map[string]string{}
		for _, row := range cells(t, output(t, "hledger", "balance", "-f", path, "--flat", "--no-total", "-O", "csv")) {
			code, _, _ := strings.Cut(row[0][strings.IndexByte(row[0], ':')+1:], " ")
			for _, amount := range strings.Split(row[1], ", ") {
				number, currency, _ := strings.Cut(amount, " ")
				got[code+" "+currency] = number
			}
		}
		if diff := cmp.Diff(balances(t, books), got); diff != "" {
			t.Errorf("(-ledger +hledger):\n%s", diff)
		}
	})
	t.Run("has every reference, and a donation's id", func(t *testing.T) {
		codes := strings.Split(strings.TrimSpace(output(t, "hledger", "codes", "-f", path)), "\n")
		if len(codes) != 43 {
			t.Errorf("%d references: %q", len(codes), codes)
		}
		id := uuid.NewSHA1(uuid.Nil, []byte("txn_plain0")).String()
		if got := output(t, "hledger", "print", "-f", path, "tag:donation="+id); !strings.Contains(got, "(txn_plain0)") {
			t.Errorf("the donation is %q", got)
		}
	})
}

func TestBeancount(t *testing.T) {
	need(t, "bean-check")
	service, books, pool := open(t, "Europe/Paris")
	motley(t, books, pool)
	path := written(t, service, exports.Request{Collective: vallon, Format: exports.FormatBeancount})
	if out := output(t, "bean-check", path); out != "" {
		t.Errorf("bean-check says %s", out)
	}
	got := map[string]string{}
	for _, row := range cells(t, output(t, "bean-query", "-f", "csv", path, "SELECT account, currency, sum(number) GROUP BY 1, 2")) {
		code, _, _ := strings.Cut(row[0][strings.IndexByte(row[0], ':')+1:], "-")
		currency, number := strings.TrimSpace(row[1]), strings.TrimSpace(row[2])
		amount, err := money.Parse(number, money.Currency(currency))
		if err != nil {
			t.Fatal(err)
		}
		if amount.Minor != 0 {
			got[strings.TrimSpace(code)+" "+currency] = amount.Decimal()
		}
	}
	if diff := cmp.Diff(balances(t, books), got); diff != "" {
		t.Errorf("(-ledger +beancount):\n%s", diff)
	}
	t.Run("has a donation by its id", func(t *testing.T) {
		id := uuid.NewSHA1(uuid.Nil, []byte("txn_plain0")).String()
		rows := cells(t, output(t, "bean-query", "-f", "csv", path, "SELECT entry_meta('reference') WHERE meta('donation') = '"+id+"'"))
		if len(rows) != 2 || strings.TrimSpace(rows[0][0]) != "txn_plain0" {
			t.Errorf("the donation is %q", rows)
		}
	})
}

// TestJSONL reads every line back and compares it with the CSV's, whose texts are only defused.
func TestJSONL(t *testing.T) {
	service, books, pool := open(t, "Europe/Paris")
	motley(t, books, pool)
	text, header := download(t, service, exports.Request{Collective: vallon, Format: exports.FormatJSONL})
	if header.FileName != vallon+"-ledger.jsonl" || header.ContentType != "application/jsonl; charset=utf-8" {
		t.Errorf("the header is %+v", header)
	}
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	want := cells(t, file(t, service, exports.Request{Collective: vallon}))
	if len(lines) != len(want) {
		t.Fatalf("%d lines, want %d", len(lines), len(want))
	}
	names := map[string]bool{}
	for i, line := range lines {
		var entry struct {
			Transaction, Reference, Kind, Account, Campaign, Donation string
			EffectiveDate                                             string         `json:"effective_date"`
			EffectiveTime                                             string         `json:"effective_time"`
			RecordedTime                                              time.Time      `json:"recorded_time"`
			AccountName                                               string         `json:"account_name"`
			AccountType                                               string         `json:"account_type"`
			AmountMinor                                               int64          `json:"amount_minor,string"`
			Currency                                                  money.Currency `json:"currency_code"`
			Line                                                      int
		}
		decoder := json.NewDecoder(strings.NewReader(line))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&entry); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		amount := money.Amount{Minor: entry.AmountMinor, Currency: entry.Currency}.Decimal()
		debit, credit := amount, ""
		if entry.AmountMinor < 0 {
			debit, credit = "", amount[1:]
		}
		got := []string{
			entry.Transaction, entry.Reference, entry.Kind, entry.EffectiveDate, entry.EffectiveTime, entry.Account, entry.AccountName,
			debit, credit, string(entry.Currency), entry.Campaign, entry.Donation,
		}
		for column := range want[i] {
			// Go's reader turns CRLF inside a cell into LF.
			want[i][column] = strings.TrimPrefix(want[i][column], "'")
			got[column] = strings.ReplaceAll(got[column], "\r\n", "\n")
		}
		if diff := cmp.Diff(want[i], got); diff != "" {
			t.Errorf("line %d (-CSV +JSONL):\n%s", i+1, diff)
		}
		if entry.RecordedTime.IsZero() || entry.Line < 1 {
			t.Errorf("line %d is %s", i+1, line)
		}
		names[entry.AccountType] = true
	}
	if len(names) != 5 {
		t.Errorf("the types are %v", names)
	}
}
