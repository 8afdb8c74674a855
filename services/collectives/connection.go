package collectives

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

const setConnectedSQL = `
INSERT INTO collectives.connections AS k (
	stripe_account,
	connected,
	changed_at
)
VALUES (
	@account,
	@connected,
	@at
)
ON CONFLICT (stripe_account) DO UPDATE
SET
	connected = excluded.connected,
	changed_at = excluded.changed_at
WHERE k.changed_at < excluded.changed_at`

// SetConnectedTx notes that a connected account was disconnected from the platform, or connected
// again, at a time by Stripe's clock. What is older than what is known changes nothing, so it
// is safe to repeat and in any order.
func (s *Service) SetConnectedTx(ctx context.Context, tx pgx.Tx, account string, connected bool, at time.Time) error {
	_, err := tx.Exec(ctx, setConnectedSQL, pgx.NamedArgs{"account": account, "connected": connected, "at": at})
	return postgres.Error(err)
}

const connectedSQL = `
SELECT coalesce(k.connected, true)
FROM collectives.collectives AS c
LEFT JOIN collectives.connections AS k ON k.stripe_account = c.stripe_account
WHERE c.id = @id`

// CheckConnected is FAILED_PRECONDITION (STRIPE_ACCOUNT_DISCONNECTED) for a collective whose account
// is not connected any more, and NOT_FOUND for one that is not there.
func (s *Service) CheckConnected(ctx context.Context, id string) error {
	var connected bool
	err := s.pool.QueryRow(ctx, connectedSQL, pgx.NamedArgs{"id": id}).Scan(&connected)
	if errors.Is(err, pgx.ErrNoRows) {
		return errs.NotFound(namePrefix + id)
	}
	if err != nil {
		return postgres.Error(err)
	}
	if !connected {
		return errs.Precondition("STRIPE_ACCOUNT_DISCONNECTED", "The Stripe account of %s is not connected any more.", namePrefix+id)
	}
	return nil
}
