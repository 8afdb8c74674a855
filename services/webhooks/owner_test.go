package webhooks

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cagnotte/cagnotte/services/collectives"
	"github.com/cagnotte/cagnotte/services/internal/stripesim"
	"github.com/cagnotte/cagnotte/services/ledger"
)

// hosted creates a collective whose account the host has still to set up: it may not use the platform's.
func (e *env) hosted(id string) {
	e.t.Helper()
	groups := collectives.New(collectives.Config{Pool: e.pool, Now: e.clock.Now})
	c := collectives.Collective{ID: id, DisplayName: id}
	c.OwnAccountRequired = true
	if _, err := groups.Create(e.t.Context(), c); err != nil {
		e.t.Fatal(err)
	}
}

// Whose a payout is does not depend on who comes while it is under way, nor on when its return is read.
func TestReturnedPayoutBelongsToItsFormerOwners(t *testing.T) {
	fail := func(e *env, id string) error { return e.sim.FailPayout(id, "account_closed") }
	for _, c := range []struct {
		rule   string
		after  time.Duration // on its way
		back   func(e *env, id string) error
		unseen bool // the program sees nothing before it is back
	}{
		{"it is canceled", 0, func(e *env, id string) error { return e.sim.CancelPayout(id) }, false},
		{"it fails on its way", 9 * time.Hour, fail, false},
		{"it fails after it was paid", 3 * day, fail, false},
		{"it fails, and all is read later", 3 * day, fail, true},
	} {
		t.Run(c.rule, func(t *testing.T) {
			e := newEnv(t, stripesim.Config{})
			e.pay(e.give(vallon))
			e.pay(e.give(vallon))
			e.delivered()
			e.run("")
			if err := e.sim.SchedulePayouts("", true); err != nil {
				t.Fatal(err)
			}
			for len(e.sim.Payouts("")) == 0 {
				e.clock.Advance(4 * time.Hour)
			}
			if err := e.sim.SchedulePayouts("", false); err != nil {
				t.Fatal(err)
			}
			e.clock.Advance(c.after)
			if !c.unseen {
				e.delivered()
				e.run("")
			}
			e.clock.Advance(time.Minute)
			e.addNeighbour()
			if err := c.back(e, e.sim.Payouts("")[0].ID); err != nil {
				t.Fatal(err)
			}
			e.delivered()
			for range 2 {
				e.run("")
				e.wantAccounts("", map[string]int64{"vallon 1200": 3890})
			}
		})
	}
}

// Nor is it anybody else's who may not even use the account.
func TestOnlyCollectivesThatMayUseTheAccountOwnItsMoney(t *testing.T) {
	e, f := faked(t)
	e.hosted("hosted")
	e.clock.Advance(time.Hour)
	now := e.clock.Now()
	f.rows = []fakeRow{
		{id: "txn_3", kind: "reserve_hold", amount: -5_00, created: now},
		{id: "txn_2", kind: "payout", amount: -10_00, created: now, source: `{"id":"po_1","object":"payout"}`},
		{id: "txn_1", kind: "charge", amount: 20_00, created: now, source: `{"id":"ch_shop","object":"charge","payment_intent":"pi_shop","metadata":{}}`},
	}
	e.run("")
	e.wantAccounts("", map[string]int64{"vallon 1200": 5_00, "vallon 1300": 15_00})
	if got, err := e.webhooks.cfg.Collectives.SoleOwner(t.Context(), ""); err != nil || got != "vallon" {
		t.Errorf("the account's one collective is %q, %v", got, err)
	}
}

