package webhooks

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/campaigns"
	"github.com/cagnotte/cagnotte/services/collectives"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/pgtest"
	"github.com/cagnotte/cagnotte/services/internal/stripesim"
	"github.com/cagnotte/cagnotte/services/money"
	"github.com/cagnotte/cagnotte/services/payouts"
)

// neighbour is another collective on the platform's account.
var neighbour = campaigns.Name{Collective: "marseille", Campaign: "recours"}

func (e *env) addNeighbour() {
	e.t.Helper()
	groups := collectives.New(collectives.Config{Pool: e.pool, Now: e.clock.Now})
	causes := campaigns.New(campaigns.Config{Pool: e.pool, Now: e.clock.Now})
	_, err := groups.Create(e.t.Context(), collectives.Collective{ID: neighbour.Collective, DisplayName: "Marseille"})
	if err == nil {
		_, err = causes.Create(e.t.Context(), neighbour, campaigns.Content{
			Texts:    map[string]campaigns.Text{"fr": {Title: "Un recours"}, "en": {Title: "An appeal"}},
			Currency: money.EUR, Goal: money.Amount{Minor: 800_00, Currency: money.EUR},
		})
	}
	if err == nil {
		_, err = causes.Publish(e.t.Context(), neighbour, "")
	}
	if err != nil {
		e.t.Fatal(err)
	}
}

// allLines reads what is inside a payout, a few balance transactions at a time.
func (e *env) allLines(collective string, p payouts.Payout) (lines []payouts.Line) {
	e.t.Helper()
	q := payouts.LineQuery{Collective: collective, Share: p.Share.Minor, Count: 2}
	for {
		page, next, err := e.payouts.Lines(e.t.Context(), p, q)
		if err != nil {
			e.t.Fatal(err)
		}
		lines = append(lines, page...)
		if next == nil {
			return lines
		}
		q.From = *next
	}
}

// kinds counts lines and sums their nets.
func kinds(lines []payouts.Line) (kinds map[payouts.LineKind]int, sum int64) {
	kinds = map[payouts.LineKind]int{}
	for _, l := range lines {
		kinds[l.Kind]++
		sum += l.Net
	}
	return kinds, sum
}

func TestAPayoutOfTwoCollectives(t *testing.T) {
	e := newEnv(t, stripesim.Config{})
	e.addNeighbour()
	e.pay(e.give(neighbour))
	p := paidOut(e, vallon, "")
	e.clock.Advance(2 * day)
	e.delivered()
	for range 2 {
		e.run("")
		e.wantAccounts("", map[string]int64{"vallon 1100": 3890, "marseille 1100": 1945})
	}
	t.Run("each sees its share", func(t *testing.T) {
		for collective, want := range map[string]int64{"vallon": 3890, "marseille": 1945, payouts.Everybody: 5835} {
			got := e.payout(collective, p.ID)
			found, sum := kinds(e.allLines(collective, got))
			if got.Share.Minor != want || sum != want || found[payouts.LineDonation] != int(want/1945) || len(found) != 1 {
				t.Errorf("%s has %v, with %v that sum to %d", collective, got.Share, found, sum)
			}
			list, err := e.payouts.List(t.Context(), collective, payouts.Position{Arrival: e.clock.Now(), ID: "z"}, 10)
			if err != nil || len(list) != 1 || list[0].Share.Minor != want {
				t.Errorf("%s lists %v, %v", collective, list, err)
			}
		}
		if _, err := e.payouts.Get(t.Context(), "festival", p.ID); errs.As(err).Reason != errorsv1.ErrorReason_NOT_FOUND {
			t.Errorf("a stranger gets %v", err)
		}
	})
	t.Run("what came back is divided again", func(t *testing.T) {
		if err := e.sim.FailPayout(p.ID, "account_closed"); err != nil {
			t.Fatal(err)
		}
		e.delivered()
		e.run("")
		e.wantAccounts("", map[string]int64{"vallon 1200": 3890, "marseille 1200": 1945})
		if err := e.sim.SchedulePayouts("", true); err != nil {
			t.Fatal(err)
		}
		e.clock.Advance(4 * day)
		e.delivered()
		e.run("")
		e.wantAccounts("", map[string]int64{"vallon 1100": 3890, "marseille 1100": 1945})
		again := e.payout("marseille", e.sim.Payouts("")[1].ID)
		if found, sum := kinds(e.allLines("marseille", again)); sum != 1945 || found[payouts.LinePayout] != 1 || again.Reconciliation != payouts.ReconciliationMatched {
			t.Errorf("it is %+v with %v", again, found)
		}
		again = e.payout(payouts.Everybody, again.ID)
		ids := map[string]bool{}
		whole := e.payout(payouts.Everybody, again.ID)
		q := payouts.LineQuery{Collective: payouts.Everybody, Share: whole.Share.Minor}
		for _, l := range e.allLines(payouts.Everybody, whole) {
			id := l.ID(payouts.Everybody)
			if one, err := e.payouts.Line(t.Context(), whole, q, id); err != nil || one != l || ids[id] {
				t.Errorf("line %s is %+v, %v; want %+v once", id, one, err, l)
			}
			ids[id] = true
		}
		if len(ids) < 2 {
			t.Errorf("its lines are %v", ids)
		}
	})
}

