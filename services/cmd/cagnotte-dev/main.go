// Command cagnotte-dev runs a demo of everything on one machine, without any setting: a private Postgres, a simulated
// Stripe, three collectives with some months of donations, the service, and the collectives' own site on another origin.
// No card is charged, and no money moves.
//
// The data stay in one folder between runs. `cagnotte-dev forget` removes them.
package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	randv2 "math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/cagnotte/cagnotte/services/internal/app"
	"github.com/cagnotte/cagnotte/services/internal/pgembed"
	"github.com/cagnotte/cagnotte/services/internal/stripesim"
)

// The demo's addresses, all on this machine. Those of the service are its defaults.
const (
	httpAddr   = "127.0.0.1:8080"
	grpcAddr   = "127.0.0.1:9090"
	adminAddr  = "127.0.0.1:9091"
	siteAddr   = "127.0.0.1:8090"
	stripeAddr = "127.0.0.1:12111"
	mailAddr   = "127.0.0.1:8025"

	serviceURL = "http://" + httpAddr
	// publicURL has a name, since browsers allow no passkeys for an IP address.
	publicURL  = "http://localhost:8080"
	mailboxURL = "http://" + mailAddr
	siteURL    = "http://" + siteAddr
	stripeURL  = "http://" + stripeAddr
)

const (
	simulatedKey = "sk_test_simulated"
	// feeDelay is how long after a payment its fee is known. At Stripe that takes seconds too.
	feeDelay     = 2 * time.Second
	stopTimeout  = 30 * time.Second
	startTimeout = 2 * time.Minute
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// After the first signal, the next one ends the program at once.
	context.AfterFunc(ctx, stop)
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "cagnotte-dev:", err)
		os.Exit(1)
	}
}

// The only argument is forget; without one the demo runs until ctx ends.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	dir, err := pgembed.DefaultDir("demo")
	if err != nil {
		return err
	}
	switch {
	case len(args) == 0:
		return serve(ctx, dir, stdout, stderr)
	case len(args) == 1 && args[0] == "forget":
		return forget(ctx, dir)
	default:
		return errors.New("usage: cagnotte-dev [forget]")
	}
}

// state has what the demo keeps outside of its database. It is written when the demo's data are complete. The API keys
// cannot be read back from the database, which has only their hashes. The secrets are the same in each run.
type state struct {
	Keys          keys   `json:"keys"`
	SecretKey     []byte `json:"secret_key"`
	WebhookSecret string `json:"webhook_secret"`
	ConnectSecret string `json:"connect_secret"`
}

