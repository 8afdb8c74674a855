package stripe

import (
	"net/http"
	"strconv"
	"time"
)

// maxAdvice bounds how long an answer can make us wait.
const maxAdvice = time.Minute

// advice has the headers of an answer that matter for retries. stripe-go drops them when it cannot read the body.
type advice struct {
	status int
	// retryAfter is the Retry-After header; zero when it is missing.
	retryAfter time.Duration
	// shouldRetry is the Stripe-Should-Retry header. It overrides what the status suggests.
	shouldRetry string
	// replayed is the Idempotent-Replayed header: the answer is that of an earlier call under the same idempotency key.
	replayed bool
}

func adviceOf(resp *http.Response) advice {
	a := advice{
		status: resp.StatusCode, shouldRetry: resp.Header.Get("Stripe-Should-Retry"),
		replayed: resp.Header.Get("Idempotent-Replayed") == "true",
	}
	if seconds, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && seconds > 0 {
		a.retryAfter = min(time.Duration(seconds)*time.Second, maxAdvice)
	}
	return a
}

type adviceKey struct{}

// adviceRecorder records the headers of an answer for [classify], also when the body of an error is not JSON, such as a
// proxy's.
type adviceRecorder struct{ next http.RoundTripper }

func (t adviceRecorder) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := t.next.RoundTrip(r)
	if adv, ok := r.Context().Value(adviceKey{}).(*advice); ok && resp != nil {
		*adv = adviceOf(resp)
	}
	return resp, err
}
