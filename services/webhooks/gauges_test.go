package webhooks

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/cagnotte/cagnotte/services/internal/stripesim"
)

// gauges are what a scrape tells, by the name without its prefix, and the account if there is one.
func (e *env) gauges() map[string]float64 {
	e.t.Helper()
	registry := prometheus.NewRegistry()
	registry.MustRegister(newGauges(e.webhooks))
	families, err := registry.Gather()
	if err != nil {
		e.t.Fatal(err)
	}
	told := map[string]float64{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			name := strings.TrimPrefix(family.GetName(), "cagnotte_webhooks_")
			for _, label := range m.GetLabel() {
				name += " " + label.GetValue()
			}
			told[name] = m.GetGauge().GetValue()
		}
	}
	return told
}

// An alert that only a job could raise never says that jobs do not run.
func TestWhatWaitsIsToldWhileNoJobRuns(t *testing.T) {
	e := newEnv(t, stripesim.Config{})
	if age := e.gauges()["oldest_unapplied_event_seconds"]; age != 0 {
		t.Errorf("nothing waits, for %v s", age)
	}
	e.pay(e.give(vallon))
	e.delivered()
	if age := e.gauges()["oldest_unapplied_event_seconds"]; age <= 0 {
		t.Errorf("events wait for %v s", age)
	}
}

func TestADisconnectedAccountRaisesNoAlert(t *testing.T) {
	e := newEnv(t, stripesim.Config{})
	e.run(connected)
	if told := e.gauges(); told["last_sync_timestamp_seconds "+connected] == 0 {
		t.Errorf("it was read, and that is not told: %v", told)
	}
	if err := e.webhooks.setConnected(t.Context(), connected, false); err != nil {
		t.Fatal(err)
	}
	if at, told := e.gauges()["last_sync_timestamp_seconds "+connected]; told {
		t.Errorf("its last reading, at %v, gets older for ever", at)
	}
}

// The other figures of a scrape are told all the same.
func TestWithoutADatabaseNothingIsSaidToWait(t *testing.T) {
	e := newEnv(t, stripesim.Config{})
	e.pool.Close()
	if told := e.gauges(); len(told) != 0 {
		t.Errorf("got %v", told)
	}
}
