package stripesim

import "time"

// errNotAuthenticated is a failed 3-D Secure challenge. No charge is made.
var errNotAuthenticated = &DeclinedError{
	Code:    "payment_intent_authentication_failure",
	Message: "We are unable to authenticate your payment method. Please choose a different payment method and try again.",
}

// ask begins the 3-D Secure challenge. The session stays open, and the intent requires an action until the next
// attempt, passed or failed. The world is locked.
func (s *Sim) ask(w *world, se *session, in *intent, by request, now time.Time) {
	in.Status, in.Challenge = intentNeedsAction, se.URL
	s.emit(w, "payment_intent.requires_action", in.render(w), nil, by, now)
}

// challenge begins the 3-D Secure challenge of a card on an open session; false for cards without one. It is called
// before the payment itself, when the form is sent for the first time. A repeat emits no second event.
func (s *Sim) challenge(sessionID string, card Card) bool {
	now := s.lock()
	defer s.unlock()
	w, se, err := s.findOpen(sessionID)
	if err != nil {
		return false
	}
	_, facts, err := card.lookup()
	if err != nil || !facts.challenge {
		return false
	}
	by := pageRequest()
	if in := s.intentOf(w, se, by, now); in.Status != intentNeedsAction {
		s.ask(w, se, in, by, now)
	}
	return true
}

// FailChallenge fails the challenge of a card. The session stays open. It returns a *DeclinedError, or a *SessionError
// when the session is not open.
func (s *Sim) FailChallenge(sessionID string, card Card) error {
	now := s.lock()
	defer s.unlock()
	w, se, err := s.findOpen(sessionID)
	if err != nil {
		return err
	}
	number, _, err := card.lookup()
	if err != nil {
		return err
	}
	by := pageRequest()
	in := s.intentOf(w, se, by, now)
	// The payment method is stored, because the error of the intent shows it.
	m := &paymentMethod{ID: newID("pm_1", 23), Created: now.Unix(), Number: number, Donor: se.payer("", "")}
	w.PaymentMethods.add(m)
	in.Status, in.LastError, in.LastMethod = intentNeedsMethod, errNotAuthenticated, m.ID
	s.emit(w, "payment_intent.payment_failed", in.render(w), nil, by, now)
	return errNotAuthenticated
}
