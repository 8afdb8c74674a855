package webhooks

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/cagnotte/cagnotte/services/donations"
	"github.com/cagnotte/cagnotte/services/internal/stripesim"
	"github.com/cagnotte/cagnotte/services/ledger"
)

func TestADonationIsBooked(t *testing.T) {
	e := newEnv(t, stripesim.Config{})
	d := e.give(vallon)
	e.pay(d)
	e.delivered()
	e.want(d, donations.StateCreated, false) // receiving does no work
	e.run("")
	e.want(d, donations.StateSucceeded, true)
	e.wantBooks("")
	if settled, pending := e.progress(vallon); settled != 20_00 || pending != 0 {
		t.Errorf("settled %d, pending %d", settled, pending)
	}
	sums := e.balances("")
	if sums[ledger.RoleDonations] != -20_00 || sums[ledger.RoleUnknownReceipts] != 0 {
		t.Errorf("donations %d, unknown %d", sums[ledger.RoleDonations], sums[ledger.RoleUnknownReceipts])
	}
	if left := e.events(StateReceived); len(left) != 0 {
		t.Errorf("still to be applied: %v", left)
	}

	t.Run("once, however often it is read and however often events come", func(t *testing.T) {
		for _, ev := range e.sim.Events("") {
			if err := e.sim.Redeliver(ev.ID); err != nil {
				t.Fatal(err)
			}
		}
		e.delivered()
		before := e.donation(d)
		e.run("")
		e.run("")
		e.wantBooks("")
		if after := e.donation(d); after.UpdateTime != before.UpdateTime || after.State != before.State {
			t.Errorf("the donation changed: %+v, was %+v", after, before)
		}
	})
}

func TestAConnectedAccountIsABookOfItsOwn(t *testing.T) {
	e := newEnv(t, stripesim.Config{})
	ours, theirs := e.give(vallon), e.give(festival)
	e.pay(ours)
	e.pay(theirs)
	e.delivered()
	e.run("")
	e.want(theirs, donations.StateCreated, false)
	e.run(connected)
	e.want(ours, donations.StateSucceeded, true)
	e.want(theirs, donations.StateSucceeded, true)
	e.wantBooks("")
	e.wantBooks(connected)
}

func TestEventsInAnyOrderAndTwice(t *testing.T) {
	e := newEnv(t, stripesim.Config{})
	e.sim.SetDelivery(stripesim.Delivery{Twice: true, Shuffle: true, Seed: 3})
	var made []donations.Donation
	for range 5 {
		d := e.give(vallon)
		e.pay(d)
		made = append(made, d)
	}
	e.delivered()
	e.run("")
	for _, d := range made {
		e.want(d, donations.StateSucceeded, true)
	}
	e.wantBooks("")
	if failed := e.events(StateFailed); len(failed) != 0 {
		t.Errorf("failed: %v", failed)
	}
}

func TestEveryWebhookLost(t *testing.T) {
	e := newEnv(t, stripesim.Config{})
	e.sim.SetDelivery(stripesim.Delivery{Drop: true})
	d, other := e.give(vallon), e.give(vallon)
	e.pay(d)
	e.run("")
	e.want(d, donations.StateSucceeded, true)
	e.want(other, donations.StateCreated, false)
	e.wantBooks("")
}

func TestTheFeeComesLate(t *testing.T) {
	t.Run("and its event brings it into the books", func(t *testing.T) {
		e := newEnv(t, stripesim.Config{FeeDelay: time.Minute})
		d := e.give(vallon)
		e.pay(d)
		e.delivered()
		e.run("")
		e.want(d, donations.StateSucceeded, false)
		if settled, pending := e.progress(vallon); settled != 0 || pending != 20_00 {
			t.Errorf("settled %d, pending %d before the fee is known", settled, pending)
		}
		e.sim.SettleFees()
		e.delivered()
		e.run("")
		e.want(d, donations.StateSucceeded, true)
		e.wantBooks("")
	})
	t.Run("after the cursor and every overlap have passed, and its event is lost: the donation is polled", func(t *testing.T) {
		e := newEnv(t, stripesim.Config{FeeDelay: 100 * time.Hour})
		late := e.give(vallon)
		e.pay(late)
		e.delivered()
		e.run("")
		e.sim.SetDelivery(stripesim.Delivery{Drop: true})
		// Keep the account busy, so that the cursor is far ahead.
		e.clock.Advance(99 * time.Hour)
		e.sim.SettleFees()
		e.clock.Advance(time.Minute)
		if err := setCursor(e, e.clock.Now()); err != nil {
			t.Fatal(err)
		}
		e.run("")
		e.want(late, donations.StateSucceeded, true)
		e.wantBooks("")
	})
}

// setCursor pretends that the balance was read up to a time, just now and at every depth.
func setCursor(e *env, at time.Time) error {
	_, err := e.pool.Exec(e.t.Context(), `
		UPDATE webhooks.accounts
		SET synced_to = $1, last_regular_at = now(), last_back_at = now()
		WHERE account = ''`, at)
	return err
}

