package app_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"github.com/cagnotte/cagnotte/services/internal/app"
	"github.com/cagnotte/cagnotte/services/internal/apptest"
	"github.com/cagnotte/cagnotte/services/webhooks"
)

// What an endpoint cannot be brought to through the API, Stripe's dashboard can: each is named.
func TestStripeCheckNamesWhatIsWrongWithEndpoints(t *testing.T) {
	e := apptest.Start(t, apptest.Config{})
	e.StopApp()
	at := func(kind webhooks.Endpoint, id, version string) map[string]any {
		path := map[webhooks.Endpoint]string{webhooks.EndpointPlatform: "/v1/webhooks/stripe", webhooks.EndpointConnect: "/v1/webhooks/stripe/connect"}[kind]
		return map[string]any{
			"id": id, "object": "webhook_endpoint", "url": e.URL + path, "status": "enabled", "api_version": version,
			"enabled_events": webhooks.EventTypes(kind), "livemode": false, "metadata": map[string]string{},
		}
	}
	var endpoints []map[string]any
	simulator, err := url.Parse(e.SimURL)
	if err != nil {
		t.Fatal(err)
	}
	pass := httputil.NewSingleHostReverseProxy(simulator)
	stripe := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/webhook_endpoints" && r.URL.Query().Get("limit") == "100" {
			_ = json.NewEncoder(w).Encode(map[string]any{"object": "list", "data": endpoints, "has_more": false})
			return
		}
		pass.ServeHTTP(w, r)
	}))
	t.Cleanup(stripe.Close)
	settings := settingsOf(e, map[string]string{"STRIPE_API_BASE": stripe.URL})
	say := func(run func() error, out *bytes.Buffer) (string, error) {
		out.Reset()
		err := run()
		return out.String(), err
	}
	var out bytes.Buffer
	check := func() error { return app.StripeCheck(t.Context(), settings, &out) }
	setup := func() error { return app.StripeSetup(t.Context(), settings, &out) }

	const ours = "2023-10-16"
	good := at(webhooks.EndpointConnect, "we_connect", ours)
	for name, c := range map[string]struct {
		change func(platform map[string]any) []map[string]any
		want   string
		wrong  bool
	}{
		"in order": {func(p map[string]any) []map[string]any { return []map[string]any{p} }, "we_platform (" + e.URL + "/v1/webhooks/stripe) sends what is needed", false},
		"of another version": {func(p map[string]any) []map[string]any {
			p["api_version"] = "2020-08-27"
			return []map[string]any{p}
		}, "renders events in API version 2020-08-27", false},
		"of the account's version": {func(p map[string]any) []map[string]any {
			p["api_version"] = nil
			return []map[string]any{p}
		}, "renders events in the account's default API version", false},
		"without refunds": {func(p map[string]any) []map[string]any {
			p["enabled_events"] = []string{"charge.succeeded"}
			return []map[string]any{p}
		}, "charge.refunded", true},
		"with all events": {func(p map[string]any) []map[string]any {
			p["enabled_events"] = []string{"*"}
			return []map[string]any{p}
		}, "sends what is needed", false},
		"of the other mode": {func(p map[string]any) []map[string]any {
			p["livemode"] = true
			return []map[string]any{p}
		}, "is of the other mode than the key", true},
		"twice": {func(p map[string]any) []map[string]any {
			return []map[string]any{p, at(webhooks.EndpointPlatform, "we_second", ours)}
		}, "2 endpoints send to " + e.URL + "/v1/webhooks/stripe:", true},
		"missing": {func(map[string]any) []map[string]any { return nil }, "no endpoint sends to " + e.URL + "/v1/webhooks/stripe:", true},
	} {
		t.Run(name, func(t *testing.T) {
			endpoints = append(c.change(at(webhooks.EndpointPlatform, "we_platform", ours)), good)
			said, err := say(check, &out)
			if (err != nil) != c.wrong || !strings.Contains(said, c.want) || strings.Contains(said, "WRONG") != c.wrong {
				t.Errorf("%v; want %q in\n%s", err, c.want, said)
			}
		})
	}
	t.Run("setup leaves an endpoint of another version to a person", func(t *testing.T) {
		endpoints = []map[string]any{at(webhooks.EndpointPlatform, "we_platform", "2020-08-27"), good}
		if said, err := say(setup, &out); err == nil || !strings.Contains(err.Error(), "cannot be changed") {
			t.Errorf("%v\n%s", err, said)
		}
	})
	t.Run("the books are of another account than the key", func(t *testing.T) {
		endpoints = []map[string]any{at(webhooks.EndpointPlatform, "we_platform", ours), good}
		if _, err := ownerOf(t, e).Exec(t.Context(), `INSERT INTO connect.platform (stripe_account, livemode) VALUES ('acct_another', false)
			ON CONFLICT (sole) DO UPDATE SET stripe_account = 'acct_another'`); err != nil {
			t.Fatal(err)
		}
		if said, err := say(check, &out); err == nil || !strings.Contains(said, "acct_another") {
			t.Errorf("%v\n%s", err, said)
		}
	})
	for _, r := range e.Sim.Requests() {
		if r.Method != http.MethodGet {
			t.Errorf("it sends %s %s", r.Method, r.Path)
		}
	}
}
