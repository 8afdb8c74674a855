package webhooks

import "github.com/prometheus/client_golang/prometheus"

// metrics counts what this program does; gauges measures what waits. An account is a Stripe account's id, empty for the
// platform's own.
type metrics struct {
	received         *prometheus.CounterVec // by outcome: stored, duplicate, ignored, misdirected, refused
	finished         *prometheus.CounterVec // by outcome: applied, ignored, failed
	syncs            *prometheus.CounterVec // by depth and outcome
	posted           *prometheus.CounterVec // by kind
	unattributed     prometheus.Counter
	unknownTypes     prometheus.Counter
	refused          prometheus.Counter
	missed           prometheus.Counter
	backfillFailures prometheus.Counter
	delay            prometheus.Histogram
}

// newMetrics creates the counters and registers them, unless r is nil.
func newMetrics(r prometheus.Registerer) *metrics {
	counter := func(name, help string) prometheus.CounterOpts {
		return prometheus.CounterOpts{Namespace: "cagnotte", Subsystem: "webhooks", Name: name, Help: help}
	}
	m := &metrics{
		received: prometheus.NewCounterVec(counter("events_received_total",
			"Deliveries by outcome: stored, duplicate, ignored, misdirected to the other endpoint, or refused for their signature."), []string{"outcome"}),
		finished: prometheus.NewCounterVec(counter("events_applied_total",
			"Attempts to apply an event by outcome: applied, ignored or failed."), []string{"outcome"}),
		syncs: prometheus.NewCounterVec(counter("syncs_total",
			"Syncs of Stripe's balance, by depth and outcome."), []string{"depth", "outcome"}),
		posted: prometheus.NewCounterVec(counter("posted_transactions_total",
			"Balance transactions posted to the ledger, by kind."), []string{"kind"}),
		unattributed: prometheus.NewCounter(counter("unattributed_transactions_total",
			"Balance transactions about a payment that is no donation of ours.")),
		unknownTypes: prometheus.NewCounter(counter("unknown_type_transactions_total",
			"Balance transactions of an undocumented type. Somebody must look.")),
		refused: prometheus.NewCounter(counter("refused_transactions_total",
			"Balance transactions that the ledger refused, counted on each attempt. Somebody must look.")),
	}
	m.missed = prometheus.NewCounter(counter("missed_events_total",
		"Events that no webhook brought, found by the backfill."))
	m.backfillFailures = prometheus.NewCounter(counter("backfill_failures_total",
		"Failures of the backfill."))
	m.delay = prometheus.NewHistogram(prometheus.HistogramOpts{
		Namespace: "cagnotte", Subsystem: "webhooks", Name: "delivery_delay_seconds",
		Help:    "Time between an event at Stripe and its webhook, repetitions included.",
		Buckets: []float64{0.5, 1, 2, 5, 15, 60, 300, 900, 3600, 6 * 3600, 24 * 3600, 72 * 3600},
	})
	for _, outcome := range []string{"stored", "duplicate", "ignored", "misdirected", "refused"} {
		m.received.WithLabelValues(outcome) // exported as 0, so that Prometheus sees the first increase
	}
	if r != nil {
		r.MustRegister(m.received, m.finished, m.syncs, m.posted, m.unattributed, m.unknownTypes, m.refused, m.missed,
			m.backfillFailures, m.delay)
	}
	return m
}
