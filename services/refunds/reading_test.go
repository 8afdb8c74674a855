package refunds

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/donations"
	"github.com/cagnotte/cagnotte/services/internal/stripe"
	"github.com/cagnotte/cagnotte/services/internal/stripesim"
)

// charge.refunded has the sum of a charge's refunds only. They are listed by their charge, and each is stored once by its id.
func TestRefundsOfAChargeAreReadOneByOne(t *testing.T) {
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
			if ours, err := e.refunds.ReadOfCharge(t.Context(), "", charge); err != nil || !ours {
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

// A payment that may not be read must not make the refund nobody's, and its event applied.
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
	_, err = e.refunds.Read(t.Context(), "", refund)
	wantReason(t, err, errorsv1.ErrorReason_PAYMENT_UNREAD)
	e.sim.ClearFaults()
	if ours, err := e.refunds.Read(t.Context(), "", refund); err != nil || !ours {
		t.Errorf("ours %v: %v", ours, err)
	}
}

func TestMetadataOfOtherRefundsIsNotBelieved(t *testing.T) {
	e := newEnv(t)
	d, _ := e.paid()
	ours := e.refund(requestFor(d, 5_00))
	said := stripe.Refund{
		ID: "re_forged", PaymentIntent: d.PaymentIntent, Refund: ours.ID, AmountMinor: 1_00, Currency: "EUR",
		Status: stripe.RefundSucceeded, Created: e.clock.Now(),
	}
	apply := func() {
		t.Helper()
		for range 2 {
			if err := e.refunds.applyRefund(t.Context(), donations.Match{Donation: d.ID}, "", said); err != nil {
				t.Fatal(err)
			}
		}
	}
	// Metadata can name any row. It counts when that waits for just this answer.
	apply()
	if err := e.refunds.Submit(t.Context(), ours.ID); err != nil {
		t.Fatal(err)
	}
	e.refundIs(ours.ID, StateSucceeded)
	said.ID, said.AmountMinor = "re_second", 5_00
	apply()
	all := e.refundsOf(d)
	var elsewhere int
	for _, r := range all {
		if r.AtStripe {
			elsewhere++
		}
	}
	if len(all) != 3 || elsewhere != 2 {
		t.Errorf("%d refunds, %d of them made at Stripe: %+v", len(all), elsewhere, all)
	}
	// An older word changes nothing.
	said.Status = stripe.RefundFailed
	apply()
	said.Status = stripe.RefundPending
	apply()
	for _, r := range e.refundsOf(d) {
		if r.StripeRefund == "re_second" && r.State != StateFailed {
			t.Errorf("it is %s", r.State)
		}
	}
}
