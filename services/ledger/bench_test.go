package ledger_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/cagnotte/cagnotte/services/internal/pgembed"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/ledger"
)

// round is long enough for some thousand commits, and short enough to alternate with the limit.
const round = 2 * time.Second

// BenchmarkPost posts gifts of four entries on a Postgres with full durability, in rounds that
// alternate with the limit: raw pgx that inserts the same rows into tables with nothing but their
// keys, in four round trips, or through unnest for batches. One iteration is one pair of rounds:
//
//	go test ./services/ledger -run '^$' -bench Post -benchtime 3x
//
// It reports transactions a second, their ratio to the limit (medians), and for each transaction
// bytes of WAL and syncs of it while the ledger posted.
func BenchmarkPost(b *testing.B) {
	pool := durable(b)
	s := ledger.New(ledger.Config{Pool: pool})
	ensure(b, s, pool, book)
	for _, c := range []struct {
		callers, batch, campaigns int
	}{
		{8, 1, 1000}, {32, 1, 1000}, {32, 1, 1}, {1, 100, 1000}, {8, 100, 1000}, {8, 100, 1},
	} {
		b.Run(fmt.Sprintf("callers=%d/batch=%d/campaigns=%d", c.callers, c.batch, c.campaigns), func(b *testing.B) {
			var ours, limits, wal, syncs []float64
			for b.Loop() {
				limits = append(limits, throughput(b, c.callers, c.batch, c.campaigns, func(ctx context.Context, txs []ledger.Transaction) error {
					return postBare(ctx, pool, txs)
				}))
				before := walOf(b, pool)
				rate := throughput(b, c.callers, c.batch, c.campaigns, func(ctx context.Context, txs []ledger.Transaction) error {
					_, err := post(ctx, s, pool, txs...)
					return err
				})
				after := walOf(b, pool)
				count := rate * round.Seconds()
				ours = append(ours, rate)
				wal = append(wal, (after.bytes-before.bytes)/count)
				syncs = append(syncs, (after.syncs-before.syncs)/count)
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(median(ours), "tx/s")
			b.ReportMetric(median(ours)/median(limits), "of-limit")
			b.ReportMetric(median(wal), "WAL-B/tx")
			b.ReportMetric(median(syncs), "syncs/tx")
		})
	}
	b.Run("stored", func(b *testing.B) {
		var count, stored float64
		for b.Loop() {
			if err := pool.QueryRow(b.Context(), `
				SELECT
					(SELECT count(*) FROM ledger.transactions),
					pg_total_relation_size('ledger.transactions') + pg_total_relation_size('ledger.entries')`,
			).Scan(&count, &stored); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(0, "ns/op")
		b.ReportMetric(stored/count, "B/tx")
	})
}

func durable(b *testing.B) *pgxpool.Pool {
	b.Helper()
	ctx := b.Context()
	server, err := pgembed.Start(ctx, pgembed.Config{Durable: true})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := server.Stop(context.WithoutCancel(ctx)); err != nil {
			b.Error(err)
		}
	})
	url := server.URL("postgres")
	if err := postgres.Migrate(ctx, url, nil); err != nil {
		b.Fatal(err)
	}
	// As the owner, who may make the bare tables; the triggers are the same.
	pool, err := postgres.Open(ctx, postgres.Config{URL: url, MaxConns: 34, Role: pgembed.Superuser})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(pool.Close)
	if _, err := pool.Exec(ctx, `
		CREATE SCHEMA bare;
		CREATE TABLE bare.transactions (LIKE ledger.transactions INCLUDING DEFAULTS INCLUDING IDENTITY);
		CREATE TABLE bare.entries (LIKE ledger.entries);
		ALTER TABLE bare.transactions ADD PRIMARY KEY (id), ADD UNIQUE (book, reference);
		ALTER TABLE bare.entries ADD PRIMARY KEY (transaction_id, line)`); err != nil {
		b.Fatal(err)
	}
	return pool
}

// throughput has callers post batches for one round, and returns transactions a second.
func throughput(b *testing.B, callers, batch, campaigns int, send func(context.Context, []ledger.Transaction) error) float64 {
	b.Helper()
	var (
		count atomic.Int64
		group sync.WaitGroup
	)
	for range callers {
		group.Go(func() {
			for deadline := time.Now().Add(round); time.Now().Before(deadline); {
				txs := make([]ledger.Transaction, batch)
				for i := range txs {
					txs[i] = gift("txn_"+uuid.NewString()[:24], time.Now(), 2000)
					campaign := fmt.Sprintf("campaign-%d", rand.IntN(campaigns))
					for j := range txs[i].Entries {
						txs[i].Entries[j].Campaign = campaign
					}
				}
				if err := send(b.Context(), txs); err != nil {
					b.Error(err)
					return
				}
				count.Add(int64(batch))
			}
		})
	}
	group.Wait()
	return float64(count.Load()) / round.Seconds()
}

// postBare writes the rows that PostTx writes, with the simplest statements.
func postBare(ctx context.Context, pool *pgxpool.Pool, txs []ledger.Transaction) error {
	return postgres.InTx(ctx, pool, func(ctx context.Context, tx pgx.Tx) error {
		n := len(txs)
		references, effectives := make([]string, n), make([]time.Time, n)
		var campaigns []string
		var amounts []int64
		var lines []int16
		var donations [][16]byte
		for i, t := range txs {
			references[i], effectives[i] = t.Reference, t.Effective
			for line, e := range t.Entries {
				lines = append(lines, int16(line+1))
				amounts = append(amounts, e.Amount.Minor)
				campaigns = append(campaigns, e.Campaign)
				donations = append(donations, e.Donation)
			}
		}
		rows, err := tx.Query(ctx, `
			INSERT INTO bare.transactions (effective_at, entry_count, book, reference, kind, fingerprint)
			SELECT t.at, 4, $1, t.reference, 'gift', decode(repeat('ab', 32), 'hex')
			FROM unnest($2::text[], $3::timestamptz[]) AS t (reference, at)
			RETURNING id`, book, references, effectives)
		if err != nil {
			return err
		}
		ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
		if err != nil {
			return err
		}
		entryIDs := make([]int64, 0, 4*n)
		for _, id := range ids {
			entryIDs = append(entryIDs, id, id, id, id)
		}
		_, err = tx.Exec(ctx, `
			INSERT INTO bare.entries (transaction_id, amount, effective_at, account_id, line, nominal, donation, currency, collective, campaign)
			SELECT e.id, e.amount, now(), 15, e.line, false, e.donation, 'EUR', $1, e.campaign
			FROM unnest($2::bigint[], $3::bigint[], $4::smallint[], $5::uuid[], $6::text[]) AS e (id, amount, line, donation, campaign)`,
			vallon, entryIDs, amounts, lines, donations, campaigns)
		return err
	})
}

type walCounters struct{ bytes, syncs float64 }

func walOf(b *testing.B, pool *pgxpool.Pool) (w walCounters) {
	b.Helper()
	// The counters of a session arrive when it has been idle for a second, or is told to.
	if err := pool.QueryRow(b.Context(), `
		SELECT pg_current_wal_insert_lsn() - '0/0', wal_sync
		FROM pg_stat_wal`).Scan(&w.bytes, &w.syncs); err != nil {
		b.Fatal(err)
	}
	return w
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}
