package webhooks

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cagnotte/cagnotte/services/campaigns"
	"github.com/cagnotte/cagnotte/services/collectives"
	"github.com/cagnotte/cagnotte/services/internal/stripesim"
	"github.com/cagnotte/cagnotte/services/ledger"
	"github.com/cagnotte/cagnotte/services/payouts"
)

const day = 24 * time.Hour

// paidOut pays two donations of 20 €, which reach the bank as one automatic payout of 38.90 €.
func paidOut(e *env, name campaigns.Name, account string) stripesim.Payout {
	e.t.Helper()
	for range 2 {
		e.pay(e.give(name))
	}
	e.run(account)
	if err := e.sim.SchedulePayouts(account, true); err != nil {
		e.t.Fatal(err)
	}
	e.clock.Advance(8 * day)
	if err := e.sim.SchedulePayouts(account, false); err != nil {
		e.t.Fatal(err)
	}
	list := e.sim.Payouts(account)
	return list[len(list)-1]
}

// accounts are the balances of a whole book, by the collective and the account's code, without those that are zero.
func (e *env) accounts(book string) map[string]int64 {
	e.t.Helper()
	rows, err := e.pool.Query(e.t.Context(), `
		SELECT e.collective || ' ' || a.code, sum(e.amount)::bigint
		FROM ledger.entries AS e JOIN ledger.accounts AS a ON a.id = e.account_id
		WHERE a.book = $1 AND a.type = 'asset' GROUP BY 1 HAVING sum(e.amount) <> 0`, book)
	if err != nil {
		e.t.Fatal(err)
	}
	defer rows.Close()
	sums := map[string]int64{}
	for rows.Next() {
		var key string
		var sum int64
		if err := rows.Scan(&key, &sum); err != nil {
			e.t.Fatal(err)
		}
		sums[key] = sum
	}
	return sums
}

func (e *env) wantAccounts(book string, want map[string]int64) {
	e.t.Helper()
	if diff := cmp.Diff(want, e.accounts(book)); diff != "" {
		e.t.Errorf("the accounts of %q: %s", book, diff)
	}
}

// payout is one as the collective sees it.
func (e *env) payout(collective, id string) payouts.Payout {
	e.t.Helper()
	p, err := e.payouts.Get(e.t.Context(), collective, id)
	if err != nil {
		e.t.Fatal(err)
	}
	return p
}

func TestAPayoutReachesTheBank(t *testing.T) {
	e := newEnv(t, stripesim.Config{})
	p := paidOut(e, festival, connected)
	e.delivered()
	e.run(connected)
	e.wantAccounts(connected, map[string]int64{"festival 1300": 3890})
	if got := e.payout("festival", p.ID); got.Reconciliation != payouts.ReconciliationMatched || !got.BankTime.IsZero() || got.Share.Minor != 3890 {
		t.Errorf("on its way it is %+v", got)
	}
	e.clock.Advance(2 * day)
	e.delivered()
	for range 2 {
		e.run(connected)
		e.wantAccounts(connected, map[string]int64{"festival 1100": 3890})
	}
	got := e.payout("festival", p.ID)
	if got.Reconciliation != payouts.ReconciliationMatched || got.BankTime.IsZero() || len(got.Findings) > 0 {
		t.Errorf("at the bank it is %+v", got)
	}
	t.Run("and comes back days later", func(t *testing.T) {
		e.clock.Advance(3 * day)
		if err := e.sim.FailPayout(p.ID, "account_closed"); err != nil {
			t.Fatal(err)
		}
		e.delivered()
		for range 2 {
			e.run(connected)
			e.wantAccounts(connected, map[string]int64{"festival 1200": 3890})
		}
		var notices int
		if err := e.pool.QueryRow(t.Context(), `SELECT count(*) FROM notices.notices WHERE kind = 'payout_failed'`).Scan(&notices); err != nil || notices != 2 {
			t.Errorf("%d were told, err = %v", notices, err)
		}
	})
}

func TestPayoutsNeedNoEvents(t *testing.T) {
	e := newEnv(t, stripesim.Config{})
	e.sim.SetDelivery(stripesim.Delivery{Drop: true})
	paidOut(e, vallon, "")
	e.clock.Advance(3 * day)
	e.regular("")
	e.run("")
	e.wantAccounts("", map[string]int64{"vallon 1100": 3890})
	if err := e.sim.FailPayout(e.sim.Payouts("")[0].ID, "account_closed"); err != nil {
		t.Fatal(err)
	}
	e.regular("")
	e.run("")
	e.wantAccounts("", map[string]int64{"vallon 1200": 3890})
}

