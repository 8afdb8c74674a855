package stripesim_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/cagnotte/cagnotte/services/internal/stripesim"
)

// post sends a form and decodes the answer.
func post(t *testing.T, base, path string, form url.Values) (int, map[string]any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+path, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+testKey)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var o map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&o); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, o
}

func TestEndpointsThatAreMadeThroughTheAPI(t *testing.T) {
	sim, base := serve(t, stripesim.Config{})
	var mu sync.Mutex
	var came []string
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var e struct {
			Type string `json:"type"`
		}
		_ = json.NewDecoder(r.Body).Decode(&e)
		mu.Lock()
		defer mu.Unlock()
		came = append(came, e.Type)
	}))
	t.Cleanup(receiver.Close)
	status, made := post(t, base, "/v1/webhook_endpoints", url.Values{
		"url": {receiver.URL}, "enabled_events[]": {"checkout.session.completed"}, "api_version": {stripesim.Version}, "metadata[a]": {"b"},
	})
	id, _ := made["id"].(string)
	if secret, _ := made["secret"].(string); status != 200 || !strings.HasPrefix(secret, "whsec_") {
		t.Fatalf("HTTP %d: %v", status, made)
	}
	giveAndPay := func() []string {
		t.Helper()
		mu.Lock()
		came = nil
		mu.Unlock()
		se := create(t, newClient(base, testKey, 0), donation(2000))
		pay(t, sim, se.ID)
		if err := sim.WaitDelivered(t.Context()); err != nil {
			t.Fatal(err)
		}
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(came)
	}
	if got := giveAndPay(); !slices.Equal(got, []string{"checkout.session.completed"}) {
		t.Errorf("delivered %v, want the types that were asked for", got)
	}
	t.Run("the secret is told once", func(t *testing.T) {
		_, body := raw(t, http.MethodGet, base+"/v1/webhook_endpoints/"+id, "")
		if strings.Contains(body, "whsec_") {
			t.Error("it is told again")
		}
		if _, list := raw(t, http.MethodGet, base+"/v1/webhook_endpoints", ""); strings.Contains(list, "whsec_") || !strings.Contains(list, id) {
			t.Errorf("the list: %s", list)
		}
	})
	t.Run("a disabled one gets nothing", func(t *testing.T) {
		sim.DisableEndpoint(id)
		if got := giveAndPay(); len(got) != 0 {
			t.Errorf("delivered %v", got)
		}
		if status, o := post(t, base, "/v1/webhook_endpoints/"+id, url.Values{"disabled": {"false"}}); status != 200 || o["status"] != "enabled" {
			t.Errorf("HTTP %d: %v", status, o)
		}
		if got := giveAndPay(); len(got) != 1 {
			t.Errorf("delivered %v after it was switched on", got)
		}
	})
	t.Run("a deleted one is gone", func(t *testing.T) {
		if resp, body := raw(t, http.MethodDelete, base+"/v1/webhook_endpoints/"+id, ""); resp.StatusCode != 200 || !strings.Contains(body, `"deleted": true`) {
			t.Errorf("HTTP %d: %s", resp.StatusCode, body)
		}
		if got := giveAndPay(); len(got) != 0 {
			t.Errorf("delivered %v", got)
		}
	})
	if status, o := post(t, base, "/v1/webhook_endpoints", url.Values{"url": {"nowhere"}, "enabled_events[]": {"*"}}); status != 400 {
		t.Errorf("an address that is none: HTTP %d: %v", status, o)
	}
}

func TestLimitAndRolledKeys(t *testing.T) {
	sim, base := serve(t, stripesim.Config{})
	sim.SetLimit(3)
	ask := func() int { resp, _ := raw(t, http.MethodGet, base+"/v1/balance", ""); return resp.StatusCode }
	refused := 0
	for range 8 {
		if ask() == http.StatusTooManyRequests {
			refused++
		}
	}
	if refused == 0 || sim.Limited() != refused {
		t.Errorf("%d refused, %d counted", refused, sim.Limited())
	}
	sim.SetLimit(0)
	if got := ask(); got != http.StatusOK {
		t.Errorf("without a limit: HTTP %d", got)
	}
	sim.AddFault(stripesim.LockTimeout("/v1/balance", 1))
	resp, body := raw(t, http.MethodGet, base+"/v1/balance", "")
	if resp.StatusCode != 429 || resp.Header.Get("Stripe-Should-Retry") != "true" || !strings.Contains(body, "lock_timeout") {
		t.Errorf("a lock timeout: HTTP %d: %s", resp.StatusCode, body)
	}
	sim.SetAPIKeys("sk_test_new")
	if got := ask(); got != http.StatusUnauthorized {
		t.Errorf("with a key that was rolled: HTTP %d", got)
	}
	if sim.Limited() != refused {
		t.Error("a fault or a wrong key counts as limited")
	}
}
