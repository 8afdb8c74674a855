package payouts

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

// newReads counts calls of Stripe's by outcome: done, failed.
func newReads(r prometheus.Registerer) *prometheus.CounterVec {
	reads := prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "cagnotte", Subsystem: "payouts", Name: "reads_total",
		Help: "Calls to Stripe for payouts and their contents, by outcome.",
	}, []string{"outcome"})
	if r != nil {
		r.MustRegister(reads)
	}
	return reads
}

// measureTimeout keeps a slow database from delaying all other metrics.
const measureTimeout = 2 * time.Second

// gauges measures, on each scrape, what needs attention. Every copy of the program reports the same, also while no job
// runs.
type gauges struct{ service *Service }

var (
	differencesDesc = prometheus.NewDesc("cagnotte_payouts_differences",
		"Open differences between payouts and the books. Somebody must look.", nil, nil)
	oldestDesc = prometheus.NewDesc("cagnotte_payouts_oldest_unbanked_seconds",
		"Time since the arrival of the oldest paid payout without a line at the bank; 0 when there is none.", nil, nil)
)

// Describe implements prometheus.Collector.
func (g *gauges) Describe(ch chan<- *prometheus.Desc) { ch <- differencesDesc; ch <- oldestDesc }

// measureSQL returns the number of open findings, and the time in seconds since the oldest arrival of a paid payout
// that has no line at the bank. Payouts without next_attempt_at are left out, as nothing is left to do for them.
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

// Collect implements prometheus.Collector. It reports nothing when the database does not answer.
func (g *gauges) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(postgres.WithScope(context.Background(), postgres.AllScope()), measureTimeout)
	defer cancel()
	var differences, oldest float64
	if err := g.service.cfg.Pool.QueryRow(ctx, measureSQL, pgx.NamedArgs{"now": g.service.now()}).Scan(&differences, &oldest); err != nil {
		return
	}
	ch <- prometheus.MustNewConstMetric(differencesDesc, prometheus.GaugeValue, differences)
	ch <- prometheus.MustNewConstMetric(oldestDesc, prometheus.GaugeValue, max(oldest, 0))
}
