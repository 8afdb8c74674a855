package ledger

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/money"
)

// The sums that are kept, and the tail behind them, in one statement.
const roleBalanceSQL = `
WITH role AS (
    SELECT r.account_id
    FROM ledger.roles AS r
    WHERE r.book = @book
        AND r.role = @role
),
kept AS (
    SELECT
        b.number,
        t.xid,
        t.id
    FROM ledger.balance_checkpoints AS b
    JOIN ledger.seals AS s ON s.book = b.book AND s.number = b.number
    JOIN ledger.transactions AS t ON t.id = s.transaction_id
    WHERE b.book = @book
    ORDER BY b.number DESC
    LIMIT 1
),
parts AS (
    SELECT
        k.currency,
        n.balance AS amount
    FROM role AS r
    JOIN ledger.balance_keys AS k ON k.account_id = r.account_id AND k.span = 'all'
    CROSS JOIN LATERAL (
        SELECT b.balance
        FROM ledger.balances AS b
        WHERE b.key_id = k.id
            AND b.number <= (SELECT p.number FROM kept AS p)
        ORDER BY b.number DESC
        LIMIT 1
    ) AS n
    UNION ALL
    SELECT
        e.currency,
        e.amount
    FROM ledger.transactions AS t
    JOIN ledger.entries AS e ON e.transaction_id = t.id
    JOIN role AS r ON r.account_id = e.account_id
    WHERE t.book = @book
        AND (t.xid, t.id) > (
            coalesce((SELECT p.xid FROM kept AS p), '0'),
            coalesce((SELECT p.id FROM kept AS p), 0)
        )
)
SELECT
    p.currency,
    sum(p.amount)::bigint
FROM parts AS p
GROUP BY p.currency`

// RoleBalance returns what the account of a role has in a whole book, whoever's it is, by currency and in minor units.
// It adds up kept balances and the tail after them, as [Service.AccountsAt] does.
func (s *Service) RoleBalance(ctx context.Context, book string, role AccountRole) (map[money.Currency]int64, error) {
	rows, err := s.pool.Query(ctx, roleBalanceSQL, pgx.NamedArgs{"book": book, "role": string(role)})
	if err != nil {
		return nil, postgres.Error(err)
	}
	balance := map[money.Currency]int64{}
	var currency money.Currency
	var minor int64
	_, err = pgx.ForEachRow(rows, []any{&currency, &minor}, func() error {
		balance[currency] = minor
		return nil
	})
	return balance, postgres.Error(err)
}