// TestReturnedPayoutThatBecomesKnownLate: a payout holds what came back by another one, of which it is not known yet that it
// failed. Whose money that was is not guessed.
func TestReturnedPayoutThatBecomesKnownLate(t *testing.T) {
	e := newEnv(t, stripesim.Config{})
	e.addNeighbour()
	e.pay(e.give(neighbour))
	p := paidOut(e, vallon, "")
	e.clock.Advance(2 * day)
	e.delivered()
	e.run("")
	e.sim.SetDelivery(stripesim.Delivery{Drop: true})
	if err := errors.Join(e.sim.FailPayout(p.ID, "account_closed"), e.sim.SchedulePayouts("", true)); err != nil {
		t.Fatal(err)
	}
	e.clock.Advance(4 * day)
	if err := e.payouts.Read(t.Context(), "", e.sim.Payouts("")[1].ID); err != nil {
		t.Fatal(err)
	}
	e.run("")
	// The second line at the bank waits.
	if got := e.accounts("")["vallon 1100"]; got != 3890 {
		t.Errorf("the bank has %d of one", got)
	}
	e.regular("")
	e.run("")
	e.wantAccounts("", map[string]int64{"vallon 1100": 3890, "marseille 1100": 1945})
	if again := e.payout("marseille", e.sim.Payouts("")[1].ID); again.Share.Minor != 1945 {
		t.Errorf("it is %+v", again)
	}
}

// Whose money it is may be known only after it is known to have failed, such as after a night without the program.
func TestCollectivesAreNotifiedOfALateFailure(t *testing.T) {
	e := newEnv(t, stripesim.Config{})
	e.addNeighbour()
	e.pay(e.give(neighbour))
	e.sim.SetDelivery(stripesim.Delivery{Drop: true})
	p := paidOut(e, vallon, "")
	if err := e.sim.FailPayout(p.ID, "account_closed"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		e.regular("")
		e.run("")
	}
	got := map[string]int64{}
	for _, collective := range []string{"vallon", "marseille", ""} {
		got[collective] = one[int64](e, `SELECT count(*) FROM notices.notices WHERE kind = 'payout_failed' AND coalesce(collective, '') = '`+collective+`'`)
	}
	if diff := cmp.Diff(map[string]int64{"vallon": 1, "marseille": 1, "": 1}, got); diff != "" {
		t.Errorf("told were: %s", diff)
	}
}

// TestAPayoutWithEverythingInside has donations, a partial refund and a dispute with its fee.
func TestAPayoutWithEverythingInside(t *testing.T) {
	e := newEnv(t, stripesim.Config{})
	for range 3 {
		e.pay(e.give(vallon))
	}
	sessions := e.sim.Sessions("")
	if _, err := e.sim.Refund(sessions[0].ChargeID, 500); err != nil {
		t.Fatal(err)
	}
	if _, err := e.sim.Dispute(sessions[1].ChargeID, stripesim.Disputed{}); err != nil {
		t.Fatal(err)
	}
	if err := e.sim.SchedulePayouts("", true); err != nil {
		t.Fatal(err)
	}
	e.clock.Advance(12 * day)
	e.delivered()
	e.run("")
	var bank int64
	total := map[payouts.LineKind]int{}
	for _, made := range e.sim.Payouts("") {
		p := e.payout("vallon", made.ID)
		found, sum := kinds(e.allLines("vallon", p))
		if sum != made.AmountMinor || p.Reconciliation != payouts.ReconciliationMatched {
			t.Errorf("%d has %v that sum to %d, %+v", made.AmountMinor, found, sum, p)
		}
		for kind, n := range found {
			total[kind] += n
		}
		bank += made.AmountMinor
	}
	if diff := cmp.Diff(map[payouts.LineKind]int{payouts.LineDonation: 3, payouts.LineRefund: 1, payouts.LineDispute: 1}, total); diff != "" {
		t.Error(diff)
	}
	e.wantAccounts("", map[string]int64{"vallon 1100": bank})
}

