package stripesim_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cagnotte/cagnotte/services/internal/stripesim"
	"github.com/stripe/stripe-go/v76"
)

func keyed(key string, amountMinor int64) *stripe.CheckoutSessionParams {
	p := donation(amountMinor)
	p.SetIdempotencyKey(key)
	return p
}

func TestIdempotency(t *testing.T) {
	clock := stripesim.NewClock()
	sim, url := serve(t, stripesim.Config{Clock: clock})
	api := newClient(url, testKey, 0)
	sim.AddAccount(connected)

	t.Run("the same key and parameters give the stored answer", func(t *testing.T) {
		first := create(t, api, keyed("k1", 2000))
		pay(t, sim, first.ID)
		again := create(t, api, keyed("k1", 2000))
		if again.ID != first.ID || again.Status != "open" { // as it was, not as it is
			t.Errorf("got %s %s, want %s open", again.ID, again.Status, first.ID)
		}
		if got := again.LastResponse.Header.Get("Idempotent-Replayed"); got != "true" {
			t.Errorf("Idempotent-Replayed is %q", got)
		}
		if first.LastResponse.Header.Get("Idempotent-Replayed") != "" || again.LastResponse.RequestID == first.LastResponse.RequestID {
			t.Error("the first answer looks like a repetition")
		}
	})
	t.Run("other parameters under a key are refused", func(t *testing.T) {
		create(t, api, keyed("k2", 2000))
		_, err := api.CheckoutSessions.New(keyed("k2", 2100))
		if e := stripeError(t, err); e.HTTPStatusCode != 400 || e.Type != stripe.ErrorTypeIdempotency {
			t.Errorf("got %+v", e)
		}
	})
	t.Run("another endpoint under a key is refused", func(t *testing.T) {
		se := create(t, api, keyed("k3", 2000))
		p := &stripe.CheckoutSessionExpireParams{}
		p.SetIdempotencyKey("k3")
		_, err := api.CheckoutSessions.Expire(se.ID, p)
		if e := stripeError(t, err); e.Type != stripe.ErrorTypeIdempotency || !strings.Contains(e.Msg, "endpoint") {
			t.Errorf("got %+v", e)
		}
	})
	t.Run("accounts have their own keys", func(t *testing.T) {
		ours := create(t, api, keyed("k4", 2000))
		p := keyed("k4", 3000)
		p.SetStripeAccount(connected)
		if theirs := create(t, api, p); theirs.ID == ours.ID {
			t.Error("one session for two accounts")
		}
	})
	t.Run("a refused parameter frees the key", func(t *testing.T) {
		p := keyed("k5", 2000)
		p.Locale = stripe.String("oc")
		if _, err := api.CheckoutSessions.New(p); err == nil {
			t.Fatal("the locale was accepted")
		}
		create(t, api, keyed("k5", 2000))
	})
	t.Run("an error of the execution is stored", func(t *testing.T) {
		se := create(t, api, donation(2000))
		if err := sim.Expire(se.ID); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			p := &stripe.CheckoutSessionExpireParams{}
			p.SetIdempotencyKey("k6")
			_, err := api.CheckoutSessions.Expire(se.ID, p)
			if e := stripeError(t, err); e.HTTPStatusCode != 400 || e.Type != stripe.ErrorTypeInvalidRequest {
				t.Errorf("got %+v", e)
			}
		}
	})
	t.Run("a 500 is stored, a 503 is not", func(t *testing.T) {
		defer sim.ClearFaults()
		sim.AddFault(stripesim.Fault{Status: 500, Times: 1})
		for range 2 {
			if _, err := api.CheckoutSessions.New(keyed("k7", 2000)); stripeError(t, err).HTTPStatusCode != 500 {
				t.Error(err)
			}
		}
		sim.AddFault(stripesim.Fault{Status: 503, Times: 1})
		if _, err := api.CheckoutSessions.New(keyed("k8", 2000)); stripeError(t, err).HTTPStatusCode != 503 {
			t.Error(err)
		}
		create(t, api, keyed("k8", 2000))
	})
	t.Run("a key in use is a conflict", func(t *testing.T) {
		defer sim.ClearFaults()
		sim.AddFault(stripesim.Fault{Delay: 300 * time.Millisecond, Times: 1})
		before := len(sim.Requests())
		var wg sync.WaitGroup
		wg.Go(func() { create(t, api, keyed("k9", 2000)) })
		for deadline := time.Now().Add(5 * time.Second); len(sim.Requests()) == before && time.Now().Before(deadline); {
			time.Sleep(time.Millisecond)
		}
		status := 0
		for deadline := time.Now().Add(5 * time.Second); status != http.StatusConflict && time.Now().Before(deadline); {
			if _, err := api.CheckoutSessions.New(keyed("k9", 2000)); err != nil {
				e := stripeError(t, err)
				status = e.HTTPStatusCode
				if e.Code != stripe.ErrorCodeIdempotencyKeyInUse {
					t.Errorf("got %+v", e)
				}
			}
		}
		wg.Wait()
		create(t, newClient(url, testKey, 5), keyed("k9", 2000)) // the client's own retries get through
	})
	t.Run("many at once make one session", func(t *testing.T) {
		before := len(sim.Sessions(""))
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() { create(t, newClient(url, testKey, 5), keyed("k10", 2000)) })
		}
		wg.Wait()
		if n := len(sim.Sessions("")) - before; n != 1 {
			t.Errorf("%d sessions", n)
		}
	})
	t.Run("a key is forgotten after a day", func(t *testing.T) {
		first := create(t, api, keyed("k11", 2000))
		clock.Advance(24*time.Hour - time.Minute)
		if again := create(t, api, keyed("k11", 2000)); again.ID != first.ID {
			t.Error("forgotten too early")
		}
		clock.Advance(2 * time.Minute)
		if again := create(t, api, keyed("k11", 2000)); again.ID == first.ID {
			t.Error("not forgotten")
		}
	})
	t.Run("a key has at most 255 characters", func(t *testing.T) {
		_, err := api.CheckoutSessions.New(keyed(strings.Repeat("k", 256), 2000))
		if err == nil {
			t.Error("accepted")
		}
	})
}
