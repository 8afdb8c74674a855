package webhooks

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/cagnotte/cagnotte/services/internal/stripesim"
)

func TestADisconnectedAccountIsReadAgainOnceItIsBack(t *testing.T) {
	e := newEnv(t, stripesim.Config{})
	tell := func(id, kind, account string, livemode bool, at time.Time) {
		t.Helper()
		endpoint, named := EndpointPlatform, ""
		if account != "" {
			endpoint, named = EndpointConnect, fmt.Sprintf(`"account":%q,`, account)
		}
		e.deliver(endpoint, fmt.Sprintf(`{"id":%q,"object":"event","type":%q,"api_version":"2023-10-16","created":%d,"livemode":%v,%s
			"data":{"object":{"id":"ca_1","object":"application","name":"Cagnotte"}}}`, id, kind, at.Unix(), livemode, named))
	}
	read := func() bool {
		t.Helper()
		accounts, err := e.webhooks.cfg.Collectives.StripeAccounts(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return slices.Contains(accounts, connected)
	}
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
		t.Errorf("a gift: %v", err)
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

func TestAnAccountIsReadAgainAndNotBelieved(t *testing.T) {
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
			return e.webhooks.setConnected(t.Context(), connected, true)
		},
		"as a reading of the account shows": func(t *testing.T, e *env) error {
			_, err := e.webhooks.cfg.Collectives.ReadAccount(t.Context(), connected)
			return err
		},
		"while a job still ignores them": func(t *testing.T, e *env) error {
			return errors.Join(e.webhooks.setConnected(t.Context(), connected, true), e.webhooks.ignoreAccount(t.Context(), connected))
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t, stripesim.Config{})
			if _, err := e.sim.WarnOfFraud(e.paidGift(), "made_with_stolen_card"); err != nil {
				t.Fatal(err)
			}
			e.delivered()
			warnings := func() int { return one[int](e, "SELECT count(*)::integer FROM donations.fraud_warnings") }
			if err := e.webhooks.setConnected(t.Context(), connected, false); err != nil {
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
