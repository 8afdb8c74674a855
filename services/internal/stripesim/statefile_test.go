package stripesim_test

import (
	"context"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/cagnotte/cagnotte/services/internal/stripesim"
	"github.com/stripe/stripe-go/v76/client"
)

func TestState(t *testing.T) {
	path := filepath.Join(t.TempDir(), "stripe.json")
	run := func(t *testing.T, cfg stripesim.Config, use func(*stripesim.Sim, *client.API)) {
		t.Helper()
		cfg.StatePath, cfg.RetryBase = path, time.Millisecond
		sim, err := stripesim.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		server := httptest.NewServer(sim.Handler())
		defer server.Close()
		use(sim, newClient(server.URL, testKey, 0))
		if err := sim.Close(context.Background()); err != nil {
			t.Fatal(err)
		}
	}

	clock := stripesim.NewClockAt(time.Now().Add(48 * time.Hour)) // ahead of the wall
	var open, expiring, platform string
	run(t, stripesim.Config{
		Clock: clock, FeeDelay: time.Hour, Endpoints: []stripesim.Endpoint{{URL: "http://127.0.0.1:1/nobody", Secret: secret}},
	}, func(sim *stripesim.Sim, api *client.API) {
		sim.AddAccount(connected)
		platform = sim.Account()
		open = create(t, api, keyed("open", 2000)).ID
		expiring = create(t, api, keyed("expiring", 2000)).ID
		pay(t, sim, create(t, api, keyed("paid", 3000)).ID)
	})
	when := clock.Now()

	hook := receive(t, secret, nil)
	second := stripesim.NewClock()
	run(t, stripesim.Config{Clock: second, Endpoints: []stripesim.Endpoint{hook.endpoint()}}, func(sim *stripesim.Sim, api *client.API) {
		t.Run("keeps accounts and the clock's direction", func(t *testing.T) {
			if sim.Account() != platform || sim.Sessions(connected) == nil {
				t.Errorf("got %s, %v", sim.Account(), sim.Sessions(connected))
			}
			if second.Now().Before(when.Add(-time.Second)) {
				t.Errorf("it is %v, it was %v", second.Now(), when)
			}
		})
		t.Run("delivers what was not", func(t *testing.T) {
			waitDelivered(t, sim)
			if got := hook.types(); got != donationEvents {
				t.Errorf("got %s", got)
			}
		})
		t.Run("keeps idempotency keys", func(t *testing.T) {
			if again := create(t, api, keyed("open", 2000)); again.ID != open {
				t.Error("a second session was made")
			}
		})
		t.Run("keeps open sessions payable", func(t *testing.T) { pay(t, sim, open) })
		t.Run("keeps what will happen", func(t *testing.T) {
			second.Advance(25 * time.Hour)
			if n := len(sim.BalanceTransactions("")); n != 2 {
				t.Errorf("%d balance transactions", n)
			}
			for _, se := range sim.Sessions("") {
				if se.ID == expiring && se.Status != "expired" {
					t.Errorf("session is %s", se.Status)
				}
			}
		})
	})

	t.Run("delivers what became due while none ran", func(t *testing.T) {
		path = filepath.Join(t.TempDir(), "due.json")
		run(t, stripesim.Config{}, func(_ *stripesim.Sim, api *client.API) { create(t, api, keyed("due", 2000)) })
		hook := receive(t, secret, nil)
		later := stripesim.NewClockAt(time.Now().Add(48 * time.Hour))
		run(t, stripesim.Config{Clock: later, Endpoints: []stripesim.Endpoint{hook.endpoint()}}, func(sim *stripesim.Sim, _ *client.API) {
			sim.Sessions("") // what is due is performed
			waitDelivered(t, sim)
			if got := hook.types(); got != "checkout.session.expired" {
				t.Errorf("got %q", got)
			}
		})
	})

	t.Run("survives a kill", func(t *testing.T) {
		saved := filepath.Join(t.TempDir(), "killed.json")
		sim, api := start(t, stripesim.Config{StatePath: saved})
		se := create(t, api, donation(2000))
		for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(10 * time.Millisecond) {
			data, err := os.ReadFile(saved)
			if err == nil {
				copied := filepath.Join(t.TempDir(), "copy.json") // what a killed process would leave
				if err := os.WriteFile(copied, data, 0o600); err != nil {
					t.Fatal(err)
				}
				other, _ := start(t, stripesim.Config{StatePath: copied})
				if len(other.Sessions("")) == 1 {
					pay(t, other, se.ID)
					break
				}
			}
			if time.Now().After(deadline) {
				t.Fatalf("not saved: %v", err)
			}
		}
		if sim.Sessions("")[0].Status != "open" {
			t.Error("the copy paid the original")
		}
	})

	t.Run("refuses a file that it does not understand", func(t *testing.T) {
		for _, content := range []string{"{", `{"format":99}`, `{"format":1,"platform":"acct_1"}`} {
			bad := filepath.Join(t.TempDir(), "bad.json")
			if err := os.WriteFile(bad, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := stripesim.New(stripesim.Config{StatePath: bad}); err == nil {
				t.Errorf("%s was accepted", content)
			}
		}
	})
}
