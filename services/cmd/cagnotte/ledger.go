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

// verifyLedger ends with an error, and so with status 1, when the books are not sound.
func verifyLedger(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("ledger verify", flag.ContinueOnError)
	var books []string
	flags.Func("book", "a book, by its Stripe account; '' is the platform's own; may be repeated; all when left out", func(book string) error {
		books = append(books, book)
		return nil
	})
	file := flags.String("from-export", "", "a file to check instead, without a database: what ledger archive wrote, which is a whole book,\n"+
		"or a collective's export in the format PROOF, which is the collective's whole share")
	key := flags.String("key", "", "with -from-export: the verifier key of the book, which the newest checkpoint must be signed by.\n"+
		"Without it the file is checked all the same, and the status is 1: anybody can sign with a key of their own")
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
		fmt.Fprintln(stderr, "CAGNOTTE_SECRET_KEY is not set: compare the verifier keys with what you know")
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

// archiveBuffer is how much of an archive is read or written at a time, in bytes.
const archiveBuffer = 1 << 16

// archiveLedger writes to a new file, and removes it when it is not whole.
func archiveLedger(ctx context.Context, args []string, getenv func(string) string, stderr io.Writer) (err error) {
	flags := flag.NewFlagSet("ledger archive", flag.ContinueOnError)
	book := flags.String("book", "", "the book, by its Stripe account; the platform's own when left out")
	name := flags.String("o", "", "the file to write, which must not exist (required)")
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
		return errors.New("ledger verify-proof: needs -key KEY and one CODE")
	}
	return app.VerifyProof(flags.Arg(0), *key, stdout)
}
