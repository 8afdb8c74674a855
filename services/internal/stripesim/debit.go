package stripesim

import (
	"errors"
	"strings"
	"time"
)

// IBAN is the number of a test account for SEPA debits; spaces are allowed.
// https://docs.stripe.com/payments/sepa-debit/accept-a-payment#test-your-integration
type IBAN string

// Test accounts of a French bank. What Stripe's test mode does within minutes takes days here, as it does in life:
// five business days, or fourteen for those that Stripe calls delayed.
const (
	IBANPaid            IBAN = "FR1420041010050500013M02606"
	IBANPaidLate        IBAN = "FR3020041010050500013M02609"
	IBANRefused         IBAN = "FR8420041010050500013M02607"
	IBANRefusedLate     IBAN = "FR7920041010050500013M02600"
	IBANDisputed        IBAN = "FR5720041010050500013M02608" // paid, then disputed by its holder without a question
	IBANNoFunds         IBAN = "FR9720041010050000002222227"
	debitMethod              = "sepa_debit"
	debitDays                = 5  // business days, https://docs.stripe.com/payments/sepa-debit#timing
	debitDaysLate            = 14 // the longest
	debitFeeMinor            = 35 // https://stripe.com/fr/pricing/local-payment-methods
	debitSettlementDays      = 5
	// debitDisputeAfter is after how long the account holder of IBANDisputed claims the money back; at Stripe's test
	// account it is at once.
	debitDisputeAfter = 3 * 7 * 24 * time.Hour
)

// debitFacts is the outcome of a test account's debits. A nil failure means that the debit is paid. days are counted by
// businessDays from the moment of the authorization.
type debitFacts struct {
	days    int // business days
	failure *DeclinedError
}

// The words are those that Stripe shows for a debit's failure.
var (
	debitRefused = &DeclinedError{
		Code: "generic_could_not_process", Message: "The payment could not be processed by the customer's bank.",
	}
	debitNoFunds = &DeclinedError{
		Code: "insufficient_funds", Message: "The customer's account has insufficient funds to cover this payment.",
	}
	debits = map[IBAN]debitFacts{
		IBANPaid:                 {debitDays, nil},
		IBANPaidLate:             {debitDaysLate, nil},
		IBANRefused:              {debitDays, debitRefused},
		IBANRefusedLate:          {debitDaysLate, debitRefused},
		IBANDisputed:             {debitDays, nil},
		IBANNoFunds:              {debitDays, debitNoFunds},
		"DE89370400440532013000": {debitDays, nil},
		"DE62370400440532013001": {debitDays, debitRefused},
	}
)

// errNotTestIBAN says that a number is no test account's. It is not stored: it may be somebody's.
var errNotTestIBAN = &DeclinedError{Code: "invalid_bank_account_iban", Message: "The IBAN you provided is invalid."}

// lookup finds a test account, whatever the spaces and the case of its number.
func (i IBAN) lookup() (IBAN, debitFacts, error) {
	number := IBAN(strings.ToUpper(strings.Join(strings.Fields(strings.ReplaceAll(string(i), "\u00a0", " ")), "")))
	facts, ok := debits[number]
	if !ok {
		return "", debitFacts{}, errNotTestIBAN
	}
	return number, facts, nil
}

// Both are called with numbers that lookup has found, which are long enough.
func (i IBAN) country() string { return string(i[:2]) }
func (i IBAN) last4() string   { return string(i[len(i)-4:]) }

// bank is what the number says of bank and branch; a German one names no branch.
func (i IBAN) bank() (bankCode string, branchCode any) {
	if i.country() == "FR" {
		return string(i[4:9]), string(i[9:14])
	}
	return string(i[4:12]), nil
}

// OfferDebits sets whether the account ("" for the platform's) offers SEPA debits, as in the settings of Stripe's
// dashboard. It applies to sessions in euros that are created from now on. An unknown account is an error.
func (s *Sim) OfferDebits(account string, offered bool) error {
	s.lock()
	defer s.unlock()
	w := s.world(account)
	if w == nil {
		return errors.New("stripesim: no account " + account)
	}
	w.Debits, s.changed = offered, true
	return nil
}

