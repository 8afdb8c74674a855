package stripe

import (
	"context"
	"net/url"
	"time"

	stripego "github.com/stripe/stripe-go/v76"
)

// FraudWarning is a card network's early warning that a payment was fraudulent, before any dispute.
// https://docs.stripe.com/disputes/measuring#early-fraud-warnings
type FraudWarning struct {
	ID                    string
	Charge, PaymentIntent string
	// FraudType is in Stripe's words, such as made_with_stolen_card.
	FraudType string
	// Actionable: the payment is neither disputed nor fully refunded, so a refund still avoids a dispute.
	Actionable bool
	Created    time.Time
	Livemode   bool
}

// GetFraudWarning reads one early fraud warning.
func (c *Client) GetFraudWarning(ctx context.Context, account, id string) (FraudWarning, error) {
	var answer struct {
		stripego.APIResource
		ID            string    `json:"id"`
		Charge        reference `json:"charge"`
		PaymentIntent reference `json:"payment_intent"`
		FraudType     string    `json:"fraud_type"`
		Actionable    bool      `json:"actionable"`
		Created       int64     `json:"created"`
		Livemode      bool      `json:"livemode"`
	}
	if err := c.get(ctx, account, "/v1/radar/early_fraud_warnings/"+url.PathEscape(id), nil, &answer); err != nil {
		return FraudWarning{}, err
	}
	return FraudWarning{
		ID: answer.ID, Charge: answer.Charge.ID, PaymentIntent: answer.PaymentIntent.ID, FraudType: answer.FraudType,
		Actionable: answer.Actionable, Created: unix(answer.Created), Livemode: answer.Livemode,
	}, nil
}
