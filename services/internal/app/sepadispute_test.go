package app_test

import (
	"testing"
	"time"

	"github.com/cagnotte/cagnotte/services/internal/apptest"
	"github.com/cagnotte/cagnotte/services/internal/stripesim"
)

// A debit can be disputed without questions for 8 weeks, and for 13 months as unauthorised; it is lost at once
// (https://docs.stripe.com/payments/sepa-debit#disputed-payments). Long before, it was counted, paid out and forgotten.
func TestADebitDisputedWeeksAndMonthsLater(t *testing.T) {
	e := apptest.Start(t, apptest.Config{})
	if err := e.Sim.OfferDebits("", true); err != nil {
		t.Fatal(err)
	}
	k := newDesk(t, e, "vallon")
	const day = 24 * time.Hour
	for reason, later := range map[string]time.Duration{"debit_not_authorized": 390 * day, "insufficient_funds": 55 * day} {
		d := debit(t, e, k.owner, k.campaign, stripesim.IBANPaid)
		e.Clock.Advance(aWeek)
		k.settles(t, 20_00)
		page := ""
		for _, s := range e.Sim.Sessions("") {
			page = s.ChargeID // of the latest
		}
		e.Clock.Advance(later)
		id := k.mustDispute(t, page, stripesim.Disputed{Reason: reason})
		if err := e.Sim.CloseDispute(id, false, false); err != nil {
			t.Fatal(err)
		}
		got := k.disputed(t, id, lost)
		if got.GetDonation() != d.GetName() || got.GetWithdrawn().GetAmountMinor() != 20_00 || got.GetFee().GetAmountMinor() == 0 {
			t.Errorf("the dispute is %v", got)
		}
		k.settles(t, 0)
		if got := k.donation(t, d); !got.GetDisputed() {
			t.Errorf("the donation is %v", got)
		}
	}
	if told := k.notices(t); len(told["dispute_lost"]) != 2 {
		t.Errorf("members were told %v", told)
	}
}
