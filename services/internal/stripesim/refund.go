package stripesim

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// States of a refund. Stripe's requires_action and canceled belong to ways to pay that are not simulated.
const (
	refundPending   = "pending"
	refundSucceeded = "succeeded"
	refundFailed    = "failed"
)

// refund is a refund of a charge. It is pending while the balance does not cover it, then succeeded; both can still
// fail, and failed is final. Amount is in minor units of the charge's currency. BalanceID and FailureID name the
// balance transactions that took the money and brought it back.
type refund struct {
	ID            string            `json:"id"`
	Created       int64             `json:"created"`
	Amount        int64             `json:"amount"`
	Currency      string            `json:"currency"`
	ChargeID      string            `json:"charge_id"`
	Reason        string            `json:"reason,omitempty"`
	Metadata      map[string]string `json:"metadata,omitempty"`
	Status        string            `json:"status"`
	BalanceID     string            `json:"balance_id,omitempty"` // "" while it waits for money
	FailureReason string            `json:"failure_reason,omitempty"`
	FailureID     string            `json:"failure_id,omitempty"` // the balance transaction that brought it back
}

func (r *refund) key() (string, int64) { return r.ID, r.Created }

// render shows what Stripe shows: a failure's members only where there is one.
func (r *refund) render(w *world) document {
	ch := w.Charges.byID[r.ChargeID]
	o := document{
		"id":                       r.ID,
		"object":                   "refund",
		"amount":                   r.Amount,
		"balance_transaction":      orNull(r.BalanceID),
		"charge":                   r.ChargeID,
		"created":                  r.Created,
		"currency":                 r.Currency,
		"metadata":                 orEmpty(r.Metadata),
		"payment_intent":           orNull(ch.IntentID),
		"reason":                   orNull(r.Reason),
		"receipt_number":           nil,
		"source_transfer_reversal": nil,
		"status":                   r.Status,
		"transfer_reversal":        nil,
	}
	// Only a refund to a card has a reference, which its bank gives later.
	if !ch.isDebit() {
		o["destination_details"] = document{
			"card": document{"reference_status": "pending", "reference_type": "acquirer_reference_number", "type": "refund"},
			"type": "card",
		}
	}
	if r.FailureReason != "" {
		o["failure_reason"] = r.FailureReason
	}
	if r.FailureID != "" {
		o["failure_balance_transaction"] = r.FailureID
	}
	return o
}

// isDebit: it was paid from a bank account, and is refunded to it.
func (ch *charge) isDebit() bool { return strings.HasPrefix(ch.ID, "py_") }

var refundCreateParams = schema{
	"amount":         opt(integer(1, 99_999_999)),
	"charge":         opt(text(0)),
	"expand":         opt(list(text(0), 0)),
	"metadata":       opt(metadata),
	"payment_intent": opt(text(0)),
	"reason":         opt(oneOf("duplicate", "fraudulent", "requested_by_customer")),
	"currency":       elsewhere, "customer": elsewhere, "instructions_email": elsewhere, "origin": elsewhere,
	"refund_application_fee": elsewhere, "reverse_transfer": elsewhere,
}

// createRefund refunds a charge, all that is left of it unless an amount is given. What makes a repeat harmless is the
// idempotency key alone: without one, a second call refunds once more.
func (s *Sim) createRefund(c *call) (document, *apiError) {
	ch, err := c.world.refundedCharge(c.params)
	if err != nil {
		return nil, err
	}
	// The schema has refused an amount below one, so zero is left only for a charge without a rest, which refundCharge
	// refuses.
	amount, given := c.params.num("amount")
	if !given {
		amount = ch.Amount - ch.Refunded
	}
	r, err := s.refundCharge(c.world, ch, amount, c.params.str("reason"), c.params.dict("metadata"), c.request, c.now)
	if err != nil {
		return nil, err
	}
	return r.render(c.world), nil
}

// refundedCharge finds what a request wants to refund.
func (w *world) refundedCharge(p params) (*charge, *apiError) {
	id, intent := p.str("charge"), p.str("payment_intent")
	switch {
	case id != "" && intent != "":
		return nil, invalid("", "", "You may only specify one of these parameters: charge, payment_intent.")
	case id != "":
		ch, ok := w.Charges.get(id)
		if !ok {
			return nil, noSuch(http.StatusNotFound, "charge", id, "charge")
		}
		return ch, nil
	// The last attempt of the intent is the one that can have succeeded.
	case intent != "":
		in, ok := w.Intents.get(intent)
		if !ok {
			return nil, noSuch(http.StatusNotFound, "payment_intent", intent, "payment_intent")
		}
		if ch, ok := w.Charges.get(in.ChargeID); ok && ch.Failure == nil {
			return ch, nil
		}
		return nil, refused("", "", "This PaymentIntent (%s) does not have a successful charge to refund.", intent)
	}
	return nil, invalid("parameter_missing", "", "One of the following params should be provided for this request: payment_intent or charge.")
}

