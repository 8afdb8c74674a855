package webhooks

import (
	"fmt"
	"testing"
	"time"

	"github.com/cagnotte/cagnotte/services/donations"
	"github.com/cagnotte/cagnotte/services/ledger"
)

// Stripe's answers come in shapes that it does not document. One of them in a page of a hundred holds up none of the
// others, and is neither lost nor guessed at.
func TestUnexpectedShapeIsParkedAndDelaysNothing(t *testing.T) {
	const source = `{"id":"ch_7","object":"charge","payment_intent":"pi_7","amount":2000,"currency":"eur","metadata":{}}`
	for name, odd := range map[string]string{
		"an amount of the source that is a text":    `{"id":"ch_7","object":"charge","amount":"12.50","currency":"eur"}`,
		"an amount of the source that is an object": `{"id":"ch_7","object":"charge","amount":{"value":12},"currency":"eur"}`,
		"metadata that are a list":                  `{"id":"ch_7","object":"charge","amount":2000,"metadata":["a"]}`,
		"a payment that is a number":                `{"id":"ch_7","object":"charge","amount":2000,"payment_intent":7}`,
		"a source that is a list":                   `["ch_7"]`,
		"a source that is a number":                 `7`,
	} {
		t.Run(name, func(t *testing.T) {
			e, f := faked(t)
			now := e.clock.Now()
			bad := fakeRow{id: "txn_7", kind: "charge", amount: 20_00, fee: 55, created: now, source: odd}
			made := []donations.Donation{e.give(vallon), e.give(vallon)}
			f.rows = append([]fakeRow{charge(2, made[1], now), bad, charge(1, made[0], now)}, old("fee", 97, now)...)
			for range 2 {
				e.run("")
			}
			for _, d := range made {
				e.want(d, donations.StateSucceeded, true)
			}
			e.wantParked("txn_7", reasonUnexpectedShape)
			if n := one[int](e, "SELECT count(*) FROM ledger.transactions"); n != 99 {
				t.Errorf("%d are booked, want 99", n)
			}
			if minor := one[int64](e, "SELECT net_minor FROM webhooks.parked"); minor != 19_45 {
				t.Errorf("%d are parked", minor)
			}
			told := one[string](e, `SELECT string_agg(collective || ' ' || amount_minor, ', ' ORDER BY collective) FROM notices.notices WHERE kind = 'stripe_money_parked'`)
			if told != " 1945, vallon 1945" {
				t.Errorf("told %q", told)
			}
			// It is read again, and booked once it is of the known shape.
			f.rows[1].source = source
			e.later(time.Hour)
			for range 2 {
				e.run("")
				e.wantParked()
			}
			if got := e.balances("")[ledger.RoleStripeBalance]; got != 3*19_45-97 {
				t.Errorf("balance %d", got)
			}
		})
	}
}

// What moved the money is not needed where the type tells whose it is.
func TestAPayoutWithAnUnexpectedSourceIsBooked(t *testing.T) {
	e, f := faked(t)
	f.rows = []fakeRow{{id: "txn_1", kind: "payout", amount: -5_00, created: e.clock.Now(), source: `{"id":"po_1","object":"payout","amount":{"value":5}}`}}
	e.run("")
	e.wantParked()
	e.wantAccounts("", map[string]int64{"vallon 1200": -5_00, "vallon 1300": 5_00})
}

// Without its own amounts nothing can be booked, and without all others of its page either.
func TestABalanceTransactionThatIsItselfUnreadable(t *testing.T) {
	e, f := faked(t)
	now := e.clock.Now()
	d := e.give(vallon)
	f.rows = []fakeRow{{raw: `{"id":"txn_9","type":"charge","amount":{"value":2000},"fee":55,"net":1945,"currency":"eur","created":` + fmt.Sprint(now.Unix()) + `}`, id: "txn_9", created: now}, charge(1, d, now)}
	e.run("")
	e.want(d, donations.StateSucceeded, true)
	e.wantParked("txn_9", reasonUnexpectedShape)
	if known := one[bool](e, "SELECT net_minor IS NOT NULL FROM webhooks.parked"); known {
		t.Error("an amount was made up")
	}
}
