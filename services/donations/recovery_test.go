package donations

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/campaigns"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/internal/stripe"
	"github.com/cagnotte/cagnotte/services/money"
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

func TestRecoveredSessions(t *testing.T) {
	e := newEnv(t, Limit{})
	// expired is a donation whose page closed, and can be opened again for an hour.
	expired := func() Donation {
		d := e.create(intent())
		d, _ = e.say(d, stripe.Session{
			ID: d.CheckoutSession, Status: stripe.SessionExpired,
			RecoveryURL: "https://buy.stripe.com/r/" + d.CheckoutSession, RecoveryEnds: e.donations.now().Add(time.Hour),
		}, false)
		if d.State != StateExpired || d.RecoveryURL(e.donations.now()) == "" {
			t.Fatalf("the donation is %s, opened again at %q", d.State, d.RecoveryURL(e.donations.now()))
		}
		return d
	}
	paid := func(id, from string, donation uuid.UUID) stripe.Session {
		return stripe.Session{ID: id, RecoveredFrom: from, Donation: donation, Status: stripe.SessionComplete, PaymentStatus: stripe.Paid, PaymentIntent: "pi_" + id}
	}

	t.Run("find their donation by the session that they are a copy of, when they name none", func(t *testing.T) {
		d := expired()
		after, ours := e.say(d, paid("cs_again_1", d.CheckoutSession, uuid.Nil), false)
		if !ours || after.State != StateSucceeded || after.PaymentIntent != "pi_cs_again_1" || after.CheckoutSession != d.CheckoutSession {
			t.Errorf("ours %v, the donation is %+v", ours, after)
		}
	})
	t.Run("and a copy of a copy", func(t *testing.T) {
		d := expired()
		unpaid := paid("cs_again_2", d.CheckoutSession, d.ID)
		unpaid.PaymentStatus = stripe.Unpaid
		if after, _ := e.say(d, unpaid, false); after.State != StatePending {
			t.Fatalf("the debit makes it %s", after.State)
		}
		if after, ours := e.say(d, paid("cs_again_3", "cs_again_2", uuid.Nil), false); !ours || after.State != StateSucceeded {
			t.Errorf("ours %v, the donation is %s", ours, after.State)
		}
	})
	t.Run("that fail leave a failed donation, and the late word of the first page changes nothing", func(t *testing.T) {
		d := expired()
		unpaid := paid("cs_again_4", d.CheckoutSession, d.ID)
		unpaid.PaymentStatus = stripe.Unpaid
		e.say(d, unpaid, false)
		if after, _ := e.say(d, stripe.Session{ID: d.CheckoutSession, Status: stripe.SessionExpired}, false); after.State != StatePending {
			t.Errorf("the first page's end makes it %s", after.State)
		}
		if after, _ := e.say(d, unpaid, true); after.State != StateFailed {
			t.Errorf("the bank's no makes it %s", after.State)
		}
	})
	t.Run("of other products are not ours", func(t *testing.T) {
		if _, ours := e.say(expired(), paid("cs_other", "cs_somebody_elses", uuid.Nil), false); ours {
			t.Error("somebody else's session is a donation")
		}
	})
	t.Run("are offered as long as Stripe opens them, and while the campaign takes donations", func(t *testing.T) {
		d := expired()
		if e.donations.whereToPay(t.Context(), d) == "" {
			t.Error("nowhere to pay")
		}
		late := d
		late.recoveryEnds = e.donations.now()
		if got := e.donations.whereToPay(t.Context(), late); got != "" {
			t.Errorf("after its end it is opened at %q", got)
		}
		if _, err := e.campaigns.Close(t.Context(), vallon); err != nil {
			t.Fatal(err)
		}
		if got := e.donations.whereToPay(t.Context(), d); got != "" {
			t.Errorf("a closed campaign's page is opened at %q", got)
		}
	})
}

func TestFeesThatCannotBeCovered(t *testing.T) {
	e := newEnv(t, Limit{})
	in := intent()
	in.CoverFee = true
	if _, err := e.donations.Create(t.Context(), in); err == nil {
		t.Fatal("no error without an estimate")
	} else {
		wantReason(t, err, errorsv1.ErrorReason_FEE_COVER_UNAVAILABLE)
	}
	e.donations.cfg.Campaigns = campaigns.New(campaigns.Config{Pool: e.pool, FeeEstimate: campaigns.DefaultFeeEstimate, Now: e.clock.Now})
	covered := e.create(in)
	if covered.Amount.Minor != 20_56 || covered.FeeCover != (money.Amount{Minor: 56, Currency: money.EUR}) {
		t.Errorf("the donation is %v, of it %v for the fee", covered.Amount, covered.FeeCover)
	}
	// What is stored is what was computed then: another estimate later changes nothing.
	e.donations.cfg.Campaigns = campaigns.New(campaigns.Config{Pool: e.pool, FeeEstimate: campaigns.FeeEstimate{
		BasisPoints: 290, Fixed: money.Amount{Minor: 30, Currency: money.EUR},
	}, Now: e.clock.Now})
	if again := e.create(in); again.ID != covered.ID || again.Amount != covered.Amount {
		t.Errorf("repeated it is %v", again.Amount)
	}
	_, err := e.pool.Exec(t.Context(), "UPDATE donations.donations SET fee_cover_minor = 1 WHERE id = $1", covered.ID)
	if !postgres.Constraint(err, "donations_immutable") {
		t.Errorf("what was added for the fee can be changed: %v", err)
	}
}
