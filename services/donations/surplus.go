package donations

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/money"
)

// SurplusPayment is a payment of a donation that was already paid: its page was opened again and paid a second time.
type SurplusPayment struct {
	PaymentIntent string
	// Paid is what the donor paid, and Refunded what refunds took of it, both in the currency that the donor paid in.
	Paid, Refunded money.Amount
}

// A payment without a currency of its own was paid in the donation's. surplusPaymentsSQL returns the surplus payments
// of the donations, each with what was paid and refunded in its currency. payments_pkey begins with the donation, and
// serves it.
const surplusPaymentsSQL = `
SELECT
	p.donation,
	p.payment_intent_id,
	CASE WHEN p.paid_in_currency = '' THEN d.amount_minor ELSE p.paid_in_minor END,
	CASE WHEN p.paid_in_currency = '' THEN p.refunded_minor ELSE p.refunded_in_minor END,
	coalesce(nullif(p.paid_in_currency, ''), d.currency)
FROM donations.payments AS p
JOIN donations.donations AS d ON d.id = p.donation
WHERE p.donation = ANY(@donations::uuid[])
	AND p.surplus
ORDER BY
	p.donation,
	p.payment_intent_id`

// SurplusPayments returns the surplus payments by donation.
func (s *Service) SurplusPayments(ctx context.Context, donations ...Donation) (map[uuid.UUID][]SurplusPayment, error) {
	ids := make([]uuid.UUID, len(donations))
	for i, d := range donations {
		ids[i] = d.ID
	}
	rows, err := s.cfg.Pool.Query(ctx, surplusPaymentsSQL, pgx.NamedArgs{"donations": ids})
	if err != nil {
		return nil, postgres.Error(err)
	}
	surplus := map[uuid.UUID][]SurplusPayment{}
	var id uuid.UUID
	var p SurplusPayment
	_, err = pgx.ForEachRow(rows, []any{&id, &p.PaymentIntent, &p.Paid.Minor, &p.Refunded.Minor, &p.Paid.Currency}, func() error {
		p.Refunded.Currency = p.Paid.Currency
		surplus[id] = append(surplus[id], p)
		return nil
	})
	return surplus, postgres.Error(err)
}
