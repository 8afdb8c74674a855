package donations

import (
	"testing"
	"time"

	"github.com/google/uuid"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/internal/stripesim"
	"github.com/cagnotte/cagnotte/services/wall"
)

// upkeep runs it and returns how many donations it had looked up.
func (e *env) upkeep() (n int) {
	e.t.Helper()
	if err := e.donations.upkeep(e.t.Context()); err != nil {
		e.t.Fatal(err)
	}
	if err := e.pool.QueryRow(e.t.Context(), `
		WITH jobs AS (DELETE FROM river.river_job WHERE kind = 'donations_overdue' RETURNING args)
		SELECT coalesce(sum(jsonb_array_length(args -> 'donations')), 0)::integer
		FROM jobs`).Scan(&n); err != nil {
		e.t.Fatal(err)
	}
	return n
}

func (e *env) wantState(d Donation, want State) {
	e.t.Helper()
	if got := e.reload(d).State; got != want {
		e.t.Errorf("donation = %s, want %s", got, want)
	}
}

func TestUpkeepLooksUpOverdueDonations(t *testing.T) {
	e := newEnv(t)
	d := e.create(intent())
	if n := e.upkeep(); n != 0 {
		t.Errorf("%d looked up while the page is open", n)
	}
	e.clock.Advance(sessionLife + overdueAfter + time.Second)
	if n := e.upkeep(); n != 1 {
		t.Errorf("%d looked up, want 1", n)
	}
	if n := e.upkeep(); n != 0 {
		t.Errorf("%d looked up at once again", n)
	}
	for range 2 {
		if err := e.donations.Refresh(t.Context(), d.ID); err != nil {
			t.Fatal(err)
		}
		e.wantState(d, StateExpired)
	}
	e.clock.Advance(overdueLatest)
	if n := e.upkeep(); n != 0 {
		t.Errorf("%d looked up whose end is known", n)
	}
}

// Stripe may refuse for good, as for an account that was disconnected.
func TestRefusedLookupsBecomeRarer(t *testing.T) {
	e := newEnv(t)
	e.clock.Freeze()
	d := e.create(intent())
	closed := d.ExpireTime
	var looks []time.Duration
	for e.clock.Advance(sessionLife + time.Hour); e.clock.Now().Sub(closed) < 100*24*time.Hour; e.clock.Advance(time.Hour) {
		if e.upkeep() == 1 {
			looks = append(looks, e.clock.Now().Sub(closed).Round(time.Hour))
		}
	}
	// The page closed a fraction of a second before the hour, so each double is an hour late.
	for i, want := range []time.Duration{1, 7, 15, 31, 63, 127, 255, 511, 1023, 1743} {
		if i >= len(looks) || looks[i] != want*time.Hour {
			t.Fatalf("looked up after %v, want %v as number %d", looks, want*time.Hour, i)
		}
	}
}

// A debit takes days, and an event usually tells its end.
func TestADebitUnderWayIsAskedForSeldom(t *testing.T) {
	e := newEnv(t)
	e.clock.Freeze()
	d := e.create(intent())
	if _, err := e.pool.Exec(t.Context(), "UPDATE donations.donations SET state = 'pending' WHERE id = $1", d.ID); err != nil {
		t.Fatal(err)
	}
	looks := 0
	for began := e.clock.Now(); e.clock.Now().Sub(began) < 14*24*time.Hour; e.clock.Advance(time.Hour) {
		looks += e.upkeep()
	}
	if looks != 4 {
		t.Errorf("%d times in the fourteen days that it may take, want 4", looks)
	}
}

func TestManyOverdueDonationsAreReadAPageAtATime(t *testing.T) {
	e := newEnv(t, wall.Limits{Off: true})
	var ids []uuid.UUID
	for i := range 30 {
		d := e.create(intent())
		ids = append(ids, d.ID)
		if i%3 == 0 {
			if err := e.sim.Pay(d.CheckoutSession, stripesim.CardOK); err != nil {
				t.Fatal(err)
			}
		}
	}
	gone := Donation{ID: uuid.New()}
	if _, err := e.pool.Exec(t.Context(), `
		INSERT INTO donations.donations (id, collective, campaign, request_id, fingerprint, amount_minor, currency, locale,
			return_url, stripe_account, livemode, attempt, session_expires_at, checkout_session_id, created_at, updated_at)
		SELECT $1, collective, campaign, $1, fingerprint, amount_minor, currency, locale,
			return_url, stripe_account, livemode, attempt, session_expires_at, 'cs_gone', created_at, updated_at
		FROM donations.donations
		WHERE id = $2`, gone.ID, ids[0]); err != nil {
		t.Fatal(err)
	}
	e.clock.Advance(sessionLife + overdueAfter + time.Second)
	for range 2 {
		before := len(e.sim.Requests())
		if err := e.donations.refreshMany(t.Context(), "", append(ids, gone.ID)); err != nil {
			t.Fatal(err)
		}
		if n := len(e.sim.Requests()) - before; n > 2 {
			t.Errorf("%d calls, want a page, and one for the session that Stripe does not have", n)
		}
	}
	for i, id := range ids {
		want := StateExpired
		if i%3 == 0 {
			want = StateSucceeded
		}
		e.wantState(Donation{ID: id}, want)
	}
	e.wantState(gone, StateExpired)
}

