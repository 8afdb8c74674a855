package stripe

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// newCalls counts what became of calls.
func newCalls(r prometheus.Registerer) *prometheus.CounterVec {
	calls := prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "cagnotte", Subsystem: "stripe", Name: "calls_total",
		Help: "Calls to Stripe, by outcome: ok, unauthorized (the key is not known), throttled, waited_in_vain (for our own " +
			"budget), kept_back (Stripe did not answer those before), busy, failed, lost, refused, missing.",
	}, []string{"outcome"})
	for _, outcome := range outcomes {
		calls.WithLabelValues(outcome) // from 0 on: Prometheus sees no increase in what begins with the first
	}
	calls.WithLabelValues("waited_in_vain")
	calls.WithLabelValues("kept_back")
	if r != nil {
		r.MustRegister(calls)
	}
	return calls
}

var outcomes = map[Kind]string{
	Lost: "lost", Throttled: "throttled", Busy: "busy", Failed: "failed", Refused: "refused", Missing: "missing",
	Unauthorized: "unauthorized",
}

func outcome(err error, heard advice) string {
	if err == nil {
		return "ok"
	}
	if errors.Is(err, errOpen) {
		return "kept_back"
	}
	kind := classify(err, heard).Kind
	if kind == Throttled && heard.status == 0 {
		return "waited_in_vain"
	}
	return outcomes[kind]
}
