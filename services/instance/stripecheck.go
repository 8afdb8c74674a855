package instance

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/cagnotte/cagnotte/services/audit"
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
	// checkLimit is shorter than a call may take, so that the outcome is stored.
	checkLimit = 25 * time.Second
)

// Installation is what is compared with Stripe. A command knows only its settings; the service knows all.
type Installation struct {
	// Stripe has the keys. Nil: the settings are wrong, and StripeProblem says why.
	Stripe        *stripe.Client
	StripeProblem error
	// PublicURL is the address for browsers, without a slash at its end.
	PublicURL string
	// SettingsSecrets are how many signing secrets the settings have for each endpoint.
	SettingsSecrets map[webhooks.Endpoint]int
	// SMTPURL is the setting. Empty: none is set.
	SMTPURL string
	// Pool is the database. Nil: it cannot be opened, and DatabaseProblem says why.
	Pool            *pgxpool.Pool
	DatabaseProblem error
	// SecretKey opens the stored signing secrets. Empty: they are not looked at.
	SecretKey []byte
}

// checkup collects what was found.
type checkup struct {
	Installation
	findings []Finding
	wrong    int
	// stored are the endpoints whose secrets are stored; nil where that is not known.
	stored []webhooks.StoredSecret
}

func (c *checkup) add(severity Severity, code string, pairs ...string) {
	f := Finding{Severity: severity, Code: code}
	if len(pairs) > 0 {
		f.Values = map[string]string{}
	}
	for i := 0; i < len(pairs); i += 2 {
		f.Values[pairs[i]] = pairs[i+1]
	}
	if severity == Wrong {
		c.wrong++
	}
	c.findings = append(c.findings, f)
}

// Check says what is wrong between an installation and Stripe, and changes nothing. It takes half a minute at most. What
// it finds has no secret.
func Check(ctx context.Context, in Installation) []Finding {
	ctx, cancel := context.WithTimeout(ctx, checkLimit)
	defer cancel()
	c := &checkup{Installation: in}
	current := c.readDatabase(ctx)
	databaseFindings := c.findings
	c.findings = nil
	if in.Stripe == nil {
		c.add(Wrong, "STRIPE_SETTINGS", "problem", in.StripeProblem.Error())
	} else {
		c.stripe(ctx)
	}
	c.mail()
	c.findings = append(c.findings, databaseFindings...)
	if current && in.Stripe != nil {
		c.account(ctx)
	}
	return c.findings
}

// CheckStripe is Check for this program's own settings. It stores what it found.
func (s *Service) CheckStripe(ctx context.Context) (StripeCheck, error) {
	found := Check(ctx, s.installation())
	check := StripeCheck{Time: s.now(), Findings: found}
	result := outcome{time: check.Time}
	if check.Wrong() > 0 {
		result.failure = "WRONG"
	}
	err := postgres.InTx(context.WithoutCancel(ctx), s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		if err := s.storeCheckTx(ctx, tx, checkStripe, result, found); err != nil {
			return err
		}
		return audit.WriteTx(ctx, tx, audit.Change{Resource: name, After: audit.Fields{"stripe_check_wrong": strconv.Itoa(check.Wrong())}})
	})
	return check, err
}

func (s *Service) installation() Installation {
	return Installation{
		Stripe: s.cfg.Stripe, PublicURL: s.cfg.PublicURL, SMTPURL: s.cfg.SMTPURL, Pool: s.cfg.Pool, SecretKey: s.cfg.SecretKey,
		SettingsSecrets: map[webhooks.Endpoint]int{
			webhooks.EndpointPlatform: s.cfg.Webhooks.SettingsSecretCount(webhooks.EndpointPlatform),
			webhooks.EndpointConnect:  s.cfg.Webhooks.SettingsSecretCount(webhooks.EndpointConnect),
		},
	}
}

