package donations

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/campaigns"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/internal/stripe"
	"github.com/cagnotte/cagnotte/services/internal/stripesim"
	"github.com/cagnotte/cagnotte/services/money"
)

// Named after a bug that others shipped: unpaid was taken for failed, and donors paid twice. A debit that is under
// way has no page to be paid on, and the same request opens none.
func TestADebitUnderWayIsNotPaidTwice(t *testing.T) {
	e := newEnv(t, Limit{})
	if err := e.sim.OfferDebits("", true); err != nil {
		t.Fatal(err)
	}
	in := intent()
	d := e.create(in)
	if err := e.sim.PayByDebit(d.CheckoutSession, stripesim.IBANPaid); err != nil {
		t.Fatal(err)
	}
	if err := e.donations.Refresh(t.Context(), d.ID); err != nil {
		t.Fatal(err)
	}
	again := e.create(in)
	if again.ID != d.ID || again.State != StatePending || again.CheckoutSession != d.CheckoutSession {
		t.Errorf("repeated it is %+v", again)
	}
	if page := e.donations.whereToPay(t.Context(), again); page != "" {
		t.Errorf("it can be paid again, on %s", page)
	}
	var refused *stripesim.SessionError
	if err := e.sim.Pay(d.CheckoutSession, stripesim.CardOK); !errors.As(err, &refused) {
		t.Errorf("its page took a card too: %v", err)
	}
	if n := len(e.sim.Sessions("")); n != 1 {
		t.Errorf("%d sessions", n)
	}
}

// https://docs.stripe.com/currencies#minimum-and-maximum-charge-amounts: eight digits, also with the fee.
func TestAWholeThatIsTooLargeForStripe(t *testing.T) {
	e := newEnv(t, Limit{})
	e.donations.cfg.Campaigns = campaigns.New(campaigns.Config{Pool: e.pool, FeeEstimate: campaigns.DefaultFeeEstimate})
	in := intent()
	in.CoverFee, in.Amount.Minor = true, maxWholeMinor
	_, _, err := e.donations.whole(in)
	wantReason(t, err, errorsv1.ErrorReason_AMOUNT_TOO_LARGE)
	in.Amount.Minor = maxWholeMinor / 2
	whole, cover, err := e.donations.whole(in)
	if err != nil || whole.Minor > maxWholeMinor || whole.Minor-cover.Minor != in.Amount.Minor || whole.Currency != money.EUR {
		t.Errorf("%v, of it %v: %v", whole, cover, err)
	}
}

// Stripe invents statuses.
func TestADisputeOfAnUnknownStatus(t *testing.T) {
	e := newEnv(t, Limit{})
	d, _ := e.paid()
	for _, c := range []struct{ said, want stripe.DisputeStatus }{
		{stripe.DisputeNeedsResponse, stripe.DisputeNeedsResponse},
		{"arbitrated", "arbitrated"},
		{stripe.DisputeNeedsResponse, "arbitrated"},
		{stripe.DisputeWon, stripe.DisputeWon},
		{"arbitrated", stripe.DisputeWon},
	} {
		err := postgres.InTx(t.Context(), e.pool, func(ctx context.Context, tx pgx.Tx) error {
			return e.donations.applyDisputeTx(ctx, tx, Match{Donation: d.ID}, "", stripe.Dispute{
				ID: "dp_1", Status: c.said, AmountMinor: 20_00, Currency: "EUR", Created: e.clock.Now(),
			})
		})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := e.donations.GetDispute(t.Context(), vallon.Collective, "dp_1"); err != nil || got.Status != c.want {
			t.Errorf("after %s it is %s, want %s: %v", c.said, got.Status, c.want, err)
		}
	}
}

