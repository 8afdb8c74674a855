package stripesim_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cagnotte/cagnotte/services/internal/stripesim"
	"github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-go/v76/client"
)

func newAccount(t *testing.T, api *client.API) *stripe.Account {
	t.Helper()
	p := &stripe.AccountParams{Type: stripe.String("standard")}
	p.AddMetadata("collective", "vallon")
	a, err := api.Accounts.New(p)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func newLink(t *testing.T, api *client.API, account string) string {
	t.Helper()
	l, err := api.AccountLinks.New(&stripe.AccountLinkParams{
		Account: &account, Type: stripe.String("account_onboarding"),
		RefreshURL: stripe.String("https://don.example/expired"), ReturnURL: stripe.String("https://don.example/back"),
	})
	if err != nil {
		t.Fatal(err)
	}
	return l.URL
}

func TestOnboarding(t *testing.T) {
	clock := stripesim.NewClock()
	sim, base := serve(t, stripesim.Config{Clock: clock})
	api := newClient(base, testKey, 0)
	a := newAccount(t, api)
	if a.ChargesEnabled || a.PayoutsEnabled || a.DetailsSubmitted || len(a.Requirements.CurrentlyDue) == 0 ||
		a.Requirements.DisabledReason != "requirements.past_due" || a.Metadata["collective"] != "vallon" || a.Type != "standard" {
		t.Errorf("a new account: %+v", a)
	}
	read, err := api.Accounts.GetByID(a.ID, nil)
	if err != nil || read.ChargesEnabled {
		t.Fatalf("%v, %v", read, err)
	}
	t.Run("a link opens once, and not for long", func(t *testing.T) {
		link := newLink(t, api, a.ID)
		for i, want := range []int{http.StatusOK, http.StatusSeeOther} {
			resp, body := raw(t, http.MethodGet, link, "")
			if resp.StatusCode != want || i == 0 && !strings.Contains(body, "<form") || i == 1 && resp.Header.Get("Location") != "https://don.example/expired" {
				t.Errorf("visit %d: %d to %q", i+1, resp.StatusCode, resp.Header.Get("Location"))
			}
		}
		old := newLink(t, api, a.ID)
		clock.Advance(10 * time.Minute)
		if resp, _ := raw(t, http.MethodGet, old, ""); resp.Header.Get("Location") != "https://don.example/expired" {
			t.Errorf("an old link: %d to %q", resp.StatusCode, resp.Header.Get("Location"))
		}
		if resp, _ := raw(t, http.MethodGet, link+"x", ""); resp.StatusCode != http.StatusNotFound {
			t.Errorf("a guessed link: %d", resp.StatusCode)
		}
	})
	t.Run("a form that nobody opened completes nothing", func(t *testing.T) {
		if resp, _ := raw(t, http.MethodPost, newLink(t, api, a.ID), ""); resp.Header.Get("Location") != "https://don.example/expired" {
			t.Errorf("to %q", resp.Header.Get("Location"))
		}
		if read, err := api.Accounts.GetByID(a.ID, nil); err != nil || read.DetailsSubmitted {
			t.Errorf("%v, %v", read, err)
		}
	})
	t.Run("who finishes is led back, and the account is announced", func(t *testing.T) {
		link := newLink(t, api, a.ID)
		raw(t, http.MethodGet, link, "")
		for range 2 {
			if resp, _ := raw(t, http.MethodPost, link, ""); resp.Header.Get("Location") != "https://don.example/back" {
				t.Errorf("to %q", resp.Header.Get("Location"))
			}
		}
		read, err := api.Accounts.GetByID(a.ID, nil)
		if err != nil || !read.ChargesEnabled || !read.PayoutsEnabled || !read.DetailsSubmitted || len(read.Requirements.CurrentlyDue) > 0 {
			t.Errorf("%+v, %v", read, err)
		}
		events := sim.Events(a.ID)
		if len(events) != 1 || events[0].Type != "account.updated" || events[0].ObjectID != a.ID {
			t.Fatalf("events %v", events)
		}
		var envelope struct {
			Account string
			Data    struct {
				Object   map[string]any
				Previous map[string]any `json:"previous_attributes"`
			}
		}
		if err := json.Unmarshal(events[0].Payload, &envelope); err != nil {
			t.Fatal(err)
		}
		if envelope.Account != a.ID || envelope.Data.Previous["charges_enabled"] != false || envelope.Data.Object["charges_enabled"] != true {
			t.Errorf("got %s", events[0].Payload)
		}
		checkShape(t, "account", any(envelope.Data.Object), reflect.TypeFor[stripe.Account]())
		if len(sim.Events("")) != 0 {
			t.Error("the platform's own account has the event")
		}
	})
	t.Run("nobody but the platform makes accounts and links", func(t *testing.T) {
		for path, form := range map[string]string{
			"/v1/accounts":      "type=standard",
			"/v1/account_links": "type=account_onboarding&account=" + a.ID + "&refresh_url=https://a.example&return_url=https://a.example",
		} {
			if resp, body := raw(t, http.MethodPost, base+path, form, "Stripe-Account", a.ID); resp.StatusCode < 400 {
				t.Errorf("%s: %s", path, body)
			}
		}
		for _, form := range []string{"type=express", "type=standard&capabilities[card_payments][requested]=true"} {
			if resp, body := raw(t, http.MethodPost, base+"/v1/accounts", form); resp.StatusCode != http.StatusBadRequest {
				t.Errorf("%s: %s", form, body)
			}
		}
	})
}

func TestAnAccountThatLeaves(t *testing.T) {
	sim, base := serve(t, stripesim.Config{})
	api := newClient(base, testKey, 0)
	a := newAccount(t, api)
	for range 2 {
		if err := sim.Deauthorize(a.ID); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := api.Accounts.GetByID(a.ID, nil); stripeError(t, err).Code != "account_invalid" {
		t.Errorf("read: %v", err)
	}
	if resp, _ := raw(t, http.MethodGet, base+"/v1/charges", "", "Stripe-Account", a.ID); resp.StatusCode != http.StatusForbidden {
		t.Errorf("its charges: %d", resp.StatusCode)
	}
	for range 2 {
		if err := sim.Authorize(a.ID); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := api.Accounts.GetByID(a.ID, nil); err != nil {
		t.Errorf("it is back: %v", err)
	}
	var kinds []string
	for _, e := range sim.Events(a.ID) {
		kinds = append(kinds, e.Type)
	}
	if !slices.Equal(kinds, []string{"account.application.deauthorized", "account.application.authorized"}) {
		t.Errorf("events %v", kinds)
	}
	for _, account := range []string{"", sim.Account(), "acct_nobody"} {
		if sim.Deauthorize(account) == nil {
			t.Errorf("%q left", account)
		}
	}
}

func TestAccountsDoNotSeeEachOther(t *testing.T) {
	sim, base := serve(t, stripesim.Config{})
	api := newClient(base, testKey, 0)
	mine, other := newAccount(t, api).ID, newAccount(t, api).ID
	for _, id := range []string{mine, other} {
		if err := sim.CompleteOnboarding(id); err != nil {
			t.Fatal(err)
		}
	}
	p := donation(2000)
	p.SetStripeAccount(mine)
	s := create(t, api, p)
	if err := sim.Pay(s.ID, stripesim.CardOK); err != nil {
		t.Fatal(err)
	}
	get := func(account, path string) (int, map[string]any) {
		t.Helper()
		var header []string
		if account != "" {
			header = []string{"Stripe-Account", account}
		}
		resp, body := raw(t, http.MethodGet, base+path, "", header...)
		var o map[string]any
		if err := json.Unmarshal([]byte(body), &o); err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, o
	}
	_, session := get(mine, "/v1/checkout/sessions/"+s.ID)
	intent := session["payment_intent"].(string)
	_, paid := get(mine, "/v1/payment_intents/"+intent)
	charge := paid["latest_charge"].(string)
	_, charged := get(mine, "/v1/charges/"+charge)
	events := sim.Events(mine)
	objects := []string{
		"/v1/checkout/sessions/" + s.ID, "/v1/payment_intents/" + intent, "/v1/charges/" + charge,
		"/v1/balance_transactions/" + charged["balance_transaction"].(string), "/v1/events/" + events[len(events)-1].ID,
	}
	lists := []string{"/v1/checkout/sessions", "/v1/charges", "/v1/balance_transactions", "/v1/events?type=" + url.QueryEscape("charge.succeeded")}
	for _, path := range objects {
		for account, want := range map[string]int{mine: 200, other: 404, "": 404} {
			if status, _ := get(account, path); status != want {
				t.Errorf("%s for %q: %d, want %d", path, account, status, want)
			}
		}
	}
	for _, path := range lists {
		for account, want := range map[string]int{mine: 1, other: 0, "": 0} {
			if _, list := get(account, path); len(list["data"].([]any)) != want {
				t.Errorf("%s for %q: %v", path, account, list)
			}
		}
	}
	if status, _ := get(other, "/v1/accounts/"+mine); status != http.StatusForbidden {
		t.Errorf("one account reads the other: %d", status)
	}
	if _, err := api.Refunds.New(&stripe.RefundParams{PaymentIntent: &intent, Params: stripe.Params{StripeAccount: &other}}); err == nil {
		t.Error("one account gives the other's money back")
	}
}
