package stripe

import (
	"context"
	"net/http"
	"net/url"

	stripego "github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-go/v76/form"
)

// CreatePortalSession returns the address of a page where a customer changes the card or ends a subscription. It is
// valid for some minutes. It takes no idempotency key: each call may create another session, and none changes anything.
func (c *Client) CreatePortalSession(ctx context.Context, account, customer, returnURL, locale string) (pageURL string, err error) {
	body := &form.Values{}
	form.AppendTo(body, &stripego.BillingPortalSessionParams{Customer: &customer, ReturnURL: &returnURL, Locale: stripego.String(localeOf(locale))})
	var answer struct {
		stripego.APIResource
		URL string `json:"url"`
	}
	err = c.call(ctx, request{method: http.MethodPost, path: "/v1/billing_portal/sessions", account: account, body: body}, &answer)
	return answer.URL, err
}

// CustomerEmail reads the e-mail address that a customer gave to Stripe; empty when there is none. It is personal data:
// use it at once, and neither store nor log it.
func (c *Client) CustomerEmail(ctx context.Context, account, customer string) (string, error) {
	var answer struct {
		stripego.APIResource
		Email string `json:"email"`
	}
	err := c.get(ctx, account, "/v1/customers/"+url.PathEscape(customer), nil, &answer)
	return answer.Email, err
}

// DeleteCustomer deletes a customer for good, with the name, the address and the cards. Charges stay. It is Missing when there is
// none, so repeating the call is safe.
// https://docs.stripe.com/api/customers/delete
func (c *Client) DeleteCustomer(ctx context.Context, account, customer string) error {
	var answer stripego.APIResource
	return c.call(ctx, request{
		method: http.MethodDelete, path: "/v1/customers/" + url.PathEscape(customer), account: account, body: &form.Values{},
	}, &answer)
}

// CustomersByEmail returns the ids of the customers with exactly this address, the newest 100 of them. The address is personal
// data: no error has it.
// https://docs.stripe.com/api/customers/list#list_customers-email
func (c *Client) CustomersByEmail(ctx context.Context, account, email string) ([]string, error) {
	var answer struct {
		stripego.APIResource
		Data []reference `json:"data"`
	}
	if err := c.get(ctx, account, "/v1/customers", query("email", email, "limit", "100"), &answer); err != nil {
		return nil, err
	}
	ids := make([]string, len(answer.Data))
	for i, customer := range answer.Data {
		ids[i] = customer.ID
	}
	return ids, nil
}