func TestTheSessionsEventIsFasterThanItsAnswer(t *testing.T) {
	e := newEnv(t, stripesim.Config{})
	e.sim.AddFault(stripesim.Fault{Method: "POST", PathPrefix: "/v1/checkout/sessions", LoseReply: true})
	_, err := e.donations.Create(t.Context(), intent(vallon))
	if reason(err) != "STRIPE_UNAVAILABLE" {
		t.Fatalf("err = %v", err)
	}
	e.sim.ClearFaults()
	sessions := e.sim.Sessions("")
	if len(sessions) != 1 {
		t.Fatalf("%d sessions", len(sessions))
	}
	if err := e.sim.Pay(sessions[0].ID, stripesim.CardOK); err != nil {
		t.Fatal(err)
	}
	e.delivered()
	e.run("") // in the pause after the failure, in which Stripe is not asked again
	e.later(time.Minute)
	e.run("")
	list, err := e.donations.List(t.Context(), donations.Filter{Collective: vallon.Collective, Campaign: vallon.Campaign}, donations.Position{CreateTime: e.clock.Now().Add(time.Hour)}, 10)
	if err != nil || len(list) != 1 {
		t.Fatalf("%d donations, %v", len(list), err)
	}
	e.want(list[0], donations.StateSucceeded, true)
	if list[0].CheckoutSession != sessions[0].ID {
		t.Errorf("the session is not known: %q", list[0].CheckoutSession)
	}
}

func TestAnExpiredSession(t *testing.T) {
	e := newEnv(t, stripesim.Config{})
	d := e.give(vallon)
	if err := e.sim.Expire(d.CheckoutSession); err != nil {
		t.Fatal(err)
	}
	e.delivered()
	e.run("")
	e.want(d, donations.StateExpired, false)
	if settled, pending := e.progress(vallon); settled+pending != 0 {
		t.Errorf("settled %d, pending %d", settled, pending)
	}
}

func TestADonationThatIsPaidAfterItsCampaignClosed(t *testing.T) {
	e := newEnv(t, stripesim.Config{})
	d := e.give(vallon)
	if _, err := e.pool.Exec(t.Context(), "UPDATE campaigns.campaigns SET state = 'paused'"); err != nil {
		t.Fatal(err)
	}
	e.pay(d)
	e.delivered()
	e.run("")
	e.want(d, donations.StateSucceeded, true)
	e.wantBooks("")
}

func TestManyPages(t *testing.T) {
	e := newEnv(t, stripesim.Config{})
	e.sim.SetDelivery(stripesim.Delivery{Drop: true})
	const made = 230
	var running sync.WaitGroup
	for range 4 {
		running.Go(func() {
			for range made / 4 {
				d, err := e.donations.Create(t.Context(), intent(vallon))
				if err == nil {
					err = e.sim.Pay(d.CheckoutSession, stripesim.CardOK)
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	running.Wait()
	e.run("")
	e.wantBooks("")

	t.Run("the next sync asks for one page only", func(t *testing.T) {
		before := len(e.sim.Requests())
		e.run("")
		if asked := len(e.sim.Requests()) - before; asked != 1 {
			t.Errorf("%d requests", asked)
		}
	})
}

func TestStripeDownDuringSync(t *testing.T) {
	e := newEnv(t, stripesim.Config{})
	d := e.give(vallon)
	e.pay(d)
	e.delivered()
	e.sim.AddFault(stripesim.Fault{PathPrefix: "/v1/balance_transactions", Status: 500})
	if err := e.webhooks.Run(t.Context(), ""); reason(err) != "STRIPE_UNAVAILABLE" {
		t.Fatalf("err = %v", err)
	}
	// What the event says needs no call.
	e.want(d, donations.StateSucceeded, false)
	if left := e.events(StateReceived); len(left["charge.succeeded"]) != 1 {
		t.Errorf("a hint must wait for a sync that succeeds: %v", left)
	}
	e.sim.ClearFaults()
	e.run("")
	e.want(d, donations.StateSucceeded, true)
	e.wantBooks("")
}

func TestMoneyThatIsNoDonation(t *testing.T) {
	e := newEnv(t, stripesim.Config{})
	mine := e.give(vallon)
	// Metadata can say anything: a charge on the platform that names a donation of the connected account.
	theirs := e.give(festival)
	foreign := foreignSession(t, e, fmt.Sprint(theirs.ID))
	if err := e.sim.Pay(foreign, stripesim.CardOK); err != nil {
		t.Fatal(err)
	}
	e.pay(mine)
	e.delivered()
	e.run("")
	e.run(connected)
	e.want(mine, donations.StateSucceeded, true)
	e.want(theirs, donations.StateCreated, false)
	e.wantBooks("")
	if got := e.balances("")[ledger.RoleUnknownReceipts]; got != -5_00 {
		t.Errorf("unknown receipts %d, want -500", got)
	}
	if ignored := e.events(StateIgnored)[typeCompleted]; len(ignored) != 1 || ignored[0].Reason != reasonNotOurs {
		t.Errorf("ignored %v", ignored)
	}
}
