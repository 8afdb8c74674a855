package treasury

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/campaigns"
	"github.com/cagnotte/cagnotte/services/collectives"
	"github.com/cagnotte/cagnotte/services/internal/calendar"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/pgtest"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/ledger"
	"github.com/cagnotte/cagnotte/services/money"
	"github.com/cagnotte/cagnotte/services/wall"
)

var (
	vallon  = campaigns.Name{Collective: "vallon", Campaign: "avocate"}
	someDay = calendar.Day("2026-03-02")
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
		Wall: wall.New(wall.Config{Limits: wall.Limits{Off: true}}),
		Now:  now,
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
	if _, err := causes.Publish(t.Context(), vallon, ""); err != nil {
		t.Fatal(err)
	}
	return s, pool
}

func ask() Request { return Request{ID: uuid.New(), By: "collectives/vallon/apiKeys/k"} }

func (s *Service) give(t *testing.T, method Method, minor int64) OfflineDonation {
	t.Helper()
	g, err := s.CreateOfflineDonation(t.Context(), ask(), OfflineDonation{Campaign: vallon, Amount: eur(minor), Method: method, ReceivedOn: someDay})
	if err != nil {
		t.Fatal(err)
	}
	return g
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
	owner := pgtest.Owner(t, pool)
	for statement, want := range map[string]string{
		`UPDATE treasury.offline_donations SET amount_minor = 1`:                                                                                     "offline_donations_immutable",
		`UPDATE treasury.offline_donations SET received_on = '2026-03-01'`:                                                                           "offline_donations_immutable",
		`UPDATE treasury.offline_donations SET state = 'banked'`:                                                                                     "offline_donations_banked",
		`UPDATE treasury.offline_donations SET state = 'bounced', bounced_on = '2026-03-03'`:                                                         "offline_donations_state_forward",
		`UPDATE treasury.offline_donations SET state = 'reversed'`:                                                                                   "offline_donations_reversed",
		`UPDATE treasury.expenses SET amount_minor = 1`:                                                                                              "expenses_immutable",
		`UPDATE treasury.expenses SET payments = -1`:                                                                                                 "expenses_immutable",
		`UPDATE treasury.expenses SET part_paid_minor = 500`:                                                                                         "expenses_part_paid",
		`UPDATE treasury.expenses SET state = 'paid'`:                                                                                                "expenses_paid",
		`UPDATE treasury.expenses SET state = 'reversed', reverse_reason = 'x', paid_on = '2026-03-03'`:                                              "expenses_paid",
		`INSERT INTO treasury.pledges VALUES (gen_random_uuid(), 'vallon', 'avocate', '0', 1, 'EUR', 'cash', 'fr', now(), now() + interval '1 day')`: "pledges_reference_form",
	} {
		if _, err := owner.Exec(t.Context(), statement); !postgres.Constraint(err, want) {
			t.Errorf("%s: err = %v, want %s", statement, err, want)
		}
	}
	for _, table := range []string{"requests", "pledges", "deposits", "offline_donations", "expenses", "expense_attachments"} {
		for _, statement := range []string{`DELETE FROM treasury.` + table, `TRUNCATE treasury.` + table} {
			if _, err := pool.Exec(t.Context(), statement); err == nil || !strings.Contains(err.Error(), "42501") {
				t.Errorf("%s by the service: %v", statement, err)
			}
		}
	}
	for _, statement := range []string{
		`UPDATE treasury.pledges SET amount_minor = 1`, `UPDATE treasury.deposits SET total_minor = 1`, `UPDATE treasury.requests SET resource = request_id`,
	} {
		if _, err := pool.Exec(t.Context(), statement); err == nil || !strings.Contains(err.Error(), "42501") {
			t.Errorf("%s by the service: %v", statement, err)
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
			_, err := s.CreateOfflineDonation(t.Context(), r, OfflineDonation{Campaign: vallon, Amount: eur(7_00), Method: MethodCash, ReceivedOn: someDay})
			return err
		}); n != 6 || s.balance(t, "530") != 7_00 {
			t.Errorf("%d answers, 530 stands at %d", n, s.balance(t, "530"))
		}
	})
	t.Run("two slips with one cheque", func(t *testing.T) {
		a, b := s.give(t, MethodCheque, 10_00), s.give(t, MethodCheque, 20_00)
		slips := [][]Cheque{{{Campaign: vallon, ID: a.ID}, {Campaign: vallon, ID: b.ID}}, {{Campaign: vallon, ID: b.ID}, {Campaign: vallon, ID: a.ID}}}
		var next sync.Mutex
		if n := together(2, func() error {
			next.Lock()
			slip := slices.Clone(slips[0])
			slips = slips[1:]
			next.Unlock()
			_, err := s.CreateDeposit(t.Context(), ask(), Deposit{Collective: "vallon", BankedOn: someDay, Cheques: slip})
			return err
		}); n != 1 || s.balance(t, "51211") != 30_00 || s.balance(t, "5112") != 0 {
			t.Errorf("%d slips, the bank stands at %d", n, s.balance(t, "51211"))
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
	for rule, enter := range map[string]func() error{
		"a donation": func() error {
			_, err := s.CreateOfflineDonation(t.Context(), ask(), OfflineDonation{Campaign: vallon, Amount: eur(5_00), Method: MethodCash, ReceivedOn: someDay})
			return err
		},
		"an invoice": func() error {
			_, err := s.CreateExpense(t.Context(), ask(), Expense{
				Collective: "vallon", Kind: ExpenseLawyer, Payee: "Martin", Document: "1", DocumentDate: someDay, Amount: eur(5_00),
			})
			return err
		},
	} {
		if err := enter(); errs.As(err) == nil || errs.As(err).Reason != errorsv1.ErrorReason_STRIPE_ACCOUNT_NOT_READY {
			t.Errorf("%s: err = %v", rule, err)
		}
	}
	set(func(c *collectives.Collective) { c.StripeAccount = "acct_vallon" })
	s.give(t, MethodCash, 5_00)
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

// The public list of expenses has no cheque to the lawyer, so the public sums have none alone: they have the first five of a stage, then
// the first ten.
func TestNoChequeToTheLawyerIsComputedFromPublicSums(t *testing.T) {
	s, _ := open(t)
	none := func(context.Context, []campaigns.Name) (map[campaigns.Name]campaigns.Progress, error) {
		return map[campaigns.Name]campaigns.Progress{}, nil
	}
	if _, err := s.CreateExpense(t.Context(), ask(), Expense{
		Collective: "vallon", Campaign: "avocate", Kind: ExpenseLawyer, Payee: "Martin", Document: "1", DocumentDate: someDay, Amount: eur(60_00),
	}); err != nil {
		t.Fatal(err)
	}
	var last OfflineDonation
	for n, want := range []int64{60_00, 60_00, 60_00, 60_00, 60_00, 60_00 + 1 + 2 + 4 + 8 + 16, 60_00 + 1 + 2 + 4 + 8 + 16} {
		if n > 0 {
			last = s.give(t, MethodPayeeCheque, 1<<(n-1))
		}
		progress, err := s.WithSpent(none)(t.Context(), []campaigns.Name{vallon})
		if got := progress[vallon]; err != nil || got.PublicSpent != eur(want) || got.Spent != eur(60_00+1<<n-1) {
			t.Errorf("with %d cheques: %+v, err = %v, want %d public", n, got, err, want)
		}
	}
	// A cheque that was entered wrongly leaves the groups: the sum is that of five others, or has none.
	if _, err := s.ReverseOfflineDonation(t.Context(), ask(), vallon, last.ID, "entered twice"); err != nil {
		t.Fatal(err)
	}
	progress, err := s.WithSpent(none)(t.Context(), []campaigns.Name{vallon})
	if err != nil || progress[vallon].PublicSpent != eur(60_00+31) {
		t.Errorf("%+v, err = %v", progress, err)
	}
}

func eur(minor int64) money.Amount { return money.Amount{Minor: minor, Currency: money.EUR} }

// The nil UUID is an id like others: it is no clearing item's.
func TestClearingItemOfTheNilID(t *testing.T) {
	s, _ := open(t)
	cheque, err := s.CreateOfflineDonation(t.Context(), ask(), OfflineDonation{Campaign: vallon, Amount: eur(7_00), Method: MethodCheque, ReceivedOn: someDay})
	if err != nil {
		t.Fatal(err)
	}
	if found, err := s.ClearingItem(t.Context(), vallon.Collective, cheque.ID); err != nil || found.ID != cheque.ID {
		t.Fatalf("the cheque's item is %v, %v", found, err)
	}
	if found, err := s.ClearingItem(t.Context(), vallon.Collective, uuid.Nil); errs.As(err) == nil || errs.As(err).Reason != errorsv1.ErrorReason_NOT_FOUND {
		t.Errorf("the nil id is item %v, %v", found, err)
	}
}
