package apptest

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

// A comparison is worth something only if it can say no.
func TestTheDescriptionCanRefuse(t *testing.T) {
	d, err := stripeDescription()
	if err != nil {
		t.Fatal(err)
	}
	const whole = `{"id":"we_1","object":"webhook_endpoint","created":1,"enabled_events":["charge.updated"],"livemode":false,
		"metadata":{"a":"b"},"status":"enabled","url":"https://example.org","api_version":null,"description":null}`
	fresh := func() *answers { return &answers{description: d, seen: map[string]int{}, wrong: map[string]string{}} }
	check := func(body string) *answers {
		a := fresh()
		a.checkAnswer(http.MethodGet, "/v1/webhook_endpoints/we_1", http.StatusOK, []byte(body))
		return a
	}
	if a := check(whole); len(a.wrong) != 0 {
		t.Fatalf("a whole object is refused: %v", a.wrong)
	}
	for name, c := range map[string]struct{ from, to, want string }{
		"a required member is missing":  {`"livemode":false,`, ``, "webhook_endpoint.livemode: is missing"},
		"a member is of the wrong type": {`"created":1`, `"created":"1"`, "webhook_endpoint.created: string is no integer"},
		"a member may not be null":      {`"url":"https://example.org"`, `"url":null`, "webhook_endpoint.url: is null"},
		"a value is not in the list":    {`"object":"webhook_endpoint"`, `"object":"endpoint"`, `webhook_endpoint.object: "endpoint" is none of [webhook_endpoint]`},
		"a member that Stripe has not":  {`"id":"we_1"`, `"id":"we_1","donor":1`, "webhook_endpoint.donor: is no member"},
		"an element is of another type": {`["charge.updated"]`, `[1]`, "webhook_endpoint.enabled_events[]: float64 is no string"},
		"a value of a map":              {`{"a":"b"}`, `{"a":1}`, "webhook_endpoint.metadata.a: float64 is no string"},
	} {
		t.Run(name, func(t *testing.T) {
			a := check(strings.Replace(whole, c.from, c.to, 1))
			if _, ok := a.wrong[c.want]; !ok || len(a.wrong) != 1 {
				t.Errorf("differences %v, want %q", a.wrong, c.want)
			}
		})
	}
	t.Run("a call that Stripe has not", func(t *testing.T) {
		a := fresh()
		a.checkAnswer(http.MethodGet, "/v1/donors/1", http.StatusOK, []byte(whole))
		if len(a.wrong) != 1 {
			t.Errorf("differences %v", a.wrong)
		}
	})
	t.Run("an event's object, and what was different before", func(t *testing.T) {
		event := `{"id":"evt_1","object":"event","api_version":"2023-10-16","created":1,"livemode":false,"pending_webhooks":0,
			"request":null,"type":"x.updated","data":{"object":` + strings.Replace(whole, `"created":1,`, ``, 1) + `,"previous_attributes":{"gone":1}}}`
		if !json.Valid([]byte(event)) {
			t.Fatal("the test's event is no JSON")
		}
		a := fresh()
		a.checkEvent("x.updated", func() []byte { return []byte(event) })
		for _, want := range []string{"webhook_endpoint.created: is missing", "webhook_endpoint.gone: is no member, in previous_attributes"} {
			if _, ok := a.wrong[want]; !ok {
				t.Errorf("differences %v, want %q", a.wrong, want)
			}
		}
	})
}
