package donations

import (
	"context"
	"errors"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/campaigns"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/internal/stripe"
	"github.com/cagnotte/cagnotte/services/internal/stripesim"
	"github.com/cagnotte/cagnotte/services/money"
)

// Named after a bug that others shipped: unpaid was taken for failed, and donors paid twice. A debit that is under
// way has no page to be paid on, and the same request opens none.
func TestADebitUnderWayIsNotPaidTwice(t *testing.T) {
	e := newEnv(t, Limit{})
	if err := e.sim.OfferDebits("", true); err != nil {
		t.Fatal(err)
	}
	in := intent()
	d := e.create(in)
	if err := e.sim.PayByDebit(d.CheckoutSession, stripesim.IBANPaid); err != nil {
		t.Fatal(err)
	}
	if err := e.gifts.Refresh(t.Context(), d.ID); err != nil {
		t.Fatal(err)
	}
	again := e.create(in)
	if again.ID != d.ID || again.State != StatePending || again.CheckoutSession != d.CheckoutSession {
		t.Errorf("repeated it is %+v", again)
	}
	if page := e.gifts.whereToPay(t.Context(), again); page != "" {
		t.Errorf("it can be paid again, on %s", page)
	}
	var refused *stripesim.SessionError
	if err := e.sim.Pay(d.CheckoutSession, stripesim.CardOK); !errors.As(err, &refused) {
		t.Errorf("its page took a card too: %v", err)
	}
	if n := len(e.sim.Sessions("")); n != 1 {
		t.Errorf("%d sessions", n)
	}
}

// https://docs.stripe.com/currencies#minimum-and-maximum-charge-amounts: eight digits, also with the fee.
func TestAWholeThatIsTooLargeForStripe(t *testing.T) {
	e := newEnv(t, Limit{})
	e.gifts.cfg.Campaigns = campaigns.New(campaigns.Config{Pool: e.pool, FeeEstimate: campaigns.DefaultFeeEstimate})
	in := intent()
	in.CoverFee, in.Amount.Minor = true, maxWholeMinor
	_, _, err := e.gifts.whole(in)
	wantReason(t, err, "AMOUNT_TOO_LARGE")
	in.Amount.Minor = maxWholeMinor / 2
	whole, cover, err := e.gifts.whole(in)
	if err != nil || whole.Minor > maxWholeMinor || whole.Minor-cover.Minor != in.Amount.Minor || whole.Currency != money.EUR {
		t.Errorf("%v, of it %v: %v", whole, cover, err)
	}
}

// Stripe invents statuses, such as "prevented".
func TestADisputeOfAnUnknownStatus(t *testing.T) {
	e := newEnv(t, Limit{})
	d, _ := e.paid()
	for _, c := range []struct{ said, want stripe.DisputeStatus }{
		{stripe.DisputeNeedsResponse, stripe.DisputeNeedsResponse},
		{"prevented", "prevented"},
		{stripe.DisputeNeedsResponse, "prevented"},
		{stripe.DisputeWon, stripe.DisputeWon},
		{"prevented", stripe.DisputeWon},
	} {
		err := postgres.InTx(t.Context(), e.pool, func(ctx context.Context, tx pgx.Tx) error {
			return e.gifts.applyDisputeTx(ctx, tx, Match{Donation: d.ID}, "", stripe.Dispute{
				ID: "dp_1", Status: c.said, AmountMinor: 20_00, Currency: "EUR", Created: e.clock.Now(),
			})
		})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := e.gifts.GetDispute(t.Context(), vallon.Collective, "dp_1"); err != nil || got.Status != c.want {
			t.Errorf("after %s it is %s, want %s: %v", c.said, got.Status, c.want, err)
		}
	}
}
