package refunds

import (
	"testing"
	"time"

	"github.com/cagnotte/cagnotte/services/internal/stripesim"
)

// A warning moves no money, so the balance does not bring it back if it is not attributed at once.
func TestAFraudWarningAboutAnUnknownMonth(t *testing.T) {
	e := newEnv(t)
	in := intent()
	in.Monthly = true
	first := e.create(in)
	if err := e.sim.Pay(first.CheckoutSession, stripesim.CardOK); err != nil {
		t.Fatal(err)
	}
	if err := e.donations.Refresh(t.Context(), first.ID); err != nil {
		t.Fatal(err)
	}
	if err := e.donations.RefreshRecurring(t.Context(), first.ID); err != nil {
		t.Fatal(err)
	}
	charged := e.lastCharge()
	e.clock.Advance(33 * 24 * time.Hour)
	e.sim.Subscriptions("") // lets the time pass at Stripe
	renewed := e.lastCharge()
	if renewed == charged || e.count() != 1 {
		t.Fatalf("charged %s, then %s; %d donations", charged, renewed, e.count())
	}
	id, err := e.sim.WarnOfFraud(renewed, "made_with_stolen_card")
	if err != nil {
		t.Fatal(err)
	}
	if ours, err := e.refunds.ReadFraudWarning(t.Context(), "", id); err != nil || !ours {
		t.Fatalf("ours %v, %v", ours, err)
	}
	if e.count() != 2 {
		t.Errorf("%d donations, want the month too", e.count())
	}
	all, err := e.refunds.ListFraudWarnings(t.Context(), vallon.Collective, StripePosition{CreateTime: newest.CreateTime}, 10)
	if err != nil || len(all) != 1 || all[0].ID != id {
		t.Errorf("warnings %+v, %v", all, err)
	}
}
