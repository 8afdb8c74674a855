package payouts

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/cagnotte/cagnotte/services/internal/stripe"
)

// A status that Stripe has invented since holds up neither the other payouts nor the account's books, which are read
// behind them.
func TestAPayoutOfAnUnknownStatusHoldsUpNothing(t *testing.T) {
	e := newEnv(t)
	payout := func(id, status string) string {
		return `{"id":"` + id + `","object":"payout","amount":1000,"currency":"eur","status":"` + status + `","automatic":true,
			"reconciliation_status":"in_progress","arrival_date":1700000000,"created":1700000000,
			"balance_transaction":"txn_` + id + `","failure_balance_transaction":null}`
	}
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/v1/payouts") {
			_, _ = w.Write([]byte(`{"object":"list","has_more":false,"data":[` + payout("po_new", "returned") + `,` + payout("po_old", "paid") + `]}`))
			return
		}
		_, _ = w.Write([]byte(payout("po_old", "paid")))
	}))
	t.Cleanup(api.Close)
	var err error
	if e.cfg.Stripe, err = stripe.New(stripe.Config{APIKey: "sk_test_simulated", BaseURL: api.URL}); err != nil {
		t.Fatal(err)
	}
	if err := e.Sync(t.Context(), "", time.Time{}, true, false); err != nil {
		t.Fatal(err)
	}
	if got := e.state("po_old"); got != stripe.PayoutPaid {
		t.Errorf("the other payout is %s", got)
	}
	if err := e.Read(t.Context(), "", "po_old"); err != nil {
		t.Error(err)
	}
}
