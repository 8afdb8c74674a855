package webhooks

import (
	"bytes"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/cagnotte/cagnotte/services/donations"
	"github.com/cagnotte/cagnotte/services/internal/stripe"
	"github.com/cagnotte/cagnotte/services/internal/stripesim"
	"github.com/cagnotte/cagnotte/services/ledger"
)

// wantParked checks why balance transactions are parked: pairs of an id and a reason.
func (e *env) wantParked(pairs ...string) {
	e.t.Helper()
	got := one[string](e, "SELECT coalesce(string_agg(id || ' ' || reason, ' ' ORDER BY id), '') FROM webhooks.parked")
	if want := strings.Join(pairs, " "); got != want {
		e.t.Errorf("parked %q, want %q", got, want)
	}
}

// faked is an env whose balance is what the test says, and that gets no webhooks.
func faked(t *testing.T) (*env, *fakeBalance) {
	t.Helper()
	e := newEnv(t, stripesim.Config{})
	e.sim.SetDelivery(stripesim.Delivery{Drop: true})
	e.balance = &fakeBalance{intents: map[string]donations.Donation{}, refuse: map[string]int{}, bare: map[string]bool{}}
	return e, e.balance
}

func TestRefusedTransactionIsParkedAndDelaysNothing(t *testing.T) {
	e, f := faked(t)
	now := e.clock.Now()
	before, after := e.give(vallon), e.give(vallon)
	bad := charge(2, e.give(vallon), now)
	bad.currency = "e1"
	f.rows = []fakeRow{bad, charge(1, before, now)}
	e.deliver(EndpointPlatform, chargeEvent("evt_1"))
	e.run("")
	e.want(before, donations.StateSucceeded, true)
	e.wantParked("txn_2", "CURRENCY_INVALID")
	if left := e.events(StateReceived); len(left) != 0 {
		t.Errorf("hints wait: %v", left)
	}

	t.Run("not even when a thousand newer ones come", func(t *testing.T) {
		f.rows = append(old("new", 2_500, now.Add(60*time.Hour)), f.rows...)
		f.rows = append([]fakeRow{charge(3, after, now.Add(61*time.Hour))}, f.rows...)
		e.run("")
		e.run("")
		e.want(after, donations.StateSucceeded, true)
		if n := one[int](e, "SELECT count(*) FROM ledger.transactions"); n != 2_502 {
			t.Errorf("%d booked", n)
		}
		if refused := measured(t, e.webhooks.metrics.refused); refused != 1 {
			t.Errorf("it was tried %v times before its pause was over", refused)
		}
	})
	t.Run("and is in the operator's sight", func(t *testing.T) {
		if got := e.gauges()["parked_transactions"]; got != 1 {
			t.Errorf("the gauge says %v", got)
		}
	})
	t.Run("tried again, its pause grows", func(t *testing.T) {
		e.later(firstRetry)
		e.run("")
		e.wantParked("txn_2", "CURRENCY_INVALID")
		if ok := one[bool](e, `SELECT attempts = 2 AND next_attempt_at > now() + interval '6 seconds' FROM webhooks.parked`); !ok {
			t.Error("the pause does not grow")
		}
	})
	t.Run("it is booked once it can be", func(t *testing.T) {
		for i := range f.rows {
			f.rows[i].currency = ""
		}
		if got, err := e.webhooks.dueAccounts(t.Context()); err != nil || len(got) != 1 { // the other was never synced
			t.Fatalf("due in the pause: %q, %v", got, err)
		}
		e.later(time.Minute)
		if got, err := e.webhooks.dueAccounts(t.Context()); err != nil || len(got) != 2 {
			t.Fatalf("due after the pause: %q, %v", got, err)
		}
		for range 2 {
			e.run("")
			e.wantParked()
			if n := one[int](e, "SELECT count(*) FROM ledger.transactions WHERE reference = 'txn_2'"); n != 1 {
				t.Errorf("booked %d times", n)
			}
		}
	})
}

// A charge of the last second of a year, whose fee is known after the treasurer closed it.
func TestMoneyOfAClosedPeriodIsBookedInTheOpenOne(t *testing.T) {
	e, f := faked(t)
	happened := time.Now().Add(-48 * time.Hour).Truncate(time.Second).UTC()
	closed := happened.Add(2 * time.Second)
	first, late := e.give(vallon), e.give(vallon)
	f.rows = []fakeRow{charge(1, first, happened)}
	e.run("")
	if _, err := e.ledger.ClosePeriod(t.Context(), "", vallon.Collective, closed); err != nil {
		t.Fatal(err)
	}
	f.rows = append([]fakeRow{foreign(1, happened), charge(2, late, happened)}, f.rows...)
	for range 2 {
		e.run("")
		e.want(late, donations.StateSucceeded, true)
		e.wantParked()
		// The refund is of no donation, and so the one collective's of the account.
		for _, reference := range []string{"txn_2", "txn_foreign_1"} {
			if got := one[time.Time](e, "SELECT effective_at FROM ledger.transactions WHERE reference = $1", reference); !got.Equal(closed) {
				t.Errorf("%s is booked at %s, want %s", reference, got, closed)
			}
		}
		if got := e.donation(late).PayTime; !got.Equal(happened) {
			t.Errorf("paid at %s, want %s", got, happened)
		}
		if n := one[int](e, "SELECT count(*) FROM ledger.transactions"); n != 3 {
			t.Errorf("%d booked", n)
		}
	}
}

