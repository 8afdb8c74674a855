package ledger

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

// What a span of numbers adds to each kept sum. It adds up per day first: four spans of a handful of
// days are fewer rows than four of each entry. Keys that are new are not yet in the table for the
// statement that inserts them, so they come from what it returns.
const insertBalancesSQL = `
WITH by_day AS (
    SELECT
        e.account_id,
        e.collective,
        e.campaign,
        e.currency,
        (e.effective_at AT TIME ZONE 'UTC')::date AS day,
        sum(e.amount) AS amount
    FROM ledger.seals AS s
    JOIN ledger.entries AS e ON e.transaction_id = s.transaction_id
    WHERE s.book = @book
        AND s.number > @after
        AND s.number <= @upto
    GROUP BY
        e.account_id,
        e.collective,
        e.campaign,
        e.currency,
        day
),
changed AS (
    SELECT
        d.account_id,
        d.collective,
        d.campaign,
        d.currency,
        p.span,
        p.starts_on,
        sum(d.amount) AS amount
    FROM by_day AS d
    CROSS JOIN LATERAL (
        VALUES
            ('all', date '-infinity'),
            ('year', date_trunc('year', d.day::timestamp)::date),
            ('month', date_trunc('month', d.day::timestamp)::date),
            ('day', d.day)
    ) AS p (span, starts_on)
    GROUP BY
        d.account_id,
        d.collective,
        d.campaign,
        d.currency,
        p.span,
        p.starts_on
),
added AS (
    INSERT INTO ledger.balance_keys (account_id, collective, campaign, currency, span, starts_on)
    SELECT
        c.account_id,
        c.collective,
        c.campaign,
        c.currency,
        c.span,
        c.starts_on
    FROM changed AS c
    WHERE NOT EXISTS (
        SELECT
        FROM ledger.balance_keys AS k
        WHERE k.collective = c.collective
            AND k.span = c.span
            AND k.starts_on = c.starts_on
            AND k.campaign = c.campaign
            AND k.account_id = c.account_id
            AND k.currency = c.currency
    )
    RETURNING
        id,
        account_id,
        collective,
        campaign,
        currency,
        span,
        starts_on
)
INSERT INTO ledger.balances (key_id, number, balance)
SELECT
    k.id,
    @upto,
    c.amount + COALESCE((
        SELECT b.balance
        FROM ledger.balances AS b
        WHERE b.key_id = k.id
        ORDER BY b.number DESC
        LIMIT 1
    ), 0)
FROM changed AS c
JOIN ledger.balance_keys AS k
    ON k.collective = c.collective
    AND k.span = c.span
    AND k.starts_on = c.starts_on
    AND k.campaign = c.campaign
    AND k.account_id = c.account_id
    AND k.currency = c.currency
UNION ALL
SELECT
    a.id,
    @upto,
    c.amount
FROM changed AS c
JOIN added AS a USING (account_id, collective, campaign, currency, span, starts_on)`

const insertBalanceCheckpointSQL = `
INSERT INTO ledger.balance_checkpoints (number, book)
VALUES (@upto, @book)`

// keepBalances brings the kept sums from one number up to another, under the sealer's lock.
func keepBalances(ctx context.Context, tx pgx.Tx, book string, after, upto int64) error {
	args := pgx.NamedArgs{"book": book, "after": after, "upto": upto}
	for _, statement := range []string{insertBalancesSQL, insertBalanceCheckpointSQL} {
		if _, err := tx.Exec(ctx, statement, args); err != nil {
			return postgres.Error(err)
		}
	}
	return nil
}
