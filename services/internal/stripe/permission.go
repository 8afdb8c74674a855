package stripe

import (
	"context"
	"errors"
	"net/http"

	stripego "github.com/stripe/stripe-go/v76"
)

// Permission is one that a restricted key needs, in the words of Stripe's dashboard.
type Permission struct {
	// Name is the resource, Access "Read" or "Write".
	Name, Access string
	// path is a call that needs the reading of it; empty where only a writing call could tell.
	path string
}

// Permissions are all that a restricted key needs. Writing cannot be tried without writing, so where a permission
// to write contains that to read, the reading is tried.
var Permissions = []Permission{
	{"Checkout Sessions", "Write", "/v1/checkout/sessions"},
	{"Payment Intents", "Read", "/v1/payment_intents"},
	{"Charges and Refunds", "Write", "/v1/refunds"},
	{"Balance", "Read", "/v1/balance_transactions"},
	{"Events", "Read", "/v1/events"},
	{"Payouts", "Read", "/v1/payouts"},
	{"Disputes", "Read", "/v1/disputes"},
	{"Early Fraud Warnings", "Read", "/v1/radar/early_fraud_warnings"},
	{"Customers", "Read", "/v1/customers"},
	{"Subscriptions", "Write", "/v1/subscriptions"},
	{"Invoices", "Read", "/v1/invoices"},
	{"Customer Portal", "Write", ""},
	{"Account Links and Accounts (only to open accounts for collectives)", "Write", ""},
	{"Webhook Endpoints", "Read", "/v1/webhook_endpoints"},
}

// Probe tries to read one object of the kind. allowed is false when Stripe says that the key may not; tried is
// false when no reading call could tell.
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
