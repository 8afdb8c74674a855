package webhooks

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
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
	return postSession(t, e, "", foreignForm(uuid.MustParse(donation), 5_00, false, true))
}

// foreignSessionOf opens a session on an account as its owner may, or another product, that names a donation.
func foreignSessionOf(t *testing.T, e *env, account string, donation uuid.UUID, minor int64, reference, metadata bool) string {
	t.Helper()
	return postSession(t, e, account, foreignForm(donation, minor, reference, metadata))
}

func foreignForm(donation uuid.UUID, minor int64, reference, metadata bool) url.Values {
	form := url.Values{
		"mode": {"payment"}, "success_url": {"https://shop.example"},
		"line_items[0][quantity]":                       {"1"},
		"line_items[0][price_data][currency]":           {"eur"},
		"line_items[0][price_data][unit_amount]":        {strconv.FormatInt(minor, 10)},
		"line_items[0][price_data][product_data][name]": {"A poster"},
	}
	if metadata {
		form.Set("payment_intent_data[metadata][donation]", donation.String())
		form.Set("metadata[donation]", donation.String())
	}
	if reference {
		form.Set("client_reference_id", donation.String())
	}
	return form
}

func postSession(t *testing.T, e *env, account string, form url.Values) string {
	t.Helper()
	req := httptest.NewRequest(http.MethodPost, "http://stripe.test/v1/checkout/sessions", strings.NewReader(form.Encode()))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Authorization", "Bearer sk_test_simulated")
	req.Header.Set("Stripe-Version", stripesim.Version)
	if account != "" {
		req.Header.Set("Stripe-Account", account)
	}
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

// paysFor makes a payment intent known as that of one of the donation's pages, which asked for so much in the donor's own
// currency; the zero Amount for none.
func (e *env) paysFor(d donations.Donation, intent string, asked money.Amount) {
	e.t.Helper()
	_, err := e.pool.Exec(e.t.Context(), `
		INSERT INTO donations.payments (donation, payment_intent_id, surplus, refunded_minor, paid_in_minor, refunded_in_minor, paid_in_currency)
		VALUES ($1, $2, false, 0, $3, 0, $4)`, d.ID, intent, asked.Minor, asked.Currency)
	if err != nil {
		e.t.Fatal(err)
	}
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
