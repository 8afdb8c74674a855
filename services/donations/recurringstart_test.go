package donations

import (
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/internal/stripe"
	"github.com/cagnotte/cagnotte/services/internal/stripesim"
	"github.com/cagnotte/cagnotte/services/money"
)

// Session, invoice and subscription tell of the start in any order and many times, and one mail is queued.
func TestTheStartIsMailedOnce(t *testing.T) {
	e := newEnv(t)
	e.donations.cfg.Mail = e.sender()
	queued := func() (jobs int) {
		t.Helper()
		err := e.pool.QueryRow(t.Context(), "SELECT count(*) FROM "+pgx.Identifier{postgres.RiverSchema, "river_job"}.Sanitize()+
			" WHERE kind = $1", startArgs{}.Kind()).Scan(&jobs)
		if err != nil {
			t.Fatal(err)
		}
		return jobs
	}
	first := e.monthly()
	if queued() != 0 {
		t.Fatal("a donation that is not paid is told to have begun")
	}
	if err := e.sim.Pay(first.CheckoutSession, stripesim.CardOK); err != nil {
		t.Fatal(err)
	}
	if err := e.donations.Refresh(t.Context(), first.ID); err != nil {
		t.Fatal(err)
	}
	subs := e.sim.Subscriptions("")
	subscription := subs[len(subs)-1]
	for range 2 {
		if _, err := e.donations.ApplyInvoice(t.Context(), "", stripe.Invoice{
			ID: "in_first", Subscription: subscription.ID, Customer: subscription.CustomerID, Recurring: first.ID, Paid: true, First: true,
			Amount: money.Amount{Minor: 20_00, Currency: money.EUR}, PaymentIntent: "pi_first", PaidAt: e.clock.Now(),
		}); err != nil {
			t.Fatal(err)
		}
		if _, err := e.donations.ReadSubscription(t.Context(), "", subscription.ID); err != nil {
			t.Fatal(err)
		}
		e.keep()
	}
	if r := e.recurring(first); r.State != RecurringActive {
		t.Fatalf("it is %s", r.State)
	}
	if n := queued(); n != 1 {
		t.Errorf("%d mails are queued, want 1", n)
	}
}
