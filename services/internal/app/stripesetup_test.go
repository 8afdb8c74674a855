package app_test

import (
	"bytes"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/cagnotte/cagnotte/services/internal/app"
	"github.com/cagnotte/cagnotte/services/internal/apptest"
	"github.com/cagnotte/cagnotte/services/internal/stripesim"
)

// settingsOf are the program's settings with some changed.
func settingsOf(e *apptest.Env, changed map[string]string) func(string) string {
	env := map[string]string{}
	for _, variable := range e.Environ() {
		name, value, _ := strings.Cut(variable, "=")
		env[name] = value
	}
	for name, value := range changed {
		env[name] = value
	}
	return func(name string) string { return env[name] }
}

func TestStripeSetup(t *testing.T) {
	e := apptest.Start(t, apptest.Config{})
	campaign, _ := e.Campaign("vallon")
	e.StopApp()
	e.Sim.SetEndpoints(nil) // only what setup makes
	setup := func() (string, error) {
		t.Helper()
		var out bytes.Buffer
		err := app.StripeSetup(t.Context(), settingsOf(e, nil), &out)
		return out.String(), err
	}
	made, err := setup()
	if err != nil {
		t.Fatal(err)
	}
	secrets := map[string]string{}
	for line := range strings.Lines(made) {
		if name, secret, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(line, "#") {
			secrets[name] = secret
		}
	}
	if len(secrets) != 2 || !strings.HasPrefix(secrets["STRIPE_WEBHOOK_SECRET"], "whsec_") {
		t.Fatalf("setup said:\n%s", made)
	}
	t.Run("its secrets and events work", func(t *testing.T) {
		e.SetSecrets(secrets["STRIPE_WEBHOOK_SECRET"], secrets["STRIPE_CONNECT_WEBHOOK_SECRET"])
		e.StartApp()
		pay(t, e, give(t, e.Conn, donationTo(campaign)))
		e.Eventually("a webhook brings it", func() bool {
			settled, _ := progress(t, e.Conn, campaign)
			return settled == 20_00
		})
		if err := e.Sim.WaitDelivered(t.Context()); err != nil {
			t.Error(err)
		}
	})
	t.Run("twice changes nothing and tells no secret", func(t *testing.T) {
		before := len(e.Sim.Requests())
		again, err := setup()
		if err != nil || strings.Contains(again, "whsec_") || strings.Count(again, "is in order") != 2 {
			t.Errorf("%v:\n%s", err, again)
		}
		for _, r := range e.Sim.Requests()[before:] {
			if r.Method != http.MethodGet {
				t.Errorf("it sends %s %s", r.Method, r.Path)
			}
		}
	})
	check := func(changed map[string]string) (string, error) {
		t.Helper()
		var out bytes.Buffer
		err := app.StripeCheck(t.Context(), settingsOf(e, changed), &out)
		return out.String(), err
	}
	if said, err := check(nil); err != nil || strings.Contains(said, "WRONG") || strings.Contains(said, "cannot be tried") || strings.Contains(said, "whsec_") || strings.Contains(said, apptest.APIKey) {
		t.Fatalf("an installation in order: %v\n%s", err, said)
	}
	t.Run("a disabled endpoint is found, and switched on again", func(t *testing.T) {
		id := strings.Fields(made)[1]
		e.Sim.DisableEndpoint(id)
		if said, err := check(nil); err == nil || !strings.Contains(said, id) || !strings.Contains(said, "is disabled") {
			t.Errorf("%v\n%s", err, said)
		}
		if again, err := setup(); err != nil || !strings.Contains(again, "brought up to date") {
			t.Errorf("%v\n%s", err, again)
		}
		if said, err := check(nil); err != nil {
			t.Errorf("%v\n%s", err, said)
		}
	})
	for name, c := range map[string]struct {
		fault   stripesim.Fault
		changed map[string]string
		want    string
	}{
		"no key":            {changed: map[string]string{"STRIPE_API_KEY": ""}, want: "STRIPE_API_KEY: is not set"},
		"keys of two modes": {changed: map[string]string{"STRIPE_API_KEY": "rk_test_a,rk_live_b"}, want: "all for live mode or all for test mode"},
		"a key of the other mode than the books": {
			changed: map[string]string{"STRIPE_API_KEY": "sk_live_simulated"}, want: "Stripe does not know it (401)",
		},
		"a revoked key":      {changed: map[string]string{"STRIPE_API_KEY": "sk_test_gone"}, want: "key 1 of 1: Stripe does not know it (401)"},
		"the old key of two": {changed: map[string]string{"STRIPE_API_KEY": "sk_test_gone," + apptest.APIKey}, want: "key 1 of 2: Stripe does not know it (401)"},
		"a permission that a restricted key lacks": {
			fault: stripesim.Fault{PathPrefix: "/v1/balance_transactions", Status: 403, Code: "more_permissions_required"},
			want:  "lacks the permission Balance: Read",
		},
		"another address": {
			changed: map[string]string{"CAGNOTTE_PUBLIC_URL": "https://elsewhere.example"}, want: "which is not CAGNOTTE_PUBLIC_URL",
		},
		"no secret":                {changed: map[string]string{"STRIPE_WEBHOOK_SECRET": ""}, want: "STRIPE_WEBHOOK_SECRET is not set"},
		"no Connect secret":        {changed: map[string]string{"STRIPE_CONNECT_WEBHOOK_SECRET": ""}, want: "STRIPE_CONNECT_WEBHOOK_SECRET is not set"},
		"no database":              {changed: map[string]string{"DATABASE_URL": ""}, want: "DATABASE_URL: is not set"},
		"a clock that is off":      {fault: stripesim.Fault{PathPrefix: "/v1/events", Headers: map[string]string{"Date": time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat)}}, want: "the clock differs from Stripe's by"},
		"an SMTP_URL that is none": {changed: map[string]string{"SMTP_URL": "nowhere"}, want: "SMTP_URL:"},
	} {
		t.Run(name, func(t *testing.T) {
			if c.fault.PathPrefix != "" {
				e.Sim.AddFault(c.fault)
				defer e.Sim.ClearFaults()
			}
			said, err := check(c.changed)
			if err == nil || !strings.Contains(said, c.want) {
				t.Errorf("%v; want %q in\n%s", err, c.want, said)
			}
		})
	}
	if said, err := check(map[string]string{"STRIPE_WEBHOOK_SECRET": "whsec_a,whsec_b"}); err != nil || !strings.Contains(said, "holds 2 secrets") {
		t.Errorf("during a roll: %v\n%s", err, said)
	}
}
