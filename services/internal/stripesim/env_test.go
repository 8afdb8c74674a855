package stripesim_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cagnotte/cagnotte/services/internal/stripesim"
	"github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-go/v76/client"
	"github.com/stripe/stripe-go/v76/webhook"
)

const (
	testKey   = "sk_test_simulated"
	connected = "acct_1Connected0000"
	secret    = "whsec_platform"
)

// start runs a simulator behind a real HTTP server until the test ends.
func start(t *testing.T, cfg stripesim.Config) (*stripesim.Sim, *client.API) {
	t.Helper()
	sim, url := serve(t, cfg)
	return sim, newClient(url, testKey, 0)
}

func serve(t *testing.T, cfg stripesim.Config) (*stripesim.Sim, string) {
	t.Helper()
	if cfg.RetryBase == 0 {
		cfg.RetryBase = time.Millisecond
	}
	sim, err := stripesim.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(sim.Handler())
	t.Cleanup(func() {
		server.Close()
		if err := sim.Close(t.Context()); err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	return sim, server.URL
}

// newClient returns the real client, which repeats a failed request up to retries times.
func newClient(url, key string, retries int64) *client.API {
	return client.New(key, &stripe.Backends{
		API: stripe.GetBackendWithConfig(stripe.APIBackend, &stripe.BackendConfig{
			URL:               stripe.String(url),
			MaxNetworkRetries: stripe.Int64(retries),
			LeveledLogger:     &stripe.LeveledLogger{},
			HTTPClient:        &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{}},
		}),
	})
}

// donation is what Cagnotte sends for a donation of so many cents.
func donation(amountMinor int64) *stripe.CheckoutSessionParams {
	p := &stripe.CheckoutSessionParams{
		Mode:              stripe.String("payment"),
		SuccessURL:        stripe.String("https://don.example/merci?session={CHECKOUT_SESSION_ID}"),
		CancelURL:         stripe.String("https://don.example/c/vallon/cameras"),
		ClientReferenceID: stripe.String("0198c0de-0000-7000-8000-000000000001"),
		SubmitType:        stripe.String("donate"),
		Locale:            stripe.String("fr"),
		LineItems: []*stripe.CheckoutSessionLineItemParams{{
			Quantity: stripe.Int64(1),
			PriceData: &stripe.CheckoutSessionLineItemPriceDataParams{
				Currency:   stripe.String("eur"),
				UnitAmount: stripe.Int64(amountMinor),
				ProductData: &stripe.CheckoutSessionLineItemPriceDataProductDataParams{
					Name: stripe.String("Vallon contre caméras"),
				},
			},
		}},
		PaymentIntentData: &stripe.CheckoutSessionPaymentIntentDataParams{
			Metadata: map[string]string{"donation": "d1"},
		},
	}
	p.AddMetadata("cagnotte", "session")
	return p
}

func create(t *testing.T, api *client.API, p *stripe.CheckoutSessionParams) *stripe.CheckoutSession {
	t.Helper()
	se, err := api.CheckoutSessions.New(p)
	if err != nil {
		t.Fatal(err)
	}
	return se
}

func pay(t *testing.T, sim *stripesim.Sim, session string) {
	t.Helper()
	if err := sim.Pay(session, stripesim.CardOK); err != nil {
		t.Fatal(err)
	}
}

// stripeError returns the error as the client parsed it.
func stripeError(t *testing.T, err error) *stripe.Error {
	t.Helper()
	var e *stripe.Error
	if !errors.As(err, &e) {
		t.Fatalf("got %v, want an error of Stripe's", err)
	}
	return e
}

// receiver is a webhook endpoint that verifies what it gets with stripe-go's own code.
type receiver struct {
	t      *testing.T
	secret string
	server *httptest.Server

	mu     sync.Mutex
	got    []stripe.Event
	answer func(n int) int // status for the n-th request; nil: 200
	seen   int
}

func receive(t *testing.T, secret string, answer func(n int) int) *receiver {
	r := &receiver{t: t, secret: secret, answer: answer}
	r.server = httptest.NewServer(r)
	t.Cleanup(r.server.Close)
	return r
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		r.t.Error(err)
	}
	e, err := webhook.ConstructEvent(body, req.Header.Get("Stripe-Signature"), r.secret)
	if err != nil {
		r.t.Errorf("the signature was not accepted: %v", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	status := http.StatusOK
	if r.answer != nil {
		status = r.answer(r.seen)
	}
	r.seen++
	if status == http.StatusOK {
		r.got = append(r.got, e)
	}
	if status == http.StatusFound {
		w.Header().Set("Location", "/elsewhere")
	}
	w.WriteHeader(status)
}

func (r *receiver) events() []stripe.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]stripe.Event(nil), r.got...)
}

func (r *receiver) types() string {
	var types []string
	for _, e := range r.events() {
		types = append(types, string(e.Type))
	}
	return strings.Join(types, " ")
}

func (r *receiver) endpoint() stripesim.Endpoint {
	return stripesim.Endpoint{URL: r.server.URL, Secret: r.secret}
}

func waitDelivered(t *testing.T, sim *stripesim.Sim) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := sim.WaitDelivered(ctx); err != nil {
		t.Fatal(err)
	}
}

const donationEvents = "payment_intent.created charge.succeeded payment_intent.succeeded checkout.session.completed"