func TestPayoutDifferenceIsNotified(t *testing.T) {
	e := newEnv(t, stripesim.Config{})
	for range 2 {
		e.pay(e.give(vallon))
	}
	e.delivered()
	e.run("")
	owner := pgtest.Owner(t, e.pool)
	forge := func(minor int64) (reference string) {
		t.Helper()
		// As a superuser can, past all triggers.
		if _, err := owner.Exec(t.Context(), `SET session_replication_role = replica`); err != nil {
			t.Fatal(err)
		}
		err := owner.QueryRow(t.Context(), `
			UPDATE ledger.entries AS e SET amount = e.amount + $1 * sign(e.amount)::bigint
			FROM ledger.transactions AS t
			WHERE t.id = e.transaction_id AND e.line <= 2
				AND t.reference = (SELECT min(f.reference) FROM ledger.transactions AS f WHERE f.kind = 'donation')
			RETURNING t.reference`, minor).Scan(&reference)
		if err != nil {
			t.Fatal(err)
		}
		return reference
	}
	forged := forge(100)
	if err := e.sim.SchedulePayouts("", true); err != nil {
		t.Fatal(err)
	}
	e.clock.Advance(12 * day)
	e.delivered()
	for range 2 {
		e.run("")
	}
	id := e.sim.Payouts("")[0].ID
	p := e.payout("vallon", id)
	if p.Reconciliation != payouts.ReconciliationDiffers || len(p.Findings) != 1 {
		t.Fatalf("it is %+v", p)
	}
	p.Findings[0].Time = time.Time{}
	if diff := cmp.Diff(payouts.Finding{Problem: payouts.ProblemAmount, Transaction: forged, Expected: 1945, Found: 2045}, p.Findings[0]); diff != "" {
		t.Error(diff)
	}
	var told []string
	if err := e.pool.QueryRow(t.Context(), `
		SELECT array_agg(concat_ws(' ', collective, subject, array_to_string(transactions, ' ')) ORDER BY collective) FROM notices.notices
		WHERE kind = 'payout_difference'`).Scan(&told); err != nil {
		t.Fatal(err)
	}
	want := []string{fmt.Sprintf(" instance/payouts/%s %s", id, forged), fmt.Sprintf("vallon collectives/vallon/payouts/%s %s", id, forged)}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Error(diff)
	}
	// However old it is by then, it is looked at until it is put right.
	e.clock.Advance(60 * day)
	e.run("")
	forge(-100)
	e.run("")
	if p := e.payout("vallon", id); p.Reconciliation != payouts.ReconciliationMatched || len(p.Findings) != 0 {
		t.Errorf("put right it is %+v", p)
	}
	// Nobody looks at what was told of once and put right.
	forge(100)
	if _, err := e.pool.Exec(t.Context(), `UPDATE payouts.payouts SET next_attempt_at = '-infinity'`); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		e.run("")
	}
	if n := one[int](e, `SELECT count(*)::integer FROM notices.notices WHERE kind = 'payout_difference'`); n != 2*len(want) {
		t.Errorf("told %d times in all once it is back, want %d", n, 2*len(want))
	}
}

// TestUnbookedContentBecomesMissing at last, and not at once.
func TestUnbookedContentBecomesMissing(t *testing.T) {
	e := newEnv(t, stripesim.Config{})
	p := paidOut(e, vallon, "")
	e.clock.Advance(2 * day)
	e.delivered()
	// Only the payouts' part runs: the second half of the balance is not read.
	if _, err := e.pool.Exec(t.Context(), `UPDATE webhooks.accounts SET next_sync_at = 'infinity'`); err != nil {
		t.Fatal(err)
	}
	sync := func() payouts.Payout {
		t.Helper()
		err := errors.Join(e.payouts.Read(t.Context(), "", p.ID), e.payouts.Sync(t.Context(), "", time.Time{}, true, true))
		if err != nil {
			t.Fatal(err)
		}
		return e.payout(payouts.Everybody, p.ID)
	}
	if got := sync(); got.Reconciliation != payouts.ReconciliationPending {
		t.Errorf("at once it is %+v", got)
	}
	e.clock.Advance(4 * day)
	got := sync()
	if got.Reconciliation != payouts.ReconciliationDiffers || len(got.Findings) != 1 || got.Findings[0].Transaction != got.Transaction {
		t.Errorf("later it is %+v", got)
	}
	e.run("")
	if got := e.payout("vallon", p.ID); got.Reconciliation != payouts.ReconciliationMatched {
		t.Errorf("booked it is %+v", got)
	}
	e.wantAccounts("", map[string]int64{"vallon 1100": 3890})
}

func TestAPayoutOfAClosedPeriod(t *testing.T) {
	e := newEnv(t, stripesim.Config{})
	// Only what has passed by the database's clock can be closed.
	e.clock.Set(time.Now().Add(-60 * day))
	p := paidOut(e, vallon, "")
	e.run("")
	e.clock.Advance(5 * day)
	closed := p.ArrivalDate.Add(day)
	if _, err := e.ledger.ClosePeriod(t.Context(), "", "vallon", closed); err != nil {
		t.Fatal(err)
	}
	e.delivered()
	e.run("")
	e.wantAccounts("", map[string]int64{"vallon 1100": 3890})
	moves, err := e.ledger.MoneyMovements(t.Context(), "", []string{payouts.BankReference(p.ID)}, "")
	if err != nil || len(moves) != 1 || !moves[0].Effective.Equal(closed) {
		t.Errorf("posted as %v, %v", moves, err)
	}
}
