package stripesim_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/cagnotte/cagnotte/services/internal/stripesim"
	"github.com/stripe/stripe-go/v76"
)

// raw sends a request that the real client would not.
func raw(t *testing.T, method, url, body string, header ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+testKey)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	c := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(b)
}

func TestTransport(t *testing.T) {
	sim, url := serve(t, stripesim.Config{APIKeys: []string{testKey, "rk_test_restricted"}})

	t.Run("a wrong key is 401 and is not shown whole", func(t *testing.T) {
		_, err := newClient(url, "sk_test_wrongwrongwrong1234", 0).CheckoutSessions.New(donation(2000))
		if e := stripeError(t, err); e.HTTPStatusCode != 401 || strings.Contains(e.Msg, "wrongwrong") || !strings.Contains(e.Msg, "1234") {
			t.Errorf("got %+v", e)
		}
	})
	t.Run("each configured key works", func(t *testing.T) {
		create(t, newClient(url, "rk_test_restricted", 0), donation(2000))
		r, _ := http.NewRequest(http.MethodGet, url+"/v1/account", nil)
		r.SetBasicAuth(testKey, "")
		resp, err := http.DefaultClient.Do(r)
		if err != nil || resp.StatusCode != 200 {
			t.Fatalf("got %v, %v", resp, err)
		}
		resp.Body.Close()
	})
	for _, tc := range []struct {
		rule, method, path, body string
		header                   []string
		status                   int
		says                     string
	}{
		{"an unknown URL is named", "GET", "/v1/donations", "", nil, 404, "Unrecognized request URL (GET: /v1/donations)"},
		{"an unknown method is named", "PUT", "/v1/balance", "", nil, 404, "Unrecognized request URL (PUT: /v1/balance)"},
		{"a JSON body is refused", "POST", "/v1/checkout/sessions", "{}", []string{"Content-Type", "application/json"}, 400, "x-www-form-urlencoded"},
		{"another version is refused", "GET", "/v1/balance", "", []string{"Stripe-Version", "2020-08-27"}, 400, "2023-10-16"},
		{"a broken encoding is refused", "GET", "/v1/balance?a=%zz", "", nil, 400, "Invalid encoding"},
		{"a list takes no unknown parameter", "GET", "/v1/charges?from=1", "", nil, 400, "parameter_unknown"},
		{"both cursors at once are refused", "GET", "/v1/events?starting_after=a&ending_before=b", "", nil, 400, "only specify one"},
		{"a boolean is true or false", "GET", "/v1/events?delivery_success=1", "", nil, 400, "Invalid boolean"},
		{"a missing payout is named", "GET", "/v1/balance_transactions?payout=po_1", "", nil, 400, "No such payout"},
		{"five levels are too deep", "GET", "/v1/charges?expand[]=data.payment_intent.latest_charge.payment_intent.latest_charge", "", nil, 400, "more than 4"},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			resp, body := raw(t, tc.method, url+tc.path, tc.body, tc.header...)
			if resp.StatusCode != tc.status || !strings.Contains(body, tc.says) {
				t.Errorf("got %d %s", resp.StatusCode, body)
			}
			if resp.Header.Get("Request-Id") == "" || resp.Header.Get("Stripe-Version") != "2023-10-16" {
				t.Errorf("headers %v", resp.Header)
			}
		})
	}
	t.Run("requests are remembered as they came", func(t *testing.T) {
		p := keyed("remember", 2000)
		create(t, newClient(url, testKey, 0), p)
		seen := sim.Requests()
		r := seen[len(seen)-1]
		if r.Method != "POST" || r.Path != "/v1/checkout/sessions" || r.IdempotencyKey != "remember" || r.Status != 200 ||
			!strings.Contains(string(r.Body), "client_reference_id=") || r.Header.Get("Stripe-Version") != "2023-10-16" {
			t.Errorf("got %+v", r)
		}
	})
}

