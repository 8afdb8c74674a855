package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/cagnotte/cagnotte/services/internal/app"
)

// openReceipts opens who gave, offline: the identity file never leaves the machine that it is on.
func openReceipts(args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("receipts open", flag.ContinueOnError)
	identity := flags.String("identity", "", "the file with the secret key, as age-keygen or receipts keygen wrote it (required)")
	flags.Usage = func() {
		fmt.Fprintln(stderr, "Usage: cagnotte receipts open -identity FILE SEALED\n\nWrites who gave as CSV. SEALED is the file that the console hands out.")
		flags.PrintDefaults()
	}
	flags.SetOutput(stderr)
	if err := flags.Parse(args); err != nil {
		return ignoreHelp(err)
	}
	if *identity == "" || flags.NArg() != 1 {
		return errors.New("receipts open: -identity FILE and one file of sealed identities are required")
	}
	key, err := os.Open(*identity)
	if err != nil {
		return err
	}
	defer key.Close()
	sealed, err := os.Open(flags.Arg(0))
	if err != nil {
		return err
	}
	defer sealed.Close()
	return app.OpenReceipts(key, sealed, stdout)
}

// generateReceiptKey makes a key and keeps its secret part in a file that only its owner reads. It overwrites none.
func generateReceiptKey(args []string, stdout, stderr io.Writer) (err error) {
	flags := flag.NewFlagSet("receipts keygen", flag.ContinueOnError)
	name := flags.String("o", "", "the file for the secret key, which must not exist (required)")
	if err := parse(flags, args, stderr); err != nil {
		return ignoreHelp(err)
	}
	if *name == "" {
		return errors.New("receipts keygen: -o FILE is required")
	}
	file, err := os.OpenFile(*name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	recipient, err := app.GenerateReceiptKey(file)
	if err != nil {
		return err
	}
	fmt.Fprintln(stderr, "Keep this file, and a copy of it: if all keys are lost, nobody opens what was sealed. Add this public part in the console:")
	fmt.Fprintln(stdout, recipient)
	return nil
}
