// Command cagnotte is the production program: the service, its migrations, exports, the verification of the ledger, the
// set-up of Stripe, and the operator's first key. It reads its settings from the environment; the README lists them.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/cagnotte/cagnotte/services/internal/app"
)

const usage = `Usage: cagnotte COMMAND

  serve                 run the service until SIGINT or SIGTERM
  migrate               update the database's schema to this program; may be repeated
  export                write a collective's ledger to a file (export -h)
  ledger verify         recompute the books, or a file of them, and list what differs (ledger verify -h)
  ledger archive        write a book's sealed transactions to a file for ledger verify (ledger archive -h)
  ledger verify-proof   check a donor's proof code; needs no database (ledger verify-proof -h)
  receipts keygen       make a key that opens who gave on tax receipts (receipts keygen -h)
  receipts open         open who gave, offline; needs no database (receipts open -h)
  stripe setup          create or update the webhook endpoints at Stripe, and print the secrets of new ones
  stripe check          check this installation's settings and endpoints at Stripe, and list the problems
  operator -email E     make the person with this address an operator, and print a link that signs in (operator -h)
  operator create-key   create an operator's key and print it in the last line (operator create-key -h)
  version               print the version

Settings come from the environment: serve needs all of them, the stripe commands those of Stripe,
operator DATABASE_URL and CAGNOTTE_PUBLIC_URL,
and the other commands DATABASE_URL. The exit status is 1 after an error.
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// After the first signal, the next one ends the program at once.
	context.AfterFunc(ctx, stop)
	if err := run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "cagnotte:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) error {
	if len(args) == 0 {
		fmt.Fprint(stderr, usage)
		return errors.New("a command is required")
	}
	logger := slog.New(slog.NewJSONHandler(stderr, nil))
	command, args := args[0], args[1:]
	if (command == "operator" || command == "ledger" || command == "stripe" || command == "receipts") && len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		command, args = command+" "+args[0], args[1:]
	}
	switch command {
	case "serve":
		return serve(ctx, args, getenv, logger, stderr)
	case "migrate":
		return migrate(ctx, args, getenv, logger, stderr)
	case "export":
		return export(ctx, args, getenv, stdout, stderr)
	case "ledger verify":
		return verifyLedger(ctx, args, getenv, stdout, stderr)
	case "ledger archive":
		return archiveLedger(ctx, args, getenv, stderr)
	case "ledger verify-proof":
		return verifyProof(args, stdout, stderr)
	case "receipts keygen":
		return generateReceiptKey(args, stdout, stderr)
	case "receipts open":
		return openReceipts(args, stdout, stderr)
	case "stripe setup":
		return setUpStripe(ctx, args, getenv, stdout, stderr)
	case "stripe check":
		return checkStripe(ctx, args, getenv, stdout, stderr)
	case "operator":
		return createOperator(ctx, args, getenv, stdout, stderr)
	case "operator create-key":
		return createKey(ctx, args, getenv, stdout, stderr)
	case "version":
		fmt.Fprintln(stdout, version())
		return nil
	case "help", "-h", "--help":
		fmt.Fprint(stdout, usage)
		return nil
	default:
		fmt.Fprint(stderr, usage)
		return fmt.Errorf("unknown command %q", command)
	}
}

func serve(ctx context.Context, args []string, getenv func(string) string, logger *slog.Logger, stderr io.Writer) error {
	if err := parse(flag.NewFlagSet("serve", flag.ContinueOnError), args, stderr); err != nil {
		return ignoreHelp(err)
	}
	cfg, err := app.FromEnv(getenv)
	if err != nil {
		return err
	}
	cfg.Logger = logger
	return app.Run(ctx, cfg, func(a *app.App) {
		logger.Info("serving", "version", version(), "http", a.HTTPAddr().String(),
			"grpc", a.GRPCAddr().String(), "admin", a.AdminAddr().String())
	})
}

func migrate(ctx context.Context, args []string, getenv func(string) string, logger *slog.Logger, stderr io.Writer) error {
	if err := parse(flag.NewFlagSet("migrate", flag.ContinueOnError), args, stderr); err != nil {
		return ignoreHelp(err)
	}
	url, err := app.DatabaseFromEnv(getenv)
	if err != nil {
		return err
	}
	return app.Migrate(ctx, url, logger)
}

func createKey(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("operator create-key", flag.ContinueOnError)
	name := flags.String("name", "operator", "a name for the list of keys, such as the operator's")
	if err := parse(flags, args, stderr); err != nil {
		return ignoreHelp(err)
	}
	url, err := app.DatabaseFromEnv(getenv)
	if err != nil {
		return err
	}
	key, err := app.CreateOperatorKey(ctx, url, *name)
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "The key of %q. It is shown only now; send it as \"Authorization: Bearer KEY\".\n%s\n", *name, key)
	return nil
}

func createOperator(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("operator", flag.ContinueOnError)
	email := flags.String("email", "", "the person's address")
	name := flags.String("name", "", "the person's name, for the list of people; the address before its @ by default")
	language := flags.String("language", "fr", "of pages and mails: fr or en")
	if err := parse(flags, args, stderr); err != nil {
		return ignoreHelp(err)
	}
	if *email == "" {
		return errors.New("operator: -email is required, such as -email name@example.org")
	}
	if *name == "" {
		*name, _, _ = strings.Cut(*email, "@")
	}
	if *language != "fr" && *language != "en" {
		return fmt.Errorf("operator: -language %q is not fr or en", *language)
	}
	url, err := app.DatabaseFromEnv(getenv)
	if err != nil {
		return err
	}
	link, err := app.CreateMember(ctx, url, getenv("CAGNOTTE_PUBLIC_URL"), app.Person{
		Email: *email, Name: *name, Language: *language, Role: "operator",
	}, nil)
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "%s is an operator. This link signs in once, within 15 minutes; run the command again for another one.\n%s\n", *email, link)
	return nil
}

// parse reads the flags. It refuses further arguments, so that a typing error is not ignored.
func parse(flags *flag.FlagSet, args []string, stderr io.Writer) error {
	flags.SetOutput(stderr)
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("%s: unexpected %q", flags.Name(), flags.Arg(0))
	}
	return nil
}

func ignoreHelp(err error) error {
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	return err
}

func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	v := info.Main.Version
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			v += " " + s.Value
		}
	}
	return v + " " + info.GoVersion
}
