package stripesim

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// SchedulePayouts switches the account's daily automatic payouts on or off; default off. Each midnight UTC, they pay
// out what is available and in no payout yet, one payout for each currency. A negative one debits the bank. Other
// intervals are not simulated.
func (s *Sim) SchedulePayouts(account string, on bool) error {
	now := s.lock()
	defer s.unlock()
	w := s.world(account)
	if w == nil {
		return fmt.Errorf("stripesim: no account %s", account)
	}
	if on && !w.DailyPayouts {
		s.scheduleNextPayout(w, now)
	}
	w.DailyPayouts, s.changed = on, true
	return nil
}

// scheduleNextPayout plans the next midnight UTC, in place of the one that was planned. So switching off and on again
// on one day does not make two payouts.
func (s *Sim) scheduleNextPayout(w *world, now time.Time) {
	midnight := now.UTC().Truncate(24*time.Hour).AddDate(0, 0, 1)
	s.agenda = slices.DeleteFunc(s.agenda, func(d due) bool { return d.Kind == duePayoutDay && d.Account == w.ID })
	s.agenda.add(due{At: midnight, Kind: duePayoutDay, Account: w.ID})
}

// payOutDaily makes the day's automatic payouts. The world is locked. A currency whose sum is zero waits for the next
// day.
func (s *Sim) payOutDaily(w *world, now time.Time) {
	if !w.DailyPayouts {
		return
	}
	s.scheduleNextPayout(w, now)
	held, sums := map[string][]*balanceTxn{}, map[string]int64{}
	for _, b := range w.Balance.rows {
		if b.PayoutID == "" && b.status(now) == "available" {
			held[b.Currency] = append(held[b.Currency], b)
			sums[b.Currency] += b.Amount - b.fee()
		}
	}
	for _, currency := range slices.Sorted(maps.Keys(sums)) {
		if sums[currency] != 0 {
			s.addPayout(w, sums[currency]-w.PayoutFee, currency, held[currency], true, now)
		}
	}
}

// SetPayoutFee sets a fee, in minor units, of each later automatic payout of the account. The payout's own balance
// transaction has it; the bank gets the available balance without it.
func (s *Sim) SetPayoutFee(account string, minor int64) error {
	s.lock()
	defer s.unlock()
	w := s.world(account)
	if w == nil || minor < 0 {
		return fmt.Errorf("stripesim: no account %s, or a fee of %d", account, minor)
	}
	w.PayoutFee, s.changed = minor, true
	return nil
}
