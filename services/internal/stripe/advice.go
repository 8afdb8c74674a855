package stripe

import (
	"net/http"
	"strconv"
	"time"
)

// maxAdvice bounds how long an answer can make us wait.
const maxAdvice = time.Minute

// advice is what an answer's head says: stripe-go keeps none of it for an answer whose body it cannot read.
type advice struct {
	status int
	// retryAfter is the Retry-After header in seconds; zero when it is not there.
	retryAfter time.Duration
	// shouldRetry is the Stripe-Should-Retry header: Stripe knows better than the status.
	shouldRetry string
	// replayed is the Idempotent-Replayed header: the answer was given before, under the same idempotency key.
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

// adviceRecorder notes the head of an answer for [classify]: when the body of an error is not JSON, as a
// proxy's is not, stripe-go forgets it.
type adviceRecorder struct{ next http.RoundTripper }

func (t adviceRecorder) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := t.next.RoundTrip(r)
	if heard, ok := r.Context().Value(adviceKey{}).(*advice); ok && resp != nil {
		*heard = adviceOf(resp)
	}
	return resp, err
}
