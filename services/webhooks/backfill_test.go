package webhooks

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cagnotte/cagnotte/services/donations"
	"github.com/cagnotte/cagnotte/services/internal/pgtest"
	"github.com/cagnotte/cagnotte/services/internal/stripesim"
)

// lists are the questions for events that Stripe was asked since a number of requests.
func lists(e *env, since int) (asked []stripesim.Request) {
	for _, r := range e.sim.Requests()[since:] {
		if strings.HasPrefix(r.Path, "/v1/events?") {
			asked = append(asked, r)
		}
	}
	return asked
}

func TestBackfillStoresMissedEvents(t *testing.T) {
	for name, c := range map[string]struct {
		account string
		absence time.Duration
	}{
		"of the platform":             {"", time.Hour},
		"of a connected account":      {connected, time.Hour},
		"of a long absence":           {connected, 10 * 24 * time.Hour},
		"as far back as Stripe knows": {"", 29 * 24 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t, stripesim.Config{})
			campaign := vallon
			if c.account != "" {
				campaign = festival
			}
			e.run(c.account)
			paid, expired := e.give(campaign), e.give(campaign)
			e.sim.SetDelivery(stripesim.Delivery{Drop: true})
			if err := e.sim.Expire(expired.CheckoutSession); err != nil {
				t.Fatal(err)
			}
			e.pay(paid)
			e.later(c.absence)
			before := len(e.sim.Requests())
			e.run(c.account)
			e.want(paid, donations.StateSucceeded, true)
			e.want(expired, donations.StateExpired, false)
			applied := e.events(StateApplied)
			if len(applied[typeCompleted]) != 1 || len(applied[typeExpired]) != 1 {
				t.Errorf("applied %v", applied)
			}
			if got := measured(t, e.webhooks.metrics.missed); got != 2 {
				t.Errorf("%v missed events are counted, want 2", got)
			}
			for _, r := range lists(e, before) {
				if r.Account != c.account {
					t.Errorf("asked with the account %q", r.Account)
				}
			}
			t.Run("and not again before it is time", func(t *testing.T) {
				before := len(e.sim.Requests())
				e.run(c.account)
				if n := len(lists(e, before)); n != 0 {
					t.Errorf("%d questions", n)
				}
			})
			t.Run("with few questions once it is in step", func(t *testing.T) {
				before := len(e.sim.Requests())
				e.later(defaultSyncEvery)
				e.run(c.account)
				if n := len(lists(e, before)); n != len(backfilledTypes()) {
					t.Errorf("%d questions, want %d", n, len(backfilledTypes()))
				}
			})
		})
	}
}

// Only the id is taken from Stripe's list: it renders events in the version of their creation.
func TestBackfilledEventIsReadAgain(t *testing.T) {
	e := newEnv(t, stripesim.Config{})
	e.run("")
	d := e.give(vallon)
	e.sim.SetDelivery(stripesim.Delivery{Drop: true})
	e.pay(d)
	e.later(time.Hour)
	before := len(e.sim.Requests())
	e.run("")
	if !slices.ContainsFunc(e.sim.Requests()[before:], func(r stripesim.Request) bool {
		return r.Method == http.MethodGet && strings.HasPrefix(r.Path, "/v1/checkout/sessions/"+d.CheckoutSession)
	}) {
		t.Error("the session was not read")
	}
	if got := one[string](e, "SELECT resource::text FROM webhooks.events WHERE type = $1", typeCompleted); strings.Contains(got, "complete") {
		t.Errorf("the list's rendering is stored: %s", got)
	}
}

func TestRecentEventIsNotCountedAsMissed(t *testing.T) {
	e := newEnv(t, stripesim.Config{})
	e.run("")
	d := e.give(vallon)
	e.sim.SetDelivery(stripesim.Delivery{Hold: true})
	e.pay(d)
	e.later(defaultSyncEvery)
	e.clock.Advance(-defaultSyncEvery + time.Second) // the timer's pause is over, Stripe's time hardly moved
	e.run("")
	if got := measured(t, e.webhooks.metrics.missed); got != 0 {
		t.Errorf("%v missed events are counted", got)
	}
	e.sim.SetDelivery(stripesim.Delivery{})
	e.delivered()
	if n := len(e.events(StateApplied)[typeCompleted]); n != 1 {
		t.Errorf("stored %d times", n)
	}
}

