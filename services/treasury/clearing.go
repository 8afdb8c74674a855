package treasury

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/internal/calendar"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/money"
)

// ClearingKind is the kind of what is to be cleared.
type ClearingKind string

// The kinds.
const (
	// ClearingCheque is a cheque that was received and not banked.
	ClearingCheque ClearingKind = "cheque"
	// ClearingUnknownReceipt is a bank line that was booked as an unknown receipt.
	ClearingUnknownReceipt ClearingKind = "unknown_receipt"
	// ClearingExpense is an expense that is owed.
	ClearingExpense ClearingKind = "expense"
)

// ClearingItem is something that keeps a clearing account from zero.
type ClearingItem struct {
	Kind       ClearingKind
	Collective string
	// ID is that of the offline donation, the bank line or the expense.
	ID uuid.UUID
	// Campaign is the slug of a cheque's campaign.
	Campaign string
	// Amount is what is still to be cleared.
	Amount money.Amount
	// OpenSince is when the cheque was received, the bank booked the line, or the expense was documented. AgeDays is how
	// many days that is ago in the collective's time zone.
	OpenSince calendar.Day
	AgeDays   int
	// Document is the number of its paper, or the bank's reference.
	Document string
}

// Name returns the resource name.
func (c ClearingItem) Name() string { return clearingName(c.Collective, c.ID) }

func clearingName(collective string, id uuid.UUID) string {
	return "collectives/" + collective + "/clearingItems/" + id.String()
}

// Each part reads a small index of its own, which has the open rows only.
// They are offline_donations_cheques_idx, lines_unknown_idx and expenses_owed_idx.
//
// The items are the balances of the clearing accounts 5112, 4718 and 401, one by one. Of an expense the instalments
// that were paid are subtracted, and of an unknown receipt what was reclassified since. NULL stands for any id. Nothing is
// locked.
const clearingSQL = `
SELECT
	c.kind,
	c.id,
	c.campaign,
	c.amount_minor,
	c.currency,
	to_char(c.open_since, 'YYYY-MM-DD'),
	c.document
FROM (
	SELECT
		'cheque' AS kind,
		d.id,
		d.campaign,
		d.amount_minor,
		d.currency,
		d.received_on AS open_since,
		d.document
	FROM treasury.offline_donations AS d
	WHERE d.collective = @collective
		AND d.method = 'cheque'
		AND d.state = 'received'
	UNION ALL
	SELECT
		'unknown_receipt',
		l.id,
		'',
		u.left_minor,
		l.currency,
		l.booked_on,
		l.bank_reference
	FROM bank.lines AS l
	CROSS JOIN LATERAL (
		SELECT -sum(e.amount)::bigint AS left_minor
		FROM (
			SELECT l.ledger_transaction AS id
			UNION ALL
			SELECT m.transaction_id
			FROM ledger.reclassifications AS m
			WHERE m.original_id = l.ledger_transaction
			UNION ALL
			SELECT r.transaction_id
			FROM ledger.reclassifications AS m
			JOIN ledger.reversals AS r ON r.original_id = m.transaction_id
			WHERE m.original_id = l.ledger_transaction
		) AS f
		JOIN ledger.transactions AS t ON t.id = l.ledger_transaction
		JOIN ledger.roles AS o ON o.book = t.book AND o.role = 'unknown_receipts'
		JOIN ledger.entries AS e ON e.transaction_id = f.id AND e.account_id = o.account_id
	) AS u
	WHERE l.collective = @collective
		AND l.state = 'matched'
		AND l.target = 'unknown_receipt'
		AND u.left_minor <> 0
	UNION ALL
	SELECT
		'expense',
		e.id,
		e.campaign,
		e.amount_minor - e.part_paid_minor,
		e.currency,
		e.documented_on,
		e.document
	FROM treasury.expenses AS e
	WHERE e.collective = @collective
		AND e.state = 'owed'
) AS c
WHERE (c.open_since, c.id) > (@after_day::date, @after_id)
	AND (@id::uuid IS NULL OR c.id = @id)
ORDER BY
	c.open_since,
	c.id
LIMIT @count`

// ClearingItems returns up to count items that are to be cleared, the oldest first, after the given place.
func (s *Service) ClearingItems(ctx context.Context, collective string, after Position, count int) ([]ClearingItem, error) {
	return s.clearing(ctx, collective, nil, after, count)
}

// ClearingItem returns one item that is to be cleared; NOT_FOUND when there is none, also once it is cleared.
func (s *Service) ClearingItem(ctx context.Context, collective string, id uuid.UUID) (ClearingItem, error) {
	found, err := s.clearing(ctx, collective, &id, Position{}, 1)
	if err == nil && len(found) == 0 {
		err = errs.NotFound(clearingName(collective, id))
	}
	if err != nil {
		return ClearingItem{}, err
	}
	return found[0], nil
}

// clearing returns items of any id when id is nil. An item is not stored: it is there while its row is in the state
// that the statement asks for. Its place in the list is the day since which it is open, and its id.
func (s *Service) clearing(ctx context.Context, collective string, id *uuid.UUID, after Position, count int) ([]ClearingItem, error) {
	days, err := s.localDays(ctx, collective)
	if err != nil {
		return nil, err
	}
	return postgres.All(ctx, s.cfg.Pool, func(r pgx.CollectableRow) (ClearingItem, error) {
		c := ClearingItem{Collective: collective}
		err := r.Scan(&c.Kind, &c.ID, &c.Campaign, &c.Amount.Minor, &c.Amount.Currency, &c.OpenSince, &c.Document)
		c.AgeDays = c.OpenSince.DaysUntil(days.today)
		return c, err
	}, clearingSQL, pgx.NamedArgs{
		"collective": collective, "id": id, "after_day": after.Time, "after_id": after.ID, "count": count,
	})
}
