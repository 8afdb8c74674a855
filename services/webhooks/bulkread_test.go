package webhooks

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/cagnotte/cagnotte/services/donations"
	"github.com/cagnotte/cagnotte/services/internal/stripesim"
)

// reads counts the readings of a resource since a number of requests: by pages of its list, and of one object.
func reads(e *env, since int, resource string) (pages, singles int) {
	for _, r := range e.sim.Requests()[since:] {
		switch {
		case r.Method != http.MethodGet:
		case strings.HasPrefix(r.Path, "/v1/"+resource+"?"):
			pages++
		case strings.HasPrefix(r.Path, "/v1/"+resource+"/"):
			singles++
		}
	}
	return pages, singles
}

// Read by pages, sessions say what they say when each is read by itself.
func TestManyMissedSessionsAreReadByPages(t *testing.T) {
	for name, account := range map[string]string{"of the platform": "", "of a connected account": connected} {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t, stripesim.Config{})
			campaign := vallon
			if account != "" {
				campaign = festival
			}
			e.run(account)
			if err := e.sim.OfferDebits(account, true); err != nil {
				t.Fatal(err)
			}
			e.sim.SetDelivery(stripesim.Delivery{Drop: true})
			kinds := []struct {
				state  donations.State
				booked bool
				end    func(session string) error
			}{
				{donations.StateSucceeded, true, func(id string) error { return e.sim.Pay(id, stripesim.CardOK) }},
				{donations.StateExpired, false, e.sim.Expire},
				{donations.StatePending, false, func(id string) error { return e.sim.PayByDebit(id, stripesim.IBANPaid) }},
			}
			var made []donations.Donation
			for i := range 60 {
				d := e.give(campaign)
				if err := kinds[i%len(kinds)].end(d.CheckoutSession); err != nil {
					t.Fatal(err)
				}
				made = append(made, d)
			}
			if account == "" { // other products' are read with ours, and are not ours
				if err := e.sim.Pay(foreignSession(t, e, uuid.NewString()), stripesim.CardOK); err != nil {
					t.Fatal(err)
				}
			}
			e.later(time.Hour)
			before := len(e.sim.Requests())
			e.run(account)
			if pages, singles := reads(e, before, "checkout/sessions"); pages != 1 || singles != 0 {
				t.Errorf("read by %d pages and %d singly", pages, singles)
			}
			for i, d := range made {
				e.want(d, kinds[i%len(kinds)].state, kinds[i%len(kinds)].booked)
			}
			e.wantBooks(account)
			for _, r := range e.sim.Requests()[before:] {
				if r.Account != account {
					t.Errorf("asked with the account %q", r.Account)
				}
			}
			t.Run("and when a debit was paid or failed", func(t *testing.T) {
				for i, d := range made {
					if kinds[i%len(kinds)].state == donations.StatePending {
						if err := e.sim.SettleDebit(d.CheckoutSession, i%2 == 0); err != nil {
							t.Fatal(err)
						}
					}
				}
				e.later(7 * 24 * time.Hour)
				e.run(account)
				for i, d := range made {
					if kinds[i%len(kinds)].state != donations.StatePending {
						continue
					}
					if i%2 == 0 {
						e.want(d, donations.StateSucceeded, true)
					} else {
						e.want(d, donations.StateFailed, false)
					}
				}
				e.wantBooks(account)
			})
		})
	}
}

func TestFewMissedSessionsAreReadEachByItself(t *testing.T) {
	e := newEnv(t, stripesim.Config{})
	e.run("")
	e.sim.SetDelivery(stripesim.Delivery{Drop: true})
	for range 3 {
		e.pay(e.give(vallon))
	}
	e.later(time.Hour)
	before := len(e.sim.Requests())
	e.run("")
	if pages, singles := reads(e, before, "checkout/sessions"); pages != 0 || singles != 3 {
		t.Errorf("read by %d pages and %d singly", pages, singles)
	}
}

func TestSessionsAreReadByThemselvesWhenTheirListFails(t *testing.T) {
	e := newEnv(t, stripesim.Config{})
	e.run("")
	e.sim.SetDelivery(stripesim.Delivery{Drop: true})
	var made []donations.Donation
	for range 10 {
		d := e.give(vallon)
		e.pay(d)
		made = append(made, d)
	}
	e.later(time.Hour)
	e.sim.AddFault(stripesim.Fault{Method: "GET", PathPrefix: "/v1/checkout/sessions", Status: 500, Times: 1})
	before := len(e.sim.Requests())
	e.run("")
	if pages, singles := reads(e, before, "checkout/sessions"); pages != 1 || singles != len(made) {
		t.Errorf("read by %d pages and %d singly", pages, singles)
	}
	for _, d := range made {
		e.want(d, donations.StateSucceeded, true)
	}
}

// Each month renews all monthly donations that were begun together on one day.
func TestManyMonthsAreReadByPages(t *testing.T) {
	const many = 40
	e := newEnv(t, stripesim.Config{})
	e.run("")
	e.sim.SetDelivery(stripesim.Delivery{Drop: true})
	for range many {
		in := intent(vallon)
		in.Monthly = true
		d, err := e.donations.Create(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		e.pay(d)
	}
	for months, away := range []time.Duration{time.Hour, 32 * 24 * time.Hour} {
		e.later(away)
		if months == 1 { // some end before the renewal is read
			for _, sub := range e.sim.Subscriptions("")[:5] {
				if err := e.sim.CancelInPortal(sub.ID); err != nil {
					t.Fatal(err)
				}
			}
		}
		before := len(e.sim.Requests())
		e.run("")
		for _, resource := range []string{"invoices", "subscriptions"} {
			if pages, singles := reads(e, before, resource); pages != 1 || singles != 0 {
				t.Errorf("after month %d %s are read by %d pages and %d singly", months, resource, pages, singles)
			}
		}
		if settled, pending := e.progress(vallon); settled != int64(months+1)*many*20_00 || pending != 0 {
			t.Errorf("after month %d settled %d, pending %d", months, settled, pending)
		}
		e.wantBooks("")
	}
	ending := one[int](e, "SELECT count(*)::integer FROM donations.recurring WHERE cancel_at_period_end AND state = 'active'")
	active := one[int](e, "SELECT count(*)::integer FROM donations.recurring WHERE state = 'active'")
	if ending != 5 || active != many {
		t.Errorf("%d are active, of them %d until the period ends", active, ending)
	}
}

func TestManyDonationsWithoutAFeeArePolledByPages(t *testing.T) {
	e := newEnv(t, stripesim.Config{FeeDelay: 100 * time.Hour})
	var made []donations.Donation
	for range 40 {
		d := e.give(vallon)
		e.pay(d)
		made = append(made, d)
	}
	e.delivered()
	e.run("")
	e.sim.SetDelivery(stripesim.Delivery{Drop: true})
	// A poll is one while the fee is not known, and then one when it is.
	poll := func(booked bool) {
		t.Helper()
		e.clock.Advance(50*time.Hour + time.Minute)
		if err := setCursor(e, e.clock.Now()); err != nil {
			t.Fatal(err)
		}
		before := len(e.sim.Requests())
		for range 2 { // the second one finds nothing that is due
			e.run("")
		}
		if pages, _ := reads(e, before, "charges"); pages != 1 {
			t.Errorf("asked for by %d pages", pages)
		}
		if _, singles := reads(e, before, "payment_intents"); singles != 0 {
			t.Errorf("%d are asked for singly", singles)
		}
		for _, d := range made {
			e.want(d, donations.StateSucceeded, booked)
		}
	}
	poll(false)
	poll(true)
	e.wantBooks("")
}
