package stripe

import (
	"context"
	"encoding/json"
	"net/url"
	"strings"
	"time"

	"github.com/google/uuid"
	stripego "github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-go/v76/form"
)

// BalanceTransaction is one movement of an account's balance: Net = Amount - Fee, always. All three can be
// negative. Nothing in it changes once it exists, but it can begin to exist long after Created.
type BalanceTransaction struct {
	ID string
	// Type is Stripe's word, such as "charge" or "payout".
	Type string
	// Category is reporting_category, which tells apart what Type throws together: adjustments of disputes.
	Category         string
	Amount, Fee, Net int64
	Currency         string // in upper case; the balance's, which can differ from the charge's
	// ExchangeRate is a decimal number, what the source's currency was converted at; empty when it was not.
	ExchangeRate string
	Created      time.Time
	Fees         []Fee
	Source       Source
	// Unreadable names a member of it that is not of Stripe's shape, so that nobody can tell what moved; empty: none.
	Unreadable string
}

// Fee is a part of a balance transaction's fee. It can be negative.
type Fee struct {
	// Type is stripe_fee, application_fee, payment_method_passthrough_fee or tax.
	Type     string
	Amount   int64
	Currency string // in upper case
}

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

// BalanceQuery asks for a page of balance transactions.
type BalanceQuery struct {
	// Since is the earliest Created to list.
	Since time.Time
	// After continues behind this id, towards older ones.
	After string
}

// ListBalanceTransactions returns up to 100 balance transactions, newest first, with their sources; more
// tells whether older ones are left in the query.
func (c *Client) ListBalanceTransactions(ctx context.Context, account string, q BalanceQuery) (page []BalanceTransaction, more bool, err error) {
	values := query(
		"limit", decimal(pageSize),
		"created[gte]", decimal(max(q.Since.Unix(), 0)),
		"expand[0]", "data.source",
	)
	if q.After != "" {
		values.Add("starting_after", q.After)
	}
	return c.listBalance(ctx, account, values)
}

func (c *Client) listBalance(ctx context.Context, account string, values *form.Values) (page []BalanceTransaction, more bool, err error) {
	var answer struct {
		stripego.APIResource
		Data    []balanceObject `json:"data"`
		HasMore bool            `json:"has_more"`
	}
	if err := c.get(ctx, account, "/v1/balance_transactions", values, &answer); err != nil {
		return nil, false, err
	}
	for i := range answer.Data {
		if answer.Data[i].ID != "" { // without one it could be neither booked nor parked
			page = append(page, answer.Data[i].transaction())
		}
	}
	return page, answer.HasMore, nil
}

// GetBalanceTransaction reads one, with its source.
func (c *Client) GetBalanceTransaction(ctx context.Context, account, id string) (BalanceTransaction, error) {
	var answer struct {
		stripego.APIResource
		balanceObject
	}
	err := c.get(ctx, account, "/v1/balance_transactions/"+url.PathEscape(id), query("expand[0]", "source"), &answer)
	if err != nil {
		return BalanceTransaction{}, err
	}
	return answer.transaction(), nil
}

// PaymentIntent is a payment with the money that it moved.
type PaymentIntent struct {
	ID string
	// Status is Stripe's word, such as "succeeded".
	Status string
	// Currency is what was paid in, upper case: the donor's own when Stripe showed the price in that.
	Currency string
	// Donation is the donation in its metadata; Nil otherwise. It proves nothing, as that of a [Source].
	Donation uuid.UUID
	// Invoice is what it is to pay; empty for none.
	Invoice string
	// Balance is the latest charge's balance transaction; nil while its fee is not known.
	Balance *BalanceTransaction
}

// GetPaymentIntent reads a payment intent with its latest charge's balance transaction.
func (c *Client) GetPaymentIntent(ctx context.Context, account, id string) (PaymentIntent, error) {
	var answer struct {
		stripego.APIResource
		ID           string        `json:"id"`
		Status       string        `json:"status"`
		Currency     string        `json:"currency"`
		Metadata     metadata      `json:"metadata"`
		Invoice      reference     `json:"invoice"`
		LatestCharge *chargeObject `json:"latest_charge"`
	}
	err := c.get(ctx, account, "/v1/payment_intents/"+url.PathEscape(id),
		query("expand[0]", "latest_charge.balance_transaction"), &answer)
	if err != nil {
		return PaymentIntent{}, err
	}
	return PaymentIntent{
		ID: answer.ID, Status: answer.Status, Currency: strings.ToUpper(answer.Currency),
		Donation: parseDonation(answer.Metadata), Invoice: answer.Invoice.ID, Balance: answer.LatestCharge.balance(),
	}, nil
}

// chargeObject is a charge whose balance transaction was expanded.
type chargeObject struct {
	ID            string         `json:"id"`
	Created       int64          `json:"created"`
	Status        ChargeStatus   `json:"status"`
	Amount        int64          `json:"amount"`
	Currency      string         `json:"currency"`
	Metadata      metadata       `json:"metadata"`
	PaymentIntent reference      `json:"payment_intent"`
	Invoice       reference      `json:"invoice"`
	Method        methodObject   `json:"payment_method_details"`
	Balance       *balanceObject `json:"balance_transaction"`
}

