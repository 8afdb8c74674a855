package app_test

import (
	"testing"
	"time"

	donationsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/donations/v1"
	"github.com/cagnotte/cagnotte/services/internal/apptest"
	"github.com/cagnotte/cagnotte/services/internal/stripesim"
)

// aWeek is five business days, whatever day it is.
const aWeek = 7 * 24 * time.Hour

// stateOf is a donation as members see it.
func stateOf(t *testing.T, e *apptest.Env, owner string, d *donationsv1.Donation) *donationsv1.Donation {
	t.Helper()
	got, err := donationsv1.NewDonationsServiceClient(e.Conn).GetDonation(apptest.WithKey(t.Context(), owner),
		&donationsv1.GetDonationRequest{Name: d.GetName()})
	if err != nil {
		t.Fatalf("read %s: %v", d.GetName(), err)
	}
	return got
}

// debit begins a donation by SEPA debit, and waits until it is known to be under way.
func debit(t *testing.T, e *apptest.Env, owner, campaign string, iban stripesim.IBAN) *donationsv1.Donation {
	t.Helper()
	d := give(t, e.Conn, donationTo(campaign))
	if err := e.Sim.PayByDebit(session(t, e, d).ID, iban); err != nil {
		t.Fatal(err)
	}
	e.Eventually("the donation is pending", func() bool {
		return stateOf(t, e, owner, d).GetState() == donationsv1.DonationState_DONATION_STATE_PENDING
	})
	return d
}

func withDebits(t *testing.T) (e *apptest.Env, campaign, owner string) {
	t.Helper()
	e = apptest.Start(t, apptest.Config{})
	campaign, owner = e.Campaign("vallon")
	if err := e.Sim.OfferDebits("", true); err != nil {
		t.Fatal(err)
	}
	return e, campaign, owner
}

// Named after the bug that others shipped.
func TestUnpaidSEPADonationsBookedOnCompleted(t *testing.T) {
	e, campaign, owner := withDebits(t)
	d := debit(t, e, owner, campaign, stripesim.IBANPaid)
	if got := outcome(t, e.Conn, d); got != donationsv1.DonationOutcome_DONATION_OUTCOME_CONFIRMING {
		t.Errorf("the donor is told %v", got)
	}
	if settled, pending := progress(t, e.Conn, campaign); settled != 0 || pending != 20_00 {
		t.Errorf("settled %d, pending %d; the debit is under way", settled, pending)
	}
	if books := balances(t, e.Conn, owner, "collectives/vallon"); len(books) != 0 {
		t.Errorf("the books hold %v of money that is not there", books)
	}

	t.Run("counts and is booked when the bank has paid, once", func(t *testing.T) {
		e.Clock.Advance(aWeek)
		e.Eventually("it is booked", func() bool {
			settled, pending := progress(t, e.Conn, campaign)
			return settled == 20_00 && pending == 0
		})
		got := stateOf(t, e, owner, d)
		if got.GetState() != donationsv1.DonationState_DONATION_STATE_SUCCEEDED || got.GetBookTime() == nil {
			t.Errorf("the donation is %v", got)
		}
		if got := outcome(t, e.Conn, d); got != donationsv1.DonationOutcome_DONATION_OUTCOME_RECEIVED {
			t.Errorf("the donor is told %v", got)
		}
		// The word that came before comes again after: it is no news, and the payment no second one.
		paidAt := got.GetPayTime().AsTime()
		for _, event := range e.Sim.Events("") {
			if err := e.Sim.Redeliver(event.ID); err != nil {
				t.Fatal(err)
			}
		}
		if err := e.Sim.WaitDelivered(t.Context()); err != nil {
			t.Fatal(err)
		}
		again := stateOf(t, e, owner, d)
		if settled, _ := progress(t, e.Conn, campaign); settled != 20_00 || !again.GetPayTime().AsTime().Equal(paidAt) {
			t.Errorf("said twice: settled %d, paid at %v, before %v", settled, again.GetPayTime().AsTime(), paidAt)
		}
	})
}

// Named after the bug that others shipped.
func TestUnpaidIsNotTakenForFailed(t *testing.T) {
	e, campaign, owner := withDebits(t)
	d := debit(t, e, owner, campaign, stripesim.IBANPaidLate)
	e.Clock.Advance(aWeek)
	// Somebody looks, and Stripe is asked: the answer is still that nothing is decided.
	if got := outcome(t, e.Conn, d); got != donationsv1.DonationOutcome_DONATION_OUTCOME_CONFIRMING {
		t.Errorf("after a week the donor is told %v", got)
	}
	e.Clock.Advance(2 * aWeek)
	e.Eventually("it arrives after 14 business days", func() bool {
		return outcome(t, e.Conn, d) == donationsv1.DonationOutcome_DONATION_OUTCOME_RECEIVED
	})
}

func TestADebitThatFails(t *testing.T) {
	e, campaign, owner := withDebits(t)
	d := debit(t, e, owner, campaign, stripesim.IBANNoFunds)
	e.Clock.Advance(aWeek)
	e.Eventually("the donation has failed", func() bool {
		return stateOf(t, e, owner, d).GetState() == donationsv1.DonationState_DONATION_STATE_FAILED
	})
	if got := outcome(t, e.Conn, d); got != donationsv1.DonationOutcome_DONATION_OUTCOME_NOT_PAID {
		t.Errorf("the donor is told %v", got)
	}
	if settled, pending := progress(t, e.Conn, campaign); settled != 0 || pending != 0 {
		t.Errorf("settled %d, pending %d", settled, pending)
	}
	if books := balances(t, e.Conn, owner, "collectives/vallon"); len(books) != 0 {
		t.Errorf("the books hold %v", books)
	}
}

func TestADebitWithoutAnyEvent(t *testing.T) {
	e, campaign, owner := withDebits(t)
	e.Sim.SetDelivery(stripesim.Delivery{Drop: true})
	paid, refused := give(t, e.Conn, donationTo(campaign)), give(t, e.Conn, donationTo(campaign))
	for d, iban := range map[*donationsv1.Donation]stripesim.IBAN{paid: stripesim.IBANPaid, refused: stripesim.IBANRefused} {
		if err := e.Sim.PayByDebit(session(t, e, d).ID, iban); err != nil {
			t.Fatal(err)
		}
	}
	waits := func(d *donationsv1.Donation, want donationsv1.DonationOutcome) {
		t.Helper()
		e.Eventually(want.String(), func() bool {
			e.Clock.Advance(time.Minute) // who waits has Stripe asked now and then
			return outcome(t, e.Conn, d) == want
		})
	}
	waits(paid, donationsv1.DonationOutcome_DONATION_OUTCOME_CONFIRMING)
	waits(refused, donationsv1.DonationOutcome_DONATION_OUTCOME_CONFIRMING)
	e.Clock.Advance(aWeek)
	waits(paid, donationsv1.DonationOutcome_DONATION_OUTCOME_RECEIVED)
	waits(refused, donationsv1.DonationOutcome_DONATION_OUTCOME_NOT_PAID)
	if got := stateOf(t, e, owner, refused).GetState(); got != donationsv1.DonationState_DONATION_STATE_FAILED {
		t.Errorf("the refused one is %v", got)
	}
}
