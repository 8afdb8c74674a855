package stripe

import (
	"context"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
)

// silent is a Stripe that does not answer calls about acct_1 while it hangs.
type silent struct {
	hangs atomic.Bool
	calls atomic.Int32 // about acct_1
}

func (s *silent) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Stripe-Account") == "acct_1" {
		s.calls.Add(1)
		if s.hangs.Load() {
			<-r.Context().Done()
			return
		}
	}
	_, _ = w.Write([]byte(`{"id":"pi_1","object":"payment_intent"}`))
}

func (s *silent) ask(ctx context.Context, c *Client, account string) error {
	_, err := c.GetPaymentIntent(ctx, account, "pi_1")
	return err
}

func TestBreaker(t *testing.T) {
	s := &silent{}
	c := serve(t, s.ServeHTTP)
	s.hangs.Store(true)
	for range failuresInARow {
		if err := s.ask(t.Context(), c, "acct_1"); KindOf(err) != Lost || NotMade(err) {
			t.Fatalf("err = %v", err)
		}
	}
	t.Run("keeps calls back after failures in a row", func(t *testing.T) {
		for range 3 {
			err := s.ask(t.Context(), c, "acct_1")
			if !NotMade(err) || KindOf(err) != Throttled {
				t.Errorf("err = %v", err)
			}
			if e := errs.As(err); e.Code != codes.Unavailable || e.Reason != errorsv1.ErrorReason_STRIPE_UNAVAILABLE || e.RetryAfter <= 0 {
				t.Errorf("the caller is told %v", e)
			}
		}
		if n := s.calls.Load(); n != failuresInARow {
			t.Errorf("%d calls reached Stripe, want %d", n, failuresInARow)
		}
	})
	t.Run("is no other account's", func(t *testing.T) {
		for _, account := range []string{"", "acct_2"} {
			if err := s.ask(t.Context(), c, account); err != nil {
				t.Errorf("%q: %v", account, err)
			}
		}
	})
	t.Run("is not background work's", func(t *testing.T) {
		s.hangs.Store(false)
		if err := s.ask(Background(t.Context()), c, "acct_1"); err != nil {
			t.Error(err)
		}
	})
}

func TestBreakerTriesOneCallAfterAWhile(t *testing.T) {
	s := &silent{}
	c := serve(t, s.ServeHTTP)
	c.breakers.openFor = time.Millisecond
	s.hangs.Store(true)
	for range failuresInARow {
		_ = s.ask(t.Context(), c, "acct_1")
	}
	s.hangs.Store(false)
	for deadline := time.Now().Add(10 * time.Second); s.ask(t.Context(), c, "acct_1") != nil; {
		if time.Now().After(deadline) {
			t.Fatal("no call is tried again")
		}
	}
	for range failuresInARow {
		if err := s.ask(t.Context(), c, "acct_1"); err != nil {
			t.Fatal(err)
		}
	}
}

// Whoever sends requests and leaves at once must not close an account to others.
func TestCancelledCallsDoNotOpenTheBreaker(t *testing.T) {
	s := &silent{}
	c := serve(t, s.ServeHTTP)
	s.hangs.Store(true)
	for range 2 * failuresInARow {
		before := s.calls.Load()
		ctx, leave := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- s.ask(ctx, c, "acct_1") }()
		for deadline := time.Now().Add(10 * time.Second); s.calls.Load() == before; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("the call does not arrive")
			}
		}
		leave()
		if err := <-ended; NotMade(err) {
			t.Fatal(err)
		}
	}
}

func TestAnswersDoNotOpenTheBreaker(t *testing.T) {
	status := http.StatusNotFound
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
	for _, status = range []int{http.StatusNotFound, http.StatusForbidden, http.StatusConflict, http.StatusTooManyRequests} {
		for range 2 * failuresInARow {
			if _, err := c.GetPaymentIntent(t.Context(), "acct_1", "pi_1"); NotMade(err) {
				t.Fatalf("after status %d: %v", status, err)
			}
		}
	}
}

// What Stripe answered before it fell silent does not say that it speaks again.
func TestACallBegunBeforeDoesNotCloseTheBreaker(t *testing.T) {
	slow, answer := make(chan struct{}), make(chan struct{})
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/payment_intents/pi_slow" {
			close(slow)
			<-answer
			_, _ = w.Write([]byte(`{"id":"pi_slow","object":"payment_intent"}`))
			return
		}
		w.WriteHeader(http.StatusInternalServerError)
	})
	ended := make(chan error)
	go func() {
		_, err := c.GetPaymentIntent(t.Context(), "acct_1", "pi_slow")
		ended <- err
	}()
	<-slow
	for range failuresInARow {
		_, _ = c.GetPaymentIntent(t.Context(), "acct_1", "pi_1")
	}
	close(answer)
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if _, err := c.GetPaymentIntent(t.Context(), "acct_1", "pi_1"); !NotMade(err) {
		t.Errorf("err = %v", err)
	}
}

// A caller who leaves while its call is the one that tries must not keep the account closed.
func TestInconclusiveCallLeavesTheTrialToTheNext(t *testing.T) {
	s := &silent{}
	c := serve(t, s.ServeHTTP)
	c.breakers.openFor = time.Millisecond
	guard := func(said error) error {
		_, err := c.breakers.guard(t.Context(), "acct_1", func() (advice, error) { return advice{}, said })
		return err
	}
	for range failuresInARow {
		_ = guard(context.DeadlineExceeded)
	}
	for deadline := time.Now().Add(10 * time.Second); guard(errNoTurn) != errNoTurn; {
		if time.Now().After(deadline) {
			t.Fatal("no call is tried again")
		}
	}
	for range failuresInARow {
		if err := s.ask(t.Context(), c, "acct_1"); err != nil {
			t.Fatal(err)
		}
	}
}
