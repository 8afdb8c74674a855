package stripesim

import (
	"cmp"
	"net/http"
	"time"
)

// warning is a card network's early warning that a payment was fraudulent, before any dispute. It moves no money.
// Actionable means that a refund can still prevent a dispute.
type warning struct {
	ID         string `json:"id"`
	Created    int64  `json:"created"`
	ChargeID   string `json:"charge_id"`
	FraudType  string `json:"fraud_type"`
	Actionable bool   `json:"actionable"`
}

func (n *warning) key() (string, int64) { return n.ID, n.Created }

// render shows every member of an early fraud warning.
func (n *warning) render(w *world) document {
	return document{
		"id":             n.ID,
		"object":         "radar.early_fraud_warning",
		"actionable":     n.Actionable,
		"charge":         n.ChargeID,
		"created":        n.Created,
		"fraud_type":     n.FraudType,
		"livemode":       false,
		"payment_intent": orNull(w.Charges.byID[n.ChargeID].IntentID),
	}
}

// lowerWarnings makes the warnings of a charge no longer actionable, once it is disputed or fully refunded. It is
// called after each refund and dispute. A repeat finds no actionable warning and emits nothing.
func (s *Sim) lowerWarnings(w *world, ch *charge, now time.Time) {
	if ch.DisputeID == "" && ch.Refunded < ch.Amount {
		return
	}
	for _, n := range w.Warnings.rows {
		if n.ChargeID == ch.ID && n.Actionable {
			n.Actionable = false
			s.emit(w, "radar.early_fraud_warning.updated", n.render(w), document{"actionable": true}, request{}, now)
		}
	}
}

func (s *Sim) getWarning(c *call) (document, *apiError) {
	id := c.http.PathValue("id")
	n, ok := c.world.Warnings.get(id)
	if !ok {
		return nil, noSuch(http.StatusNotFound, "early fraud warning", id, "id")
	}
	return n.render(c.world), nil
}

// listWarnings filters by charge or payment intent; an unknown id is an error.
func (s *Sim) listWarnings(c *call) (document, *apiError) {
	keep, err := c.world.ofPayment(c.params)
	if err != nil {
		return nil, err
	}
	return listPage(&c.world.Warnings, c.params, "/v1/radar/early_fraud_warnings", "early fraud warning",
		func(n *warning) bool { return keep(n.ChargeID) }, func(n *warning) document { return n.render(c.world) })
}

// WarnOfFraud makes the card network warn of a charge. fraudType is in Stripe's words; made_with_stolen_card when
// empty. The warning is actionable unless the charge is disputed or fully refunded.
func (s *Sim) WarnOfFraud(charge, fraudType string) (id string, err error) {
	now := s.lock()
	defer s.unlock()
	w, ch, err := s.findCharge(charge)
	if err != nil {
		return "", err
	}
	n := &warning{
		ID: newID("issfr_1", 23), Created: now.Unix(), ChargeID: ch.ID,
		FraudType: cmp.Or(fraudType, "made_with_stolen_card"), Actionable: ch.DisputeID == "" && ch.Refunded < ch.Amount,
	}
	w.Warnings.add(n)
	s.emit(w, "radar.early_fraud_warning.created", n.render(w), nil, request{}, now)
	return n.ID, nil
}

// Warning is a read-only copy of an early fraud warning.
type Warning struct {
	ID         string `json:"id"`
	ChargeID   string `json:"charge_id"`
	Actionable bool   `json:"actionable"`
}

// Warnings returns the account's early fraud warnings ("" for the platform), oldest first; nil for an unknown account.
func (s *Sim) Warnings(account string) []Warning {
	s.lock()
	defer s.unlock()
	w := s.world(account)
	if w == nil {
		return nil
	}
	out := make([]Warning, 0, len(w.Warnings.rows))
	for _, n := range w.Warnings.rows {
		out = append(out, Warning{ID: n.ID, ChargeID: n.ChargeID, Actionable: n.Actionable})
	}
	return out
}
