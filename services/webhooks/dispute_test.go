package webhooks

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cagnotte/cagnotte/services/donations"
	"github.com/cagnotte/cagnotte/services/internal/stripe"
	"github.com/cagnotte/cagnotte/services/internal/stripesim"
	"github.com/cagnotte/cagnotte/services/money"
)

func TestWonDisputeIsReversed(t *testing.T) {
	for amount, want := range map[int64]int64{-20_00: 20_00, 20_00: -20_00, 0: 0} {
		moved := stripe.BalanceTransaction{Type: "adjustment", Category: "dispute", Amount: amount, Currency: "EUR"}
		m, _ := meaningOf(moved)
		if got := movement(moved, m, donations.Match{Amount: money.Amount{Minor: 20_00, Currency: "EUR"}}).DisputedMinor; got != want {
			t.Errorf("%d: %d, want %d", amount, got, want)
		}
	}
}

// Its id looks like a charge's to programs that test the beginnings of ids, and its charge is another.
func TestMovementKindComesFromTheSourceNotItsID(t *testing.T) {
	for object, want := range map[string]donations.Movement{
		"dispute": {Dispute: "ch_looks_like", Charge: "ch_real", DisputedMinor: 20_00},
		"refund":  {Refund: "ch_looks_like", Charge: "ch_real", RefundedMinor: 20_00},
		"charge":  {Charge: "ch_real", PaidMinor: 20_00, SettledIn: "EUR"},
	} {
		moved := stripe.BalanceTransaction{
			Type: map[string]string{"dispute": "adjustment", "refund": "refund", "charge": "charge"}[object], Category: object,
			Amount: -20_00, Currency: "EUR",
			Source: stripe.Source{ID: "ch_looks_like", Object: object, Charge: "ch_real"},
		}
		m, _ := meaningOf(moved)
		got := movement(moved, m, donations.Match{Amount: money.Amount{Minor: 20_00, Currency: "EUR"}})
		got.At = want.At
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", object, diff)
		}
	}
}

// Stripe may leave out whose payment intent a dispute or a refund is about: its charge says so, and never its own id.
func TestDonationIsFoundByItsChargeAlone(t *testing.T) {
	e := newEnv(t, stripesim.Config{})
	e.sim.SetDelivery(stripesim.Delivery{Drop: true})
	disputed, refunded := e.give(vallon), e.give(vallon)
	now := e.clock.Now()
	source := func(object string, n int) string {
		return fmt.Sprintf(`{"id":"xx_%d","object":%q,"charge":"ch_%d","payment_intent":null,"metadata":{}}`, n, object, n)
	}
	e.balance = &fakeBalance{rows: []fakeRow{
		{id: "txn_refund", kind: "refund", category: "refund", amount: -20_00, created: now.Add(time.Minute), source: source("refund", 2)},
		{id: "txn_dispute", kind: "adjustment", category: "dispute", amount: -20_00, fee: 15_00, created: now.Add(time.Minute), source: source("dispute", 1)},
		charge(2, refunded, now), charge(1, disputed, now),
	}}
	e.run("")
	e.want(disputed, donations.StateDisputed, true)
	e.want(refunded, donations.StateRefunded, true)
}
