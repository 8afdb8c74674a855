package stripe

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	stripego "github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-go/v76/form"
)

// APIVersion is the version that requests are made in and answers are read in. Events may come in
// another one: then their object is to be read again through the client.
const APIVersion = stripego.APIVersion

// defaultTimeout is below the ten seconds in which a donor gets an answer; stripe-go's own is 80 s.
const defaultTimeout = 7 * time.Second

// Config of [New].
type Config struct {
	// APIKey is a secret or restricted key: sk_live_…, rk_live_…, sk_test_… or rk_test_….
	APIKey string
	// BaseURL is where the API is; Stripe's own when empty.
	BaseURL string
	// Timeout bounds each call, its answer's body included; 7 s when zero.
	Timeout time.Duration
}

// Client calls Stripe. It is safe for concurrent use.
type Client struct {
	backend stripego.Backend
	key     string
	live    bool
}

// New returns a client. It fails when the key is not of a known form, and never prints it.
func New(cfg Config) (*Client, error) {
	live, err := liveKey(cfg.APIKey)
	if err != nil {
		return nil, err
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = defaultTimeout
	}
	if cfg.BaseURL == "" {
		cfg.BaseURL = stripego.APIURL
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	// All calls go to one host, and Go keeps two idle connections to a host unless told.
	transport.MaxIdleConnsPerHost = 16
	return &Client{
		backend: stripego.GetBackendWithConfig(stripego.APIBackend, &stripego.BackendConfig{
			EnableTelemetry: stripego.Bool(false),
			HTTPClient: &http.Client{
				Transport: statusRecorder{transport},
				Timeout:   cfg.Timeout,
				// The API never redirects; a proxy that does must not get the key.
				CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
			},
			// At LevelDebug stripe-go would print whole bodies.
			LeveledLogger:     &stripego.LeveledLogger{Level: stripego.LevelNull},
			MaxNetworkRetries: stripego.Int64(0),
			URL:               stripego.String(cfg.BaseURL),
		}),
		key:  cfg.APIKey,
		live: live,
	}, nil
}

// Livemode tells whether the key moves real money.
func (c *Client) Livemode() bool { return c.live }

func liveKey(key string) (live bool, err error) {
	kind, rest, _ := strings.Cut(key, "_")
	mode, _, _ := strings.Cut(rest, "_")
	if (kind != "sk" && kind != "rk") || (mode != "live" && mode != "test") {
		return false, fmt.Errorf("stripe: the key must begin with sk_live_, rk_live_, sk_test_ or rk_test_")
	}
	return mode == "live", nil
}

// userAgent replaces the one of stripe-go, which tells the machine's name and kernel.
const userAgent = `{"bindings_version":"` + stripego.ClientVersion + `","lang":"go","publisher":"stripe"}`

// request is one call: path with the leading /v1, body as Stripe's form encoding.
type request struct {
	method, path, account, idempotencyKey string
	body                                  *form.Values
}

// call makes the request and decodes a good answer into result, which embeds stripego.APIResource.
func (c *Client) call(ctx context.Context, r request, result stripego.LastResponseSetter) error {
	status := new(int)
	params := &stripego.Params{
		Context: context.WithValue(ctx, statusKey{}, status),
		Headers: http.Header{"X-Stripe-Client-User-Agent": {userAgent}},
	}
	if r.account != "" {
		params.StripeAccount = &r.account
	}
	if r.idempotencyKey != "" {
		params.IdempotencyKey = &r.idempotencyKey
	}
	if err := c.backend.CallRaw(r.method, r.path, c.key, r.body, params, result); err != nil {
		return classify(err, *status)
	}
	return nil
}

func (c *Client) get(ctx context.Context, account, path string, query *form.Values, result stripego.LastResponseSetter) error {
	return c.call(ctx, request{method: http.MethodGet, path: path, account: account, body: query}, result)
}

// query builds form values from pairs of name and value.
func query(pairs ...string) *form.Values {
	values := &form.Values{}
	for i := 0; i < len(pairs); i += 2 {
		values.Add(pairs[i], pairs[i+1])
	}
	return values
}

type statusKey struct{}

// statusRecorder notes the status of an answer for [classify]: when the body of an error is not JSON,
// as a proxy's is not, stripe-go forgets it.
type statusRecorder struct{ next http.RoundTripper }

func (t statusRecorder) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := t.next.RoundTrip(r)
	if status, ok := r.Context().Value(statusKey{}).(*int); ok && resp != nil {
		*status = resp.StatusCode
	}
	return resp, err
}
