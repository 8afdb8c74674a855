package stripe

import (
	"context"
	"errors"
	"net/http"

	stripego "github.com/stripe/stripe-go/v76"
)

// Permission is a permission of restricted keys, in the words of Stripe's dashboard.
type Permission struct {
	// Name is the resource; Access is "Read" or "Write".
	Name, Access string
	// path is a reading call that needs the permission; empty when only a writing call would.
	path string
}

// Permissions are all that a restricted key needs. A permission to write is tried by reading, which it includes.
var Permissions = []Permission{
	{"Checkout Sessions", "Write", "/v1/checkout/sessions"},
	{"Payment Intents", "Read", "/v1/payment_intents"},
	{"Charges and Refunds", "Write", "/v1/refunds"},
	{"Balance", "Read", "/v1/balance_transactions"},
	{"Events", "Read", "/v1/events"},
	{"Payouts", "Read", "/v1/payouts"},
	{"Disputes", "Read", "/v1/disputes"},
	{"Early Fraud Warnings", "Read", "/v1/radar/early_fraud_warnings"},
	{"Customers", "Write", "/v1/customers"},
	{"Subscriptions", "Write", "/v1/subscriptions"},
	{"Invoices", "Read", "/v1/invoices"},
	{"Customer Portal", "Write", ""},
	{"Account Links and Accounts (only to open accounts for collectives)", "Write", ""},
	{"Webhook Endpoints", "Read", "/v1/webhook_endpoints"},
}

// Probe tries a permission by reading one object. allowed is false when Stripe refuses the key. tried is false when no
// reading call can tell.
func (c *Client) Probe(ctx context.Context, p Permission) (allowed, tried bool, err error) {
	if p.path == "" {
		return false, false, nil
	}
	var answer struct{ stripego.APIResource }
	err = c.get(ctx, "", p.path, query("limit", "1"), &answer)
	var refused *Error
	if errors.As(err, &refused) && (refused.Kind == Unauthorized || refused.Status == http.StatusForbidden) {
		return false, true, nil
	}
	return err == nil, true, err
}
