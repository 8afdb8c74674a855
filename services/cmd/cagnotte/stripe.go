package main

import (
	"context"
	"flag"
	"io"

	"github.com/cagnotte/cagnotte/services/internal/app"
)

// setUpStripe prints the variables of new secrets to stdout, in a form that can be appended to the file of settings.
func setUpStripe(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) error {
	if err := parse(flag.NewFlagSet("stripe setup", flag.ContinueOnError), args, stderr); err != nil {
		return ignoreHelp(err)
	}
	return app.StripeSetup(ctx, getenv, stdout)
}

// checkStripe returns an error, and so the exit status is 1, when there is a problem.
func checkStripe(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) error {
	if err := parse(flag.NewFlagSet("stripe check", flag.ContinueOnError), args, stderr); err != nil {
		return ignoreHelp(err)
	}
	return app.StripeCheck(ctx, getenv, stdout)
}
