package ledger

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/ledger/proof"
)

// insertCheckpointSQL adds the checkpoint of a seal. The trigger checkpoints_check refuses a previous_size that is not
// the size of the newest checkpoint, and checkpoints_sealed a size that has no seal, so the seals come first. The
// column xid has the database transaction by default.
const insertCheckpointSQL = `
INSERT INTO ledger.checkpoints (size, previous_size, signed_at, book, root, consistency, note, verifier_key)
VALUES (@size, @previous_size, @signed_at, @book, @root, @consistency, @note, @verifier_key)`

// insertCheckpointTx needs a path that is not nil, since the column is NOT NULL: the first checkpoint has an empty one.
func insertCheckpointTx(ctx context.Context, tx pgx.Tx, book string, c *proof.Checkpoint, previous int64, consistency [][]byte) error {
	_, err := tx.Exec(ctx, insertCheckpointSQL, pgx.NamedArgs{
		"size": c.Size, "previous_size": previous, "signed_at": c.SignedAt, "book": book, "root": c.Root,
		"consistency": consistency, "note": c.Note, "verifier_key": c.VerifierKey,
	})
	return postgres.Error(err)
}

// newestCheckpointSQL reads the last row of checkpoints_pkey for the book.
const newestCheckpointSQL = `
SELECT
	c.size,
	c.root,
	c.signed_at,
	c.note,
	c.verifier_key
FROM ledger.checkpoints AS c
WHERE c.book = @book
ORDER BY c.size DESC
LIMIT 1`

// newestCheckpoint returns the last checkpoint, or nil when the book has none yet.
func newestCheckpoint(ctx context.Context, db querier, book string) (*proof.Checkpoint, error) {
	rows, err := db.Query(ctx, newestCheckpointSQL, pgx.NamedArgs{"book": book})
	if err != nil {
		return nil, postgres.Error(err)
	}
	// CountsRoot stays empty: it stands in the note.
	c := proof.Checkpoint{Origin: proof.OriginOf(book)}
	var signedAt time.Time
	found := false
	_, err = pgx.ForEachRow(rows, []any{&c.Size, &c.Root, &signedAt, &c.Note, &c.VerifierKey}, func() error {
		found, c.SignedAt = true, signedAt.UTC()
		return nil
	})
	if err != nil || !found {
		return nil, postgres.Error(err)
	}
	return &c, nil
}

// Checkpoint returns the newest checkpoint of a book. When from is not zero, path proves that the tree begins with the
// one of that earlier size. name is what NOT_FOUND names.
//
// Errors: NOT_FOUND before the first checkpoint; INVALID_ARGUMENT on from_size when the book has never been that large.
func (s *Service) Checkpoint(ctx context.Context, book, name string, from int64) (c *proof.Checkpoint, path [][]byte, err error) {
	if c, err = newestCheckpoint(ctx, s.pool, book); err != nil {
		return nil, nil, err
	}
	if c == nil {
		return nil, nil, errs.NotFound(name)
	}
	if from > c.Size {
		return nil, nil, errs.Invalid("from_size", "must be %d at most, the size of the newest checkpoint", c.Size)
	}
	path, err = consistencyPath(ctx, s.pool, book, from, c.Size)
	return c, path, err
}
