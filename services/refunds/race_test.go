package refunds

import (
	"bytes"
	"context"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc/codes"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/collectives"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/pgtest"
	"github.com/cagnotte/cagnotte/services/internal/stripe"
	"github.com/cagnotte/cagnotte/services/money"
)

// Said to be called off, it would be money that goes back all the same, and of which the row says the opposite.
func TestARefundThatIsBeingSentIsNotCalledOff(t *testing.T) {
	e := newEnv(t)
	d, _ := e.paid()
	r := e.refund(wish(d, 5_00))
	// The job has taken it, and is about to say so.
	job, err := e.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = job.Rollback(context.WithoutCancel(t.Context())) }()
	now := e.refunds.now()
	tag, err := job.Exec(t.Context(), takeRefundSQL, pgx.NamedArgs{"id": r.ID, "now": now, "look_at": lookAt(RefundSubmitted, now)})
	if err != nil || tag.RowsAffected() != 1 {
		t.Fatalf("taken %v, %v", tag, err)
	}
	called := make(chan error, 1)
	go func() {
		_, err := e.refunds.CancelRefund(t.Context(), d.Campaign, d.ID, r.ID, treasurerKey)
		called <- err
	}()
	pgtest.WaitForLock(t, e.pool)
	if err := job.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantReason(t, <-called, errorsv1.ErrorReason_REFUND_ALREADY_SENT)
	e.refundIs(r.ID, RefundSubmitted)
	if err := e.refunds.SubmitRefund(t.Context(), r.ID); err != nil {
		t.Fatal(err)
	}
	e.refundIs(r.ID, RefundSucceeded)
	if all := e.refundsOf(d); len(all) != 1 || len(e.sim.Refunds("")) != 1 {
		t.Errorf("%d refunds here, %d at Stripe", len(all), len(e.sim.Refunds("")))
	}
}

// What stands before Stripe gives up on a call that goes on behind it.
func TestARefundThatIsMadeBehindAFailureIsNotMadeTwice(t *testing.T) {
	e := newEnv(t)
	d, _ := e.paid()
	r := e.refund(wish(d, 5_00))
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
	if err := e.refunds.SubmitRefund(t.Context(), r.ID); errs.Code(err) != codes.Unavailable {
		t.Fatalf("err = %v", err)
	}
	if err := e.refunds.SubmitRefund(t.Context(), r.ID); err != nil {
		t.Fatal(err)
	}
	e.refundIs(r.ID, RefundSucceeded)
	e.sim.Handler().ServeHTTP(httptest.NewRecorder(), <-late)
	if all := e.sim.Refunds(""); len(all) != 1 {
		t.Errorf("at Stripe: %+v", all)
	}
}

// Who asks for many small refunds at the same moment evades the second member no more than who asks for a large one.
func TestRefundsAskedForAtOnceCountTogether(t *testing.T) {
	e := newEnv(t)
	if _, err := e.groups.Update(t.Context(), "vallon", "", func(c *collectives.Collective) error {
		c.RefundApproval = money.Amount{Minor: 10_00, Currency: money.EUR}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	d, _ := e.paid()
	var asking sync.WaitGroup
	for range 5 {
		asking.Go(func() {
			if _, err := e.refunds.CreateRefund(t.Context(), wish(d, 4_00)); err != nil {
				t.Error(err)
			}
		})
	}
	asking.Wait()
	states := map[RefundState]int{}
	for _, r := range e.refundsOf(d) {
		states[r.State]++
	}
	if want := map[RefundState]int{RefundApproved: 2, RefundAwaitingApproval: 3}; !maps.Equal(states, want) {
		t.Errorf("%v, want %v", states, want)
	}
}
