package webhooks

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/donations"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/ledger"
)

func TestALongHistoryIsReadInStepsThatLast(t *testing.T) {
	e, f := faked(t)
	d := e.give(vallon)
	now := e.clock.Now()
	f.intents["pi_1"] = d
	const count = 2_450
	f.rows = old("old", count, now)
	// The refund is in the first step, its charge in the last.
	f.rows[3] = fakeRow{
		id: "txn_refund", kind: "refund", amount: -20_00, created: f.rows[3].created,
		source: `{"id":"re_1","object":"refund","charge":"ch_1","payment_intent":"pi_1"}`,
	}
	f.rows[count-3] = fakeRow{
		id: "txn_charge", kind: "charge", amount: 20_00, created: f.rows[count-3].created,
		source: fmt.Sprintf(`{"id":"ch_1","object":"charge","payment_intent":"pi_1","metadata":{"donation":%q}}`, d.ID),
	}
	f.failAfter = 15
	if err := e.webhooks.Run(t.Context(), ""); reason(err) != "STRIPE_UNAVAILABLE" {
		t.Fatalf("err = %v", err)
	}
	posted := func() int { return one[int](e, "SELECT count(*) FROM ledger.transactions") }
	if got := posted(); got != stepPages*fullPage {
		t.Errorf("%d posted by the first step", got)
	}
	// New ones arrive while the reading waits.
	f.rows = append([]fakeRow{{id: "txn_new", kind: "stripe_fee", amount: -1, created: now.Add(time.Second)}}, f.rows...)
	f.failAfter, f.lists = 0, 0
	e.run("")
	if got := posted(); got != count+1 {
		t.Errorf("%d posted in the end, want %d", got, count+1)
	}
	if f.lists > 45 {
		t.Errorf("%d pages were asked for", f.lists)
	}
	sums := e.balances("")
	if sums[ledger.RoleRefunds] != 20_00 || sums[ledger.RoleUnknownReceipts] != 0 {
		t.Errorf("refunds %d, unknown %d", sums[ledger.RoleRefunds], sums[ledger.RoleUnknownReceipts])
	}
	e.want(d, donations.StateRefunded, true)
}

// lookBackPasses makes passes whose time is over after a step, as with a list that takes 3 s a page, until no look
// back is under way.
func lookBackPasses(e *env, atMost int) {
	e.t.Helper()
	for range atMost {
		if _, err := e.webhooks.pass(e.t.Context(), "", time.Now(), false); err != nil {
			e.t.Fatal(err)
		}
		if one[bool](e, "SELECT back_floor IS NULL FROM webhooks.accounts WHERE account = ''") {
			return
		}
	}
	e.t.Errorf("the look back does not end in %d passes", atMost)
}

func TestLongHistoryDelaysNoNewDonation(t *testing.T) {
	e, f := faked(t)
	now := e.clock.Now()
	first, second := e.give(vallon), e.give(vallon)
	f.rows = append([]fakeRow{charge(1, first, now)}, old("old", 2_450, now)...)
	e.deliver(EndpointPlatform, chargeEvent("evt_1"))
	if _, err := e.webhooks.pass(t.Context(), "", time.Now(), false); err != nil {
		t.Fatal(err)
	}
	e.want(first, donations.StateSucceeded, true)
	if left := e.events(StateReceived); len(left) != 0 {
		t.Errorf("hints wait: %v", left)
	}
	if n := one[int](e, "SELECT count(*) FROM ledger.transactions"); n == 2_451 {
		t.Fatal("the history is no longer than one pass")
	}
	f.rows = append([]fakeRow{charge(2, second, now)}, f.rows...)
	if _, err := e.webhooks.pass(t.Context(), "", time.Now(), false); err != nil {
		t.Fatal(err)
	}
	e.want(second, donations.StateSucceeded, true)
	lookBackPasses(e, 3)
	if n := one[int](e, "SELECT count(*) FROM ledger.transactions"); n != 2_452 {
		t.Errorf("%d booked", n)
	}
}

