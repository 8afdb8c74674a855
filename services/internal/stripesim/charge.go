package stripesim

import (
	"net/http"
	"time"
)

// Year and month printed on every simulated card.
const (
	cardExpiryYear  = 2066
	cardExpiryMonth = 5
)

// donor is the payer's name and address, as typed on a payment page.
type donor struct {
	Email   string `json:"email"`
	Name    string `json:"name"`
	Country string `json:"country"`
}

// address shows the country alone, since the page asks for nothing else.
func (d donor) address() document {
	return document{"city": nil, "country": d.Country, "line1": nil, "line2": nil, "postal_code": nil, "state": nil}
}

// billingDetails is a member of charges and payment methods.
func (d donor) billingDetails() document {
	return document{"address": d.address(), "email": d.Email, "name": d.Name, "phone": nil}
}

// paymentMethod is a test card or test bank account, as used by one attempt.
type paymentMethod struct {
	ID      string `json:"id"`
	Created int64  `json:"created"`
	Number  Card   `json:"number,omitempty"`
	// IBAN is set instead of Number for a debit, whose mandate MandateID names.
	IBAN      IBAN   `json:"iban,omitempty"`
	MandateID string `json:"mandate_id,omitempty"`
	// Challenged: it passed a 3-D Secure challenge.
	Challenged bool  `json:"challenged,omitempty"`
	Donor      donor `json:"donor"`
}

func (m *paymentMethod) key() (string, int64) { return m.ID, m.Created }

// checks are the bank's checks of what was typed. Only the card for a wrong CVC fails one; an address is never typed,
// so its checks are null.
func (m *paymentMethod) checks() document {
	check := "pass"
	if d := cards[m.Number].decline; d != nil && d.Code == "incorrect_cvc" {
		check = "fail"
	}
	return document{"address_line1_check": nil, "address_postal_code_check": nil, "cvc_check": check}
}

// render shows a card, or a bank account by renderDebit. The fingerprint is the same for each use of a number, as at
// Stripe.
func (m *paymentMethod) render() document {
	if m.IBAN != "" {
		return m.renderDebit()
	}
	// The number is one of the test cards: lookup has refused any other before it was stored.
	facts := cards[m.Number]
	return document{
		"id": m.ID, "object": "payment_method", "billing_details": m.Donor.billingDetails(),
		"card": document{
			"brand": facts.brand, "checks": m.checks(), "country": facts.country, "display_brand": facts.brand,
			"exp_month": cardExpiryMonth, "exp_year": cardExpiryYear, "fingerprint": "Simulated" + m.Number.last4(),
			"funding": "credit", "generated_from": nil, "last4": m.Number.last4(),
			"networks":             document{"available": []string{facts.brand}, "preferred": nil},
			"three_d_secure_usage": document{"supported": true}, "wallet": nil,
		},
		"created": m.Created, "customer": nil, "livemode": false, "metadata": document{}, "type": "card",
	}
}

// charge is one payment attempt. It is pending (a debit at the bank), failed (Failure is set) or paid (neither).
// Amounts are in minor units of Currency. BalanceID names the balance transaction; a failed charge never has one.
type charge struct {
	ID         string         `json:"id"`
	Created    int64          `json:"created"`
	Amount     int64          `json:"amount"`
	Currency   string         `json:"currency"`
	Data       intentData     `json:"data"`
	IntentID   string         `json:"intent_id"`
	Method     *paymentMethod `json:"method"`
	Failure    *DeclinedError `json:"failure,omitempty"`
	BalanceID  string         `json:"balance_id,omitempty"` // "" until its fee is known
	Risk       int            `json:"risk"`
	Pending    bool           `json:"pending,omitempty"` // a debit that the bank has not answered
	Settled    int64          `json:"settled,omitempty"` // when a debit was
	Source     *sourcePrice   `json:"source,omitempty"`
	Refunded   int64          `json:"refunded,omitempty"`   // by refunds that have not failed
	DisputeID  string         `json:"dispute_id,omitempty"` // the one dispute that it can have
	CustomerID string         `json:"customer_id,omitempty"`
	InvoiceID  string         `json:"invoice_id,omitempty"`
}

