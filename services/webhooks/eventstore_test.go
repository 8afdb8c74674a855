package webhooks

import (
	"context"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/cagnotte/cagnotte/services/donations"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/stripe"
	"github.com/cagnotte/cagnotte/services/internal/stripesim"
)

func hintOf(account, id string) *delivery {
	return &delivery{eventRow: eventRow{
		eventKey: eventKey{account, id}, kind: "charge.succeeded", step: stepHint, state: StateReceived,
		resource: stripe.Resource{ID: "ch_x", Kind: "charge", PaymentIntent: "pi_x"},
		created:  time.Unix(1_700_000_000, 0), received: time.Unix(1_700_000_001, 0),
	}}
}

func ignoredOf(account, id string) *delivery {
	d := hintOf(account, id)
	d.state, d.step, d.reason, d.resource = StateIgnored, stepNone, reasonUnknownType, stripe.Resource{}
	return d
}

// wantStored stores a batch, and compares what each was told.
func (e *env) wantStored(batch []*delivery, want ...bool) {
	e.t.Helper()
	e.webhooks.storeBatch(e.t.Context(), batch)
	for i, d := range batch {
		if d.err != nil || d.stored != want[i] {
			e.t.Errorf("%s of %q: stored %t, %v; want %t", d.id, d.account, d.stored, d.err, want[i])
		}
	}
}

func TestDeliveriesStoredTogether(t *testing.T) {
	e := newEnv(t, stripesim.Config{})
	live := func(account string) int {
		t.Helper()
		var n int
		if err := e.pool.QueryRow(t.Context(), `SELECT count(*) FROM river.river_job
			WHERE kind = 'stripe_account' AND state = 'available' AND args ->> 'account' = $1`, account).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	t.Run("get a job for each account, unless they need none", func(t *testing.T) {
		e.wantStored([]*delivery{
			hintOf(connected, "evt_1"), hintOf("", "evt_1"), ignoredOf("acct_silent", "evt_1"), hintOf("", "evt_2"), hintOf(connected, "evt_2"),
		}, true, true, true, true, true)
		if live("") != 1 || live(connected) != 1 || live("acct_silent") != 0 {
			t.Errorf("%d, %d and %d jobs, want 1, 1 and 0", live(""), live(connected), live("acct_silent"))
		}
	})
	t.Run("twice are stored once, the first time", func(t *testing.T) {
		e.wantStored([]*delivery{hintOf("", "evt_3"), hintOf("", "evt_1"), hintOf("", "evt_3"), ignoredOf("", "evt_4"), ignoredOf("", "evt_4")},
			true, false, false, true, false)
		// And where no job is live.
		e.wantStored([]*delivery{hintOf("acct_2", "evt_1"), hintOf("acct_2", "evt_1")}, true, false)
	})
	t.Run("do not fail with one that cannot be stored", func(t *testing.T) {
		bad := hintOf("", "evt_bad")
		bad.kind = "\x00"
		batch := []*delivery{hintOf("", "evt_5"), bad, hintOf("acct_3", "evt_5"), hintOf("", "evt_1")}
		e.webhooks.storeBatch(t.Context(), batch)
		if errs.Code(bad.err) != codes.InvalidArgument || bad.stored {
			t.Errorf("stored %t, %v", bad.stored, bad.err)
		}
		for i, want := range []bool{0: true, 2: true, 3: false} {
			if d := batch[i]; d != bad && (d.err != nil || d.stored != want) {
				t.Errorf("%d: stored %t, %v", i, d.stored, d.err)
			}
		}
		if live("acct_3") != 1 {
			t.Error("no job")
		}
	})
	t.Run("begin anew where they have failed, with a job", func(t *testing.T) {
		if _, err := e.pool.Exec(t.Context(), `UPDATE webhooks.events SET state = 'failed', attempts = 20, next_attempt_at = NULL WHERE id = 'evt_2'`); err != nil {
			t.Fatal(err)
		}
		if _, err := e.pool.Exec(t.Context(), `DELETE FROM river.river_job`); err != nil {
			t.Fatal(err)
		}
		e.wantStored([]*delivery{hintOf("", "evt_1"), hintOf("", "evt_2"), hintOf("", "evt_2")}, false, true, false)
		if n := one[int](e, "SELECT attempts FROM webhooks.events WHERE account = '' AND id = 'evt_2' AND state = 'received'"); n != 0 {
			t.Errorf("%d attempts", n)
		}
		if live("") != 1 || live(connected) != 0 {
			t.Errorf("%d and %d jobs, want 1 and 0", live(""), live(connected))
		}
	})
	t.Run("are none of them safe when time is up", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		batch := []*delivery{hintOf("", "evt_6"), hintOf("", "evt_1")}
		e.webhooks.storeBatch(ctx, batch)
		for _, d := range batch {
			if errs.Code(d.err) != codes.Canceled || d.stored {
				t.Errorf("%s: stored %t, %v", d.id, d.stored, d.err)
			}
		}
	})
}

// One whose amount is another's is refused; those that were tried with it are not.
func TestAnEventThatIsRefusedFailsAlone(t *testing.T) {
	e := newEnv(t, stripesim.Config{})
	e.sim.SetDelivery(stripesim.Delivery{Drop: true})
	first, wrong, last := e.give(vallon), e.give(vallon), e.give(vallon)
	e.deliver(EndpointPlatform, sessionEvent("evt_1", typeCompleted, first, `,"payment_status":"paid"`))
	e.deliver(EndpointPlatform, strings.Replace(sessionEvent("evt_2", typeCompleted, wrong, `,"payment_status":"paid"`), "2000", "3000", 1))
	e.deliver(EndpointPlatform, sessionEvent("evt_3", typeCompleted, last, `,"payment_status":"unpaid"`))
	e.deliver(EndpointPlatform, sessionEvent("evt_4", typeAsyncSucceeded, last, `,"payment_status":"paid"`))
	if err := e.webhooks.applySessions(t.Context(), "", time.Time{}); err != nil {
		t.Fatal(err)
	}
	e.want(first, donations.StateSucceeded, false)
	e.want(wrong, donations.StateCreated, false)
	e.want(last, donations.StateSucceeded, false)
	failed := e.events(StateFailed)
	if n := len(failed[typeCompleted]); n != 1 || failed[typeCompleted][0].ID != "evt_2" || failed[typeCompleted][0].Attempts != 1 {
		t.Errorf("failed: %+v", failed)
	}
	if left := e.events(StateReceived); len(left) != 0 {
		t.Errorf("left: %+v", left)
	}
}
