package ledger

import (
	"context"
	"math"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/money"
)

// TransactionFilter says which transactions of a collective's share to list.
type TransactionFilter struct {
	Collective string
	// Campaign is a slug. Not empty: only transactions with an entry for it.
	Campaign string
	// Start and End bound the effective time, Start included and End not. Zero: no bound.
	Start, End time.Time
}

// Position is the key that transactions are listed by. The zero value is before the newest.
type Position struct {
	Effective time.Time
	ID        int64
}

// Inside, entries_time_idx is read backwards until there are enough transactions.
const transactionsSQL = `
WITH found AS (
    SELECT DISTINCT
        e.effective_at,
        e.transaction_id
    FROM ledger.entries AS e
    WHERE e.collective = @collective
        AND e.effective_at >= @start
        AND e.effective_at < @end
        AND (e.effective_at, e.transaction_id) < (@before_at, @before_id)
        AND (@campaign = '' OR e.campaign = @campaign)
    ORDER BY
        e.effective_at DESC,
        e.transaction_id DESC
    LIMIT @count
)
SELECT
    t.id,
    t.reference,
    t.kind,
    t.effective_at,
    t.recorded_at,
    a.code,
    a.display_name,
    e.amount,
    e.currency,
    e.campaign,
    e.donation
FROM found AS f
JOIN ledger.transactions AS t ON t.id = f.transaction_id
JOIN ledger.entries AS e ON e.transaction_id = f.transaction_id AND e.collective = @collective
JOIN ledger.accounts AS a ON a.id = e.account_id
ORDER BY
    f.effective_at DESC,
    f.transaction_id DESC,
    e.line`

// Transactions lists at most count transactions with entries of the collective, newest first by
// effective time and then by id, from after the position on. A page stays right while new
// transactions arrive: what is newer than the position does not shift it.
func (s *Service) Transactions(ctx context.Context, f TransactionFilter, after Position, count int) ([]Posted, error) {
	before := pgtype.Timestamptz{Time: after.Effective, Valid: true}
	if after == (Position{}) {
		before, after.ID = endOf(time.Time{}), math.MaxInt64
	}
	rows, err := s.pool.Query(ctx, transactionsSQL, pgx.NamedArgs{
		"collective": f.Collective, "campaign": f.Campaign, "start": startOf(f.Start), "end": endOf(f.End),
		"before_at": before, "before_id": after.ID, "count": count,
	})
	if err != nil {
		return nil, postgres.Error(err)
	}
	var (
		found []Posted
		t     Posted
		e     rawEntry
	)
	if _, err := pgx.ForEachRow(rows, []any{
		&t.ID, &t.Reference, &t.Kind, &t.Effective, &t.Recorded,
		&e.code, &e.displayName, &e.minor, &e.currency, &e.campaign, &e.donation,
	}, func() error {
		if n := len(found); n == 0 || found[n-1].ID != t.ID {
			found = append(found, t)
		}
		last := &found[len(found)-1]
		last.Entries = append(last.Entries, e.entry())
		return nil
	}); err != nil {
		return nil, postgres.Error(err)
	}
	return found, nil
}

// rawEntry is an entry as the database gives it.
type rawEntry struct {
	code, displayName string
	minor             int64
	currency          money.Currency
	campaign          string
	donation          pgtype.UUID
}

// entry has uuid.Nil, which is all zeros, where the database has NULL.
func (e *rawEntry) entry() PostedEntry {
	return PostedEntry{
		Code:        e.code,
		DisplayName: e.displayName,
		Amount:      money.Amount{Minor: e.minor, Currency: e.currency},
		Campaign:    e.campaign,
		Donation:    uuid.UUID(e.donation.Bytes),
	}
}
