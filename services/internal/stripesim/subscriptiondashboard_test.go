package stripesim_test

import (
	"strings"
	"testing"
	"time"

	"github.com/cagnotte/cagnotte/services/internal/stripesim"
	"github.com/stripe/stripe-go/v76"
)

func TestASubscriptionEndsOnItsDay(t *testing.T) {
	sim, api, _, clock, sub := subscribed(t)
	if err := sim.CancelAt(sub.ID, clock.Now()); err == nil {
		t.Error("it ended in the past")
	}
	at := sub.PeriodEnd.AddDate(0, 0, 10)
	for _, day := range []time.Time{sub.PeriodEnd.AddDate(0, 0, -1), {}, at} { // the last word counts
		if err := sim.CancelAt(sub.ID, day); err != nil {
			t.Fatal(err)
		}
	}
	got, err := api.Subscriptions.Get(sub.ID, nil)
	if err != nil || got.CancelAt != at.Unix() || got.CancelAtPeriodEnd || got.CanceledAt == 0 {
		t.Errorf("%+v, %v", got, err)
	}
	clock.Set(at.Add(-time.Second))
	if got := sim.Subscriptions("")[0]; got.Status != "active" || len(sim.BalanceTransactions("")) != 2 {
		t.Errorf("before its day it is %+v", got)
	}
	clock.Set(at)
	if got := sim.Subscriptions("")[0]; got.Status != "canceled" {
		t.Errorf("on its day it is %s", got.Status)
	}
	if sim.CancelAt(sub.ID, at.AddDate(0, 1, 0)) == nil {
		t.Error("what has ended was given a day")
	}
}

// Of a day that is the period's end no other month is taken; an end with the period takes the place of a day.
func TestADayAndThePeriodsEnd(t *testing.T) {
	sim, api, _, clock, sub := subscribed(t)
	if err := sim.CancelAt(sub.ID, sub.PeriodEnd.AddDate(0, 1, 0)); err != nil {
		t.Fatal(err)
	}
	got, err := api.Subscriptions.Update(sub.ID, &stripe.SubscriptionParams{CancelAtPeriodEnd: stripe.Bool(true)})
	if err != nil || !got.CancelAtPeriodEnd || got.CancelAt != sub.PeriodEnd.Unix() {
		t.Errorf("%+v, %v", got, err)
	}
	if err := sim.CancelAt(sub.ID, sub.PeriodEnd); err != nil {
		t.Fatal(err)
	}
	clock.Set(sub.PeriodEnd.Add(2 * time.Hour))
	if got := sim.Subscriptions("")[0]; got.Status != "canceled" || len(sim.BalanceTransactions("")) != 1 {
		t.Errorf("after its period it is %+v", got)
	}
}

func TestAPausedSubscriptionCollectsNothing(t *testing.T) {
	for behavior, status := range map[stripesim.PauseBehavior]string{
		stripesim.PauseKeepsDrafts: "draft", stripesim.PauseGivesInvoicesUp: "uncollectible", stripesim.PauseVoidsInvoices: "void",
	} {
		t.Run(string(behavior), func(t *testing.T) {
			sim, api, _, clock, sub := subscribed(t)
			resumes := time.Date(2027, 3, 10, 0, 0, 0, 0, time.UTC)
			if err := sim.PauseCollection(sub.ID, behavior, resumes); err != nil {
				t.Fatal(err)
			}
			got, err := api.Subscriptions.Get(sub.ID, nil)
			if err != nil || got.Status != "active" || got.PauseCollection == nil || got.PauseCollection.ResumesAt != resumes.Unix() ||
				string(got.PauseCollection.Behavior) != string(behavior) {
				t.Errorf("%+v, %v", got, err)
			}
			clock.Set(sub.PeriodEnd.Add(3 * time.Hour))
			if all := sim.Invoices(""); len(all) != 2 || all[1].Status != status || all[1].Charged || len(sim.BalanceTransactions("")) != 1 {
				t.Errorf("in the pause: %+v", all)
			}
			clock.Set(resumes)
			if sim.Subscriptions("")[0].Paused || !strings.HasSuffix(eventTypes(sim, ""), "customer.subscription.updated") {
				t.Error("the pause is not over")
			}
			clock.Set(time.Date(2027, 3, 31, 15, 0, 0, 0, time.UTC))
			if all := sim.Invoices(""); len(all) != 3 || all[1].Status != status || !all[2].Charged {
				t.Errorf("after it: %+v", all)
			}
		})
	}
	sim, _, _, _, sub := subscribed(t)
	for what, err := range map[string]error{
		"a behavior that is none":        sim.PauseCollection(sub.ID, "ignore", time.Time{}),
		"a subscription that is unknown": sim.PauseCollection("sub_none", stripesim.PauseVoidsInvoices, time.Time{}),
	} {
		if err == nil {
			t.Errorf("%s was taken", what)
		}
	}
	if err := sim.PauseCollection(sub.ID, stripesim.PauseVoidsInvoices, time.Time{}); err != nil {
		t.Fatal(err)
	}
	if err := sim.ResumeCollection(sub.ID); err != nil || sim.Subscriptions("")[0].Paused {
		t.Errorf("it is resumed: %v", err)
	}
}
