package donations

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/campaigns"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/money"
)

// Members get one notice, with the missing amount, of a payment that went back by a refund and by the bank, whichever came first
// and however many payments the donation has.
func TestAPaymentThatIsPaidBackTwice(t *testing.T) {
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
			e := newEnv(t)
			d := e.create(intent())
			e.book(d, c.movements...)
			rows, err := e.pool.Query(t.Context(), "SELECT amount_minor FROM notices.notices WHERE kind = 'paid_back_twice'")
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

// Parts are exact and rounded away from zero, also where a float would not show the difference.
func TestPartsOfAPaymentAreIntegers(t *testing.T) {
	for _, c := range []struct{ donation, paidIn, back, want int64 }{
		{20_00, 18_00, 18_00, 20_00},
		{20_00, 18_00, 9_00, 10_00},
		{20_00, 18_00, 1, 2},
		{20_00, 18_00, -9_00, -10_00},
		{20_00, 30_000_001, 15_000, 1},                   // 0.99999997
		{20_00, 29_999_999, 15_000, 2},                   // 1.00000003
		{99_999_999, 99_999_998, 99_999_997, 99_999_998}, // 99,999,997.99999999
	} {
		p := paymentBalance{donation: money.Amount{Minor: c.donation, Currency: money.EUR}, paidInMinor: c.paidIn}
		if got := p.part(c.back); got != c.want {
			t.Errorf("%d of %d, of %d: %d, want %d", c.back, c.paidIn, c.donation, got, c.want)
		}
	}
}

// Stripe's lists have the newest first, and a session may name the other payment.
func TestWhichPaymentIsTheDonationsOwn(t *testing.T) {
	e := newEnv(t)
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
	if err := e.pool.QueryRow(t.Context(), "SELECT n.key FROM notices.notices AS n WHERE n.kind = 'paid_twice'").Scan(&key); err != nil || key != d.ID.String()+" ch_2" {
		t.Errorf("members are told of %q, %v", key, err)
	}
	if got := e.reload(d); got.PaymentIntent != "pi_1" {
		t.Errorf("the donation's own payment is %s", got.PaymentIntent)
	}
}
