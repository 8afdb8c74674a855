package webhooks

import (
	"strings"
	"testing"
	"time"

	webhooksv1 "github.com/cagnotte/cagnotte/proto/cagnotte/webhooks/v1"
	"github.com/cagnotte/cagnotte/services/internal/stripesim"
)

func TestListsOfOneStripeAccount(t *testing.T) {
	e := newEnv(t, stripesim.Config{})
	payload, signature := signed("evt_platform", platformSecret)
	if err := e.webhooks.Receive(t.Context(), payload, signature, EndpointPlatform); err != nil {
		t.Fatal(err)
	}
	theirs := []byte(strings.Replace(string(payload), `{"id":"evt_platform"`, `{"id":"evt_connected","account":"`+connected+`"`, 1))
	if err := e.webhooks.Receive(t.Context(), theirs, sign(theirs, connectSecret, time.Now()), EndpointConnect); err != nil {
		t.Fatal(err)
	}
	if _, err := e.pool.Exec(t.Context(), `
		INSERT INTO webhooks.parked (account, id, reason, next_attempt_at)
		VALUES ('', 'txn_platform', 'PAYMENT_UNREAD', now()), ($1, 'txn_connected', 'PAYMENT_UNREAD', now())`, connected); err != nil {
		t.Fatal(err)
	}
	server := NewServer(e.webhooks)
	for account, want := range map[string]string{"": "evt_connected evt_platform", "platform": "evt_platform", connected: "evt_connected"} {
		events, err := server.ListWebhookEvents(t.Context(), &webhooksv1.ListWebhookEventsRequest{Parent: "instance", StripeAccount: account})
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]bool{}
		for _, event := range events.GetWebhookEvents() {
			got[lastID(event.GetName())] = true
		}
		for _, id := range []string{"evt_connected", "evt_platform"} {
			if got[id] != strings.Contains(want, id) {
				t.Errorf("events of %q: %v", account, got)
			}
		}
		parked, err := server.ListParkedTransactions(t.Context(), &webhooksv1.ListParkedTransactionsRequest{Parent: "instance", StripeAccount: account})
		if err != nil || len(parked.GetParkedTransactions()) != len(strings.Fields(want)) {
			t.Errorf("parked of %q: %v, %v", account, parked, err)
		}
	}
	// A collective's list is of its own account, whatever it asks for.
	events, err := server.ListWebhookEvents(t.Context(), &webhooksv1.ListWebhookEventsRequest{Parent: "collectives/" + festival.Collective, StripeAccount: "platform"})
	if err != nil || len(events.GetWebhookEvents()) != 1 || lastID(events.GetWebhookEvents()[0].GetName()) != "evt_connected" {
		t.Errorf("%v, %v", events, err)
	}
}

// An event that is due at once has no time that a program could read, and is shown all the same.
func TestAFailedEventSaysWhenItIsTriedAgain(t *testing.T) {
	e := newEnv(t, stripesim.Config{})
	payload, signature := signed("evt_1", platformSecret)
	if err := e.webhooks.Receive(t.Context(), payload, signature, EndpointPlatform); err != nil {
		t.Fatal(err)
	}
	server := NewServer(e.webhooks)
	for next, want := range map[string]bool{"'-infinity'": true, "now() + interval '1 hour'": true, "NULL": false} {
		if _, err := e.pool.Exec(t.Context(), `UPDATE webhooks.events SET state = 'failed', failure_reason = 'X', next_attempt_at = `+next); err != nil {
			t.Fatal(err)
		}
		got, err := server.GetWebhookEvent(t.Context(), &webhooksv1.GetWebhookEventRequest{Name: "instance/webhookEvents/evt_1"})
		if err != nil || (got.GetNextAttemptTime() != nil) != want {
			t.Errorf("%s: %v, %v", next, got, err)
		}
	}
}
