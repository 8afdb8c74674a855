package donations

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/campaigns"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/internal/stripe"
	"github.com/cagnotte/cagnotte/services/money"
)

// Two payments of one donation go back each by itself: what is known of one says nothing about the other.
func TestWhichOfTwoPaymentsGoesBack(t *testing.T) {
	var (
		paid           = Movement{Charge: "ch_1", PaymentIntent: "pi_1", PaidMinor: 20_00}
		again          = Movement{Charge: "ch_2", PaymentIntent: "pi_2", PaidMinor: 20_00}
		againInUSD     = Movement{Charge: "ch_2", PaymentIntent: "pi_2", PaidMinor: 20_00, PaidIn: money.Amount{Minor: 22_00, Currency: "USD"}}
		againBackInUSD = Movement{Charge: "ch_2", PaymentIntent: "pi_2", RefundedIn: money.Amount{Minor: 15_00, Currency: "USD"}}
		ofNobody       = Movement{Charge: "ch_2", PaidMinor: 20_00}
		back           = Movement{Charge: "ch_1", PaymentIntent: "pi_1", RefundedMinor: 20_00}
		againBack      = Movement{Charge: "ch_2", PaymentIntent: "pi_2", RefundedMinor: 20_00}
		againPart      = Movement{Charge: "ch_2", PaymentIntent: "pi_2", RefundedMinor: 15_00}
		againFailed    = Movement{Charge: "ch_2", PaymentIntent: "pi_2", RefundedMinor: -20_00}
		disputed       = Movement{Charge: "ch_1", PaymentIntent: "pi_1", DisputedMinor: 20_00}
		againClaimed   = Movement{Charge: "ch_2", PaymentIntent: "pi_2", DisputedMinor: 20_00}
		againWon       = Movement{Charge: "ch_2", PaymentIntent: "pi_2", DisputedMinor: -20_00}
	)
	type ask struct {
		minor int64
		want  string // the payment, and how much, or why not
	}
	for rule, c := range map[string]struct {
		movements []Movement
		asks      []ask
	}{
		"the second first, then the donation": {
			[]Movement{paid, again},
			[]ask{{0, "pi_2 20.00 EUR"}, {0, "pi_1 20.00 EUR"}, {0, "REFUND_TOO_LARGE"}},
		},
		"one that has enough left": {
			[]Movement{paid, again},
			[]ask{{15_00, "pi_2 15.00 EUR"}, {6_00, "pi_1 6.00 EUR"}, {14_01, "REFUND_TOO_LARGE"}, {0, "pi_2 5.00 EUR"}, {14_00, "pi_1 14.00 EUR"}, {1, "REFUND_TOO_LARGE"}},
		},
		"never more than one payment":                        {[]Movement{paid, again}, []ask{{20_01, "REFUND_TOO_LARGE"}}},
		"not the one that went back":                         {[]Movement{paid, again, againBack}, []ask{{0, "pi_1 20.00 EUR"}, {0, "REFUND_TOO_LARGE"}}},
		"nor the donation's own, when that went back":        {[]Movement{paid, again, back}, []ask{{0, "pi_2 20.00 EUR"}, {0, "REFUND_TOO_LARGE"}}},
		"nor what is left of one":                            {[]Movement{paid, again, againPart}, []ask{{6_00, "pi_1 6.00 EUR"}, {0, "pi_2 5.00 EUR"}}},
		"again, after a refund that failed":                  {[]Movement{paid, again, againBack, againFailed}, []ask{{0, "pi_2 20.00 EUR"}}},
		"whatever was known first":                           {[]Movement{againPart, paid, again}, []ask{{0, "pi_2 5.00 EUR"}}},
		"one whose payment is not known holds back no other": {[]Movement{paid, againBack}, []ask{{0, "pi_1 20.00 EUR"}, {0, "REFUND_TOO_LARGE"}}},
		"not one that is disputed":                           {[]Movement{paid, again, againClaimed}, []ask{{0, "pi_1 20.00 EUR"}, {0, "REFUND_TOO_LARGE"}}},
		"nor the donation's own":                             {[]Movement{paid, again, disputed}, []ask{{0, "pi_2 20.00 EUR"}, {0, "REFUND_TOO_LARGE"}}},
		"none when both are":                                 {[]Movement{paid, again, disputed, againClaimed}, []ask{{0, "DONATION_DISPUTED"}}},
		"one that was won again":                             {[]Movement{paid, again, againClaimed, againWon}, []ask{{0, "pi_2 20.00 EUR"}}},
		"one in another currency in that, and as much as was paid": {
			[]Movement{paid, againInUSD}, []ask{{0, "pi_2 22.00 USD"}, {20_01, "REFUND_TOO_LARGE"}, {0, "pi_1 20.00 EUR"}, {0, "REFUND_TOO_LARGE"}},
		},
		"what is left of one in another currency": {
			[]Movement{paid, againInUSD, againBackInUSD}, []ask{{0, "pi_2 7.00 USD"}, {20_00, "pi_1 20.00 EUR"}},
		},
		"an amount of the one in its own currency": {
			[]Movement{paid, againInUSD}, []ask{{20_00, "pi_1 20.00 EUR"}, {0, "pi_2 22.00 USD"}},
		},
		"not one that has no payment intent": {[]Movement{paid, ofNobody}, []ask{{0, "pi_1 20.00 EUR"}, {0, "REFUND_TOO_LARGE"}}},
	} {
		t.Run(rule, func(t *testing.T) {
			t.Parallel()
			e := newEnv(t, Limit{})
			d := e.create(intent())
			e.book(d, c.movements...)
			for _, ask := range c.asks {
				in := wish(d, ask.minor)
				if ask.minor == 0 {
					in.Amount = money.Amount{}
				}
				for range 2 { // sent twice is once
					r, err := e.donations.CreateRefund(t.Context(), in)
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

func TestWhatIsSaidOfOneOfTwoPayments(t *testing.T) {
	twice := func(t *testing.T) (*env, Donation) {
		e := newEnv(t, Limit{})
		d := e.create(intent())
		e.book(d, Movement{Charge: "ch_1", PaymentIntent: "pi_1", PaidMinor: 20_00}, Movement{Charge: "ch_2", PaymentIntent: "pi_2", PaidMinor: 20_00})
		return e, d
	}
	t.Run("a refund that was made in the dashboard, before its money is seen to move", func(t *testing.T) {
		for payment, other := range map[string]string{"pi_1": "pi_2", "pi_2": "pi_1"} {
			e, d := twice(t)
			if err := e.donations.applyRefund(t.Context(), Match{Donation: d.ID}, "", stripe.Refund{
				ID: "re_1", PaymentIntent: payment, AmountMinor: 20_00, Currency: "EUR", Status: stripe.RefundSucceeded, Created: e.clock.Now(),
			}); err != nil {
				t.Fatal(err)
			}
			if r := e.refund(wish(d, 20_00)); r.paymentIntent != other {
				t.Errorf("of %s one is back, the next one is of %s", payment, r.paymentIntent)
			}
			_, err := e.donations.CreateRefund(t.Context(), wish(d, 1))
			wantReason(t, err, errorsv1.ErrorReason_REFUND_TOO_LARGE)
		}
	})
	t.Run("a dispute, before its money is seen to move", func(t *testing.T) {
		for payment, other := range map[string]string{"pi_1": "pi_2", "pi_2": "pi_1"} {
			e, d := twice(t)
			if err := postgres.InTx(t.Context(), e.pool, func(ctx context.Context, tx pgx.Tx) error {
				return e.donations.applyDisputeTx(ctx, tx, Match{Donation: d.ID}, "", stripe.Dispute{
					ID: "dp_1", PaymentIntent: payment, AmountMinor: 20_00, Currency: "EUR", Status: stripe.DisputeNeedsResponse, Created: e.clock.Now(),
				})
			}); err != nil {
				t.Fatal(err)
			}
			if r := e.refund(wish(d, 20_00)); r.paymentIntent != other {
				t.Errorf("%s is disputed, and the refund is of %s", payment, r.paymentIntent)
			}
		}
	})
	t.Run("an answer about another payment is not that of a refund that waits", func(t *testing.T) {
		e, d := twice(t)
		r := e.refund(wish(d, 5_00))
		if err := e.exec("UPDATE donations.refunds SET state = 'submitted', attempt = 1, submitted_at = now()"); err != nil {
			t.Fatal(err)
		}
		if err := e.donations.applyRefund(t.Context(), Match{Donation: d.ID}, "", stripe.Refund{
			ID: "re_1", PaymentIntent: "pi_1", Refund: r.ID, AmountMinor: 5_00, Currency: "EUR", Status: stripe.RefundSucceeded, Created: e.clock.Now(),
		}); err != nil {
			t.Fatal(err)
		}
		e.refundIs(r.ID, RefundSubmitted)
	})
	t.Run("all that goes back counts for who must agree", func(t *testing.T) {
		e, d := twice(t)
		if err := e.exec("UPDATE collectives.collectives SET refund_approval_minor = 2500, refund_approval_currency = 'EUR'"); err != nil {
			t.Fatal(err)
		}
		if r := e.refund(wish(d, 20_00)); r.State != RefundApproved {
			t.Errorf("the first is %s", r.State)
		}
		r := e.refund(wish(d, 10_00))
		if r.State != RefundAwaitingApproval || r.paymentIntent != "pi_1" {
			t.Fatalf("the second is %s, of %s", r.State, r.paymentIntent)
		}
		// What goes back meanwhile of the other payment leaves this one alone; of its own it does not.
		e.book(d, Movement{Charge: "ch_2", PaymentIntent: "pi_2", RefundedMinor: 20_00})
		e.book(d, Movement{Charge: "ch_1", PaymentIntent: "pi_1", RefundedMinor: 10_01})
		_, err := e.donations.ApproveRefund(t.Context(), d.Campaign, d.ID, r.ID, ownerKey)
		wantReason(t, err, errorsv1.ErrorReason_REFUND_TOO_LARGE)
		e.book(d, Movement{Charge: "ch_1", PaymentIntent: "pi_1", RefundedMinor: -1})
		for range 2 {
			if r, err = e.donations.ApproveRefund(t.Context(), d.Campaign, d.ID, r.ID, ownerKey); err != nil || r.State != RefundApproved {
				t.Errorf("%s, %v", r.State, err)
			}
		}
	})
}

// A payment that goes back by a refund and through a bank is told of once, with what is missing, whatever comes first and
// however many payments the donation has.
func TestAPaymentThatGoesBackTwice(t *testing.T) {
	var (
		paid     = Movement{Charge: "ch_1", PaymentIntent: "pi_1", PaidMinor: 20_00}
		again    = Movement{Charge: "ch_2", PaymentIntent: "pi_2", PaidMinor: 20_00}
		inUSD    = Movement{Charge: "ch_1", PaymentIntent: "pi_1", PaidMinor: 20_00, PaidIn: money.Amount{Minor: 22_01, Currency: "USD"}}
		back     = Movement{PaymentIntent: "pi_1", RefundedMinor: 20_00, Refund: "re_1"}
		part     = Movement{PaymentIntent: "pi_1", RefundedMinor: 5_00, Refund: "re_1"}
		failed   = Movement{PaymentIntent: "pi_1", RefundedMinor: -20_00, Refund: "re_1", Back: true}
		claimed  = Movement{PaymentIntent: "pi_1", DisputedMinor: 20_00, Dispute: "dp_1"}
		won      = Movement{PaymentIntent: "pi_1", DisputedMinor: -20_00, Dispute: "dp_1", Back: true}
		dollars  = func(minor int64) money.Amount { return money.Amount{Minor: minor, Currency: "USD"} }
		half     = Movement{PaymentIntent: "pi_1", RefundedMinor: 9_80, RefundedIn: dollars(11_00), Refund: "re_1"}
		theRest  = Movement{PaymentIntent: "pi_1", DisputedMinor: 9_90, DisputedIn: dollars(11_01), Dispute: "dp_1"}
		allInUSD = Movement{PaymentIntent: "pi_1", DisputedMinor: 19_00, DisputedIn: dollars(22_01), Dispute: "dp_1"}
	)
	for rule, c := range map[string]struct {
		movements []Movement
		told      []int64
		progress  int64
	}{
		"by a refund alone":                          {[]Movement{paid, back}, nil, 0},
		"refunded, then claimed":                     {[]Movement{paid, back, claimed}, []int64{20_00}, 20_00},
		"claimed, then refunded":                     {[]Movement{paid, claimed, back}, []int64{20_00}, 20_00},
		"both before the payment":                    {[]Movement{claimed, back, paid}, []int64{20_00}, 20_00},
		"a part refunded, and all claimed":           {[]Movement{paid, part, claimed}, []int64{5_00}, 5_00},
		"until the refund fails":                     {[]Movement{paid, back, claimed, failed}, []int64{20_00}, 0},
		"until the dispute is won":                   {[]Movement{paid, back, claimed, won}, []int64{20_00}, 0},
		"not after the dispute was won":              {[]Movement{paid, claimed, won, back}, nil, 0},
		"one of two":                                 {[]Movement{paid, again, back, claimed}, []int64{20_00}, 0},
		"half and half, each rounded up":             {[]Movement{inUSD, half, theRest}, nil, 1},
		"in another currency, by what the donor has": {[]Movement{inUSD, half, allInUSD}, []int64{10_00}, 10_00},
	} {
		t.Run(rule, func(t *testing.T) {
			t.Parallel()
			e := newEnv(t, Limit{})
			d := e.create(intent())
			e.book(d, c.movements...)
			rows, err := e.pool.Query(t.Context(), "SELECT amount_minor FROM collectives.notices WHERE kind = 'paid_back_twice'")
			if err != nil {
				t.Fatal(err)
			}
			told, err := pgx.CollectRows(rows, pgx.RowTo[int64])
			if err != nil || !slices.Equal(told, c.told) {
				t.Errorf("told of %v, %v; want %v", told, err, c.told)
			}
			// The books of these movements are empty, so progress is what is not counted below zero.
			progress, err := e.donations.Progress(t.Context(), []campaigns.Name{vallon})
			if got := progress[vallon].Settled.Minor; err != nil || got != c.progress {
				t.Errorf("progress adds %d, %v; want %d", got, err, c.progress)
			}
		})
	}
}

// What went back is counted to the cent, away from nothing, also where a float would not tell the difference.
func TestWhatWentBackIsCountedInIntegers(t *testing.T) {
	for _, c := range []struct{ donation, paidIn, back, want int64 }{
		{20_00, 18_00, 18_00, 20_00},
		{20_00, 18_00, 9_00, 10_00},
		{20_00, 18_00, 1, 2},
		{20_00, 18_00, -9_00, -10_00},
		{20_00, 30_000_001, 15_000, 1},                   // 0.99999997
		{20_00, 29_999_999, 15_000, 2},                   // 1.00000003
		{99_999_999, 99_999_998, 99_999_997, 99_999_998}, // 99,999,997.99999999
	} {
		p := kept{donation: money.Amount{Minor: c.donation, Currency: money.EUR}, paidInMinor: c.paidIn}
		if got := p.part(c.back); got != c.want {
			t.Errorf("%d of %d, of %d: %d, want %d", c.back, c.paidIn, c.donation, got, c.want)
		}
	}
}

// A list of Stripe's has the newest first, and a session may tell of the other payment.
func TestWhichPaymentIsTheDonationsOwn(t *testing.T) {
	e := newEnv(t, Limit{})
	d := e.create(intent())
	if err := e.exec("UPDATE donations.donations SET state = 'succeeded', paid_at = now(), payment_intent_id = 'pi_2'"); err != nil {
		t.Fatal(err)
	}
	at := e.clock.Now()
	if err := postgres.InTx(t.Context(), e.pool, func(ctx context.Context, tx pgx.Tx) error {
		return e.donations.BookTx(ctx, tx, []Movement{
			{Donation: d.ID, Charge: "ch_2", PaymentIntent: "pi_2", PaidMinor: 20_00, At: at.Add(time.Minute)},
			{Donation: d.ID, Charge: "ch_1", PaymentIntent: "pi_1", PaidMinor: 20_00, At: at},
		})
	}); err != nil {
		t.Fatal(err)
	}
	var key string
	if err := e.pool.QueryRow(t.Context(), "SELECT n.key FROM collectives.notices AS n WHERE n.kind = 'paid_twice'").Scan(&key); err != nil || key != d.ID.String()+" ch_2" {
		t.Errorf("members are told of %q, %v", key, err)
	}
	if got := e.reload(d); got.PaymentIntent != "pi_1" {
		t.Errorf("the donation's own payment is %s", got.PaymentIntent)
	}
	for _, want := range []string{"pi_2", "pi_1"} {
		if r := e.refund(wish(d, 20_00)); r.paymentIntent != want {
			t.Errorf("goes from %s, want %s", r.paymentIntent, want)
		}
	}
}
