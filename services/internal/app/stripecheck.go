package app

import (
	"context"
	"fmt"
	"io"

	"github.com/cagnotte/cagnotte/services/instance"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/webhooks"
)

// severities are the words at the beginning of a line.
var severities = map[instance.Severity]string{instance.OK: "ok   ", instance.Note: "note ", instance.Wrong: "WRONG"}

// StripeCheck says what is wrong between this installation and Stripe, one line each, and changes nothing. It is
// an error when anything must be mended. It tells no secret.
func StripeCheck(ctx context.Context, getenv func(string) string, out io.Writer) error {
	// Stored secrets belong to no collective.
	ctx = postgres.WithScope(ctx, postgres.AllScope())
	in := instance.Installation{
		SMTPURL: getenv("SMTP_URL"),
		SettingsSecrets: map[webhooks.Endpoint]int{
			webhooks.EndpointPlatform: len(list(getenv("STRIPE_WEBHOOK_SECRET"))),
			webhooks.EndpointConnect:  len(list(getenv("STRIPE_CONNECT_WEBHOOK_SECRET"))),
		},
	}
	s, err := stripeFromEnv(getenv)
	if err != nil {
		in.StripeProblem = err
	} else {
		in.Stripe, in.PublicURL = s.client, s.publicURL
	}
	// Without the key the stored secrets are not looked at.
	in.SecretKey, _ = SecretKeyFromEnv(getenv)
	if url, err := DatabaseFromEnv(getenv); err != nil {
		in.DatabaseProblem = err
	} else if pool, err := postgres.Open(ctx, postgres.Config{URL: url}); err != nil {
		in.DatabaseProblem = fmt.Errorf("DATABASE_URL: %w", err)
	} else {
		defer pool.Close()
		in.Pool = pool
	}
	check := instance.StripeCheck{Findings: instance.Check(ctx, in)}
	for _, f := range check.Findings {
		fmt.Fprintf(out, "%s %s\n", severities[f.Severity], f.Message())
	}
	if wrong := check.Wrong(); wrong > 0 {
		return fmt.Errorf("to be mended: %d", wrong)
	}
	return nil
}
