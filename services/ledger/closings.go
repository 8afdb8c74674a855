package ledger

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/audit"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

// closingRefusals says what each refusal of the database means to a caller that closes a period.
var closingRefusals = map[string]*errs.Error{
	"closings_over": errs.Invalid("end_time", "must be in the past: donations of a period that is not over are still to come"),
	// Written by a service that has just been asked for the collective's book.
	"closings_book_fkey": errs.New(errorsv1.ErrorReason_BOOK_MISSING, "The collective has no book yet: nothing was posted."),
}

const (
	// closingPatience is how long ClosePeriod waits for postings that are under way; they take milliseconds.
	closingPatience = 5 * time.Second
	closingPause    = 20 * time.Millisecond
)

// insertClosingSQL adds a closing and changes nothing when the same end was closed before. The xid of the closing is
// that of this database transaction, by the default of the column.
const insertClosingSQL = `
INSERT INTO ledger.closings (ends_at, book, collective)
VALUES (@ends_at, @book, @collective)
ON CONFLICT (book, collective, ends_at) DO NOTHING`

// closingSQL returns the latest closing of the share or the book, which may be an earlier call's: then its xid is the
// one to wait for. closings_pkey serves it.
const closingSQL = `
SELECT
	c.ends_at,
	c.xid
FROM ledger.closings AS c
WHERE c.book = @book
	AND c.collective = @collective
ORDER BY c.ends_at DESC
LIMIT 1`

// olderRunningSQL tells whether a database transaction that is not newer than the closing still runs: xmin is the
// oldest that does.
const olderRunningSQL = `
SELECT pg_snapshot_xmin(pg_current_snapshot()) <= @xid`

// ClosePeriod closes what happened before end, in the share of one collective or, when the collective is empty, in the
// whole book. From then on a posting with an entry dated there is refused with PERIOD_CLOSED, and a mistake is
// corrected in the next period. It returns the end of the closed period, which is later than end if more was closed
// before. A repeat changes nothing.
//
// It takes no lock that posters wait for. Postings under way may still commit, and ClosePeriod returns when none is
// left: so what it closed stays as it is.
//
// Errors: INVALID_ARGUMENT when end is in the future; FAILED_PRECONDITION BOOK_MISSING; UNAVAILABLE PERIOD_CLOSING when
// a database transaction stays open too long: then the period is closed, and a repeat waits again.
func (s *Service) ClosePeriod(ctx context.Context, book, collective string, end time.Time) (closed time.Time, err error) {
	args := pgx.NamedArgs{"ends_at": end, "book": book, "collective": collective}
	var xid uint64
	if err := postgres.InTx(ctx, s.pool, func(ctx context.Context, tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, insertClosingSQL, args)
		if err != nil {
			return postgres.ErrorFor(err, closingRefusals)
		}
		if err := tx.QueryRow(ctx, closingSQL, args).Scan(&closed, &xid); err != nil || tag.RowsAffected() == 0 {
			return postgres.Error(err)
		}
		return audit.WriteTx(ctx, tx, audit.Change{
			Collective: collective, Resource: ledgerName(book, collective), After: audit.Fields{"end_time": end.UTC().Format(time.RFC3339)},
		})
	}); err != nil {
		return time.Time{}, err
	}
	// The closing is committed here. An error from now on leaves it in place, and a repeat only waits.
	tick := time.NewTicker(closingPause)
	defer tick.Stop()
	for deadline := time.Now().Add(closingPatience); ; {
		var running bool
		if err := s.pool.QueryRow(ctx, olderRunningSQL, pgx.NamedArgs{
			"xid": pgtype.Uint64{Uint64: xid, Valid: true},
		}).Scan(&running); err != nil {
			return time.Time{}, postgres.Error(err)
		}
		if !running {
			return closed.UTC(), nil
		}
		if time.Now().After(deadline) {
			return time.Time{}, errs.Unavailable(errorsv1.ErrorReason_PERIOD_CLOSING, closingPatience, nil,
				"The period is closed to new postings, but one that began before is still open. Send the request again.")
		}
		select {
		case <-ctx.Done():
			return time.Time{}, postgres.Error(ctx.Err())
		case <-tick.C:
		}
	}
}

// closedUntilSQL counts the closings of the whole book too, whose collective is empty.
const closedUntilSQL = `
SELECT max(c.ends_at)
FROM ledger.closings AS c
WHERE c.book = @book
	AND c.collective IN ('', @collective)`

// ClosedUntil returns the earliest time that may be posted for a collective, zero when nothing is closed. What arrives
// late is posted at that time.
func (s *Service) ClosedUntil(ctx context.Context, book, collective string) (time.Time, error) {
	var until *time.Time
	if err := s.pool.QueryRow(ctx, closedUntilSQL, pgx.NamedArgs{"book": book, "collective": collective}).Scan(&until); err != nil {
		return time.Time{}, postgres.Error(err)
	}
	if until == nil {
		return time.Time{}, nil
	}
	return until.UTC(), nil
}