// refundCharge is what the API and the dashboard have in common. The checks come in this order: a charge that failed, a
// dispute, nothing left, too much. Only then does anything change. A debit that the bank has not answered can be
// refunded, as its charge has no failure.
func (s *Sim) refundCharge(w *world, ch *charge, amount int64, reason string, meta map[string]string, by request, now time.Time) (*refund, *apiError) {
	left := ch.Amount - ch.Refunded
	switch {
	case ch.Failure != nil:
		return nil, refused("charge_not_refundable", "", "Charge %s was not paid; there is nothing to refund.", ch.ID)
	case w.disputeBars(ch):
		return nil, refused("charge_disputed", "", "Charge %s has been charged back; cannot issue a refund.", ch.ID)
	case left == 0:
		return nil, refused("charge_already_refunded", "", "Charge %s has already been refunded.", ch.ID)
	case amount > left:
		return nil, refused("", "amount", "Refund amount (%s) is greater than unrefunded amount on charge (%s)",
			inWords(amount, ch.Currency), inWords(left, ch.Currency))
	}
	prefix := "re_3"
	if ch.isDebit() {
		prefix = "pyr_1"
	}
	r := &refund{
		ID: newID(prefix, 23), Created: now.Unix(), Amount: amount, Currency: ch.Currency, ChargeID: ch.ID,
		Reason: reason, Metadata: meta, Status: refundPending,
	}
	w.Refunds.add(r)
	// With a low balance the refund stays pending, until SetLowBalance pays it.
	if !w.LowBalance {
		w.payRefund(r, now)
	}
	// A pending refund counts as refunded too, so that the same money cannot be refunded twice.
	before := ch.Refunded
	ch.Refunded += amount
	s.emit(w, "refund.created", r.render(w), nil, by, now)
	s.emit(w, "charge.refunded", ch.render(), document{"amount_refunded": before}, by, now)
	// A charge that is fully refunded needs no more action against fraud.
	s.lowerWarnings(w, ch, now)
	return r, nil
}

// inWords is an amount as Stripe's messages have it.
func inWords(minor int64, currency string) string {
	return fmt.Sprintf("%d.%02d %s", minor/100, minor%100, strings.ToUpper(currency))
}

// payRefund takes a refund's money from the balance. A share of the charge's fee may be returned with it, as on old
// accounts.
func (w *world) payRefund(r *refund, now time.Time) {
	ch := w.Charges.byID[r.ChargeID]
	// Stripe has another type for what was paid by debit; the reporting category is the same.
	kind := "refund"
	if ch.isDebit() {
		kind = "payment_refund"
	}
	// The money leaves the balance that the charge settled in, which may be of another currency than the refund.
	amount, currency, rate := w.returnedAmount(ch, -r.Amount)
	b := &balanceTxn{
		ID: newID("txn_3", 23), Created: now.Unix(), AvailableOn: now.Unix(), Type: kind, Category: "refund",
		Amount: amount, Currency: currency, Rate: rate, Description: "REFUND FOR CHARGE", SourceID: r.ID,
	}
	if ch.Data.Description != "" {
		b.Description += " (" + ch.Data.Description + ")"
	}
	// The share is of the fee of the refunded part. It is a negative fee, and integer division rounds it towards zero.
	if charged, ok := w.Balance.get(ch.BalanceID); ok && w.RefundedFeePercent > 0 {
		b.Fees = []feeDetail{{
			Amount: -charged.fee() * w.RefundedFeePercent * r.Amount / ch.Amount / 100,
			Type:   "stripe_fee", Description: "Stripe processing fee refund",
		}}
	}
	w.Balance.add(b)
	r.Status, r.BalanceID = refundSucceeded, b.ID
}

// tellRefund announces a changed refund.
func (s *Sim) tellRefund(w *world, r *refund, previous document, now time.Time, kinds ...string) {
	// kinds come first; both names of the update follow.
	for _, kind := range append(kinds, "charge.refund.updated", "refund.updated") {
		s.emit(w, kind, r.render(w), previous, request{}, now)
	}
}

func (s *Sim) getRefund(c *call) (document, *apiError) {
	id := c.http.PathValue("id")
	r, ok := c.world.Refunds.get(id)
	if !ok {
		return nil, noSuch(http.StatusNotFound, "refund", id, "id")
	}
	return r.render(c.world), nil
}

var byPaymentParams = listParams(schema{"charge": opt(text(0)), "payment_intent": opt(text(0))})

// ofPayment filters a list of what belongs to a charge. The returned function tells whether a charge matches. An
// unknown id is an error.
func (w *world) ofPayment(p params) (func(charge string) bool, *apiError) {
	id, intent := p.str("charge"), p.str("payment_intent")
	if _, ok := w.Charges.get(id); id != "" && !ok {
		return nil, noSuch(http.StatusNotFound, "charge", id, "charge")
	}
	if _, ok := w.Intents.get(intent); intent != "" && !ok {
		return nil, noSuch(http.StatusNotFound, "payment_intent", intent, "payment_intent")
	}
	return func(charge string) bool {
		return (id == "" || charge == id) && (intent == "" || w.Charges.byID[charge].IntentID == intent)
	}, nil
}

