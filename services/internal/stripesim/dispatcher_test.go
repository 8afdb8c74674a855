package stripesim_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cagnotte/cagnotte/services/internal/stripesim"
	"github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-go/v76/webhook"
)

func TestWebhooks(t *testing.T) {
	t.Run("are signed, complete and in order", func(t *testing.T) {
		hook := receive(t, secret, nil)
		sim, api := start(t, stripesim.Config{Endpoints: []stripesim.Endpoint{hook.endpoint()}})
		se := create(t, api, donation(2000))
		pay(t, sim, se.ID)
		waitDelivered(t, sim)
		if got := hook.types(); got != donationEvents {
			t.Fatalf("got %s", got)
		}
		last := hook.events()[3]
		if last.APIVersion != stripe.APIVersion || last.Account != "" || last.Livemode || last.PendingWebhooks != 1 ||
			last.Data.Object["id"] != se.ID || last.Data.Object["payment_status"] != "paid" {
			t.Errorf("got %+v", last)
		}
	})

	t.Run("go to the endpoint of their kind", func(t *testing.T) {
		platform, connect := receive(t, secret, nil), receive(t, "whsec_connect", nil)
		sim, api := start(t, stripesim.Config{Endpoints: []stripesim.Endpoint{
			platform.endpoint(), {URL: connect.server.URL, Secret: "whsec_connect", Connect: true},
		}})
		sim.AddAccount(connected)
		p := donation(2000)
		p.SetStripeAccount(connected)
		pay(t, sim, create(t, api, p).ID)
		if err := sim.Expire(create(t, api, donation(2000)).ID); err != nil {
			t.Fatal(err)
		}
		waitDelivered(t, sim)
		if platform.types() != "checkout.session.expired" || connect.types() != donationEvents || connect.events()[0].Account != connected {
			t.Errorf("platform %s, connect %s", platform.types(), connect.types())
		}
	})

	t.Run("carry a signature for each secret during a roll", func(t *testing.T) {
		for _, one := range []string{"whsec_old", "whsec_new"} {
			hook := receive(t, one, nil)
			sim, api := start(t, stripesim.Config{Endpoints: []stripesim.Endpoint{{URL: hook.server.URL, Secret: "whsec_old, whsec_new"}}})
			pay(t, sim, create(t, api, donation(2000)).ID)
			waitDelivered(t, sim)
			if len(hook.events()) != 4 {
				t.Errorf("%s: %s", one, hook.types())
			}
		}
	})

	t.Run("are repeated until accepted; a redirect is a failure", func(t *testing.T) {
		answers := []int{500, 302, 404, 200}
		hook := receive(t, secret, func(n int) int { return answers[min(n, 3)] })
		sim, api := start(t, stripesim.Config{Endpoints: []stripesim.Endpoint{hook.endpoint()}})
		if err := sim.Expire(create(t, api, donation(2000)).ID); err != nil {
			t.Fatal(err)
		}
		waitDelivered(t, sim)
		if got := sim.Events("")[0]; !got.Delivered || got.Attempts != 4 || got.LastStatus != 200 {
			t.Errorf("got %+v", got)
		}
	})

	t.Run("reach an endpoint that was away, at its new address", func(t *testing.T) {
		gone := httptest.NewServer(http.NotFoundHandler())
		gone.Close()
		sim, api := start(t, stripesim.Config{Endpoints: []stripesim.Endpoint{{URL: gone.URL, Secret: "old"}}})
		pay(t, sim, create(t, api, donation(2000)).ID)
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
		defer cancel()
		if err := sim.WaitDelivered(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("got %v", err)
		}
		hook := receive(t, secret, nil)
		sim.SetEndpoints([]stripesim.Endpoint{hook.endpoint()})
		waitDelivered(t, sim)
		if len(hook.events()) != 4 {
			t.Errorf("got %s", hook.types())
		}
	})

	t.Run("are given up after three days of the clock", func(t *testing.T) {
		clock := stripesim.NewClock()
		hook := receive(t, secret, func(int) int { return 500 })
		sim, api := start(t, stripesim.Config{Clock: clock, Endpoints: []stripesim.Endpoint{hook.endpoint()}})
		pay(t, sim, create(t, api, donation(2000)).ID)
		clock.Advance(73 * time.Hour)
		waitDelivered(t, sim)
		if got := sim.Events("")[0]; got.Delivered || got.LastStatus != 500 {
			t.Errorf("got %+v", got)
		}
	})

	t.Run("never block the API", func(t *testing.T) {
		release := make(chan struct{})
		slow := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
		defer slow.Close()
		defer close(release)
		sim, api := start(t, stripesim.Config{Endpoints: []stripesim.Endpoint{{URL: slow.URL, Secret: secret}}})
		pay(t, sim, create(t, api, donation(2000)).ID)
		create(t, api, donation(2000))
	})
}

