package donations

import (
	"net/http"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/stripe"
	"github.com/cagnotte/cagnotte/services/internal/stripesim"
	"github.com/cagnotte/cagnotte/services/wall"
)

// posts returns how often Stripe was asked for a session.
func (e *env) posts() (n int) {
	for _, r := range e.sim.Requests() {
		if r.Method == http.MethodPost && r.Path == "/v1/checkout/sessions" {
			n++
		}
	}
	return n
}

// Repeats of a request id are not limited, so none may be a call to Stripe.
func TestRepeatsAreNoCallsToStripe(t *testing.T) {
	for name, fault := range map[string]stripesim.Fault{
		"refused":            {Status: 403},
		"failed":             {Status: 500},
		"throttled":          {Status: 429},
		"no answer":          {Reset: true},
		"the answer is lost": {LoseReply: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEnv(t, wall.Limits{Near: wall.Network{Soft: 1, Hard: 1, Interval: time.Hour}})
			e.clock.Freeze()
			// The donation's pauses are by the test's clock; the client's own would be by the machine's.
			var err error
			e.donations.cfg.Stripe, err = stripe.New(stripe.Config{
				APIKey: "sk_test_simulated", BaseURL: e.stripeURL, Timeout: time.Second, Pause: time.Nanosecond,
			})
			if err != nil {
				t.Fatal(err)
			}
			fault.Method, fault.PathPrefix = "POST", "/v1/checkout/sessions"
			e.sim.AddFault(fault)
			in := intent()
			if _, err := e.donations.Create(t.Context(), in); err == nil {
				t.Fatal("no error")
			}
			for try, wait := range []time.Duration{2, 4, 8, 16, 32, 64, 128, 256, 300, 300} {
				wait *= time.Second
				// A broken connection can be two requests: Go repeats by itself what has an idempotency key.
				before := e.posts()
				for range 10 {
					_, err := e.donations.Create(t.Context(), in)
					if got := wantReason(t, err, errorsv1.ErrorReason_STRIPE_UNAVAILABLE); got.RetryAfter != wait {
						t.Errorf("after %d failures: wait %v, want %v", try+1, got.RetryAfter, wait)
					}
				}
				if n := e.posts() - before; n != 0 {
					t.Fatalf("%d calls to Stripe in the pause after %d failures", n, try+1)
				}
				e.clock.Advance(wait)
				if _, err := e.donations.Create(t.Context(), in); err == nil {
					t.Fatal("no error")
				}
				if e.posts() == before {
					t.Fatalf("not tried again after %v", wait)
				}
			}
			e.sim.ClearFaults()
			e.clock.Advance(longestRetry)
			if d := e.create(in); d.PayableURL(e.clock.Now()) == "" {
				t.Errorf("donation = %+v", d)
			}
			if n := len(e.sim.Sessions("")); n != 1 {
				t.Errorf("%d sessions", n)
			}
		})
	}
}

func TestOneOfManyEqualRequestsCallsStripe(t *testing.T) {
	e := newEnv(t)
	e.sim.AddFault(stripesim.Fault{Method: "POST", Delay: 800 * time.Millisecond})
	in := intent()
	var running sync.WaitGroup
	for range 50 {
		running.Go(func() {
			if _, err := e.patiently(in); err != nil {
				t.Error(err)
			}
		})
	}
	running.Wait()
	if n := e.posts(); n != 1 {
		t.Errorf("%d calls to Stripe, want 1", n)
	}
}

// patiently is Create by a caller that tries again while others wait for the same donation.
func (e *env) patiently(in Intent) (Donation, error) {
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		d, err := e.donations.Create(e.t.Context(), in)
		if errs.Code(err) != codes.Unavailable || time.Now().After(deadline) {
			return d, err
		}
	}
}

