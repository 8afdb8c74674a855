package notices

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

// metrics counts the open notices when it is asked, so that every copy of the program tells the same.
type metrics struct {
	service *Service
	open    *prometheus.Desc
}

func newMetrics(s *Service) *metrics {
	return &metrics{service: s, open: prometheus.NewDesc("cagnotte_notices_open",
		"Notices that nobody has acknowledged, by kind. Those of the operator are among them.", []string{"kind"}, nil)}
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(ch chan<- *prometheus.Desc) { ch <- m.open }

// measureTimeout keeps a slow database from keeping all other figures.
const measureTimeout = 2 * time.Second

// Collect implements prometheus.Collector. When the database does not answer it says nothing.
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(postgres.WithScope(context.Background(), postgres.AllScope()), measureTimeout)
	defer cancel()
	open, err := m.service.open(ctx)
	if err != nil {
		return
	}
	for _, kind := range allKinds() {
		open[kind] += 0 // that there is none is told too
	}
	for kind, count := range open {
		ch <- prometheus.MustNewConstMetric(m.open, prometheus.GaugeValue, float64(count), string(kind))
	}
}
