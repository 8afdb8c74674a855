package donations

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/cagnotte/cagnotte/services/internal/stripe"
	"github.com/cagnotte/cagnotte/services/money"
)

// once runs a function after Stripe has done the next such request, and before its caller has the answer.
func (e *env) once(method, path string, happens func()) {
	e.meanwhile = func(r *http.Request) {
		if r.Method == method && strings.HasPrefix(r.URL.Path, path) {
			e.meanwhile = nil
			happens()
		}
	}
}

// A reading that began before a change does not have it.
func TestAnOldReadingRevertsNoChange(t *testing.T) {
	for what, change := range map[string]func(*env, Donation) error{
		"an end": func(e *env, first Donation) error {
			_, err := e.donations.EndRecurring(t.Context(), vallon, first.ID, true, EndedByCollective)
			return err
		},
		"an amount": func(e *env, first Donation) error {
			_, err := e.donations.ChangeRecurring(t.Context(), vallon, first.ID, money.Amount{Minor: 5_00, Currency: money.EUR}, Visit{})
			return err
		},
	} {
		t.Run(what, func(t *testing.T) {
			e := newEnv(t)
			first, _ := e.paidMonthly()
			var changed Recurring
			e.once("GET", "/v1/subscriptions/", func() {
				if err := change(e, first); err != nil {
					t.Error(err)
				}
				changed = e.recurring(first)
			})
			e.refreshRecurring(first)
			got := e.recurring(first)
			if changed.Pending() || got.CancelAtPeriodEnd != changed.CancelAtPeriodEnd || got.EndReason != changed.EndReason || got.Amount != changed.Amount {
				t.Errorf("it was %+v\nand is %+v", changed, got)
			}
		})
	}
}

func TestAnOldReadingByPagesRevertsNoChange(t *testing.T) {
	e := newEnv(t)
	var wanted []stripe.Wanted
	var last Donation
	for range 5 { // a handful is read one by one
		first, subscription := e.paidMonthly()
		wanted, last = append(wanted, stripe.Wanted{ID: subscription, Created: e.clock.Now()}), first
	}
	met, err := e.donations.FindSubscriptions(t.Context(), "", wanted)
	if err != nil || len(met) != len(wanted) {
		t.Fatalf("%d are met, %v", len(met), err)
	}
	if _, err := e.donations.EndRecurring(t.Context(), vallon, last.ID, true, EndedByDonor); err != nil {
		t.Fatal(err)
	}
	for id, apply := range met {
		if ours, err := apply(t.Context()); !ours || err != nil {
			t.Errorf("%s: %v, %v", id, ours, err)
		}
	}
	if r := e.recurring(last); !r.CancelAtPeriodEnd || r.EndReason != EndedByDonor {
		t.Errorf("%+v", r)
	}
}

// Stripe renews a subscription while it is being ended.
func TestARenewalDuringAnEndIsNotCharged(t *testing.T) {
	e := newEnv(t)
	first, _ := e.paidMonthly()
	end := e.recurring(first).PeriodEnd
	e.clock.Set(end.Add(-time.Second))
	if _, err := e.campaigns.Close(t.Context(), vallon); err != nil {
		t.Fatal(err)
	}
	e.once("GET", "/v1/subscriptions/", func() { e.clock.Set(end.Add(time.Second)) })
	e.keep()
	if r := e.recurring(first); r.State != RecurringCanceled || r.EndReason != EndedByCampaign || r.Pending() {
		t.Errorf("%+v", r)
	}
	e.clock.Advance(5 * aWeek)
	if n := len(e.sim.BalanceTransactions("")); n != 1 {
		t.Errorf("%d payments: a month was taken for a campaign that is closed", n)
	}
}
