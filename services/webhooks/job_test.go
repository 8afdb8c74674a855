package webhooks

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"github.com/cagnotte/cagnotte/services/donations"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/internal/stripesim"
)

// work starts a client that works the jobs, until the test ends.
func (e *env) work(periodic bool) *river.Client[pgx.Tx] {
	e.t.Helper()
	workers := river.NewWorkers()
	e.webhooks.Workers(workers)
	e.donations.Workers(workers)
	e.refunds.Workers(workers)
	cfg := &river.Config{
		Schema: postgres.RiverSchema, Workers: workers, Logger: slog.New(slog.DiscardHandler),
		Queues:        map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: 4}},
		FetchCooldown: time.Millisecond, FetchPollInterval: 20 * time.Millisecond,
	}
	if periodic {
		cfg.PeriodicJobs = slices.Concat(e.webhooks.PeriodicJobs(), e.donations.PeriodicJobs(), e.refunds.PeriodicJobs())
	}
	client, err := river.NewClient(riverpgxv5.New(e.pool), cfg)
	if err != nil {
		e.t.Fatal(err)
	}
	if err := client.Start(context.Background()); err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := client.StopAndCancel(ctx); err != nil {
			e.t.Error(err)
		}
	})
	return client
}

// jobs counts the account jobs in some states.
func (e *env) countJobs(states ...string) int {
	e.t.Helper()
	var n int
	if err := e.pool.QueryRow(e.t.Context(),
		"SELECT count(*) FROM river.river_job WHERE kind = 'stripe_account' AND state::text = ANY($1)", states).Scan(&n); err != nil {
		e.t.Fatal(err)
	}
	return n
}

func TestABurstMakesOneJob(t *testing.T) {
	e := newEnv(t, stripesim.Config{})
	e.sim.SetDelivery(stripesim.Delivery{Drop: true})
	var running sync.WaitGroup
	for worker := range 8 {
		running.Go(func() {
			for i := range 10 {
				body := []byte(chargeEvent(fmt.Sprintf("evt_%d_%d", worker, i)))
				if err := e.webhooks.Receive(t.Context(), body, sign(body, platformSecret, time.Now()), EndpointPlatform); err != nil {
					t.Error(err)
				}
			}
		})
	}
	running.Wait()
	if n := e.countJobs("available", "running", "scheduled", "retryable"); n != 1 {
		t.Errorf("%d jobs for 80 events", n)
	}
	if n := len(e.events(StateReceived)["charge.succeeded"]); n != 80 {
		t.Errorf("%d events stored", n)
	}
}

func chargeEvent(id string) string {
	return fmt.Sprintf(`{"id":%q,"object":"event","type":"charge.succeeded","api_version":"2023-10-16","created":1700000000,
		"livemode":false,"data":{"object":{"id":"ch_x","object":"charge","payment_intent":"pi_x"}}}`, id)
}

// Events that come while the job runs, or just ends, must not wait for a timer. There is none here.
func TestNoEventIsLeftBesideARunningJob(t *testing.T) {
	e := newEnv(t, stripesim.Config{})
	e.work(false)
	var made []donations.Donation
	var mu sync.Mutex
	var running sync.WaitGroup
	for range 4 {
		running.Go(func() {
			for range 8 {
				d, err := e.donations.Create(t.Context(), intent(vallon))
				if err == nil {
					err = e.sim.Pay(d.CheckoutSession, stripesim.CardOK)
				}
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				made = append(made, d)
				mu.Unlock()
			}
		})
	}
	running.Wait()
	e.delivered()
	e.eventually("every event is applied", func() bool { return len(e.events(StateReceived)) == 0 })
	for _, d := range made {
		e.want(d, donations.StateSucceeded, true)
	}
	e.wantBooks("")
	e.eventually("the jobs end", func() bool { return e.countJobs("available", "running", "scheduled", "retryable") == 0 })

	t.Run("and a later one gets a job of its own", func(t *testing.T) {
		d := e.give(vallon)
		e.pay(d)
		e.delivered()
		e.eventually("it is booked", func() bool { return !e.donation(d).BookTime.IsZero() })
	})
}

