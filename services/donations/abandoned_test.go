package donations

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/internal/stripe"
	"github.com/cagnotte/cagnotte/services/money"
)

func TestAbandonedDonationsGo(t *testing.T) {
	e := newEnv(t)
	expire := func(d Donation) Donation {
		t.Helper()
		d, _ = e.say(d, stripe.Session{ID: d.CheckoutSession, Status: stripe.SessionExpired, PaymentIntent: "pi_" + d.ID.String()}, false)
		return d
	}
	monthly := intent()
	monthly.Monthly = true
	gone := []Donation{expire(e.create(intent())), expire(e.reopen(expire(e.create(intent())))), expire(e.create(monthly))}
	paid := e.create(intent())
	e.say(paid, stripe.Session{ID: paid.CheckoutSession, Status: stripe.SessionComplete, PaymentStatus: stripe.Paid, PaymentIntent: "pi_paid"}, false)
	differs := expire(e.create(intent()))
	refuse := func(donation uuid.UUID, transaction string) {
		t.Helper()
		if err := postgres.InTx(t.Context(), e.pool, func(ctx context.Context, tx pgx.Tx) error {
			return e.donations.RefuseTx(ctx, tx, "", []RefusedPayment{{
				Donation: donation, PaymentIntent: "pi_other", Transaction: transaction, Paid: money.Amount{Minor: 5_00, Currency: money.EUR},
			}})
		}); err != nil {
			t.Fatal(err)
		}
	}
	refuse(differs.ID, "txn_differs")
	if err := e.donations.KeepRecurring(t.Context()); err != nil {
		t.Fatal(err)
	}
	is := func(d Donation, want bool) {
		t.Helper()
		if _, err := e.donations.byID(t.Context(), d.ID); (err == nil) != want {
			t.Errorf("%s is there: %v", d.ID, err)
		}
	}
	forget := func() {
		t.Helper()
		for range 2 {
			if err := e.donations.forgetAbandoned(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	e.clock.Advance(abandonedLife - time.Minute)
	forget()
	for _, d := range gone {
		is(d, true)
	}
	e.clock.Advance(time.Hour)
	forget()
	for _, d := range gone {
		is(d, false)
	}
	is(paid, true)
	is(differs, true)
	var left int
	if err := e.pool.QueryRow(t.Context(), `
		SELECT count(*) FROM overview.contributions WHERE id = ANY($1)`, []uuid.UUID{gone[0].ID, gone[1].ID, gone[2].ID}).Scan(&left); err != nil || left != 0 {
		t.Errorf("the overview has %d of them, %v", left, err)
	}
	if _, err := e.pool.Exec(t.Context(), "DELETE FROM donations.donations WHERE id = $1", paid.ID); !postgres.Constraint(err, "donations_delete_unpaid") {
		t.Errorf("a paid donation is deleted: %v", err)
	}
	// A payment that comes all the same is told to the operator.
	refuse(gone[0].ID, "txn_late")
	if err := e.pool.QueryRow(t.Context(), "SELECT count(*) FROM notices.notices WHERE collective = '' AND kind = 'payment_refused' AND key = 'txn_late'").Scan(&left); err != nil || left != 1 {
		t.Errorf("told %d times, %v", left, err)
	}
}