func TestALookBackThatIsLongerThanAJobEnds(t *testing.T) {
	e, f := faked(t)
	now := e.clock.Now()
	f.rows = old("old", 2_500, now)
	e.run("")
	e.later(backEvery)
	d := e.give(vallon)
	// It became visible far behind the cursor.
	f.rows = append(f.rows[:2_400:2_400], append([]fakeRow{charge(1, d, f.rows[2_400].created)}, f.rows[2_400:]...)...)
	e.deliver(EndpointPlatform, chargeEvent("evt_1"))
	before := f.lists
	lookBackPasses(e, 4)
	e.want(d, donations.StateSucceeded, true)
	if asked := f.lists - before; asked > 26+4 {
		t.Errorf("%d pages were asked for", asked)
	}
	t.Run("and no other begins before the next day", func(t *testing.T) {
		before := f.lists
		e.run("")
		e.later(time.Hour)
		e.run("")
		if asked := f.lists - before; asked > 3 {
			t.Errorf("%d pages were asked for", asked)
		}
	})
}

// A debit that another product started 14 days ago.
func TestOnceAWeekALookBackGoesFar(t *testing.T) {
	e, f := faked(t)
	now := e.clock.Now()
	f.rows = []fakeRow{old("new", 1, now)[0], old("old", 1, now.Add(-25*24*time.Hour))[0]}
	e.run("")
	late := foreign(1, now.Add(-14*24*time.Hour))
	f.rows = []fakeRow{f.rows[0], late, f.rows[1]}
	e.run("")
	if n := one[int](e, "SELECT count(*) FROM ledger.transactions"); n != 2 {
		t.Fatalf("%d booked at first", n)
	}
	e.later(7 * 24 * time.Hour)
	for range 2 {
		e.run("")
		if n := one[int](e, "SELECT count(*) FROM ledger.transactions"); n != 3 {
			t.Errorf("%d booked after a week", n)
		}
	}
}

func TestTwoJobsReadOneHistory(t *testing.T) {
	e, f := faked(t)
	d := e.give(vallon)
	now := e.clock.Now()
	f.rows = append(old("old", 2_450, now), charge(1, d, now.Add(-2_450*time.Minute)))
	var running sync.WaitGroup
	for range 3 {
		running.Go(func() {
			if err := e.webhooks.Run(t.Context(), ""); err != nil {
				t.Error(err)
			}
		})
	}
	running.Wait()
	e.want(d, donations.StateSucceeded, true)
	e.wantParked()
	if n := one[int](e, "SELECT count(*) FROM ledger.transactions"); n != 2_451 {
		t.Errorf("%d booked", n)
	}
	if !one[bool](e, "SELECT back_floor IS NULL AND synced_to = $1 FROM webhooks.accounts WHERE account = ''", now.Truncate(time.Second)) {
		t.Error("the position is not where it should be")
	}
}

// Else what the other job handed to the look back would be lost.
func TestAPositionThatAnotherJobMovedStands(t *testing.T) {
	e, _ := faked(t)
	e.run("")
	save := func(was, is position) {
		t.Helper()
		if err := postgres.InTx(t.Context(), e.pool, func(ctx context.Context, tx pgx.Tx) error {
			return savePositionTx(ctx, tx, was, is)
		}); err != nil {
			t.Fatal(err)
		}
	}
	floor := e.clock.Now().UTC().Truncate(time.Second)
	stale := position{syncedTo: time.Unix(0, 0)}
	now := position{syncedTo: floor.Add(time.Hour), backFloor: &floor, backAfter: "txn_5"}
	save(stale, now)
	for name, was := range map[string]position{
		"the cursor": {syncedTo: floor, backFloor: &floor, backAfter: "txn_5"},
		"the floor":  {syncedTo: now.syncedTo, backAfter: "txn_5"},
		"the place":  {syncedTo: now.syncedTo, backFloor: &floor, backAfter: "txn_9"},
	} {
		t.Run(name, func(t *testing.T) {
			save(was, position{syncedTo: floor.Add(2 * time.Hour)})
			got, err := e.webhooks.position(t.Context(), "")
			if err != nil || !got.syncedTo.Equal(now.syncedTo) || got.backFloor == nil || got.backAfter != "txn_5" {
				t.Errorf("position %+v, %v", got, err)
			}
		})
	}
}
