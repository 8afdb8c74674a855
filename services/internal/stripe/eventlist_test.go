package stripe

import (
	"io"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// https://docs.stripe.com/api/events/list: each account has a list of its own, whose events need not name it, and which
// are rendered in the version of their creation. So ids are taken, and nothing else is believed.
func TestListedEventsKeepOnlyIDs(t *testing.T) {
	var asked url.Values
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked = r.URL.Query()
		_, _ = io.WriteString(w, `{"object":"list","has_more":true,"data":[
			{"id":"evt_3","type":"checkout.session.completed","api_version":"2023-10-16","created":30,"livemode":false,"data":{"object":
				{"id":"cs_1","object":"checkout.session","status":"complete","payment_status":"paid","amount_total":2000,"currency":"eur"}}},
			{"id":"evt_2","type":"charge.dispute.created","api_version":"2019-01-01","created":20,"livemode":false,"account":"acct_other","data":{"object":
				{"id":"dp_1","object":"dispute","charge":"ch_1","payment_intent":"pi_1"}}},
			{"object":"no event"}]}`)
	})
	page, more, err := c.ListEvents(t.Context(), "acct_1", EventQuery{
		Since: unix(10), Before: unix(40), Types: []string{"a", "b"}, After: "evt_4",
	})
	if err != nil || !more {
		t.Fatalf("more %v: %v", more, err)
	}
	want := url.Values{
		"limit": {"100"}, "created[gte]": {"10"}, "created[lt]": {"40"}, "types[0]": {"a"}, "types[1]": {"b"}, "starting_after": {"evt_4"},
	}
	if diff := cmp.Diff(want, asked); diff != "" {
		t.Errorf("query (-want +got):\n%s", diff)
	}
	type told struct {
		ID, Type, Account string
		Created           time.Time
		Object            Resource
	}
	var got []told
	for _, e := range page {
		got = append(got, told{e.ID, e.Type, e.Account, e.Created, e.Resource()})
	}
	if diff := cmp.Diff([]told{
		{"evt_3", "checkout.session.completed", "acct_1", unix(30), Resource{Session: &Session{ID: "cs_1"}}},
		{"evt_2", "charge.dispute.created", "acct_1", unix(20), Resource{ID: "dp_1", Kind: "dispute", PaymentIntent: "pi_1"}},
	}, got); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if _, _, err := c.ListEvents(t.Context(), "", EventQuery{Since: time.Time{}}); err != nil || asked.Get("created[gte]") != "0" {
		t.Errorf("from the beginning: %v, %v", asked, err)
	}
}

// Go's net/http sends a POST with an Idempotency-Key again by itself when a connection that it used before breaks
// (https://pkg.go.dev/net/http#Transport). The caller never learns of it: both must be one request to Stripe.
func TestAPostThatGoSendsAgainIsTheSame(t *testing.T) {
	var seen []string
	broken := false
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.Method == http.MethodPost {
			seen = append(seen, r.Header.Get("Idempotency-Key")+"\n"+string(body))
			if !broken {
				broken = true
				conn, _, err := http.NewResponseController(w).Hijack()
				if err != nil {
					t.Error(err)
					return
				}
				conn.Close()
				return
			}
		}
		_, _ = io.WriteString(w, `{"id":"cs_1"}`)
	})
	if _, err := c.GetSession(t.Context(), "", "cs_0"); err != nil { // leaves a connection
		t.Fatal(err)
	}
	session, err := c.CreateSession(t.Context(), params)
	if err != nil || session.ID != "cs_1" {
		t.Fatalf("%+v, %v", session, err)
	}
	if len(seen) != 2 || seen[0] != seen[1] || seen[0][0] == '\n' {
		t.Errorf("Stripe was sent %q", seen)
	}
}
