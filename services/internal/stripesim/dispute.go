package stripesim

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"time"
)

// States of a dispute, https://docs.stripe.com/api/disputes/object#dispute_object-status.
const (
	disputeInquiry       = "warning_needs_response"
	disputeInquiryReview = "warning_under_review"
	disputeInquiryClosed = "warning_closed"
	disputeOpen          = "needs_response"
	disputeReview        = "under_review"
	disputeWon           = "won"
	disputeLost          = "lost"
	disputePrevented     = "prevented"
)

const (
	// disputeFee is Stripe's, in minor units, as the recorded disputes have it.
	disputeFee = 1500
	// evidenceTime is how long evidence can be handed in.
	evidenceTime = 9 * 24 * time.Hour
)

// dispute is a dispute or an inquiry of the payer's bank about a charge. Amount is in minor units of the charge's
// currency, and DueBy is until when evidence is accepted. The transactions alternate between withdrawals and returns;
// an inquiry and a prevented dispute have none.
type dispute struct {
	ID           string   `json:"id"`
	Created      int64    `json:"created"`
	Amount       int64    `json:"amount"`
	Currency     string   `json:"currency"`
	ChargeID     string   `json:"charge_id"`
	Reason       string   `json:"reason"`
	Status       string   `json:"status"`
	DueBy        int64    `json:"due_by"`
	Evidence     string   `json:"evidence,omitempty"`
	Transactions []string `json:"transactions,omitempty"` // balance transactions, in order
}

func (d *dispute) key() (string, int64) { return d.ID, d.Created }

// evidenceMembers are those of a dispute's evidence.
var evidenceMembers = []string{
	"access_activity_log", "billing_address", "cancellation_policy", "cancellation_policy_disclosure",
	"cancellation_rebuttal", "customer_communication", "customer_email_address", "customer_name",
	"customer_purchase_ip", "customer_signature", "duplicate_charge_documentation", "duplicate_charge_explanation",
	"duplicate_charge_id", "product_description", "receipt", "refund_policy", "refund_policy_disclosure",
	"refund_refusal_explanation", "service_date", "service_documentation", "shipping_address", "shipping_carrier",
	"shipping_date", "shipping_documentation", "shipping_tracking_number", "uncategorized_file", "uncategorized_text",
}

// refundable: the charge of an inquiry or a won dispute can be refunded.
func (d *dispute) refundable() bool {
	return slices.Contains([]string{disputeInquiry, disputeInquiryReview, disputeInquiryClosed, disputeWon}, d.Status)
}

// disputeBars reports whether a dispute prevents refunds of a charge. A charge without a dispute has no such id, and is
// not barred.
func (w *world) disputeBars(ch *charge) bool {
	d, ok := w.Disputes.get(ch.DisputeID)
	return ok && !d.refundable()
}

// render shows every member of a dispute, its balance transactions in full as Stripe does.
func (d *dispute) render(w *world, now time.Time) document {
	ch := w.Charges.byID[d.ChargeID]
	// All members of the evidence are there, and null. Only one text can be submitted here.
	evidence := document{}
	for _, member := range evidenceMembers {
		evidence[member] = nil
	}
	evidence["uncategorized_text"] = orNull(d.Evidence)
	var dueBy any // nothing is to be answered of one that was prevented
	if d.Status != disputePrevented {
		dueBy = d.DueBy
	}
	// The status of a balance transaction depends on the time, hence now.
	moved := make([]any, len(d.Transactions))
	for i, id := range d.Transactions {
		moved[i] = w.Balance.byID[id].render(now)
	}
	// balance_transaction is the oldest of the balance_transactions.
	var first string
	if len(d.Transactions) > 0 {
		first = d.Transactions[0]
	}
	submitted := 0
	if d.Evidence != "" {
		submitted = 1
	}
	o := document{
		"id":                   d.ID,
		"object":               "dispute",
		"amount":               d.Amount,
		"balance_transaction":  orNull(first),
		"balance_transactions": moved,
		"charge":               d.ChargeID,
		"created":              d.Created,
		"currency":             d.Currency,
		"evidence":             evidence,
		"evidence_details": document{
			"due_by": dueBy, "has_evidence": d.Evidence != "", "past_due": dueBy != nil && now.Unix() > d.DueBy && d.Evidence == "",
			"submission_count": submitted,
		},
		"is_charge_refundable": d.refundable(),
		"livemode":             false,
		"metadata":             document{},
		"payment_intent":       orNull(ch.IntentID),
		"reason":               d.Reason,
		"status":               d.Status,
	}
	// A dispute of a debit has no card, and so no reason code of a card network.
	if !ch.isDebit() {
		o["payment_method_details"] = document{
			"card": document{"brand": cards[ch.Method.Number].brand, "network_reason_code": "83"}, "type": "card",
		}
	}
	return o
}