// stripe checks the keys, and with one that Stripe knows also the clock and the webhook endpoints.
func (c *checkup) stripe(ctx context.Context) {
	code := "KEY_MODE_TEST"
	if c.Stripe.Livemode() {
		code = "KEY_MODE_LIVE"
	}
	keys := c.Stripe.EachKey()
	c.add(OK, code, "version", stripe.APIVersion)
	if len(keys) > 1 {
		c.add(Note, "KEY_SEVERAL", "count", strconv.Itoa(len(keys)))
	}
	// One key that Stripe knows is enough for the other checks.
	known := false
	for i, key := range keys {
		known = c.key(ctx, key, fmt.Sprintf("%d of %d", i+1, len(keys))) || known
	}
	// Without a key that Stripe knows, the other checks could only fail.
	if !known {
		return
	}
	c.clock(ctx)
	c.endpoints(ctx)
}

// key checks what one key may; it reports whether Stripe knows it.
func (c *checkup) key(ctx context.Context, key *stripe.Client, name string) bool {
	switch _, err := key.OwnAccount(ctx); {
	case stripe.Unknown(err):
		c.add(Wrong, "KEY_UNKNOWN", "key", name)
		return false
	case stripe.KindOf(err) == stripe.Refused:
		c.add(Note, "KEY_OWN_ACCOUNT_HIDDEN", "key", name)
	case err != nil:
		c.add(Wrong, "STRIPE_SILENT", "key", name, "problem", err.Error())
		return false
	}
	// A permission to write cannot be tried without writing, and is only noted for a restricted key.
	for _, p := range stripe.Permissions {
		allowed, tried, err := key.Probe(ctx, p)
		switch {
		case err != nil:
			c.add(Note, "PERMISSION_UNTRIED", "key", name, "permission", p.Name, "problem", err.Error())
		case tried && !allowed:
			c.add(Wrong, "PERMISSION_LACKING", "key", name, "permission", p.Name, "access", p.Access)
		case !tried && key.Restricted():
			c.add(Note, "PERMISSION_UNKNOWN", "key", name, "permission", p.Name, "access", p.Access)
		}
	}
	return true
}

// clock compares this machine's clock with Stripe's, since a signature with an old time is refused.
func (c *checkup) clock(ctx context.Context) {
	theirs, ours, err := c.Stripe.Clock(ctx)
	if err != nil {
		c.add(Note, "CLOCK_UNKNOWN", "problem", err.Error())
		return
	}
	// The header has whole seconds.
	switch skew := ours.Sub(theirs).Abs().Round(time.Second); {
	case skew > skewLimit:
		c.add(Wrong, "CLOCK_WRONG", "difference", skew.String())
	case skew > skewNotice:
		c.add(Note, "CLOCK_DIFFERS", "difference", skew.String(), "limit", skewLimit.String())
	default:
		c.add(OK, "CLOCK_OK")
	}
}

// endpoints checks the two webhook endpoints. If they cannot be listed this is only noted, since key reports a missing
// permission.
func (c *checkup) endpoints(ctx context.Context) {
	all, err := c.Stripe.ListWebhookEndpoints(ctx)
	if err != nil {
		c.add(Note, "ENDPOINTS_HIDDEN", "problem", err.Error())
		return
	}
	for _, e := range endpoints {
		c.endpoint(e, all)
	}
}

// endpoint checks what Stripe has at one of our addresses.
func (c *checkup) endpoint(e endpoint, all []stripe.WebhookEndpoint) {
	address := c.PublicURL + e.path
	at := endpointsAt(all, address)
	if len(at) == 0 {
		// An endpoint with our path at another address may be from an earlier public URL.
		for _, other := range all {
			if u, err := url.Parse(other.URL); err == nil && strings.TrimRight(u.Path, "/") == e.path {
				c.add(Note, "ENDPOINT_ELSEWHERE", "endpoint", other.ID, "url", other.URL)
			}
		}
		if e.kind == webhooks.EndpointConnect && c.SettingsSecrets[e.kind] == 0 {
			c.add(Note, "ENDPOINT_CONNECT_MISSING", "url", address)
			return
		}
		c.add(Wrong, "ENDPOINT_MISSING", "url", address)
		return
	}
	// That all is right is said only if this endpoint adds nothing that is wrong.
	before := c.wrong
	if len(at) > 1 {
		c.add(Wrong, "ENDPOINT_SEVERAL", "count", strconv.Itoa(len(at)), "url", address)
	}
	for _, found := range at {
		if !found.Enabled {
			c.add(Wrong, "ENDPOINT_DISABLED", "endpoint", found.ID, "url", address)
		}
		if found.Livemode != c.Stripe.Livemode() {
			c.add(Wrong, "ENDPOINT_OTHER_MODE", "endpoint", found.ID, "url", address)
		}
		// Only a note, because such events are still applied: their resource is read again.
		if found.APIVersion != stripe.APIVersion {
			c.add(Note, "ENDPOINT_VERSION", "endpoint", found.ID, "url", address, "version", rendering(found.APIVersion))
		}
		if lacks := difference(webhooks.EventTypes(e.kind), found.Events); len(lacks) > 0 {
			c.add(Wrong, "ENDPOINT_EVENTS", "endpoint", found.ID, "url", address, "events", strings.Join(lacks, ", "))
		}
	}
	c.secret(e, at[0].ID)
	if c.wrong == before {
		c.add(OK, "ENDPOINT_OK", "endpoint", at[0].ID, "url", address)
	}
}

