package ledger_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/cagnotte/cagnotte/services/internal/pgembed"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/ledger"
)

const posters = 32

// TestPostersAndSealer has many post and take back for some seconds while two sealers, one of which is
// always too many, seal and keep balances behind them.
func TestPostersAndSealer(t *testing.T) {
	_, pool := open(t)
	s := ledger.New(ledger.Config{Pool: pool, SecretKey: secret}).Batches(50, 20)
	ctx, stop := context.WithTimeout(t.Context(), 3*time.Second)
	defer stop()
	var cents atomic.Int64
	var posting, sealers sync.WaitGroup
	for poster := range posters {
		posting.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				reference := fmt.Sprintf("txn_%d_%d", poster, n)
				if _, err := post(t.Context(), s, pool, donation(reference, day(1+n%60), 100)); err != nil {
					t.Error(err)
					return
				}
				if n%7 != 0 {
					cents.Add(100)
				} else if _, err := reverse(t.Context(), s, pool, ledger.Reversal{Original: reference, Reference: "r_" + reference}); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	sealing, done := context.WithCancel(t.Context())
	defer done()
	for range 2 {
		sealers.Go(func() { s.KeepSealing(sealing, 5*time.Millisecond, func(err error) { t.Error(err) }) })
	}
	posting.Wait()
	done()
	sealers.Wait()
	sealRest(t, s)
	total(t, s, cents.Load())
	sound(t, s, book)
}

// sealRest seals until nothing is left: what another test's database holds open passes.
func sealRest(t *testing.T, s *ledger.Service) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		if err := s.SealAll(t.Context()); err != nil {
			t.Fatal(err)
		}
		report, err := s.Verify(t.Context(), book)
		if err != nil {
			t.Fatal(err)
		}
		if report.Unsealed == 0 {
			return
		}
	}
	t.Fatal("not all is sealed")
}

// TestKilledPostgres kills a durable Postgres at once while many post and one seals. What was acknowledged is
// there after its restart, what was not can be posted again, and the books are sound.
func TestKilledPostgres(t *testing.T) {
	// Not t.TempDir: the server's own user must get there when the test runs as root.
	dir, err := os.MkdirTemp("", "cagnotte-crash-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	start := func() *pgembed.Server {
		server, err := pgembed.Start(t.Context(), pgembed.Config{Dir: dir + "/pg", Durable: true})
		if err != nil {
			t.Fatal(err)
		}
		return server
	}
	server := start()
	t.Cleanup(func() {
		if err := server.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	if err := postgres.Migrate(t.Context(), server.URL("postgres"), slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	begun := map[string]ledger.Transaction{}
	var acknowledged []string
	for round := range 2 {
		s, pool := onServer(t, server)
		ensure(t, s, pool, book)
		acknowledged = append(acknowledged, killWhilePosting(t, s, pool, server, round, begun)...)
		pool.Close()
		server = start()
		s, pool = onServer(t, server)
		sound(t, s, book)
		there, err := s.KnownReferences(t.Context(), book, acknowledged)
		if err != nil || len(there) != len(acknowledged) {
			t.Errorf("%d of %d acknowledged are there, err = %v", len(there), len(acknowledged), err)
		}
		pool.Close()
	}
	s, pool := onServer(t, server)
	var all []ledger.Transaction
	for _, tx := range begun {
		all = append(all, tx)
	}
	mustPost(t, s, pool, all...)
	if posted := mustPost(t, s, pool, all...); slices.Contains(posted, true) {
		t.Error("something was posted twice")
	}
	sealRest(t, s)
	if got := numbered(t, pool, book); len(got) != len(all) || len(all) == 0 {
		t.Errorf("%d of %d are numbered", len(got), len(all))
	}
	sound(t, s, book)
}

func onServer(t *testing.T, server *pgembed.Server) (*ledger.Service, *pgxpool.Pool) {
	t.Helper()
	pool, err := postgres.Open(t.Context(), postgres.Config{URL: server.URL("postgres"), MaxConns: posters + 2, DefaultScope: postgres.AllScope()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return ledger.New(ledger.Config{Pool: pool, SecretKey: secret}).Batches(50, 20), pool
}

// killWhilePosting returns the references that were acknowledged, and adds to begun what was asked for.
func killWhilePosting(t *testing.T, s *ledger.Service, pool *pgxpool.Pool, server *pgembed.Server, round int, begun map[string]ledger.Transaction) []string {
	t.Helper()
	var (
		mu           sync.Mutex
		acknowledged []string
		sealed       atomic.Int64
		group        sync.WaitGroup
	)
	enough := make(chan struct{})
	var once sync.Once
	for poster := range posters {
		group.Go(func() {
			for n := 0; ; n++ {
				tx := donation(fmt.Sprintf("txn_%d_%d_%d", round, poster, n), day(1+n%60), int64(100+n))
				mu.Lock()
				begun[tx.Reference] = tx
				mu.Unlock()
				if _, err := post(t.Context(), s, pool, tx); err != nil {
					return
				}
				mu.Lock()
				acknowledged = append(acknowledged, tx.Reference)
				mu.Unlock()
				if sealed.Load() > 500 {
					once.Do(func() { close(enough) })
				}
			}
		})
	}
	group.Go(func() {
		for {
			n, err := s.Seal(t.Context(), book)
			if err != nil {
				return
			}
			sealed.Add(int64(n))
		}
	})
	select {
	case <-enough:
	case <-time.After(30 * time.Second):
		t.Error("500 were not sealed in half a minute")
	}
	if err := server.Kill(); err != nil {
		t.Error(err)
	}
	group.Wait()
	return acknowledged
}