// PayByDebit completes an open session with a SEPA debit. The session is unpaid until the bank answers, which the clock
// does according to the IBAN. A number that is no test account's returns a *DeclinedError and leaves the session open.
// A session that is not open, does not exist or does not offer debits returns a *SessionError.
func (s *Sim) PayByDebit(sessionID string, iban IBAN) error {
	return s.payByDebit(sessionID, iban, "", "")
}

// payByDebit completes the session at once, and marks it as unpaid. The session's own e-mail address takes precedence
// over that of the page.
func (s *Sim) payByDebit(sessionID string, iban IBAN, name, email string) error {
	now := s.lock()
	defer s.unlock()
	w, se, err := s.findOpen(sessionID)
	if err != nil {
		return err
	}
	if !se.offers(debitMethod) {
		return &SessionError{ID: sessionID, Status: "one that offers no " + debitMethod}
	}
	number, _, err := iban.lookup()
	if err != nil {
		return err
	}
	who := se.payer(email, "")
	if name != "" {
		who.Name = name
	}
	m := &paymentMethod{ID: newID("pm_1", 23), Created: now.Unix(), IBAN: number, MandateID: newID("mandate_1", 23), Donor: who}
	by := pageRequest()
	// In subscription mode this creates the subscription and its first invoice; the intent is the invoice's then.
	in := s.intentOf(w, se, by, now)
	w.PaymentMethods.add(m)
	se.Status, se.Donor, se.Unpaid = sessionComplete, &who, true
	if se.Mode == modeSubscription {
		s.debitFirst(w, se, m, by, now)
	} else {
		s.beginDebit(w, in, m, by, now)
	}
	s.emit(w, "checkout.session.completed", se.render(), nil, request{}, now)
	return nil
}

// beginDebit sends an intent's debit to the bank.
func (s *Sim) beginDebit(w *world, in *intent, m *paymentMethod, by request, now time.Time) *charge {
	ch := newCharge(in, m, nil, now)
	ch.Pending = true
	w.Charges.add(ch)
	// An error of an earlier attempt by card or debit is over.
	in.Status, in.MethodID, in.ChargeID, in.LastError, in.LastMethod = intentProcessing, m.ID, ch.ID, nil, ""
	s.agenda.add(due{At: businessDays(now, debits[m.IBAN].days), Kind: dueDebitEnd, Account: w.ID, ID: ch.ID})
	s.emit(w, "payment_intent.processing", in.render(w), nil, by, now)
	s.emit(w, "charge.pending", ch.render(), nil, by, now)
	return ch
}

// SettleDebit answers a session's debit now, whatever its IBAN stands for. It returns a *SessionError when no debit is
// in progress.
func (s *Sim) SettleDebit(sessionID string, paid bool) error {
	now := s.lock()
	defer s.unlock()
	w, se := s.find(sessionID)
	if se == nil {
		return &SessionError{ID: sessionID}
	}
	// A session of a subscription has no intent of its own.
	intentID := se.IntentID
	if inv, ok := w.Invoices.get(se.InvoiceID); ok {
		intentID = inv.IntentID
	}
	in, ok := w.Intents.get(intentID)
	if !ok || in.Status != intentProcessing {
		return &SessionError{ID: sessionID, Status: "one without a debit under way"}
	}
	s.settleDebit(w, in, paid, now)
	return nil
}

// settleDebit is a control's answer. The entry of the agenda stays, and debitAnswered then does nothing.
func (s *Sim) settleDebit(w *world, in *intent, paid bool, now time.Time) {
	ch := w.Charges.byID[in.ChargeID]
	failure := debitRefused
	if paid {
		failure = nil
	}
	s.endDebit(w, ch, failure, now)
}

// debitAnswered is the bank's answer when it is due.
func (s *Sim) debitAnswered(w *world, ch *charge, now time.Time) {
	if ch.Pending { // else it was answered before its time
		s.endDebit(w, ch, debits[ch.Method.IBAN].failure, now)
	}
}

