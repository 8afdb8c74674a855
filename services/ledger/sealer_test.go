package ledger_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	merkle "github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/pgtest"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/ledger"
	"github.com/cagnotte/cagnotte/services/ledger/proof"
)

var secret = bytes.Repeat([]byte{7}, 32)

// sealing is a service with small batches and tails, so that few transactions make many of both.
func sealing(pool *pgxpool.Pool) *ledger.Service {
	return ledger.New(ledger.Config{Pool: pool, SecretKey: secret}).Batches(5, 3)
}

func openSealing(t testing.TB) (*ledger.Service, *pgxpool.Pool) {
	t.Helper()
	_, pool := open(t)
	return sealing(pool), pool
}

func mustSeal(t testing.TB, s *ledger.Service, want int) {
	t.Helper()
	n, err := s.Seal(t.Context(), book)
	if err != nil {
		t.Fatal(err)
	}
	if n != want {
		t.Errorf("sealed %d, want %d", n, want)
	}
}

// numbered is the references of a book in the order of their numbers.
func numbered(t testing.TB, pool *pgxpool.Pool, book string) []string {
	t.Helper()
	rows, err := pool.Query(t.Context(), `
		SELECT s.number, t.reference
		FROM ledger.seals AS s
		JOIN ledger.transactions AS t ON t.id = s.transaction_id
		WHERE s.book = $1
		ORDER BY s.number`, book)
	if err != nil {
		t.Fatal(err)
	}
	var references []string
	var number int
	var reference string
	if _, err := pgx.ForEachRow(rows, []any{&number, &reference}, func() error {
		if references = append(references, reference); number != len(references) {
			t.Errorf("number %d stands at place %d", number, len(references))
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return references
}

func donations(from, to int) (txs []ledger.Transaction) {
	for i := from; i < to; i++ {
		txs = append(txs, donation(fmt.Sprintf("txn_%03d", i), day(1+i%400), int64(100+i)))
	}
	return txs
}

func TestSeal(t *testing.T) {
	s, pool := openSealing(t)
	t.Run("nothing of an empty book", func(t *testing.T) { mustSeal(t, s, 0) })
	mustPost(t, s, pool, donations(0, 7)...)
	t.Run("in batches, and nothing twice", func(t *testing.T) {
		mustSeal(t, s, 5)
		mustSeal(t, s, 2)
		mustSeal(t, s, 0)
		if got := numbered(t, pool, book); len(got) != 7 {
			t.Errorf("numbered %v", got)
		}
	})
	t.Run("each book with numbers of its own", func(t *testing.T) {
		ensure(t, s, pool, "acct_other")
		if err := postgres.InTx(t.Context(), pool, func(ctx context.Context, tx pgx.Tx) error {
			_, err := s.PostTx(ctx, tx, "acct_other", donations(0, 12))
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if err := s.SealAll(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := numbered(t, pool, "acct_other"); len(got) != 12 {
			t.Errorf("numbered %v", got)
		}
	})
	t.Run("not without a key", func(t *testing.T) {
		_, err := ledger.New(ledger.Config{Pool: pool}).Seal(t.Context(), book)
		if e := errs.As(err); e == nil || e.Reason != errorsv1.ErrorReason_SEAL_KEY_MISSING {
			t.Errorf("err = %v", err)
		}
	})
	t.Run("not in a cluster whose counter is behind", func(t *testing.T) {
		if err := s.CheckCounter(t.Context()); err != nil {
			t.Error(err)
		}
		tamper(t, pool, `UPDATE ledger.transactions SET xid = '99999999999' WHERE id = (SELECT max(transaction_id) FROM ledger.seals WHERE book = 'acct_vallon')`)
		_, err := s.Seal(t.Context(), book)
		for _, err := range []error{err, s.CheckCounter(t.Context())} {
			if e := errs.As(err); e == nil || e.Reason != errorsv1.ErrorReason_SEAL_POSITION_AHEAD {
				t.Errorf("err = %v", err)
			}
		}
	})
}

// tamper writes what only a superuser can, with the triggers off.
func tamper(t testing.TB, pool *pgxpool.Pool, statements ...string) {
	t.Helper()
	if err := postgres.InTx(t.Context(), pgtest.Owner(t, pool), func(ctx context.Context, tx pgx.Tx) error {
		for _, statement := range append([]string{"SET LOCAL session_replication_role = replica"}, statements...) {
			if _, err := tx.Exec(ctx, statement); err != nil {
				return fmt.Errorf("%s: %w", statement, err)
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// TestSealWaitsForTheRunning holds a posting open across several sealings: what was written after it
// began waits, because it may be numbered before.
func TestSealWaitsForTheRunning(t *testing.T) {
	s, pool := openSealing(t)
	mustPost(t, s, pool, donations(0, 2)...)
	held, err := pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer held.Rollback(context.WithoutCancel(t.Context()))
	if _, err := s.PostTx(t.Context(), held, book, donations(2, 3)); err != nil {
		t.Fatal(err)
	}
	mustSeal(t, s, 2)
	for i := 3; i < 6; i++ {
		mustPost(t, s, pool, donations(i, i+1)...)
		mustSeal(t, s, 0)
	}
	// Balances do not wait.
	total(t, s, 100+101+103+104+105)
	if err := held.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	mustSeal(t, s, 4)
	want := []string{"txn_000", "txn_001", "txn_002", "txn_003", "txn_004", "txn_005"}
	if got := numbered(t, pool, book); !slices.Equal(got, want) {
		t.Errorf("numbered %v", got)
	}
	total(t, s, 100+101+102+103+104+105)
}

// TestSealersAtOnce has every copy of the program seal the same book while others post to it.
func TestSealersAtOnce(t *testing.T) {
	s, pool := openSealing(t)
	const sealers, posters, each = 3, 32, 12
	var posting, group sync.WaitGroup
	done := make(chan struct{})
	for poster := range posters {
		posting.Go(func() {
			for i := range each {
				if _, err := post(t.Context(), s, pool, donations(poster*each+i, poster*each+i+1)...); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for range sealers {
		group.Go(func() {
			for {
				if _, err := sealing(pool).Seal(t.Context(), book); err != nil {
					t.Error(err)
					return
				}
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	posting.Wait()
	close(done)
	group.Wait()
	if err := s.SealAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	references := numbered(t, pool, book)
	if slices.Sort(references); len(slices.Compact(references)) != posters*each {
		t.Errorf("%d are numbered", len(references))
	}
	checkTree(t, pool, book)
}

// step does something at the nth statement of its connections.
type step struct {
	n    int
	then func(*pgx.Conn)
}

func (s *step) TraceQueryStart(ctx context.Context, conn *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	// Setting the role is the pool's own.
	if data.SQL == "SET ROLE \"cagnotte_service\"" {
		return ctx
	}
	if s.n--; s.n == 0 {
		s.then(conn)
	}
	return ctx
}

func (s *step) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// TestSealCrashes cuts a sealer off at each of its statements, commit included: nothing of it stays,
// and the next one does it all.
func TestSealCrashes(t *testing.T) {
	for _, c := range []struct {
		name string
		cut  func(t *testing.T, owner *pgxpool.Pool, conn *pgx.Conn, cancel context.CancelFunc)
	}{
		{"its context ends", func(_ *testing.T, _ *pgxpool.Pool, _ *pgx.Conn, cancel context.CancelFunc) { cancel() }},
		{"its backend is killed", func(t *testing.T, owner *pgxpool.Pool, conn *pgx.Conn, _ context.CancelFunc) {
			if _, err := owner.Exec(t.Context(), `SELECT pg_terminate_backend($1, 5000)`, conn.PgConn().PID()); err != nil {
				t.Error(err)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, pool := openSealing(t)
			owner := pgtest.Owner(t, pool)
			mustPost(t, s, pool, donations(0, 4)...)
			mustSeal(t, s, 4)
			mustPost(t, s, pool, donations(4, 9)...)
			steps := 0
			deadline := time.Now().Add(time.Minute)
			for done := false; !done; {
				steps++
				ctx, cancel := context.WithCancel(t.Context())
				at := &step{n: steps, then: func(conn *pgx.Conn) { c.cut(t, owner, conn, cancel) }}
				config := pool.Config()
				config.ConnConfig.Tracer = at
				fragile, err := pgxpool.NewWithConfig(t.Context(), config)
				if err != nil {
					t.Fatal(err)
				}
				n, err := sealing(fragile).Seal(ctx, book)
				fragile.Close()
				cancel()
				done = at.n > 0
				// The backend of the one before was told to end, and holds its lock until it has.
				if done && n == 0 && err == nil && time.Now().Before(deadline) {
					steps, done = steps-1, false
					continue
				}
				if done {
					if err != nil || n != 5 {
						t.Fatalf("sealed %d, err = %v", n, err)
					}
				} else if got := numbered(t, pool, book); err == nil || len(got) != 4 {
					t.Fatalf("step %d: numbered %v, err = %v", steps, got, err)
				}
			}
			if steps < 10 {
				t.Errorf("a sealer has only %d statements", steps)
			}
			checkTree(t, pool, book)
			total(t, s, 100+101+102+103+104+105+106+107+108)
		})
	}
}

// naiveRoot is section 2.1 of RFC 6962, word by word.
func naiveRoot(leaves [][]byte) []byte {
	switch len(leaves) {
	case 0:
		sum := sha256.Sum256(nil)
		return sum[:]
	case 1:
		sum := sha256.Sum256(append([]byte{0}, leaves[0]...))
		return sum[:]
	}
	k := 1
	for k*2 < len(leaves) {
		k *= 2
	}
	sum := sha256.Sum256(slices.Concat([]byte{1}, naiveRoot(leaves[:k]), naiveRoot(leaves[k:])))
	return sum[:]
}

// checkTree compares every checkpoint with the tree computed from scratch, and each with the one before.
func checkTree(t failer, pool *pgxpool.Pool, book string) {
	ctx := context.Background()
	leaves, err := ledger.Leaves(ctx, pool, book)
	if err != nil {
		t.Fatal(err)
	}
	var encoded [][]byte
	for i := range leaves {
		encoded = append(encoded, leaves[i].Encode())
	}
	rows, err := pool.Query(ctx, `
		SELECT c.size, c.previous_size, c.root, c.consistency, c.note, c.verifier_key
		FROM ledger.checkpoints AS c
		WHERE c.book = $1
		ORDER BY c.size`, book)
	if err != nil {
		t.Fatal(err)
	}
	var (
		size, previous, before uint64
		root, rootBefore       []byte
		path                   [][]byte
		signed, key            string
	)
	if _, err := pgx.ForEachRow(rows, []any{&size, &previous, &root, &path, &signed, &key}, func() error {
		if want := naiveRoot(encoded[:size]); !bytes.Equal(root, want) {
			return fmt.Errorf("the root of %d leaves is %x, want %x", size, root, want)
		}
		if previous != before {
			return fmt.Errorf("the checkpoint %d follows %d, not %d", size, previous, before)
		}
		if before > 0 {
			if err := merkle.VerifyConsistency(rfc6962.DefaultHasher, before, size, path, rootBefore, root); err != nil {
				return err
			}
		}
		opened, err := proof.OpenCheckpoint(signed, key)
		if err != nil {
			return err
		}
		if uint64(opened.Size) != size || !bytes.Equal(opened.Root, root) {
			return errors.New("the note says something else")
		}
		before, rootBefore = size, bytes.Clone(root)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if before != uint64(len(leaves)) {
		t.Fatalf("the newest checkpoint is %d, and there are %d leaves", before, len(leaves))
	}
}

// failer is a test, rapid's too.
type failer interface {
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

// ctxOf is the test's context; rapid's tests have one that ends with each run.
func ctxOf(t failer) context.Context {
	if with, ok := t.(interface{ Context() context.Context }); ok {
		return with.Context()
	}
	return context.Background()
}
