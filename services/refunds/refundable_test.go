package refunds

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/donations"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/internal/stripe"
	"github.com/cagnotte/cagnotte/services/money"
)

// Each of two payments of a donation is refunded by itself, and what went back of one does not count for the other.
func TestWhichOfTwoPaymentsIsRefunded(t *testing.T) {
	var (
		paid           = donations.Movement{Charge: "ch_1", PaymentIntent: "pi_1", PaidMinor: 20_00}
		again          = donations.Movement{Charge: "ch_2", PaymentIntent: "pi_2", PaidMinor: 20_00}
		againInUSD     = donations.Movement{Charge: "ch_2", PaymentIntent: "pi_2", PaidMinor: 20_00, PaidIn: money.Amount{Minor: 22_00, Currency: "USD"}}
		againBackInUSD = donations.Movement{Charge: "ch_2", PaymentIntent: "pi_2", RefundedIn: money.Amount{Minor: 15_00, Currency: "USD"}}
		ofNobody       = donations.Movement{Charge: "ch_2", PaidMinor: 20_00}
		back           = donations.Movement{Charge: "ch_1", PaymentIntent: "pi_1", RefundedMinor: 20_00}
		againBack      = donations.Movement{Charge: "ch_2", PaymentIntent: "pi_2", RefundedMinor: 20_00}
		againPart      = donations.Movement{Charge: "ch_2", PaymentIntent: "pi_2", RefundedMinor: 15_00}
		againFailed    = donations.Movement{Charge: "ch_2", PaymentIntent: "pi_2", RefundedMinor: -20_00}
		disputed       = donations.Movement{Charge: "ch_1", PaymentIntent: "pi_1", DisputedMinor: 20_00}
		againClaimed   = donations.Movement{Charge: "ch_2", PaymentIntent: "pi_2", DisputedMinor: 20_00}
		againWon       = donations.Movement{Charge: "ch_2", PaymentIntent: "pi_2", DisputedMinor: -20_00}
	)
	type ask struct {
		minor int64
		want  string // the payment, and how much, or why not
	}
	for rule, c := range map[string]struct {
		movements []donations.Movement
		asks      []ask
	}{
		"the second first, then the donation": {
			[]donations.Movement{paid, again},
			[]ask{{0, "pi_2 20.00 EUR"}, {0, "pi_1 20.00 EUR"}, {0, "REFUND_TOO_LARGE"}},
		},
		"one that has enough left": {
			[]donations.Movement{paid, again},
			[]ask{{15_00, "pi_2 15.00 EUR"}, {6_00, "pi_1 6.00 EUR"}, {14_01, "REFUND_TOO_LARGE"}, {0, "pi_2 5.00 EUR"}, {14_00, "pi_1 14.00 EUR"}, {1, "REFUND_TOO_LARGE"}},
		},
		"never more than one payment":                        {[]donations.Movement{paid, again}, []ask{{20_01, "REFUND_TOO_LARGE"}}},
		"not the one that went back":                         {[]donations.Movement{paid, again, againBack}, []ask{{0, "pi_1 20.00 EUR"}, {0, "REFUND_TOO_LARGE"}}},
		"nor the donation's own, when that went back":        {[]donations.Movement{paid, again, back}, []ask{{0, "pi_2 20.00 EUR"}, {0, "REFUND_TOO_LARGE"}}},
		"nor what is left of one":                            {[]donations.Movement{paid, again, againPart}, []ask{{6_00, "pi_1 6.00 EUR"}, {0, "pi_2 5.00 EUR"}}},
		"again, after a refund that failed":                  {[]donations.Movement{paid, again, againBack, againFailed}, []ask{{0, "pi_2 20.00 EUR"}}},
		"whatever was known first":                           {[]donations.Movement{againPart, paid, again}, []ask{{0, "pi_2 5.00 EUR"}}},
		"one whose payment is not known holds back no other": {[]donations.Movement{paid, againBack}, []ask{{0, "pi_1 20.00 EUR"}, {0, "REFUND_TOO_LARGE"}}},
		"not one that is disputed":                           {[]donations.Movement{paid, again, againClaimed}, []ask{{0, "pi_1 20.00 EUR"}, {0, "REFUND_TOO_LARGE"}}},
		"nor the donation's own":                             {[]donations.Movement{paid, again, disputed}, []ask{{0, "pi_2 20.00 EUR"}, {0, "REFUND_TOO_LARGE"}}},
		"none when both are":                                 {[]donations.Movement{paid, again, disputed, againClaimed}, []ask{{0, "DONATION_DISPUTED"}}},
		"one that was won again":                             {[]donations.Movement{paid, again, againClaimed, againWon}, []ask{{0, "pi_2 20.00 EUR"}}},
		"one in another currency in that, and as much as was paid": {
			[]donations.Movement{paid, againInUSD}, []ask{{0, "pi_2 22.00 USD"}, {20_01, "REFUND_TOO_LARGE"}, {0, "pi_1 20.00 EUR"}, {0, "REFUND_TOO_LARGE"}},
		},
		"what is left of one in another currency": {
			[]donations.Movement{paid, againInUSD, againBackInUSD}, []ask{{0, "pi_2 7.00 USD"}, {20_00, "pi_1 20.00 EUR"}},
		},
		"an amount of the one in its own currency": {
			[]donations.Movement{paid, againInUSD}, []ask{{20_00, "pi_1 20.00 EUR"}, {0, "pi_2 22.00 USD"}},
		},
		"not one that has no payment intent": {[]donations.Movement{paid, ofNobody}, []ask{{0, "pi_1 20.00 EUR"}, {0, "REFUND_TOO_LARGE"}}},
	} {
		t.Run(rule, func(t *testing.T) {
			t.Parallel()
			e := newEnv(t)
			d := e.create(intent())
			e.book(d, c.movements...)
			for _, ask := range c.asks {
				in := requestFor(d, ask.minor)
				if ask.minor == 0 {
					in.Amount = money.Amount{}
				}
				for range 2 { // sent twice is once
					r, err := e.refunds.Create(t.Context(), in)
					if err != nil {
						wantReason(t, err, errorsv1.ErrorReason(errorsv1.ErrorReason_value[ask.want]))
					} else if got := r.paymentIntent + " " + r.Amount.String(); got != ask.want {
						t.Fatalf("%d goes from %s, want %s", ask.minor, got, ask.want)
					}
				}
			}
		})
	}
}

