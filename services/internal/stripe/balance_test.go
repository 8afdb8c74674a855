package stripe

import (
	"io"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What Stripe shows beside the two is no money more.
func TestTheBalanceIsWhatIsAvailableAndPending(t *testing.T) {
	var asked string
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked = r.Header.Get("Stripe-Account") + " " + r.URL.String()
		io.WriteString(w, `{"object": "balance",
			"available": [{"amount": -700, "currency": "eur", "source_types": {"card": -700}}, {"amount": 5, "currency": "usd"}],
			"connect_reserved": [{"amount": 900, "currency": "eur"}],
			"instant_available": [{"amount": 40, "currency": "eur"}],
			"issuing": {"available": [{"amount": 60, "currency": "eur"}]},
			"pending": [{"amount": 1200, "currency": "eur", "source_types": {"card": 1000, "bank_account": 200}}]}`)
	})
	got, err := c.Balance(t.Context(), "acct_1")
	if diff := cmp.Diff(map[string]int64{"EUR": 500, "USD": 5}, got); diff != "" || err != nil || asked != "acct_1 /v1/balance" {
		t.Errorf("%s %v, asked %q", diff, err, asked)
	}
}

// A page with one of another shape has all others, and that one by its id.
func TestAPageWithABalanceTransactionOfAnotherShape(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, `{"has_more": true, "data": [
			{"id": "txn_1", "type": "charge", "amount": 2000, "fee": 55, "net": 1945, "currency": "eur", "created": 7, "source": "ch_1"},
			{"id": "txn_2", "type": "charge", "amount": "20.00", "fee": 55, "net": 1945, "currency": "eur", "created": 7, "source": "ch_2"},
			{"id": "txn_3", "type": "charge", "amount": 2000, "fee": 55, "net": 1945, "currency": "eur", "created": 7, "source": {"id": "ch_3", "amount": "12.50"}},
			{"id": "txn_4", "type": "charge", "amount": 2000, "fee": 55, "net": 1944, "currency": "eur", "created": 7},
			{"id": "txn_5", "type": "charge", "amount": 2000, "fee": 55, "net": 1945, "currency": "eur", "created": 7, "fee_details": "none", "exchange_rate": {}},
			{"id": ["txn_6"]}, null, 7]}`)
	})
	page, more, err := c.ListBalanceTransactions(t.Context(), "", BalanceQuery{})
	if err != nil || !more {
		t.Fatal(more, err)
	}
	got := map[string]string{}
	for _, b := range page {
		got[b.ID] = b.Unreadable + "/" + b.Source.Unreadable
	}
	want := map[string]string{"txn_1": "/", "txn_2": "amount/", "txn_3": "/amount", "txn_4": "net/", "txn_5": "/"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
