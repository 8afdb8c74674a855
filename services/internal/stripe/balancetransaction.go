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

// BalanceTransaction is one movement of an account's balance: Net = Amount - Fee, always. All three can be negative. It
// never changes, but it can become visible long after Created.
type BalanceTransaction struct {
	ID string
	// Type is in Stripe's words, such as "charge" or "payout".
	Type string
	// Category is reporting_category, which divides types, such as adjustments of disputes.
	Category         string
	Amount, Fee, Net int64
	Currency         string // in upper case; the balance's, which can differ from the charge's
	// ExchangeRate is the decimal rate at which the source's currency was converted; empty when it was not.
	ExchangeRate string
	Created      time.Time
	Fees         []Fee
	Source       Source
	// Unreadable is the name of a member of an undocumented shape, so that what moved is unknown; empty for none.
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
	// After is the id after which the list continues, towards older ones. Empty: from the newest.
	After string
}

// ListBalanceTransactions returns up to 100 balance transactions with their sources, newest first. more tells whether
// older ones are left in the query.
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
		if answer.Data[i].ID != "" { // without an id it could be neither booked nor parked
			page = append(page, answer.Data[i].transaction())
		}
	}
	return page, answer.HasMore, nil
}

// GetBalanceTransaction reads one balance transaction with its source.
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

// balanceTransactionJSON reads the members that have the documented shape and notes others, so that an unexpected one
// does not make the whole list unreadable.
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

// UnmarshalJSON implements json.Unmarshaler. It never fails.
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
		// Optional: it can be booked without them. A fee without parts is booked as one.
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

// looseMembers reads the members of a JSON object one by one, so that one of another shape does not hide the others.
type looseMembers struct {
	raw map[string]json.RawMessage
	// unreadable is the first required member that could not be read.
	unreadable string
}

func readLoosely(data []byte) *looseMembers {
	m := &looseMembers{}
	if err := json.Unmarshal(data, &m.raw); err != nil {
		m.unreadable = "object"
	}
	return m
}

// may reads an optional member. It leaves into unchanged when the member has another shape.
func (m *looseMembers) may(name string, into any) (ok bool) {
	raw, there := m.raw[name]
	return !there || json.Unmarshal(raw, into) == nil
}

func (m *looseMembers) must(name string, into any) {
	if !m.may(name, into) && m.unreadable == "" {
		m.unreadable = name
	}
}