// endDebit ends a debit. A session whose debit failed looks the same as before; only the event and the payment intent
// tell. The order of the events: the charge, the intent, the invoice and subscription, the session. The balance
// transaction exists before the first of them, so charge.succeeded names it.
func (s *Sim) endDebit(w *world, ch *charge, failure *DeclinedError, now time.Time) {
	s.changed = true
	ch.Pending, ch.Failure = false, failure
	in := w.Intents.byID[ch.IntentID]
	if failure != nil {
		in.Status, in.MethodID, in.LastError, in.LastMethod = intentNeedsMethod, "", failure, ch.Method.ID
		s.emit(w, "charge.failed", ch.render(), nil, request{}, now)
		s.emit(w, "payment_intent.payment_failed", in.render(w), nil, request{}, now)
	} else {
		ch.Settled = now.Unix()
		w.settle(ch)
		in.Status = intentSucceeded
		s.emit(w, "charge.succeeded", ch.render(), nil, request{}, now)
		s.emit(w, "payment_intent.succeeded", in.render(w), nil, request{}, now)
	}
	if failure == nil && ch.Method.IBAN == IBANDisputed {
		s.agenda.add(due{At: now.Add(debitDisputeAfter), Kind: dueDebitDispute, Account: w.ID, ID: ch.ID})
	}
	if inv, ok := w.Invoices.get(in.InvoiceID); ok {
		s.endInvoiceDebit(w, inv, failure == nil, now)
	}
	// A retry of an invoice's debit did not begin on a page, so no session tells of it.
	se := w.sessionOf(ch)
	if se == nil {
		return
	}
	kind := "checkout.session.async_payment_failed"
	if failure == nil {
		se.Unpaid = false
		kind = "checkout.session.async_payment_succeeded"
	}
	s.emit(w, kind, se.render(), nil, request{}, now)
}

// debitDisputed is the account holder's claim. Within eight weeks the bank asks for no reason.
func (s *Sim) debitDisputed(w *world, ch *charge, now time.Time) {
	// The bank does not know whether it was refunded. An error means that it was disputed before.
	_, _ = s.disputeCharge(w, ch, Disputed{Reason: "debit_not_authorized"}, now)
}

// sessionOf returns the session on whose page a debit began; nil when it began elsewhere, as a later attempt does. The
// search begins with the newest session, since a debit is answered within days.
func (w *world) sessionOf(ch *charge) *session {
	for i := len(w.Sessions.rows) - 1; i >= 0; i-- {
		if se := w.Sessions.rows[i]; se.IntentID == ch.IntentID || se.DebitID == ch.ID {
			return se
		}
	}
	return nil
}

// businessDays adds days from Monday to Friday. Bank holidays are not known.
func businessDays(from time.Time, days int) time.Time {
	at := from
	for days > 0 {
		at = at.AddDate(0, 0, 1)
		if d := at.Weekday(); d != time.Saturday && d != time.Sunday {
			days--
		}
	}
	return at
}

// debitDetails is payment_method_details.sepa_debit of a charge.
func (ch *charge) debitDetails() document {
	m := ch.Method
	bank, branch := m.IBAN.bank()
	return document{
		"bank_code": bank, "branch_code": branch, "country": m.IBAN.country(),
		"fingerprint": "Simulated" + m.IBAN.last4(), "last4": m.IBAN.last4(), "mandate": m.MandateID,
	}
}

// renderDebit is a payment method that is a bank account.
func (m *paymentMethod) renderDebit() document {
	bank, branch := m.IBAN.bank()
	return document{
		"id": m.ID, "object": "payment_method", "billing_details": m.Donor.billingDetails(),
		"created": m.Created, "customer": nil, "livemode": false, "metadata": document{},
		"sepa_debit": document{
			"bank_code": bank, "branch_code": branch, "country": m.IBAN.country(),
			"fingerprint": "Simulated" + m.IBAN.last4(), "generated_from": document{"charge": nil, "setup_attempt": nil},
			"last4": m.IBAN.last4(),
		},
		"type": debitMethod,
	}
}
