package app_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	accessv1 "github.com/cagnotte/cagnotte/proto/cagnotte/access/v1"
	webhooksv1 "github.com/cagnotte/cagnotte/proto/cagnotte/webhooks/v1"
	"github.com/cagnotte/cagnotte/services/internal/apptest"
	"github.com/cagnotte/cagnotte/services/internal/stripesim"
)

// owner is a connection to the database with its owner's rights.
func ownerOf(t *testing.T, e *apptest.Env) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), e.DatabaseURL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.WithoutCancel(t.Context())) })
	return conn
}

// An event whose application failed is never a duplicate for ever: it is seen, and members put it right.
func TestWebhookHealthAndReplay(t *testing.T) {
	e := apptest.Start(t, apptest.Config{})
	campaign, owner := e.Campaign("vallon")
	database := ownerOf(t, e)
	pay(t, e, give(t, e.Conn, donationTo(campaign)))
	const name = "collectives/vallon/webhookHealth"
	e.OverBoth(t, func(t *testing.T, conn grpc.ClientConnInterface) {
		client := webhooksv1.NewWebhooksServiceClient(conn)
		as := func(key string) context.Context { return apptest.WithKey(t.Context(), key) }
		health := func() *webhooksv1.WebhookHealth {
			t.Helper()
			h, err := client.GetWebhookHealth(as(owner), &webhooksv1.GetWebhookHealthRequest{Name: name})
			if err != nil {
				t.Fatal(err)
			}
			return h
		}
		if err := e.Sim.WaitDelivered(t.Context()); err != nil {
			t.Fatal(err)
		}
		e.Eventually("all is applied", func() bool { h := health(); return h.GetReceivedCount() > 0 && h.GetWaitingCount() == 0 })
		if h := health(); h.GetName() != name || h.GetLastEventTime() == nil || h.GetDelayP99() == nil || h.GetDeadCount() != 0 {
			t.Errorf("healthy: %v", h)
		}
		// What was applied is applied again without harm, so it can be made to look as if it had been given up.
		giveUp := func() string {
			t.Helper()
			var id string
			if err := database.QueryRow(t.Context(), `UPDATE webhooks.events SET state = 'failed', attempts = 20, next_attempt_at = NULL,
				finished_at = NULL, failure_reason = 'AMOUNT_DIFFERS' WHERE type = 'checkout.session.completed' RETURNING id`).Scan(&id); err != nil {
				t.Fatal(err)
			}
			return id
		}
		id := giveUp()
		h := health()
		if len(h.GetFailures()) != 1 || h.GetDeadCount() != 1 || h.GetFailures()[0].GetFailureReason() != "AMOUNT_DIFFERS" {
			t.Fatalf("given up: %v", h)
		}
		one := "collectives/vallon/webhookEvents/" + id
		if got := h.GetFailures()[0].GetName(); got != one {
			t.Errorf("named %s, want %s", got, one)
		}
		applied := func() bool { h := health(); return h.GetDeadCount() == 0 && h.GetWaitingCount() == 0 }
		for who, replay := range map[string]func() error{
			"the owner, one": func() error {
				_, err := client.ReplayWebhookEvent(as(owner), &webhooksv1.ReplayWebhookEventRequest{Name: one})
				return err
			},
			"the operator, one": func() error {
				_, err := client.ReplayWebhookEvent(as(e.OperatorKey), &webhooksv1.ReplayWebhookEventRequest{Name: "instance/webhookEvents/" + id})
				return err
			},
			"the owner, all": func() error {
				got, err := client.ReplayWebhookEvents(as(owner), &webhooksv1.ReplayWebhookEventsRequest{Parent: "collectives/vallon"})
				if err == nil && got.GetReplayedCount() > 1 {
					t.Errorf("replayed %d", got.GetReplayedCount())
				}
				return err
			},
			"the operator, all": func() error {
				_, err := client.ReplayWebhookEvents(as(e.OperatorKey), &webhooksv1.ReplayWebhookEventsRequest{Parent: "instance"})
				return err
			},
		} {
			giveUp()
			for range 2 { // twice is once
				if err := replay(); err != nil {
					t.Errorf("%s: %v", who, err)
				}
			}
			e.Eventually("it is applied after a replay by "+who, applied)
		}
		_, err := client.ReplayWebhookEvent(as(owner), &webhooksv1.ReplayWebhookEventRequest{Name: "collectives/vallon/webhookEvents/evt_none"})
		wantError(t, err, codes.NotFound, "NOT_FOUND", "")

		t.Run("parked balance transactions", func(t *testing.T) {
			if _, err := database.Exec(t.Context(), `INSERT INTO webhooks.parked (account, id, reason, next_attempt_at)
				VALUES ('', 'txn_a', 'SOURCE_UNREAD', now() + interval '1 hour'), ('', 'txn_b', 'SOURCE_UNREAD', now() + interval '1 hour')`); err != nil {
				t.Fatal(err)
			}
			list := func(key, parent, token string) *webhooksv1.ListParkedTransactionsResponse {
				t.Helper()
				page, err := client.ListParkedTransactions(as(key), &webhooksv1.ListParkedTransactionsRequest{Parent: parent, PageSize: 1, PageToken: token})
				if err != nil {
					t.Fatal(err)
				}
				return page
			}
			first := list(owner, "collectives/vallon", "")
			second := list(owner, "collectives/vallon", first.GetNextPageToken())
			if len(first.GetParkedTransactions()) != 1 || len(second.GetParkedTransactions()) != 1 || second.GetNextPageToken() != "" ||
				first.GetParkedTransactions()[0].GetBalanceTransaction() == second.GetParkedTransactions()[0].GetBalanceTransaction() {
				t.Errorf("pages %v, %v", first, second)
			}
			if len(list(e.OperatorKey, "instance", "").GetParkedTransactions()) != 1 {
				t.Error("the operator sees none")
			}
			for key, parent := range map[string]string{owner: "collectives/vallon", e.OperatorKey: "instance"} {
				parked := list(key, parent, "").GetParkedTransactions()[0]
				got, err := client.GetParkedTransaction(as(key), &webhooksv1.GetParkedTransactionRequest{Name: parked.GetName()})
				if err != nil || !proto.Equal(got, parked) || parked.GetName() != parent+"/parkedTransactions/txn_a" {
					t.Errorf("got %v, %v; the list has %v", got, err, parked)
				}
				_, err = client.GetParkedTransaction(as(key), &webhooksv1.GetParkedTransactionRequest{Name: parent + "/parkedTransactions/txn_c"})
				wantError(t, err, codes.NotFound, "NOT_FOUND", "")
			}
			e.Sim.AddFault(stripesim.Fault{PathPrefix: "/v1/balance_transactions/txn_", Status: http.StatusServiceUnavailable})
			defer e.Sim.ClearFaults()
			got, err := client.RetryParkedTransactions(as(owner), &webhooksv1.RetryParkedTransactionsRequest{Parent: "collectives/vallon"})
			if err != nil || got.GetRetriedCount() != 2 {
				t.Fatalf("retried %v, %v", got, err)
			}
			e.Eventually("both were tried again", func() bool {
				var least int
				err := database.QueryRow(t.Context(), "SELECT min(attempts) FROM webhooks.parked").Scan(&least)
				return err == nil && least > 1
			})
			if _, err := database.Exec(t.Context(), "DELETE FROM webhooks.parked"); err != nil {
				t.Fatal(err)
			}
		})
		t.Run("the operator sees each account", func(t *testing.T) {
			all, err := client.ListWebhookHealth(as(e.OperatorKey), &webhooksv1.ListWebhookHealthRequest{Parent: "instance"})
			if err != nil || len(all.GetWebhookHealth()) != 1 || all.GetWebhookHealth()[0].GetReceivedCount() == 0 {
				t.Fatalf("%v, %v", all, err)
			}
			name := all.GetWebhookHealth()[0].GetName()
			if h, err := client.GetWebhookHealth(as(e.OperatorKey), &webhooksv1.GetWebhookHealthRequest{Name: name}); err != nil ||
				name != "instance/webhookHealth/platform" || h.GetName() != name || h.GetReceivedCount() == 0 {
				t.Errorf("%s is %v, %v", name, h, err)
			}
			_, err = client.GetWebhookHealth(as(e.OperatorKey), &webhooksv1.GetWebhookHealthRequest{Name: "instance/webhookHealth/acct_none"})
			wantError(t, err, codes.NotFound, "NOT_FOUND", "")
			_, err = client.GetWebhookHealth(as(owner), &webhooksv1.GetWebhookHealthRequest{Name: name})
			wantError(t, err, codes.NotFound, "NOT_FOUND", "")
		})
		t.Run("events are listed and read", func(t *testing.T) {
			for key, parent := range map[string]string{owner: "collectives/vallon", e.OperatorKey: "instance"} {
				page, err := client.ListWebhookEvents(as(key), &webhooksv1.ListWebhookEventsRequest{Parent: parent, PageSize: 1})
				if err != nil || len(page.GetWebhookEvents()) != 1 || page.GetNextPageToken() == "" {
					t.Fatalf("%s has %v, %v", parent, page, err)
				}
				next, err := client.ListWebhookEvents(as(key), &webhooksv1.ListWebhookEventsRequest{Parent: parent, PageSize: 1, PageToken: page.GetNextPageToken()})
				if err != nil || len(next.GetWebhookEvents()) != 1 || next.GetWebhookEvents()[0].GetName() == page.GetWebhookEvents()[0].GetName() {
					t.Errorf("%s goes on with %v, %v", parent, next, err)
				}
				listed := page.GetWebhookEvents()[0]
				got, err := client.GetWebhookEvent(as(key), &webhooksv1.GetWebhookEventRequest{Name: listed.GetName()})
				if err != nil || !proto.Equal(got, listed) || !strings.HasPrefix(listed.GetName(), parent+"/webhookEvents/evt_") {
					t.Errorf("got %v, %v; the list has %v", got, err, listed)
				}
				_, err = client.GetWebhookEvent(as(key), &webhooksv1.GetWebhookEventRequest{Name: parent + "/webhookEvents/evt_none"})
				wantError(t, err, codes.NotFound, "NOT_FOUND", "")
				failed, err := client.ListWebhookEvents(as(key), &webhooksv1.ListWebhookEventsRequest{Parent: parent, State: webhooksv1.EventState_EVENT_STATE_FAILED})
				if err != nil || len(failed.GetWebhookEvents()) != 0 {
					t.Errorf("failed are %v, %v", failed, err)
				}
			}
		})
	})
	t.Run("who shares an account replays nothing for the others", func(t *testing.T) {
		_, other := e.Campaign("marseille")
		client := webhooksv1.NewWebhooksServiceClient(e.Conn)
		ctx := apptest.WithKey(t.Context(), other)
		_, err := client.ReplayWebhookEvents(ctx, &webhooksv1.ReplayWebhookEventsRequest{Parent: "collectives/marseille"})
		wantError(t, err, codes.FailedPrecondition, "ACCOUNT_SHARED", "")
		_, err = client.ListWebhookEvents(ctx, &webhooksv1.ListWebhookEventsRequest{Parent: "collectives/marseille"})
		wantError(t, err, codes.FailedPrecondition, "ACCOUNT_SHARED", "")
		_, err = client.GetWebhookEvent(ctx, &webhooksv1.GetWebhookEventRequest{Name: "collectives/marseille/webhookEvents/evt_1"})
		wantError(t, err, codes.FailedPrecondition, "ACCOUNT_SHARED", "")
		_, err = client.GetParkedTransaction(ctx, &webhooksv1.GetParkedTransactionRequest{Name: "collectives/marseille/parkedTransactions/txn_a"})
		wantError(t, err, codes.FailedPrecondition, "ACCOUNT_SHARED", "")
		_, err = client.ReplayWebhookEvents(ctx, &webhooksv1.ReplayWebhookEventsRequest{Parent: "collectives/vallon"})
		wantError(t, err, codes.NotFound, "NOT_FOUND", "")
		_, err = client.ReplayWebhookEvents(ctx, &webhooksv1.ReplayWebhookEventsRequest{Parent: "instance"})
		wantError(t, err, codes.NotFound, "NOT_FOUND", "")
		editor := e.Key("collectives/vallon", accessv1.Role_ROLE_EDITOR)
		_, err = client.GetWebhookHealth(apptest.WithKey(t.Context(), editor), &webhooksv1.GetWebhookHealthRequest{Name: name})
		wantError(t, err, codes.NotFound, "NOT_FOUND", "")
	})
}
