package ledger

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

// Filter says which entries [Service.StreamEntries] reads.
type Filter struct {
	Collective string
	// Start and End bound the effective time, Start included and End not. Zero: no bound.
	Start, End time.Time
}

// EntryRow is an entry with what it needs of its transaction.
type EntryRow struct {
	TransactionID int64
	Reference     string
	Kind          string
	Effective     time.Time
	Recorded      time.Time
	// Line counts the transaction's entries from 1. Lines of other collectives are missing.
	Line int16
	PostedEntry
}

// An export takes as long as its reader does; the pool's limit is for questions with short answers.
const noTimeoutSQL = `
SET LOCAL statement_timeout = 0`

const streamSQL = `
SELECT
    t.id,
    t.reference,
    t.kind,
    t.effective_at,
    t.recorded_at,
    e.line,
    a.code,
    a.display_name,
    e.amount,
    e.currency,
    e.campaign,
    e.donation
FROM ledger.entries AS e
JOIN ledger.transactions AS t ON t.id = e.transaction_id
JOIN ledger.accounts AS a ON a.id = e.account_id
WHERE e.collective = @collective
    AND e.effective_at >= @start
    AND e.effective_at < @end
ORDER BY
    e.effective_at,
    e.transaction_id,
    e.line`

// StreamEntries calls fn for each entry of a collective's share, oldest first by effective time,
// then by transaction and line. It holds one row at a time, whatever the size. The row is reused:
// fn copies what it keeps. An error of fn ends the stream and comes back as it is.
//
// All rows are of one snapshot, so they balance. It is no position to go on from: a transaction
// that was not committed yet, or one that is back-dated, can appear later before rows that
// were read. Read a span again, as a whole; do not read what is newer than the last row. Until the
// context ends the reader holds a connection and keeps Postgres from removing old versions of rows.
func (s *Service) StreamEntries(ctx context.Context, f Filter, fn func(*EntryRow) error) error {
	tx, err := s.pool.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return postgres.Error(err)
	}
	// There is nothing to commit; a reader that went away must not keep the connection.
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	if _, err := tx.Exec(ctx, noTimeoutSQL); err != nil {
		return postgres.Error(err)
	}
	rows, err := tx.Query(ctx, streamSQL, pgx.NamedArgs{
		"collective": f.Collective, "start": startOf(f.Start), "end": endOf(f.End),
	})
	if err != nil {
		return postgres.Error(err)
	}
	defer rows.Close()
	var (
		row EntryRow
		e   rawEntry
	)
	targets := []any{
		&row.TransactionID, &row.Reference, &row.Kind, &row.Effective, &row.Recorded, &row.Line,
		&e.code, &e.displayName, &e.minor, &e.currency, &e.campaign, &e.donation,
	}
	for rows.Next() {
		if err := rows.Scan(targets...); err != nil {
			return postgres.Error(err)
		}
		row.PostedEntry = e.entry()
		if err := fn(&row); err != nil {
			return err
		}
	}
	return postgres.Error(rows.Err())
}
