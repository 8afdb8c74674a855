package stripe

import (
	"context"
	"errors"
	"net/http"
	"time"

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

// Unknown tells of an error that Stripe does not know the key, or no longer.
func Unknown(err error) bool {
	return KindOf(err) == Unauthorized
}

// Disconnected tells of an error that the connected account gave no access, or took it back.
func Disconnected(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Status == http.StatusForbidden && e.Code == "account_invalid"
}

// Clock returns Stripe's time, by the head of an answer to the account's own reading, and ours at that moment.
// It is an error when none came.
func (c *Client) Clock(ctx context.Context) (theirs, ours time.Time, err error) {
	var answer struct{ stripego.APIResource }
	err = c.get(ctx, "", "/v1/events", query("limit", "1"), &answer)
	ours = time.Now()
	if answer.LastResponse != nil {
		if theirs, parseErr := http.ParseTime(answer.LastResponse.Header.Get("Date")); parseErr == nil {
			return theirs, ours, nil
		}
	}
	if err == nil {
		err = errors.New("stripe: the answer bears no date")
	}
	return time.Time{}, ours, err
}