// withdraw takes the disputed money and the fee from the balance.
func (w *world) withdraw(d *dispute, now time.Time) {
	w.bookDisputed(d, -d.Amount, disputeFee, "dispute", "Chargeback withdrawal for "+d.ChargeID, "Dispute fee", now)
}

// bookDisputed adds a balance transaction of a dispute: amount and fee in minor units, negative amounts taken from the
// balance. The amount is in the charge's currency and is converted as the charge was; the fee is not.
func (w *world) bookDisputed(d *dispute, amount, fee int64, category, description, feeDescription string, now time.Time) {
	amount, currency, rate := w.returnedAmount(w.Charges.byID[d.ChargeID], amount)
	b := &balanceTxn{
		ID: newID("txn_1", 23), Created: now.Unix(), AvailableOn: now.Unix(), Type: "adjustment", Category: category,
		Amount: amount, Currency: currency, Rate: rate, Description: description, SourceID: d.ID,
	}
	if fee != 0 {
		b.Fees = []feeDetail{{Amount: fee, Type: "stripe_fee", Description: feeDescription}}
	}
	w.Balance.add(b)
	d.Transactions = append(d.Transactions, b.ID)
}

func (s *Sim) getDispute(c *call) (document, *apiError) {
	id := c.http.PathValue("id")
	d, ok := c.world.Disputes.get(id)
	if !ok {
		return nil, noSuch(http.StatusNotFound, "dispute", id, "id")
	}
	return d.render(c.world, c.now), nil
}

func (s *Sim) listDisputes(c *call) (document, *apiError) {
	keep, err := c.world.ofPayment(c.params)
	if err != nil {
		return nil, err
	}
	return listPage(&c.world.Disputes, c.params, "/v1/disputes", "dispute", func(d *dispute) bool { return keep(d.ChargeID) },
		func(d *dispute) document { return d.render(c.world, c.now) })
}

// DisputeCopy is a read-only copy of a dispute; the amount is in minor units.
type DisputeCopy struct {
	ID          string `json:"id"`
	ChargeID    string `json:"charge_id"`
	AmountMinor int64  `json:"amount_minor"`
	Status      string `json:"status"`
}

// Disputes returns the account's disputes ("" for the platform), oldest first; nil for an unknown account.
func (s *Sim) Disputes(account string) []DisputeCopy {
	s.lock()
	defer s.unlock()
	w := s.world(account)
	if w == nil {
		return nil
	}
	out := make([]DisputeCopy, 0, len(w.Disputes.rows))
	for _, d := range w.Disputes.rows {
		out = append(out, DisputeCopy{ID: d.ID, ChargeID: d.ChargeID, AmountMinor: d.Amount, Status: d.Status})
	}
	return out
}

// Disputed describes a dispute.
type Disputed struct {
	// AmountMinor is the disputed part; zero for the whole charge.
	AmountMinor int64
	// Reason is in Stripe's words; "fraudulent" when empty.
	Reason string
	// Inquiry: the bank only asks, and no money moves.
	Inquiry bool
	// Prevented: it ended before it began, and no money moves.
	Prevented bool
}

// Dispute makes the payer's bank dispute a charge, also a refunded one, whose money then returns twice. The money and a
// fee are withdrawn, except for an inquiry and a prevented dispute.
func (s *Sim) Dispute(charge string, how Disputed) (id string, err error) {
	now := s.lock()
	defer s.unlock()
	w, ch, err := s.findCharge(charge)
	if err != nil {
		return "", err
	}
	return s.disputeCharge(w, ch, how, now)
}

// disputeCharge opens the one dispute that a charge can have. A charge that failed or is still at the bank has no money
// to dispute. The world is locked.
func (s *Sim) disputeCharge(w *world, ch *charge, how Disputed, now time.Time) (id string, err error) {
	amount := cmp.Or(how.AmountMinor, ch.Amount)
	if ch.Failure != nil || ch.Pending || ch.DisputeID != "" || amount < 0 || amount > ch.Amount {
		return "", fmt.Errorf("stripesim: %d of the charge %s cannot be disputed", amount, ch.ID)
	}
	d := &dispute{
		ID: newID("dp_1", 23), Created: now.Unix(), Amount: amount, Currency: ch.Currency, ChargeID: ch.ID,
		Reason: cmp.Or(how.Reason, "fraudulent"), Status: disputeOpen, DueBy: now.Add(evidenceTime).Unix(),
	}
	events := []string{"charge.dispute.created"}
	// A prevented dispute opens and closes in one moment, so both events are emitted.
	switch {
	case how.Inquiry:
		d.Status = disputeInquiry
	case how.Prevented:
		d.Status = disputePrevented
		events = append(events, "charge.dispute.closed")
	default:
		events = append(events, "charge.dispute.funds_withdrawn")
	}
	// The money is withdrawn before the events are emitted, so that each of them shows the dispute with its
	// transaction.
	w.Disputes.add(d)
	ch.DisputeID = d.ID
	if d.Status == disputeOpen {
		w.withdraw(d, now)
	}
	for _, kind := range events {
		s.emit(w, kind, d.render(w, now), nil, request{}, now)
	}
	s.lowerWarnings(w, ch, now)
	return d.ID, nil
}

