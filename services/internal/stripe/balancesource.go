package stripe

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/google/uuid"
)

// Source is what moved the money of a balance transaction, as far as it leads to a donation.
type Source struct {
	// ID and Object identify it. Object is empty when Stripe did not expand it.
	ID, Object string
	// Created is when Stripe made it; zero when unknown.
	Created time.Time
	// Original is the earlier object that it reverses, such as the payout of a reversal; empty for none.
	Original string
	// Charge and PaymentIntent are those of the payment: of a charge itself, or of the charge of a refund or dispute.
	Charge, PaymentIntent string
	// Amount is the source's own, without sign, in Currency, upper case. Currency is empty when Stripe did not tell.
	Amount   int64
	Currency string
	// Donation is the donation in the charge's metadata; Nil otherwise. Everybody who may use the account can write
	// metadata, so it proves nothing.
	Donation uuid.UUID
	// Method is how a charge was paid, in Stripe's words, such as card or sepa_debit; empty when unknown.
	Method string
	// Status is a charge's: pending until its bank has answered, then succeeded or failed. Empty for other sources.
	Status ChargeStatus
	// Invoice is the invoice that a charge paid; empty for none. Charges of invoices have no metadata.
	Invoice string
	// Unreadable is the name of a member of an undocumented shape, which is left out; empty for none.
	Unreadable string
}

// ChargeStatus is the status of a charge.
type ChargeStatus string

// The statuses of a charge, https://docs.stripe.com/api/charges/object#charge_object-status.
const (
	ChargePending   ChargeStatus = "pending"
	ChargeSucceeded ChargeStatus = "succeeded"
	ChargeFailed    ChargeStatus = "failed"
)

// metadata is the metadata of an object. Values that are not text are left out.
type metadata map[string]string

// UnmarshalJSON implements json.Unmarshaler. It never fails.
func (m *metadata) UnmarshalJSON(data []byte) error {
	*m = nil
	var raw map[string]json.RawMessage
	if json.Unmarshal(data, &raw) != nil {
		return nil
	}
	for key, value := range raw {
		var text string
		if json.Unmarshal(value, &text) == nil {
			if *m == nil {
				*m = metadata{}
			}
			(*m)[key] = text
		}
	}
	return nil
}

// sourceJSON is a source as Stripe answers it: an id, an object of any kind, or null.
type sourceJSON struct {
	ID             string            `json:"id"`
	Object         string            `json:"object"`
	Created        int64             `json:"created"`
	Status         ChargeStatus      `json:"status"`
	Amount         int64             `json:"amount"`
	Currency       string            `json:"currency"`
	Metadata       map[string]string `json:"metadata"`
	Charge         reference         `json:"charge"`
	PaymentIntent  reference         `json:"payment_intent"`
	Invoice        reference         `json:"invoice"`
	OriginalPayout reference         `json:"original_payout"`
	Transfer       reference         `json:"transfer"`
	Method         methodJSON        `json:"payment_method_details"`

	unreadable string
}

// methodJSON is a payment method.
type methodJSON struct{ Type string }

// UnmarshalJSON reads the type, and nothing of the card or the bank account. It never fails.
func (m *methodJSON) UnmarshalJSON(data []byte) error {
	var object struct {
		Type string `json:"type"`
	}
	if json.Unmarshal(data, &object) == nil {
		m.Type = object.Type
	}
	return nil
}

// UnmarshalJSON reads an id as an object that has only an id. It never fails.
func (o *sourceJSON) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '"' {
		return json.Unmarshal(data, &o.ID)
	}
	type plain sourceJSON
	if json.Unmarshal(data, (*plain)(o)) != nil {
		*o = sourceJSON{}
		m := readLoosely(data)
		m.must("id", &o.ID)
		m.must("object", &o.Object)
		m.must("amount", &o.Amount)
		m.must("currency", &o.Currency)
		m.must("metadata", &o.Metadata)
		m.must("charge", &o.Charge)
		m.must("payment_intent", &o.PaymentIntent)
		m.must("invoice", &o.Invoice)
		m.may("created", &o.Created)
		m.may("status", &o.Status)
		m.may("original_payout", &o.OriginalPayout)
		m.may("transfer", &o.Transfer)
		m.may("payment_method_details", &o.Method)
		o.unreadable = m.unreadable
	}
	return nil
}

func (o *sourceJSON) source() Source {
	s := Source{
		ID: o.ID, Object: o.Object, Charge: o.Charge.ID, PaymentIntent: o.PaymentIntent.ID,
		Amount: o.Amount, Currency: strings.ToUpper(o.Currency), Original: o.OriginalPayout.ID, Unreadable: o.unreadable,
		Created: unixOrZero(o.Created),
	}
	// A refund's metadata is its own and not the donation's, and a dispute's id is not the charge's.
	switch o.Object {
	case kindCharge:
		s.Charge, s.Donation, s.Invoice, s.Method, s.Status = o.ID, parseDonation(o.Metadata), o.Invoice.ID, o.Method.Type, o.Status
	case "transfer_reversal":
		s.Original = o.Transfer.ID
	}
	return s
}

// kindCharge is the kind of a charge, whatever its id begins with: a debit's begins with py_.
const kindCharge = "charge"

// reference is a member that Stripe answers as an id, as an object when expanded, or as null.
type reference struct {
	ID, Status string
}

// UnmarshalJSON implements json.Unmarshaler.
func (r *reference) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '"' {
		return json.Unmarshal(data, &r.ID)
	}
	var object struct {
		ID     string `json:"id"`
		Status string `json:"status"`
	}
	if err := json.Unmarshal(data, &object); err != nil {
		return err
	}
	r.ID, r.Status = object.ID, object.Status
	return nil
}
