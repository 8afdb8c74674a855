package payouts

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

// metrics are what an operator watches.
type metrics struct {
	reads       *prometheus.CounterVec // by outcome: done, failed
	differences prometheus.Gauge
	oldest      prometheus.Gauge
}

func newMetrics(r prometheus.Registerer) *metrics {
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "cagnotte", Subsystem: "payouts", Name: name, Help: help})
	}
	m := &metrics{
		reads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "cagnotte", Subsystem: "payouts", Name: "reads_total",
			Help: "Readings of payouts and of what is inside them at Stripe, by outcome.",
		}, []string{"outcome"}),
		differences: gauge("differences", "Differences between payouts and the books that are there now. Somebody must look."),
		oldest: gauge("oldest_unbanked_seconds",
			"Age, since its arrival, of the oldest payout that is paid and not booked at the bank; 0 when there is none."),
	}
	if r != nil {
		r.MustRegister(m.reads, m.differences, m.oldest)
	}
	return m
}

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

// Measure looks at what somebody must look at. Call it on a timer.
func (s *Service) Measure(ctx context.Context) error {
	var differences, oldest float64
	if err := s.cfg.Pool.QueryRow(ctx, measureSQL, pgx.NamedArgs{"now": s.now()}).Scan(&differences, &oldest); err != nil {
		return postgres.Error(err)
	}
	s.metrics.differences.Set(differences)
	s.metrics.oldest.Set(max(oldest, 0))
	return nil
}
