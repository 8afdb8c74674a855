package donations

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

const (
	// abandonedLife is how long a donation stays that expired unpaid: until its page cannot be opened again any more, with some days
	// for what Stripe may still say of it.
	abandonedLife = reopenFor + 15*24*time.Hour
	// abandonedCount bounds the donations that one statement deletes.
	abandonedCount = 500
)

// abandonedSQL finds donations that nobody paid, by donations_expired_idx, and locks them. One stays that money was seen of, or
// that a refund, a dispute, a warning or a receipt refers to. Rows that are locked are changing.
const abandonedSQL = `
SELECT d.id
FROM donations.donations AS d
WHERE d.state = 'expired'
	AND d.updated_at <= @before
	AND d.charge_id IS NULL
	AND d.invoice_id IS NULL
	AND d.refunded_minor = 0
	AND d.disputed_minor = 0
	AND NOT EXISTS (
		SELECT
		FROM donations.payments AS p
		WHERE p.donation = d.id
			AND (p.surplus OR p.differs OR p.under_way OR p.held_at IS NOT NULL OR p.refunded_minor <> 0 OR p.disputed_minor <> 0)
	)
	AND NOT EXISTS (SELECT FROM donations.recurring AS r WHERE r.id = d.id AND (r.state <> 'expired' OR r.subscription_id IS NOT NULL))
	AND NOT EXISTS (SELECT FROM refunds.refunds AS r WHERE r.donation = d.id)
	AND NOT EXISTS (SELECT FROM refunds.disputes AS r WHERE r.donation = d.id)
	AND NOT EXISTS (SELECT FROM refunds.fraud_warnings AS r WHERE r.donation = d.id)
ORDER BY
	d.updated_at,
	d.id
LIMIT @count
FOR UPDATE OF d SKIP LOCKED`

// These delete what belongs to the donations, and then the donations. The overview forgets them by its triggers.
const (
	abandonTokensSQL = `
DELETE FROM donations.manage_tokens
WHERE recurring = ANY(@ids::uuid[])`

	abandonRecurringSQL = `
DELETE FROM donations.recurring
WHERE id = ANY(@ids::uuid[])`

	abandonSessionsSQL = `
DELETE FROM donations.earlier_sessions
WHERE donation = ANY(@ids::uuid[])`

	abandonPaymentsSQL = `
DELETE FROM donations.payments
WHERE donation = ANY(@ids::uuid[])`

	abandonDonationsSQL = `
DELETE FROM donations.donations
WHERE id = ANY(@ids::uuid[])`
)

// forgetAbandoned deletes donations that expired unpaid long ago, so that nobody can make the tables grow for ever. A payment that
// names one all the same is booked to unknown receipts, and the operator is told ([Service.RefuseTx]).
func (s *Service) forgetAbandoned(ctx context.Context) error {
	for more := true; more; {
		err := postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
			rows, err := tx.Query(ctx, abandonedSQL, pgx.NamedArgs{"before": s.now().Add(-abandonedLife), "count": abandonedCount})
			if err != nil {
				return postgres.Error(err)
			}
			ids, err := pgx.CollectRows(rows, pgx.RowTo[[16]byte])
			if more = len(ids) == abandonedCount; err != nil || len(ids) == 0 {
				return postgres.Error(err)
			}
			for _, sql := range []string{abandonTokensSQL, abandonRecurringSQL, abandonSessionsSQL, abandonPaymentsSQL, abandonDonationsSQL} {
				if _, err := tx.Exec(ctx, sql, pgx.NamedArgs{"ids": ids}); err != nil {
					return postgres.Error(err)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
