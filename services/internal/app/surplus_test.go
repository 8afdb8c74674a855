package app_test

import (
	"testing"

	"google.golang.org/grpc/codes"

	donationsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/donations/v1"
	refundsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/refunds/v1"
	"github.com/cagnotte/cagnotte/services/internal/apptest"
	"github.com/cagnotte/cagnotte/services/internal/stripesim"
)

// paidTwice is a donation of 20 € that has two pages, and was paid on both; own and surplus are the charges,
// in the order that they were booked.
func (k *desk) paidTwice(t *testing.T) (d *donationsv1.Donation, own, surplus string) {
	t.Helper()
	d = give(t, k.e.Conn, donationTo(k.campaign))
	first, second := twoPages(t, k.e, d)
	had, _ := progress(t, k.e.Conn, k.campaign)
	charges := map[string]string{}
	for i, page := range []string{first, second} {
		if err := k.e.Sim.Pay(page, stripesim.CardOK); err != nil {
			t.Fatal(err)
		}
		k.settles(t, had+int64(i+1)*20_00)
	}
	for _, s := range k.e.Sim.Sessions("") {
		charges[s.ID] = s.ChargeID
	}
	return d, charges[first], charges[second]
}

// gone wants so much of a charge to be back at Stripe.
func (k *desk) gone(t *testing.T, charge string, minor int64) {
	t.Helper()
	if _, got := k.atStripe(charge); got != minor {
		t.Errorf("%d of %s are back, want %d", got, charge, minor)
	}
}

// known waits until so many refunds of a donation are known.
func (k *desk) known(t *testing.T, d *donationsv1.Donation, n int) {
	t.Helper()
	k.e.Eventually("its refunds are known", func() bool {
		return len(k.list(t, &refundsv1.ListRefundsRequest{Parent: d.GetName(), States: []refundsv1.RefundState{succeeded}})) == n
	})
}

func TestADonationThatWasPaidTwiceGoesBack(t *testing.T) {
	e := apptest.Start(t, apptest.Config{})
	k := newDesk(t, e, "vallon")
	var left int64 // what the campaign should have
	is := func(t *testing.T, d *donationsv1.Donation, state donationsv1.DonationState, back int64, told donationsv1.DonationOutcome) {
		t.Helper()
		got := k.donation(t, d)
		if got.GetState() != state || got.GetAmountRefunded().GetAmountMinor() != back {
			t.Errorf("the donation is %v, and %d of it back", got.GetState(), got.GetAmountRefunded().GetAmountMinor())
		}
		if at := outcome(t, e.Conn, d); at != told {
			t.Errorf("the donor is told %v", at)
		}
	}
	const (
		whole    = donationsv1.DonationState_DONATION_STATE_SUCCEEDED
		partly   = donationsv1.DonationState_DONATION_STATE_PARTIALLY_REFUNDED
		refunded = donationsv1.DonationState_DONATION_STATE_REFUNDED
		received = donationsv1.DonationOutcome_DONATION_OUTCOME_RECEIVED
		back     = donationsv1.DonationOutcome_DONATION_OUTCOME_REFUNDED
	)
	tooLarge := func(t *testing.T, d *donationsv1.Donation, minor int64) {
		t.Helper()
		k.refuse(t, ask(d, minor), codes.FailedPrecondition, "REFUND_TOO_LARGE")
	}

	t.Run("wholly, one payment after the other", func(t *testing.T) {
		d, own, surplus := k.paidTwice(t)
		tooLarge(t, d, 20_01)
		req := ask(d, 0)
		for range 2 { // sent twice is once
			k.becomes(t, k.create(t, k.treasurer, req), succeeded)
		}
		k.settles(t, left+20_00)
		k.gone(t, surplus, 20_00)
		is(t, d, whole, 0, received)
		k.becomes(t, k.create(t, k.treasurer, ask(d, 0)), succeeded)
		k.settles(t, left)
		k.gone(t, own, 20_00)
		is(t, d, refunded, 20_00, back)
		tooLarge(t, d, 0)
	})
	t.Run("in parts, each of the payment that has so much left", func(t *testing.T) {
		d, own, surplus := k.paidTwice(t)
		for _, part := range []struct{ ask, own, surplus int64 }{{15_00, 0, 15_00}, {10_00, 10_00, 15_00}, {0, 10_00, 20_00}} {
			k.becomes(t, k.create(t, k.treasurer, ask(d, part.ask)), succeeded)
			k.gone(t, own, part.own)
			k.gone(t, surplus, part.surplus)
		}
		left += 10_00
		k.settles(t, left)
		is(t, d, partly, 10_00, received)
		tooLarge(t, d, 10_01)
	})
	t.Run("in the dashboard the one, here the other", func(t *testing.T) {
		for _, first := range []bool{true, false} {
			d, dashboard, here := k.paidTwice(t)
			if !first {
				dashboard, here = here, dashboard
			}
			if _, err := e.Sim.Refund(dashboard, 0); err != nil {
				t.Fatal(err)
			}
			k.known(t, d, 1)
			k.settles(t, left+20_00)
			is(t, d, whole, 0, received)
			k.becomes(t, k.create(t, k.treasurer, ask(d, 20_00)), succeeded)
			k.gone(t, here, 20_00)
			k.settles(t, left)
			is(t, d, refunded, 20_00, back)
			tooLarge(t, d, 0)
		}
	})
	t.Run("of which one is disputed", func(t *testing.T) {
		for _, first := range []bool{true, false} {
			d, disputed, other := k.paidTwice(t)
			if !first {
				disputed, other = other, disputed
			}
			k.disputed(t, k.mustDispute(t, disputed, stripesim.Disputed{}), needsResponse)
			k.settles(t, left+20_00)
			is(t, d, whole, 0, received)
			k.becomes(t, k.create(t, k.treasurer, ask(d, 0)), succeeded)
			k.gone(t, other, 20_00)
			k.gone(t, disputed, 0)
			k.settles(t, left)
			is(t, d, donationsv1.DonationState_DONATION_STATE_DISPUTED, 0, back)
			tooLarge(t, d, 0)
		}
	})
	t.Run("above the limit when a second member agrees, of the payment that was told then", func(t *testing.T) {
		k.setApproval(t, 25_00)
		defer k.setApproval(t, 1000_00)
		d, own, surplus := k.paidTwice(t)
		k.becomes(t, k.create(t, k.treasurer, ask(d, 20_00)), succeeded)
		k.gone(t, surplus, 20_00)
		r := k.create(t, k.treasurer, ask(d, 5_01))
		if r.GetState() != awaiting {
			t.Fatalf("it is %v", r.GetState())
		}
		r, err := refundsv1.NewRefundsServiceClient(e.Conn).ApproveRefund(apptest.WithKey(t.Context(), k.second), &refundsv1.ApproveRefundRequest{Name: r.GetName()})
		if err != nil {
			t.Fatal(err)
		}
		k.becomes(t, r, succeeded)
		k.gone(t, own, 5_01)
		left += 14_99
		k.settles(t, left)
	})
}
