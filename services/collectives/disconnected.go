package collectives

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

const disconnectedAccountsSQL = `
SELECT DISTINCT k.stripe_account
FROM collectives.connections AS k
JOIN collectives.collectives AS c ON c.stripe_account = k.stripe_account
WHERE NOT k.connected
ORDER BY k.stripe_account`

// DisconnectedAccounts returns the accounts of collectives that were disconnected from the platform: those that
// StripeAccounts leaves out.
func (s *Service) DisconnectedAccounts(ctx context.Context) ([]string, error) {
	rows, err := s.pool.Query(ctx, disconnectedAccountsSQL)
	if err != nil {
		return nil, postgres.Error(err)
	}
	accounts, err := pgx.CollectRows(rows, pgx.RowTo[string])
	return accounts, postgres.Error(err)
}