// The session of a debit that was refused looks like one whose debit is still under way, in a list too.
func TestManyOverdueFirstMonthsByDebitAreDecidedByTheirInvoices(t *testing.T) {
	e := newEnv(t, wall.Limits{Off: true})
	var ids []uuid.UUID
	for range 5 {
		ids = append(ids, e.debitMonthly(stripesim.IBANRefused).ID)
	}
	e.clock.Advance(15 * aWeek)
	for range 2 {
		if err := e.donations.refreshMany(t.Context(), "", ids); err != nil {
			t.Fatal(err)
		}
		for _, id := range ids {
			e.wantState(Donation{ID: id}, StateFailed)
		}
	}
}

func TestThoseWhoWaitLongestAreLookedUpFirst(t *testing.T) {
	e := newEnv(t, wall.Limits{Off: true})
	first := e.create(intent())
	for range overdueCount {
		if _, err := e.pool.Exec(t.Context(), `
			INSERT INTO donations.donations (id, collective, campaign, request_id, fingerprint, amount_minor, currency, locale,
				return_url, stripe_account, livemode, attempt, session_expires_at, checkout_session_id, created_at, updated_at)
			SELECT $1, collective, campaign, $1, fingerprint, amount_minor, currency, locale,
				return_url, stripe_account, livemode, attempt, session_expires_at - interval '1 hour', 'cs_' || $1::uuid::text, created_at, updated_at
			FROM donations.donations
			WHERE id = $2`, uuid.New(), first.ID); err != nil {
			t.Fatal(err)
		}
	}
	e.clock.Advance(sessionLife + overdueAfter + time.Second)
	if n := e.upkeep(); n != overdueCount {
		t.Fatalf("%d looked up at once, want %d", n, overdueCount)
	}
	e.clock.Advance(overdueLatest)
	e.upkeep()
	if e.reload(first).lookTime.IsZero() {
		t.Error("the last one is never looked up")
	}
}

func TestADonationWhoseSessionStripeDoesNotHaveExpires(t *testing.T) {
	e := newEnv(t)
	created, paying := e.create(intent()), e.create(intent())
	if _, err := e.pool.Exec(t.Context(), "UPDATE donations.donations SET state = 'pending' WHERE id = $1", paying.ID); err != nil {
		t.Fatal(err)
	}
	e.sim.AddFault(stripesim.Fault{Method: "GET", PathPrefix: "/v1/checkout/sessions", Status: 404})
	for range 2 {
		for _, d := range []Donation{created, paying} {
			if err := e.donations.Refresh(t.Context(), d.ID); err != nil {
				t.Fatal(err)
			}
		}
		e.wantState(created, StateExpired)
		e.wantState(paying, StatePending)
	}
}

func TestDonationsOfTheOtherLivemodeAreNotLookedUp(t *testing.T) {
	e := newEnv(t)
	d := e.create(intent())
	other := uuid.New()
	if _, err := e.pool.Exec(t.Context(), `
		INSERT INTO donations.donations (id, collective, campaign, request_id, fingerprint, amount_minor, currency, locale,
			return_url, stripe_account, livemode, attempt, session_expires_at, checkout_session_id, created_at, updated_at)
		SELECT $1, collective, campaign, $1, fingerprint, amount_minor, currency, locale,
			return_url, stripe_account, NOT livemode, attempt, session_expires_at, 'cs_other', created_at, updated_at
		FROM donations.donations
		WHERE id = $2`, other, d.ID); err != nil {
		t.Fatal(err)
	}
	e.clock.Advance(sessionLife + overdueAfter + time.Second)
	if n := e.upkeep(); n != 1 || e.reload(d).lookTime.IsZero() {
		t.Errorf("%d looked up, want the one of this key", n)
	}
}

func TestADonationThatNeverGotAPageExpires(t *testing.T) {
	e := newEnv(t)
	e.sim.AddFault(stripesim.Fault{Method: "POST", PathPrefix: "/v1/checkout/sessions", Status: 503})
	in := intent()
	_, err := e.donations.Create(t.Context(), in)
	wantReason(t, err, errorsv1.ErrorReason_STRIPE_UNAVAILABLE)
	e.sim.ClearFaults()
	d, err := e.donations.byRequest(t.Context(), vallon, in.RequestID)
	if err != nil {
		t.Fatal(err)
	}
	e.clock.Advance(sessionLife + abandonedAfter - time.Minute)
	e.upkeep()
	e.wantState(d, StateCreated)
	e.clock.Advance(2 * time.Minute)
	for range 2 {
		e.upkeep()
		e.wantState(d, StateExpired)
	}
	if again := e.create(in); again.State != StateExpired || len(e.sim.Sessions("")) != 0 {
		t.Errorf("donation = %+v", again)
	}
}