func TestDelivery(t *testing.T) {
	world := func(t *testing.T, mode stripesim.Delivery) (*stripesim.Sim, *receiver, func(n int)) {
		hook := receive(t, secret, nil)
		sim, api := start(t, stripesim.Config{Endpoints: []stripesim.Endpoint{hook.endpoint()}})
		sim.SetDelivery(mode)
		return sim, hook, func(n int) {
			for range n {
				pay(t, sim, create(t, api, donation(2000)).ID)
			}
		}
	}

	t.Run("twice", func(t *testing.T) {
		sim, hook, give := world(t, stripesim.Delivery{Twice: true})
		give(1)
		waitDelivered(t, sim)
		ids := map[string]int{}
		for _, e := range hook.events() {
			ids[e.ID]++
		}
		if len(ids) != 4 || len(hook.events()) != 8 {
			t.Errorf("got %v", ids)
		}
	})
	t.Run("never, and then by hand", func(t *testing.T) {
		sim, hook, give := world(t, stripesim.Delivery{Drop: true})
		give(1)
		waitDelivered(t, sim)
		if n := len(hook.events()); n != 0 {
			t.Fatalf("%d arrived", n)
		}
		if e := sim.Events("")[0]; e.Delivered || e.Attempts != 0 {
			t.Errorf("got %+v", e)
		}
		if err := sim.Redeliver(sim.Events("")[3].ID); err != nil {
			t.Fatal(err)
		}
		waitDelivered(t, sim)
		if got := hook.types(); got != "checkout.session.completed" {
			t.Errorf("got %s", got)
		}
		if err := sim.Redeliver("evt_none"); err == nil {
			t.Error("an unknown event was sent")
		}
	})
	t.Run("held, and then let go", func(t *testing.T) {
		sim, hook, give := world(t, stripesim.Delivery{Hold: true})
		give(2)
		waitDelivered(t, sim) // does not wait for what is held
		if n := len(hook.events()); n != 0 {
			t.Fatalf("%d arrived", n)
		}
		sim.SetDelivery(stripesim.Delivery{})
		waitDelivered(t, sim)
		if got := hook.types(); got != donationEvents+" "+donationEvents {
			t.Errorf("got %s", got)
		}
	})
	t.Run("shuffled", func(t *testing.T) {
		sim, hook, give := world(t, stripesim.Delivery{Hold: true})
		give(10)
		sim.SetDelivery(stripesim.Delivery{Shuffle: true, Seed: 7})
		waitDelivered(t, sim)
		if len(hook.events()) != 40 || hook.types() == strings.Repeat(donationEvents+" ", 9)+donationEvents {
			t.Errorf("got %s", hook.types())
		}
	})
	t.Run("late", func(t *testing.T) {
		sim, hook, give := world(t, stripesim.Delivery{Delay: 50 * time.Millisecond})
		began := time.Now()
		give(1)
		waitDelivered(t, sim)
		if took := time.Since(began); took < 50*time.Millisecond || hook.types() != donationEvents {
			t.Errorf("%s after %s", hook.types(), took)
		}
	})
	t.Run("by chance, repeatably", func(t *testing.T) {
		var runs [2][]int
		for i := range runs {
			sim, hook, give := world(t, stripesim.Delivery{DropRate: 0.3, TwiceRate: 0.3, Seed: 42})
			give(10)
			waitDelivered(t, sim)
			count := map[string]int{}
			for _, e := range hook.events() {
				count[e.ID]++
			}
			for _, e := range sim.Events("") {
				runs[i] = append(runs[i], count[e.ID])
			}
		}
		for _, copies := range []int{0, 1, 2} {
			if !slices.Contains(runs[0], copies) {
				t.Errorf("no event arrived %d times", copies)
			}
		}
		if !slices.Equal(runs[0], runs[1]) {
			t.Errorf("got %v, then %v", runs[0], runs[1])
		}
	})
}

func TestCloseWaitsForDeliveries(t *testing.T) {
	arrived, release := make(chan struct{}), make(chan struct{})
	var verified error
	slow := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_, verified = webhook.ConstructEvent(body, r.Header.Get("Stripe-Signature"), secret)
		close(arrived)
		<-release
	}))
	defer slow.Close()
	sim, err := stripesim.New(stripesim.Config{Endpoints: []stripesim.Endpoint{{URL: slow.URL, Secret: secret}}})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(sim.Handler())
	defer server.Close()
	if err := sim.Expire(create(t, newClient(server.URL, testKey, 0), donation(2000)).ID); err != nil {
		t.Fatal(err)
	}
	<-arrived
	closed := make(chan error)
	go func() { closed <- sim.Close(t.Context()) }()
	select {
	case <-closed:
		t.Fatal("closed with a webhook in flight")
	case <-time.After(20 * time.Millisecond):
	}
	close(release)
	if err := <-closed; err != nil || verified != nil {
		t.Errorf("closed with %v; signature %v", err, verified)
	}
	if err := sim.Close(t.Context()); err != nil {
		t.Error(err)
	}
}
