package stripe

import (
	"context"
	"net/http"
	"net/url"

	stripego "github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-go/v76/form"
)

// WebhookEndpoint is an address that Stripe sends events to.
type WebhookEndpoint struct {
	ID string
	// URL is its address. Two endpoints may have the same.
	URL string
	// Enabled is false when it was disabled, by a person or by Stripe after days of failures.
	Enabled bool
	// APIVersion is the version of its events; empty for the account's default.
	APIVersion string
	// Events are its event types; "*" is all.
	Events   []string
	Livemode bool
	// Purpose is the metadata that this program sets when it creates the endpoint; empty for others.
	Purpose string
	// Secret signs its deliveries. Stripe returns it only when the endpoint is created.
	Secret string
}

// purposeKey is the metadata key of Purpose. Stripe does not tell whether an endpoint gets events of connected
// accounts.
const purposeKey = "cagnotte"

type endpointJSON struct {
	stripego.APIResource
	ID            string            `json:"id"`
	URL           string            `json:"url"`
	Status        string            `json:"status"`
	APIVersion    string            `json:"api_version"`
	EnabledEvents []string          `json:"enabled_events"`
	Livemode      bool              `json:"livemode"`
	Metadata      map[string]string `json:"metadata"`
	Secret        string            `json:"secret"`
}

func (o *endpointJSON) endpoint() WebhookEndpoint {
	return WebhookEndpoint{
		ID: o.ID, URL: o.URL, Enabled: o.Status == "enabled", APIVersion: o.APIVersion, Events: o.EnabledEvents,
		Livemode: o.Livemode, Purpose: o.Metadata[purposeKey], Secret: o.Secret,
	}
}

// ListWebhookEndpoints returns all endpoints of the key's account. A restricted key needs permission to read them.
func (c *Client) ListWebhookEndpoints(ctx context.Context) (endpoints []WebhookEndpoint, err error) {
	for after := ""; ; {
		values := query("limit", "100")
		if after != "" {
			values.Add("starting_after", after)
		}
		var answer struct {
			stripego.APIResource
			Data    []endpointJSON `json:"data"`
			HasMore bool           `json:"has_more"`
		}
		if err := c.get(ctx, "", "/v1/webhook_endpoints", values, &answer); err != nil {
			return nil, err
		}
		for i := range answer.Data {
			endpoints = append(endpoints, answer.Data[i].endpoint())
		}
		if !answer.HasMore || len(answer.Data) == 0 {
			return endpoints, nil
		}
		after = answer.Data[len(answer.Data)-1].ID
	}
}

// CreateWebhookEndpoint creates an endpoint with e's URL, events and purpose, in [APIVersion], and returns it with its
// secret. With connect it gets events of connected accounts instead of the account's own. Two calls create two
// endpoints.
func (c *Client) CreateWebhookEndpoint(ctx context.Context, e WebhookEndpoint, connect bool) (WebhookEndpoint, error) {
	values := query("url", e.URL, "api_version", APIVersion, "metadata["+purposeKey+"]", e.Purpose)
	for i, kind := range e.Events {
		values.Add("enabled_events["+decimal(int64(i))+"]", kind)
	}
	if connect {
		values.Add("connect", "true")
	}
	var answer endpointJSON
	err := c.call(ctx, request{method: http.MethodPost, path: "/v1/webhook_endpoints", body: values}, &answer)
	return answer.endpoint(), err
}

// UpdateWebhookEndpoint sets an endpoint's events and enables it. Its version and its accounts cannot be changed.
// Repeating it is safe.
func (c *Client) UpdateWebhookEndpoint(ctx context.Context, id string, events []string) error {
	values := query("disabled", "false")
	for i, kind := range events {
		values.Add("enabled_events["+decimal(int64(i))+"]", kind)
	}
	return c.call(ctx, request{method: http.MethodPost, path: "/v1/webhook_endpoints/" + url.PathEscape(id), body: values}, &endpointJSON{})
}

// DeleteWebhookEndpoint deletes an endpoint. Stripe sends nothing to it any more. One that is gone is Missing.
func (c *Client) DeleteWebhookEndpoint(ctx context.Context, id string) error {
	return c.call(ctx, request{method: http.MethodDelete, path: "/v1/webhook_endpoints/" + url.PathEscape(id), body: &form.Values{}}, &endpointJSON{})
}
