package webhooks

import (
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/cagnotte/cagnotte/services/donations"
	"github.com/cagnotte/cagnotte/services/internal/stripe"
	"github.com/cagnotte/cagnotte/services/internal/stripesim"
	"github.com/cagnotte/cagnotte/services/ledger"
	"github.com/cagnotte/cagnotte/services/money"
)

func TestPost(t *testing.T) {
	twenty := money.Amount{Minor: 20_00, Currency: "EUR"}
	match := donations.Match{Donation: uuid.New(), Campaign: vallon, Amount: twenty, Asked: twenty}
	stripeFee := func(minor int64) []stripe.Fee {
		return []stripe.Fee{{Type: "stripe_fee", Amount: minor, Currency: "EUR"}}
	}
	type legs map[ledger.AccountRole]int64
	for name, c := range map[string]struct {
		in    stripe.BalanceTransaction
		match donations.Match
		kind  string
		want  legs
	}{
		"a donation, gross, and Stripe's fee": {
			stripe.BalanceTransaction{Type: "charge", Amount: 20_00, Fee: 55, Fees: stripeFee(55)},
			match, ledger.KindDonation,
			legs{ledger.RoleStripeBalance: 19_45, ledger.RoleDonations: -20_00, ledger.RoleStripeFees: 55},
		},
		"a debit, whatever its id begins with": {
			stripe.BalanceTransaction{Type: "payment", Amount: 20_00, Fee: 35, Fees: stripeFee(35)},
			match, ledger.KindDonation,
			legs{ledger.RoleStripeBalance: 19_65, ledger.RoleDonations: -20_00, ledger.RoleStripeFees: 35},
		},
		"a fee of three parts": {
			stripe.BalanceTransaction{Type: "charge", Amount: 20_00, Fee: 175, Fees: []stripe.Fee{
				{Type: "application_fee", Amount: 100, Currency: "EUR"}, {Type: "stripe_fee", Amount: 62, Currency: "EUR"}, {Type: "tax", Amount: 13, Currency: "EUR"},
			}},
			match, ledger.KindDonation,
			legs{ledger.RoleStripeBalance: 18_25, ledger.RoleDonations: -20_00, ledger.RoleStripeFees: 175},
		},
		"a fee whose parts do not add up counts as a whole": {
			stripe.BalanceTransaction{Type: "charge", Amount: 20_00, Fee: 60, Fees: stripeFee(55)},
			match, ledger.KindDonation,
			legs{ledger.RoleStripeBalance: 19_40, ledger.RoleDonations: -20_00, ledger.RoleStripeFees: 60},
		},
		"a refund that returns a fee": {
			stripe.BalanceTransaction{Type: "refund", Amount: -20_00, Fee: -30, Fees: stripeFee(-30)},
			match, ledger.KindRefund,
			legs{ledger.RoleStripeBalance: -19_70, ledger.RoleRefunds: 20_00, ledger.RoleStripeFees: -30},
		},
		"a refund that failed": {
			stripe.BalanceTransaction{Type: "refund_failure", Amount: 20_00},
			match, ledger.KindRefund,
			legs{ledger.RoleStripeBalance: 20_00, ledger.RoleRefunds: -20_00},
		},
		"a dispute with its fee": {
			stripe.BalanceTransaction{Type: "adjustment", Category: "dispute", Amount: -20_00, Fee: 15_00, Fees: stripeFee(15_00)},
			match, ledger.KindDispute,
			legs{ledger.RoleStripeBalance: -35_00, ledger.RoleDisputes: 20_00, ledger.RoleStripeFees: 15_00},
		},
		"a dispute that was won": {
			stripe.BalanceTransaction{Type: "adjustment", Category: "dispute_reversal", Amount: 20_00, Fee: -15_00, Fees: stripeFee(-15_00)},
			match, ledger.KindDispute,
			legs{ledger.RoleStripeBalance: 35_00, ledger.RoleDisputes: -20_00, ledger.RoleStripeFees: -15_00},
		},
		"a payout": {
			stripe.BalanceTransaction{Type: "payout", Amount: -100_00},
			donations.Match{},
			ledger.KindPayout,
			legs{ledger.RoleStripeBalance: -100_00, ledger.RoleTransit: 100_00},
		},
		"a payout that Stripe takes from the bank": {
			stripe.BalanceTransaction{Type: "payout", Amount: 5_00},
			donations.Match{},
			ledger.KindPayout,
			legs{ledger.RoleStripeBalance: 5_00, ledger.RoleTransit: -5_00},
		},
		"a fee of the account itself": {
			stripe.BalanceTransaction{Type: "stripe_fee", Amount: -2_00},
			donations.Match{},
			ledger.KindFee,
			legs{ledger.RoleStripeBalance: -2_00, ledger.RoleStripeFees: 2_00},
		},
		"a payment that is no donation": {
			stripe.BalanceTransaction{Type: "charge", Amount: 20_00, Fee: 55, Fees: stripeFee(55)},
			donations.Match{},
			ledger.KindOther,
			legs{ledger.RoleStripeBalance: 19_45, ledger.RoleUnknownReceipts: -20_00, ledger.RoleStripeFees: 55},
		},
		"an adjustment of fees": {
			stripe.BalanceTransaction{Type: "adjustment", Category: "fee", Amount: 3_00},
			donations.Match{},
			ledger.KindFee,
			legs{ledger.RoleStripeBalance: 3_00, ledger.RoleStripeFees: -3_00},
		},
		"a donation's payment that brought another amount": {
			stripe.BalanceTransaction{Type: "charge", Amount: 50, Fee: 26, Fees: stripeFee(26)},
			match, ledger.KindOther,
			legs{ledger.RoleStripeBalance: 24, ledger.RoleUnknownReceipts: -50, ledger.RoleStripeFees: 26},
		},
		"a donation's payment of the same number in another currency": {
			stripe.BalanceTransaction{Type: "charge", Amount: 20_00, Source: stripe.Source{Amount: 20_00, Currency: "USD"}},
			match, ledger.KindOther,
			legs{ledger.RoleStripeBalance: 20_00, ledger.RoleUnknownReceipts: -20_00},
		},
		"an adjustment of another kind": {
			stripe.BalanceTransaction{Type: "adjustment", Category: "other_adjustment", Amount: 3_00},
			donations.Match{},
			ledger.KindOther,
			legs{ledger.RoleStripeBalance: 3_00, ledger.RoleUnknownReceipts: -3_00},
		},
		"a type that nobody documented": {
			stripe.BalanceTransaction{Type: "quantum_settlement", Amount: 7_00},
			donations.Match{},
			ledger.KindOther,
			legs{ledger.RoleStripeBalance: 7_00, ledger.RoleUnknownReceipts: -7_00},
		},
		"nothing": {stripe.BalanceTransaction{Type: "charge"}, donations.Match{}, ledger.KindOther, legs{}},
	} {
		t.Run(name, func(t *testing.T) {
			c.in.ID, c.in.Currency, c.in.Created = "txn_1", "EUR", time.Unix(1_700_000_000, 0)
			p := post(c.in, c.match, "host")
			got, sum := legs{}, int64(0)
			for _, entry := range p.transaction.Entries {
				got[entry.Role] += entry.Amount.Minor
				sum += entry.Amount.Minor
				wantOf := "host"
				wantDonation := uuid.Nil
				if c.match.Donation != uuid.Nil && c.kind != ledger.KindOther {
					wantOf, wantDonation = vallon.Collective, c.match.Donation
				}
				if entry.Collective != wantOf || entry.Donation != wantDonation {
					t.Errorf("entry belongs to %q, %v", entry.Collective, entry.Donation)
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" || sum != 0 {
				t.Errorf("sum %d, legs (-want +got):\n%s", sum, diff)
			}
			if p.transaction.Kind != c.kind || p.transaction.Reference != "txn_1" {
				t.Errorf("kind %q, reference %q", p.transaction.Kind, p.transaction.Reference)
			}
			if p.undocumented != (c.in.Type == "quantum_settlement") {
				t.Errorf("undocumented = %v", p.undocumented)
			}
			if again := post(c.in, c.match, "host"); !cmp.Equal(again.transaction, p.transaction) {
				t.Error("the second time it is another transaction")
			}
		})
	}
}

func TestPostRefundsAndDisputes(t *testing.T) {
	e := newEnv(t, stripesim.Config{})
	e.sim.SetDelivery(stripesim.Delivery{Drop: true})
	whole, part, disputed := e.give(vallon), e.give(vallon), e.give(vallon)
	now := e.clock.Now()
	// A dispute's id is not its charge's; the bug of others.
	back := func(n int, kind, category, object string, amount, fee int64) fakeRow {
		return fakeRow{
			id: fmt.Sprintf("txn_back_%d", n), kind: kind, category: category, amount: amount, fee: fee, created: now.Add(time.Minute),
			source: fmt.Sprintf(`{"id":"xx_%d","object":%q,"charge":"ch_%d","payment_intent":"pi_%d","metadata":{}}`, n, object, n, n),
		}
	}
	e.balance = &fakeBalance{rows: []fakeRow{
		{id: "txn_payout", kind: "payout", amount: -10_00, created: now.Add(2 * time.Minute), source: `{"id":"po_1","object":"payout"}`},
		back(3, "adjustment", "dispute", "dispute", -20_00, 15_00),
		back(2, "payment_refund", "refund", "refund", -5_00, 0),
		back(1, "refund", "refund", "refund", -20_00, 0),
		charge(3, disputed, now), charge(2, part, now), charge(1, whole, now),
	}}
	e.run("")
	e.want(whole, donations.StateRefunded, true)
	e.want(part, donations.StatePartiallyRefunded, true)
	e.want(disputed, donations.StateDisputed, true)
	if settled, _ := e.progress(vallon); settled != 15_00 {
		t.Errorf("settled %d, want 1500", settled)
	}
	want := map[ledger.AccountRole]int64{
		ledger.RoleStripeBalance: 60_00 - 3*55 - 45_00 - 15_00 - 10_00, ledger.RoleStripeFees: 3*55 + 15_00,
		ledger.RoleDonations: -60_00, ledger.RoleRefunds: 25_00, ledger.RoleDisputes: 20_00,
		ledger.RoleTransit: 10_00,
	}
	got := e.balances("")
	maps.DeleteFunc(got, func(_ ledger.AccountRole, sum int64) bool { return sum == 0 })
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("balances (-want +got):\n%s", diff)
	}
}
