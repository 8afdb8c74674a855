package stripe

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// newCalls counts calls by outcome.
func newCalls(r prometheus.Registerer) *prometheus.CounterVec {
	calls := prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "cagnotte", Subsystem: "stripe", Name: "calls_total",
		Help: "Calls to Stripe, by outcome: ok, unauthorized (unknown key), throttled, queue_timeout (of our own budget), " +
			"breaker_open (Stripe left calls before unanswered), busy, failed, lost, refused, missing.",
	}, []string{"outcome"})
	for _, outcome := range outcomes {
		calls.WithLabelValues(outcome) // exported as 0, so that Prometheus sees the first increase
	}
	calls.WithLabelValues("queue_timeout")
	calls.WithLabelValues("breaker_open")
	if r != nil {
		r.MustRegister(calls)
	}
	return calls
}

var outcomes = map[Kind]string{
	Lost: "lost", Throttled: "throttled", Busy: "busy", Failed: "failed", Refused: "refused", Missing: "missing",
	Unauthorized: "unauthorized",
}

func outcome(err error, adv advice) string {
	if err == nil {
		return "ok"
	}
	if errors.Is(err, errOpen) {
		return "breaker_open"
	}
	kind := classify(err, adv).Kind
	if kind == Throttled && adv.status == 0 {
		return "queue_timeout"
	}
	return outcomes[kind]
}