func TestTwoPaymentsAreCountedApart(t *testing.T) {
	twice := func(t *testing.T) (*env, donations.Donation) {
		e := newEnv(t)
		d := e.create(intent())
		e.book(d, donations.Movement{Charge: "ch_1", PaymentIntent: "pi_1", PaidMinor: 20_00}, donations.Movement{Charge: "ch_2", PaymentIntent: "pi_2", PaidMinor: 20_00})
		return e, d
	}
	t.Run("a refund that was made in the dashboard, before its money is seen to move", func(t *testing.T) {
		for payment, other := range map[string]string{"pi_1": "pi_2", "pi_2": "pi_1"} {
			e, d := twice(t)
			if err := e.refunds.applyRefund(t.Context(), donations.Match{Donation: d.ID}, "", stripe.Refund{
				ID: "re_1", PaymentIntent: payment, AmountMinor: 20_00, Currency: "EUR", Status: stripe.RefundSucceeded, Created: e.clock.Now(),
			}); err != nil {
				t.Fatal(err)
			}
			if r := e.refund(requestFor(d, 20_00)); r.paymentIntent != other {
				t.Errorf("of %s one is back, the next one is of %s", payment, r.paymentIntent)
			}
			_, err := e.refunds.Create(t.Context(), requestFor(d, 1))
			wantReason(t, err, errorsv1.ErrorReason_REFUND_TOO_LARGE)
		}
	})
	t.Run("a dispute, before its money is seen to move", func(t *testing.T) {
		for payment, other := range map[string]string{"pi_1": "pi_2", "pi_2": "pi_1"} {
			e, d := twice(t)
			if err := postgres.InTx(t.Context(), e.pool, func(ctx context.Context, tx pgx.Tx) error {
				return e.refunds.applyDisputeTx(ctx, tx, donations.Match{Donation: d.ID}, "", stripe.Dispute{
					ID: "dp_1", PaymentIntent: payment, AmountMinor: 20_00, Currency: "EUR", Status: stripe.DisputeNeedsResponse, Created: e.clock.Now(),
				})
			}); err != nil {
				t.Fatal(err)
			}
			if r := e.refund(requestFor(d, 20_00)); r.paymentIntent != other {
				t.Errorf("%s is disputed, and the refund is of %s", payment, r.paymentIntent)
			}
		}
	})
	t.Run("an answer about another payment is not that of a refund that waits", func(t *testing.T) {
		e, d := twice(t)
		r := e.refund(requestFor(d, 5_00))
		if err := e.exec("UPDATE refunds.refunds SET state = 'submitted', attempt = 1, submitted_at = now()"); err != nil {
			t.Fatal(err)
		}
		if err := e.refunds.applyRefund(t.Context(), donations.Match{Donation: d.ID}, "", stripe.Refund{
			ID: "re_1", PaymentIntent: "pi_1", Refund: r.ID, AmountMinor: 5_00, Currency: "EUR", Status: stripe.RefundSucceeded, Created: e.clock.Now(),
		}); err != nil {
			t.Fatal(err)
		}
		e.refundIs(r.ID, StateSubmitted)
	})
	t.Run("all that goes back counts for who must agree", func(t *testing.T) {
		e, d := twice(t)
		if err := e.exec("UPDATE collectives.collectives SET refund_approval_minor = 2500, refund_approval_currency = 'EUR'"); err != nil {
			t.Fatal(err)
		}
		if r := e.refund(requestFor(d, 20_00)); r.State != StateApproved {
			t.Errorf("the first is %s", r.State)
		}
		r := e.refund(requestFor(d, 10_00))
		if r.State != StateAwaitingApproval || r.paymentIntent != "pi_1" {
			t.Fatalf("the second is %s, of %s", r.State, r.paymentIntent)
		}
		// What goes back meanwhile of the other payment leaves this one alone; of its own it does not.
		e.book(d, donations.Movement{Charge: "ch_2", PaymentIntent: "pi_2", RefundedMinor: 20_00})
		e.book(d, donations.Movement{Charge: "ch_1", PaymentIntent: "pi_1", RefundedMinor: 10_01})
		_, err := e.refunds.Approve(t.Context(), d.Campaign, d.ID, r.ID, ownerKey)
		wantReason(t, err, errorsv1.ErrorReason_REFUND_TOO_LARGE)
		e.book(d, donations.Movement{Charge: "ch_1", PaymentIntent: "pi_1", RefundedMinor: -1})
		for range 2 {
			if r, err = e.refunds.Approve(t.Context(), d.Campaign, d.ID, r.ID, ownerKey); err != nil || r.State != StateApproved {
				t.Errorf("%s, %v", r.State, err)
			}
		}
	})
}

