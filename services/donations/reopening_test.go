package donations

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/internal/stripe"
)

// say applies what Stripe says of a session, and returns the donation as it is then.
func (e *env) say(d Donation, session stripe.Session, failed bool) (after Donation, ours bool) {
	e.t.Helper()
	session.AmountMinor, session.Currency = d.Amount.Minor, string(d.Amount.Currency)
	err := postgres.InTx(e.t.Context(), e.pool, func(ctx context.Context, tx pgx.Tx) (err error) {
		ours, err = e.donations.ApplySessionTx(ctx, tx, SessionFact{Session: session, Failed: failed, At: e.donations.now()})
		return err
	})
	if err != nil {
		e.t.Fatal(err)
	}
	if after, err = e.donations.byID(e.t.Context(), d.ID); err != nil {
		e.t.Fatal(err)
	}
	return after, ours
}

// reopen opens the page of an expired donation again.
func (e *env) reopen(d Donation) Donation {
	e.t.Helper()
	again, err := e.donations.Reopen(e.t.Context(), d.Campaign, d.ID, Visit{})
	if err != nil {
		e.t.Fatal(err)
	}
	return again
}

func TestReopenedPages(t *testing.T) {
	e := newEnv(t)
	// expired is a donation whose page closed.
	expired := func() Donation {
		d := e.create(intent())
		d, _ = e.say(d, stripe.Session{ID: d.CheckoutSession, Status: stripe.SessionExpired}, false)
		if d.State != StateExpired {
			t.Fatalf("the donation is %s", d.State)
		}
		return d
	}
	paid := func(id string) stripe.Session {
		return stripe.Session{ID: id, Status: stripe.SessionComplete, PaymentStatus: stripe.Paid, PaymentIntent: "pi_" + id}
	}
	t.Run("are another session of the same donation", func(t *testing.T) {
		d := expired()
		again := e.reopen(d)
		if again.ID != d.ID || again.State != StateCreated || again.CheckoutSession == d.CheckoutSession || again.PayableURL(e.donations.now()) == "" {
			t.Errorf("the donation is %+v", again)
		}
		if repeated := e.reopen(d); repeated.CheckoutSession != again.CheckoutSession {
			t.Errorf("a repeat opens %s", repeated.CheckoutSession)
		}
	})
	t.Run("are not closed by the late word of the page before", func(t *testing.T) {
		d := expired()
		again := e.reopen(d)
		if after, ours := e.say(d, stripe.Session{ID: d.CheckoutSession, Status: stripe.SessionExpired}, false); !ours || after.State != StateCreated || after.CheckoutSession != again.CheckoutSession {
			t.Errorf("ours %v, the donation is %s", ours, after.State)
		}
	})
	t.Run("are paid, and so is the page before if Stripe says so", func(t *testing.T) {
		d := expired()
		again := e.reopen(d)
		after, ours := e.say(d, paid(d.CheckoutSession), false)
		if !ours || after.State != StateSucceeded || after.PaymentIntent != "pi_"+d.CheckoutSession {
			t.Errorf("ours %v, the donation is %+v", ours, after)
		}
		if _, ours := e.say(d, paid(again.CheckoutSession), false); !ours {
			t.Error("the payment on the page that was opened again is nobody's")
		}
	})
	t.Run("are opened once by two calls at once", func(t *testing.T) {
		d := expired()
		sessions := make(chan string, 2)
		for range 2 {
			go func() {
				again, err := e.donations.Reopen(context.WithoutCancel(t.Context()), d.Campaign, d.ID, Visit{})
				if err != nil {
					t.Error(err)
				}
				sessions <- again.CheckoutSession
			}()
		}
		if a, b := <-sessions, <-sessions; a != b || a == d.CheckoutSession {
			t.Errorf("%s and %s", a, b)
		}
		if after, err := e.donations.byID(t.Context(), d.ID); err != nil || after.reopenings != 1 {
			t.Errorf("opened again %d times, %v", after.reopenings, err)
		}
	})
	t.Run("leave no session behind", func(t *testing.T) {
		d := expired()
		_, err := e.pool.Exec(t.Context(), "UPDATE donations.donations SET state = 'created', reopenings = 1, checkout_session_id = NULL WHERE id = $1", d.ID)
		if !postgres.Constraint(err, "donations_progress_forward") {
			t.Errorf("the session is forgotten: %v", err)
		}
	})
	t.Run("are refused when the page was closed for declines", func(t *testing.T) {
		d := expired()
		if _, err := e.pool.Exec(t.Context(), "UPDATE donations.donations SET declines = $2 WHERE id = $1", d.ID, maxDeclines); err != nil {
			t.Fatal(err)
		}
		_, err := e.donations.Reopen(t.Context(), d.Campaign, d.ID, Visit{})
		wantReason(t, err, errorsv1.ErrorReason_DONATION_NOT_REOPENABLE)
	})
	t.Run("are not offered of a donation that failed", func(t *testing.T) {
		d := e.create(intent())
		unpaid := paid(d.CheckoutSession)
		unpaid.PaymentStatus = stripe.Unpaid
		e.say(d, unpaid, false)
		failed, _ := e.say(d, unpaid, true)
		if failed.State != StateFailed || e.donations.canReopen(t.Context(), failed) {
			t.Errorf("the donation is %s", failed.State)
		}
		if again := e.reopen(failed); again.State != StateFailed {
			t.Errorf("it is %s", again.State)
		}
	})
	t.Run("are refused while the campaign takes no donations", func(t *testing.T) {
		d := expired()
		if !e.donations.canReopen(t.Context(), d) {
			t.Error("it is not offered")
		}
		if _, err := e.campaigns.Close(t.Context(), vallon); err != nil {
			t.Fatal(err)
		}
		if e.donations.canReopen(t.Context(), d) {
			t.Error("a closed campaign offers it")
		}
		_, err := e.donations.Reopen(t.Context(), d.Campaign, d.ID, Visit{})
		wantReason(t, err, errorsv1.ErrorReason_CAMPAIGN_NOT_OPEN)
	})
	t.Run("are over after 30 days", func(t *testing.T) {
		d := Donation{State: StateExpired, CreateTime: e.donations.now(), ExpireTime: e.donations.now().Add(sessionLife)}
		if !d.reopenable(d.ExpireTime.Add(reopenFor-time.Second)) || d.reopenable(d.ExpireTime.Add(reopenFor)) {
			t.Error("the time is another one")
		}
	})
}