// Of an account that was out of reach for longer than Stripe keeps events nothing but the list tells.
func TestAPayoutThatFailedWhileTheAccountWasDisconnected(t *testing.T) {
	e := newEnv(t, stripesim.Config{})
	p := paidOut(e, festival, connected)
	e.clock.Advance(2 * day)
	e.regular(connected)
	e.run(connected)
	e.wantAccounts(connected, map[string]int64{"festival 1100": 3890})
	if err := e.webhooks.setConnected(t.Context(), connected, false, e.webhooks.now()); err != nil {
		t.Fatal(err)
	}
	e.sim.SetDelivery(stripesim.Delivery{Drop: true})
	if err := e.sim.FailPayout(p.ID, "account_closed"); err != nil {
		t.Fatal(err)
	}
	e.clock.Advance(40 * day)
	if err := e.webhooks.setConnected(t.Context(), connected, true, e.webhooks.now()); err != nil {
		t.Fatal(err)
	}
	e.regular(connected)
	e.run(connected)
	e.wantAccounts(connected, map[string]int64{"festival 1200": 3890})
	if told := one[int](e, `SELECT count(*)::integer FROM notices.notices WHERE kind = 'payout_failed'`); told != 2 {
		t.Errorf("%d were told, want the operator and the collective", told)
	}
}

// regular makes the next sync the timer's.
func (e *env) regular(account string) {
	e.t.Helper()
	if _, err := e.pool.Exec(e.t.Context(), `UPDATE webhooks.accounts SET last_regular_at = '-infinity' WHERE account = $1`, account); err != nil {
		e.t.Fatal(err)
	}
}

func TestPayoutsOutOfOrder(t *testing.T) {
	e := newEnv(t, stripesim.Config{})
	p := paidOut(e, vallon, "")
	e.clock.Advance(2 * day)
	e.delivered()
	t.Run("paid before its balance transaction is booked", func(t *testing.T) {
		if err := e.payouts.Read(t.Context(), "", p.ID); err != nil {
			t.Fatal(err)
		}
		if err := e.payouts.Sync(t.Context(), "", time.Time{}, false, true); err != nil {
			t.Fatal(err)
		}
		e.wantAccounts("", map[string]int64{"vallon 1200": 3890})
		e.run("")
		e.wantAccounts("", map[string]int64{"vallon 1100": 3890})
	})
	t.Run("by two at once", func(t *testing.T) {
		done := make(chan error, 2)
		for range 2 {
			go func() { done <- e.payouts.Sync(context.Background(), "", time.Time{}, true, true) }()
		}
		for range 2 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		e.wantAccounts("", map[string]int64{"vallon 1100": 3890})
	})
}

func TestANegativePayout(t *testing.T) {
	e := newEnv(t, stripesim.Config{})
	d := e.give(vallon)
	e.pay(d)
	e.run("")
	if err := e.sim.SchedulePayouts("", true); err != nil {
		t.Fatal(err)
	}
	e.clock.Advance(10 * day)
	e.delivered()
	e.run("")
	if _, err := e.sim.Refund(e.sim.Sessions("")[0].ChargeID, 0); err != nil {
		t.Fatal(err)
	}
	e.clock.Advance(4 * day)
	e.delivered()
	e.run("")
	e.wantAccounts("", map[string]int64{"vallon 1100": 1945 - 2000})
	if list := e.sim.Payouts(""); len(list) != 2 || list[1].AmountMinor != -2000 {
		t.Errorf("paid out %v", list)
	}
}

// TestAPayoutOfManyDonations has more inside than Stripe lists at once, and is canceled, so that the next one has it all.
func TestAPayoutOfManyDonations(t *testing.T) {
	e := newEnv(t, stripesim.Config{})
	const donations = 105
	for range donations {
		e.pay(e.give(vallon))
	}
	if err := e.sim.SchedulePayouts("", true); err != nil {
		t.Fatal(err)
	}
	for len(e.sim.Payouts("")) == 0 {
		e.clock.Advance(4 * time.Hour)
	}
	if err := e.sim.CancelPayout(e.sim.Payouts("")[0].ID); err != nil {
		t.Fatal(err)
	}
	e.clock.Advance(4 * day)
	e.delivered()
	e.run("")
	e.wantAccounts("", map[string]int64{"vallon 1100": donations * 1945})
	for i, made := range e.sim.Payouts("") {
		p := e.payout("vallon", made.ID)
		found, sum := kinds(e.allLines("vallon", p))
		if sum != donations*1945 || found[payouts.LineDonation] != donations*(1-i) || p.Reconciliation != payouts.ReconciliationMatched {
			t.Errorf("%s has %v that sum to %d, %+v", p.ID, found, sum, p)
		}
	}
}

