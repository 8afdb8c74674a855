package payouts

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/money"
	"github.com/cagnotte/cagnotte/services/notices"
)

// tellFailedTx notifies those of a failure who were not notified before.
func (s *Service) tellFailedTx(ctx context.Context, tx pgx.Tx, account, owner, payout string, amount money.Amount) error {
	return s.tellTx(ctx, tx, account, owner, payout, notices.Notice{Kind: notices.PayoutFailed, Key: payout, Amount: amount})
}

// concernedSQL returns the collectives with a share, the owner if the account has one, and the empty name for the
// operator, each once.
const concernedSQL = `
SELECT s.collective
FROM payouts.shares AS s
WHERE s.account = @account
	AND s.payout = @payout
UNION
SELECT ''
UNION
SELECT @owner
ORDER BY collective`

// tellTx notifies the operator and the collectives that have a share; before the shares are known, the only collective
// of the account. A collective with a share only is not told which transactions.
func (s *Service) tellTx(ctx context.Context, tx pgx.Tx, account, owner, payout string, n notices.Notice) error {
	rows, err := tx.Query(ctx, concernedSQL, pgx.NamedArgs{"account": account, "payout": payout, "owner": owner})
	if err != nil {
		return postgres.Error(err)
	}
	concerned, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return postgres.Error(err)
	}
	for _, collective := range concerned {
		told := n
		told.Collective, told.Subject = collective, nameOf(collective, payout)
		if collective != "" && collective != owner {
			told.Transactions = nil
		}
		if err := s.cfg.Notices.TellTx(ctx, tx, told); err != nil {
			return err
		}
	}
	return nil
}
