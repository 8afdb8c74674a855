package wall

import "github.com/prometheus/client_golang/prometheus"

// metrics are what an operator watches: how many attempts were asked for a proof, passed with one, or were refused.
type metrics struct {
	challenges, refused prometheus.Counter
	solved              *prometheus.CounterVec
}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		challenges: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: "cagnotte", Subsystem: "wall", Name: "challenges_total",
			Help: "Attempts to start a payment that were asked for a proof of work. Many in an hour mean that somebody tests stolen cards.",
		}),
		refused: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: "cagnotte", Subsystem: "wall", Name: "refused_total",
			Help: "Attempts to start a payment that were refused because a hard limit was passed.",
		}),
		solved: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "cagnotte", Subsystem: "wall", Name: "solved_total",
			Help: "Attempts to start a payment that passed with a solution, by work or by a ticket that had waited.",
		}, []string{"by"}),
	}
	if r != nil {
		r.MustRegister(m.challenges, m.refused, m.solved)
	}
	return m
}

// passed counts an attempt that passed with a solution.
func (m *metrics) passed(s solution) {
	by := "work"
	if s.ticket {
		by = "ticket"
	}
	m.solved.WithLabelValues(by).Inc()
}
