package stripe

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/google/uuid"
)

// Source is what moved the money, as far as it leads to a donation.
type Source struct {
	// ID and Object name it; Object is empty when Stripe did not expand it.
	ID, Object string
	// Created is when Stripe made it; zero when it is not known.
	Created time.Time
	// Original is the earlier object of its kind that it takes back, such as the payout of a reversal; empty for none.
	Original string
	// Charge and PaymentIntent are the payment's: of a charge itself, or of the refund or dispute about it.
	Charge, PaymentIntent string
	// Amount is the object's own, in its Currency, upper case; it has no sign. Currency is empty when Stripe did not tell.
	Amount   int64
	Currency string
	// Donation is the donation in the charge's metadata; Nil otherwise. Whoever may use the account can write that, so it
	// proves nothing.
	Donation uuid.UUID
	// Method is how a charge was paid, Stripe's word, such as card or sepa_debit; empty when Stripe did not tell.
	Method string
	// Status is a charge's: pending while its bank has not answered, then succeeded or failed; empty for what is no charge.
	Status ChargeStatus
	// Invoice is what a charge paid; empty for one that paid none. Then Donation is Nil: such a charge has no metadata.
	Invoice string
	// Unreadable names a member that is not of Stripe's shape; what it would have said is left out. Empty: none.
	Unreadable string
}

// ChargeStatus is how far a charge is.
type ChargeStatus string

// The statuses of a charge, https://docs.stripe.com/api/charges/object#charge_object-status.
const (
	ChargePending   ChargeStatus = "pending"
	ChargeSucceeded ChargeStatus = "succeeded"
	ChargeFailed    ChargeStatus = "failed"
)

// metadata is what an account's owner wrote on an object. What is no text there is left out.
type metadata map[string]string

// UnmarshalJSON implements json.Unmarshaler. It fails for nothing.
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

// sourceJSON reads an id, an object of any kind, or null.
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

// methodJSON is how something was paid.
type methodJSON struct{ Type string }

// UnmarshalJSON reads the type, and nothing of the card or the bank account. It fails for nothing.
func (m *methodJSON) UnmarshalJSON(data []byte) error {
	var object struct {
		Type string `json:"type"`
	}
	if json.Unmarshal(data, &object) == nil {
		m.Type = object.Type
	}
	return nil
}

// UnmarshalJSON reads an id as an object with nothing but an id. It fails for nothing.
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
	// A refund has metadata of its own, which is not the donation's. A dispute's id is no charge's either.
	switch o.Object {
	case kindCharge:
		s.Charge, s.Donation, s.Invoice, s.Method, s.Status = o.ID, parseDonation(o.Metadata), o.Invoice.ID, o.Method.Type, o.Status
	case "transfer_reversal":
		s.Original = o.Transfer.ID
	}
	return s
}

// kindCharge is what a charge says that it is, whatever its id begins with: a debit's is py_….
const kindCharge = "charge"

// reference reads a member that Stripe answers as an id, as an object when expanded, or as null.
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
