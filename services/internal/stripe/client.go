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

// APIVersion is the API version of requests and answers. Events may come in another version; then their object has to
// be read again.
const APIVersion = stripego.APIVersion

// defaultTimeout is below the ten seconds within which a donor gets an answer. stripe-go's own default is 80 s.
const defaultTimeout = 7 * time.Second

// Config configures a [Client]. Only APIKey is required.
type Config struct {
	// APIKey is a secret or restricted key: sk_live_…, rk_live_…, sk_test_… or rk_test_…. While keys are rolled, it has
	// several of the same mode and account, comma-separated: the first is used until Stripe rejects it (401), then the
	// next.
	APIKey string
	// Fits decides whether a key may replace one that Stripe rejected. It is called with a client that uses that key
	// alone; after an error the key is not used. Default nil: every key fits.
	Fits func(ctx context.Context, key *Client) error
	// BaseURL is the address of the API. Default Stripe's own; another one is taken for a simulator.
	BaseURL string
	// Timeout bounds each call, including the body of the answer. Default 7 s.
	Timeout time.Duration
	// Pause is how long an account's calls stop after several in a row stayed unanswered. Default 10 s.
	Pause time.Duration
	// Rate is the most calls a second. Default: below Stripe's limit for the key's mode; practically unlimited for a
	// simulator.
	Rate float64
	// Metrics is where the collectors are registered. Default nil: nowhere.
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
	// key is the index of the key in use.
	key  *atomic.Int32
	fits func(ctx context.Context, key *Client) error
}

// New returns a client. It fails when a key has an unknown form or another mode than the first. The error never
// contains the key.
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
	// All calls go to one host. Go's default is two idle connections to a host.
	transport.MaxIdleConnsPerHost = 16
	return &Client{
		backend: stripego.GetBackendWithConfig(stripego.APIBackend, &stripego.BackendConfig{
			EnableTelemetry: stripego.Bool(false),
			HTTPClient: &http.Client{
				Transport: adviceRecorder{transport},
				Timeout:   cfg.Timeout,
				// The API never redirects. A proxy that does must not get the key.
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

// Livemode reports whether the key moves real money.
func (c *Client) Livemode() bool { return c.live }

// Restricted reports whether the key in use is a restricted one.
func (c *Client) Restricted() bool { return strings.HasPrefix(c.keys[c.key.Load()], "rk_") }

// EachKey returns a client for each key, to check the keys. The clients share everything else.
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

// userAgent replaces stripe-go's, which tells the machine's name and kernel.
const userAgent = `{"bindings_version":"` + stripego.ClientVersion + `","lang":"go","publisher":"stripe"}`

// request is one call. path begins with /v1; body is in Stripe's form encoding.
type request struct {
	method, path, account, idempotencyKey string
	body                                  *form.Values
}

// call makes the request and decodes a good answer into result, which embeds stripego.APIResource. After a 401 the next
// key is tried, because Stripe executed nothing. Inside a database transaction no call is made, and it returns an
// error.
func (c *Client) call(ctx context.Context, r request, result stripego.LastResponseSetter) error {
	if postgres.InTransaction(ctx) {
		return errs.Internal(fmt.Errorf("%s %s is called inside a database transaction", r.method, r.path))
	}
	for {
		at := c.key.Load()
		adv, err := c.breakers.guard(ctx, r.account, func() (advice, error) { return c.callWith(ctx, c.keys[at], r, result) })
		c.calls.WithLabelValues(outcome(err, adv)).Inc()
		if err == nil {
			return nil
		}
		next := c.after(ctx, at, adv)
		if next == at {
			failed := classify(err, adv)
			if failed.Kind == Throttled && failed.Code != codeLockTimeout {
				c.budget.throttled(time.Now(), adv.retryAfter)
			}
			return failed
		}
		c.key.CompareAndSwap(at, next)
	}
}

// after returns the key that replaces the one at after an answer: the next one that fits, or the same.
func (c *Client) after(ctx context.Context, at int32, adv advice) int32 {
	if adv.status != http.StatusUnauthorized {
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
	adv := new(advice)
	params := &stripego.Params{
		Context: context.WithValue(ctx, adviceKey{}, adv),
		Headers: http.Header{"X-Stripe-Client-User-Agent": {userAgent}},
	}
	if r.account != "" {
		params.StripeAccount = &r.account
	}
	if r.idempotencyKey != "" {
		params.IdempotencyKey = &r.idempotencyKey
	}
	err := c.backend.CallRaw(r.method, r.path, key, r.body, params, result)
	return *adv, err
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

// Clock returns Stripe's time, from the Date header of an answer, and ours at that moment. It fails when there is no
// answer.
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
		err = errors.New("stripe: the answer has no Date header")
	}
	return time.Time{}, ours, err
}