// Each pair moves there and back, with a second collective in between, whichever is read first.
func TestReturnedMoneyHasTheOwnerOfTheOriginal(t *testing.T) {
	payment := func(object string) string {
		return fmt.Sprintf(`{"id":"xx_1","object":%q,"charge":"ch_shop","payment_intent":"pi_shop","metadata":{}}`, object)
	}
	shop := `{"id":"ch_shop","object":"charge","created":%d,"payment_intent":"pi_shop","metadata":{}}`
	row := func(id, kind, category string, amount int64, source string) fakeRow {
		return fakeRow{id: id, kind: kind, category: category, amount: amount, source: source}
	}
	for rule, pair := range map[string][2]fakeRow{
		"a payout that failed":         {row("txn_1", "payout", "payout", -9_00, `{"id":"po_1","object":"payout","created":%d}`), row("txn_2", "payout_failure", "payout_reversal", 9_00, `{"id":"po_1","object":"payout","created":%d}`)},
		"a payout that was canceled":   {row("txn_1", "payout", "payout", -9_00, `{"id":"po_1","object":"payout","created":%d}`), row("txn_2", "payout_cancel", "payout_reversal", 9_00, `{"id":"po_1","object":"payout","created":%d}`)},
		"a payout that was reversed":   {row("txn_1", "payout", "payout", -9_00, `{"id":"po_1","object":"payout"}`), row("txn_2", "payout", "payout", 9_00, `{"id":"po_2","object":"payout","original_payout":"po_1"}`)},
		"a foreign charge's refund":    {row("txn_1", "charge", "charge", 9_00, shop), row("txn_2", "refund", "refund", -9_00, payment("refund"))},
		"a foreign charge's dispute":   {row("txn_1", "charge", "charge", 9_00, shop), row("txn_2", "adjustment", "dispute", -9_00, payment("dispute"))},
		"a dispute that was won":       {row("txn_1", "adjustment", "dispute", -9_00, payment("dispute")), row("txn_2", "adjustment", "dispute_reversal", 9_00, payment("dispute"))},
		"a refund that failed":         {row("txn_1", "refund", "refund", -9_00, payment("refund")), row("txn_2", "refund_failure", "refund_failure", 9_00, payment("refund"))},
		"a reserve":                    {row("txn_1", "reserve_hold", "risk_reserved_funds", -9_00, ""), row("txn_2", "reserve_release", "risk_reserved_funds", 9_00, "")},
		"a reserve by the older word":  {row("txn_1", "reserve_transaction", "risk_reserved_funds", -9_00, `{"id":"rt_1","object":"reserve_transaction"}`), row("txn_2", "reserve_transaction", "risk_reserved_funds", 9_00, `{"id":"rt_2","object":"reserve_transaction"}`)},
		"a minimum balance":            {row("txn_1", "payout_minimum_balance_hold", "", -9_00, ""), row("txn_2", "payout_minimum_balance_release", "", 9_00, "")},
		"a network's reserve":          {row("txn_1", "payment_network_reserve_hold", "", -9_00, ""), row("txn_2", "payment_network_reserve_release", "", 9_00, "")},
		"a top-up that was reversed":   {row("txn_1", "topup", "topup", 9_00, `{"id":"tu_1","object":"topup"}`), row("txn_2", "topup_reversal", "topup_reversal", -9_00, `{"id":"tu_1","object":"topup"}`)},
		"a transfer that was reversed": {row("txn_1", "transfer", "transfer", -9_00, `{"id":"tr_1","object":"transfer"}`), row("txn_2", "transfer_refund", "transfer_reversal", 9_00, `{"id":"trr_1","object":"transfer_reversal","transfer":"tr_1"}`)},
	} {
		for _, first := range []int{0, 1} {
			t.Run(fmt.Sprintf("%s, %d first", rule, first), func(t *testing.T) {
				e, f := faked(t)
				e.clock.Advance(time.Hour)
				began := e.clock.Now()
				e.clock.Advance(time.Hour)
				rows := []fakeRow{pair[0], pair[1]}
				for i := range rows {
					rows[i].created = began.Add(time.Duration(2*i) * time.Hour)
					if rows[i].source != "" {
						rows[i].source = strings.Replace(rows[i].source, "%d", fmt.Sprint(began.Unix()), 1)
					}
				}
				if first == 0 {
					f.rows = []fakeRow{rows[0]}
					e.run("")
					e.clock.Advance(time.Minute)
					e.addNeighbour()
					e.clock.Advance(2 * time.Hour)
					f.rows = []fakeRow{rows[1], rows[0]}
				} else {
					e.addNeighbour()
					e.clock.Advance(2 * time.Hour)
					f.rows = []fakeRow{rows[1]}
					e.run("")
					f.rows = []fakeRow{rows[1], rows[0]}
					if err := setCursor(e, began); err != nil {
						t.Fatal(err)
					}
				}
				e.run("")
				if n := one[int](e, "SELECT count(*) FROM ledger.transactions"); n != 2 {
					t.Fatalf("%d are booked", n)
				}
				e.wantAccounts("", map[string]int64{})
			})
		}
	}
}

