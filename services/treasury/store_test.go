package treasury

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/campaigns"
	"github.com/cagnotte/cagnotte/services/collectives"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/pgtest"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/ledger"
	"github.com/cagnotte/cagnotte/services/money"
)

var (
	vallon  = campaigns.Name{Collective: "vallon", Campaign: "avocate"}
	someDay = Day("2026-03-02")
)

// open returns a service whose clock stands still, with a published campaign.
func open(t *testing.T) (*Service, *pgxpool.Pool) {
	t.Helper()
	pool := pgtest.New(t)
	now := func() time.Time { return time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC) }
	groups := collectives.New(collectives.Config{Pool: pool, Now: now})
	causes := campaigns.New(campaigns.Config{Pool: pool, Now: now})
	s := New(Config{
		Pool: pool, Campaigns: causes, Collectives: groups, Ledger: ledger.New(ledger.Config{Pool: pool, Now: now}),
		LimitTx:   func(context.Context, pgx.Tx, netip.Prefix) error { return nil },
		SecretKey: []byte("0123456789abcdef0123456789abcdef"), Now: now,
	})
	if _, err := groups.Create(t.Context(), collectives.Collective{
		ID: vallon.Collective, DisplayName: "Vallon",
		Settings: collectives.Settings{BankAccount: collectives.BankAccount{Holder: "Vallon", IBAN: "FR7630006000011234567890189"}},
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := causes.Create(t.Context(), vallon, campaigns.Content{
		Texts: map[string]campaigns.Text{"fr": {Title: "Une avocate"}}, Goal: eur(800_00), Minimum: eur(1_00), Maximum: eur(800_00),
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := causes.Publish(t.Context(), vallon); err != nil {
		t.Fatal(err)
	}
	return s, pool
}

func ask() Request { return Request{ID: uuid.New(), By: "collectives/vallon/apiKeys/k"} }

func (s *Service) give(t *testing.T, method Method, minor int64) Donation {
	t.Helper()
	g, err := s.CreateDonation(t.Context(), ask(), Donation{Campaign: vallon, Amount: eur(minor), Method: method, ReceivedOn: someDay})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func (s *Service) promise(t *testing.T, minor int64) Pledge {
	t.Helper()
	p, err := s.CreatePledge(t.Context(), ask(), NewPledge{Campaign: vallon, Amount: eur(minor), Method: MethodTransfer})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// balance is what stands on the account of a role.
func (s *Service) balance(t *testing.T, code string) int64 {
	t.Helper()
	accounts, err := s.cfg.Ledger.Accounts(t.Context(), "", vallon.Collective, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range accounts {
		if a.Code == code && len(a.Balances) == 1 {
			return a.Balances[0].Minor
		}
	}
	return 0
}

func TestTheDatabaseDefendsWhatWasEntered(t *testing.T) {
	s, pool := open(t)
	s.give(t, MethodCheque, 10_00)
	if _, err := s.CreateExpense(t.Context(), ask(), Expense{
		Collective: "vallon", Kind: ExpenseLawyer, Payee: "Martin", Document: "1", DocumentDate: someDay, Amount: eur(5_00),
	}); err != nil {
		t.Fatal(err)
	}
	file := StatementFile{Collective: "vallon", Content: []byte("h\n02/03/2026;x;;1,00"), CSV: &frenchCSV, Currency: money.EUR}
	if _, err := s.ImportStatement(t.Context(), ask(), file); err != nil {
		t.Fatal(err)
	}
	owner := pgtest.Owner(t, pool)
	for statement, want := range map[string]string{
		`UPDATE treasury.offline_donations SET amount_minor = 1`:                                                                          "offline_donations_immutable",
		`UPDATE treasury.offline_donations SET received_on = '2026-03-01'`:                                                                "offline_donations_immutable",
		`UPDATE treasury.offline_donations SET state = 'banked'`:                                                                          "offline_donations_banked",
		`UPDATE treasury.offline_donations SET state = 'bounced', bounced_on = '2026-03-03'`:                                              "offline_donations_state_forward",
		`UPDATE treasury.offline_donations SET state = 'reversed'`:                                                                        "offline_donations_reversed",
		`UPDATE treasury.expenses SET amount_minor = 1`:                                                                                   "expenses_immutable",
		`UPDATE treasury.expenses SET payments = -1`:                                                                                      "expenses_immutable",
		`UPDATE treasury.expenses SET part_paid_minor = 500`:                                                                              "expenses_part_paid",
		`UPDATE treasury.expenses SET state = 'paid'`:                                                                                     "expenses_paid",
		`UPDATE treasury.bank_lines SET amount_minor = 1`:                                                                                 "bank_lines_immutable",
		`UPDATE treasury.bank_lines SET state = 'matched', target = 'transaction'`:                                                        "bank_lines_matched",
		`UPDATE treasury.bank_lines SET state = 'ignored'`:                                                                                "bank_lines_ignored",
		`UPDATE treasury.expenses SET state = 'reversed', reverse_reason = 'x', paid_on = '2026-03-03'`:                                   "expenses_paid",
		`INSERT INTO treasury.pledges VALUES (gen_random_uuid(), 'a', 'b', '0', 1, 'EUR', 'cash', 'fr', now(), now() + interval '1 day')`: "pledges_reference_form",
	} {
		if _, err := owner.Exec(t.Context(), statement); !postgres.Constraint(err, want) {
			t.Errorf("%s: err = %v, want %s", statement, err, want)
		}
	}
	for _, table := range []string{"requests", "pledges", "deposits", "offline_donations", "expenses", "statements", "bank_lines"} {
		for _, statement := range []string{`DELETE FROM treasury.` + table, `TRUNCATE treasury.` + table} {
			if _, err := pool.Exec(t.Context(), statement); err == nil || !strings.Contains(err.Error(), "42501") {
				t.Errorf("%s by the service: %v", statement, err)
			}
		}
	}
	for _, statement := range []string{
		`UPDATE treasury.pledges SET amount_minor = 1`, `UPDATE treasury.deposits SET total_minor = 1`, `UPDATE treasury.requests SET resource = request_id`,
		`UPDATE treasury.statements SET closing_minor = 1`,
	} {
		if _, err := pool.Exec(t.Context(), statement); err == nil || !strings.Contains(err.Error(), "42501") {
			t.Errorf("%s by the service: %v", statement, err)
		}
	}
}

// TestNoPayerIsKept reads every column of every table after an import.
func TestNoPayerIsKept(t *testing.T) {
	s, pool := open(t)
	p := s.promise(t, 25_00)
	content := camt("08", "0", "25.00", strings.NewReplacer("<Ustrd>CAG-7K3M</Ustrd><Ustrd>9QXT</Ustrd>", "<Ustrd>Jeanne Dupont "+p.Reference+"</Ustrd>").Replace(camtCredit))
	done, err := s.ImportStatement(t.Context(), ask(), StatementFile{Collective: "vallon", Content: content})
	if err != nil || done.Booked != 1 {
		t.Fatalf("%+v, err = %v", done, err)
	}
	owner := pgtest.Owner(t, pool)
	for _, table := range []string{
		"treasury.requests", "treasury.pledges", "treasury.offline_donations", "treasury.statements", "treasury.bank_lines", "ledger.transactions",
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

func TestManyAtOnceDoItOnce(t *testing.T) {
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
	t.Run("one request", func(t *testing.T) {
		r := ask()
		if n := together(6, func() error {
			_, err := s.CreateDonation(t.Context(), r, Donation{Campaign: vallon, Amount: eur(7_00), Method: MethodCash, ReceivedOn: someDay})
			return err
		}); n != 6 || s.balance(t, "530") != 7_00 {
			t.Errorf("%d answers, 530 stands at %d", n, s.balance(t, "530"))
		}
	})
	t.Run("two slips with one cheque", func(t *testing.T) {
		a, b := s.give(t, MethodCheque, 10_00), s.give(t, MethodCheque, 20_00)
		slips := [][]cheque{{{vallon, a.ID}, {vallon, b.ID}}, {{vallon, b.ID}, {vallon, a.ID}}}
		var next sync.Mutex
		if n := together(2, func() error {
			next.Lock()
			slip := slices.Clone(slips[0])
			slips = slips[1:]
			next.Unlock()
			_, err := s.BankCheques(t.Context(), ask(), Deposit{Collective: "vallon", BankedOn: someDay}, slip)
			return err
		}); n != 1 || s.balance(t, "51211") != 30_00 || s.balance(t, "5112") != 0 {
			t.Errorf("%d slips, the bank stands at %d", n, s.balance(t, "51211"))
		}
	})
	t.Run("one statement", func(t *testing.T) {
		p := s.promise(t, 25_00)
		before := s.balance(t, "51211")
		content := []byte("h\n02/03/2026;VIR " + p.Reference + ";;25,00\n02/03/2026;autre;;25,00\n02/03/2026;autre;;25,00\n")
		if n := together(4, func() error {
			_, err := s.ImportStatement(t.Context(), ask(), StatementFile{Collective: "vallon", Content: content, CSV: &frenchCSV, Currency: money.EUR})
			return err
		}); n != 4 || s.balance(t, "51211")-before != 25_00 {
			t.Errorf("%d imports, the bank grew by %d", n, s.balance(t, "51211")-before)
		}
		lines, err := s.Lines(t.Context(), "vallon", "", "", newest, 10)
		if err != nil || len(lines) != 3 {
			t.Errorf("%d lines, err = %v; two that are alike are two", len(lines), err)
		}
	})
	t.Run("one document", func(t *testing.T) {
		if n := together(4, func() error {
			_, err := s.CreateExpense(t.Context(), ask(), Expense{
				Collective: "vallon", Kind: ExpenseLawyer, Payee: "Martin", Document: "F-1", DocumentDate: someDay, Amount: eur(5_00),
			})
			return err
		}); n != 1 || s.balance(t, "401") != -5_00 {
			t.Errorf("%d expenses, 401 stands at %d", n, s.balance(t, "401"))
		}
	})
}

func TestALineInAClosedPeriodKeepsNoOtherBack(t *testing.T) {
	s, _ := open(t)
	late, fits := s.promise(t, 11_00), s.promise(t, 12_00)
	s.give(t, MethodCash, 1_00)
	if _, err := s.cfg.Ledger.ClosePeriod(t.Context(), "", "vallon", time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)); err != nil {
		t.Fatal(err)
	}
	content := []byte("h\n27/02/2026;" + late.Reference + ";;11,00\n02/03/2026;" + fits.Reference + ";;12,00\n")
	done, err := s.ImportStatement(t.Context(), ask(), StatementFile{Collective: "vallon", Content: content, CSV: &frenchCSV, Currency: money.EUR})
	if err != nil || done.Booked != 1 || done.Open != 1 {
		t.Fatalf("%+v, err = %v", done, err)
	}
	lines, err := s.Lines(t.Context(), "vallon", LineSuggested, "", newest, 10)
	if err != nil || len(lines) != 1 || lines[0].Pledge != late.ID {
		t.Fatalf("%+v, err = %v", lines, err)
	}
	// A member may say it all the same: it counts when the books are open again.
	before := s.balance(t, "51211")
	l, err := s.MatchLine(t.Context(), ask(), "vallon", lines[0].ID, Target{Kind: TargetPledge, Campaign: vallon, ID: late.ID})
	if err != nil || s.balance(t, "51211") != before+11_00 {
		t.Fatalf("err = %v, the bank stands at %d", err, s.balance(t, "51211"))
	}
	if g, err := s.Donation(t.Context(), vallon, l.Donation); err != nil || g.ReceivedOn != "2026-02-27" {
		t.Errorf("the donation is of %s, err = %v", g.ReceivedOn, err)
	}
}

func TestATransferEnteredByHandIsItsLine(t *testing.T) {
	s, _ := open(t)
	p := s.promise(t, 25_00)
	g, err := s.CreateDonation(t.Context(), ask(), Donation{Campaign: vallon, Amount: eur(25_00), Method: MethodTransfer, ReceivedOn: someDay, Pledge: p.ID})
	if err != nil {
		t.Fatal(err)
	}
	content := []byte("h\n02/03/2026;" + p.Reference + ";;25,00\n")
	done, err := s.ImportStatement(t.Context(), ask(), StatementFile{Collective: "vallon", Content: content, CSV: &frenchCSV, Currency: money.EUR})
	if err != nil || done.Recognised != 1 || done.Booked != 0 || s.balance(t, "51211") != 25_00 {
		t.Errorf("%+v, err = %v; the bank stands at %d", done, err, s.balance(t, "51211"))
	}
	if g, err = s.Donation(t.Context(), vallon, g.ID); err != nil || g.BankLine == uuid.Nil {
		t.Errorf("the donation is %+v, err = %v", g, err)
	}
}

// The book of a collective is fixed by the first money in it: that of the platform must not be the one of somebody
// else's collective, whose own account came too late then.
func TestOthersMoneyIsNotBookedOnThePlatformsAccount(t *testing.T) {
	s, _ := open(t)
	set := func(change func(*collectives.Collective)) {
		t.Helper()
		if _, err := s.cfg.Collectives.Update(t.Context(), "vallon", "", func(c *collectives.Collective) error { change(c); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	set(func(c *collectives.Collective) { c.OwnAccountRequired = true })
	p := s.promise(t, 25_00)
	file := StatementFile{Collective: "vallon", Content: []byte("h\n02/03/2026;" + p.Reference + ";;25,00"), CSV: &frenchCSV, Currency: money.EUR}
	for rule, enter := range map[string]func() error{
		"a donation": func() error {
			_, err := s.CreateDonation(t.Context(), ask(), Donation{Campaign: vallon, Amount: eur(5_00), Method: MethodCash, ReceivedOn: someDay})
			return err
		},
		"an invoice": func() error {
			_, err := s.CreateExpense(t.Context(), ask(), Expense{
				Collective: "vallon", Kind: ExpenseLawyer, Payee: "Martin", Document: "1", DocumentDate: someDay, Amount: eur(5_00),
			})
			return err
		},
		"a bank line": func() error {
			if done, err := s.ImportStatement(t.Context(), ask(), file); err != nil || done.Booked != 0 || done.Open != 1 {
				t.Errorf("%+v, err = %v", done, err)
			}
			_, err := s.MatchLine(t.Context(), ask(), "vallon", s.line(t, 25_00).ID, Target{Kind: TargetPledge, Campaign: vallon, ID: p.ID})
			return err
		},
	} {
		if err := enter(); errs.As(err) == nil || errs.As(err).Reason != errorsv1.ErrorReason_STRIPE_ACCOUNT_NOT_READY {
			t.Errorf("%s: err = %v", rule, err)
		}
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

func TestSpentIsWhatTheBooksHave(t *testing.T) {
	s, _ := open(t)
	s.give(t, MethodPayeeCheque, 40_00)
	if _, err := s.CreateExpense(t.Context(), ask(), Expense{
		Collective: "vallon", Campaign: "avocate", Kind: ExpenseLawyer, Payee: "Martin", Document: "1", DocumentDate: someDay, Amount: eur(60_00),
	}); err != nil {
		t.Fatal(err)
	}
	none := func(context.Context, []campaigns.Name) (map[campaigns.Name]campaigns.Progress, error) {
		return map[campaigns.Name]campaigns.Progress{}, nil
	}
	progress, err := s.WithSpent(none)(t.Context(), []campaigns.Name{vallon, vallon})
	if err != nil || progress[vallon].Spent != eur(s.balance(t, "6226")) || s.balance(t, "6226") != 100_00 {
		t.Errorf("%+v, err = %v; 6226 stands at %d", progress, err, s.balance(t, "6226"))
	}
}