func TestWhatIsLeftAndNeedsApproval(t *testing.T) {
	eur := func(minor int64) money.Amount { return money.Amount{Minor: minor, Currency: money.EUR} }
	for what, c := range map[string]struct {
		balance, refunds, ask int64
		threshold             money.Amount
		left                  int64
		approval              bool
	}{
		"nothing went back":                          {0, 0, 20_00, money.Amount{}, 20_00, false},
		"the balance and the refunds say the same":   {5_00, 5_00, 1, money.Amount{}, 15_00, false},
		"the balance knows of one first":             {5_00, 0, 1, money.Amount{}, 15_00, false},
		"a refund is under way":                      {0, 5_00, 1, money.Amount{}, 15_00, false},
		"one failed and its money is not back":       {5_00, 0, 15_01, money.Amount{}, 15_00, false},
		"as much as one member may":                  {0, 0, 10_00, eur(10_00), 20_00, false},
		"more than that":                             {0, 0, 10_01, eur(10_00), 20_00, true},
		"more than that in parts":                    {0, 9_99, 2, eur(10_00), 10_01, true},
		"more than that with what the dashboard did": {9_99, 0, 2, eur(10_00), 10_01, true},
		"one member may give nothing back alone":     {0, 0, 1, eur(0), 20_00, true},
		"the threshold is in another currency":       {0, 0, 1, money.Amount{Minor: 100_00, Currency: "CHF"}, 20_00, true},
	} {
		t.Run(what, func(t *testing.T) {
			d := donations.Donation{Amount: eur(20_00), RefundedMinor: c.balance}
			all := withOwn(d, []refundable{{refundsMinor: c.refunds, paid: d.Amount}})
			if got := all[0].left().Minor; got != c.left {
				t.Errorf("%d left, want %d", got, c.left)
			}
			if got := needsApproval(all, eur(c.ask), c.threshold); got != c.approval {
				t.Errorf("approval %v, want %v", got, c.approval)
			}
			if _, err := choose(d, all, eur(c.ask)); (err != nil) != (c.ask > c.left) {
				t.Errorf("%d: %v", c.ask, err)
			}
		})
	}
}