// A release can answer several holds, of different collectives, and only a part of one.
func TestHoldsReturnToZero(t *testing.T) {
	e, f := faked(t)
	e.clock.Advance(time.Hour)
	f.rows = []fakeRow{{id: "txn_1", kind: "reserve_hold", amount: -50_00, created: e.clock.Now()}}
	e.run("")
	e.clock.Advance(time.Hour)
	e.addNeighbour()
	e.clock.Advance(time.Hour)
	add := func(id, kind string, amount int64, want map[string]int64) {
		t.Helper()
		e.clock.Advance(time.Minute)
		f.rows = append([]fakeRow{{id: id, kind: kind, amount: amount, created: e.clock.Now()}}, f.rows...)
		for range 2 {
			e.run("")
			e.wantAccounts("", want)
		}
	}
	add("txn_2", "reserve_hold", -20_00, map[string]int64{"vallon 1200": -50_00, "vallon 1300": 50_00, " 1200": -20_00, " 1300": 20_00})
	add("txn_3", "reserve_release", 10_00, map[string]int64{"vallon 1200": -40_00, "vallon 1300": 40_00, " 1200": -20_00, " 1300": 20_00})
	add("txn_4", "reserve_release", 45_00, map[string]int64{" 1200": -15_00, " 1300": 15_00})
	// Another pot takes no part.
	add("txn_5", "payout_minimum_balance_release", 15_00, map[string]int64{})
	add("txn_6", "reserve_release", 15_00, map[string]int64{" 1200": 15_00, " 1300": -15_00})
	add("txn_7", "payout_minimum_balance_hold", -15_00, map[string]int64{})
}

// TestNewTransactionTypes has one of each, in the shape that they come in.
func TestNewTransactionTypes(t *testing.T) {
	raw, err := os.ReadFile("testdata/balance_transactions_added.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		ID      string `json:"id"`
		Type    string `json:"type"`
		Net     int64  `json:"net"`
		Created int64  `json:"created"`
	}
	var bodies []json.RawMessage
	if err := json.Unmarshal(raw, &cases); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &bodies); err != nil {
		t.Fatal(err)
	}
	e, f := faked(t)
	var net int64
	for i, c := range cases {
		f.rows = append(f.rows, fakeRow{id: c.ID, created: time.Unix(c.Created, 0), raw: string(bodies[i])})
		net += c.Net
	}
	rand.Shuffle(len(f.rows), func(i, j int) { f.rows[i], f.rows[j] = f.rows[j], f.rows[i] })
	e.run("")
	e.wantParked()
	got := e.balances("")
	want := map[ledger.AccountRole]int64{
		ledger.RoleStripeBalance: net,
		// The holds are released, and so is the inbound transfer.
		ledger.RoleTransit:    0,
		ledger.RoleStripeFees: -3_00 + 1_20,
		// A goodwill adjustment, and what Stripe lends and takes back.
		ledger.RoleUnknownReceipts: -(2_50 + 1000_00 - 990_00 - 25_00),
	}
	for role, minor := range want {
		if got[role] != minor {
			t.Errorf("%s has %d, want %d", role, got[role], minor)
		}
	}
	if kinds := one[string](e, "SELECT string_agg(reference, ' ' ORDER BY reference) FROM ledger.transactions WHERE kind = 'top_up'"); kinds != "txn_derived_7 txn_derived_8" {
		t.Errorf("moved from and to the bank: %s", kinds)
	}
	if diff := cmp.Diff(0, int(measured(t, e.webhooks.metrics.unknownTypes))); diff != "" {
		t.Errorf("unknown types: %s", diff)
	}
}

// Who must clear it is told: of each top-up, and of what no rule classifies once a type and day.
func TestNoticesOfUnclassifiedMoney(t *testing.T) {
	e, f := faked(t)
	e.clock.Advance(48 * time.Hour)
	now := e.clock.Now().Truncate(24 * time.Hour).Add(12 * time.Hour)
	row := func(id, kind string, amount int64, at time.Time) fakeRow {
		return fakeRow{id: id, kind: kind, amount: amount, created: at}
	}
	f.rows = []fakeRow{
		row("txn_7", "topup", 9_00, now), row("txn_6", "quantum_settlement", 7_00, now), row("txn_5", "quantum_settlement", 6_00, now),
		row("txn_4", "transfer", -4_00, now), row("txn_3", "stripe_fee", -1_00, now), row("txn_2", "topup", 2_00, now.Add(-time.Hour)),
		row("txn_1", "quantum_settlement", 1_00, now.Add(-24*time.Hour)),
	}
	for range 2 {
		e.run("")
	}
	got := one[string](e, `
		SELECT string_agg(concat_ws(' ', collective, kind, amount_minor, array_to_string(transactions, ' ')), '; ' ORDER BY kind, collective, key)
		FROM notices.notices`)
	want := " stripe_money_unclassified 100 txn_1;  stripe_money_unclassified 600 txn_5; " +
		"vallon stripe_money_unclassified 100 txn_1; vallon stripe_money_unclassified 600 txn_5; vallon stripe_money_unclassified -400 txn_4; " +
		"vallon stripe_top_up 200 txn_2; vallon stripe_top_up 900 txn_7"
	if got != want {
		t.Errorf("told\n%s, want\n%s", got, want)
	}
	if got := e.balances("")[ledger.RoleStripeBalance]; got != 9_00+7_00+6_00-4_00-1_00+2_00+1_00 {
		t.Errorf("the balance is %d", got)
	}
}
