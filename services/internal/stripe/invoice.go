package stripe

import (
	"context"
	"encoding/json"
	"net/url"
	"strings"
	"time"

	"github.com/google/uuid"
	stripego "github.com/stripe/stripe-go/v76"

	"github.com/cagnotte/cagnotte/services/money"
)

// Invoice is one period of a subscription, and its payment. Nothing of the payer is decoded.
type Invoice struct {
	ID string
	// Subscription and Customer are ids. Subscription is empty for other invoices.
	Subscription, Customer string
	// Recurring is the monthly donation in the subscription's metadata; Nil for another product's.
	Recurring uuid.UUID
	// First: it is the first one of its subscription.
	First bool
	// Draft: it is not finalised yet, such as a renewal's in its first hour.
	Draft bool
	// Paid: its money moved through Stripe. An invoice that was marked as paid otherwise is not Paid here.
	Paid bool
	// UnderWay: its debit is at the bank. It is set only for an invoice that was read by id or with its subscription.
	UnderWay bool
	// GivenUp: it was not paid, and no attempt is under way or planned.
	GivenUp bool
	// Amount is what was paid.
	Amount                money.Amount
	PaymentIntent, Charge string
	// PaidAt is zero until it is paid.
	PaidAt   time.Time
	Livemode bool
}

// GetInvoice reads an invoice with the state of its payment.
func (c *Client) GetInvoice(ctx context.Context, account, id string) (Invoice, error) {
	var answer struct {
		stripego.APIResource
		invoiceJSON
	}
	err := c.get(ctx, account, "/v1/invoices/"+url.PathEscape(id), query("expand[0]", "payment_intent"), &answer)
	return answer.invoice(), err
}

// ListPaidInvoices returns a subscription's latest paid invoices, newest first, 100 at most: more than eight years of a
// monthly donation.
func (c *Client) ListPaidInvoices(ctx context.Context, account, subscription string) ([]Invoice, error) {
	var answer struct {
		stripego.APIResource
		Data []invoiceJSON `json:"data"`
	}
	err := c.get(ctx, account, "/v1/invoices",
		query("subscription", subscription, "status", "paid", "limit", decimal(pageSize)), &answer)
	if err != nil {
		return nil, err
	}
	invoices := make([]Invoice, len(answer.Data))
	for i := range answer.Data {
		invoices[i] = answer.Data[i].invoice()
	}
	return invoices, nil
}

type invoiceJSON struct {
	ID                  string    `json:"id"`
	Created             int64     `json:"created"`
	Subscription        reference `json:"subscription"`
	Customer            reference `json:"customer"`
	BillingReason       string    `json:"billing_reason"`
	Status              string    `json:"status"`
	PaidOutOfBand       bool      `json:"paid_out_of_band"`
	AmountPaid          int64     `json:"amount_paid"`
	Currency            string    `json:"currency"`
	PaymentIntent       reference `json:"payment_intent"`
	Charge              reference `json:"charge"`
	NextPaymentAttempt  int64     `json:"next_payment_attempt"`
	SubscriptionDetails *struct {
		Metadata map[string]string `json:"metadata"`
	} `json:"subscription_details"`
	StatusTransitions struct {
		PaidAt int64 `json:"paid_at"`
	} `json:"status_transitions"`
	Livemode bool `json:"livemode"`
}

// UnmarshalJSON reads an id as an invoice with nothing but an id.
func (o *invoiceJSON) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '"' {
		return json.Unmarshal(data, &o.ID)
	}
	type plain invoiceJSON
	return json.Unmarshal(data, (*plain)(o))
}

func (o *invoiceJSON) invoice() Invoice {
	inv := Invoice{
		ID: o.ID, Subscription: o.Subscription.ID, Customer: o.Customer.ID, First: o.BillingReason == "subscription_create",
		Amount:        money.Amount{Minor: o.AmountPaid, Currency: money.Currency(strings.ToUpper(o.Currency))},
		PaymentIntent: o.PaymentIntent.ID, Charge: o.Charge.ID, Livemode: o.Livemode,
		PaidAt: unixOrZero(o.StatusTransitions.PaidAt),
	}
	inv.Paid = o.Status == "paid" && !o.PaidOutOfBand && o.AmountPaid > 0 && inv.PaymentIntent != ""
	inv.Draft, inv.UnderWay = o.Status == "draft", o.Status != "paid" && o.PaymentIntent.Status == "processing"
	switch o.Status {
	case "void", "uncollectible":
		inv.GivenUp = !inv.UnderWay
	case "open":
		inv.GivenUp = !inv.UnderWay && o.NextPaymentAttempt == 0
	}
	if o.SubscriptionDetails != nil {
		inv.Recurring = parseRecurring(o.SubscriptionDetails.Metadata)
	}
	return inv
}