// EscalateDispute turns an inquiry, also a closed one, into a dispute. Its money is withdrawn now.
func (s *Sim) EscalateDispute(id string) error {
	return s.changeDispute(id, []string{disputeInquiry, disputeInquiryReview, disputeInquiryClosed},
		func(w *world, d *dispute, now time.Time) []string {
			d.Status, d.DueBy = disputeOpen, now.Add(evidenceTime).Unix()
			w.withdraw(d, now)
			return []string{"charge.dispute.updated", "charge.dispute.funds_withdrawn"}
		})
}

// SubmitEvidence answers a dispute or an inquiry, which is then under review.
func (s *Sim) SubmitEvidence(id, text string) error {
	return s.changeDispute(id, []string{disputeOpen, disputeInquiry}, func(_ *world, d *dispute, _ time.Time) []string {
		d.Evidence = text
		d.Status = map[string]string{disputeOpen: disputeReview, disputeInquiry: disputeInquiryReview}[d.Status]
		return []string{"charge.dispute.updated"}
	})
}

// CloseDispute ends a dispute, also a lost one that is won on appeal. A won dispute returns its money unless it is
// returned already, and its fee with feeBack. A lost one takes money again that was returned in between.
func (s *Sim) CloseDispute(id string, won, feeBack bool) error {
	from := []string{disputeOpen, disputeReview}
	// A dispute that was lost can only be won afterwards, on appeal; one that was won is final.
	if won {
		from = append(from, disputeLost)
	}
	return s.changeDispute(id, from, func(w *world, d *dispute, now time.Time) []string {
		// Four cases, by the outcome and by whether the money is back already. Only where the two differ does money
		// move.
		back := w.reinstated(d)
		switch {
		case !won && back:
			d.Status = disputeLost
			w.bookDisputed(d, -d.Amount, 0, "dispute", "Chargeback withdrawal for "+d.ChargeID, "", now)
			return []string{"charge.dispute.closed", "charge.dispute.funds_withdrawn"}
		case !won:
			d.Status = disputeLost
			return []string{"charge.dispute.closed"}
		case back:
			d.Status = disputeWon
			return []string{"charge.dispute.closed"}
		}
		var fee int64
		if feeBack {
			fee = -disputeFee
		}
		d.Status = disputeWon
		w.reinstate(d, fee, now)
		return []string{"charge.dispute.closed", "charge.dispute.funds_reinstated"}
	})
}

// ReinstateDispute returns the money of a dispute while it is under review or after it was lost, and leaves its status
// unchanged.
func (s *Sim) ReinstateDispute(id string) error {
	return s.changeDispute(id, []string{disputeReview, disputeLost}, func(w *world, d *dispute, now time.Time) []string {
		// A repeat moves no money and emits no event.
		if w.reinstated(d) {
			return nil
		}
		w.reinstate(d, 0, now)
		return []string{"charge.dispute.funds_reinstated"}
	})
}

// reinstate returns the disputed money, and with a negative fee also Stripe's fee.
func (w *world) reinstate(d *dispute, fee int64, now time.Time) {
	w.bookDisputed(d, d.Amount, fee, "dispute_reversal", "Chargeback reversal for "+d.ChargeID, "Dispute fee refund", now)
}

// reinstated reports whether the last movement of a dispute returned its money.
func (w *world) reinstated(d *dispute) bool {
	n := len(d.Transactions)
	return n > 0 && w.Balance.byID[d.Transactions[n-1]].Amount > 0
}

// CloseInquiry ends an inquiry without a dispute.
func (s *Sim) CloseInquiry(id string) error {
	return s.changeDispute(id, []string{disputeInquiry, disputeInquiryReview}, func(_ *world, d *dispute, _ time.Time) []string {
		d.Status = disputeInquiryClosed
		return []string{"charge.dispute.closed"}
	})
}

// changeDispute changes a dispute that is in one of the given states, and announces it. move changes the dispute and
// returns the types of the events to emit, in order. previous_attributes has the status in all of them, also where it
// stayed the same.
func (s *Sim) changeDispute(id string, from []string, move func(*world, *dispute, time.Time) []string) error {
	now := s.lock()
	defer s.unlock()
	for _, w := range s.worlds {
		d, ok := w.Disputes.get(id)
		if !ok {
			continue
		}
		if !slices.Contains(from, d.Status) {
			return fmt.Errorf("stripesim: the dispute %s is %s", id, d.Status)
		}
		before := document{"status": d.Status}
		for _, kind := range move(w, d, now) {
			s.emit(w, kind, d.render(w, now), before, request{}, now)
		}
		return nil
	}
	return fmt.Errorf("stripesim: no dispute %s", id)
}
