package ledger

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/money"
)

// MoneyMovement is what a transaction changed on the accounts that money passes through on its way to the bank, for one
// collective and currency. Amounts are in minor units, debit positive.
type MoneyMovement struct {
	Reference  string
	Kind       string
	Effective  time.Time
	Collective string
	// Campaign and Donation are empty and Nil when the entries belong to none.
	Campaign string
	Donation uuid.UUID
	Currency money.Currency
	// Balance is that of [RoleStripeBalance]; the others are those of [RoleStripeFees], [RoleTransit] and [RoleBank].
	Balance, Fees, Transit, Bank int64
}

// moneyMovementColumns begins both statements below. It sums the entries of a transaction on the four accounts for each
// collective and currency. The roles are read once and give one row. The largest campaign and donation stand for the
// group: entries that have none are smaller, as an empty text sorts first and max leaves out NULL. Without a watermark
// the current snapshot decides. moneyMovementColumns ends within the WHERE clause, so each statement adds its own
// conditions.
const moneyMovementColumns = `
SELECT
	t.reference,
	t.kind,
	t.effective_at,
	e.collective,
	max(e.campaign),
	max(e.donation::text)::uuid,
	e.currency,
	coalesce(sum(e.amount) FILTER (WHERE e.account_id = r.stripe_balance), 0)::bigint,
	coalesce(sum(e.amount) FILTER (WHERE e.account_id = r.stripe_fees), 0)::bigint,
	coalesce(sum(e.amount) FILTER (WHERE e.account_id = r.transit), 0)::bigint,
	coalesce(sum(e.amount) FILTER (WHERE e.account_id = r.bank), 0)::bigint
FROM ledger.transactions AS t
JOIN ledger.entries AS e ON e.transaction_id = t.id
CROSS JOIN (
	SELECT
		max(o.account_id) FILTER (WHERE o.role = 'stripe_balance') AS stripe_balance,
		max(o.account_id) FILTER (WHERE o.role = 'stripe_fees') AS stripe_fees,
		max(o.account_id) FILTER (WHERE o.role = 'transit') AS transit,
		max(o.account_id) FILTER (WHERE o.role = 'bank') AS bank
	FROM ledger.roles AS o
	WHERE o.book = @book
) AS r
WHERE t.book = @book
	AND pg_visible_in_snapshot(t.xid, coalesce(nullif(@watermark::text, '')::pg_snapshot, pg_current_snapshot()))`

// transactions_reference_key serves the list of references.
const moneyMovementsSQL = moneyMovementColumns + `
	AND t.reference = ANY(@references::text[])
GROUP BY
	t.id,
	e.collective,
	e.currency
ORDER BY
	t.reference,
	e.collective,
	e.currency`

// MoneyMovements returns what the transactions of these references changed, by reference, collective and currency, as
// of a watermark; empty: now. References that the book does not have are left out.
func (s *Service) MoneyMovements(ctx context.Context, book string, references []string, at Watermark) ([]MoneyMovement, error) {
	rows, err := s.pool.Query(ctx, moneyMovementsSQL, pgx.NamedArgs{"book": book, "references": references, "watermark": string(at)})
	if err != nil {
		return nil, postgres.Error(err)
	}
	movements, err := pgx.CollectRows(rows, scanMoneyMovement)
	return movements, postgres.Error(err)
}

func scanMoneyMovement(row pgx.CollectableRow) (m MoneyMovement, err error) {
	var donation *uuid.UUID
	err = row.Scan(&m.Reference, &m.Kind, &m.Effective, &m.Collective, &m.Campaign, &donation, &m.Currency,
		&m.Balance, &m.Fees, &m.Transit, &m.Bank)
	// NULL is a movement without a donation.
	if donation != nil {
		m.Donation = *donation
	}
	return m, err
}

// moneyMovementsByPrefixSQL reads a range of transactions_reference_key. References are compared byte by byte (COLLATE
// "C"), so all that begin with the prefix stand between the prefix and prefix_end.
const moneyMovementsByPrefixSQL = moneyMovementColumns + `
	AND t.reference >= @prefix
	AND t.reference < @prefix_end
	AND e.collective = @collective
	AND t.effective_at >= @start
	AND t.effective_at < @end
GROUP BY
	t.id,
	e.collective,
	e.currency
ORDER BY
	t.effective_at,
	t.reference,
	e.currency`

// MoneyMovementsByPrefix returns what the transactions whose references begin with a prefix changed for a collective,
// in the order of effective time and reference. It reads no others. The prefix ends in an ASCII character.
func (v *View) MoneyMovementsByPrefix(ctx context.Context, book, prefix string, f Filter) ([]MoneyMovement, error) {
	arguments := v.arguments(f)
	arguments["book"], arguments["prefix"] = book, prefix
	// The first text after all that begin with the prefix.
	arguments["prefix_end"] = prefix[:len(prefix)-1] + string(prefix[len(prefix)-1]+1)
	rows, err := v.tx.Query(ctx, moneyMovementsByPrefixSQL, arguments)
	if err != nil {
		return nil, postgres.Error(err)
	}
	movements, err := pgx.CollectRows(rows, scanMoneyMovement)
	return movements, postgres.Error(err)
}