// serve starts everything, prints the addresses, and stops everything when ctx ends.
func serve(ctx context.Context, dir string, stdout, stderr io.Writer) (err error) {
	logger := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	// The ports come first, so that nothing was started or written when one of them is taken.
	site, stripe, mails, err := listen(ctx)
	if err != nil {
		return err
	}
	defer site.Close()
	defer stripe.Close()
	defer mails.Close()

	// What was started is stopped in reverse order, also after an error half-way. The stop has its own time, since ctx
	// has ended by then.
	var undo stack
	defer func() {
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		defer cancel()
		err = errors.Join(err, undo.run(stop))
	}()

	// The database is the lock as well: a second demo on the same folder ends here.
	db, fresh, err := startDatabase(ctx, dir)
	if err != nil {
		return err
	}
	undo.push(db.Stop)
	saved, err := loadState(dir, fresh)
	if err != nil {
		return err
	}
	if err := app.Migrate(ctx, db.URL("cagnotte"), nil); err != nil {
		return fmt.Errorf("update the demo's database (cagnotte-dev forget removes it): %w", err)
	}

	// Migrations ran with the server's own login; the service has a role that owns nothing.
	databaseURL, err := serviceLogin(ctx, db)
	if err != nil {
		return err
	}
	// The service and the simulator share one clock, so no date of one lies in the future of the other.
	clock := stripesim.NewClock()
	sim, err := stripesim.New(stripesim.Config{
		APIKeys:   []string{simulatedKey},
		Clock:     clock,
		BaseURL:   stripeURL,
		FeeDelay:  feeDelay,
		StatePath: filepath.Join(dir, "stripe.json"),
		Logger:    logger,
		Endpoints: []stripesim.Endpoint{
			{URL: serviceURL + "/v1/webhooks/stripe", Secret: saved.WebhookSecret},
			{URL: serviceURL + "/v1/webhooks/stripe/connect", Secret: saved.ConnectSecret, Connect: true},
		},
	})
	if err != nil {
		return err
	}
	undo.push(sim.Close)
	// Debits are offered on the platform's account, which the demo's collectives use.
	if err := sim.OfferDebits("", true); err != nil {
		return err
	}
	// The simulator answers before the service starts, which calls it.
	undo.push(serveHTTP(stripe, sim.Handler()))

	// Mails end in the demo's mailbox, unless SMTP_URL is set.
	smtpURL := os.Getenv("SMTP_URL")
	box, err := newMailbox()
	if err != nil {
		return err
	}
	if smtpURL == "" {
		l, err := listenOn(ctx, "the mailbox", "127.0.0.1:0")
		if err != nil {
			return err
		}
		stop := box.serveMail(l)
		undo.push(func(context.Context) error { return stop() })
		smtpURL = "smtp://" + l.Addr().String() + "?from=dons@example.org"
	}
	undo.push(serveHTTP(mails, box))

	// The service gets what an installation reads from its environment.
	running, err := app.Start(ctx, app.Config{
		DatabaseURL:                 databaseURL,
		StripeAPIKey:                simulatedKey,
		StripeAPIBase:               stripeURL,
		StripeWebhookSecrets:        []string{saved.WebhookSecret},
		StripeConnectWebhookSecrets: []string{saved.ConnectSecret},
		PublicURL:                   publicURL,
		Host:                        []string{"Association Exemple", "1 rue du Port, 29200 Brest", "02 98 00 00 00", "contact@example.org"},
		HTTPAddr:                    httpAddr,
		GRPCAddr:                    grpcAddr,
		AdminAddr:                   adminAddr,
		SecretKey:                   saved.SecretKey,
		TrustedProxies:              []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
		FeeEstimate:                 app.DefaultFeeEstimate,
		SMTPURL:                     smtpURL,
		Logger:                      logger,
		Now:                         clock.Now,
	})
	if err != nil {
		return err
	}
	undo.push(running.Stop)

	demos, err := loadDemos()
	if err != nil {
		return err
	}
	// The state is saved last: a demo that is interrupted before has no state file, and starts anew the next time.
	if fresh {
		if saved.Keys, err = seedDemo(ctx, db.URL("cagnotte"), sim, clock, demos); err != nil {
			return fmt.Errorf("create the demo's data: %w", err)
		}
		if err := saved.save(dir); err != nil {
			return err
		}
	}
	handler, err := newSite(serviceURL, demos)
	if err != nil {
		return err
	}
	undo.push(serveHTTP(site, handler))

	links, err := signInLinks(ctx, db.URL("cagnotte"), demos[0], clock.Now)
	if err != nil {
		return fmt.Errorf("make the demo's members: %w", err)
	}
	announce(stdout, demos, saved.Keys, links, databaseURL)
	// The demo ends with a signal, or with the service when that fails.
	select {
	case <-ctx.Done():
		fmt.Fprintln(stdout, "\nStopping.")
		return nil
	case <-running.Done():
		return errors.New("the service has ended")
	}
}

