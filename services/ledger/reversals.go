package ledger

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

// reversalRefusals says what each refusal of the database means to a caller that reverses.
var reversalRefusals = map[string]*errs.Error{
	"reversals_within_original": errs.New(errorsv1.ErrorReason_OVER_REVERSED, "The reversals of a transaction must not exceed it, on the same accounts and for the same donations."),
	"reversals_of_original":     errs.New(errorsv1.ErrorReason_REVERSAL_OF_REVERSAL, "A reversal is not reversed: post the transaction again under another reference."),
}

// Reversal is what [Service.ReverseTx] posts.
type Reversal struct {
	// Original is the reference of the transaction to reverse, in the same book.
	Original string
	// Reference is the reversal's own; see [Transaction].
	Reference string
	// Effective is when the reversal counts; it is refused in a closed period. Zero: now, or the first instant after the
	// closed periods of all collectives concerned if that is later.
	Effective time.Time
	// Collective is whose share to reverse. Empty: the whole transaction.
	Collective string
	// Entries say what to post: a credit for each debit of the original and a debit for each credit, whole or in part, with
	// the same account, collective, campaign and donation. Empty: what reverses everything that is left.
	Entries []Entry
}

const originalSQL = `
SELECT t.id
FROM ledger.transactions AS t
WHERE t.book = @book
	AND t.reference = @original`

// ledger.lock_original takes an advisory lock that ends with the database transaction. Posting never takes it.
const lockOriginalSQL = `
SELECT ledger.lock_original(@id)`

// lockOriginalTx finds the transaction that args["original"] names, by a statement, and waits for other corrections of
// it. It adds the id to args.
func lockOriginalTx(ctx context.Context, tx pgx.Tx, sql string, args pgx.NamedArgs) (id int64, err error) {
	if err := tx.QueryRow(ctx, sql, args).Scan(&id); errors.Is(err, pgx.ErrNoRows) {
		return 0, errs.NotFound(args["original"].(string))
	} else if err != nil {
		return 0, postgres.Error(err)
	}
	args["id"] = id
	_, err = tx.Exec(ctx, lockOriginalSQL, args)
	return id, postgres.Error(err)
}

// reversedSQL reads what stands under the reference already: its id and time, and what it reverses.
const reversedSQL = `
SELECT
	t.id,
	t.effective_at,
	r.original_id
FROM ledger.transactions AS t
LEFT JOIN ledger.reversals AS r ON r.transaction_id = t.id
WHERE t.book = @book
	AND t.reference = @reference`

// leftSQL returns entries that reverse what is left of the original, in the order of its lines. Only reversals with an
// id below @before_id count. reversals_original_idx serves ledger.left_of.
const leftSQL = `
SELECT
	a.code,
	l.amount,
	l.currency,
	l.collective,
	l.campaign,
	l.donation
FROM ledger.left_of(@id, @before_id) AS l
JOIN ledger.accounts AS a ON a.id = l.account_id
WHERE @collective = ''
	OR l.collective = @collective
ORDER BY
	l.line,
	l.debit`

// movedOnSQL tells whether a part of the original stands where a reclassification moved it.
const movedOnSQL = familyPart + `
SELECT EXISTS (
	SELECT
	FROM family AS f
	JOIN ledger.entries AS e ON e.transaction_id = f.id
	WHERE f.id <> @id
		AND NOT EXISTS (
			SELECT
			FROM ledger.reversals AS r
			WHERE r.transaction_id = f.id
				AND r.original_id = @id
		)
	GROUP BY
		e.account_id,
		e.collective,
		e.campaign,
		e.currency
	HAVING sum(e.amount) <> 0
)`

// openAgainSQL returns the latest end of the closings that concern any of the collectives, NULL when there is none. A
// closing of the whole book has an empty collective.
const openAgainSQL = `
SELECT max(c.ends_at)
FROM ledger.closings AS c
WHERE c.book = @book
	AND (c.collective = '' OR c.collective = ANY(@collectives::text[]))`

// The trigger reversals_check runs after it, and refuses what exceeds the original.
const insertReversalSQL = `
INSERT INTO ledger.reversals (transaction_id, original_id)
SELECT
	t.id,
	@id
FROM ledger.transactions AS t
WHERE t.book = @book
	AND t.reference = @reference`

// reversed is the transaction that stands under the reference of a reversal.
type reversed struct {
	id        int64
	effective time.Time
	original  int64
}

