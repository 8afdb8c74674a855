package payouts

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
)

// newReads counts readings by outcome: done, failed.
func newReads(r prometheus.Registerer) *prometheus.CounterVec {
	reads := prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "cagnotte", Subsystem: "payouts", Name: "reads_total",
		Help: "Readings of payouts and of what is inside them at Stripe, by outcome.",
	}, []string{"outcome"})
	if r != nil {
		r.MustRegister(reads)
	}
	return reads
}

// measureTimeout keeps a slow database from keeping all other figures.
const measureTimeout = 2 * time.Second

// gauges look when they are scraped at what somebody must look at: so every copy of the program tells the same,
// also while no job runs.
type gauges struct{ service *Service }

var (
	differencesDesc = prometheus.NewDesc("cagnotte_payouts_differences",
		"Differences between payouts and the books that are there now. Somebody must look.", nil, nil)
	oldestDesc = prometheus.NewDesc("cagnotte_payouts_oldest_unbanked_seconds",
		"Age, since its arrival, of the oldest payout that is paid and not booked at the bank; 0 when there is none.", nil, nil)
)

// Describe implements prometheus.Collector.
func (g *gauges) Describe(ch chan<- *prometheus.Desc) { ch <- differencesDesc; ch <- oldestDesc }

const measureSQL = `
SELECT
	(
		SELECT count(*)::float8
		FROM payouts.findings AS f
		WHERE f.resolved_at IS NULL
	),
	(
		SELECT coalesce(extract(epoch FROM @now::timestamptz - min(p.arrival_at)), 0)::float8
		FROM payouts.payouts AS p
		WHERE p.next_attempt_at IS NOT NULL
			AND p.state = 'paid'
			AND p.banked_at IS NULL
	)`

// Collect implements prometheus.Collector. When the database does not answer it says nothing.
func (g *gauges) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), measureTimeout)
	defer cancel()
	var differences, oldest float64
	if err := g.service.cfg.Pool.QueryRow(ctx, measureSQL, pgx.NamedArgs{"now": g.service.now()}).Scan(&differences, &oldest); err != nil {
		return
	}
	ch <- prometheus.MustNewConstMetric(differencesDesc, prometheus.GaugeValue, differences)
	ch <- prometheus.MustNewConstMetric(oldestDesc, prometheus.GaugeValue, max(oldest, 0))
}
