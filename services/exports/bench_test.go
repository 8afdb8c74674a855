package exports_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/collectives"
	"github.com/cagnotte/cagnotte/services/exports"
	"github.com/cagnotte/cagnotte/services/internal/pgembed"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/ledger"
)

// benchEntries is how many entries the benchmark streams: a quarter as many donations.
const benchEntries = 1_000_000

// loadSQL makes donations of four entries, as a charge of Stripe's has, of 50 campaigns, one a minute. The
// triggers are off: what they would refuse is not made here.
const loadSQL = `
SET session_replication_role = replica;
INSERT INTO ledger.transactions (effective_at, entry_count, book, reference, kind, fingerprint)
SELECT '2026-01-01'::timestamptz + n * interval '1 minute', 4, '', 'txn_3Ox' || md5(n::text), 'donation', sha256('x')
FROM generate_series(1, %d) AS n;
INSERT INTO ledger.entries (transaction_id, amount, effective_at, account_id, line, nominal, donation, currency, collective, campaign)
SELECT t.id, v.amount, t.effective_at, a.id, v.line, a.type IN ('income', 'expense'), md5(t.id::text)::uuid, 'EUR',
	'vallon-contre-cameras', 'stage-' || t.id %% 50
FROM ledger.transactions AS t
CROSS JOIN (VALUES (2000, 1, '51212'), (-2000, 2, '75411'), (55, 3, '627'), (-55, 4, '51212')) AS v (amount, line, code)
JOIN ledger.accounts AS a ON a.book = '' AND a.code = v.code
ORDER BY t.id, v.line;
VACUUM ANALYZE ledger.transactions, ledger.entries, ledger.accounts`

// limitSQL is what the CSV holds, ordered and joined, as anybody would write it for psql.
const limitSQL = `\copy (SELECT t.id, t.reference, t.kind, (t.effective_at AT TIME ZONE 'Europe/Paris')::date, t.effective_at, ` +
	`a.code, a.display_name, CASE WHEN e.amount > 0 THEN e.amount END, CASE WHEN e.amount < 0 THEN -e.amount END, e.currency, e.campaign, e.donation ` +
	`FROM ledger.entries AS e JOIN ledger.transactions AS t ON t.id = e.transaction_id JOIN ledger.accounts AS a ON a.id = e.account_id ` +
	`WHERE e.collective = 'vallon-contre-cameras' ORDER BY e.effective_at, e.transaction_id, e.line) TO '/dev/null' CSV HEADER`

// BenchmarkCSV streams a million entries to CSV, in turn with psql's \copy of the same columns,
// ordered and joined, from the same Postgres:
//
//	go test ./services/exports -run '^$' -bench CSV -benchtime 5x
//
// It reports the medians, their ratio (the bar is 1.5), and the most memory that the program had
// from the system while it streamed (the bar is 64 MiB).
func BenchmarkCSV(b *testing.B) {
	service, url := million(b)
	var ours, limits []float64
	var most uint64
	for b.Loop() {
		limits = append(limits, seconds(func() {
			command := exec.CommandContext(b.Context(), "psql", "-X", "-q", "-d", url, "-c", limitSQL)
			if out, err := command.CombinedOutput(); err != nil {
				b.Fatalf("psql, of the package postgresql-client: %v: %s", err, out)
			}
		}))
		ours = append(ours, seconds(func() {
			if err := service.Write(b.Context(), io.Discard, exports.Request{Collective: vallon}); err != nil {
				b.Fatal(err)
			}
		}))
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		most = max(most, stats.Sys-stats.HeapReleased)
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(median(ours), "s")
	b.ReportMetric(median(limits), "copy-s")
	b.ReportMetric(median(ours)/median(limits), "of-copy")
	b.ReportMetric(float64(most)/(1<<20), "MiB")
}

// BenchmarkFormats streams a million entries to each format of which entries are the content: the payout report
// and a proof of what is sealed would have nothing to tell of this book, and the FEC's notice is a fixed text.
func BenchmarkFormats(b *testing.B) {
	service, _ := million(b)
	for _, format := range exports.Formats() {
		if format == exports.FormatPayouts || format == exports.FormatProof || format == exports.FormatFECNotice {
			continue
		}
		b.Run(format, func(b *testing.B) {
			var most uint64
			for b.Loop() {
				req := exports.Request{Collective: vallon, Format: format, StartDate: "2026-01-01", EndDate: "2026-12-31"}
				if err := service.Write(b.Context(), io.Discard, req); err != nil {
					b.Fatal(err)
				}
				var stats runtime.MemStats
				runtime.ReadMemStats(&stats)
				most = max(most, stats.Sys-stats.HeapReleased)
			}
			b.ReportMetric(float64(most)/(1<<20), "MiB")
		})
	}
}

// million starts a Postgres with a million entries in it.
func million(b *testing.B) (*exports.Service, string) {
	b.Helper()
	ctx := b.Context()
	server, err := pgembed.Start(ctx, pgembed.Config{})
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
	pool, err := postgres.Open(ctx, postgres.Config{URL: url, DefaultScope: postgres.AllScope()})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(pool.Close)
	groups := collectives.New(collectives.Config{Pool: pool})
	if _, err := groups.Create(ctx, collectives.Collective{ID: vallon, DisplayName: "Vallon contre caméras"}); err != nil {
		b.Fatal(err)
	}
	books := ledger.New(ledger.Config{Pool: pool})
	if err := postgres.InTx(ctx, pool, func(ctx context.Context, tx pgx.Tx) error {
		return books.EnsureBookTx(ctx, tx, "")
	}); err != nil {
		b.Fatal(err)
	}
	load := exec.CommandContext(ctx, "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", url)
	stdin, err := load.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	load.Stderr = os.Stderr
	if err := load.Start(); err != nil {
		b.Fatalf("psql, of the package postgresql-client: %v", err)
	}
	fmt.Fprintf(stdin, loadSQL, benchEntries/4)
	stdin.Close()
	if err := load.Wait(); err != nil {
		b.Fatal(err)
	}
	return exports.New(exports.Config{Ledger: books, Collectives: groups}), url
}

func seconds(run func()) float64 {
	start := time.Now()
	run()
	return time.Since(start).Seconds()
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}
