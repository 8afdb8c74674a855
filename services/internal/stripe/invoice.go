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

// Invoice is what is kept of an invoice: one period of a subscription, and how it was paid. Who pays is not even
// decoded.
type Invoice struct {
	ID string
	// Subscription and Customer are opaque ids; Subscription is empty for an invoice of another kind.
	Subscription, Customer string
	// Recurring is the monthly donation that the subscription's metadata names; Nil for another product's.
	Recurring uuid.UUID
	// First: it is what the subscription began with.
	First bool
	// Draft: it is not asked for yet, as a renewal's in its first hour.
	Draft bool
	// Paid: its money moved through Stripe. One that was marked as paid by other means is not Paid here.
	Paid bool
	// UnderWay: a debit of it is at the bank. Known of an invoice that was read by its id or with its subscription.
	UnderWay bool
	// GivenUp: it was not paid, and nothing is under way or will be tried.
	GivenUp bool
	// Amount is what was paid.
	Amount                money.Amount
	PaymentIntent, Charge string
	// PaidAt is zero until then.
	PaidAt   time.Time
	Livemode bool
}

// GetInvoice reads an invoice, with how its payment stands.
func (c *Client) GetInvoice(ctx context.Context, account, id string) (Invoice, error) {
	var answer struct {
		stripego.APIResource
		invoiceJSON
	}
	err := c.get(ctx, account, "/v1/invoices/"+url.PathEscape(id), query("expand[0]", "payment_intent"), &answer)
	return answer.invoice(), err
}

// ListPaidInvoices returns a subscription's latest paid invoices, newest first, a hundred at most: more than eight
// years of a monthly donation.
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