// charge.refunded tells how much went back in all, and not by which refunds: they are listed by their charge, and each
// is known by its id, however often the sum is told.
func TestASumOfRefundsLeadsToEachOfThem(t *testing.T) {
	e := newEnv(t, Limit{})
	d, charge := e.paid()
	want := map[string]int64{}
	for _, minor := range []int64{5_00, 3_00, 3_00} {
		id, err := e.sim.Refund(charge, minor)
		if err != nil {
			t.Fatal(err)
		}
		want[id] = minor
		for range 2 {
			if ours, err := e.donations.ReadRefundsOfCharge(t.Context(), "", charge); err != nil || !ours {
				t.Fatalf("ours %v: %v", ours, err)
			}
		}
		got := map[string]int64{}
		for _, r := range e.refundsOf(d) {
			got[r.StripeRefund] += r.Amount.Minor
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("refunds (-want +got):\n%s", diff)
		}
	}
}

// What may not be read is no answer: else the refund would be taken for nobody's, and its event for done.
func TestARefundWhosePaymentMayNotBeReadWaits(t *testing.T) {
	e := newEnv(t, Limit{})
	d := e.create(intent())
	if err := e.sim.Pay(d.CheckoutSession, stripesim.CardOK); err != nil {
		t.Fatal(err)
	}
	refund, err := e.sim.Refund(e.sim.Sessions("")[0].ChargeID, 5_00)
	if err != nil {
		t.Fatal(err)
	}
	e.sim.AddFault(stripesim.Fault{Method: http.MethodGet, PathPrefix: "/v1/payment_intents", Status: http.StatusForbidden})
	_, err = e.donations.ReadRefund(t.Context(), "", refund)
	wantReason(t, err, errorsv1.ErrorReason_PAYMENT_UNREAD)
	e.sim.ClearFaults()
	if ours, err := e.donations.ReadRefund(t.Context(), "", refund); err != nil || !ours {
		t.Errorf("ours %v: %v", ours, err)
	}
}

// A live Connect endpoint gets test events too, and metadata can name any donation.
func TestTheOtherLivemodeMovesNoDonation(t *testing.T) {
	e := newEnv(t, Limit{})
	d := e.create(intent())
	page := stripe.Session{ID: d.CheckoutSession, Donation: d.ID, Status: stripe.SessionComplete, PaymentStatus: stripe.Paid, PaymentIntent: "pi_1"}
	page.Livemode = true
	if after, ours := e.say(d, page, false); ours || after.State != StateCreated {
		t.Errorf("a live session is ours: %v, and the donation %s", ours, after.State)
	}
	live := e.donations.cfg
	live.Metrics = nil
	var err error
	if live.Stripe, err = stripe.New(stripe.Config{APIKey: "sk_live_simulated", BaseURL: "http://127.0.0.1:1"}); err != nil {
		t.Fatal(err)
	}
	matches, err := New(live).Find(t.Context(), "", []Clue{{PaymentIntent: "pi_1"}})
	if err != nil || matches[0].Donation != uuid.Nil {
		t.Errorf("live money finds %v, %v", matches, err)
	}
	page.Livemode = false
	if after, ours := e.say(d, page, false); !ours || after.State != StateSucceeded {
		t.Errorf("its own session is ours: %v, and the donation %s", ours, after.State)
	}
}

// Idempotency keys are kept for a day or so (https://docs.stripe.com/api/idempotent_requests): a refund whose answer was
// lost before that is looked for, and not made again.
func TestARefundWhoseKeyStripeForgotIsNotMadeTwice(t *testing.T) {
	e := newEnv(t, Limit{})
	d, _ := e.paid()
	r := e.refund(wish(d, 5_00))
	// Twice, since Go asks again by itself where a connection breaks that it used before.
	e.sim.AddFault(stripesim.Fault{Method: http.MethodPost, PathPrefix: "/v1/refunds", Times: 2, LoseReply: true})
	if err := e.donations.SubmitRefund(t.Context(), r.ID); err == nil {
		t.Fatal("the answer was not lost")
	}
	e.refundIs(r.ID, RefundSubmitted)
	e.sim.ClearFaults()
	e.clock.Advance(31 * 24 * time.Hour)
	if err := e.donations.SubmitRefund(t.Context(), r.ID); err != nil {
		t.Fatal(err)
	}
	e.refundIs(r.ID, RefundSucceeded)
	if made := e.sim.Refunds(""); len(made) != 1 {
		t.Errorf("Stripe made %d refunds", len(made))
	}
}