// The list is no button that somebody pressed: an event that was given up stays so.
func TestBackfillRestartsNoFailedEvent(t *testing.T) {
	e := newEnv(t, stripesim.Config{})
	e.run("")
	d := e.give(vallon)
	e.pay(d)
	e.delivered()
	if _, err := e.pool.Exec(t.Context(), `UPDATE webhooks.events SET state = 'failed', attempts = 20, next_attempt_at = NULL,
		finished_at = NULL WHERE type = $1`, typeCompleted); err != nil {
		t.Fatal(err)
	}
	e.later(defaultSyncEvery)
	e.run("")
	if n := len(e.events(StateFailed)[typeCompleted]); n != 1 {
		t.Errorf("%d failed events, want 1", n)
	}
}

func TestFailedBackfillDelaysNothing(t *testing.T) {
	e := newEnv(t, stripesim.Config{})
	e.run("")
	d := e.give(vallon)
	e.pay(d)
	e.delivered()
	e.later(time.Hour)
	e.sim.AddFault(stripesim.Fault{PathPrefix: "/v1/events", Status: http.StatusServiceUnavailable, Times: 1})
	e.run("")
	e.want(d, donations.StateSucceeded, true)
	if got := measured(t, e.webhooks.metrics.backfillFailures); got != 1 {
		t.Errorf("%v failures are counted", got)
	}
	before := len(e.sim.Requests())
	e.later(backfillRetryPause)
	e.run("")
	if n := len(lists(e, before)); n == 0 {
		t.Error("it is not tried again")
	}
}

