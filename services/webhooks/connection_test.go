package webhooks

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cagnotte/cagnotte/services/internal/stripe"
	"github.com/cagnotte/cagnotte/services/internal/stripesim"
)

// tellConnection delivers an event of the application's.
func (e *env) tellConnection(id, kind, account string, livemode bool, at time.Time) {
	e.t.Helper()
	endpoint, named := EndpointPlatform, ""
	if account != "" {
		endpoint, named = EndpointConnect, fmt.Sprintf(`"account":%q,`, account)
	}
	e.deliver(endpoint, fmt.Sprintf(`{"id":%q,"object":"event","type":%q,"api_version":"2023-10-16","created":%d,"livemode":%v,%s
		"data":{"object":{"id":"ca_1","object":"application","name":"Cagnotte"}}}`, id, kind, at.Unix(), livemode, named))
}

// readsConnected tells whether the connected account is read.
func (e *env) readsConnected() bool {
	e.t.Helper()
	accounts, err := e.webhooks.cfg.Connect.StripeAccounts(e.t.Context())
	if err != nil {
		e.t.Fatal(err)
	}
	return slices.Contains(accounts, connected)
}

func TestADisconnectedAccountIsReadAgainOnceItIsBack(t *testing.T) {
	e := newEnv(t, stripesim.Config{})
	tell, read := e.tellConnection, e.readsConnected
	now := time.Now()
	tell("evt_live", typeDeauthorized, connected, true, now)
	tell("evt_own", typeDeauthorized, "", false, now)
	if !read() {
		t.Fatal("an event that is not ours disconnected it")
	}
	for range 2 {
		tell("evt_off", typeDeauthorized, connected, false, now)
		if read() {
			t.Error("it is still read")
		}
	}
	_, err := e.donations.Create(t.Context(), intent(festival))
	if reason(err) != "STRIPE_ACCOUNT_DISCONNECTED" {
		t.Errorf("a donation: %v", err)
	}
	calls := len(e.sim.Requests())
	e.run(connected)
	if n := len(e.sim.Requests()) - calls; n != 0 {
		t.Errorf("%d calls to Stripe", n)
	}
	for range 2 {
		tell("evt_on", typeAuthorized, connected, false, now.Add(time.Minute))
		tell("evt_off", typeDeauthorized, connected, false, now)
		if !read() {
			t.Error("it is back, and not read")
		}
	}
	if n := len(e.events(StateApplied)[typeDeauthorized]); n != 1 {
		t.Errorf("stored %d times", n)
	}
	e.give(festival)
}

func TestAccountEventIsReadAgainFromStripe(t *testing.T) {
	e := newEnv(t, stripesim.Config{})
	tell := func(id, endpointAccount, object string) {
		t.Helper()
		endpoint, named := EndpointPlatform, ""
		if endpointAccount != "" {
			endpoint, named = EndpointConnect, fmt.Sprintf(`"account":%q,`, endpointAccount)
		}
		e.deliver(endpoint, fmt.Sprintf(`{"id":%q,"object":"event","type":"account.updated","api_version":"2020-08-27","created":%d,"livemode":false,%s
			"data":{"object":{"id":%q,"object":"account","charges_enabled":false}}}`, id, time.Now().Unix(), named, object))
		e.run(endpointAccount)
	}
	tell("evt_lies", connected, connected)
	tell("evt_platform", "", "acct_platform")
	tell("evt_other", connected, "acct_other")
	if n := len(e.events(StateApplied)["account.updated"]); n != 1 {
		t.Errorf("%d applied", n)
	}
	if n := len(e.events(StateIgnored)["account.updated"]); n != 2 {
		t.Errorf("%d ignored", n)
	}
	// The event says that it takes no payments, and Stripe says that it does.
	e.give(festival)
}

// A warning moves no money, and Stripe's list brings no event that is stored: without another try it is lost.
func TestEventsOfADisconnectedAccountAreAppliedOnceItIsBack(t *testing.T) {
	for name, comeBack := range map[string]func(*testing.T, *env) error{
		"as Stripe's event says": func(t *testing.T, e *env) error {
			return e.webhooks.setConnected(t.Context(), connected, true, e.webhooks.now())
		},
		"as a reading of the account shows": func(t *testing.T, e *env) error {
			_, err := e.webhooks.cfg.Connect.ReadAccount(t.Context(), connected)
			return err
		},
		"while a job still ignores them": func(t *testing.T, e *env) error {
			return errors.Join(e.webhooks.setConnected(t.Context(), connected, true, e.webhooks.now()), e.webhooks.ignoreAccount(t.Context(), connected))
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t, stripesim.Config{})
			if _, err := e.sim.WarnOfFraud(e.paidDonation(), "made_with_stolen_card"); err != nil {
				t.Fatal(err)
			}
			e.delivered()
			warnings := func() int { return one[int](e, "SELECT count(*)::integer FROM refunds.fraud_warnings") }
			if err := e.webhooks.setConnected(t.Context(), connected, false, e.webhooks.now()); err != nil {
				t.Fatal(err)
			}
			e.run(connected)
			if n := warnings(); n != 0 || len(e.events(StateIgnored)["radar.early_fraud_warning.created"]) != 1 {
				t.Errorf("%d warnings of an account that is disconnected", n)
			}
			if err := comeBack(t, e); err != nil {
				t.Fatal(err)
			}
			e.run(connected)
			if n := warnings(); n != 1 {
				t.Errorf("%d warnings once it is back, want 1", n)
			}
		})
	}
}

