package stripe

import (
	"context"
	"io"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
)

// recorded is a request that a method of the client made.
type recorded struct{ method, path, account, key, body string }

// everyCall calls every exported method of a new client, all about acct_1, and returns what each asked of Stripe. A
// method that is added is called too.
func everyCall(t *testing.T) map[string][]recorded {
	t.Helper()
	var seen []recorded
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		seen = append(seen, recorded{
			r.Method, r.URL.Path, r.Header.Get("Stripe-Account"), r.Header.Get("Idempotency-Key"), string(body),
		})
		_, _ = io.WriteString(w, `{"id":"xx_1","data":[]}`)
	})
	calls := map[string][]recorded{}
	client := reflect.ValueOf(c)
	for i := range client.NumMethod() {
		seen = nil
		var in []reflect.Value
		for j := range client.Method(i).Type().NumIn() {
			in = append(in, about(t.Context(), client.Method(i).Type().In(j)))
		}
		client.Method(i).Call(in)
		calls[client.Type().Method(i).Name] = seen
	}
	return calls
}

// about makes an argument of a type: texts are acct_1, also where a struct says which account is meant.
func about(ctx context.Context, kind reflect.Type) reflect.Value {
	value := reflect.New(kind).Elem()
	switch {
	case kind == reflect.TypeFor[context.Context]():
		return reflect.ValueOf(ctx)
	case kind == reflect.TypeFor[Permission]():
		return reflect.ValueOf(Permissions[0])
	case kind == reflect.TypeFor[uuid.UUID]():
		return reflect.ValueOf(uuid.MustParse("0190f6c8-0000-7000-8000-000000000001"))
	case kind.Kind() == reflect.String:
		value.SetString("acct_1")
	case kind.Kind() == reflect.Struct && value.FieldByName("Account").IsValid():
		value.FieldByName("Account").SetString("acct_1")
	}
	return value
}

// platforms are the methods that are about the platform itself: its key, its endpoints, the accounts that it opens.
var platforms = []string{
	"Clock", "CreateAccount", "CreateAccountLink", "CreateWebhookEndpoint", "DeleteWebhookEndpoint", "GetAccount",
	"ListWebhookEndpoints", "OwnAccount", "Probe", "UpdateWebhookEndpoint",
}

// https://docs.stripe.com/connect/authentication: without the header a call is about the platform's own account. One
// forgotten header shows a collective what is another's.
func TestEveryCallAboutAnAccountBearsItsHeader(t *testing.T) {
	var without []string
	for name, requests := range everyCall(t) {
		for _, r := range requests {
			if r.account != "acct_1" {
				without = append(without, name)
			}
		}
	}
	slices.Sort(without)
	if diff := cmp.Diff(platforms, slices.Compact(without)); diff != "" {
		t.Errorf("methods that call without the header (-platform's +got):\n%s", diff)
	}
}

// A key that stripe-go makes at random does not survive a restart: what is sent after one would be done twice.
func TestIdempotencyKeysSurviveARestart(t *testing.T) {
	// Another session of the portal changes nothing, an end, a pause or a deletion that is asked for twice is one, and
	// endpoints are made by a person, who looks before.
	free := []string{
		"CancelSubscription", "CreatePortalSession", "CreateWebhookEndpoint", "DeleteCustomer", "DeleteWebhookEndpoint",
		"PauseSubscription", "ResumeSubscription", "UpdateWebhookEndpoint",
	}
	var random []string
	before, after := everyCall(t), everyCall(t)
	for name, requests := range before {
		for i, r := range requests {
			switch again := after[name][i]; {
			case r.method == http.MethodGet:
			case len(r.key) > 255:
				t.Errorf("%s: a key of %d characters", name, len(r.key))
			case r.key == "" || r.key != again.key:
				random = append(random, name)
			case r.body != again.body:
				t.Errorf("%s: one key with two bodies", name)
			}
		}
	}
	slices.Sort(random)
	if diff := cmp.Diff(free, random); diff != "" {
		t.Errorf("methods that write under no key of ours (-want +got):\n%s", diff)
	}
}

// A restricted key needs the permissions that are listed for what is called, and is asked for no others.
func TestPermissionsAreThoseOfTheCalls(t *testing.T) {
	// Nothing can be read of these, so nothing tries them.
	untried := []string{"/v1/account", "/v1/accounts", "/v1/account_links", "/v1/billing_portal"}
	reads, writes := map[string]bool{}, map[string]bool{}
	for name, requests := range everyCall(t) {
		for _, r := range requests {
			if r.path == "/v1/balance" { // the same permission as its transactions
				r.path = "/v1/balance_transactions"
			}
			of := slices.IndexFunc(Permissions, func(p Permission) bool {
				return p.path != "" && (r.path == p.path || strings.HasPrefix(r.path, p.path+"/"))
			})
			switch {
			case of >= 0 && r.method == http.MethodGet:
				reads[Permissions[of].Name] = true
			case of >= 0:
				writes[Permissions[of].Name] = true
			case !slices.ContainsFunc(untried, func(path string) bool { return r.path == path || strings.HasPrefix(r.path, path+"/") }):
				t.Errorf("%s: no permission is listed for %s", name, r.path)
			}
		}
	}
	// Who sets up endpoints may take another key for it.
	delete(writes, "Webhook Endpoints")
	for _, p := range Permissions {
		if p.path != "" && !reads[p.Name] && !writes[p.Name] {
			t.Errorf("%s is asked for, and nothing calls it", p.Name)
		}
		if p.path != "" && writes[p.Name] != (p.Access == "Write") {
			t.Errorf("%s: %s is asked for, and written is %v", p.Name, p.Access, slices.Sorted(maps.Keys(writes)))
		}
	}
}
