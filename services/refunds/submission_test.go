package refunds

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc/codes"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/pgtest"
	"github.com/cagnotte/cagnotte/services/internal/stripe"
	"github.com/cagnotte/cagnotte/services/internal/stripesim"
)

func TestRefusalReasons(t *testing.T) {
	for what, c := range map[string]struct {
		err  error
		want string
	}{
		"a dispute":                   {&stripe.Error{Kind: stripe.Refused, Status: 400, Code: "charge_disputed"}, "DONATION_DISPUTED"},
		"nothing left":                {&stripe.Error{Kind: stripe.Refused, Status: 400, Code: "charge_already_refunded"}, "ALREADY_REFUNDED"},
		"too much":                    {&stripe.Error{Kind: stripe.Refused, Status: 400, Param: "amount"}, "REFUND_TOO_LARGE"},
		"no money":                    {&stripe.Error{Kind: stripe.Refused, Status: 400, Code: "balance_insufficient"}, "BALANCE_INSUFFICIENT"},
		"a disconnected account":      {&stripe.Error{Kind: stripe.Refused, Status: 403, Code: "account_invalid"}, "STRIPE_ACCOUNT_DISCONNECTED"},
		"something else":              {&stripe.Error{Kind: stripe.Refused, Status: 400}, "REFUSED_BY_STRIPE"},
		"a payment that is not there": {&stripe.Error{Kind: stripe.Missing, Status: 404}, "REFUSED_BY_STRIPE"},
		"a key that may not":          {&stripe.Error{Kind: stripe.Refused, Status: 403, Code: "more_permissions_required"}, ""},
		"a wrong key":                 {&stripe.Error{Kind: stripe.Unauthorized, Status: 401}, ""},
		"a failure":                   {&stripe.Error{Kind: stripe.Failed, Status: 500}, ""},
		"a lost answer":               {&stripe.Error{Kind: stripe.Lost}, ""},
		"our own trouble":             {errors.New("no database"), ""},
	} {
		if got := refusal(c.err); got != c.want {
			t.Errorf("%s is %q, want %q", what, got, c.want)
		}
	}
}

func TestConcurrentSubmissionsMakeOneRefund(t *testing.T) {
	e := newEnv(t)
	d, charge := e.paid()
	r := e.refund(requestFor(d, 5_00))
	var sending sync.WaitGroup
	for range 6 {
		sending.Go(func() {
			// Who finds the call of another under way tries again.
			for e.refunds.Submit(t.Context(), r.ID) != nil {
				time.Sleep(time.Millisecond)
			}
		})
	}
	sending.Wait()
	e.refundIs(r.ID, StateSucceeded)
	if all := e.sim.Refunds(""); len(all) != 1 || all[0].AmountMinor != 5_00 || all[0].ChargeID != charge {
		t.Errorf("at Stripe: %+v", all)
	}
	keys := map[string]bool{}
	for _, q := range e.sim.Requests() {
		if q.Method == "POST" && q.Path == "/v1/refunds" {
			keys[q.IdempotencyKey] = true
		}
	}
	if len(keys) != 1 {
		t.Errorf("%d keys", len(keys))
	}
}

func TestARepeatedFailureNeedsAnotherKey(t *testing.T) {
	e := newEnv(t)
	d, _ := e.paid()
	r := e.refund(requestFor(d, 5_00))
	e.sim.AddFault(stripesim.Fault{Method: "POST", PathPrefix: "/v1/refunds", Times: 1, Status: 500})
	for attempt := range 2 { // the first may still be under way; when Stripe repeats itself it is not
		if err := e.refunds.Submit(t.Context(), r.ID); errs.Code(err) != codes.Unavailable {
			t.Fatalf("err = %v", err)
		}
		if got := e.refundIs(r.ID, StateSubmitted); got.attempt != attempt+1 {
			t.Errorf("attempt %d, want %d", got.attempt, attempt+1)
		}
	}
	if err := e.refunds.Submit(t.Context(), r.ID); err != nil {
		t.Fatal(err)
	}
	e.refundIs(r.ID, StateSucceeded)
	if all := e.sim.Refunds(""); len(all) != 1 {
		t.Errorf("at Stripe: %+v", all)
	}
}

