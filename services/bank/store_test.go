package bank

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/bank/statement"
	"github.com/cagnotte/cagnotte/services/collectives"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/pgtest"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/money"
	"github.com/cagnotte/cagnotte/services/treasury"
)

// TestNoPayerIsStored reads every column of every table after an import.
func TestNoPayerIsStored(t *testing.T) {
	s, pool := open(t)
	p := s.promise(t, 25_00)
	content := camt("08", "0", "25.00", strings.NewReplacer("<Ustrd>CAG-7K3M</Ustrd><Ustrd>9QXT</Ustrd>", "<Ustrd>Jeanne Dupont "+p.Reference+"</Ustrd>").Replace(camtCredit))
	done, err := s.ImportStatement(t.Context(), ask(), Import{Collective: "vallon", File: statement.File{Content: content}})
	if err != nil || done.Booked != 1 {
		t.Fatalf("%+v, err = %v", done, err)
	}
	owner := pgtest.Owner(t, pool)
	for _, table := range []string{
		"treasury.requests", "treasury.pledges", "treasury.offline_donations", "bank.statements", "bank.lines", "ledger.transactions",
	} {
		var all string
		if err := owner.QueryRow(t.Context(), fmt.Sprintf(`SELECT string_agg(x::text, E'\n') FROM %s AS x`, table)).Scan(&all); err != nil {
			t.Fatal(err)
		}
		for _, word := range []string{"Jeanne", "Dupont", "DUPONT", "3M02606"} {
			if strings.Contains(all, word) {
				t.Errorf("%s holds %s:\n%s", table, word, all)
			}
		}
	}
}

func TestALineInAClosedPeriodKeepsNoOtherBack(t *testing.T) {
	s, _ := open(t)
	late, fits := s.promise(t, 11_00), s.promise(t, 12_00)
	s.give(t, treasury.MethodCash, 1_00)
	if _, err := s.cfg.Ledger.ClosePeriod(t.Context(), "", "vallon", time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)); err != nil {
		t.Fatal(err)
	}
	content := []byte("h\n27/02/2026;" + late.Reference + ";;11,00\n02/03/2026;" + fits.Reference + ";;12,00\n")
	done, err := s.ImportStatement(t.Context(), ask(), Import{Collective: "vallon", File: statement.File{Content: content, CSV: &frenchCSV, Currency: money.EUR}})
	if err != nil || done.Booked != 1 || done.Open != 1 {
		t.Fatalf("%+v, err = %v", done, err)
	}
	lines, err := s.Lines(t.Context(), "vallon", LineFilter{State: LineSuggested}, newest, 10)
	if err != nil || len(lines) != 1 || lines[0].Pledge != late.ID {
		t.Fatalf("%+v, err = %v", lines, err)
	}
	// A member may say it all the same: it counts when the books are open again.
	before := s.balance(t, "51211")
	l, err := s.MatchLine(t.Context(), ask(), "vallon", lines[0].ID, Target{Kind: TargetPledge, Campaign: vallon, ID: late.ID})
	if err != nil || s.balance(t, "51211") != before+11_00 {
		t.Fatalf("err = %v, the bank stands at %d", err, s.balance(t, "51211"))
	}
	if g, err := s.treasury.OfflineDonation(t.Context(), vallon, l.Donation); err != nil || g.ReceivedOn != "2026-02-27" {
		t.Errorf("the donation is of %s, err = %v", g.ReceivedOn, err)
	}
}

func TestATransferThatAMemberEnteredIsItsLine(t *testing.T) {
	s, _ := open(t)
	p := s.promise(t, 25_00)
	g, err := s.treasury.CreateOfflineDonation(t.Context(), ask(), treasury.OfflineDonation{Campaign: vallon, Amount: eur(25_00), Method: treasury.MethodTransfer, ReceivedOn: someDay, Pledge: p.ID})
	if err != nil {
		t.Fatal(err)
	}
	content := []byte("h\n02/03/2026;" + p.Reference + ";;25,00\n")
	done, err := s.ImportStatement(t.Context(), ask(), Import{Collective: "vallon", File: statement.File{Content: content, CSV: &frenchCSV, Currency: money.EUR}})
	if err != nil || done.Recognised != 1 || done.Booked != 0 || s.balance(t, "51211") != 25_00 {
		t.Errorf("%+v, err = %v; the bank stands at %d", done, err, s.balance(t, "51211"))
	}
	if g, err = s.treasury.OfflineDonation(t.Context(), vallon, g.ID); err != nil || g.BankLine == uuid.Nil {
		t.Errorf("the donation is %+v, err = %v", g, err)
	}
}