func TestAJobThatWasKilledIsReplaced(t *testing.T) {
	e := newEnv(t, stripesim.Config{})
	e.deliver(EndpointPlatform, chargeEvent("evt_1"))
	kill := func(silent string) {
		t.Helper()
		if _, err := e.pool.Exec(t.Context(), `UPDATE river.river_job SET state = 'running', attempted_at = now(), attempt = 1 WHERE kind = 'stripe_account'`); err != nil {
			t.Fatal(err)
		}
		if _, err := e.pool.Exec(t.Context(), `UPDATE webhooks.accounts SET alive_at = now() - $1::interval`, silent); err != nil {
			t.Fatal(err)
		}
	}
	kill("1 second")
	e.deliver(EndpointPlatform, chargeEvent("evt_2"))
	if n := e.countJobs("available"); n != 0 {
		t.Errorf("%d jobs beside one that is alive", n)
	}
	kill("1 minute")
	e.deliver(EndpointPlatform, chargeEvent("evt_3"))
	if n := e.countJobs("available"); n != 1 {
		t.Errorf("%d jobs beside one that is dead, want 1", n)
	}
}

// The killed program still leads, as far as the others know, so its timer is nobody's; and its job seems to run.
func TestAStartTakesOverAtOnceWithoutALeader(t *testing.T) {
	e := newEnv(t, stripesim.Config{})
	d := e.give(vallon)
	e.pay(d)
	e.delivered()
	if _, err := e.pool.Exec(t.Context(), `UPDATE river.river_job SET state = 'running', attempted_at = now(), attempt = 1`); err != nil {
		t.Fatal(err)
	}
	if _, err := e.pool.Exec(t.Context(), `UPDATE webhooks.accounts SET alive_at = now()`); err != nil {
		t.Fatal(err)
	}
	if _, err := e.pool.Exec(t.Context(), `
		INSERT INTO river.river_leader (name, leader_id, elected_at, expires_at)
		VALUES ('default', 'killed', now(), now() + interval '1 hour')`); err != nil {
		t.Fatal(err)
	}
	for range 2 { // two copies start
		if err := e.webhooks.CatchUp(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	start := time.Now()
	e.work(true)
	e.eventually("what the killed job left is booked", func() bool { return !e.donation(d).BookTime.IsZero() })
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("it took %s", took)
	}
	e.wantBooks("")
}

func TestTimerBooksWithoutEvents(t *testing.T) {
	e := newEnv(t, stripesim.Config{})
	e.webhooks.cfg.SyncEvery = time.Second
	e.sim.SetDelivery(stripesim.Delivery{Drop: true})
	before := e.give(vallon)
	e.pay(before)
	e.work(true)
	e.eventually("what happened before the start is booked", func() bool { return !e.donation(before).BookTime.IsZero() })
	after := e.give(vallon)
	e.pay(after)
	e.eventually("what happened since is booked", func() bool { return !e.donation(after).BookTime.IsZero() })
	e.wantBooks("")
}

func TestScheduleFindsDueAccounts(t *testing.T) {
	e := newEnv(t, stripesim.Config{})
	due := func() []string {
		t.Helper()
		accounts, err := e.webhooks.dueAccounts(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return accounts
	}
	if got := due(); len(got) != 2 {
		t.Errorf("never synced: %q are due, want both", got)
	}
	e.run("")
	e.run(connected)
	if got := due(); len(got) != 0 {
		t.Errorf("just synced: %q are due", got)
	}
	e.later(defaultSyncEvery)
	if got := due(); len(got) != 2 {
		t.Errorf("on the timer: %q are due, want both", got)
	}
	e.run("")
	e.run(connected)
	t.Run("after a failure, once its pause is over", func(t *testing.T) {
		e.sim.AddFault(stripesim.Fault{PathPrefix: "/v1/balance_transactions", Status: 503})
		if err := e.webhooks.Run(t.Context(), ""); err == nil {
			t.Fatal("no error")
		}
		if got := due(); len(got) != 0 {
			t.Errorf("in the pause: %q are due", got)
		}
		e.later(2 * time.Second)
		if got := due(); len(got) != 1 {
			t.Errorf("after the pause: %q are due, want the platform's", got)
		}
	})
}

// Nothing can be read of it, so a job would find nothing to do, every few seconds for ever.
func TestADisconnectedAccountWithAnUnbookedDonationGetsNoJob(t *testing.T) {
	e := newEnv(t, stripesim.Config{FeeDelay: 30 * 24 * time.Hour})
	d := e.give(festival)
	e.pay(d)
	e.delivered() // an event that came later would be another reason
	e.run(connected)
	e.want(d, donations.StateSucceeded, false)
	e.later(time.Hour)
	due := func() bool {
		t.Helper()
		accounts, err := e.webhooks.dueAccounts(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return slices.Contains(accounts, connected)
	}
	if !due() {
		t.Error("a donation that is not booked needs nobody")
	}
	if err := e.webhooks.setConnected(t.Context(), connected, false, e.webhooks.now()); err != nil {
		t.Fatal(err)
	}
	if due() {
		t.Error("it is due, and cannot be read")
	}
}
