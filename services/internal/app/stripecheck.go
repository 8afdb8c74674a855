package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/cagnotte/cagnotte/services/connect"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/mail"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/internal/stripe"
	"github.com/cagnotte/cagnotte/services/webhooks"
)

const (
	// skewLimit is what Stripe's signatures tolerate; skewNotice is what clocks in order stay below.
	skewLimit  = 5 * time.Minute
	skewNotice = 30 * time.Second
	checkLimit = 30 * time.Second
)

// checkup collects what was found, one line each.
type checkup struct {
	out    io.Writer
	failed int
}

func (c *checkup) ok(format string, args ...any) { fmt.Fprintf(c.out, "ok    "+format+"\n", args...) }

func (c *checkup) warn(format string, args ...any) { fmt.Fprintf(c.out, "note  "+format+"\n", args...) }

func (c *checkup) fail(format string, args ...any) {
	c.failed++
	fmt.Fprintf(c.out, "WRONG "+format+"\n", args...)
}

// StripeCheck says what is wrong between this installation and Stripe, one line each, and changes nothing. It is
// an error when anything must be mended. It tells no secret.
func StripeCheck(ctx context.Context, getenv func(string) string, out io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, checkLimit)
	defer cancel()
	c := &checkup{out: out}
	s, err := stripeFromEnv(getenv)
	if err != nil {
		c.fail("%v", err)
	} else {
		c.stripe(ctx, s, getenv)
	}
	c.mail(getenv("SMTP_URL"))
	// The client is nil after a wrong setting of Stripe's. The database is checked all the same.
	c.database(ctx, s.client, getenv("DATABASE_URL"))
	if c.failed > 0 {
		return fmt.Errorf("to be mended: %d", c.failed)
	}
	return nil
}

// stripe checks the keys, and with one that Stripe knows also the clock and the webhook endpoints.
func (c *checkup) stripe(ctx context.Context, s stripeSettings, getenv func(string) string) {
	mode := "test"
	if s.client.Livemode() {
		mode = "live"
	}
	keys := s.client.EachKey()
	c.ok("STRIPE_API_KEY is for %s mode, API version %s", mode, stripe.APIVersion)
	if len(keys) > 1 {
		c.warn("STRIPE_API_KEY holds %d keys: leave the new one alone when the roll is over", len(keys))
	}
	// One key that Stripe knows is enough for the other checks.
	known := false
	for i, key := range keys {
		known = c.key(ctx, key, fmt.Sprintf("key %d of %d", i+1, len(keys))) || known
	}
	// Without a key that Stripe knows, the other checks could only fail.
	if !known {
		return
	}
	c.clock(ctx, s.client)
	c.endpoints(ctx, s, getenv)
}

// key checks what one key may; it reports whether Stripe knows it.
func (c *checkup) key(ctx context.Context, key *stripe.Client, name string) bool {
	switch _, err := key.OwnAccount(ctx); {
	case stripe.Unknown(err):
		c.fail("%s: Stripe does not know it (401): it was revoked, has expired, or is mistyped", name)
		return false
	case stripe.KindOf(err) == stripe.Refused:
		c.warn("%s: may not read its own account, so that a key of another account would not be noticed", name)
	case err != nil:
		c.fail("%s: Stripe does not answer: %v", name, err)
		return false
	}
	// A permission to write cannot be tried without writing, and is only noted for a restricted key.
	for _, p := range stripe.Permissions {
		allowed, tried, err := key.Probe(ctx, p)
		switch {
		case err != nil:
			c.warn("%s: %s cannot be tried now: %v", name, p.Name, err)
		case tried && !allowed:
			c.fail("%s: lacks the permission %s: %s", name, p.Name, p.Access)
		case !tried && key.Restricted():
			c.warn("%s: whether it has the permission %s: %s cannot be tried without writing", name, p.Name, p.Access)
		}
	}
	return true
}

// clock compares this machine's clock with Stripe's, since a signature with an old time is refused.
func (c *checkup) clock(ctx context.Context, client *stripe.Client) {
	theirs, ours, err := client.Clock(ctx)
	if err != nil {
		c.warn("Stripe's clock cannot be read: %v", err)
		return
	}
	// The header has whole seconds.
	switch skew := ours.Sub(theirs).Abs().Round(time.Second); {
	case skew > skewLimit:
		c.fail("the clock differs from Stripe's by %v: signatures are refused; set the time (NTP)", skew)
	case skew > skewNotice:
		c.warn("the clock differs from Stripe's by %v; %v is the limit", skew, skewLimit)
	default:
		c.ok("the clock agrees with Stripe's")
	}
}

