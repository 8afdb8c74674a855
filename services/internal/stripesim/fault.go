package stripesim

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

// Fault makes matching API requests fail. The zero value of a field means any, or no such failure.
type Fault struct {
	Method     string // for instance POST
	PathPrefix string // for instance /v1/checkout/sessions
	Times      int    // how many requests; 0: until ClearFaults

	// Status is answered instead of executing, with Type and Code. As Stripe documents, a 500 is stored under the
	// idempotency key. Any other status counts as refused before execution and is not stored, so the same key works
	// afterwards.
	Status int
	Code   string // default for 429: rate_limit
	Type   string // default api_error from 500 on, else invalid_request_error
	// Headers are added to the answer, for instance Stripe-Should-Retry or Retry-After.
	Headers map[string]string

	// Delay is wall time before the request is executed or refused. Meanwhile its idempotency key is in use.
	Delay time.Duration
	// Reset closes the connection before executing. Go's HTTP client repeats a request with an idempotency key by
	// itself when a reused connection breaks, so one reset may pass unnoticed.
	Reset bool
	// LoseReply executes, then closes the connection without an answer.
	LoseReply bool
}

// AddFault adds a failure. The oldest one that matches a request is used.
func (s *Sim) AddFault(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, &f)
}

// ClearFaults removes all failures.
func (s *Sim) ClearFaults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// takeFault returns the failure for the request and counts it as used; a zero Fault when there is none.
func (s *Sim) takeFault(r *http.Request) Fault {
	for i, f := range s.faults {
		if f.Method != "" && f.Method != r.Method || !strings.HasPrefix(r.URL.Path, f.PathPrefix) {
			continue
		}
		hit := *f
		if f.Times > 0 {
			if f.Times--; f.Times == 0 {
				s.faults = slices.Delete(s.faults, i, i+1)
			}
		}
		return hit
	}
	return Fault{}
}

func (f Fault) apiError() *apiError {
	e := &apiError{Status: f.Status, Type: f.Type, Code: f.Code, Message: "A simulated failure of the API."}
	if e.Type == "" {
		e.Type = typeInvalid
		if f.Status >= http.StatusInternalServerError {
			e.Type = typeAPI
		}
	}
	if e.Code == "" && f.Status == http.StatusTooManyRequests {
		e.Code = "rate_limit"
	}
	return e
}

// LockTimeout is Stripe's answer for an object that is in use: nothing was executed, and a retry makes sense.
// https://docs.stripe.com/rate-limits#object-lock-timeouts
func LockTimeout(pathPrefix string, times int) Fault {
	return Fault{
		PathPrefix: pathPrefix, Times: times, Status: http.StatusTooManyRequests, Code: "lock_timeout", Type: typeInvalid,
		Headers: map[string]string{"Stripe-Should-Retry": "true"},
	}
}
