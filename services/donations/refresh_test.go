package donations

import (
	"testing"
	"time"

	"github.com/riverqueue/river"
)

// endRefreshJobs pretends that the jobs so far were worked.
func (e *env) endRefreshJobs() {
	e.t.Helper()
	if _, err := e.pool.Exec(e.t.Context(), `
		UPDATE river.river_job
		SET state = 'completed', finalized_at = now()
		WHERE kind = 'donation_refresh'`); err != nil {
		e.t.Fatal(err)
	}
}

func (e *env) reload(d Donation) Donation {
	e.t.Helper()
	d, err := e.donations.byID(e.t.Context(), d.ID)
	if err != nil {
		e.t.Fatal(err)
	}
	return d
}

// look asks for the status of a donation as often as its donor may.
func (e *env) look(d Donation, times int) {
	e.t.Helper()
	for range times {
		if err := e.donations.look(e.t.Context(), e.reload(d)); err != nil {
			e.t.Fatal(err)
		}
	}
}

func TestOneRefreshJobAtATime(t *testing.T) {
	e := newEnv(t)
	d := e.create(intent())
	for range 5 {
		e.look(d, 2)
		e.clock.Advance(lookLatest)
	}
	if n := e.refreshJobs(); n != 1 {
		t.Errorf("%d jobs, while the first one has not been worked", n)
	}
	e.endRefreshJobs()
	e.look(d, 2)
	if n := e.refreshJobs(); n != 2 {
		t.Errorf("%d jobs after it was worked", n)
	}
}

func TestRefreshesBecomeRarerWithAge(t *testing.T) {
	e := newEnv(t)
	e.clock.Freeze()
	d := e.create(intent())
	// A page that asks each second for ten minutes, and then each minute until it closes.
	ask := func(every, until time.Duration) {
		for start := e.clock.Now(); e.clock.Now().Sub(start) < until; e.clock.Advance(every) {
			e.look(d, 1)
			e.endRefreshJobs()
		}
	}
	ask(time.Second, time.Minute)
	if n := e.refreshJobs(); n != 6 {
		t.Errorf("%d jobs in the first minute, want 6", n)
	}
	ask(time.Second, 9*time.Minute)
	if n := e.refreshJobs(); n > 25 {
		t.Errorf("%d jobs in ten minutes", n)
	}
	before := e.refreshJobs()
	ask(time.Minute, 50*time.Minute)
	if n := e.refreshJobs() - before; n > 15 || n < 10 {
		t.Errorf("%d jobs in the rest of the hour, want about 12", n)
	}
}

// Status requests are public, so their jobs must not delay those of the default queue.
func TestRefreshesHaveTheirOwnQueue(t *testing.T) {
	e := newEnv(t)
	e.look(e.create(intent()), 1)
	var queue string
	if err := e.pool.QueryRow(t.Context(), "SELECT queue FROM river.river_job WHERE kind = 'donation_refresh'").Scan(&queue); err != nil {
		t.Fatal(err)
	}
	config, ok := e.donations.Queues()[queue]
	if queue == river.QueueDefault || !ok || config.MaxWorkers > 2 || config.FetchCooldown < 200*time.Millisecond {
		t.Errorf("queue %q, %+v", queue, config)
	}
}
