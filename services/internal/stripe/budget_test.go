package stripe

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/cagnotte/cagnotte/services/internal/errs"
)

// In no second may more calls leave than Stripe's limit, however they come.
func TestTheBudgetStaysBelowTheLimit(t *testing.T) {
	for name, c := range map[string]struct {
		rate, burst, limit int
	}{"test": {testRate, testBurst, 25}, "live": {liveRate, liveBurst, 100}} {
		t.Run(name, func(t *testing.T) {
			b := newBudget(float64(c.rate), c.burst)
			now := time.Unix(1_700_000_000, 0)
			var left []time.Time
			for i := range 500 {
				// A burst, a pause in which the bucket fills, and a burst again.
				if i == 250 {
					now = now.Add(time.Minute)
				}
				left = append(left, now.Add(b.all.ReserveN(now, 1).DelayFrom(now)))
			}
			slices.SortFunc(left, time.Time.Compare)
			for i := range left {
				if j := i + c.limit; j < len(left) && left[j].Sub(left[i]) < time.Second {
					t.Fatalf("more than %d calls within %v", c.limit, left[j].Sub(left[i]))
				}
			}
		})
	}
}

// Stripe counts each kind of call by itself too, 25 a second in live mode as in test mode.
func TestOneKindOfCallStaysBelowItsLimit(t *testing.T) {
	b := newBudget(liveRate, liveBurst)
	now := time.Unix(1_700_000_000, 0)
	sessions := b.of(http.MethodPost, "/v1/checkout/sessions")
	if b.of(http.MethodPost, "/v1/checkout/sessions/cs_1/expire") != sessions || b.of(http.MethodGet, "/v1/checkout/sessions/cs_1") == sessions {
		t.Error("kinds are mixed up")
	}
	within := 0
	for range 100 {
		if sessions.ReserveN(now, 1).DelayFrom(now) < time.Second {
			within++
		}
	}
	if within > 25 {
		t.Errorf("%d calls of one kind in a second", within)
	}
	if free := newBudget(unlimited, unlimited).of(http.MethodGet, "/v1/events"); free.Limit() != unlimited {
		t.Errorf("a simulator is called %v times a second", free.Limit())
	}
}

func TestBackgroundCallsLeaveTheLimitToDonors(t *testing.T) {
	b := newBudget(testRate, testBurst)
	now := time.Unix(1_700_000_000, 0)
	b.all.AllowN(now, testBurst) // donors took what there was
	if pause := b.holdBack(now); pause != 0 {
		t.Errorf("it waits %v for what it has for sure", pause)
	}
	if pause := b.holdBack(now); pause <= 0 {
		t.Error("it goes on while donors use the limit up")
	}
	if pause := b.holdBack(now.Add(time.Second)); pause != 0 {
		t.Errorf("it waits %v for what donors left", pause)
	}
	b.throttled(now, 3*time.Second)
	if pause := b.holdBack(now.Add(time.Second)); pause != 2*time.Second {
		t.Errorf("after a 429 that asked for three seconds it waits %v", pause)
	}
	if pause := b.holdBack(now.Add(4 * time.Second)); pause != 0 {
		t.Errorf("after the pause it waits %v", pause)
	}
}

func TestDonorsDoNotWaitForThePause(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"id":"cs_1"}`) })
	c.budget.throttled(time.Now(), time.Hour)
	if _, err := c.GetSession(t.Context(), "", "cs_1"); err != nil {
		t.Errorf("err = %v", err)
	}
}

func TestAKeyThatIsRolledIsReplacedByTheNext(t *testing.T) {
	known := "rk_test_old"
	var asked []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key := r.Header.Get("Authorization")[len("Bearer "):]
		asked = append(asked, key)
		if key != known {
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, `{"error":{"type":"invalid_request_error","message":"Expired API Key provided"}}`)
			return
		}
		_, _ = io.WriteString(w, `{"id":"cs_1"}`)
	}))
	t.Cleanup(server.Close)
	c, err := New(Config{APIKey: "rk_test_old, rk_test_new", BaseURL: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	ask := func() error { _, err := c.GetSession(t.Context(), "", "cs_1"); return err }
	if err := ask(); err != nil {
		t.Fatal(err)
	}
	known = "rk_test_new"
	for range 2 {
		if err := ask(); err != nil {
			t.Fatal(err)
		}
	}
	if want := []string{"rk_test_old", "rk_test_old", "rk_test_new", "rk_test_new"}; !slices.Equal(asked, want) {
		t.Errorf("asked with %v, want %v", asked, want)
	}
	known = ""
	if err := ask(); KindOf(err) != Unauthorized || !Unknown(err) {
		t.Errorf("with no key left: %v", err)
	}
	if _, err := New(Config{APIKey: "rk_test_a,rk_live_b"}); err == nil {
		t.Error("keys of two modes are taken")
	}
}

func TestAdviceOfAnAnswer(t *testing.T) {
	for name, c := range map[string]struct {
		status     int
		header     http.Header
		body       string
		kind       Kind
		retryAfter time.Duration
		pauses     bool
	}{
		"lock_timeout is about one object, not about the limit": {
			429,
			http.Header{"Stripe-Should-Retry": {"true"}},
			`{"error":{"type":"invalid_request_error","code":"lock_timeout"}}`, Throttled, retrySoon, false,
		},
		"rate_limit holds background work back": {
			429, http.Header{}, `{"error":{"type":"invalid_request_error","code":"rate_limit"}}`, Throttled, retrySoon, true,
		},
		"Retry-After is adv":     {429, http.Header{"Retry-After": {"7"}}, `slow down`, Throttled, 7 * time.Second, true},
		"Retry-After has an end": {503, http.Header{"Retry-After": {"86400"}}, ``, Failed, maxAdvice, false},
		"Stripe-Should-Retry knows better than the status": {
			400, http.Header{"Stripe-Should-Retry": {"true"}}, `{"error":{"type":"invalid_request_error"}}`, Throttled, retrySoon, true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			client := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				for k, v := range c.header {
					w.Header()[k] = v
				}
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, c.body)
			})
			_, err := client.GetSession(t.Context(), "", "cs_1")
			if KindOf(err) != c.kind || retryAfter(err) != c.retryAfter {
				t.Errorf("kind %d, retry after %v: %v", KindOf(err), retryAfter(err), err)
			}
			if paused := client.budget.holdBack(time.Now()) > 0; paused != c.pauses {
				t.Errorf("background work pauses: %v", paused)
			}
		})
	}
}

func retryAfter(err error) time.Duration {
	var e *errs.Error
	if !errors.As(err, &e) {
		return 0
	}
	return e.RetryAfter
}
