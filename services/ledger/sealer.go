package ledger

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/ledger/proof"
)

// Seal numbers the transactions of a book that no running database transaction can come before any more, 2,000 of them
// at most. It adds them to the tree, stores balances when the tail has grown long, and signs a checkpoint. All of it is
// one database transaction, so a crash repeats nothing and skips nothing. It returns how many it sealed: 0 when there
// was nothing, or when another sealer is at work on the book.
//
// Errors: FAILED_PRECONDITION SEAL_KEY_MISSING without a secret key; FAILED_PRECONDITION SEAL_POSITION_AHEAD when the
// transaction counter of the database is behind what the books know, as after a dump was restored into another cluster.
func (s *Service) Seal(ctx context.Context, book string) (n int, err error) {
	if len(s.secret) == 0 {
		return 0, errs.New(errorsv1.ErrorReason_SEAL_KEY_MISSING, "Sealing needs the secret key.")
	}
	key, err := proof.NewKey(s.secret, book)
	if err != nil {
		return 0, err
	}
	// InTx may fail after n was set, so the result counts only without an error.
	err = postgres.InTx(ctx, s.pool, func(ctx context.Context, tx pgx.Tx) error {
		n, err = s.sealTx(ctx, tx, book, key)
		return err
	})
	if err != nil {
		return 0, err
	}
	return n, nil
}

// SealAll seals every book to its end. When a book cannot be sealed, it goes on to the next.
func (s *Service) SealAll(ctx context.Context) error {
	books, err := s.Books(ctx)
	if err != nil {
		return err
	}
	var failed []error
	for _, book := range books {
		for {
			n, err := s.Seal(ctx, book)
			if err != nil {
				failed = append(failed, fmt.Errorf("seal the book %q: %w", book, err))
			}
			// Fewer than a whole batch means that the book is sealed to its end, or that another sealer is at work.
			if err != nil || n < s.sealBatch {
				break
			}
		}
	}
	return errors.Join(failed...)
}

