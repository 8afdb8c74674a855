package stripe

import (
	"context"
	"net/url"
	"strings"
	"time"

	stripego "github.com/stripe/stripe-go/v76"
)

// PayoutStatus is the status of a payout.
type PayoutStatus string

// The statuses of a payout, https://docs.stripe.com/api/payouts/object#payout_object-status. One that is paid can
// still fail, within days.
const (
	PayoutPending   PayoutStatus = "pending"
	PayoutInTransit PayoutStatus = "in_transit"
	PayoutPaid      PayoutStatus = "paid"
	PayoutFailed    PayoutStatus = "failed"
	PayoutCanceled  PayoutStatus = "canceled"
)

// Payout is a payout from an account's balance to its bank account.
type Payout struct {
	ID string
	// Amount is negative when the bank account is debited.
	Amount   int64
	Currency string // in upper case
	Status   PayoutStatus
	// Automatic: Stripe made it, and knows its contents.
	Automatic bool
	// Reconciled: the contents of an automatic payout can be listed.
	Reconciled bool
	// Arrival is the day on which the bank has it, at midnight UTC. It can change until then.
	Arrival, Created time.Time
	// Transaction is its own balance transaction. FailureTransaction is the one by which it was returned when it failed
	// or was canceled. Empty: there is none.
	Transaction, FailureTransaction string
}

// GetPayout reads a payout.
func (c *Client) GetPayout(ctx context.Context, account, id string) (Payout, error) {
	var answer struct {
		stripego.APIResource
		payoutJSON
	}
	if err := c.get(ctx, account, "/v1/payouts/"+url.PathEscape(id), nil, &answer); err != nil {
		return Payout{}, err
	}
	return answer.payout(), nil
}

// ListPayouts returns up to 100 payouts created at since or later, newest first, after the given payout if after is not
// empty. more tells whether older ones are left.
func (c *Client) ListPayouts(ctx context.Context, account string, since time.Time, after string) (page []Payout, more bool, err error) {
	values := query("limit", decimal(pageSize), "created[gte]", decimal(max(since.Unix(), 0)))
	if after != "" {
		values.Add("starting_after", after)
	}
	var answer struct {
		stripego.APIResource
		Data    []payoutJSON `json:"data"`
		HasMore bool         `json:"has_more"`
	}
	if err := c.get(ctx, account, "/v1/payouts", values, &answer); err != nil {
		return nil, false, err
	}
	for i := range answer.Data {
		page = append(page, answer.Data[i].payout())
	}
	return page, answer.HasMore, nil
}

// ListPayoutBalance returns up to 100 of the balance transactions inside a reconciled automatic payout, including its
// own, newest first, after the given one if after is not empty. more tells whether older ones are left. Sources are not
// expanded. For a manual payout the call is Refused.
func (c *Client) ListPayoutBalance(ctx context.Context, account, payout, after string) (page []BalanceTransaction, more bool, err error) {
	values := query("limit", decimal(pageSize), "payout", payout)
	if after != "" {
		values.Add("starting_after", after)
	}
	return c.listBalance(ctx, account, values)
}

type payoutJSON struct {
	ID                        string       `json:"id"`
	Amount                    int64        `json:"amount"`
	Currency                  string       `json:"currency"`
	Status                    PayoutStatus `json:"status"`
	Automatic                 bool         `json:"automatic"`
	ReconciliationStatus      string       `json:"reconciliation_status"`
	ArrivalDate               int64        `json:"arrival_date"`
	Created                   int64        `json:"created"`
	BalanceTransaction        reference    `json:"balance_transaction"`
	FailureBalanceTransaction reference    `json:"failure_balance_transaction"`
}

func (o *payoutJSON) payout() Payout {
	return Payout{
		ID: o.ID, Amount: o.Amount, Currency: strings.ToUpper(o.Currency), Status: o.Status, Automatic: o.Automatic,
		Reconciled: o.ReconciliationStatus == "completed", Arrival: unix(o.ArrivalDate), Created: unix(o.Created),
		Transaction: o.BalanceTransaction.ID, FailureTransaction: o.FailureBalanceTransaction.ID,
	}
}
