package refunds

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/collectives"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/internal/stripesim"
)

func TestRefundsOfAConnectedAccount(t *testing.T) {
	const account = "acct_1"
	e := newEnv(t)
	if _, err := e.groups.Update(t.Context(), "vallon", "", func(c *collectives.Collective) error {
		c.StripeAccount = account
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	e.sim.AddAccount(account)
	d := e.create(intent())
	if err := e.sim.Pay(d.CheckoutSession, stripesim.CardOK); err != nil {
		t.Fatal(err)
	}
	if err := e.donations.Refresh(t.Context(), d.ID); err != nil {
		t.Fatal(err)
	}
	r := e.refund(requestFor(d, 5_00))
	if err := e.refunds.Submit(t.Context(), r.ID); err != nil {
		t.Fatal(err)
	}
	if there, here := e.sim.Refunds(account), e.sim.Refunds(""); len(there) != 1 || len(here) != 0 {
		t.Errorf("%d refunds on its account, %d on the platform's", len(there), len(here))
	}
	r = e.refundIs(r.ID, StateSucceeded)
	// An id of one account says nothing on another.
	if ours, err := e.refunds.Read(t.Context(), "", r.StripeRefund); ours || err != nil {
		t.Errorf("read on the platform's account: ours %v, %v", ours, err)
	}
	for _, q := range e.sim.Requests() {
		if q.Path == "/v1/refunds" && q.Account != account {
			t.Errorf("%s %s goes to %q", q.Method, q.Path, q.Account)
		}
	}

	t.Run("until it is disconnected", func(t *testing.T) {
		sent := e.refund(requestFor(d, 5_00))
		if err := e.sim.Deauthorize(account); err != nil {
			t.Fatal(err)
		}
		// No event told of it yet: Stripe says so.
		if err := e.refunds.Submit(t.Context(), sent.ID); err != nil {
			t.Fatal(err)
		}
		if got := e.refundIs(sent.ID, StateFailed); got.FailureReason != "STRIPE_ACCOUNT_DISCONNECTED" {
			t.Errorf("it failed for %q", got.FailureReason)
		}
		if err := postgres.InTx(t.Context(), e.pool, func(ctx context.Context, tx pgx.Tx) error {
			return e.connect.SetConnectedTx(ctx, tx, account, false, e.clock.Now())
		}); err != nil {
			t.Fatal(err)
		}
		again := requestFor(d, 5_00)
		_, err := e.refunds.Create(t.Context(), again)
		wantReason(t, err, errorsv1.ErrorReason_STRIPE_ACCOUNT_DISCONNECTED)
		_, err = e.refunds.Approve(t.Context(), d.Campaign, d.ID, r.ID, ownerKey)
		wantReason(t, err, errorsv1.ErrorReason_STRIPE_ACCOUNT_DISCONNECTED)
	})
}
