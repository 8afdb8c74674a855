package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/cagnotte/cagnotte/services/internal/app"
)

// verifyLedger returns an error, and so the exit status is 1, when the books are not sound.
func verifyLedger(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("ledger verify", flag.ContinueOnError)
	var books []string
	flags.Func("book", "the book to verify, by its Stripe account; '' is the platform's own; may be repeated (default: all books)", func(book string) error {
		books = append(books, book)
		return nil
	})
	file := flags.String("from-export", "", "verify this file instead, without a database: a whole book, as ledger archive writes it,\n"+
		"or a collective's whole share, as an export in the format PROOF")
	key := flags.String("key", "", "with -from-export: the verifier key of the book, which must verify the newest checkpoint.\n"+
		"Without a key the file is checked too, but the exit status is 1: anybody can sign a file with another key")
	if err := parse(flags, args, stderr); err != nil {
		return ignoreHelp(err)
	}
	if *file != "" {
		return verifyArchive(*file, *key, stdout)
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
		fmt.Fprintln(stderr, "CAGNOTTE_SECRET_KEY is not set: compare the verifier keys below with those that you know")
	}
	return app.VerifyLedger(ctx, url, secret, books, stdout)
}

func verifyArchive(name, key string, stdout io.Writer) error {
	file, err := os.Open(name)
	if err != nil {
		return fmt.Errorf("ledger verify: %w", err)
	}
	defer file.Close()
	return app.VerifyArchive(bufio.NewReaderSize(file, archiveBuffer), key, stdout)
}

// archiveBuffer is the size of the buffer for an archive, in bytes.
const archiveBuffer = 1 << 16

// archiveLedger writes to a new file, and removes the file after an error.
func archiveLedger(ctx context.Context, args []string, getenv func(string) string, stderr io.Writer) (err error) {
	flags := flag.NewFlagSet("ledger archive", flag.ContinueOnError)
	book := flags.String("book", "", "the book, by its Stripe account (default: the platform's own)")
	name := flags.String("o", "", "the file to create; it must not exist (required)")
	if err := parse(flags, args, stderr); err != nil {
		return ignoreHelp(err)
	}
	if *name == "" {
		return errors.New("ledger archive: -o is required")
	}
	url, err := app.DatabaseFromEnv(getenv)
	if err != nil {
		return err
	}
	file, err := os.OpenFile(*name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("ledger archive: %w", err)
	}
	defer func() {
		if err = errors.Join(err, file.Close()); err != nil {
			os.Remove(*name)
		}
	}()
	out := bufio.NewWriterSize(file, archiveBuffer)
	if err := app.ArchiveLedger(ctx, url, *book, out); err != nil {
		return err
	}
	return out.Flush()
}

func verifyProof(args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("ledger verify-proof", flag.ContinueOnError)
	key := flags.String("key", "", "the verifier key of the book, cagnotte-ledger-… (required)")
	flags.SetOutput(stderr)
	if err := flags.Parse(args); err != nil {
		return ignoreHelp(err)
	}
	if *key == "" || flags.NArg() != 1 {
		return errors.New("ledger verify-proof: -key KEY and one CODE are required")
	}
	return app.VerifyProof(flags.Arg(0), *key, stdout)
}
