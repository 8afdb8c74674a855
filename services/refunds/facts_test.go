package refunds

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/donations"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/internal/stripe"
	"github.com/cagnotte/cagnotte/services/internal/stripesim"
)

// Stripe invents statuses.
func TestADisputeOfAnUnknownStatus(t *testing.T) {
	e := newEnv(t)
	d, _ := e.paid()
	for _, c := range []struct{ said, want stripe.DisputeStatus }{
		{stripe.DisputeNeedsResponse, stripe.DisputeNeedsResponse},
		{"arbitrated", "arbitrated"},
		{stripe.DisputeNeedsResponse, "arbitrated"},
		{stripe.DisputeWon, stripe.DisputeWon},
		{"arbitrated", stripe.DisputeWon},
	} {
		err := postgres.InTx(t.Context(), e.pool, func(ctx context.Context, tx pgx.Tx) error {
			return e.refunds.applyDisputeTx(ctx, tx, donations.Match{Donation: d.ID}, "", stripe.Dispute{
				ID: "dp_1", Status: c.said, AmountMinor: 20_00, Currency: "EUR", Created: e.clock.Now(),
			})
		})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := e.refunds.GetDispute(t.Context(), vallon.Collective, "dp_1"); err != nil || got.Status != c.want {
			t.Errorf("after %s it is %s, want %s: %v", c.said, got.Status, c.want, err)
		}
	}
}

// charge.refunded tells how much went back in all, and not by which refunds: they are listed by their charge, and each
// is known by its id, however often the sum is told.
func TestASumOfRefundsLeadsToEachOfThem(t *testing.T) {
	e := newEnv(t)
	d, charge := e.paid()
	want := map[string]int64{}
	for _, minor := range []int64{5_00, 3_00, 3_00} {
		id, err := e.sim.Refund(charge, minor)
		if err != nil {
			t.Fatal(err)
		}
		want[id] = minor
		for range 2 {
			if ours, err := e.refunds.ReadRefundsOfCharge(t.Context(), "", charge); err != nil || !ours {
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
	e := newEnv(t)
	d := e.create(intent())
	if err := e.sim.Pay(d.CheckoutSession, stripesim.CardOK); err != nil {
		t.Fatal(err)
	}
	refund, err := e.sim.Refund(e.sim.Sessions("")[0].ChargeID, 5_00)
	if err != nil {
		t.Fatal(err)
	}
	e.sim.AddFault(stripesim.Fault{Method: http.MethodGet, PathPrefix: "/v1/payment_intents", Status: http.StatusForbidden})
	_, err = e.refunds.ReadRefund(t.Context(), "", refund)
	wantReason(t, err, errorsv1.ErrorReason_PAYMENT_UNREAD)
	e.sim.ClearFaults()
	if ours, err := e.refunds.ReadRefund(t.Context(), "", refund); err != nil || !ours {
		t.Errorf("ours %v: %v", ours, err)
	}
}

// Idempotency keys are kept for a day or so (https://docs.stripe.com/api/idempotent_requests): a refund whose answer was
// lost before that is looked for, and not made again.
func TestARefundWhoseKeyStripeForgotIsNotMadeTwice(t *testing.T) {
	e := newEnv(t)
	d, _ := e.paid()
	r := e.refund(wish(d, 5_00))
	// Twice, since Go asks again by itself where a connection breaks that it used before.
	e.sim.AddFault(stripesim.Fault{Method: http.MethodPost, PathPrefix: "/v1/refunds", Times: 2, LoseReply: true})
	if err := e.refunds.SubmitRefund(t.Context(), r.ID); err == nil {
		t.Fatal("the answer was not lost")
	}
	e.refundIs(r.ID, RefundSubmitted)
	e.sim.ClearFaults()
	e.clock.Advance(31 * 24 * time.Hour)
	if err := e.refunds.SubmitRefund(t.Context(), r.ID); err != nil {
		t.Fatal(err)
	}
	e.refundIs(r.ID, RefundSucceeded)
	if made := e.sim.Refunds(""); len(made) != 1 {
		t.Errorf("Stripe made %d refunds", len(made))
	}
}