func (ch *charge) key() (string, int64) { return ch.ID, ch.Created }

// newCharge is an attempt to pay an intent, with failure or, when that is nil, with success. The caller adds it to the
// world, sets Pending for a debit and makes the balance transaction. The prefix of the id tells a debit from a card
// payment for ever, see isDebit.
func newCharge(in *intent, m *paymentMethod, failure *DeclinedError, now time.Time) *charge {
	prefix := "ch_3"
	if m.IBAN != "" {
		prefix = "py_3"
	}
	return &charge{
		ID: newID(prefix, 23), Created: now.Unix(), Amount: in.Amount, Currency: in.Currency, Data: in.Data,
		IntentID: in.ID, CustomerID: in.CustomerID, InvoiceID: in.InvoiceID, Method: m, Failure: failure, Risk: int(in.Amount % 60), // a risk that no rule acts on
		Source: in.Source,
	}
}

// render shows every member of a charge. It depends on the charge alone. Id members become objects only by expansion.
func (ch *charge) render() document {
	paid := ch.Failure == nil && !ch.Pending
	o := document{
		"id":                              ch.ID,
		"object":                          "charge",
		"amount":                          ch.Amount,
		"amount_captured":                 ch.Amount,
		"amount_refunded":                 ch.Refunded,
		"application":                     nil,
		"application_fee":                 nil,
		"application_fee_amount":          nil,
		"balance_transaction":             orNull(ch.BalanceID),
		"billing_details":                 ch.Method.Donor.billingDetails(),
		"calculated_statement_descriptor": ch.statementDescriptor(),
		"captured":                        paid || ch.Method.IBAN != "", // a debit is, before it is paid
		"created":                         ch.Created,
		"currency":                        ch.Currency,
		"customer":                        orNull(ch.CustomerID),
		"description":                     orNull(ch.Data.Description),
		"destination":                     nil,
		"dispute":                         orNull(ch.DisputeID),
		"disputed":                        ch.DisputeID != "",
		"failure_balance_transaction":     nil,
		"failure_code":                    nil,
		"failure_message":                 nil,
		"fraud_details":                   document{},
		"invoice":                         orNull(ch.InvoiceID),
		"livemode":                        false,
		"metadata":                        orEmpty(ch.Data.Metadata),
		"on_behalf_of":                    nil,
		"order":                           nil,
		"outcome":                         ch.outcome(),
		"paid":                            paid,
		"payment_intent":                  ch.IntentID,
		"payment_method":                  ch.Method.ID,
		"payment_method_details":          ch.methodDetails(),
		"radar_options":                   document{},
		"receipt_email":                   orNull(ch.Data.ReceiptEmail),
		"receipt_number":                  nil,
		"receipt_url":                     nil,
		"refunded":                        ch.Refunded == ch.Amount,
		"review":                          nil,
		"shipping":                        nil,
		"source":                          nil,
		"source_transfer":                 nil,
		"statement_descriptor":            orNull(ch.Data.StatementDescriptor),
		"statement_descriptor_suffix":     orNull(ch.Data.StatementDescriptorSuffix),
		"status":                          "succeeded",
		"transfer_data":                   nil,
		"transfer_group":                  nil,
	}
	if ch.Method.IBAN != "" { // its account holder sees the creditor's name
		o["calculated_statement_descriptor"] = nil
	}
	// The members above are those of a paid charge; a pending or failed one differs as follows.
	switch {
	case paid:
		o["receipt_url"] = "https://pay.stripe.com/receipts/payment/" + ch.ID
	case ch.Pending:
		o["status"] = "pending"
	// A declined charge captured nothing, but keeps the amount that was tried.
	default:
		o["amount_captured"] = 0
		o["status"] = "failed"
		o["failure_code"] = ch.Failure.Code
		o["failure_message"] = ch.Failure.Message
	}
	return o
}

