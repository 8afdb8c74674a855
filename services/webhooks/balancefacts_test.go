package webhooks

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/cagnotte/cagnotte/services/donations"
	"github.com/cagnotte/cagnotte/services/internal/stripe"
	"github.com/cagnotte/cagnotte/services/ledger"
	"github.com/cagnotte/cagnotte/services/money"
)

// https://docs.stripe.com/api/balance_transactions/object: net is amount less fee, whatever their signs, and that is
// what the balance in the books moves by.
func TestTheBalanceMovesByNet(t *testing.T) {
	kinds := slices.Sorted(maps.Keys(meanings))
	minor := rapid.Int64Range(-99_999_999, 99_999_999)
	rapid.Check(t, func(t *rapid.T) {
		in := stripe.BalanceTransaction{
			ID: "txn_1", Type: rapid.SampledFrom(append(kinds, "new_to_us")).Draw(t, "type"),
			Category: rapid.SampledFrom([]string{"", "dispute", "dispute_reversal", "refund_failure"}).Draw(t, "category"),
			Amount:   minor.Draw(t, "amount"), Fee: minor.Draw(t, "fee"), Currency: "EUR", Created: time.Unix(1_700_000_000, 0),
		}
		for i, part := range rapid.SliceOfN(minor, 0, 3).Draw(t, "parts") { // which may add up to the fee, or not
			in.Fees = append(in.Fees, stripe.Fee{Type: "stripe_fee", Amount: part, Currency: []string{"EUR", "EUR", "USD"}[i]})
		}
		match := donations.Match{}
		if rapid.Bool().Draw(t, "ours") {
			match = donations.Match{Donation: uuid.New(), Campaign: vallon, Amount: money.Amount{Minor: in.Amount, Currency: "EUR"}}
		}
		var sum, balance, fees int64
		for _, e := range post(in, match, "host").transaction.Entries {
			sum += e.Amount.Minor
			switch e.Role {
			case ledger.RoleStripeBalance:
				balance += e.Amount.Minor
			case ledger.RoleStripeFees:
				fees += e.Amount.Minor
			}
		}
		if m, _ := meaningOf(in); m.role == ledger.RoleStripeFees { // the amount is a fee by itself
			fees += in.Amount
		}
		if sum != 0 || balance != in.Amount-in.Fee || fees != in.Fee {
			t.Errorf("sum %d, balance %d, fees %d of %+v", sum, balance, fees, in)
		}
	})
}

// A direct charge's fee is the application's and Stripe's: the books keep them apart.
func TestFeePartsAreSeparateEntries(t *testing.T) {
	p := post(stripe.BalanceTransaction{ID: "txn_1", Type: "charge", Amount: 20_00, Fee: 1_55, Currency: "EUR", Fees: []stripe.Fee{
		{Type: "application_fee", Amount: 1_00, Currency: "EUR"}, {Type: "stripe_fee", Amount: 55, Currency: "EUR"},
	}}, donations.Match{}, "host")
	var parts []int64
	for _, e := range p.transaction.Entries {
		if e.Role == ledger.RoleStripeFees {
			parts = append(parts, e.Amount.Minor)
		}
	}
	if diff := cmp.Diff([]int64{1_00, 55}, parts); diff != "" {
		t.Errorf("fees (-want +got):\n%s", diff)
	}
}

// Of two events that say the same, one is used; those of which stripe-go has no constant are known by their names.
func TestStepOfEachEventType(t *testing.T) {
	for kind, want := range map[string]step{
		"invoice.paid":              stepResource,
		"invoice.payment_succeeded": stepNone,
		"invoice.payment_failed":    stepResource,
		// Hints: what they say is read again.
		"refund.failed":         stepResource,
		"refund.updated":        stepResource,
		"charge.refund.updated": stepResource,
		"charge.refunded":       stepResource,
		// The session says so, or the charge.
		"payment_intent.succeeded": stepNone,
		"payment_intent.created":   stepNone,
		"charge.succeeded":         stepHint,
		"charge.updated":           stepHint,
		// Another product's.
		"issuing_card.created": stepNone,
	} {
		body := fmt.Appendf(nil, `{"id":"evt_1","type":%q,"data":{"object":{"id":"xx_1","object":"xx"}}}`, kind)
		event, err := stripe.Verify(body, sign(body, platformSecret, time.Now()), []string{platformSecret})
		if err != nil {
			t.Fatal(err)
		}
		got, _, ignored := classify(event, false)
		if want == stepNone {
			if ignored != reasonUnknownType {
				t.Errorf("%s is %q, and not ignored: %q", kind, got, ignored)
			}
			continue
		}
		if got != want || ignored != "" {
			t.Errorf("%s is %q, ignored %q, want %q", kind, got, ignored, want)
		}
	}
}