func TestFaults(t *testing.T) {
	const sessions = "/v1/checkout/sessions"
	t.Run("answer a status so many times", func(t *testing.T) {
		sim, api := start(t, stripesim.Config{})
		sim.AddFault(stripesim.Fault{Method: "POST", PathPrefix: sessions, Times: 2, Status: 429})
		for range 2 {
			_, err := api.CheckoutSessions.New(donation(2000))
			if e := stripeError(t, err); e.HTTPStatusCode != 429 || e.Code != stripe.ErrorCodeRateLimit {
				t.Errorf("got %+v", e)
			}
		}
		create(t, api, donation(2000))
	})
	t.Run("leave other requests alone", func(t *testing.T) {
		sim, api := start(t, stripesim.Config{})
		sim.AddFault(stripesim.Fault{PathPrefix: sessions, Status: 503})
		if _, err := api.Balance.Get(nil); err != nil {
			t.Error(err)
		}
		if _, err := api.CheckoutSessions.New(donation(2000)); stripeError(t, err).Type != stripe.ErrorTypeAPI {
			t.Error(err)
		}
		sim.ClearFaults()
		create(t, api, donation(2000))
	})
	t.Run("tell the client to try again", func(t *testing.T) {
		sim, url := serve(t, stripesim.Config{})
		sim.AddFault(stripesim.Fault{
			Times: 1, Status: 429, Code: "lock_timeout", Headers: map[string]string{"Stripe-Should-Retry": "true"},
		})
		create(t, newClient(url, testKey, 2), donation(2000))
		if n := len(sim.Requests()); n != 2 {
			t.Errorf("%d requests", n)
		}
	})
	t.Run("close the connection before executing", func(t *testing.T) {
		sim, api := start(t, stripesim.Config{})
		sim.AddFault(stripesim.Fault{Reset: true})
		if _, err := api.CheckoutSessions.New(donation(2000)); err == nil {
			t.Error("there was an answer")
		}
		if n := len(sim.Sessions("")); n != 0 {
			t.Errorf("%d sessions", n)
		}
	})
	t.Run("lose the answer after executing; the key finds it again", func(t *testing.T) {
		sim, url := serve(t, stripesim.Config{})
		api := newClient(url, testKey, 0)
		sim.AddFault(stripesim.Fault{Times: 1, LoseReply: true})
		if _, err := api.CheckoutSessions.New(keyed("lost", 2000)); err == nil {
			t.Fatal("there was an answer")
		}
		se := create(t, api, keyed("lost", 2000))
		if all := sim.Sessions(""); len(all) != 1 || all[0].ID != se.ID {
			t.Errorf("got %+v", all)
		}
	})
	t.Run("finish what an impatient client began", func(t *testing.T) {
		sim, api := start(t, stripesim.Config{})
		sim.AddFault(stripesim.Fault{Times: 1, Delay: 50 * time.Millisecond})
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		p := keyed("slow", 2000)
		p.Context = ctx
		if _, err := api.CheckoutSessions.New(p); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("got %v", err)
		}
		for deadline := time.Now().Add(5 * time.Second); len(sim.Sessions("")) == 0; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("the session was never made")
			}
		}
		if se := create(t, api, keyed("slow", 2000)); se.ID != sim.Sessions("")[0].ID {
			t.Error("a second session was made")
		}
	})
}

// Who watches the requests must tell a wrong one from one that came at the wrong time.
func TestMalformedRequestsDifferFromRefusedOnes(t *testing.T) {
	sim, url := serve(t, stripesim.Config{})
	api := newClient(url, testKey, 0)
	se := create(t, api, donation(2000))
	pay(t, sim, se.ID)
	charge := sim.Sessions("")[0].ChargeID
	for _, c := range []struct {
		what, method, path, body string
		status                   int
		malformed                bool
	}{
		{"a first refund", http.MethodPost, "/v1/refunds", "charge=" + charge, http.StatusOK, false},
		{"a second refund", http.MethodPost, "/v1/refunds", "charge=" + charge, http.StatusBadRequest, false},
		{"the end of a page that was paid", http.MethodPost, "/v1/checkout/sessions/" + se.ID + "/expire", "", http.StatusBadRequest, false},
		{
			"a page that would have been open for 30 minutes when it was asked for", http.MethodPost, "/v1/checkout/sessions",
			"mode=payment&success_url=https://don.example/merci&expires_at=1", http.StatusBadRequest, false,
		},
		{"what is not there", http.MethodGet, "/v1/charges/ch_1", "", http.StatusNotFound, false},
		{"an unknown parameter", http.MethodPost, "/v1/refunds", "charge=" + charge + "&donor=me", http.StatusBadRequest, true},
		{"a missing parameter", http.MethodPost, "/v1/checkout/sessions", "mode=payment", http.StatusBadRequest, true},
		{"a page of too many", http.MethodGet, "/v1/charges?limit=101", "", http.StatusBadRequest, true},
		{"an unknown address", http.MethodGet, "/v1/chargers", "", http.StatusNotFound, true},
	} {
		resp, _ := raw(t, c.method, url+c.path, c.body)
		seen := sim.Requests()
		last := seen[len(seen)-1]
		if resp.StatusCode != c.status || (last.Malformed != "") != c.malformed {
			t.Errorf("%s: %d, %q", c.what, resp.StatusCode, last.Malformed)
		}
	}
	sim.AddFault(stripesim.Fault{Status: http.StatusBadRequest, Times: 1})
	raw(t, http.MethodGet, url+"/v1/charges", "")
	if seen := sim.Requests(); seen[len(seen)-1].Malformed != "" {
		t.Error("a fault that was asked for is nobody's")
	}
}
