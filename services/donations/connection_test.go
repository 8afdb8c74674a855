package donations

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/collectives"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/internal/stripesim"
)

func TestADisconnectedAccountTakesNoDonations(t *testing.T) {
	e := newEnv(t)
	if _, err := e.groups.Update(t.Context(), "vallon", "", func(c *collectives.Collective) error {
		c.StripeAccount = "acct_1"
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	e.sim.AddAccount("acct_1")
	in, unpaid := intent(), intent()
	before := e.create(in)
	e.sim.AddFault(stripesim.Fault{Method: "POST", Status: 503})
	_, err := e.donations.Create(t.Context(), unpaid)
	wantReason(t, err, errorsv1.ErrorReason_STRIPE_UNAVAILABLE)
	e.sim.ClearFaults()
	e.clock.Advance(firstRetry)
	set := func(connected bool) {
		t.Helper()
		if err := postgres.InTx(t.Context(), e.pool, func(ctx context.Context, tx pgx.Tx) error {
			return e.connect.SetConnectedTx(ctx, tx, "acct_1", connected, e.clock.Now())
		}); err != nil {
			t.Fatal(err)
		}
	}
	set(false)
	calls, donations := e.posts(), e.count()
	for range 2 {
		for _, in := range []Intent{intent(), unpaid} {
			_, err := e.donations.Create(t.Context(), in)
			wantReason(t, err, errorsv1.ErrorReason_STRIPE_ACCOUNT_DISCONNECTED)
		}
	}
	if e.posts() != calls || e.count() != donations {
		t.Errorf("%d calls to Stripe, %d donations more", e.posts()-calls, e.count()-donations)
	}
	if e.create(in).ID != before.ID {
		t.Error("what was started is not answered")
	}
	set(true)
	e.create(unpaid)
}
