package stripesim

import (
	"time"

	"github.com/google/uuid"
)

// Pay pays an open session with a card, as a donor does on the hosted page. When it returns, the payment intent, the
// charge and their events exist; webhooks follow. A card that asks for 3-D Secure passes it. A declined card returns a
// *DeclinedError and leaves the session open; a session that is not open or does not exist returns a *SessionError.
func (s *Sim) Pay(sessionID string, card Card) error {
	return s.pay(sessionID, card, "")
}

// pay is Pay with the e-mail address that was typed, which applies unless the merchant set one. A refused number
// changes nothing, not even the intent. The events come in the order charge, intent, session.
func (s *Sim) pay(sessionID string, card Card, email string) error {
	now := s.lock()
	defer s.unlock()
	w, se, err := s.findOpen(sessionID)
	if err != nil {
		return err
	}
	number, facts, err := card.lookup()
	if err != nil {
		return err
	}
	who := se.payer(email, facts.country)
	by := pageRequest()
	in := s.intentOf(w, se, by, now)
	// The page may have begun the challenge before.
	if facts.challenge && in.Status != intentNeedsAction {
		s.ask(w, se, in, by, now)
	}
	m := &paymentMethod{ID: newID("pm_1", 23), Created: now.Unix(), Number: number, Challenged: facts.challenge, Donor: who}
	if se.Mode == modeSubscription {
		return s.paySubscription(w, se, m, by, now)
	}
	w.PaymentMethods.add(m)
	ch := newCharge(in, m, facts.decline, now)
	w.Charges.add(ch)
	in.ChargeID = ch.ID
	// The session stays open, and the next attempt uses the same intent with another charge.
	if facts.decline != nil {
		in.Status, in.LastError, in.LastMethod = intentNeedsMethod, facts.decline, m.ID
		s.emit(w, "charge.failed", ch.render(), nil, by, now)
		s.emit(w, "payment_intent.payment_failed", in.render(w), nil, by, now)
		return facts.decline
	}

	// The balance transaction exists before the events, unless the fee comes later.
	if s.cfg.FeeDelay > 0 {
		s.agenda.add(due{At: now.Add(s.cfg.FeeDelay), Kind: dueChargeBalance, Account: w.ID, ID: ch.ID})
	} else {
		w.settle(ch)
	}
	in.Status, in.MethodID, in.LastError, in.LastMethod = intentSucceeded, m.ID, nil, ""
	se.Status, se.Donor = sessionComplete, &who
	s.emit(w, "charge.succeeded", ch.render(), nil, by, now)
	s.emit(w, "payment_intent.succeeded", in.render(w), nil, by, now)
	s.emit(w, "checkout.session.completed", se.render(), nil, request{}, now)
	return nil
}

// pageRequest is a request of the payment page, which uses the API too.
func pageRequest() request { return request{ID: newID("req_", 14), Key: uuid.NewString()} }

// payer is the payer of a session. The e-mail address that the merchant set takes precedence.
func (se *session) payer(email, country string) donor {
	who := donor{Email: se.CustomerEmail, Name: "Simulated Donor", Country: country}
	if who.Email == "" {
		who.Email = email
	}
	if who.Email == "" {
		who.Email = "donor@example.org"
	}
	return who
}

// intentOf returns the session's payment intent, which the first payment attempt creates.
func (s *Sim) intentOf(w *world, se *session, by request, now time.Time) *intent {
	if se.Mode == modeSubscription {
		return s.subscriptionIntent(w, se, by, now)
	}
	if in := w.Intents.byID[se.IntentID]; in != nil {
		return in
	}
	in := newIntent(se, s.cfg.FeeDelay > 0, now)
	w.Intents.add(in)
	se.IntentID = in.ID
	s.emit(w, "payment_intent.created", in.render(w), nil, by, now)
	return in
}

// settleLate creates a charge's late balance transaction, and announces it. It is performed once for each charge, by
// the entry of the agenda that the payment made.
func (s *Sim) settleLate(w *world, ch *charge, now time.Time) {
	w.settle(ch)
	s.emit(w, "charge.updated", ch.render(), document{"balance_transaction": nil}, request{}, now)
}