// The word that an account was disconnected can be lost, and so can the word that it is back.
func TestBackfillNoticesADisconnection(t *testing.T) {
	e := newEnv(t, stripesim.Config{})
	e.run(connected)
	e.later(time.Hour)
	e.sim.AddFault(stripesim.Fault{PathPrefix: "/v1/", Status: http.StatusForbidden, Code: "account_invalid"})
	if _, err := e.webhooks.pass(t.Context(), connected, time.Time{}, false); err != nil {
		t.Fatal(err)
	}
	if _, err := e.donations.Create(t.Context(), intent(festival)); reason(err) != "STRIPE_ACCOUNT_DISCONNECTED" {
		t.Errorf("a donation: %v", err)
	}
	e.later(backfillRetryPause)
	if err := e.webhooks.reconnect(t.Context()); err != nil {
		t.Fatal(err)
	}
	before := len(e.sim.Requests())
	for range 2 {
		if err := e.webhooks.reconnect(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(e.sim.Requests()) - before; n != 0 {
		t.Errorf("it is asked for %d times within the hour", n)
	}
	e.sim.ClearFaults()
	e.later(reconnectEvery)
	if err := e.webhooks.reconnect(t.Context()); err != nil {
		t.Fatal(err)
	}
	e.give(festival)
}

func TestStripeFailureIsNoDisconnection(t *testing.T) {
	e := newEnv(t, stripesim.Config{})
	if err := e.webhooks.setConnected(t.Context(), connected, false, e.webhooks.now()); err != nil {
		t.Fatal(err)
	}
	e.sim.AddFault(stripesim.Fault{PathPrefix: "/v1/account", Status: http.StatusServiceUnavailable, Times: 1})
	for range 2 {
		if err := e.webhooks.reconnect(t.Context()); err != nil {
			t.Fatal(err)
		}
		e.later(backfillRetryPause)
	}
	e.give(festival)
}

// Who opens an account and takes it away at once leaves nothing behind that could be read.
func TestAnAccountDisconnectedBeforeItWasEverReadIsTriedAgain(t *testing.T) {
	e := newEnv(t, stripesim.Config{})
	if err := e.webhooks.setConnected(t.Context(), connected, false, e.webhooks.now()); err != nil {
		t.Fatal(err)
	}
	if err := e.webhooks.reconnect(t.Context()); err != nil {
		t.Fatal(err)
	}
	e.give(festival)
}

// A day with more events than a page holds, in the windows of a long absence.
func TestManyMissedEvents(t *testing.T) {
	e := newEnv(t, stripesim.Config{})
	e.run("")
	e.sim.SetDelivery(stripesim.Delivery{Drop: true})
	const made = 120
	for i := range made {
		d := e.give(vallon)
		if err := e.sim.Expire(d.CheckoutSession); err != nil {
			t.Fatal(err)
		}
		if i == made/2 {
			e.clock.Advance(3 * 24 * time.Hour)
		}
	}
	e.later(time.Hour)
	e.run("")
	if n := one[int](e, "SELECT count(*)::integer FROM webhooks.events WHERE type = $1 AND backfilled", typeExpired); n != made {
		t.Errorf("backfilled %d, want %d", n, made)
	}
	backfilledUntil := one[time.Time](e, "SELECT backfilled_until FROM webhooks.accounts WHERE account = ''")
	if behind := e.webhooks.now().Sub(backfilledUntil); behind > time.Minute {
		t.Errorf("backfilled up to %v ago", behind)
	}
}

func TestEventThatCannotBeStoredDelaysNoOther(t *testing.T) {
	e := newEnv(t, stripesim.Config{})
	e.run("")
	e.sim.SetDelivery(stripesim.Delivery{Drop: true})
	for range 2 {
		if err := e.sim.Expire(e.give(vallon).CheckoutSession); err != nil {
			t.Fatal(err)
		}
	}
	owner := pgtest.Owner(t, e.pool)
	refused := e.sim.Events("")[0].ID
	if _, err := owner.Exec(t.Context(), `ALTER TABLE webhooks.events ADD CONSTRAINT events_refused CHECK (id <> '`+refused+`')`); err != nil {
		t.Fatal(err)
	}
	e.later(time.Hour)
	e.run("")
	if n := one[int](e, "SELECT count(*)::integer FROM webhooks.events WHERE backfilled"); n != 1 {
		t.Errorf("backfilled %d, want 1", n)
	}
	if got := measured(t, e.webhooks.metrics.backfillFailures); got != 1 {
		t.Errorf("%v failures are counted, want 1", got)
	}
}

// Read at once, each job would begin anew and be cut off again, before anything of the account is applied: so many events
// in so short a time that no window could be made shorter.
func TestLongBackfillContinuesInTheNextJob(t *testing.T) {
	e := newEnv(t, stripesim.Config{})
	e.run("")
	e.sim.SetDelivery(stripesim.Delivery{Drop: true})
	const made = 230 // three pages
	for range made {
		if err := e.sim.Expire(e.give(vallon).CheckoutSession); err != nil {
			t.Fatal(err)
		}
	}
	e.later(time.Hour)
	began, before := e.webhooks.now(), len(e.sim.Requests())
	stored := func() int {
		return one[int](e, "SELECT count(*)::integer FROM webhooks.events WHERE type = $1 AND backfilled", typeExpired)
	}
	jobs, last := 0, -1
	for one[time.Time](e, "SELECT backfilled_until FROM webhooks.accounts WHERE account = ''").Before(began) {
		if jobs++; jobs > 20 {
			t.Fatalf("%d of %d events are backfilled after %d jobs", stored(), made, jobs)
		}
		// A job whose time is up, and another one beside it that reads nothing new.
		if err := e.webhooks.backfill(t.Context(), "", time.Now().Add(-time.Second)); err != nil {
			t.Fatal(err)
		}
		if stored() < last {
			t.Fatal("events were lost")
		}
		last = stored()
		e.clock.Advance(time.Second)
	}
	if stored() != made || jobs < 3 {
		t.Errorf("%d of %d events are backfilled, in %d jobs", stored(), made, jobs)
	}
	pages := map[string]bool{}
	for _, r := range lists(e, before) {
		if pages[r.Path] {
			t.Errorf("asked twice: %s", r.Path)
		}
		pages[r.Path] = true
	}
	if len(pages) != jobs {
		t.Errorf("%d questions in %d jobs", len(pages), jobs)
	}
}

// The event behind which a reading goes on is gone when it was left for too long, and the types may be others after an
// update: then it begins anew.
func TestBackfillWithALostPositionStartsAgain(t *testing.T) {
	for what, spoil := range map[string]string{
		"an event that Stripe forgot":      "UPDATE webhooks.accounts SET backfill_after = 'evt_forgotten'",
		"types of the program before":      "UPDATE webhooks.accounts SET backfill_types = '{payout.paid}'",
		"a reading of the program before":  "UPDATE webhooks.accounts SET backfill_from = NULL, backfill_began = NULL, backfill_types = NULL, backfill_after = NULL",
		"a reading that began long before": "UPDATE webhooks.accounts SET backfill_began = backfill_began - interval '3 days'",
	} {
		t.Run(what, func(t *testing.T) {
			e := newEnv(t, stripesim.Config{})
			e.run("")
			e.sim.SetDelivery(stripesim.Delivery{Drop: true})
			const made = 110
			for range made {
				if err := e.sim.Expire(e.give(vallon).CheckoutSession); err != nil {
					t.Fatal(err)
				}
			}
			e.later(time.Hour)
			if err := e.webhooks.backfill(t.Context(), "", time.Now().Add(-time.Second)); err != nil {
				t.Fatal(err)
			}
			if _, err := e.pool.Exec(t.Context(), spoil); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				e.run("")
				e.later(backfillRetryPause)
			}
			if n := one[int](e, "SELECT count(*)::integer FROM webhooks.events WHERE type = $1 AND backfilled", typeExpired); n != made {
				t.Errorf("backfilled %d, want %d", n, made)
			}
			if behind := e.webhooks.now().Sub(one[time.Time](e, "SELECT backfilled_until FROM webhooks.accounts WHERE account = ''")); behind > 2*backfillRetryPause+time.Minute {
				t.Errorf("backfilled up to %v ago", behind)
			}
		})
	}
}

// A backfill of weeks takes job after job.
func TestLongBackfillDelaysNoNewDonation(t *testing.T) {
	e := newEnv(t, stripesim.Config{})
	e.run("")
	e.later(20 * 24 * time.Hour)
	d := e.give(vallon)
	e.pay(d)
	e.delivered()
	// Less than the half of a job is left.
	if _, err := e.webhooks.pass(t.Context(), "", time.Now().Add(jobBudget/2-time.Second), false); err != nil {
		t.Fatal(err)
	}
	e.want(d, donations.StateSucceeded, true)
	backfilledUntil := one[time.Time](e, "SELECT backfilled_until FROM webhooks.accounts WHERE account = ''")
	if behind := e.webhooks.now().Sub(backfilledUntil); behind < 10*24*time.Hour {
		t.Errorf("the position is %v ago", behind)
	}
}

// A warning moves no money, and no reading of anything else shows it: without the list nobody would ever know of it.
func TestBackfillFindsFraudWarnings(t *testing.T) {
	e := newEnv(t, stripesim.Config{})
	charge := e.paidDonation()
	e.sim.SetDelivery(stripesim.Delivery{Drop: true})
	warning, err := e.sim.WarnOfFraud(charge, "")
	if err != nil {
		t.Fatal(err)
	}
	e.later(time.Hour)
	e.run(connected)
	if n := one[int](e, "SELECT count(*)::integer FROM refunds.fraud_warnings"); n != 1 {
		t.Errorf("%d warnings are known, want %s", n, warning)
	}
}