func (s *Sim) listRefunds(c *call) (document, *apiError) {
	keep, err := c.world.ofPayment(c.params)
	if err != nil {
		return nil, err
	}
	return listPage(&c.world.Refunds, c.params, "/v1/refunds", "refund", func(r *refund) bool { return keep(r.ChargeID) },
		func(r *refund) document { return r.render(c.world) })
}

// Refund is a read-only copy of a refund; the amount is in minor units.
type Refund struct {
	ID            string `json:"id"`
	ChargeID      string `json:"charge_id"`
	AmountMinor   int64  `json:"amount_minor"`
	Status        string `json:"status"`
	FailureReason string `json:"failure_reason"`
}

// Refunds returns the account's refunds ("" for the platform), oldest first; nil for an unknown account.
func (s *Sim) Refunds(account string) []Refund {
	s.lock()
	defer s.unlock()
	w := s.world(account)
	if w == nil {
		return nil
	}
	out := make([]Refund, 0, len(w.Refunds.rows))
	for _, r := range w.Refunds.rows {
		out = append(out, Refund{ID: r.ID, ChargeID: r.ChargeID, AmountMinor: r.Amount, Status: r.Status, FailureReason: r.FailureReason})
	}
	return out
}

// Refund gives a charge's money back as somebody in the dashboard does; zero is all that is left. It fails
// with what the API would have said.
func (s *Sim) Refund(charge string, amountMinor int64) (id string, err error) {
	now := s.lock()
	defer s.unlock()
	w, ch, err := s.findCharge(charge)
	if err != nil {
		return "", err
	}
	// The events have no request, since the dashboard is no client of the API.
	r, refused := s.refundCharge(w, ch, cmp.Or(amountMinor, ch.Amount-ch.Refunded), "requested_by_customer", nil, request{}, now)
	if refused != nil {
		return "", fmt.Errorf("stripesim: %s", refused.Message)
	}
	return r.ID, nil
}

// FailRefund makes a refund fail that is pending or succeeded: its money, where it had left, comes back.
// reason is Stripe's word, such as expired_or_canceled_card.
func (s *Sim) FailRefund(id, reason string) error {
	now := s.lock()
	defer s.unlock()
	// A test names a refund alone, so it is looked up in every account.
	for _, w := range s.worlds {
		r, ok := w.Refunds.get(id)
		if !ok {
			continue
		}
		// A repeat finds the refund failed, and brings nothing back twice.
		if r.Status != refundPending && r.Status != refundSucceeded {
			return fmt.Errorf("stripesim: the refund %s is %s", id, r.Status)
		}
		before := document{"status": r.Status}
		// A pending refund has taken nothing yet, so nothing comes back.
		if gone, ok := w.Balance.get(r.BalanceID); ok {
			b := &balanceTxn{
				ID: newID("txn_3", 23), Created: now.Unix(), AvailableOn: now.Unix(), Type: "refund_failure", Category: "refund_failure",
				Amount: -gone.Amount, Currency: gone.Currency, Rate: gone.Rate, Description: "REFUND FAILURE", SourceID: r.ID,
			}
			w.Balance.add(b)
			r.FailureID = b.ID
		}
		r.Status, r.FailureReason = refundFailed, reason
		// The charge can be refunded again.
		w.Charges.byID[r.ChargeID].Refunded -= r.Amount
		s.tellRefund(w, r, before, now, "refund.failed")
		return nil
	}
	return fmt.Errorf("stripesim: no refund %s", id)
}

// SetLowBalance says whether the account's balance covers refunds; a new account's does. While it does not,
// they wait as pending; when it does again, those that wait go through.
func (s *Sim) SetLowBalance(account string, low bool) error {
	now := s.lock()
	defer s.unlock()
	w := s.world(account)
	if w == nil {
		return fmt.Errorf("stripesim: no account %s", account)
	}
	w.LowBalance, s.changed = low, true
	// The refunds go through in the order in which they were made.
	for _, r := range slices.Clone(w.Refunds.rows) {
		if !low && r.Status == refundPending {
			w.payRefund(r, now)
			s.tellRefund(w, r, document{"balance_transaction": nil, "status": refundPending}, now)
		}
	}
	return nil
}

// SetRefundedFee says how many percent of a charge's fee come back with its refund: 0, as on new accounts, to
// 100.
func (s *Sim) SetRefundedFee(account string, percent int) error {
	s.lock()
	defer s.unlock()
	w := s.world(account)
	if w == nil || percent < 0 || percent > 100 {
		return fmt.Errorf("stripesim: no account %q, or no share: %d", account, percent)
	}
	w.RefundedFeePercent, s.changed = int64(percent), true
	return nil
}

// findCharge looks in every account. It is called with the world locked.
func (s *Sim) findCharge(id string) (*world, *charge, error) {
	for _, w := range s.worlds {
		if ch, ok := w.Charges.get(id); ok {
			return w, ch, nil
		}
	}
	return nil, nil, fmt.Errorf("stripesim: no charge %s", id)
}