// The book of a collective is fixed by the first money in it: that of the platform must not be the one of somebody
// else's collective, whose own account came too late then.
func TestNothingIsBookedBeforeARequiredStripeAccountExists(t *testing.T) {
	s, _ := open(t)
	set := func(change func(*collectives.Collective)) {
		t.Helper()
		if _, err := s.cfg.Collectives.Update(t.Context(), "vallon", "", func(c *collectives.Collective) error { change(c); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	set(func(c *collectives.Collective) { c.OwnAccountRequired = true })
	p := s.promise(t, 25_00)
	file := Import{Collective: "vallon", File: statement.File{Content: []byte("h\n02/03/2026;" + p.Reference + ";;25,00"), CSV: &frenchCSV, Currency: money.EUR}}
	if done, err := s.ImportStatement(t.Context(), ask(), file); err != nil || done.Booked != 0 || done.Open != 1 {
		t.Errorf("%+v, err = %v", done, err)
	}
	_, err := s.MatchLine(t.Context(), ask(), "vallon", s.line(t, 25_00).ID, Target{Kind: TargetPledge, Campaign: vallon, ID: p.ID})
	if errs.As(err) == nil || errs.As(err).Reason != errorsv1.ErrorReason_STRIPE_ACCOUNT_NOT_READY {
		t.Errorf("err = %v", err)
	}
	set(func(c *collectives.Collective) { c.StripeAccount = "acct_vallon" })
	if done, err := s.ImportStatement(t.Context(), ask(), file); err != nil || done.Booked != 1 {
		t.Errorf("once it has its account: %+v, err = %v", done, err)
	}
}

func TestABankStatementBooksNothingByItself(t *testing.T) {
	s, _ := open(t)
	if done := s.read(t, "02/03/2026;VIR;;7,00"); done.Open != 1 {
		t.Fatalf("%+v", done)
	}
	if _, err := s.cfg.Collectives.Update(t.Context(), "vallon", "", func(c *collectives.Collective) error {
		c.StripeAccount = "acct_vallon"
		return nil
	}); err != nil {
		t.Errorf("its account is fixed before there is money in its book: %v", err)
	}
}

func TestOneStatementAtOnceIsImportedOnce(t *testing.T) {
	s, _ := open(t)
	together := func(n int, do func() error) (done int) {
		var wait sync.WaitGroup
		var mu sync.Mutex
		for range n {
			wait.Go(func() {
				err := do()
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					done++
				} else if errs.As(err).Reason == errorsv1.ErrorReason_INTERNAL {
					t.Error(err)
				}
			})
		}
		wait.Wait()
		return done
	}
	t.Run("one statement", func(t *testing.T) {
		p := s.promise(t, 25_00)
		before := s.balance(t, "51211")
		content := []byte("h\n02/03/2026;VIR " + p.Reference + ";;25,00\n02/03/2026;autre;;25,00\n02/03/2026;autre;;25,00\n")
		if n := together(4, func() error {
			_, err := s.ImportStatement(t.Context(), ask(), Import{Collective: "vallon", File: statement.File{Content: content, CSV: &frenchCSV, Currency: money.EUR}})
			return err
		}); n != 4 || s.balance(t, "51211")-before != 25_00 {
			t.Errorf("%d imports, the bank grew by %d", n, s.balance(t, "51211")-before)
		}
		lines, err := s.Lines(t.Context(), "vallon", LineFilter{}, newest, 10)
		if err != nil || len(lines) != 3 {
			t.Errorf("%d lines, err = %v; two that are alike are two", len(lines), err)
		}
	})
}

func TestTheDatabaseDefendsWhatTheBankReported(t *testing.T) {
	s, pool := open(t)
	s.read(t, "02/03/2026;x;;1,00")
	owner := pgtest.Owner(t, pool)
	for statement, want := range map[string]string{
		`UPDATE bank.lines SET amount_minor = 1`:                          "lines_immutable",
		`UPDATE bank.lines SET state = 'matched', target = 'transaction'`: "lines_matched",
		`UPDATE bank.lines SET state = 'ignored'`:                         "lines_ignored",
	} {
		if _, err := owner.Exec(t.Context(), statement); !postgres.Constraint(err, want) {
			t.Errorf("%s: err = %v, want %s", statement, err, want)
		}
	}
	for _, statement := range []string{
		`DELETE FROM bank.statements`, `TRUNCATE bank.statements`, `DELETE FROM bank.lines`, `TRUNCATE bank.lines`,
		`UPDATE bank.statements SET closing_minor = 1`,
	} {
		if _, err := pool.Exec(t.Context(), statement); err == nil || !strings.Contains(err.Error(), "42501") {
			t.Errorf("%s by the service: %v", statement, err)
		}
	}
}