// startDatabase starts Postgres on the demo's data. Without a state file the data are incomplete, because their creation
// was interrupted: then the database is created again, and fresh is true.
func startDatabase(ctx context.Context, dir string) (db *pgembed.Server, fresh bool, err error) {
	_, statErr := os.Stat(filepath.Join(dir, "state.json"))
	fresh = errors.Is(statErr, os.ErrNotExist)
	// Durable, because the data stay between runs.
	db, err = pgembed.Start(ctx, pgembed.Config{Dir: filepath.Join(dir, "postgres"), Durable: true})
	if errors.Is(err, pgembed.ErrInUse) {
		return nil, false, fmt.Errorf("another cagnotte-dev of this checkout is running: %w", err)
	}
	if err != nil {
		return nil, false, err
	}
	// The simulator's file goes with the database, since each names objects of the other.
	if fresh {
		err = errors.Join(recreate(ctx, db), removeIfExists(filepath.Join(dir, "stripe.json")))
	}
	if err != nil {
		// The server must not outlive an error; ctx may have ended already.
		return nil, false, errors.Join(err, db.Stop(context.WithoutCancel(ctx)))
	}
	return db, fresh, nil
}

// listen opens the ports that this program serves itself. The service opens its own.
func listen(ctx context.Context) (site, stripe, mails net.Listener, err error) {
	if site, err = listenOn(ctx, "the collective's own site", siteAddr); err != nil {
		return nil, nil, nil, err
	}
	if stripe, err = listenOn(ctx, "the simulated Stripe", stripeAddr); err != nil {
		site.Close()
		return nil, nil, nil, err
	}
	if mails, err = listenOn(ctx, "the mailbox", mailAddr); err != nil {
		site.Close()
		stripe.Close()
		return nil, nil, nil, err
	}
	return site, stripe, mails, nil
}

// signInLinks makes the demo's members, where they are not there yet, and a link for each that signs in once.
func signInLinks(ctx context.Context, databaseURL string, d demo, now func() time.Time) (links []string, err error) {
	for _, p := range []app.Person{
		{Email: "camille@example.org", Name: "Camille", Role: "owner", Collective: d.CollectiveID},
		{Email: "nadia@example.org", Name: "Nadia", Role: "editor", Collective: d.CollectiveID},
		{Email: "karim@example.org", Name: "Karim", Role: "treasurer", Collective: d.CollectiveID},
		{Email: "louise@example.org", Name: "Louise", Role: "auditor", Collective: d.CollectiveID},
		{Email: "sacha@example.org", Name: "Sacha", Role: "operator"},
	} {
		p.Language = "fr"
		link, err := app.CreateMember(ctx, databaseURL, publicURL, p, now)
		if err != nil {
			return nil, err
		}
		links = append(links, fmt.Sprintf("%-9s  %s", p.Role, link))
	}
	return links, nil
}

// listenOn opens one port; who names its purpose in the error.
func listenOn(ctx context.Context, who, addr string) (net.Listener, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("%s: another program listens on %s; is another demo running?", who, addr)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", who, err)
	}
	return l, nil
}

// serveHTTP serves until stop is called, which waits for requests in progress until its context ends.
func serveHTTP(l net.Listener, handler http.Handler) (stop func(context.Context) error) {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	// One place, so that the goroutine ends also when nobody calls stop.
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	return func(ctx context.Context) error {
		err := server.Shutdown(ctx)
		if serveErr := <-done; !errors.Is(serveErr, http.ErrServerClosed) {
			err = errors.Join(err, serveErr)
		}
		return err
	}
}

// seedDemo fills a new database through the running service, and returns when all webhooks have arrived. It fails after
// startTimeout.
func seedDemo(ctx context.Context, databaseURL string, sim *stripesim.Sim, clock *stripesim.Clock, demos []demo) (keys, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	operator, err := app.CreateOperatorKey(ctx, databaseURL, "Démo\u00a0: administration du site")
	if err != nil {
		return keys{}, err
	}
	conn, err := grpc.NewClient(grpcAddr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return keys{}, err
	}
	defer conn.Close()
	// The widget may be embedded by the site under both of its names.
	s := &seeder{
		conn:    conn,
		sim:     sim,
		clock:   clock,
		origins: []string{siteURL, strings.Replace(siteURL, "127.0.0.1", "localhost", 1)},
		// The seed is fixed, so that screenshots of two demos can be compared.
		random: randv2.New(randv2.NewPCG(1789, 1905)),
	}
	k, err := s.seed(ctx, operator, demos)
	if err != nil {
		return keys{}, err
	}
	return k, sim.WaitDelivered(ctx)
}