// endpoints checks the two webhook endpoints. If they cannot be listed this is only noted, since key reports a missing
// permission.
func (c *checkup) endpoints(ctx context.Context, s stripeSettings, getenv func(string) string) {
	all, err := s.client.ListWebhookEndpoints(ctx)
	if err != nil {
		c.warn("webhook endpoints cannot be listed, so they are not checked: %v", err)
		return
	}
	for _, e := range stripeEndpoints {
		c.endpoint(s, e, all, len(list(getenv(e.variable))))
	}
}

// endpoint checks what Stripe has at one of our addresses. secrets is how many signing secrets its variable has.
func (c *checkup) endpoint(s stripeSettings, e stripeEndpoint, all []stripe.WebhookEndpoint, secrets int) {
	address := s.publicURL + e.path
	at := endpointsAt(all, address)
	if len(at) == 0 {
		// An endpoint with our path at another address may be from an earlier public URL.
		for _, other := range all {
			if u, err := url.Parse(other.URL); err == nil && strings.TrimRight(u.Path, "/") == e.path {
				c.warn("%s sends to %s, which is not CAGNOTTE_PUBLIC_URL", other.ID, other.URL)
			}
		}
		if e.kind == webhooks.EndpointConnect && secrets == 0 {
			c.warn("no endpoint sends the events of connected accounts to %s: they are needed once a collective has an account of its own", address)
			return
		}
		c.fail("no endpoint sends to %s: run `cagnotte stripe setup`", address)
		return
	}
	// The line that all is right is written only if this endpoint adds no failure.
	before := c.failed
	if len(at) > 1 {
		c.fail("%d endpoints send to %s: events come as often, and each has a secret of its own; delete all but one", len(at), address)
	}
	for _, found := range at {
		if !found.Enabled {
			c.fail("%s (%s) is disabled: run `cagnotte stripe setup`", found.ID, address)
		}
		if found.Livemode != s.client.Livemode() {
			c.fail("%s (%s) is of the other mode than the key", found.ID, address)
		}
		// Only a note, because such events are still applied: their resource is read again.
		if found.APIVersion != stripe.APIVersion {
			c.warn("%s (%s) renders events in %s: each costs a call; delete it and run `cagnotte stripe setup`",
				found.ID, address, rendering(found.APIVersion))
		}
		if lacks := difference(webhooks.EventTypes(e.kind), found.Events); len(lacks) > 0 {
			c.fail("%s (%s) does not send %s: run `cagnotte stripe setup`", found.ID, address, strings.Join(lacks, ", "))
		}
	}
	switch {
	case secrets == 0:
		c.fail("%s is not set: %s signs with a secret, which Stripe's dashboard shows", e.variable, at[0].ID)
	// Two secrets are right while one is being rolled.
	case secrets > 1:
		c.warn("%s holds %d secrets: leave the new one alone when the roll is over", e.variable, secrets)
	}
	if c.failed == before {
		c.ok("%s (%s) sends what is needed", at[0].ID, address)
	}
}

// mail checks the form of SMTP_URL. It sends nothing.
func (c *checkup) mail(smtpURL string) {
	switch {
	case smtpURL == "":
		c.warn("SMTP_URL is not set: members see notices only where they look")
	case mail.Check(smtpURL) != nil:
		c.fail("SMTP_URL: %v", mail.Check(smtpURL))
	default:
		c.ok("SMTP_URL is set")
	}
}

// database checks the schema, and that the books are of the keys' account.
func (c *checkup) database(ctx context.Context, client *stripe.Client, databaseURL string) {
	if databaseURL == "" {
		c.fail("%v", missing("DATABASE_URL", "postgres://user:password@host/database"))
		return
	}
	pool, err := postgres.Open(ctx, postgres.Config{URL: databaseURL})
	if err != nil {
		c.fail("DATABASE_URL: %v", err)
		return
	}
	defer pool.Close()
	current, wanted, err := postgres.SchemaState(ctx, pool)
	switch {
	case err != nil:
		c.fail("DATABASE_URL: the database does not answer: %v", err)
		return
	case current < wanted:
		c.fail("%d of %d migrations are applied: run `cagnotte migrate`", current, wanted)
		return
	}
	c.ok("the database is current: %d migrations", current)
	// The settings of Stripe were wrong, which is reported already.
	if client == nil {
		return
	}
	accounts := connect.New(connect.Config{Pool: pool})
	for _, key := range client.EachKey() {
		// Without the account CheckPlatform compares the mode alone. Why it is unknown is reported by key.
		account, err := key.OwnAccount(ctx)
		if err != nil {
			account = ""
		}
		var other *errs.Error
		if err := accounts.CheckPlatform(ctx, account, client.Livemode()); errors.As(err, &other) {
			c.fail("STRIPE_API_KEY: %s", other.Message)
		}
	}
}