// statementDescriptor is the text on the donor's bank statement: the charge's own, or the account's with its suffix.
func (ch *charge) statementDescriptor() string {
	const standard = "SIMULATED"
	// The descriptor of the session replaces the account's; a suffix is appended to it.
	switch {
	case ch.Data.StatementDescriptor != "":
		return ch.Data.StatementDescriptor
	case ch.Data.StatementDescriptorSuffix != "":
		// Banks show 22 characters.
		whole := standard + "* " + ch.Data.StatementDescriptorSuffix
		return whole[:min(len(whole), 22)]
	}
	return standard
}

// outcome tells who decided on the charge. A declined card was declined by its issuer, never by a rule of Stripe's.
func (ch *charge) outcome() document {
	o := document{
		"network_status": "approved_by_network", "reason": nil, "risk_level": "normal", "risk_score": ch.Risk,
		"seller_message": "Payment complete.", "type": "authorized",
	}
	if ch.Failure != nil {
		o["network_status"] = "declined_by_network"
		o["reason"] = orNull(ch.Failure.DeclineCode)
		o["seller_message"] = "The bank did not accept the payment: " + ch.Failure.Code + "."
		o["type"] = "issuer_declined"
	}
	return o
}

// methodDetails is payment_method_details: one member, named by its type.
func (ch *charge) methodDetails() document {
	if ch.Method.IBAN != "" {
		return document{debitMethod: ch.debitDetails(), "type": debitMethod}
	}
	return document{"card": ch.cardDetails(), "type": "card"}
}

// cardDetails is payment_method_details.card. A charge after a passed 3-D Secure challenge shows the challenge; a
// failed one has authorized nothing.
func (ch *charge) cardDetails() document {
	facts := cards[ch.Method.Number]
	o := document{
		"amount_authorized": ch.Amount, "brand": facts.brand, "checks": ch.Method.checks(), "country": facts.country,
		"exp_month": cardExpiryMonth, "exp_year": cardExpiryYear,
		"extended_authorization":    document{"status": "disabled"},
		"fingerprint":               "Simulated" + ch.Method.Number.last4(),
		"funding":                   "credit",
		"incremental_authorization": document{"status": "unavailable"},
		"installments":              nil, "last4": ch.Method.Number.last4(), "mandate": nil,
		"multicapture": document{"status": "unavailable"}, "network": facts.brand,
		"network_token":  document{"used": false},
		"overcapture":    document{"maximum_amount_capturable": ch.Amount, "status": "unavailable"},
		"three_d_secure": nil, "wallet": nil,
	}
	// 05 is the indicator of a payment that was fully authenticated.
	if ch.Method.Challenged {
		o["three_d_secure"] = document{
			"authentication_flow": "challenge", "electronic_commerce_indicator": "05", "exemption_indicator": nil,
			"result": "authenticated", "result_reason": nil, "transaction_id": "simulated-" + ch.ID, "version": "2.2.0",
		}
	}
	if ch.Failure != nil {
		o["amount_authorized"] = nil
		o["overcapture"] = document{"maximum_amount_capturable": 0, "status": "unavailable"}
	}
	return o
}

func (s *Sim) getCharge(c *call) (document, *apiError) {
	id := c.http.PathValue("id")
	ch, ok := c.world.Charges.get(id)
	if !ok {
		return nil, noSuch(http.StatusNotFound, "charge", id, "id")
	}
	return ch.render(), nil
}

var chargeListParams = listParams(schema{
	"payment_intent": opt(text(0)),
	"customer":       elsewhere, "transfer_group": elsewhere,
})

// listCharges refuses an unknown payment intent, where an empty list would hide a wrong id.
func (s *Sim) listCharges(c *call) (document, *apiError) {
	intent := c.params.str("payment_intent")
	if _, ok := c.world.Intents.get(intent); intent != "" && !ok {
		return nil, noSuch(http.StatusBadRequest, "payment_intent", intent, "payment_intent")
	}
	return listPage(&c.world.Charges, c.params, "/v1/charges", "charge", func(ch *charge) bool {
		return intent == "" || ch.IntentID == intent
	}, (*charge).render)
}