func TestFewOfManyEqualRequestsWait(t *testing.T) {
	e := newEnv(t)
	e.sim.AddFault(stripesim.Fault{Method: "POST", Status: 503})
	in := intent()
	_, err := e.donations.Create(t.Context(), in)
	wantReason(t, err, errorsv1.ErrorReason_STRIPE_UNAVAILABLE)
	e.sim.ClearFaults()
	e.clock.Advance(firstRetry)
	d, err := e.donations.byRequest(t.Context(), vallon, in.RequestID)
	if err != nil {
		t.Fatal(err)
	}
	// So many wait already.
	leave, ok := e.donations.waiting.Take(t.Context(), d.ID.String(), maxWaiting)
	if !ok {
		t.Fatal("nobody can wait")
	}
	before := e.posts()
	for range 3 {
		_, err := e.donations.Create(t.Context(), in)
		if told := wantReason(t, err, errorsv1.ErrorReason_STRIPE_UNAVAILABLE); told.RetryAfter <= 0 {
			t.Errorf("told to wait %v", told.RetryAfter)
		}
	}
	if n := e.posts() - before; n != 0 {
		t.Errorf("%d calls to Stripe", n)
	}
	e.create(intent()) // another donation is not kept waiting
	leave()
	e.create(in)
}

// A call that the circuit breaker held back was no failure of the donation, whose pause stays short.
func TestACallThatWasNotMadeIsNoFailure(t *testing.T) {
	e := newEnv(t)
	e.sim.AddFault(stripesim.Fault{Method: "POST", Status: 503})
	for range 5 {
		_, err := e.donations.Create(t.Context(), intent())
		wantReason(t, err, errorsv1.ErrorReason_STRIPE_UNAVAILABLE)
	}
	in, before := intent(), e.posts()
	for range 4 {
		_, err := e.donations.Create(t.Context(), in)
		wantReason(t, err, errorsv1.ErrorReason_STRIPE_UNAVAILABLE)
		e.clock.Advance(firstRetry)
	}
	if n := e.posts() - before; n != 0 {
		t.Errorf("%d calls reached Stripe behind its back", n)
	}
	d, err := e.donations.byRequest(t.Context(), vallon, in.RequestID)
	if err != nil {
		t.Fatal(err)
	}
	if d.failures != 0 {
		t.Errorf("%d failures are noted of a donation that Stripe never got", d.failures)
	}
}

func TestAStuckCallIsRepeatedTwice(t *testing.T) {
	e := newEnv(t)
	e.sim.AddFault(stripesim.Fault{Method: "POST", Status: 409, Code: "idempotency_key_in_use"})
	in := intent()
	for range 3 {
		_, err := e.donations.Create(t.Context(), in)
		wantReason(t, err, errorsv1.ErrorReason_STRIPE_UNAVAILABLE)
	}
	if n := e.posts(); n != 1+busyTries {
		t.Errorf("%d calls to Stripe, want %d", n, 1+busyTries)
	}
}

func TestEqualRequestsLearnOfAFailureAtOnce(t *testing.T) {
	e := newEnv(t)
	e.sim.AddFault(stripesim.Fault{Method: "POST", Delay: 300 * time.Millisecond, Status: 503})
	in := intent()
	start := time.Now()
	var running sync.WaitGroup
	for range 5 {
		running.Go(func() {
			_, err := e.donations.Create(t.Context(), in)
			wantReason(t, err, errorsv1.ErrorReason_STRIPE_UNAVAILABLE)
		})
	}
	running.Wait()
	if took := time.Since(start); took > createBudget/2 || e.posts() != 1 {
		t.Errorf("took %v and %d calls", took, e.posts())
	}
}

// A program that is killed in its turn blocks the donation no longer than the turn.
func TestATurnEndsWithoutItsOwner(t *testing.T) {
	e := newEnv(t)
	in := intent()
	e.sim.AddFault(stripesim.Fault{Method: "POST", Status: 503})
	if _, err := e.donations.Create(t.Context(), in); err == nil {
		t.Fatal("no error")
	}
	e.sim.ClearFaults()
	e.clock.Advance(firstRetry)
	d, err := e.donations.byRequest(t.Context(), vallon, in.RequestID)
	if err != nil {
		t.Fatal(err)
	}
	if _, mine, err := e.donations.takeTurn(t.Context(), d.ID); err != nil || !mine {
		t.Fatalf("nobody has the turn: %v", err)
	}
	if _, mine, err := e.donations.takeTurn(t.Context(), d.ID); err != nil || mine {
		t.Fatalf("two have the turn: %v", err)
	}
	e.clock.Advance(turnLength)
	e.create(in)
}
