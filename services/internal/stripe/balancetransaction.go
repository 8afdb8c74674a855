package stripe

import (
	"context"
	"encoding/json"
	"net/url"
	"strings"
	"time"

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
		Data    []balanceTransactionJSON `json:"data"`
		HasMore bool                     `json:"has_more"`
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
		balanceTransactionJSON
	}
	err := c.get(ctx, account, "/v1/balance_transactions/"+url.PathEscape(id), query("expand[0]", "source"), &answer)
	if err != nil {
		return BalanceTransaction{}, err
	}
	return answer.transaction(), nil
}

// balanceTransactionJSON keeps what is of Stripe's shape, whatever else it holds: one that is not must hold up no other.
type balanceTransactionJSON struct {
	ID                string      `json:"id"`
	Type              string      `json:"type"`
	ReportingCategory string      `json:"reporting_category"`
	Amount            int64       `json:"amount"`
	Fee               int64       `json:"fee"`
	Net               int64       `json:"net"`
	Currency          string      `json:"currency"`
	Created           int64       `json:"created"`
	ExchangeRate      json.Number `json:"exchange_rate"`
	FeeDetails        []feeJSON   `json:"fee_details"`

	Source     sourceJSON `json:"source"`
	unreadable string
}

type feeJSON struct {
	Type     string `json:"type"`
	Amount   int64  `json:"amount"`
	Currency string `json:"currency"`
}

// UnmarshalJSON implements json.Unmarshaler. It fails for nothing.
func (o *balanceTransactionJSON) UnmarshalJSON(data []byte) error {
	type plain balanceTransactionJSON
	err := json.Unmarshal(data, (*plain)(o))
	if err != nil {
		*o = balanceTransactionJSON{}
		m := readLoosely(data)
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

func (o *balanceTransactionJSON) transaction() BalanceTransaction {
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

// looseMembers reads the members of an object one by one, so that one of another shape does not hide the others.
type looseMembers struct {
	raw map[string]json.RawMessage
	// unreadable is the first that must be read and cannot be.
	unreadable string
}

func readLoosely(data []byte) *looseMembers {
	m := &looseMembers{}
	if err := json.Unmarshal(data, &m.raw); err != nil {
		m.unreadable = "object"
	}
	return m
}

// may reads a member; into is not changed when it is of another shape.
func (m *looseMembers) may(name string, into any) (ok bool) {
	raw, there := m.raw[name]
	return !there || json.Unmarshal(raw, into) == nil
}

func (m *looseMembers) must(name string, into any) {
	if !m.may(name, into) && m.unreadable == "" {
		m.unreadable = name
	}
}
