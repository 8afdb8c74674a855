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
		"has what was paid": {
			stripe.BalanceTransaction{Amount: 2000, ExchangeRate: "0.930233", Source: dollars},
			ledger.Conversion{Reference: "txn_1", Rate: "0.930233", Original: money.Amount{Minor: 2150, Currency: "USD"}},
		},
		"has the sign of what moved": {
			stripe.BalanceTransaction{Amount: -2000, ExchangeRate: "0.930233", Source: dollars},
			ledger.Conversion{Reference: "txn_1", Rate: "0.930233", Original: money.Amount{Minor: -2150, Currency: "USD"}},
		},
		"has not what was paid, when nobody tells": {
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

// A campaign in dollars on an account that settles in euros shows what its donors gave, less what went back.
func TestCampaignProgressInAnotherCurrencyThanTheBalance(t *testing.T) {
	e := newEnv(t, stripesim.Config{FeeDelay: time.Minute})
	if err := e.sim.SetExchange("", "eur", "chf", 0.93); err != nil {
		t.Fatal(err)
	}
	want := func(settled, pending int64) {
		t.Helper()
		e.delivered()
		for range 2 {
			e.run("")
		}
		if s, p := e.progress(vallon); s != settled || p != pending {
			t.Errorf("settled %d, pending %d; want %d and %d", s, p, settled, pending)
		}
	}
	first, second := e.give(vallon), e.give(vallon)
	e.pay(first)
	want(0, 20_00)
	e.later(time.Minute)
	want(20_00, 0)
	e.pay(second)
	e.later(2 * time.Minute)
	want(40_00, 0)
	charge := e.sim.BalanceTransactions("")[0].SourceID
	back, err := e.sim.Refund(charge, 5_00)
	if err != nil {
		t.Fatal(err)
	}
	want(35_00, 0)
	if err := e.sim.FailRefund(back, "lost_or_stolen_card"); err != nil {
		t.Fatal(err)
	}
	want(40_00, 0)
	if _, err := e.sim.Dispute(e.sim.BalanceTransactions("")[1].SourceID, stripesim.Disputed{}); err != nil {
		t.Fatal(err)
	}
	want(20_00, 0)
	// What lands in the campaign's own currency counts as before, beside it.
	if err := e.sim.SetExchange("", "eur", "chf", 0); err != nil {
		t.Fatal(err)
	}
	e.pay(e.give(vallon))
	e.later(2 * time.Minute)
	want(40_00, 0)
}

// A campaign's currency need not be its account's balance's: what went back is told by the refund then.
func TestRefundOfConvertedMoney(t *testing.T) {
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

// Stripe takes back at another rate than it gave, and the donor gets what was paid: the donation is wholly back then.
func TestRefundToADonorWhoPaidInAnotherCurrency(t *testing.T) {
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
		if !e.donation(d).FullyReturned() {
			t.Errorf("at %v a part is still there", rate)
		}
	}
	e.wantBooks("")
}

// The balance is read from its newest end, so a refund may be booked before its payment: what that was tells how much of
// the donation went back.
func TestRefundBookedBeforeItsConvertedPayment(t *testing.T) {
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
		"parts before, with and after":         {"EUR", []int64{3_00, 3_00}, []int64{6_00}, []int64{6_00}, donations.StateRefunded, 20_00},
		"all before, in a third currency":      {"CHF", []int64{paid}, nil, nil, donations.StateRefunded, 20_00},
		"a part with, in a third currency":     {"CHF", nil, []int64{paid / 2}, nil, donations.StatePartiallyRefunded, 10_00},
		"parts around it, in a third currency": {"CHF", []int64{6_00}, nil, []int64{12_00}, donations.StateRefunded, 20_00},
	} {
		t.Run(rule, func(t *testing.T) {
			t.Parallel()
			e := newEnv(t, stripesim.Config{})
			e.run("") // which opens the books
			d, at, n := e.give(vallon), e.clock.Now().Truncate(time.Second), 0
			e.paysFor(d, "pi_"+d.ID.String(), money.Amount{Minor: paid, Currency: "GBP"})
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
			if back := one[int64](e, "SELECT refunded_minor FROM donations.donations WHERE id = $1", d.ID); back != c.back {
				t.Errorf("%d went back, want %d", back, c.back)
			}
		})
	}
}

