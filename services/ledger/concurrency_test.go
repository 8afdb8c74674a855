package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/pgtest"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/ledger"
)

// TestManyPostersOfTheSame has 16 posters send overlapping batches, some of which roll back.
func TestManyPostersOfTheSame(t *testing.T) {
	s, pool := open(t)
	const posters, references, batches = 16, 60, 12
	all := make([]ledger.Transaction, references)
	for i := range all {
		all[i] = donation(fmt.Sprintf("txn_%02d", i), day(1+i%7), int64(100+i))
	}
	var (
		mu    sync.Mutex
		wins  = map[string]int{}
		group sync.WaitGroup
	)
	abort := errors.New("the caller changed its mind")
	for poster := range posters {
		group.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(poster)))
			for range batches {
				var batch []ledger.Transaction
				for _, i := range random.Perm(references)[:10] {
					batch = append(batch, all[i])
				}
				var posted []bool
				err := postgres.InTx(t.Context(), pool, func(ctx context.Context, tx pgx.Tx) (err error) {
					if posted, err = s.PostTx(ctx, tx, book, batch); err == nil && random.IntN(4) == 0 {
						err = abort
					}
					return err
				})
				if err != nil {
					if !errors.Is(err, abort) {
						t.Error(err)
					}
					continue
				}
				mu.Lock()
				for i, fresh := range posted {
					if fresh {
						wins[batch[i].Reference]++
					}
				}
				mu.Unlock()
			}
		})
	}
	group.Wait()
	// What every poster left out or rolled back.
	posted := mustPost(t, s, pool, all...)
	var want int64
	for i, tx := range all {
		if posted[i] {
			wins[tx.Reference]++
		}
		if wins[tx.Reference] != 1 {
			t.Errorf("%s was new %d times", tx.Reference, wins[tx.Reference])
		}
		want += int64(100 + i)
	}
	total(t, s, want)
}

// TestTwoAtOnce posts a reference while another database transaction holds it, unseen.
func TestTwoAtOnce(t *testing.T) {
	for _, c := range []struct {
		rule       string
		second     int64
		commit     bool
		wantPosted bool
		wantReason errs.Reason
		wantTotal  int64
	}{
		{"waits for the first, and finds it done", 100, true, false, 0, 100},
		{"waits for the first, and posts after its rollback", 100, false, true, 0, 100},
		{"waits for the first, and refuses another content", 200, true, false, errorsv1.ErrorReason_REFERENCE_REUSED, 100},
		{"waits for the first, and posts another content after its rollback", 200, false, true, 0, 200},
	} {
		t.Run(c.rule, func(t *testing.T) {
			s, pool := open(t)
			first, err := pool.Begin(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer first.Rollback(t.Context())
			if _, err := s.PostTx(t.Context(), first, book, []ledger.Transaction{donation("txn_1", day(1), 100)}); err != nil {
				t.Fatal(err)
			}
			type answer struct {
				posted []bool
				err    error
			}
			answers := make(chan answer)
			go func() {
				posted, err := post(t.Context(), s, pool, donation("txn_1", day(1), c.second))
				answers <- answer{posted, err}
			}()
			pgtest.WaitForLock(t, pool)
			if c.commit {
				err = first.Commit(t.Context())
			} else {
				err = first.Rollback(t.Context())
			}
			if err != nil {
				t.Fatal(err)
			}
			got := <-answers
			if c.wantReason != 0 {
				if got.err == nil || errs.As(got.err).Reason != c.wantReason {
					t.Errorf("err = %v", got.err)
				}
			} else if got.err != nil || got.posted[0] != c.wantPosted {
				t.Errorf("posted %v, err = %v", got.posted, got.err)
			}
			total(t, s, c.wantTotal)
		})
	}
}

// TestBooksMadeAtOnce has every copy of the program make the same book at its start.
func TestBooksMadeAtOnce(t *testing.T) {
	pool := pgtest.New(t)
	s := ledger.New(ledger.Config{Pool: pool})
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			if err := postgres.InTx(t.Context(), pool, func(ctx context.Context, tx pgx.Tx) error {
				return s.EnsureBookTx(ctx, tx, "")
			}); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	accounts, err := s.Accounts(t.Context(), "", vallon, time.Time{})
	if err != nil || len(accounts) < 40 {
		t.Errorf("%d accounts, err = %v", len(accounts), err)
	}
}
