package stripesim

import (
	"slices"
	"time"
)

// The kinds of what can be due. A new feature adds a kind here and its function in perform.
const (
	dueSessionExpiry = "session_expiry"
	dueChargeBalance = "charge_balance"
	// A payout's ways, and the time to make the automatic ones.
	duePayoutSubmitted = "payout_submitted"
	duePayoutPaid      = "payout_paid"
	duePayoutDay       = "payout_day"
	dueDebitEnd        = "debit_end"
	dueDebitDispute    = "debit_dispute"
)

// due is something that will happen at a time of the clock. Account names the world, and ID the row in the table that
// belongs to the kind. An entry whose row has changed meanwhile does nothing, so an entry can stay when plans change.
type due struct {
	At      time.Time `json:"at"`
	Kind    string    `json:"kind"`
	Account string    `json:"account"`
	ID      string    `json:"id"`
}

// agenda is ordered by time. Equal times keep the order in which they were added.
type agenda []due

func (a *agenda) add(d due) {
	i, _ := slices.BinarySearchFunc(*a, d.At, func(e due, at time.Time) int {
		if e.At.After(at) {
			return 1
		}
		return -1
	})
	*a = slices.Insert(*a, i, d)
}

// catchUp performs everything that is due at now, each at its own time, so that a jump of the clock has the same result
// as the time passing. The world is locked. An item may add others that are due as well; the loop finds them, because
// it reads the agenda anew.
func (s *Sim) catchUp(now time.Time) {
	for len(s.agenda) > 0 && !s.agenda[0].At.After(now) {
		d := s.agenda[0]
		s.agenda = s.agenda[1:]
		s.changed = true
		s.perform(d, d.At)
	}
	s.forgetOld(now)
}

// perform does what one item stands for; now is the item's time. Each case checks whether the state still allows it.
func (s *Sim) perform(d due, now time.Time) {
	w := s.worlds[d.Account]
	switch d.Kind {
	case dueSessionExpiry:
		if se, ok := w.Sessions.get(d.ID); ok && se.Status == sessionOpen {
			s.expireSession(w, se, request{}, now)
		}
	case dueSubscriptionCycle, dueSubscriptionExpiry, dueSubscriptionEnd, dueSubscriptionResume, dueInvoiceFinal, dueInvoiceRetry:
		s.performSubscription(w, d, now)
	case dueChargeBalance:
		if ch, ok := w.Charges.get(d.ID); ok {
			s.settleLate(w, ch, now)
		}
	case duePayoutDay:
		s.payOutDaily(w, now)
	case duePayoutSubmitted, duePayoutPaid:
		if p, ok := w.Payouts.get(d.ID); ok {
			s.advancePayout(w, p, d.Kind, now)
		}
	case dueDebitEnd:
		if ch, ok := w.Charges.get(d.ID); ok {
			s.debitAnswered(w, ch, now)
		}
	case dueDebitDispute:
		if ch, ok := w.Charges.get(d.ID); ok {
			s.debitDisputed(w, ch, now)
		}
	}
}

// SetFeeDelay changes Config.FeeDelay for charges from now on.
func (s *Sim) SetFeeDelay(delay time.Duration) {
	s.lock()
	defer s.unlock()
	s.cfg.FeeDelay = delay
}

// SettleFees makes all pending balance transactions visible now.
func (s *Sim) SettleFees() {
	now := s.lock()
	defer s.unlock()
	// Its capacity is zero, so append does not overwrite the agenda that is being read.
	rest := s.agenda[:0:0]
	for _, d := range s.agenda {
		if d.Kind != dueChargeBalance {
			rest = append(rest, d)
			continue
		}
		s.changed = true
		s.perform(d, now)
	}
	s.agenda = rest
}

// clockChanged performs what became due before the change of the clock returns.
func (s *Sim) clockChanged() {
	// lock performs what is due, and unlock hands over its events.
	s.lock()
	s.unlock()
	signal(s.wake)
}

// runAgenda performs what is due on time when there are no calls.
func (s *Sim) runAgenda() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		now := s.lock()
		wait := time.Hour
		// A frozen clock makes nothing due by itself. Whoever moves it wakes this loop.
		if len(s.agenda) > 0 && !s.clock.isFrozen() {
			wait = min(wait, s.agenda[0].At.Sub(now))
		}
		s.unlock()
		timer.Reset(max(wait, time.Millisecond))
		select {
		case <-s.stop:
			return
		case <-s.wake:
		case <-timer.C:
		}
	}
}