// Each of two payments of a donation has its own rate, and counts by itself, in whatever order they are known.
func TestRefundsOfTwoConvertedPayments(t *testing.T) {
	move := func(id, intent, original string, amount, source int64, at time.Time, d donations.Donation) stripe.BalanceTransaction {
		kind := "charge"
		if amount < 0 {
			kind = "refund"
		}
		return stripe.BalanceTransaction{
			ID: id, Type: kind, Category: kind, Amount: amount, Currency: "EUR", Created: at, ExchangeRate: "1.1",
			Source: stripe.Source{
				ID: kind + id, Object: kind, Donation: d.ID, Charge: "ch_" + intent, PaymentIntent: intent, Amount: source, Currency: original,
			},
		}
	}
	for rule, c := range map[string]struct {
		order []string
		state donations.State
		back  int64
	}{
		"the refund of the second before it":            {[]string{"first", "second back", "second"}, donations.StateSucceeded, 0},
		"all of both before them":                       {[]string{"first back", "second back", "first", "second"}, donations.StateRefunded, 20_00},
		"all of both after them":                        {[]string{"first", "second", "first back", "second back"}, donations.StateRefunded, 20_00},
		"half of the second before, and half after":     {[]string{"first", "second half", "second", "second half again"}, donations.StateSucceeded, 0},
		"the second is booked first, and goes back":     {[]string{"second back", "second", "first"}, donations.StateSucceeded, 0},
		"half of the first, whose rate was another one": {[]string{"second", "first", "first half"}, donations.StateSucceeded, -10_00},
	} {
		t.Run(rule, func(t *testing.T) {
			t.Parallel()
			e := newEnv(t, stripesim.Config{})
			e.run("")
			d, at := e.give(vallon), e.clock.Now().Truncate(time.Second)
			e.paysFor(d, "pi_first", money.Amount{Minor: 18_00, Currency: "GBP"})
			e.paysFor(d, "pi_second", money.Amount{Minor: 17_00, Currency: "GBP"})
			all := map[string]stripe.BalanceTransaction{
				"first":             move("txn_first", "pi_first", "GBP", 20_00, 18_00, at, d),
				"second":            move("txn_second", "pi_second", "GBP", 20_30, 17_00, at.Add(time.Hour), d),
				"first back":        move("txn_first_back", "pi_first", "GBP", -19_50, 18_00, at.Add(2*time.Hour), d),
				"first half":        move("txn_first_half", "pi_first", "GBP", -9_75, 9_00, at.Add(2*time.Hour), d),
				"second back":       move("txn_second_back", "pi_second", "GBP", -20_70, 17_00, at.Add(3*time.Hour), d),
				"second half":       move("txn_second_half", "pi_second", "GBP", -10_35, 8_50, at.Add(3*time.Hour), d),
				"second half again": move("txn_second_half_again", "pi_second", "GBP", -10_20, 8_50, at.Add(4*time.Hour), d),
			}
			for _, name := range c.order {
				for range 2 {
					if err := e.webhooks.book(t.Context(), "", []stripe.BalanceTransaction{all[name]}, nil, nil); err != nil {
						t.Fatal(err)
					}
				}
			}
			e.want(d, c.state, true)
			if back := one[int64](e, "SELECT refunded_minor FROM donations.donations WHERE id = $1", d.ID); back != c.back {
				t.Errorf("%d went back, want %d", back, c.back)
			}
		})
	}
}

// What was paid in the donation's own currency is told by the refund itself, whatever the balance's currency is.
func TestRefundBookedBeforeItsPaymentInAnotherBalance(t *testing.T) {
	e := newEnv(t, stripesim.Config{})
	e.run("")
	d, at := e.give(vallon), e.clock.Now().Truncate(time.Second)
	e.paysFor(d, "pi_1", money.Amount{})
	source := stripe.Source{ID: "re_1", Object: "refund", Donation: d.ID, Charge: "ch_1", PaymentIntent: "pi_1", Amount: 10_00, Currency: "EUR"}
	back := stripe.BalanceTransaction{
		ID: "txn_back", Type: "refund", Category: "refund", Amount: -9_00, Currency: "CHF", Created: at.Add(time.Minute), ExchangeRate: "0.9", Source: source,
	}
	source.ID, source.Object, source.Amount = "ch_1", "charge", 20_00
	paid := stripe.BalanceTransaction{
		ID: "txn_paid", Type: "charge", Category: "charge", Amount: 18_60, Currency: "CHF", Created: at, ExchangeRate: "0.93", Source: source,
	}
	for _, m := range []stripe.BalanceTransaction{back, paid} {
		if err := e.webhooks.book(t.Context(), "", []stripe.BalanceTransaction{m}, nil, nil); err != nil {
			t.Fatal(err)
		}
	}
	e.want(d, donations.StatePartiallyRefunded, true)
	if back := one[int64](e, "SELECT refunded_minor FROM donations.donations WHERE id = $1", d.ID); back != 10_00 {
		t.Errorf("%d went back, want 10.00", back)
	}
}
