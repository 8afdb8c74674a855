package webhooks

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/donations"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/internal/stripesim"
	"github.com/cagnotte/cagnotte/services/ledger"
	"github.com/cagnotte/cagnotte/services/money"
)

// compared runs the timer's sync an hour later, with its comparison.
func (e *env) compared(account string) {
	e.t.Helper()
	e.later(compareEvery)
	e.regular(account)
	e.run(account)
}

// wantDifferences checks what the gauge says, and how many notices of how much were told to each reader.
func (e *env) wantDifferences(count float64, told string) {
	e.t.Helper()
	if got := e.gauges()["balance_differences "]; got != count {
		e.t.Errorf("%v differences, want %v", got, count)
	}
	got := one[string](e, `SELECT coalesce(string_agg(collective || ' ' || amount_minor, ', ' ORDER BY created_at, collective), '')
		FROM notices.notices WHERE kind = 'stripe_balance_differs'`)
	if got != told {
		e.t.Errorf("told %q, want %q", got, told)
	}
}

// postStray posts an entry on the Stripe account that Stripe knows nothing of.
func (e *env) postStray(reference string, minor int64) {
	e.t.Helper()
	if err := postgres.InTx(e.t.Context(), e.pool, func(ctx context.Context, tx pgx.Tx) error {
		entry := func(role ledger.AccountRole, minor int64) ledger.Entry {
			return ledger.Entry{Role: role, Collective: vallon.Collective, Amount: money.Amount{Minor: minor, Currency: money.EUR}}
		}
		_, err := e.ledger.PostTx(ctx, tx, "", []ledger.Transaction{{
			Reference: reference, Kind: ledger.KindOther, Effective: e.clock.Now(),
			Entries: []ledger.Entry{entry(ledger.RoleStripeBalance, minor), entry(ledger.RoleUnknownReceipts, -minor)},
		}})
		return err
	}); err != nil {
		e.t.Fatal(err)
	}
}

func TestTheBooksAreComparedWithStripesBalance(t *testing.T) {
	e := newEnv(t, stripesim.Config{})
	p := paidOut(e, vallon, "")
	e.pay(e.give(vallon))
	if _, err := e.sim.Refund(e.sim.Sessions("")[2].ChargeID, 500); err != nil {
		t.Fatal(err)
	}
	e.delivered()
	for range 3 {
		e.compared("")
	}
	if err := e.sim.FailPayout(p.ID, "account_closed"); err != nil {
		t.Fatal(err)
	}
	e.compared("")
	e.wantDifferences(0, "")

	e.postStray("wrong", 7_00)
	e.compared("")
	e.wantDifferences(0, "") // it may have been on its way
	e.regular("")
	e.run("") // at once, which is no other comparison
	e.wantDifferences(0, "")
	e.compared("")
	e.wantDifferences(1, " -700, vallon -700")
	t.Run("it is told once", func(t *testing.T) {
		for range 3 {
			e.compared("")
		}
		e.wantDifferences(1, " -700, vallon -700")
	})
	t.Run("it ends by itself, and is told again when it is back", func(t *testing.T) {
		e.postStray("put right", -7_00)
		e.compared("")
		e.wantDifferences(0, " -700, vallon -700")
		e.postStray("wrong again", 7_00)
		e.compared("")
		e.compared("")
		e.wantDifferences(1, " -700, vallon -700,  -700, vallon -700")
	})
	t.Run("another amount is told", func(t *testing.T) {
		e.postStray("and more", 1_00)
		e.compared("")
		e.compared("")
		e.wantDifferences(1, " -700, vallon -700,  -700, vallon -700,  -800, vallon -800")
	})
}

// Money that moves while the two are read is no difference, however often that happens.
func TestMoneyInTransitIsNoDifference(t *testing.T) {
	e := newEnv(t, stripesim.Config{})
	e.sim.SetDelivery(stripesim.Delivery{Drop: true})
	e.compared("")
	var coming chan donations.Donation
	moves, paid := "/v1/balance", 0
	e.asked = func(r *http.Request) {
		if r.URL.Path != moves {
			return
		}
		select {
		case d := <-coming:
			paid++
			if err := e.sim.Pay(d.CheckoutSession, stripesim.CardOK); err != nil {
				t.Error(err)
			}
		default:
		}
	}
	for round := range 10 {
		if round == 5 { // behind the list and before the balance
			moves = "/v1/balance_transactions"
		}
		coming = make(chan donations.Donation, 10)
		for range cap(coming) {
			coming <- e.give(vallon)
		}
		e.compared("")
	}
	e.asked = nil
	e.wantDifferences(0, "")
	e.compared("")
	e.wantDifferences(0, "")
	if paid < 20 {
		t.Errorf("only %d were paid meanwhile", paid)
	}
	if minor := one[int64](e, "SELECT difference_minor FROM webhooks.balances"); minor != 0 {
		t.Errorf("in the end they differ by %d", minor)
	}
}

// Where there is always something new, a difference that stays the same is told all the same.
func TestADifferenceOfABusyAccountIsTold(t *testing.T) {
	e := newEnv(t, stripesim.Config{})
	e.compared("")
	e.postStray("wrong", 7_00)
	for range confirmBusy {
		e.wantDifferences(0, "")
		e.pay(e.give(vallon))
		e.delivered()
		e.compared("")
	}
	e.wantDifferences(1, " -700, vallon -700")
}

// What is parked is in sight by itself.
func TestParkedTransactionsAreNoDifference(t *testing.T) {
	e := newEnv(t, stripesim.Config{})
	e.compared("")
	e.pay(e.give(vallon))
	e.delivered()
	if _, err := e.pool.Exec(t.Context(), `
		INSERT INTO webhooks.parked (account, id, reason, net_minor, currency, next_attempt_at)
		VALUES ('', $1, 'X', 1945, 'EUR', now() + interval '1 year')`, e.sim.BalanceTransactions("")[0].ID); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		e.later(-2 * compareEvery) // so that it is not tried again
		e.compared("")
	}
	e.wantParkedCount(1)
	e.wantDifferences(0, "")
}

func (e *env) wantParkedCount(count int) {
	e.t.Helper()
	if n := one[int](e, "SELECT count(*) FROM webhooks.parked"); n != count {
		e.t.Errorf("%d are parked, want %d", n, count)
	}
}

// A balance that cannot be read holds up nothing, and is asked for again an hour later.
func TestComparisonWithoutPermissionToReadTheBalance(t *testing.T) {
	e := newEnv(t, stripesim.Config{})
	e.compared("")
	asked := 0
	e.refuse = func(r *http.Request) bool {
		if r.URL.Path == "/v1/balance" {
			asked++
		}
		return r.URL.Path == "/v1/balance"
	}
	d := e.give(vallon)
	e.pay(d)
	e.delivered()
	e.compared("")
	e.want(d, donations.StateSucceeded, true)
	e.later(10 * time.Minute)
	e.regular("")
	e.run("")
	if asked != 1 {
		t.Errorf("it was asked for %d times", asked)
	}
	e.compared("")
	if asked != 2 {
		t.Errorf("an hour later it was asked for %d times", asked)
	}
	e.wantDifferences(0, "")
}
