package stripe

import (
	"context"
	"net/url"
	"strings"

	"github.com/google/uuid"
	stripego "github.com/stripe/stripe-go/v76"
)

// PaymentIntent is a payment and the balance transaction of its latest charge.
type PaymentIntent struct {
	ID string
	// Status is in Stripe's words, such as "succeeded".
	Status string
	// Currency is what was paid, in upper case: the donor's own currency when Stripe showed the price in it.
	Currency string
	// Donation is the donation in its metadata; Nil otherwise. It proves nothing, see [Source].
	Donation uuid.UUID
	// Invoice is the invoice that it pays; empty for none.
	Invoice string
	// Balance is the latest charge's balance transaction; nil while its fee is unknown.
	Balance *BalanceTransaction
}

// GetPaymentIntent reads a payment intent with its latest charge's balance transaction.
func (c *Client) GetPaymentIntent(ctx context.Context, account, id string) (PaymentIntent, error) {
	var answer struct {
		stripego.APIResource
		ID           string      `json:"id"`
		Status       string      `json:"status"`
		Currency     string      `json:"currency"`
		Metadata     metadata    `json:"metadata"`
		Invoice      reference   `json:"invoice"`
		LatestCharge *chargeJSON `json:"latest_charge"`
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

// chargeJSON is a charge whose balance transaction was expanded.
type chargeJSON struct {
	ID            string                  `json:"id"`
	Created       int64                   `json:"created"`
	Status        ChargeStatus            `json:"status"`
	Amount        int64                   `json:"amount"`
	Currency      string                  `json:"currency"`
	Metadata      metadata                `json:"metadata"`
	PaymentIntent reference               `json:"payment_intent"`
	Invoice       reference               `json:"invoice"`
	Method        methodJSON              `json:"payment_method_details"`
	Balance       *balanceTransactionJSON `json:"balance_transaction"`
}

// balance returns nil when there is no charge, or the charge has no balance transaction yet.
func (o *chargeJSON) balance() *BalanceTransaction {
	if o == nil || o.Balance == nil {
		return nil
	}
	balance := o.Balance.transaction()
	balance.Source = Source{
		ID: o.ID, Object: kindCharge, Created: unixOrZero(o.Created), Charge: o.ID, PaymentIntent: o.PaymentIntent.ID, Amount: o.Amount,
		Currency: strings.ToUpper(o.Currency), Donation: parseDonation(o.Metadata), Method: o.Method.Type, Invoice: o.Invoice.ID,
		Status: o.Status,
	}
	return &balance
}
