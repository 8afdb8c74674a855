package donations

import "slices"

// State is how far a donation has come.
type State string

// The states of a donation.
const (
	StateCreated           State = "created"
	StatePending           State = "pending"
	StateSucceeded         State = "succeeded"
	StateExpired           State = "expired"
	StateFailed            State = "failed"
	StateCanceled          State = "canceled"
	StatePartiallyRefunded State = "partially_refunded"
	StateRefunded          State = "refunded"
	StateDisputed          State = "disputed"
)

// next returns the states that a donation can go to from s. The trigger donations.check_change has the same table. Only the
// balance moves a donation among the paid states: see bookRefundsSQL.
func (s State) next() []State {
	switch s {
	case StateCreated:
		return []State{StatePending, StateSucceeded, StateExpired, StateFailed, StateCanceled}
	case StatePending:
		return []State{StateSucceeded, StateFailed}
	case StateExpired: // its page is opened again, or was paid after all
		return []State{StateCreated, StatePending, StateSucceeded}
	// Money that arrived overrules a report that it would not.
	case StateFailed, StateCanceled:
		return []State{StateSucceeded}
	case StateSucceeded:
		return []State{StatePartiallyRefunded, StateRefunded, StateDisputed}
	case StatePartiallyRefunded:
		return []State{StateSucceeded, StateRefunded, StateDisputed}
	case StateRefunded:
		return []State{StateSucceeded, StatePartiallyRefunded, StateDisputed}
	case StateDisputed:
		return []State{StateSucceeded, StatePartiallyRefunded, StateRefunded}
	}
	return nil
}

// CanBecome reports whether a donation can go from s to next in one step. Staying in a state is no step.
func (s State) CanBecome(next State) bool { return slices.Contains(s.next(), next) }

// Paid reports whether the donation was paid, including one that went back since.
func (s State) Paid() bool {
	switch s {
	// The constraint donations_paid lists the same states.
	case StateSucceeded, StatePartiallyRefunded, StateRefunded, StateDisputed:
		return true
	}
	return false
}

// Open reports whether the payment may still change at Stripe.
func (s State) Open() bool { return s == StateCreated || s == StatePending }
