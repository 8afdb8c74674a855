package webhooks

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc/codes"

	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/internal/stripe"
	"github.com/cagnotte/cagnotte/services/internal/stripesim"
)

// Stripe waits for the answer, and counts a late one as a failure: whatever the event, nobody is called before it.
func TestReceivingAnEventDoesNotCallStripe(t *testing.T) {
	e := newEnv(t, stripesim.Config{})
	d := e.give(festival)
	before := len(e.sim.Requests())
	for i, kind := range append(slices.Sorted(maps.Keys(steps)), "customer.created") {
		// In another version, so that what it says must be read at Stripe.
		body := strings.Replace(sessionEvent(fmt.Sprintf("evt_%d", i), kind, d, ""), "2023-10-16", "2031-01-01.oak", 1)
		e.deliver(EndpointPlatform, body)
		e.deliver(EndpointConnect, strings.Replace(body, `"livemode":false,`, `"livemode":false,"account":"`+connected+`",`, 1))
	}
	if made := e.sim.Requests()[before:]; len(made) != 0 {
		t.Errorf("%d calls, such as %s %s", len(made), made[0].Method, made[0].Path)
	}
}

// Locks would be held for as long as Stripe takes to answer. The client refuses, so that every test that comes by finds
// such a call.
func TestStripeIsNotCalledInsideATransaction(t *testing.T) {
	e := newEnv(t, stripesim.Config{})
	d := e.give(vallon)
	before := len(e.sim.Requests())
	err := postgres.InTx(t.Context(), e.pool, func(ctx context.Context, _ pgx.Tx) error {
		_, err := e.webhooks.cfg.Stripe.GetSession(stripe.Background(ctx), "", d.CheckoutSession)
		return err
	})
	if errs.Code(err) != codes.Internal || len(e.sim.Requests()) != before {
		t.Errorf("%d calls: %v", len(e.sim.Requests())-before, err)
	}
	if _, err := e.webhooks.cfg.Stripe.GetSession(t.Context(), "", d.CheckoutSession); err != nil {
		t.Error(err)
	}
}
