package app

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/cagnotte/cagnotte/services/instance"
	"github.com/cagnotte/cagnotte/services/internal/stripe"
)

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

// StripeSetup makes the two webhook endpoints at Stripe, or brings those at our addresses up to this program; see
// [instance.SetUp]. It writes what it did as comments, and the variable with the secret of each endpoint that it made:
// Stripe tells that once. It is an error when something is left for somebody to do.
func StripeSetup(ctx context.Context, getenv func(string) string, out io.Writer) error {
	s, err := stripeFromEnv(getenv)
	if err != nil {
		return err
	}
	results, err := instance.SetUp(ctx, s.client, s.publicURL, instance.SetUpOptions{})
	if err != nil {
		return err
	}
	var failed error
	for _, r := range results {
		switch r.Outcome {
		case instance.InOrder:
			fmt.Fprintf(out, "# %s (%s) is in order\n", r.Endpoint, r.URL)
		case instance.Updated:
			fmt.Fprintf(out, "# %s (%s) is brought up to date: %d event types\n", r.Endpoint, r.URL, r.Types)
		case instance.Failed:
			failed = errors.Join(failed, errors.New(r.Message))
		default:
			fmt.Fprintf(out, "# %s (%s) is made: %d event types. Its secret is told this once:\n%s=%s\n", r.Endpoint, r.URL, r.Types, r.Variable, r.Secret)
		}
	}
	return failed
}