// ReverseTx reverses a transaction, wholly or in part, by another one of [KindReversal] that is linked to it. It also
// works when the period of the original is closed, since the reversal is dated in an open one. fresh is false when the
// same was done before under the reference: then nothing changes.
//
// It waits for other reversals of the same original, under a lock that posting never takes. The database refuses what
// would reverse more than is left, whoever asks. tx must be READ COMMITTED. After an error it can only be rolled back,
// as with PostTx.
//
// Errors: NOT_FOUND when the book has no such original; FAILED_PRECONDITION RECLASSIFIED_SINCE for a whole transaction of
// which a part stands elsewhere by a reclassification, OVER_REVERSED, NOTHING_TO_REVERSE,
// REVERSAL_OF_REVERSAL or PERIOD_CLOSED; ALREADY_EXISTS REFERENCE_REUSED; those of [Service.PostTx].
func (s *Service) ReverseTx(ctx context.Context, tx pgx.Tx, book string, r Reversal) (fresh bool, err error) {
	args := pgx.NamedArgs{"book": book, "original": r.Original, "reference": r.Reference, "collective": r.Collective}
	id, err := lockOriginalTx(ctx, tx, originalSQL, args)
	if err != nil {
		return false, err
	}
	before, err := findReversalTx(ctx, tx, args)
	if err != nil {
		return false, err
	}
	if before != nil && before.original != id {
		return false, refusals["transactions_reference_reused"]
	}
	t := Transaction{Reference: r.Reference, Kind: KindReversal, Effective: r.Effective, Entries: r.Entries}
	if len(t.Entries) == 0 {
		// Asked again, it is what was left then, so that it can be compared.
		if before != nil {
			args["before_id"] = before.id
		} else {
			args["before_id"] = int64(1<<63 - 1)
			// Reversed as a whole, it would stay where it was moved to, and be missing where it was moved from.
			var moved bool
			if err := tx.QueryRow(ctx, movedOnSQL, args).Scan(&moved); err != nil {
				return false, postgres.Error(err)
			}
			if moved {
				return false, errs.New(errorsv1.ErrorReason_RECLASSIFIED_SINCE, "A part of %s was reclassified since. Reverse that first.", r.Original)
			}
		}
		if t.Entries, err = leftOfTx(ctx, tx, args); err != nil {
			return false, err
		}
		if len(t.Entries) == 0 {
			return false, errs.New(errorsv1.ErrorReason_NOTHING_TO_REVERSE, "Nothing is left of the transaction to reverse.")
		}
	}
	switch {
	case !r.Effective.IsZero():
	case before != nil:
		t.Effective = before.effective
	default:
		if t.Effective, err = s.openTimeTx(ctx, tx, book, t.Entries); err != nil {
			return false, err
		}
	}
	posted, err := s.PostTx(ctx, tx, book, []Transaction{t})
	if err != nil {
		return false, err
	}
	if posted[0] {
		_, err := tx.Exec(ctx, insertReversalSQL, args)
		return err == nil, postgres.ErrorFor(err, reversalRefusals)
	}
	// Another poster may have taken the reference since it was looked up.
	if before, err = findReversalTx(ctx, tx, args); err != nil {
		return false, err
	}
	if before == nil || before.original != id {
		return false, refusals["transactions_reference_reused"]
	}
	return false, nil
}

// findReversalTx returns nil when nothing stands under the reference. original is 0 for what is not a reversal.
func findReversalTx(ctx context.Context, tx pgx.Tx, args pgx.NamedArgs) (*reversed, error) {
	var found reversed
	var original pgtype.Int8
	err := tx.QueryRow(ctx, reversedSQL, args).Scan(&found.id, &found.effective, &original)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	found.original = original.Int64
	return &found, postgres.Error(err)
}

// leftOfTx returns entries that reverse what is left of the original, or what was left before a reversal.
func leftOfTx(ctx context.Context, tx pgx.Tx, args pgx.NamedArgs) (entries []Entry, err error) {
	rows, err := tx.Query(ctx, leftSQL, args)
	if err != nil {
		return nil, postgres.Error(err)
	}
	var e Entry
	var donation pgtype.UUID
	_, err = pgx.ForEachRow(rows, []any{
		&e.Code, &e.Amount.Minor, &e.Amount.Currency, &e.Collective, &e.Campaign, &donation,
	}, func() error {
		e.Donation = uuid.UUID(donation.Bytes)
		entries = append(entries, e)
		return nil
	})
	return entries, postgres.Error(err)
}

// openTimeTx returns now, or the first instant that is open to all entries if that is later.
func (s *Service) openTimeTx(ctx context.Context, tx pgx.Tx, book string, entries []Entry) (time.Time, error) {
	var collectives []string
	for _, e := range entries {
		collectives = append(collectives, e.Collective)
	}
	at := s.now().UTC().Truncate(time.Microsecond)
	var open *time.Time
	if err := tx.QueryRow(ctx, openAgainSQL, pgx.NamedArgs{"book": book, "collectives": collectives}).Scan(&open); err != nil {
		return time.Time{}, postgres.Error(err)
	}
	if open != nil && open.After(at) {
		at = open.UTC()
	}
	return at, nil
}
