package refunds

import (
	"context"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/internal/stripesim"
	"github.com/cagnotte/cagnotte/services/money"
)

// Stripe takes the amount of a refund to be in the payment's currency: 5 € of a donation that was paid in pounds would be
// refunded as £5.
func TestARefundOfADonationPaidInAnotherCurrency(t *testing.T) {
	e := newEnv(t)
	d := e.create(intent())
	if err := e.sim.Localize(d.CheckoutSession, "gbp", 0.86); err != nil {
		t.Fatal(err)
	}
	if err := e.sim.Pay(d.CheckoutSession, stripesim.CardInternational); err != nil {
		t.Fatal(err)
	}
	if err := e.donations.Refresh(t.Context(), d.ID); err != nil {
		t.Fatal(err)
	}
	_, err := e.refunds.Create(t.Context(), requestFor(d, 5_00))
	wantReason(t, err, errorsv1.ErrorReason_CURRENCY_MISMATCH)
	// £2.00 of £17.20.
	pounds := requestFor(d, 0)
	pounds.Amount = money.Amount{Minor: 2_00, Currency: "GBP"}
	r := e.refund(pounds)
	if err := e.refunds.Submit(t.Context(), r.ID); err != nil {
		t.Fatal(err)
	}
	e.refundIs(r.ID, StateSucceeded)
	if all := e.sim.Refunds(""); len(all) != 1 || all[0].AmountMinor != 2_00 {
		t.Errorf("at Stripe: %+v", all)
	}

	// In the dashboard £4.30, which are no 4.30 €.
	id, err := e.sim.Refund(e.lastCharge(), 4_30)
	if err != nil {
		t.Fatal(err)
	}
	if ours, err := e.refunds.Read(t.Context(), "", id); err != nil || !ours {
		t.Fatalf("ours %v, %v", ours, err)
	}
	if id, err = e.sim.Refund(e.lastCharge(), 1_00); err != nil {
		t.Fatal(err)
	}
	if err := e.sim.FailRefund(id, "expired_or_canceled_card"); err != nil {
		t.Fatal(err)
	}
	if _, err := e.refunds.Read(t.Context(), "", id); err != nil {
		t.Fatal(err)
	}
	var told string
	if err := e.pool.QueryRow(t.Context(), `
		SELECT n.currency
		FROM notices.notices AS n
		WHERE n.kind = 'refund_failed'
			AND n.amount_minor = 100`).Scan(&told); err != nil || told != "GBP" {
		t.Errorf("members are told of %q, %v", told, err)
	}
	d = e.reload(d)
	if err := postgres.InTx(t.Context(), e.pool, func(ctx context.Context, tx pgx.Tx) error {
		all, err := refundableTx(ctx, tx, d, uuid.Nil)
		if len(all) != 1 || all[0].left() != (money.Amount{Minor: 17_20 - 2_00 - 4_30, Currency: "GBP"}) {
			t.Errorf("%v is left of %+v", all[0].left(), all)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}