func TestUnreadablePaymentIsParkedAndDelaysNothing(t *testing.T) {
	for name, status := range map[string]int{
		"because it may not":        http.StatusForbidden,
		"because Stripe fails":      http.StatusInternalServerError,
		"because Stripe wants less": http.StatusTooManyRequests,
		"because no key is known":   http.StatusUnauthorized,
	} {
		t.Run(name, func(t *testing.T) {
			e, f := faked(t)
			now := e.clock.Now()
			d := e.give(vallon)
			f.rows = []fakeRow{foreign(1, now), charge(1, d, now)}
			f.refuse["pi_foreign_1"] = status
			e.run("")
			e.want(d, donations.StateSucceeded, true)
			e.wantParked("txn_foreign_1", reasonPaymentUnread)
			// It was our donation's all the time.
			f.intents["pi_foreign_1"] = d
			delete(f.refuse, "pi_foreign_1")
			e.later(firstRetry)
			for range 2 {
				e.run("")
				e.wantParked()
				if got := e.balances("")[ledger.RoleRefunds]; got != 5 {
					t.Errorf("refunds %d", got)
				}
				e.want(d, donations.StatePartiallyRefunded, true)
			}
		})
	}
}

func TestOneStepAsksForFewPayments(t *testing.T) {
	e, f := faked(t)
	const count = 2*donations.MaxAsks + 5
	for i := range count {
		f.rows = append(f.rows, foreign(i, e.clock.Now()))
	}
	e.run("")
	if f.asked != donations.MaxAsks {
		t.Errorf("%d were asked for at once", f.asked)
	}
	for range 2 {
		e.later(maxRetry)
		e.run("")
	}
	e.wantParked()
	if n := one[int](e, "SELECT count(*) FROM ledger.transactions"); n != count || f.asked != count {
		t.Errorf("%d booked, %d asked for, want %d", n, f.asked, count)
	}
}

func TestUnreadablePolledDonationDelaysNoOther(t *testing.T) {
	e := newEnv(t, stripesim.Config{FeeDelay: 100 * time.Hour})
	made := []donations.Donation{e.give(vallon), e.give(vallon), e.give(vallon)}
	for _, d := range made {
		e.pay(d)
	}
	e.delivered()
	e.run("")
	e.sim.SetDelivery(stripesim.Delivery{Drop: true})
	e.clock.Advance(99 * time.Hour)
	e.sim.SettleFees()
	e.clock.Advance(time.Minute)
	if err := setCursor(e, e.clock.Now()); err != nil {
		t.Fatal(err)
	}
	for _, intent := range []string{
		one[string](e, "SELECT payment_intent_id FROM donations.donations WHERE id = $1", made[0].ID),
		one[string](e, "SELECT payment_intent_id FROM donations.donations WHERE id = $1", made[1].ID),
	} {
		e.sim.AddFault(stripesim.Fault{PathPrefix: "/v1/payment_intents/" + intent, Status: 500})
	}
	e.deliver(EndpointPlatform, chargeEvent("evt_1"))
	e.run("")
	e.want(made[0], donations.StateSucceeded, false)
	e.want(made[1], donations.StateSucceeded, false)
	e.want(made[2], donations.StateSucceeded, true)
	if left := e.events(StateReceived); len(left) != 0 {
		t.Errorf("hints wait: %v", left)
	}
	e.sim.ClearFaults()
	e.clock.Advance(2 * time.Hour)
	e.run("")
	e.run("")
	e.wantBooks("")
}

func TestAChargeWithoutItsSourceIsReadByItself(t *testing.T) {
	e, f := faked(t)
	d := e.give(vallon)
	f.rows = []fakeRow{charge(1, d, e.clock.Now())}
	f.bare["txn_1"] = true
	e.run("")
	e.want(d, donations.StateCreated, false)
	e.wantParked("txn_1", reasonSourceUnread)
	e.later(firstRetry)
	for range 2 {
		e.run("")
		e.want(d, donations.StateSucceeded, true)
		e.wantParked()
	}
	if f.byID != 1 {
		t.Errorf("read %d times", f.byID)
	}
}

func TestTransactionBookedDifferentlyIsLoggedAndLeft(t *testing.T) {
	e, _ := faked(t)
	e.run("")
	var log bytes.Buffer
	e.webhooks.cfg.Logger = slog.New(slog.NewTextHandler(&log, nil))
	for i, amount := range []int64{5, 6} {
		bt := stripe.BalanceTransaction{ID: "txn_1", Type: "topup", Amount: amount, Net: amount, Currency: "EUR", Created: e.clock.Now()}
		if err := e.webhooks.book(t.Context(), "", []stripe.BalanceTransaction{bt}, nil, nil); err != nil {
			t.Fatal(err)
		}
		if said := strings.Contains(log.String(), "balance_transaction=txn_1"); said != (i == 1) {
			t.Errorf("try %d: log %q", i, log.String())
		}
	}
	e.wantParked()
	if got := e.balances("")[ledger.RoleStripeBalance]; got != 5 {
		t.Errorf("balance %d", got)
	}
}

func TestParkedTransactionOfADisconnectedAccountKeepsNoJobAlive(t *testing.T) {
	e := newEnv(t, stripesim.Config{})
	if _, err := e.pool.Exec(t.Context(), `INSERT INTO webhooks.parked (account, id, reason, next_attempt_at) VALUES ('acct_gone', 'txn_1', 'X', '-infinity')`); err != nil {
		t.Fatal(err)
	}
	e.work(false)
	e.deliver(EndpointConnect, strings.Replace(chargeEvent("evt_1"), `"livemode"`, `"account":"acct_gone","livemode"`, 1))
	e.eventually("its job ends", func() bool { return e.countJobs("completed") == 1 })
	if got, err := e.webhooks.dueAccounts(t.Context()); err != nil || len(got) != 2 {
		t.Errorf("due: %q, %v", got, err)
	}
}
