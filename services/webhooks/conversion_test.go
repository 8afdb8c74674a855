package webhooks

import (
	"fmt"
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

// The balance is read from its newest end, so a refund may be booked before its payment: what that was tells how much of
// the gift went back.
func TestARefundThatIsBookedBeforeItsConvertedPayment(t *testing.T) {
	const paid = 18_00 // pounds, for 20 €
	pounds := func(id, kind, currency string, amount, source int64, at time.Time, d donations.Donation) stripe.BalanceTransaction {
		object := "charge"
		if amount < 0 {
			object = "refund"
		}
		return stripe.BalanceTransaction{
			ID: id, Type: kind, Category: kind, Amount: amount, Currency: currency, Created: at, ExchangeRate: "1.1",
			Source: stripe.Source{
				ID: object + id, Object: object, Donation: d.ID, Charge: "ch_" + d.ID.String(), PaymentIntent: "pi_" + d.ID.String(),
				Amount: source, Currency: "GBP",
			},
		}
	}
	for rule, c := range map[string]struct {
		currency string
		// parts went back before the payment is booked, with it, and after it.
		before, with, after []int64
		state               donations.State
		back                int64
	}{
		"all before":                           {"EUR", []int64{paid}, nil, nil, donations.StateRefunded, 20_00},
		"a part before":                        {"EUR", []int64{paid / 2}, nil, nil, donations.StatePartiallyRefunded, 10_00},
		"parts before, with and after":         {"EUR", []int64{3_00, 3_00}, []int64{6_00}, []int64{6_00}, donations.StateRefunded, 20_02},
		"all before, in a third currency":      {"CHF", []int64{paid}, nil, nil, donations.StateRefunded, 20_00},
		"a part with, in a third currency":     {"CHF", nil, []int64{paid / 2}, nil, donations.StatePartiallyRefunded, 10_00},
		"parts around it, in a third currency": {"CHF", []int64{6_00}, nil, []int64{12_00}, donations.StateRefunded, 20_01},
	} {
		t.Run(rule, func(t *testing.T) {
			t.Parallel()
			e := newEnv(t, stripesim.Config{})
			e.run("") // which opens the books
			d, at, n := e.give(vallon), e.clock.Now().Truncate(time.Second), 0
			refunds := func(parts []int64) (all []stripe.BalanceTransaction) {
				for _, part := range parts {
					n++
					all = append(all, pounds(fmt.Sprintf("txn_back_%d", n), "refund", c.currency, -part, part, at.Add(time.Duration(n)*time.Minute), d))
				}
				return all
			}
			payment := pounds("txn_paid", "charge", c.currency, 20_00, paid, at, d)
			for _, batch := range [][]stripe.BalanceTransaction{refunds(c.before), append(refunds(c.with), payment), refunds(c.after)} {
				for range 2 {
					if err := e.webhooks.book(t.Context(), "", batch, nil, nil); err != nil {
						t.Fatal(err)
					}
				}
			}
			e.want(d, c.state, true)
			if back := one[int64](e, "SELECT given_back_minor FROM donations.donations WHERE id = $1", d.ID); back != c.back {
				t.Errorf("%d went back, want %d", back, c.back)
			}
		})
	}
}
