package donations

import (
	"testing"
	"time"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/internal/stripesim"
)

func (e *env) suspend() {
	e.t.Helper()
	if _, err := e.groups.Suspend(e.t.Context(), "vallon", "Le compte bancaire est celui d’une autre association."); err != nil {
		e.t.Fatal(err)
	}
}

func (e *env) resume() {
	e.t.Helper()
	if _, err := e.groups.Resume(e.t.Context(), "vallon"); err != nil {
		e.t.Fatal(err)
	}
}

func (e *env) paused() bool {
	e.t.Helper()
	return e.sim.Subscriptions("")[0].Paused
}

// holdOf is how the monthly donation is held, as it is stored.
func (e *env) holdOf(first Donation) string {
	e.t.Helper()
	_, hold, err := e.donations.held(e.t.Context(), first.ID)
	if err != nil {
		e.t.Fatal(err)
	}
	return hold
}

func TestASuspendedCollectiveTakesNoNewDonation(t *testing.T) {
	e := newEnv(t)
	open := e.create(intent())
	e.suspend()
	in := intent()
	_, err := e.donations.Create(t.Context(), in)
	wantReason(t, err, errorsv1.ErrorReason_COLLECTIVE_SUSPENDED)
	for range 2 {
		e.keep()
	}
	t.Run("closes the pages that are open", func(t *testing.T) {
		e.wantState(open, StateExpired)
		if err := e.sim.Pay(open.CheckoutSession, stripesim.CardOK); err == nil {
			t.Error("it can be paid")
		}
	})
	e.resume()
	if _, err := e.donations.Create(t.Context(), in); err != nil {
		t.Errorf("after the suspension: %v", err)
	}
}

func TestASuspensionHoldsMonthlyDonations(t *testing.T) {
	e := newEnv(t)
	first, _ := e.paidMonthly()
	e.suspend()
	for range 2 {
		e.keep()
		if !e.paused() || e.holdOf(first) != holdSet || !e.recurring(first).Paused {
			t.Fatalf("paused %v, hold %q", e.paused(), e.holdOf(first))
		}
	}
	t.Run("no month is charged meanwhile", func(t *testing.T) {
		e.clock.Set(e.recurring(first).PeriodEnd.Add(aWeek))
		e.refreshRecurring(first)
		if paid, states := e.months(); len(paid) != 1 || len(states) != 1 {
			t.Errorf("%v, %v", paid, states)
		}
		if r := e.recurring(first); r.State != RecurringActive {
			t.Errorf("it is %s", r.State)
		}
	})
	e.resume()
	for range 2 {
		e.keep()
		if e.paused() || e.holdOf(first) != "" || e.recurring(first).Paused {
			t.Fatalf("paused %v, hold %q", e.paused(), e.holdOf(first))
		}
	}
	t.Run("and the next one after it is", func(t *testing.T) {
		e.clock.Set(e.recurring(first).PeriodEnd.Add(aWeek))
		e.refreshRecurring(first)
		if paid, _ := e.months(); len(paid) != 2 {
			t.Errorf("%v", paid)
		}
	})
}

// A program that is killed between Stripe's answer and its note leaves a hold that is wanted.
func TestAHoldThatWasNotNotedIsReleased(t *testing.T) {
	e := newEnv(t)
	first, subscription := e.paidMonthly()
	if err := e.exec(`UPDATE donations.recurring SET hold = 'wanted'`); err != nil {
		t.Fatal(err)
	}
	e.must(e.sim.PauseCollection(subscription, stripesim.PauseVoidsInvoices, time.Time{}))
	e.keep()
	if e.paused() || e.holdOf(first) != "" {
		t.Errorf("paused %v, hold %q", e.paused(), e.holdOf(first))
	}
}

func TestAPauseOfMembersOutlastsASuspension(t *testing.T) {
	e := newEnv(t)
	first, subscription := e.paidMonthly()
	e.must(e.sim.PauseCollection(subscription, stripesim.PauseVoidsInvoices, time.Time{}))
	e.refreshRecurring(first)
	e.suspend()
	e.keep()
	if e.holdOf(first) != holdKept {
		t.Errorf("hold %q", e.holdOf(first))
	}
	e.resume()
	e.keep()
	if !e.paused() || e.holdOf(first) != "" {
		t.Errorf("paused %v, hold %q", e.paused(), e.holdOf(first))
	}
}

// Stripe resumed, its answer was lost, and the collective is suspended again before the next run.
func TestASuspensionHoldsWhatWasResumedWithoutAnAnswer(t *testing.T) {
	e := newEnv(t)
	first, _ := e.paidMonthly()
	e.suspend()
	e.keep()
	e.resume()
	e.sim.AddFault(stripesim.Fault{Method: "POST", PathPrefix: "/v1/subscriptions/", LoseReply: true})
	e.keep()
	if e.paused() {
		t.Fatal("Stripe did not resume")
	}
	e.sim.ClearFaults()
	e.suspend()
	for range 2 {
		e.keep()
		if !e.paused() || e.holdOf(first) != holdSet || !e.recurring(first).Paused {
			t.Fatalf("paused %v, hold %q", e.paused(), e.holdOf(first))
		}
	}
	e.resume()
	e.keep()
	if e.paused() || e.holdOf(first) != "" {
		t.Errorf("paused %v, hold %q", e.paused(), e.holdOf(first))
	}
}