// KeepSealing seals every book again and again until ctx is done, with a pause between the rounds. A round with nothing
// to seal costs a few lookups for each book. Any number of programs may run it at once. failed is called with each
// error, and the next round tries again. Without a secret key it returns at once.
func (s *Service) KeepSealing(ctx context.Context, pause time.Duration, failed func(error)) {
	if len(s.secret) == 0 {
		return
	}
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		if err := s.SealAll(ctx); err != nil && ctx.Err() == nil {
			failed(err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// The lock ends with the database transaction, after its commit can be seen. So the next sealer starts where this one
// ended, and a sealer that died holds nothing.
const lockBookSQL = `
SELECT pg_try_advisory_xact_lock(hashtextextended('cagnotte ledger seal ' || @book, 0))`

// tryLockTx does not wait: it returns false when another sealer has the lock of the book.
func tryLockTx(ctx context.Context, tx pgx.Tx, book string) (alone bool, err error) {
	err = tx.QueryRow(ctx, lockBookSQL, pgx.NamedArgs{"book": book}).Scan(&alone)
	return alone, postgres.Error(err)
}

// sealed is how far a book is sealed; zero before its first seal.
type sealed struct {
	// number is the last one, xid and id are its transaction's.
	number int64
	xid    uint64
	id     int64
	// nextXID is one that no transaction has yet.
	nextXID uint64
	// balances is the number of the newest balance checkpoint, checkpoint the newest size.
	balances, checkpoint int64
}

// lastSealedSQL returns how far the book is sealed, and no row before its first seal. Every look-up reads the end of
// one primary key. pg_snapshot_xmax is the first xid that no database transaction has yet.
const lastSealedSQL = `
SELECT
	s.number,
	t.xid,
	t.id,
	pg_snapshot_xmax(pg_current_snapshot()),
	coalesce((
		SELECT max(b.number)
		FROM ledger.balance_checkpoints AS b
		WHERE b.book = @book
	), 0),
	coalesce((
		SELECT max(c.size)
		FROM ledger.checkpoints AS c
		WHERE c.book = @book
	), 0)
FROM ledger.seals AS s
JOIN ledger.transactions AS t ON t.id = s.transaction_id
WHERE s.book = @book
	AND s.number = (
		SELECT max(m.number)
		FROM ledger.seals AS m
		WHERE m.book = @book
	)`

func lastSealed(ctx context.Context, db querier, book string) (last sealed, err error) {
	rows, err := db.Query(ctx, lastSealedSQL, pgx.NamedArgs{"book": book})
	if err != nil {
		return last, postgres.Error(err)
	}
	last, err = pgx.CollectOneRow(rows, func(row pgx.CollectableRow) (l sealed, err error) {
		err = row.Scan(&l.number, &l.xid, &l.id, &l.nextXID, &l.balances, &l.checkpoint)
		return l, err
	})
	if errors.Is(err, pgx.ErrNoRows) {
		// Before the first seal there is no xid to compare, and 0 is less than any.
		return sealed{nextXID: 1}, nil
	}
	return last, postgres.Error(err)
}

// sealTx does the work of [Service.Seal]. Everything is read and written under the lock of the book.
func (s *Service) sealTx(ctx context.Context, tx pgx.Tx, book string, key *proof.Key) (int, error) {
	alone, err := tryLockTx(ctx, tx, book)
	if err != nil || !alone {
		return 0, err
	}
	last, err := lastSealed(ctx, tx, book)
	if err != nil {
		return 0, err
	}
	// An xid that this cluster has not given out yet was given out by another one.
	if last.xid >= last.nextXID {
		return 0, errPositionAhead(last.xid, last.nextXID)
	}
	leaves, err := unsealed(ctx, tx, book, last, s.sealBatch)
	if err != nil || len(leaves) == 0 {
		return 0, err
	}
	// The stored hashes of the right edge are enough to append leaves.
	tree, err := loadTree(ctx, tx, book, last.number)
	if err != nil {
		return 0, err
	}
	// The salts are made here and stored with the seals; without them no hash can be computed again.
	hashes := make([][]byte, len(leaves))
	for i := range leaves {
		leaves[i].Salt = make([]byte, proof.SaltSize)
		// It never fails: https://pkg.go.dev/crypto/rand#Read
		_, _ = rand.Read(leaves[i].Salt)
		hashes[i] = leaves[i].Hash()
		if err := tree.Append(hashes[i]); err != nil {
			return 0, err
		}
	}
	root, err := tree.Root()
	if err != nil {
		return 0, fmt.Errorf("the root of the tree: %w", err)
	}
	if err := insertSealsTx(ctx, tx, book, leaves, hashes, tree.TakeCompleted()); err != nil {
		return 0, err
	}
	// Balances are stored now and then, not with each seal: a short tail is cheap to add up. The size of the tree is the
	// number of the last leaf.
	size := tree.Size()
	if size-last.balances >= int64(s.tailLength) {
		if err := storeBalancesTx(ctx, tx, book, last.balances, leaves); err != nil {
			return 0, err
		}
	}
	// The counts are signed with each checkpoint, so that a share can be shown to be complete.
	countsRoot, err := countTransactionsTx(ctx, tx, book, leaves)
	if err != nil {
		return 0, err
	}
	checkpoint := proof.Checkpoint{
		Origin: proof.OriginOf(book), Size: size, Root: root, CountsRoot: countsRoot, SignedAt: s.now().UTC().Truncate(time.Microsecond),
	}
	if err := key.Sign(&checkpoint); err != nil {
		return 0, err
	}
	// The proof ties this checkpoint to the one before. It reads the hashes that were inserted above.
	path, err := consistencyPath(ctx, tx, book, last.checkpoint, size)
	if err != nil {
		return 0, err
	}
	return len(leaves), insertCheckpointTx(ctx, tx, book, &checkpoint, last.checkpoint, path)
}
