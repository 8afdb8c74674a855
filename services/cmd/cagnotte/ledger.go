package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"

	"github.com/cagnotte/cagnotte/services/internal/app"
)

// verifyLedger ends with an error, and so with status 1, when the books are not sound.
func verifyLedger(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("ledger verify", flag.ContinueOnError)
	var books []string
	flags.Func("book", "a book, by its Stripe account; '' is the platform's own; may be repeated; all when left out", func(book string) error {
		books = append(books, book)
		return nil
	})
	if err := parse(flags, args, stderr); err != nil {
		return ignoreHelp(err)
	}
	url, err := app.DatabaseFromEnv(getenv)
	if err != nil {
		return err
	}
	secret, err := app.SecretKeyFromEnv(getenv)
	if err != nil {
		return err
	}
	if secret == nil {
		fmt.Fprintln(stderr, "CAGNOTTE_SECRET_KEY is not set: compare the verifier keys with what you know")
	}
	return app.VerifyLedger(ctx, url, secret, books, stdout)
}

func verifyProof(args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("ledger verify-proof", flag.ContinueOnError)
	key := flags.String("key", "", "the verifier key of the book, cagnotte-ledger-… (required)")
	flags.SetOutput(stderr)
	if err := flags.Parse(args); err != nil {
		return ignoreHelp(err)
	}
	if *key == "" || flags.NArg() != 1 {
		return errors.New("ledger verify-proof: needs -key KEY and one CODE")
	}
	return app.VerifyProof(flags.Arg(0), *key, stdout)
}