// secret checks whether there is a signing secret for an endpoint. Whether one of the settings is the endpoint's cannot be
// known: Stripe does not show it again. A stored one says whose it is.
func (c *checkup) secret(e endpoint, id string) {
	count := c.SettingsSecrets[e.kind]
	// Two secrets are right while one is being rolled.
	if count > 1 {
		c.add(Note, "SECRET_SEVERAL", "variable", e.variable, "count", strconv.Itoa(count))
	}
	if count > 0 {
		return
	}
	other := false
	for _, stored := range c.stored {
		switch {
		case stored.Endpoint != e.kind:
		case stored.EndpointID != id:
			other = true
		case !stored.Readable:
			c.add(Wrong, "SECRET_UNREADABLE", "endpoint", id, "variable", e.variable)
			return
		default:
			return
		}
	}
	if other {
		c.add(Wrong, "SECRET_OTHER", "endpoint", id, "variable", e.variable)
		return
	}
	c.add(Wrong, "SECRET_MISSING", "endpoint", id, "variable", e.variable)
}

// mail checks the form of SMTP_URL. It sends nothing.
func (c *checkup) mail() {
	switch {
	case c.SMTPURL == "":
		c.add(Note, "MAIL_MISSING")
	case mail.Check(c.SMTPURL) != nil:
		c.add(Wrong, "MAIL_SETTINGS", "problem", mail.Check(c.SMTPURL).Error())
	default:
		c.add(OK, "MAIL_OK")
	}
}

// readDatabase checks the schema, and reads which secrets are stored. It reports whether the schema is current.
func (c *checkup) readDatabase(ctx context.Context) bool {
	if c.Pool == nil {
		c.add(Wrong, "DATABASE_SETTINGS", "problem", c.DatabaseProblem.Error())
		return false
	}
	applied, needed, err := postgres.SchemaState(ctx, c.Pool)
	switch {
	case err != nil:
		c.add(Wrong, "DATABASE_SILENT", "problem", err.Error())
		return false
	case applied < needed:
		c.add(Wrong, "MIGRATIONS_MISSING", "applied", strconv.FormatInt(applied, 10), "needed", strconv.FormatInt(needed, 10))
		return false
	}
	c.add(OK, "DATABASE_OK", "applied", strconv.FormatInt(applied, 10))
	// A failure leaves it unknown; the settings' secrets are checked all the same.
	if len(c.SecretKey) > 0 {
		c.stored, _ = webhooks.New(webhooks.Config{Pool: c.Pool, SecretKey: c.SecretKey}).StoredSecrets(ctx)
	}
	return true
}

// account checks that the books are of the keys' account.
func (c *checkup) account(ctx context.Context) {
	accounts := connect.New(connect.Config{Pool: c.Pool})
	for _, key := range c.Stripe.EachKey() {
		// Without the account CheckPlatform compares the mode alone. Why it is unknown is reported by key.
		account, err := key.OwnAccount(ctx)
		if err != nil {
			account = ""
		}
		var other *errs.Error
		if err := accounts.CheckPlatform(ctx, account, c.Stripe.Livemode()); errors.As(err, &other) {
			c.add(Wrong, "OTHER_ACCOUNT", "problem", other.Message)
		}
	}
}
