package exports_test

import (
	"context"
	"errors"
	"io"
	"runtime"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"google.golang.org/grpc/codes"

	"github.com/cagnotte/cagnotte/services/exports"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/pgtest"
)

// fill posts many transactions of two entries at once, as the tests' fast way to a large book.
func fill(t *testing.T, pool *pgxpool.Pool, transactions int) {
	t.Helper()
	if _, err := pgtest.Owner(t, pool).Exec(t.Context(), `
		WITH posted AS (
			INSERT INTO ledger.transactions (effective_at, entry_count, book, reference, kind, fingerprint)
			SELECT '2026-01-01'::timestamptz + n * interval '1 second', 2, '', 'txn_' || n, 'donation', sha256('x')
			FROM generate_series(1, $1::integer) AS n
			RETURNING id, effective_at
		)
		INSERT INTO ledger.entries (transaction_id, amount, effective_at, account_id, line, nominal, donation, currency, collective, campaign)
		SELECT
			p.id, v.amount, p.effective_at, a.id, v.line, a.type = 'income',
			CASE WHEN a.type = 'income' THEN md5('donation ' || p.id)::uuid END, 'EUR', 'vallon-contre-cameras', 'avocate'
		FROM posted AS p
		CROSS JOIN (VALUES (2000, 1, '51212'), (-2000, 2, '75411')) AS v (amount, line, code)
		JOIN ledger.accounts AS a ON a.book = '' AND a.code = v.code`, transactions); err != nil {
		t.Fatal(err)
	}
}

// meter counts what it is given and how much memory lives meanwhile.
type meter struct {
	bytes, largest int
	peak           uint64
}

func (m *meter) Write(b []byte) (int, error) {
	m.bytes += len(b)
	m.largest = max(m.largest, len(b))
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	m.peak = max(m.peak, stats.HeapAlloc)
	return len(b), nil
}

func TestMemoryStaysFlat(t *testing.T) {
	service, books, pool := open(t, "Europe/Paris")
	fill(t, pool, 60_000)
	seal(t, books)
	for _, format := range exports.Formats() {
		t.Run(format, func(t *testing.T) {
			// A workbook keeps 16 MiB of rows before it takes a file; its buffer grows by doubling.
			allowed := int64(2 << 20)
			if format == exports.FormatXLSX {
				allowed = 48 << 20
			}
			runtime.GC()
			var before runtime.MemStats
			runtime.ReadMemStats(&before)
			var m meter
			if err := service.Write(t.Context(), &m, year(format)); err != nil {
				t.Fatal(err)
			}
			if format != exports.FormatFECNotice && format != exports.FormatPayouts && m.bytes < 4<<20 {
				t.Errorf("it has %d bytes", m.bytes)
			}
			if m.largest > 128<<10 {
				t.Errorf("a chunk has %d bytes", m.largest)
			}
			if grown := int64(m.peak) - int64(before.HeapAlloc); grown > allowed {
				t.Errorf("%d bytes were written and %d held", m.bytes, grown)
			}
		})
	}
}

func TestBreaksOff(t *testing.T) {
	service, _, pool := open(t, "Europe/Paris")
	fill(t, pool, 5_000)
	t.Run("with the writer's own error", func(t *testing.T) {
		full := errors.New("the disk is full")
		if err := service.Write(t.Context(), failing{full}, exports.Request{Collective: vallon}); !errors.Is(err, full) {
			t.Errorf("err = %v", err)
		}
	})
	t.Run("when the caller goes away", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := service.Write(ctx, io.Discard, exports.Request{Collective: vallon}); errs.Code(err) != codes.Canceled {
			t.Errorf("err = %v", err)
		}
	})
	t.Run("and leaves no connection behind", func(t *testing.T) {
		for deadline := time.Now().Add(time.Minute); pool.Stat().AcquiredConns() > 0; {
			if time.Now().After(deadline) {
				t.Fatalf("%d connections are still in use", pool.Stat().AcquiredConns())
			}
		}
	})
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }
