package connect

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

const stripeAccountsSQL = `
SELECT '' AS stripe_account
UNION
SELECT c.stripe_account
FROM collectives.collectives AS c
EXCEPT
SELECT k.stripe_account
FROM connect.connections AS k
WHERE NOT k.connected
ORDER BY stripe_account`

// StripeAccounts returns every account whose movements must be booked, each once,
// the platform's own first. An account that is no longer connected cannot be read, and is
// left out.
func (s *Service) StripeAccounts(ctx context.Context) ([]string, error) {
	rows, err := s.cfg.Pool.Query(ctx, stripeAccountsSQL)
	if err != nil {
		return nil, postgres.Error(err)
	}
	accounts, err := pgx.CollectRows(rows, pgx.RowTo[string])
	return accounts, postgres.Error(err)
}

const disconnectedAccountsSQL = `
SELECT DISTINCT k.stripe_account
FROM connect.connections AS k
JOIN collectives.collectives AS c ON c.stripe_account = k.stripe_account
WHERE NOT k.connected
ORDER BY k.stripe_account`

// DisconnectedAccounts returns the accounts of collectives that were disconnected from the platform: those that
// StripeAccounts leaves out.
func (s *Service) DisconnectedAccounts(ctx context.Context) ([]string, error) {
	rows, err := s.cfg.Pool.Query(ctx, disconnectedAccountsSQL)
	if err != nil {
		return nil, postgres.Error(err)
	}
	accounts, err := pgx.CollectRows(rows, pgx.RowTo[string])
	return accounts, postgres.Error(err)
}
