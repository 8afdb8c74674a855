package stripe

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/google/uuid"
	stripego "github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-go/v76/form"
)

// RefundStatus is the status of a refund.
type RefundStatus string

// The statuses of a refund, https://docs.stripe.com/api/refunds/object#refund_object-status. One that succeeded
// can still fail, within about 30 days.
const (
	RefundPending        RefundStatus = "pending"
	RefundRequiresAction RefundStatus = "requires_action"
	RefundSucceeded      RefundStatus = "succeeded"
	RefundFailed         RefundStatus = "failed"
	RefundCanceled       RefundStatus = "canceled"
)

// Refund is a refund, without anything of its recipient.
type Refund struct {
	ID                    string
	Charge, PaymentIntent string
	// Refund is our own refund in its metadata; Nil for one that was made elsewhere, such as in the dashboard.
	Refund uuid.UUID
	// AmountMinor is in Currency, the charge's, in upper case.
	AmountMinor int64
	Currency    string
	Status      RefundStatus
	// Reason is duplicate, fraudulent, requested_by_customer or expired_uncaptured_charge; empty when none was given.
	Reason string
	// FailureReason is in Stripe's words, such as expired_or_canceled_card; empty unless it failed.
	FailureReason string
	Created       time.Time
}

// RefundParams are the parameters of a refund.
type RefundParams struct {
	// Account is the connected account; empty for the platform's own.
	Account string
	// Refund is our refund's id. Stripe is told nothing else of it.
	Refund uuid.UUID
	// Attempt is part of the idempotency key. Count it up to leave a failure behind that Stripe repeats.
	Attempt       int
	PaymentIntent string
	AmountMinor   int64
	// Reason is duplicate, fraudulent or requested_by_customer; empty for none of them.
	Reason string
}

// CreateRefund creates a refund, or returns the one that the same parameters created before. The idempotency key holds
// the refund, the attempt and a hash of all parameters, so that one key never has two bodies.
func (c *Client) CreateRefund(ctx context.Context, p RefundParams) (Refund, error) {
	params := &stripego.RefundParams{
		Amount:        &p.AmountMinor,
		PaymentIntent: &p.PaymentIntent,
		Metadata:      map[string]string{metadataRefund: p.Refund.String()},
	}
	if p.Reason != "" {
		params.Reason = &p.Reason
	}
	body := &form.Values{}
	form.AppendTo(body, params)
	hash := sha256.Sum256([]byte(p.Account + "\n" + body.Encode()))
	var answer refundAnswer
	err := c.call(ctx, request{
		method: http.MethodPost, path: "/v1/refunds", account: p.Account, body: body,
		idempotencyKey: fmt.Sprintf("refund-%s-%d-%s", p.Refund, p.Attempt, hex.EncodeToString(hash[:12])),
	}, &answer)
	if err != nil {
		return Refund{}, err
	}
	return answer.refund(), nil
}

// GetRefund reads one refund.
func (c *Client) GetRefund(ctx context.Context, account, id string) (Refund, error) {
	var answer refundAnswer
	if err := c.get(ctx, account, "/v1/refunds/"+url.PathEscape(id), nil, &answer); err != nil {
		return Refund{}, err
	}
	return answer.refund(), nil
}

// ListRefundsOfCharge returns all refunds of a charge, newest first.
func (c *Client) ListRefundsOfCharge(ctx context.Context, account, charge string) ([]Refund, error) {
	return c.listRefunds(ctx, account, "charge", charge)
}

// ListRefundsOfPayment returns all refunds of a payment intent, newest first.
func (c *Client) ListRefundsOfPayment(ctx context.Context, account, intent string) ([]Refund, error) {
	return c.listRefunds(ctx, account, "payment_intent", intent)
}

func (c *Client) listRefunds(ctx context.Context, account, of, id string) (all []Refund, err error) {
	for after := ""; ; {
		values := query(of, id, "limit", decimal(pageSize))
		if after != "" {
			values.Add("starting_after", after)
		}
		var answer struct {
			stripego.APIResource
			Data    []refundJSON `json:"data"`
			HasMore bool         `json:"has_more"`
		}
		if err := c.get(ctx, account, "/v1/refunds", values, &answer); err != nil {
			return nil, err
		}
		for i := range answer.Data {
			all = append(all, answer.Data[i].refund())
		}
		if !answer.HasMore || len(answer.Data) == 0 {
			return all, nil
		}
		after = answer.Data[len(answer.Data)-1].ID
	}
}

// metadataRefund is the only metadata key of a refund that we set and read.
const metadataRefund = "refund"

type refundJSON struct {
	ID            string       `json:"id"`
	Charge        reference    `json:"charge"`
	PaymentIntent reference    `json:"payment_intent"`
	Metadata      metadata     `json:"metadata"`
	Amount        int64        `json:"amount"`
	Currency      string       `json:"currency"`
	Status        RefundStatus `json:"status"`
	Reason        string       `json:"reason"`
	FailureReason string       `json:"failure_reason"`
	Created       int64        `json:"created"`
}

type refundAnswer struct {
	stripego.APIResource
	refundJSON
}

func (o *refundJSON) refund() Refund {
	// Other products may use the same key, so a value that is not a UUID is not ours.
	ours, err := uuid.Parse(o.Metadata[metadataRefund])
	if err != nil {
		ours = uuid.Nil
	}
	return Refund{
		ID: o.ID, Charge: o.Charge.ID, PaymentIntent: o.PaymentIntent.ID, Refund: ours, AmountMinor: o.Amount,
		Currency: strings.ToUpper(o.Currency), Status: o.Status, Reason: o.Reason, FailureReason: o.FailureReason,
		Created: unix(o.Created),
	}
}
