package webhooks

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/cagnotte/cagnotte/services/campaigns"
	"github.com/cagnotte/cagnotte/services/donations"
	"github.com/cagnotte/cagnotte/services/internal/stripesim"
	"github.com/cagnotte/cagnotte/services/money"
)

func intent(name campaigns.Name) donations.Intent {
	return donations.Intent{
		Campaign: name, RequestID: uuid.New(), Amount: money.Amount{Minor: 20_00, Currency: money.EUR},
	}
}

// foreignSession opens a session of 5 € on the platform's account as another product would.
func foreignSession(t *testing.T, e *env, donation string) string {
	t.Helper()
	form := url.Values{
		"mode": {"payment"}, "success_url": {"https://shop.example"},
		"line_items[0][quantity]":                       {"1"},
		"line_items[0][price_data][currency]":           {"eur"},
		"line_items[0][price_data][unit_amount]":        {"500"},
		"line_items[0][price_data][product_data][name]": {"A poster"},
		"payment_intent_data[metadata][donation]":       {donation},
		"metadata[donation]":                            {donation},
	}
	req := httptest.NewRequest(http.MethodPost, "http://stripe.test/v1/checkout/sessions", strings.NewReader(form.Encode()))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Authorization", "Bearer sk_test_simulated")
	req.Header.Set("Stripe-Version", stripesim.Version)
	w := httptest.NewRecorder()
	e.sim.Handler().ServeHTTP(w, req)
	var answer struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || answer.ID == "" {
		t.Fatalf("no session: %s", w.Body)
	}
	return answer.ID
}

// measured returns the sum of a gauge or counter.
func measured(t *testing.T, c prometheus.Collector) (sum float64) {
	t.Helper()
	registry := prometheus.NewRegistry()
	registry.MustRegister(c)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			sum += m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	return sum
}