// balance is nil while the charge has none, and when there is no charge.
func (o *chargeObject) balance() *BalanceTransaction {
	if o == nil || o.Balance == nil {
		return nil
	}
	balance := o.Balance.transaction()
	balance.Source = Source{
		ID: o.ID, Object: objectCharge, Created: unixOrZero(o.Created), Charge: o.ID, PaymentIntent: o.PaymentIntent.ID, Amount: o.Amount,
		Currency: strings.ToUpper(o.Currency), Donation: parseDonation(o.Metadata), Method: o.Method.Type, Invoice: o.Invoice.ID,
		Status: o.Status,
	}
	return &balance
}

// balanceObject keeps what is of Stripe's shape, whatever else it holds: one that is not must hold up no other.
type balanceObject struct {
	ID                string      `json:"id"`
	Type              string      `json:"type"`
	ReportingCategory string      `json:"reporting_category"`
	Amount            int64       `json:"amount"`
	Fee               int64       `json:"fee"`
	Net               int64       `json:"net"`
	Currency          string      `json:"currency"`
	Created           int64       `json:"created"`
	ExchangeRate      json.Number `json:"exchange_rate"`
	FeeDetails        []feeObject `json:"fee_details"`

	Source     sourceObject `json:"source"`
	unreadable string
}

type feeObject struct {
	Type     string `json:"type"`
	Amount   int64  `json:"amount"`
	Currency string `json:"currency"`
}

// UnmarshalJSON implements json.Unmarshaler. It fails for nothing.
func (o *balanceObject) UnmarshalJSON(data []byte) error {
	type plain balanceObject
	err := json.Unmarshal(data, (*plain)(o))
	if err != nil {
		*o = balanceObject{}
		m := salvage(data)
		m.must("id", &o.ID)
		m.must("type", &o.Type)
		m.must("amount", &o.Amount)
		m.must("fee", &o.Fee)
		m.must("net", &o.Net)
		m.must("currency", &o.Currency)
		m.must("created", &o.Created)
		// Without these it can be booked. A fee that nobody divides is one.
		m.may("reporting_category", &o.ReportingCategory)
		m.may("exchange_rate", &o.ExchangeRate)
		m.may("fee_details", &o.FeeDetails)
		m.may("source", &o.Source)
		o.unreadable = m.unreadable
	}
	if o.unreadable == "" && o.Net != o.Amount-o.Fee {
		o.unreadable = "net"
	}
	return nil
}

func (o *balanceObject) transaction() BalanceTransaction {
	t := BalanceTransaction{
		ID: o.ID, Type: o.Type, Category: o.ReportingCategory,
		Amount: o.Amount, Fee: o.Fee, Net: o.Net, Currency: strings.ToUpper(o.Currency),
		ExchangeRate: o.ExchangeRate.String(), Created: unix(o.Created), Source: o.Source.source(), Unreadable: o.unreadable,
	}
	for _, f := range o.FeeDetails {
		t.Fees = append(t.Fees, Fee{Type: f.Type, Amount: f.Amount, Currency: strings.ToUpper(f.Currency)})
	}
	return t
}

// salvaged reads the members of an object one by one, so that one of another shape does not hide the others.
type salvaged struct {
	raw map[string]json.RawMessage
	// unreadable is the first that must be read and cannot be.
	unreadable string
}

func salvage(data []byte) *salvaged {
	m := &salvaged{}
	if err := json.Unmarshal(data, &m.raw); err != nil {
		m.unreadable = "object"
	}
	return m
}

// may reads a member; into is not changed when it is of another shape.
func (m *salvaged) may(name string, into any) (ok bool) {
	raw, there := m.raw[name]
	return !there || json.Unmarshal(raw, into) == nil
}

func (m *salvaged) must(name string, into any) {
	if !m.may(name, into) && m.unreadable == "" {
		m.unreadable = name
	}
}

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

// sourceObject reads an id, an object of any kind, or null.
type sourceObject struct {
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
	Method         methodObject      `json:"payment_method_details"`

	unreadable string
}

// methodObject is how something was paid.
type methodObject struct{ Type string }

// UnmarshalJSON reads the type, and nothing of the card or the bank account. It fails for nothing.
func (m *methodObject) UnmarshalJSON(data []byte) error {
	var object struct {
		Type string `json:"type"`
	}
	if json.Unmarshal(data, &object) == nil {
		m.Type = object.Type
	}
	return nil
}

// UnmarshalJSON reads an id as an object with nothing but an id. It fails for nothing.
func (o *sourceObject) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '"' {
		return json.Unmarshal(data, &o.ID)
	}
	type plain sourceObject
	if json.Unmarshal(data, (*plain)(o)) != nil {
		*o = sourceObject{}
		m := salvage(data)
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

func (o *sourceObject) source() Source {
	s := Source{
		ID: o.ID, Object: o.Object, Charge: o.Charge.ID, PaymentIntent: o.PaymentIntent.ID,
		Amount: o.Amount, Currency: strings.ToUpper(o.Currency), Original: o.OriginalPayout.ID, Unreadable: o.unreadable,
		Created: unixOrZero(o.Created),
	}
	// A refund has metadata of its own, which is not the donation's. A dispute's id is no charge's either.
	switch o.Object {
	case objectCharge:
		s.Charge, s.Donation, s.Invoice, s.Method, s.Status = o.ID, parseDonation(o.Metadata), o.Invoice.ID, o.Method.Type, o.Status
	case "transfer_reversal":
		s.Original = o.Transfer.ID
	}
	return s
}

// objectCharge is what a charge says that it is, whatever its id begins with: a debit's is py_….
const objectCharge = "charge"

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
