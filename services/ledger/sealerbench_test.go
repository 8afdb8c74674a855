package ledger_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/cagnotte/cagnotte/services/internal/pgtest"
	"github.com/cagnotte/cagnotte/services/ledger"
)

// BenchmarkSeal measures what posting loses to sealing, in rounds with and without a sealer that
// alternate on one Postgres with full durability, and how fast a backlog is sealed. The sealer looks
// ten times as often as the program's. One iteration is one pair of rounds:
//
//	go test ./services/ledger -run '^$' -bench 'Seal$' -benchtime 3x
//
// of-unsealed is posting with a sealer against posting without (the bar is 0.9); behind is what was not
// sealed at the end of a round, against what was posted in it; sealed/s is for a backlog alone.
func BenchmarkSeal(b *testing.B) {
	pool := durable(b).pool
	s := ledger.New(ledger.Config{Pool: pool, SecretKey: secret})
	ensure(b, s, pool, book)
	for _, c := range []struct{ callers, batch int }{{32, 1}, {8, 100}} {
		b.Run(fmt.Sprintf("callers=%d/batch=%d", c.callers, c.batch), func(b *testing.B) {
			send := func(ctx context.Context, txs []ledger.Transaction) error {
				_, err := post(ctx, s, pool, txs...)
				return err
			}
			var with, without, backlog, behind []float64
			for b.Loop() {
				rate := throughput(b, c.callers, c.batch, 100, send)
				without = append(without, rate)
				start := time.Now()
				if err := s.SealAll(b.Context()); err != nil {
					b.Fatal(err)
				}
				backlog = append(backlog, rate*round.Seconds()/time.Since(start).Seconds())

				ctx, stop := context.WithCancel(b.Context())
				var sealer sync.WaitGroup
				sealer.Go(func() { s.KeepSealing(ctx, 300*time.Millisecond, func(err error) { b.Error(err) }) })
				rate = throughput(b, c.callers, c.batch, 100, send)
				with = append(with, rate)
				var unsealed float64
				if err := pool.QueryRow(b.Context(), `
					SELECT (SELECT count(*) FROM ledger.transactions) - (SELECT count(*) FROM ledger.seals)`).Scan(&unsealed); err != nil {
					b.Fatal(err)
				}
				behind = append(behind, unsealed/(rate*round.Seconds()))
				stop()
				sealer.Wait()
				if err := s.SealAll(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(median(with), "tx/s")
			b.ReportMetric(median(with)/median(without), "of-unsealed")
			b.ReportMetric(median(backlog), "sealed/s")
			b.ReportMetric(median(behind), "behind")
		})
	}
}

// BenchmarkBalance reads the balances of a collective whose account has 1,000,000 entries and of one
// that has 1,000, in turn, in one book with a tail; large/small is the ratio of their times (the bar
// is 1.5).
func BenchmarkBalance(b *testing.B) {
	pool := pgtest.New(b)
	s := ledger.New(ledger.Config{Pool: pool, SecretKey: secret})
	ensure(b, s, pool, book)
	fillAccount(b, s, pool, "large", 1_000_000)
	fillAccount(b, s, pool, "small", 1_000)
	if err := s.SealAll(b.Context()); err != nil {
		b.Fatal(err)
	}
	mustPost(b, s, pool, donations(0, 64)...)
	if _, err := pgtest.Owner(b, pool).Exec(b.Context(), "VACUUM ANALYZE"); err != nil {
		b.Fatal(err)
	}
	for _, c := range []struct {
		name string
		read func(collective string) error
	}{
		{"now", func(collective string) error {
			_, err := s.Accounts(b.Context(), book, collective, time.Time{})
			return err
		}},
		{"as-of", func(collective string) error {
			_, err := s.Accounts(b.Context(), book, collective, day(200).Truncate(24*time.Hour))
			return err
		}},
		{"campaign", func(collective string) error {
			_, err := s.CampaignTotals(b.Context(), []ledger.CampaignKey{{Collective: collective, Campaign: lawyer}})
			return err
		}},
	} {
		b.Run(c.name, func(b *testing.B) {
			const each = 50
			var large, small []float64
			for b.Loop() {
				for collective, times := range map[string]*[]float64{"large": &large, "small": &small} {
					for range each {
						start := time.Now()
						if err := c.read(collective); err != nil {
							b.Fatal(err)
						}
						*times = append(*times, time.Since(start).Seconds()*1e6)
					}
				}
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(median(large), "µs")
			b.ReportMetric(median(large)/median(small), "large/small")
		})
	}
}

// fillAccount posts entries to a collective's Stripe balance over 400 days, forty in a transaction.
func fillAccount(b *testing.B, s *ledger.Service, pool *pgxpool.Pool, collective string, entries int) {
	b.Helper()
	const perTransaction, perBatch = 40, 250
	var batch []ledger.Transaction
	for n := 0; n < entries; n += perTransaction {
		tx := ledger.Transaction{
			Reference: fmt.Sprintf("%s_%d", collective, n), Kind: ledger.KindDonation,
			Effective: day(1).Add(time.Duration(n%400_000) * 400 * 24 * time.Hour / 400_000),
		}
		for line := range perTransaction + 1 {
			entry := ledger.Entry{Role: ledger.RoleStripeBalance, Amount: eur(100), Collective: collective, Campaign: lawyer}
			if line == perTransaction {
				entry.Role, entry.Amount = ledger.RoleDonations, eur(-100*perTransaction)
			}
			tx.Entries = append(tx.Entries, entry)
		}
		if batch = append(batch, tx); len(batch) == perBatch || n+perTransaction >= entries {
			mustPost(b, s, pool, batch...)
			batch = batch[:0]
		}
	}
}
