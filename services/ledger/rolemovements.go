package ledger

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/money"
)

// RoleMovement is what one transaction changed on the account of a role, for one collective and in one currency. Amount
// is the sum of its entries there, debit positive, and may be zero.
type RoleMovement struct {
	TransactionID int64
	Reference     string
	Kind          string
	Effective     time.Time
	Amount        money.Amount
	// Reversed is true when it was reversed since, wholly or in part.
	Reversed bool
}

// The entries of a collective stand in one index in the order of time. roleMovementsSQL returns, for each transaction
// in the span that has entries of the collective on the account, their sum by currency. entries_time_idx gives the
// entries of the collective in the span; the account is looked at afterwards. reversals_original_idx tells whether a
// reversal exists. Several entries of one transaction on the account are one sum.
const roleMovementsSQL = `
SELECT
	t.id,
	t.reference,
	t.kind,
	t.effective_at,
	e.currency,
	sum(e.amount)::bigint,
	EXISTS (
		SELECT
		FROM ledger.reversals AS v
		WHERE v.original_id = t.id
	)
FROM ledger.entries AS e
JOIN ledger.transactions AS t ON t.id = e.transaction_id
WHERE e.collective = @collective
	AND e.effective_at >= @start
	AND e.effective_at < @end
	AND e.account_id = (
		SELECT r.account_id
		FROM ledger.roles AS r
		WHERE r.book = @book
			AND r.role = @role
	)
GROUP BY
	t.id,
	e.currency
ORDER BY
	t.effective_at,
	t.id,
	e.currency`

// RoleMovementsTx returns what changed the account of a role for one collective, in a span of effective time: start
// included, end not. It reads all entries of the collective in the span.
func (s *Service) RoleMovementsTx(
	ctx context.Context, tx pgx.Tx, book, collective string, role AccountRole, start, end time.Time,
) ([]RoleMovement, error) {
	// A role that the book does not have gives no account, and so no rows.
	rows, err := tx.Query(ctx, roleMovementsSQL, pgx.NamedArgs{
		"book": book, "collective": collective, "role": string(role), "start": start, "end": end,
	})
	if err != nil {
		return nil, postgres.Error(err)
	}
	found, err := pgx.CollectRows(rows, scanRoleMovement)
	return found, postgres.Error(err)
}

// roleMovementSQL finds a transaction by its reference when there is one, else by its id. transactions_reference_key or
// the primary key finds it. A transaction that has the account in two currencies gives its first row by currency only.
// Only the entries of one collective on the account of the role count, so the sum is its share of the transaction
// there.
const roleMovementSQL = `
SELECT
	t.id,
	t.reference,
	t.kind,
	t.effective_at,
	e.currency,
	sum(e.amount)::bigint,
	EXISTS (
		SELECT
		FROM ledger.reversals AS v
		WHERE v.original_id = t.id
	)
FROM ledger.transactions AS t
JOIN ledger.entries AS e ON e.transaction_id = t.id
WHERE t.book = @book
	AND (t.reference = @reference OR t.id = @id)
	AND e.collective = @collective
	AND e.account_id = (
		SELECT r.account_id
		FROM ledger.roles AS r
		WHERE r.book = @book
			AND r.role = @role
	)
GROUP BY
	t.id,
	e.currency
ORDER BY
	t.id,
	e.currency
LIMIT 1`

// RoleMovementTx returns what one transaction changed on the account of a role for one collective. The transaction is
// named by its id or, when that is zero, by its reference. NOT_FOUND when it has no entry there.
func (s *Service) RoleMovementTx(
	ctx context.Context, tx pgx.Tx, book, collective string, role AccountRole, id int64, reference string,
) (RoleMovement, error) {
	rows, err := tx.Query(ctx, roleMovementSQL, pgx.NamedArgs{
		"book": book, "collective": collective, "role": string(role), "id": id, "reference": reference,
	})
	if err != nil {
		return RoleMovement{}, postgres.Error(err)
	}
	// The statement returns one row at most.
	found, err := pgx.CollectExactlyOneRow(rows, scanRoleMovement)
	// An id of another book or collective gives no row either.
	if errors.Is(err, pgx.ErrNoRows) {
		return RoleMovement{}, errs.NotFound("ledger/transactions")
	}
	return found, postgres.Error(err)
}

func scanRoleMovement(r pgx.CollectableRow) (m RoleMovement, err error) {
	err = r.Scan(&m.TransactionID, &m.Reference, &m.Kind, &m.Effective, &m.Amount.Currency, &m.Amount.Minor, &m.Reversed)
	return m, err
}