// Stripe keeps idempotency keys for a day or so (https://docs.stripe.com/api/idempotent_requests). A refund whose answer was lost
// earlier is looked for, and not made again.
func TestAForgottenIdempotencyKeyMakesNoSecondRefund(t *testing.T) {
	e := newEnv(t)
	d, _ := e.paid()
	r := e.refund(requestFor(d, 5_00))
	// Twice, since Go asks again by itself where a connection breaks that it used before.
	e.sim.AddFault(stripesim.Fault{Method: http.MethodPost, PathPrefix: "/v1/refunds", Times: 2, LoseReply: true})
	if err := e.refunds.Submit(t.Context(), r.ID); err == nil {
		t.Fatal("the answer was not lost")
	}
	e.refundIs(r.ID, StateSubmitted)
	e.sim.ClearFaults()
	e.clock.Advance(31 * 24 * time.Hour)
	if err := e.refunds.Submit(t.Context(), r.ID); err != nil {
		t.Fatal(err)
	}
	e.refundIs(r.ID, StateSucceeded)
	if made := e.sim.Refunds(""); len(made) != 1 {
		t.Errorf("Stripe made %d refunds", len(made))
	}
}

// A refund that is canceled here while it is being sent would go back nevertheless.
func TestARefundThatIsBeingSentCannotBeCanceled(t *testing.T) {
	e := newEnv(t)
	d, _ := e.paid()
	r := e.refund(requestFor(d, 5_00))
	// The job has taken it, and is about to say so.
	job, err := e.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = job.Rollback(context.WithoutCancel(t.Context())) }()
	now := e.refunds.now()
	tag, err := job.Exec(t.Context(), takeRefundSQL, pgx.NamedArgs{"id": r.ID, "now": now, "look_at": lookAt(StateSubmitted, now)})
	if err != nil || tag.RowsAffected() != 1 {
		t.Fatalf("taken %v, %v", tag, err)
	}
	called := make(chan error, 1)
	go func() {
		_, err := e.refunds.Cancel(t.Context(), d.Campaign, d.ID, r.ID, treasurerKey)
		called <- err
	}()
	pgtest.WaitForLock(t, e.pool)
	if err := job.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantReason(t, <-called, errorsv1.ErrorReason_REFUND_ALREADY_SENT)
	e.refundIs(r.ID, StateSubmitted)
	if err := e.refunds.Submit(t.Context(), r.ID); err != nil {
		t.Fatal(err)
	}
	e.refundIs(r.ID, StateSucceeded)
	if all := e.refundsOf(d); len(all) != 1 || len(e.sim.Refunds("")) != 1 {
		t.Errorf("%d refunds here, %d at Stripe", len(all), len(e.sim.Refunds("")))
	}
}

// A proxy before Stripe gives up on a call that goes on behind it.
func TestARefundMadeBehindAFailureIsNotMadeTwice(t *testing.T) {
	e := newEnv(t)
	d, _ := e.paid()
	r := e.refund(requestFor(d, 5_00))
	late := make(chan *http.Request, 1)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Method == http.MethodPost && req.URL.Path == "/v1/refunds" {
			body, err := io.ReadAll(req.Body)
			if err != nil {
				t.Error(err)
			}
			again := req.Clone(context.WithoutCancel(req.Context()))
			req.Body, again.Body = io.NopCloser(bytes.NewReader(body)), io.NopCloser(bytes.NewReader(body))
			select {
			case late <- again:
				w.WriteHeader(http.StatusBadGateway)
				return
			default:
			}
		}
		e.sim.Handler().ServeHTTP(w, req)
	}))
	t.Cleanup(front.Close)
	var err error
	if e.refunds.cfg.Stripe, err = stripe.New(stripe.Config{APIKey: "sk_test_simulated", BaseURL: front.URL}); err != nil {
		t.Fatal(err)
	}
	if err := e.refunds.Submit(t.Context(), r.ID); errs.Code(err) != codes.Unavailable {
		t.Fatalf("err = %v", err)
	}
	if err := e.refunds.Submit(t.Context(), r.ID); err != nil {
		t.Fatal(err)
	}
	e.refundIs(r.ID, StateSucceeded)
	e.sim.Handler().ServeHTTP(httptest.NewRecorder(), <-late)
	if all := e.sim.Refunds(""); len(all) != 1 {
		t.Errorf("at Stripe: %+v", all)
	}
}
