package ledger_test

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/internal/pgtest"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/ledger"
)

func TestCharts(t *testing.T) {
	pool := pgtest.New(t)
	codes := map[string][]string{}
	for _, chart := range ledger.Charts() {
		// The book is named after the chart, and made twice.
		s := ledger.New(ledger.Config{Pool: pool, Chart: chart})
		ensure(t, s, pool, chart)
		ensure(t, s, pool, chart)
		accounts, err := s.Accounts(t.Context(), chart, vallon, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range accounts {
			codes[chart] = append(codes[chart], a.Code)
		}
		// Every role that code has a name for.
		for _, role := range roleConstants(t) {
			if err := s.View(t.Context(), "", func(v *ledger.View) error {
				account, err := v.Role(t.Context(), chart, role)
				if err == nil && !slices.Contains(codes[chart], account.Code) {
					t.Errorf("%s: nothing plays %s", chart, role)
				}
				return err
			}); err != nil {
				t.Fatal(err)
			}
		}
		if !slices.IsSorted(codes[chart]) {
			t.Errorf("%s is not in the order of its codes: %v", chart, codes[chart])
		}
	}
	if want := []string{"en-plain", "fr-associations-2018", "fr-associations-2025"}; !slices.Equal(ledger.Charts(), want) {
		t.Errorf("the charts are %v", ledger.Charts())
	}
	// ANC 2018-06, as of 2018 and as of 2025.
	for code, years := range map[string][2]bool{
		"6588": {true, false}, "6714": {true, false}, "6718": {true, false},
		"467": {false, true}, "6582": {false, true},
		"75411": {true, true}, "627": {true, true}, "4718": {true, true}, "580": {true, true}, "6226": {true, true},
	} {
		for i, chart := range []string{"fr-associations-2018", "fr-associations-2025"} {
			if slices.Contains(codes[chart], code) != years[i] {
				t.Errorf("%s in %s: want %t", code, chart, years[i])
			}
		}
	}
}

// roleConstants reads the roles from the package's source, so that none is forgotten here.
func roleConstants(t *testing.T) (roles []ledger.AccountRole) {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range regexp.MustCompile(`(?m)^\tRole[A-Z]\w* AccountRole = "([a-z_]+)"$`).FindAllStringSubmatch(string(text), -1) {
			roles = append(roles, ledger.AccountRole(found[1]))
		}
	}
	if len(roles) < 15 {
		t.Fatalf("only the roles %v were found", roles)
	}
	return roles
}

func TestEnsureBook(t *testing.T) {
	s, pool := open(t)
	owner := pgtest.Owner(t, pool)
	t.Run("keeps names and roles that were changed, and the chart", func(t *testing.T) {
		if _, err := owner.Exec(t.Context(), `UPDATE ledger.accounts SET display_name = 'Dons' WHERE code = '75411'`); err != nil {
			t.Fatal(err)
		}
		if _, err := owner.Exec(t.Context(), `
			UPDATE ledger.roles
			SET account_id = (SELECT id FROM ledger.accounts WHERE code = '530')
			WHERE role = 'bank'`); err != nil {
			t.Fatal(err)
		}
		ensure(t, ledger.New(ledger.Config{Pool: pool, Chart: "en-plain"}), pool, book)
		var name, bank string
		if err := owner.QueryRow(t.Context(), `
			SELECT
				(SELECT display_name FROM ledger.accounts WHERE code = '75411'),
				(SELECT a.code FROM ledger.roles AS r JOIN ledger.accounts AS a ON a.id = r.account_id WHERE r.role = 'bank')`,
		).Scan(&name, &bank); err != nil {
			t.Fatal(err)
		}
		if name != "Dons" || bank != "530" {
			t.Errorf("name %q, bank %q", name, bank)
		}
	})
	t.Run("gives a book what its chart has gained", func(t *testing.T) {
		// A book as an older program made it: with less in its chart.
		if _, err := owner.Exec(t.Context(), `INSERT INTO ledger.books (id, chart, currency) VALUES ('old', 'en-plain', 'EUR')`); err != nil {
			t.Fatal(err)
		}
		ensure(t, s, pool, "old")
		accounts, err := s.Accounts(t.Context(), "old", vallon, time.Time{})
		if err != nil || len(accounts) == 0 || accounts[0].DisplayName != "Cash" {
			t.Errorf("accounts %v, err = %v", accounts, err)
		}
	})
	t.Run("names a chart that does not exist, and makes no book", func(t *testing.T) {
		unknown := ledger.New(ledger.Config{Pool: pool, Chart: "klingon"})
		if err := postgres.InTx(t.Context(), pool, func(ctx context.Context, tx pgx.Tx) error {
			return unknown.EnsureBookTx(ctx, tx, "acct_new")
		}); err == nil {
			t.Error("there is no error")
		}
	})
}
