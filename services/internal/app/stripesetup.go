package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/cagnotte/cagnotte/services/internal/stripe"
	"github.com/cagnotte/cagnotte/services/webhooks"
)

// stripeEndpoint is one of the two places that Stripe sends events to.
type stripeEndpoint struct {
	kind     webhooks.Endpoint
	name     string // noted in its metadata
	path     string
	variable string // that holds its secret
}

var stripeEndpoints = []stripeEndpoint{
	{webhooks.EndpointPlatform, "platform", "/v1/webhooks/stripe", "STRIPE_WEBHOOK_SECRET"},
	{webhooks.EndpointConnect, "connect", "/v1/webhooks/stripe/connect", "STRIPE_CONNECT_WEBHOOK_SECRET"},
}

// stripeSettings are what the commands about Stripe need of the settings.
type stripeSettings struct {
	client    *stripe.Client
	publicURL string
}

// stripeFromEnv reads the settings of the commands about Stripe, by the same rules as FromEnv.
func stripeFromEnv(getenv func(string) string) (s stripeSettings, err error) {
	key := getenv("STRIPE_API_KEY")
	if key == "" {
		return s, missing("STRIPE_API_KEY", "a restricted key, rk_live_… or rk_test_…")
	}
	if err := checkStripeKeys(key); err != nil {
		return s, err
	}
	base := getenv("STRIPE_API_BASE")
	if base != "" {
		if base, err = baseURL("STRIPE_API_BASE", base); err != nil {
			return s, err
		}
	}
	if s.publicURL, err = baseURL("CAGNOTTE_PUBLIC_URL", getenv("CAGNOTTE_PUBLIC_URL")); err != nil {
		return s, err
	}
	s.client, err = stripe.New(stripe.Config{APIKey: key, BaseURL: base})
	return s, err
}

// StripeSetup makes the two webhook endpoints at Stripe, or brings those at our addresses up to this program:
// switched on, with exactly the event types that it understands. It writes what it did as comments, and the
// variable with the secret of each endpoint that it made: Stripe tells that once. Doing it twice is safe. It is
// an error when something is left for somebody to do. The key needs the permission to write webhook endpoints.
func StripeSetup(ctx context.Context, getenv func(string) string, out io.Writer) error {
	s, err := stripeFromEnv(getenv)
	if err != nil {
		return err
	}
	existing, err := s.client.ListWebhookEndpoints(ctx)
	if err != nil {
		return fmt.Errorf("webhook endpoints cannot be listed: %w", err)
	}
	var failed error
	for _, e := range stripeEndpoints {
		// A failure at one endpoint does not keep the other from being set up.
		failed = errors.Join(failed, s.setUp(ctx, e, existing, out))
	}
	return failed
}

// setUp makes or updates the endpoint at one address. Two endpoints there, or one in another API version, are left to
// the operator.
func (s stripeSettings) setUp(ctx context.Context, e stripeEndpoint, existing []stripe.WebhookEndpoint, out io.Writer) error {
	url, types := s.publicURL+e.path, webhooks.EventTypes(e.kind)
	at := endpointsAt(existing, url)
	switch {
	case len(at) > 1:
		return fmt.Errorf("%d endpoints send to %s: delete all but one at Stripe, then run this again", len(at), url)
	case len(at) == 0:
		return s.create(ctx, e, url, types, out)
	}
	found := at[0]
	if found.APIVersion != stripe.APIVersion {
		return fmt.Errorf("%s (%s) renders events in %s, which cannot be changed: delete it at Stripe, then run this again",
			found.ID, url, rendering(found.APIVersion))
	}
	// Both directions: types that the program does not need any more are removed too.
	if found.Enabled && len(difference(types, found.Events)) == 0 && len(difference(found.Events, types)) == 0 {
		fmt.Fprintf(out, "# %s (%s) is in order\n", found.ID, url)
		return nil
	}
	if err := s.client.UpdateWebhookEndpoint(ctx, found.ID, types); err != nil {
		return fmt.Errorf("%s (%s) cannot be updated: %w", found.ID, url, err)
	}
	fmt.Fprintf(out, "# %s (%s) is brought up to date: %d event types\n", found.ID, url, len(types))
	return nil
}

// create makes an endpoint and writes its secret, which Stripe returns only here.
func (s stripeSettings) create(ctx context.Context, e stripeEndpoint, url string, types []string, out io.Writer) error {
	made, err := s.client.CreateWebhookEndpoint(ctx,
		stripe.WebhookEndpoint{URL: url, Events: types, Purpose: e.name}, e.kind == webhooks.EndpointConnect)
	if err != nil {
		return fmt.Errorf("the endpoint %s cannot be made: %w", url, err)
	}
	fmt.Fprintf(out, "# %s (%s) is made: %d event types. Its secret is told this once:\n%s=%s\n", made.ID, url, len(types), e.variable, made.Secret)
	return nil
}

// endpointsAt returns the endpoints of an address, with or without a slash at its end.
func endpointsAt(all []stripe.WebhookEndpoint, url string) (at []stripe.WebhookEndpoint) {
	for _, e := range all {
		if strings.TrimRight(e.URL, "/") == url {
			at = append(at, e)
		}
	}
	return at
}

// difference is what is in a and not in b.
func difference(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(a), func(s string) bool { return slices.Contains(b, s) || slices.Contains(b, "*") })
}

// rendering names the version that an endpoint renders events in.
func rendering(version string) string {
	if version == "" {
		return "the account's default API version"
	}
	return "API version " + version
}