func TestAManualPayout(t *testing.T) {
	e := newEnv(t, stripesim.Config{})
	e.pay(e.give(vallon))
	e.clock.Advance(8 * day)
	id, err := e.sim.CreatePayout("", 1000, "eur")
	if err != nil {
		t.Fatal(err)
	}
	e.clock.Advance(3 * day)
	e.delivered()
	e.run("")
	e.wantAccounts("", map[string]int64{"vallon 1200": 945, "vallon 1100": 1000})
	p := e.payout("vallon", id)
	lines, next, err := e.payouts.Lines(t.Context(), p, payouts.LineQuery{Collective: "vallon", Share: 1000, Count: 10})
	if p.Reconciliation != payouts.ReconciliationNotApplicable || err != nil || next != nil {
		t.Errorf("it is %+v, %v", p, err)
	}
	if diff := cmp.Diff([]payouts.Line{{Kind: payouts.LineUndetailed, Gross: 1000, Net: 1000}}, lines); diff != "" {
		t.Error(diff)
	}
	one, err := e.payouts.Line(t.Context(), p, payouts.LineQuery{Collective: "vallon", Share: 1000}, "remainder")
	if err != nil || one != lines[0] {
		t.Errorf("its line is %+v, %v", one, err)
	}
}

// The fee of an automatic payout is no part of its amount, and no difference.
func TestAPayoutWithAFeeOfItsOwn(t *testing.T) {
	e := newEnv(t, stripesim.Config{})
	if err := e.sim.SetPayoutFee("", 25); err != nil {
		t.Fatal(err)
	}
	p := paidOut(e, vallon, "")
	e.clock.Advance(2 * day)
	e.delivered()
	for range 2 {
		e.run("")
	}
	e.wantAccounts("", map[string]int64{"vallon 1100": 3865})
	if got := e.payout("vallon", p.ID); got.Reconciliation != payouts.ReconciliationMatched || p.AmountMinor != 3865 {
		t.Errorf("of %d it is %+v", p.AmountMinor, got)
	}
	if fees := e.balances("")[ledger.RoleStripeFees]; fees != 2*55+25 {
		t.Errorf("fees %d", fees)
	}
}

// inZone sets where a collective's days begin.
func (e *env) inZone(collective, zone string) {
	e.t.Helper()
	groups := collectives.New(collectives.Config{Pool: e.pool, Now: e.clock.Now})
	if _, err := groups.Update(e.t.Context(), collective, "", func(c *collectives.Collective) error {
		c.TimeZone = zone
		return nil
	}); err != nil {
		e.t.Fatal(err)
	}
}

// Stripe says a day, and no time: it is that day west of Greenwich too, and so in that year's books.
func TestAPayoutArrivesOnItsDayEverywhere(t *testing.T) {
	for _, zones := range [][2]string{
		{"America/Martinique", "America/Martinique"},
		{"Pacific/Tahiti", "America/Cayenne"},
		{"Europe/Paris", "America/Guadeloupe"},
		{"Indian/Reunion", "Pacific/Noumea"},
		{"Pacific/Noumea", "America/Cayenne"},
	} {
		t.Run(zones[0]+" and "+zones[1], func(t *testing.T) {
			e := newEnv(t, stripesim.Config{})
			e.addNeighbour()
			e.inZone("vallon", zones[0])
			e.inZone("marseille", zones[1])
			e.clock.Set(time.Date(2027, 12, 23, 10, 0, 0, 0, time.UTC)) // paid out on the 30th, arrives on the 1st
			e.pay(e.give(neighbour))
			p := paidOut(e, vallon, "")
			e.clock.Advance(3 * day)
			e.delivered()
			e.run("")
			moves, err := e.ledger.MoneyMovements(t.Context(), "", []string{payouts.BankReference(p.ID)}, "")
			if err != nil || len(moves) < 2 {
				t.Fatalf("posted as %v, %v", moves, err)
			}
			want := p.ArrivalDate.Format(time.DateOnly)
			if want != "2028-01-01" {
				t.Fatalf("it arrives on %s", want)
			}
			for _, zone := range zones {
				location, err := time.LoadLocation(zone)
				if err != nil {
					t.Fatal(err)
				}
				if got := moves[0].Effective.In(location).Format(time.DateOnly); got != want {
					t.Errorf("in %s it is at the bank on %s, want %s", zone, got, want)
				}
			}
		})
	}
}
