package webhooks

import "github.com/prometheus/client_golang/prometheus"

// metrics are what an operator watches. An account is a Stripe account's id, "" the platform's.
type metrics struct {
	received     *prometheus.CounterVec // by outcome: stored, duplicate, ignored, misdirected, refused
	finished     *prometheus.CounterVec // by outcome: applied, ignored, failed
	syncs        *prometheus.CounterVec // by depth and outcome
	posted       *prometheus.CounterVec // by kind
	unattributed prometheus.Counter
	unknownTypes prometheus.Counter
	refused      prometheus.Counter
	lastSync     *prometheus.GaugeVec
	oldest       prometheus.Gauge
	failed       prometheus.Gauge
	parked       prometheus.Gauge
	missed       prometheus.Counter
	hearFailures prometheus.Counter
	delay        prometheus.Histogram
	dead         prometheus.Gauge
	syncFailures *prometheus.GaugeVec
}

func newMetrics(r prometheus.Registerer) *metrics {
	counter := func(name, help string) prometheus.CounterOpts {
		return prometheus.CounterOpts{Namespace: "cagnotte", Subsystem: "webhooks", Name: name, Help: help}
	}
	gauge := func(name, help string) prometheus.GaugeOpts {
		return prometheus.GaugeOpts{Namespace: "cagnotte", Subsystem: "webhooks", Name: name, Help: help}
	}
	m := &metrics{
		received: prometheus.NewCounterVec(counter("events_received_total",
			"Deliveries of Stripe's: stored, duplicate, ignored, misdirected to the other endpoint, or refused for their signature."), []string{"outcome"}),
		finished: prometheus.NewCounterVec(counter("events_applied_total",
			"Tries to apply an event: applied, ignored or failed."), []string{"outcome"}),
		syncs: prometheus.NewCounterVec(counter("syncs_total",
			"Readings of Stripe's balance, by depth and outcome."), []string{"depth", "outcome"}),
		posted: prometheus.NewCounterVec(counter("posted_transactions_total",
			"Balance transactions posted to the ledger, by kind."), []string{"kind"}),
		unattributed: prometheus.NewCounter(counter("unattributed_transactions_total",
			"Balance transactions about a payment that is no gift of ours.")),
		unknownTypes: prometheus.NewCounter(counter("unknown_type_transactions_total",
			"Balance transactions of a type that Stripe did not document. Somebody must look.")),
		refused: prometheus.NewCounter(counter("refused_transactions_total",
			"Tries to post a balance transaction that the ledger refused. Somebody must look.")),
		lastSync: prometheus.NewGaugeVec(gauge("last_sync_timestamp_seconds",
			"When an account's balance was last read to its end."), []string{"account"}),
		oldest: prometheus.NewGauge(gauge("oldest_unapplied_event_seconds",
			"Age of the oldest event that is still to be applied; 0 when there is none.")),
		failed: prometheus.NewGauge(gauge("failed_events",
			"Events that could not be applied so far, those that were given up among them. Somebody must look.")),
		parked: prometheus.NewGauge(gauge("parked_transactions",
			"Balance transactions that cannot be booked so far. Somebody must look when it stays above 0.")),
	}
	m.missed = prometheus.NewCounter(counter("missed_events_total",
		"Events that no webhook brought and that were found in Stripe's list."))
	m.hearFailures = prometheus.NewCounter(counter("event_list_failures_total",
		"Readings of Stripe's list of events that failed."))
	m.delay = prometheus.NewHistogram(prometheus.HistogramOpts{
		Namespace: "cagnotte", Subsystem: "webhooks", Name: "delivery_delay_seconds",
		Help:    "Time between what an event tells and its webhook, repetitions included.",
		Buckets: []float64{0.5, 1, 2, 5, 15, 60, 300, 900, 3600, 6 * 3600, 24 * 3600, 72 * 3600},
	})
	m.dead = prometheus.NewGauge(gauge("dead_events",
		"Events that were given up. Somebody must look, and replay them."))
	m.syncFailures = prometheus.NewGaugeVec(gauge("sync_failures",
		"Readings of an account's balance that failed in a row."), []string{"account"})
	if r != nil {
		r.MustRegister(m.received, m.finished, m.syncs, m.posted, m.unattributed, m.unknownTypes, m.refused, m.lastSync, m.oldest,
			m.failed, m.parked, m.missed, m.hearFailures, m.delay, m.dead, m.syncFailures)
	}
	return m
}