// loadState reads the state file, or makes new secrets for a fresh demo; save writes them once the data are complete.
func loadState(dir string, fresh bool) (state, error) {
	if fresh {
		s := state{SecretKey: make([]byte, 32), WebhookSecret: "whsec_" + rand.Text(), ConnectSecret: "whsec_" + rand.Text()}
		_, err := rand.Read(s.SecretKey)
		return s, err
	}
	raw, err := os.ReadFile(filepath.Join(dir, "state.json"))
	if err != nil {
		return state{}, err
	}
	var s state
	if err := json.Unmarshal(raw, &s); err != nil {
		return state{}, fmt.Errorf("%s: %w", filepath.Join(dir, "state.json"), err)
	}
	return s, nil
}

// save writes the file as a whole or not at all: it exists once the demo's data are complete.
func (s state) save(dir string) error {
	raw, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	// Only the owner may read it: it has API keys.
	temporary := filepath.Join(dir, "state.json.new")
	if err := os.WriteFile(temporary, raw, 0o600); err != nil {
		return err
	}
	return os.Rename(temporary, filepath.Join(dir, "state.json"))
}

// forget removes the demo's data. It returns an error while a demo is running.
func forget(ctx context.Context, dir string) error {
	if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	// If the server can start, no other one uses the folder.
	db, err := pgembed.Start(ctx, pgembed.Config{Dir: filepath.Join(dir, "postgres")})
	if errors.Is(err, pgembed.ErrInUse) {
		return fmt.Errorf("stop the demo that is running first: %w", err)
	}
	// A server that cannot start for another reason, such as damaged data, does not prevent the removal.
	if err == nil {
		if err := db.Stop(ctx); err != nil {
			return err
		}
	}
	return os.RemoveAll(dir)
}

// removeIfExists removes a file; one that is missing is no error.
func removeIfExists(path string) error {
	if err := os.Remove(path); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// stack has the functions that stop what was started. run calls them in reverse order.
type stack []func(context.Context) error

func (s *stack) push(f func(context.Context) error) { *s = append(*s, f) }

// run calls all of them, also after an error, and returns the errors together.
func (s stack) run(ctx context.Context) (err error) {
	for i := len(s) - 1; i >= 0; i-- {
		err = errors.Join(err, s[i](ctx))
	}
	return err
}

// announce prints the addresses and keys for the person at the terminal.
func announce(w io.Writer, demos []demo, k keys, links []string, databaseURL string) {
	fmt.Fprintf(w, `
Cagnotte: a demo with a SIMULATED Stripe. No card is charged and no money moves.

  A collective's own site, with the widget   %s/
  Its campaign's public page                 %s
  The API: each call, with a curl line       %s/api
  REST, as OpenAPI describes it              %s/openapi.json
  gRPC, with reflection                      %s
  The simulated Stripe                       %s
  Metrics and profiles                       http://%s/metrics
  The mails that are sent                    %s/

The console, by role; each link signs in once, within 15 minutes. Afterwards ask for one at %s/console
(camille@example.org, nadia@, karim@, louise@ or sacha@) and find it in the mailbox:

  %s

API keys of two members of %s and of the operator, and the database, for a shell:

  OWNER=%s
  TREASURER=%s
  OPERATOR=%s
  export DATABASE_URL='%s'
  curl -H "Authorization: Bearer $TREASURER" %s/v1/%s/ledger/accounts

Ctrl-C stops everything and keeps the data; make clean removes them.
`, siteURL, demos[0].page(publicURL), serviceURL, serviceURL, grpcAddr, stripeURL, adminAddr,
		mailboxURL, publicURL, strings.Join(links, "\n  "), demos[0].Collective.DisplayName, k.Owner, k.Treasurer, k.Operator, databaseURL, serviceURL, demos[0].collectiveName())
}