// Stripe's time has seconds only.
func TestTwoConnectionEventsWithinASecondAreResolvedByStripe(t *testing.T) {
	e := newEnv(t, stripesim.Config{})
	e.run(connected)
	at := e.clock.Now().Add(time.Second)
	e.tellConnection("evt_off", typeDeauthorized, connected, false, at)
	e.tellConnection("evt_on", typeAuthorized, connected, false, at)
	e.clock.Advance(2 * time.Second)
	if err := e.webhooks.reconnect(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !e.readsConnected() {
		t.Error("it is connected, and not read before the next try")
	}
	e.run(connected)
	if err := e.sim.Deauthorize(connected); err != nil {
		t.Fatal(err)
	}
	at = e.clock.Now().Add(time.Second)
	e.tellConnection("evt_on_again", typeAuthorized, connected, false, at)
	e.tellConnection("evt_off_again", typeDeauthorized, connected, false, at)
	e.clock.Advance(2 * time.Second)
	if _, err := e.webhooks.pass(t.Context(), connected, time.Time{}, false); err != nil {
		t.Fatal(err)
	}
	if e.readsConnected() {
		t.Error("it is disconnected, and read")
	}
}

// What it did while it was disconnected no webhook brought, nor does a movement of money show all of it.
func TestEventsMissedWhileDisconnectedAreBackfilled(t *testing.T) {
	e := newEnv(t, stripesim.Config{})
	charge := e.paidDonation()
	e.tellConnection("evt_off", typeDeauthorized, connected, false, e.clock.Now())
	e.later(defaultSyncEvery)
	e.sim.AddFault(stripesim.Fault{PathPrefix: "/v1/account", Status: http.StatusForbidden, Code: "account_invalid"})
	if err := e.webhooks.reconnect(t.Context()); err != nil {
		t.Fatal(err)
	}
	e.sim.SetDelivery(stripesim.Delivery{Drop: true})
	if _, err := e.sim.WarnOfFraud(charge, ""); err != nil {
		t.Fatal(err)
	}
	e.later(reconnectEvery / 2)
	e.sim.ClearFaults()
	e.tellConnection("evt_on", typeAuthorized, connected, false, e.clock.Now())
	e.run(connected)
	if n := one[int](e, "SELECT count(*)::integer FROM refunds.fraud_warnings"); n != 1 {
		t.Errorf("%d warnings are known, want 1", n)
	}
}

// An answer can be on its way for as long as a call may take.
func TestOlderAnswerDoesNotOverrideAConnectionEvent(t *testing.T) {
	for name, c := range map[string]struct {
		// read tells whether the account is read before, and must be in the end.
		read        bool
		first, last string
		status      int
		body        string
		ask         func(*Service, context.Context) error
	}{
		"a refusal": {
			true, typeDeauthorized, typeAuthorized, http.StatusForbidden, `{"error":{"type":"invalid_request_error","code":"account_invalid"}}`,
			func(s *Service, ctx context.Context) error { return s.backfill(ctx, connected, time.Time{}) },
		},
		"an account that answers": {
			false, typeAuthorized, typeDeauthorized, http.StatusOK, `{"id":"` + connected + `","object":"account"}`,
			(*Service).reconnect,
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t, stripesim.Config{})
			if !c.read {
				e.tellConnection("evt_before", typeDeauthorized, connected, false, e.clock.Now().Add(-time.Minute))
			}
			var asked atomic.Int32
			api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				if asked.Add(1) == 1 {
					for i, kind := range []string{c.first, c.last} {
						e.clock.Advance(2 * time.Second)
						e.tellConnection(fmt.Sprint("evt_", i), kind, connected, false, e.clock.Now())
					}
					e.clock.Advance(2 * time.Second)
				}
				w.WriteHeader(c.status)
				_, _ = w.Write([]byte(c.body))
			}))
			t.Cleanup(api.Close)
			var err error
			if e.webhooks.cfg.Stripe, err = stripe.New(stripe.Config{APIKey: "sk_test_simulated", BaseURL: api.URL}); err != nil {
				t.Fatal(err)
			}
			if err := c.ask(e.webhooks, t.Context()); err != nil {
				t.Fatal(err)
			}
			if asked.Load() == 0 || e.readsConnected() != c.read {
				t.Errorf("asked %d times, the account is read: %v", asked.Load(), !c.read)
			}
		})
	}
}
