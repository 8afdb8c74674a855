package stripe

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	stripego "github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-go/v76/form"

	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

// APIVersion is the version that requests are made in and answers are read in. Events may come in
// another one: then their object is to be read again through the client.
const APIVersion = stripego.APIVersion

// defaultTimeout is below the ten seconds in which a donor gets an answer; stripe-go's own is 80 s.
const defaultTimeout = 7 * time.Second

// Config of [New].
type Config struct {
	// APIKey is a secret or restricted key: sk_live_…, rk_live_…, sk_test_… or rk_test_…. While keys are rolled
	// it is several of one mode and one account, comma-separated: the first is used until Stripe knows it no more
	// (401), then the next.
	APIKey string
	// Fits, when set, is asked about a key, by a client that uses it alone, before it takes the place of one that Stripe
	// does not know any more. After an error it does not.
	Fits func(ctx context.Context, key *Client) error
	// BaseURL is where the API is; Stripe's own when empty.
	BaseURL string
	// Timeout bounds each call, its answer's body included; 7 s when zero.
	Timeout time.Duration
	// Pause is how long an account's calls are kept back after several in a row went unanswered; 10 s when zero.
	Pause time.Duration
	// Rate is how many calls a second are made at most. When zero: what Stripe's limit for the key's mode
	// allows, and practically any number of a simulator, which is what BaseURL says.
	Rate float64
	// Metrics is where the collectors are registered; nowhere when nil.
	Metrics prometheus.Registerer
}

// Client calls Stripe. It is safe for concurrent use.
type Client struct {
	backend  stripego.Backend
	budget   *budget
	breakers *breakers
	calls    *prometheus.CounterVec
	live     bool
	keys     []string
	// key is the one of keys that is used now.
	key  *atomic.Int32
	fits func(ctx context.Context, key *Client) error
}

// New returns a client. It fails when a key is not of a known form, or of another mode than the first, and
// never prints it.
func New(cfg Config) (*Client, error) {
	keys := strings.Split(cfg.APIKey, ",")
	var live bool
	for i, key := range keys {
		keys[i] = strings.TrimSpace(key)
		mode, err := liveKey(keys[i])
		if err != nil {
			return nil, err
		}
		if i > 0 && mode != live {
			return nil, fmt.Errorf("stripe: the keys must be of one mode")
		}
		live = mode
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = defaultTimeout
	}
	if cfg.BaseURL == "" {
		cfg.BaseURL = stripego.APIURL
	}
	limits := newBudget(testRate, testBurst)
	switch {
	case cfg.Rate > 0:
		limits = newBudget(cfg.Rate, max(int(cfg.Rate*testBurst/testRate), 1))
	case cfg.BaseURL != stripego.APIURL:
		limits = newBudget(unlimited, unlimited)
	case live:
		limits = newBudget(liveRate, liveBurst)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	// All calls go to one host, and Go keeps two idle connections to a host unless told.
	transport.MaxIdleConnsPerHost = 16
	return &Client{
		backend: stripego.GetBackendWithConfig(stripego.APIBackend, &stripego.BackendConfig{
			EnableTelemetry: stripego.Bool(false),
			HTTPClient: &http.Client{
				Transport: adviceRecorder{transport},
				Timeout:   cfg.Timeout,
				// The API never redirects; a proxy that does must not get the key.
				CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
			},
			// At LevelDebug stripe-go would print whole bodies.
			LeveledLogger:     &stripego.LeveledLogger{Level: stripego.LevelNull},
			MaxNetworkRetries: stripego.Int64(0),
			URL:               stripego.String(cfg.BaseURL),
		}),
		budget:   limits,
		breakers: &breakers{openFor: cmp.Or(cfg.Pause, openFor)},
		calls:    newCalls(cfg.Metrics),
		live:     live,
		keys:     keys,
		key:      new(atomic.Int32),
		fits:     cfg.Fits,
	}, nil
}

// Livemode tells whether the key moves real money.
func (c *Client) Livemode() bool { return c.live }

// Restricted tells whether the key that is used now is one that may do only what was allowed to it.
func (c *Client) Restricted() bool { return strings.HasPrefix(c.keys[c.key.Load()], "rk_") }

// EachKey returns a client for each key, which uses that one alone, to check them: they share all else.
func (c *Client) EachKey() []*Client {
	clients := make([]*Client, len(c.keys))
	for i, key := range c.keys {
		alone := *c
		alone.keys, alone.key = []string{key}, new(atomic.Int32)
		clients[i] = &alone
	}
	return clients
}

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

// call makes the request and decodes a good answer into result, which embeds stripego.APIResource. A key that
// Stripe does not know any more is replaced by the next: what it refuses so was not executed. A call from inside a
// database transaction is not made.
func (c *Client) call(ctx context.Context, r request, result stripego.LastResponseSetter) error {
	if postgres.InTransaction(ctx) {
		return errs.Internal(fmt.Errorf("%s %s is called inside a database transaction", r.method, r.path))
	}
	for {
		at := c.key.Load()
		heard, err := c.breakers.guard(ctx, r.account, func() (advice, error) { return c.callWith(ctx, c.keys[at], r, result) })
		c.calls.WithLabelValues(outcome(err, heard)).Inc()
		if err == nil {
			return nil
		}
		next := c.after(ctx, at, heard)
		if next == at {
			failed := classify(err, heard)
			if failed.Kind == Throttled && failed.Code != codeLockTimeout {
				c.budget.throttled(time.Now(), heard.retryAfter)
			}
			return failed
		}
		c.key.CompareAndSwap(at, next)
	}
}

// after returns the key that takes the place of one after an answer: the next one that fits, or itself.
func (c *Client) after(ctx context.Context, at int32, heard advice) int32 {
	if heard.status != http.StatusUnauthorized {
		return at
	}
	for i, key := range c.EachKey()[at+1:] {
		if c.fits == nil || c.fits(ctx, key) == nil {
			return at + 1 + int32(i)
		}
	}
	return at
}

func (c *Client) callWith(ctx context.Context, key string, r request, result stripego.LastResponseSetter) (advice, error) {
	if err := c.budget.wait(ctx, r.method, r.path); err != nil {
		return advice{}, fmt.Errorf("%w: %w", errNoTurn, err)
	}
	heard := new(advice)
	params := &stripego.Params{
		Context: context.WithValue(ctx, adviceKey{}, heard),
		Headers: http.Header{"X-Stripe-Client-User-Agent": {userAgent}},
	}
	if r.account != "" {
		params.StripeAccount = &r.account
	}
	if r.idempotencyKey != "" {
		params.IdempotencyKey = &r.idempotencyKey
	}
	err := c.backend.CallRaw(r.method, r.path, key, r.body, params, result)
	return *heard, err
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

// Clock returns Stripe's time, by the head of an answer to the account's own reading, and ours at that moment.
// It is an error when none came.
func (c *Client) Clock(ctx context.Context) (theirs, ours time.Time, err error) {
	var answer struct{ stripego.APIResource }
	err = c.get(ctx, "", "/v1/events", query("limit", "1"), &answer)
	ours = time.Now()
	if answer.LastResponse != nil {
		if theirs, parseErr := http.ParseTime(answer.LastResponse.Header.Get("Date")); parseErr == nil {
			return theirs, ours, nil
		}
	}
	if err == nil {
		err = errors.New("stripe: the answer bears no date")
	}
	return time.Time{}, ours, err
}
