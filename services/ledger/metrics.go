package ledger

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

// measureTimeout is less than a scraper waits.
const measureTimeout = 5 * time.Second

// tailMetrics reads the database when it is scraped: a sealer that is behind would have no moment to report it. Each
// scrape is one query over all books, so the cost grows with the tails and not with the history.
type tailMetrics struct {
	service       *Service
	count, oldest *prometheus.Desc
}

func newTailMetrics(s *Service) *tailMetrics {
	// The names are cagnotte_ledger_unsealed_transactions and cagnotte_ledger_oldest_unsealed_seconds.
	name := func(name string) string { return prometheus.BuildFQName("cagnotte", "ledger", name) }
	return &tailMetrics{
		service: s,
		count: prometheus.NewDesc(name("unsealed_transactions"),
			"Transactions of all books that have no number yet. Balances add them up one by one.", nil, nil),
		oldest: prometheus.NewDesc(name("oldest_unsealed_seconds"),
			"Age of the oldest transaction without a number, 0 when there is none. Above a minute the sealer is held up: "+
				"it failed, it is too slow, or a database transaction is left open.", nil, nil),
	}
}

func (m *tailMetrics) Describe(ch chan<- *prometheus.Desc) { ch <- m.count; ch <- m.oldest }

// Collect implements prometheus.Collector. The registry gives no context, so the timeout alone bounds the query.
func (m *tailMetrics) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(postgres.WithScope(context.Background(), postgres.AllScope()), measureTimeout)
	defer cancel()
	count, oldest, err := m.service.Unsealed(ctx)
	if err != nil { // another alert reports a copy without its database; an invalid metric would fail the whole scrape
		return
	}
	ch <- prometheus.MustNewConstMetric(m.count, prometheus.GaugeValue, float64(count))
	ch <- prometheus.MustNewConstMetric(m.oldest, prometheus.GaugeValue, oldest.Seconds())
}

// It counts from the index alone; the oldest transaction is the first in it. For each book, p is the position of its
// last seal, or a place before every transaction when nothing is sealed: then the whole book is the tail. seals_pkey serves
// p, whose OFFSET 0 keeps the coalesce out of the conditions below, which could not be those of an index with it.
// transactions_seal_idx serves the count and the first transaction of the tail. A clock that was set back would give a
// negative age, so 0 is the least.
const unsealedTailsSQL = `
SELECT
	coalesce(sum(n.count), 0)::bigint,
	greatest(coalesce(extract(epoch FROM clock_timestamp() - min(o.recorded_at)), 0), 0)::float8
FROM ledger.books AS b
CROSS JOIN LATERAL (
	SELECT
		coalesce(n.xid, '0') AS xid,
		coalesce(n.id, 0) AS id
	FROM (VALUES (1)) AS one (row)
	LEFT JOIN (
		SELECT
			t.xid,
			t.id
		FROM ledger.seals AS s
		JOIN ledger.transactions AS t ON t.id = s.transaction_id
		WHERE s.book = b.id
		ORDER BY s.number DESC
		LIMIT 1
	) AS n ON true
	OFFSET 0
) AS p
CROSS JOIN LATERAL (
	SELECT count(*) AS count
	FROM ledger.transactions AS t
	WHERE t.book = b.id
		AND (t.xid, t.id) > (p.xid, p.id)
) AS n
LEFT JOIN LATERAL (
	SELECT t.recorded_at
	FROM ledger.transactions AS t
	WHERE t.book = b.id
		AND (t.xid, t.id) > (p.xid, p.id)
	ORDER BY
		t.xid,
		t.id
	LIMIT 1
) AS o ON true`

// Unsealed returns how many transactions of all books have no number yet, and how long the oldest of them has waited;
// zero when there is none.
func (s *Service) Unsealed(ctx context.Context) (count int64, oldest time.Duration, err error) {
	var seconds float64
	err = s.pool.QueryRow(ctx, unsealedTailsSQL).Scan(&count, &seconds)
	// The age is by the clock of the database, which also wrote recorded_at.
	return count, time.Duration(seconds * float64(time.Second)), postgres.Error(err)
}
