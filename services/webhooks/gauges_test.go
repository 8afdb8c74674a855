package webhooks

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

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
func TestGaugesReportWithoutARunningJob(t *testing.T) {
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
	if err := e.webhooks.setConnected(t.Context(), connected, false, e.webhooks.now()); err != nil {
		t.Fatal(err)
	}
	if at, told := e.gauges()["last_sync_timestamp_seconds "+connected]; told {
		t.Errorf("its last reading, at %v, gets older for ever", at)
	}
}

// A start asks for a reading of the balance, and does not forget when the last one was: while Stripe is away nobody is
// called out of bed five minutes after each start.
func TestStartMakesNoSyncStale(t *testing.T) {
	e := newEnv(t, stripesim.Config{})
	e.run(connected)
	read := e.gauges()["last_sync_timestamp_seconds "+connected]
	if age := float64(time.Now().Unix()) - read; age > 60 {
		t.Fatalf("it was read just now, and %v s ago is told", age)
	}
	if err := e.webhooks.CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	e.sim.AddFault(stripesim.Fault{PathPrefix: "/v1/", Status: http.StatusServiceUnavailable})
	if _, err := e.webhooks.pass(t.Context(), connected, time.Time{}, false); err != nil {
		t.Fatal(err)
	}
	if told := e.gauges()["last_sync_timestamp_seconds "+connected]; told != read {
		t.Errorf("it was read at %v, and %v is told", read, told)
	}
	e.later(2 * time.Minute) // the pauses after the failures
	if due, err := e.webhooks.dueAccounts(t.Context()); err != nil || !slices.Contains(due, connected) {
		t.Errorf("the reading that the start asked for is forgotten: %v, %v", due, err)
	}
	e.sim.ClearFaults()
	e.run(connected)
	if told := e.gauges()["last_sync_timestamp_seconds "+connected]; told <= read {
		t.Errorf("it was read again, and %v is told as before", told)
	}
	if due, err := e.webhooks.dueAccounts(t.Context()); err != nil || slices.Contains(due, connected) {
		t.Errorf("what the start asked for is done, and due are %v, %v", due, err)
	}
}

// One that nobody has read yet is late from when it was first seen.
func TestAnAccountThatWasNeverReadIsNotStaleAtOnce(t *testing.T) {
	e := newEnv(t, stripesim.Config{})
	if err := e.webhooks.ensureAccount(t.Context(), connected); err != nil {
		t.Fatal(err)
	}
	if age := float64(time.Now().Unix()) - e.gauges()["last_sync_timestamp_seconds "+connected]; age > 60 {
		t.Errorf("it is %v s late", age)
	}
}

// The webhooks of one account can stop while those of the others come: its endpoint is another.
func TestLastDeliveryShowsThatWebhooksStopped(t *testing.T) {
	e := newEnv(t, stripesim.Config{})
	e.pay(e.give(festival))
	e.delivered()
	e.run(connected)
	told := e.gauges()
	event, delivery := told["last_event_timestamp_seconds "+connected], told["last_delivery_timestamp_seconds "+connected]
	if event == 0 || delivery < event {
		t.Errorf("the newest event is of %v, and webhooks came until %v", event, delivery)
	}
	e.sim.SetDelivery(stripesim.Delivery{Drop: true})
	e.later(2 * time.Hour)
	e.pay(e.give(festival))
	e.later(time.Minute)
	e.run(connected)
	told = e.gauges()
	if is := told["last_delivery_timestamp_seconds "+connected]; is != delivery {
		t.Errorf("no webhook came, and the last one is said to be of %v instead of %v", is, delivery)
	}
	if is := told["last_event_timestamp_seconds "+connected]; is-delivery < time.Hour.Seconds() {
		t.Errorf("the event from Stripe's list is not told: %v", is)
	}
	if is, told := told["last_event_timestamp_seconds "]; is != 0 || !told {
		t.Errorf("of the platform there was none, and %v is told", is)
	}
}

// The other figures of a scrape are told all the same.
func TestGaugesReportNothingWithoutADatabase(t *testing.T) {
	e := newEnv(t, stripesim.Config{})
	e.pool.Close()
	if told := e.gauges(); len(told) != 0 {
		t.Errorf("got %v", told)
	}
}
