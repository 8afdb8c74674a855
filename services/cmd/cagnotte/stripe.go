package main

import (
	"context"
	"flag"
	"io"

	"github.com/cagnotte/cagnotte/services/internal/app"
)

// setUpStripe prints the variables of new secrets to stdout, which can be appended to the settings as it is.
func setUpStripe(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) error {
	if err := parse(flag.NewFlagSet("stripe setup", flag.ContinueOnError), args, stderr); err != nil {
		return ignoreHelp(err)
	}
	return app.StripeSetup(ctx, getenv, stdout)
}

// checkStripe ends with an error, and so with status 1, when anything must be mended.
func checkStripe(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) error {
	if err := parse(flag.NewFlagSet("stripe check", flag.ContinueOnError), args, stderr); err != nil {
		return ignoreHelp(err)
	}
	return app.StripeCheck(ctx, getenv, stdout)
}
