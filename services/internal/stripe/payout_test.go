package stripe

import (
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestPayoutsAreRead(t *testing.T) {
	var asked []string
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Header.Get("Stripe-Account")+" "+r.URL.String())
		const payout = `{"id": "po_1", "amount": -10000, "currency": "eur", "status": "failed", "automatic": true,
			"reconciliation_status": "completed", "arrival_date": 1678406400, "created": 1678413638,
			"balance_transaction": "txn_1", "failure_balance_transaction": {"id": "txn_2"}}`
		switch r.URL.Path {
		case "/v1/payouts/po_1":
			io.WriteString(w, payout)
		case "/v1/payouts":
			io.WriteString(w, `{"data": [`+payout+`], "has_more": true}`)
		default:
			io.WriteString(w, `{"data": [{"id": "txn_1", "net": 5, "source": "po_1"}], "has_more": false}`)
		}
	})
	want := Payout{
		ID: "po_1", Amount: -10000, Currency: "EUR", Status: PayoutFailed, Automatic: true, Reconciled: true,
		Arrival: time.Date(2023, 3, 10, 0, 0, 0, 0, time.UTC), Created: time.Date(2023, 3, 10, 2, 0, 38, 0, time.UTC),
		Transaction: "txn_1", FailureTransaction: "txn_2",
	}
	got, err := c.GetPayout(t.Context(), "acct_1", "po_1")
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%s %v", diff, err)
	}
	page, more, err := c.ListPayouts(t.Context(), "", time.Unix(7, 0), "po_0")
	if diff := cmp.Diff([]Payout{want}, page); diff != "" || !more || err != nil {
		t.Errorf("%s %v %v", diff, more, err)
	}
	inside, more, err := c.ListPayoutBalance(t.Context(), "", "po_1", "txn_0")
	if len(inside) != 1 || inside[0].Net != 5 || inside[0].Source.ID != "po_1" || more || err != nil {
		t.Errorf("inside are %v %v %v", inside, more, err)
	}
	if diff := cmp.Diff([]string{
		"acct_1 /v1/payouts/po_1", " /v1/payouts?limit=100&created[gte]=7&starting_after=po_0",
		" /v1/balance_transactions?limit=100&payout=po_1&starting_after=txn_0",
	}, asked); diff != "" {
		t.Error(diff)
	}
}
