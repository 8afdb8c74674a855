package webhooks

import (
	"testing"
	"time"

	"github.com/cagnotte/cagnotte/services/donations"
	"github.com/cagnotte/cagnotte/services/internal/stripe"
	"github.com/cagnotte/cagnotte/services/internal/stripesim"
	"github.com/cagnotte/cagnotte/services/ledger"
	"github.com/cagnotte/cagnotte/services/money"
)

func TestConversion(t *testing.T) {
	dollars := stripe.Source{Amount: 2150, Currency: "USD"}
	for rule, c := range map[string]struct {
		in   stripe.BalanceTransaction
		want ledger.Conversion
	}{
		"is kept with what was paid": {
			stripe.BalanceTransaction{Amount: 2000, ExchangeRate: "0.930233", Source: dollars},
			ledger.Conversion{Reference: "txn_1", Rate: "0.930233", Original: money.Amount{Minor: 2150, Currency: "USD"}},
		},
		"has the sign of what moved": {
			stripe.BalanceTransaction{Amount: -2000, ExchangeRate: "0.930233", Source: dollars},
			ledger.Conversion{Reference: "txn_1", Rate: "0.930233", Original: money.Amount{Minor: -2150, Currency: "USD"}},
		},
		"is kept without what was paid, when nobody tells": {
			stripe.BalanceTransaction{Amount: 2000, ExchangeRate: "1e-05"}, ledger.Conversion{Reference: "txn_1", Rate: "1e-05"},
		},
		"is none without a rate":            {stripe.BalanceTransaction{Amount: 2000, Source: dollars}, ledger.Conversion{}},
		"is none with a rate of nothing":    {stripe.BalanceTransaction{ExchangeRate: "0", Source: dollars}, ledger.Conversion{}},
		"is none with a rate that is none":  {stripe.BalanceTransaction{ExchangeRate: "NaN", Source: dollars}, ledger.Conversion{}},
		"is none with a rate beyond reason": {stripe.BalanceTransaction{ExchangeRate: "1e300", Source: dollars}, ledger.Conversion{}},
	} {
		t.Run(rule, func(t *testing.T) {
			c.in.ID, c.in.Currency = "txn_1", "EUR"
			if got := conversion(c.in); got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}

// A campaign's currency need not be its account's balance's: what went back is told by the refund then.
func TestWhatGoesBackOfConvertedMoney(t *testing.T) {
	e := newEnv(t, stripesim.Config{})
	if err := e.sim.SetExchange("", "eur", "chf", 0.93); err != nil {
		t.Fatal(err)
	}
	d := e.give(vallon)
	e.pay(d)
	e.run("")
	charge := e.sim.BalanceTransactions("")[0].SourceID
	back := func(minor int64) string {
		t.Helper()
		id, err := e.sim.Refund(charge, minor)
		if err != nil {
			t.Fatal(err)
		}
		e.run("")
		return id
	}
	part := back(5_00)
	e.want(d, donations.StatePartiallyRefunded, true)
	if err := e.sim.FailRefund(part, "lost_or_stolen_card"); err != nil {
		t.Fatal(err)
	}
	e.run("")
	back(15_00)
	e.want(d, donations.StatePartiallyRefunded, true)
	back(5_00)
	e.want(d, donations.StateRefunded, true)
	e.wantBooks("")
}

// Stripe takes back at another rate than it gave, and the donor gets what was paid: the gift is wholly back then.
func TestWhatGoesBackToADonorWhoPaidInAnotherCurrency(t *testing.T) {
	e := newEnv(t, stripesim.Config{})
	e.clock.Advance(-time.Hour)
	for _, rate := range []float64{1.2, 1} { // it came at 1.11
		const paid, parts = 18_00, 6
		d := e.give(vallon)
		if err := e.sim.Localize(d.CheckoutSession, "gbp", 0.9); err != nil {
			t.Fatal(err)
		}
		e.pay(d)
		if rate == 1 { // and its period is closed before it is booked
			if _, err := e.ledger.ClosePeriod(t.Context(), "", vallon.Collective, e.clock.Now().Add(time.Second)); err != nil {
				t.Fatal(err)
			}
		}
		e.run("")
		all := e.sim.BalanceTransactions("")
		charge := all[len(all)-1].SourceID
		if err := e.sim.SetExchange("", "gbp", "eur", rate); err != nil {
			t.Fatal(err)
		}
		for part := range parts {
			if _, err := e.sim.Refund(charge, paid/parts); err != nil {
				t.Fatal(err)
			}
			e.run("")
			state := donations.StatePartiallyRefunded
			if part == parts-1 {
				state = donations.StateRefunded
			}
			e.want(d, state, true)
		}
		if !e.donation(d).GivenBack() {
			t.Errorf("at %v a part is still there", rate)
		}
	}
	e.wantBooks("")
}
