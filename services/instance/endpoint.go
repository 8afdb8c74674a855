package instance

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/audit"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/internal/stripe"
	"github.com/cagnotte/cagnotte/services/webhooks"
)

// endpoint is one of the two places that Stripe sends events to.
type endpoint struct {
	kind     webhooks.Endpoint
	name     string // noted in its metadata
	path     string
	variable string // that holds its secret
}

var endpoints = []endpoint{
	{webhooks.EndpointPlatform, "platform", "/v1/webhooks/stripe", "STRIPE_WEBHOOK_SECRET"},
	{webhooks.EndpointConnect, "connect", "/v1/webhooks/stripe/connect", "STRIPE_CONNECT_WEBHOOK_SECRET"},
}

// Outcome is what was done at an endpoint.
type Outcome string

// The outcomes.
const (
	InOrder  Outcome = "in_order"
	Updated  Outcome = "updated"
	Created  Outcome = "created"
	Replaced Outcome = "replaced"
	Failed   Outcome = "failed"
)

// Result is what was done at one endpoint.
type Result struct {
	Kind    webhooks.Endpoint
	URL     string
	Outcome Outcome
	// Endpoint is Stripe's id of it; empty when there is none.
	Endpoint string
	// FailureCode and Message say why it failed and what to do; empty when it did not.
	FailureCode, Message string
	// Types is how many event types it sends.
	Types int
	// Variable is the setting that holds its secret, and Secret the secret of one that was created. Only a command sees it.
	Variable, Secret string
}

// SetUpOptions say what SetUp may do.
type SetUpOptions struct {
	// Replace allows to replace an endpoint that cannot be kept; see the contract.
	Replace bool
	// HasSecret reports whether there is a secret for an endpoint of this id. Nil: not known, and every endpoint counts as
	// having one.
	HasSecret func(kind webhooks.Endpoint, id string) bool
	// Store keeps the secret of an endpoint that was created. Nil: the caller keeps that of the result.
	Store func(ctx context.Context, e webhooks.StoredSecret, secret string) error
}

// SetUp makes the two webhook endpoints at Stripe, or brings those at our addresses up to this program: enabled, with
// exactly the event types that it understands. A failure at one endpoint does not keep the other from being set up, and is
// in its result. Doing it twice is safe. The key needs the permission to write webhook endpoints. The error is for
// endpoints that cannot be listed.
func SetUp(ctx context.Context, client *stripe.Client, publicURL string, options SetUpOptions) ([]Result, error) {
	existing, err := client.ListWebhookEndpoints(ctx)
	if err != nil {
		return nil, fmt.Errorf("webhook endpoints cannot be listed: %w", err)
	}
	s := setUp{client: client, options: options}
	var results []Result
	for _, e := range endpoints {
		r := Result{Kind: e.kind, URL: publicURL + e.path, Variable: e.variable, Types: len(webhooks.EventTypes(e.kind))}
		s.endpoint(ctx, e, endpointsAt(existing, r.URL), &r)
		results = append(results, r)
	}
	return results, nil
}

type setUp struct {
	client  *stripe.Client
	options SetUpOptions
}

// endpoint makes, updates or replaces the endpoint at one address. Two endpoints there are left to the operator.
func (s setUp) endpoint(ctx context.Context, e endpoint, at []stripe.WebhookEndpoint, r *Result) {
	switch {
	case len(at) > 1:
		r.fail("SEVERAL_ENDPOINTS", "%d endpoints send to %s: delete all but one at Stripe, then run this again", len(at), r.URL)
		return
	case len(at) == 0:
		s.create(ctx, e, r)
		return
	}
	found := at[0]
	r.Endpoint = found.ID
	var code, why string
	switch {
	case found.APIVersion != stripe.APIVersion:
		code, why = "OTHER_API_VERSION", fmt.Sprintf("renders events in %s, which cannot be changed", rendering(found.APIVersion))
	case s.options.HasSecret != nil && !s.options.HasSecret(e.kind, found.ID):
		code, why = "NO_SECRET", "signs with a secret that is neither stored nor set, and Stripe does not tell it again"
	default:
		s.update(ctx, e, found, r)
		return
	}
	if !s.options.Replace {
		r.fail(code, "%s (%s) %s: delete it at Stripe, then run this again", found.ID, r.URL, why)
		return
	}
	// The new one first: what both send is stored once.
	if s.create(ctx, e, r); r.Outcome != Created {
		return
	}
	if err := s.client.DeleteWebhookEndpoint(ctx, found.ID); err != nil && stripe.KindOf(err) != stripe.Missing {
		r.fail("STRIPE", "%s is made, and %s cannot be deleted: delete it at Stripe: %v", r.Endpoint, found.ID, err)
		return
	}
	r.Outcome = Replaced
}

// update brings an endpoint up to date, in both directions: types that the program does not need any more are removed too.
func (s setUp) update(ctx context.Context, e endpoint, found stripe.WebhookEndpoint, r *Result) {
	types := webhooks.EventTypes(e.kind)
	if found.Enabled && len(difference(types, found.Events)) == 0 && len(difference(found.Events, types)) == 0 {
		r.Outcome = InOrder
		return
	}
	if err := s.client.UpdateWebhookEndpoint(ctx, found.ID, types); err != nil {
		r.fail("STRIPE", "%s (%s) cannot be updated: %v", found.ID, r.URL, err)
		return
	}
	r.Outcome = Updated
}

// create makes an endpoint and keeps its secret, which Stripe returns only here. Without its secret an endpoint is of no
// use, so one whose secret cannot be stored is deleted again.
func (s setUp) create(ctx context.Context, e endpoint, r *Result) {
	made, err := s.client.CreateWebhookEndpoint(ctx,
		stripe.WebhookEndpoint{URL: r.URL, Events: webhooks.EventTypes(e.kind), Purpose: e.name}, e.kind == webhooks.EndpointConnect)
	if err != nil {
		r.fail("STRIPE", "the endpoint %s cannot be made: %v", r.URL, err)
		return
	}
	// The caller may have gone away; what Stripe made is kept or deleted all the same.
	ctx = context.WithoutCancel(ctx)
	if s.options.Store != nil {
		err := s.options.Store(ctx, webhooks.StoredSecret{
			EndpointID: made.ID, Endpoint: e.kind, URL: r.URL, Livemode: made.Livemode,
		}, made.Secret)
		if err != nil {
			// If this fails too, a check finds the endpoint, whose secret nobody has.
			_ = s.client.DeleteWebhookEndpoint(ctx, made.ID)
			r.fail("STORE", "the secret of the endpoint %s cannot be stored", r.URL)
			return
		}
	}
	r.Outcome, r.Endpoint, r.Secret = Created, made.ID, made.Secret
}

func (r *Result) fail(code, format string, args ...any) {
	r.Outcome, r.FailureCode, r.Message = Failed, code, fmt.Sprintf(format, args...)
}

const lockEndpointsSQL = `
SELECT pg_try_advisory_lock(hashtextextended('cagnotte instance endpoints', 0))`

const lockEndpointsPoll = 100 * time.Millisecond

// lockEndpoints waits until no other call sets up endpoints, in whatever copy of the program: two at once would both find none
// and both make one, since Stripe takes any number at one address. The lock is of a session, not of a transaction, which must
// not wait for Stripe. Whoever waits keeps no connection; who has the lock has one of its own until unlock closes it.
func (s *Service) lockEndpoints(ctx context.Context) (unlock func(), err error) {
	ticker := time.NewTicker(lockEndpointsPoll)
	defer ticker.Stop()
	for {
		conn, err := s.cfg.Pool.Acquire(ctx)
		if err != nil {
			return nil, postgres.Error(err)
		}
		var locked bool
		err = conn.QueryRow(ctx, lockEndpointsSQL).Scan(&locked)
		if err == nil && locked {
			own := conn.Hijack()
			return func() { _ = own.Close(context.WithoutCancel(ctx)) }, nil
		}
		conn.Release()
		if err != nil {
			return nil, postgres.Error(err)
		}
		select {
		case <-ctx.Done():
			return nil, postgres.Error(ctx.Err())
		case <-ticker.C:
		}
	}
}

// SetUpEndpoints is SetUp for this program's own settings. Secrets are stored, and no result has one. Of two calls at once the
// second waits, and finds what the first has made.
func (s *Service) SetUpEndpoints(ctx context.Context, replace bool) ([]Result, error) {
	unlock, err := s.lockEndpoints(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	stored, err := s.cfg.Webhooks.StoredSecrets(ctx)
	if err != nil {
		return nil, err
	}
	results, err := SetUp(ctx, s.cfg.Stripe, s.cfg.PublicURL, SetUpOptions{
		Replace: replace,
		HasSecret: func(kind webhooks.Endpoint, id string) bool {
			return s.cfg.Webhooks.SettingsSecretCount(kind) > 0 || slices.ContainsFunc(stored, func(e webhooks.StoredSecret) bool {
				return e.EndpointID == id && e.Readable
			})
		},
		Store: func(ctx context.Context, e webhooks.StoredSecret, secret string) error {
			return postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
				return s.cfg.Webhooks.StoreSecretTx(ctx, tx, e, secret)
			})
		},
	})
	if err != nil {
		return nil, err
	}
	fields := audit.Fields{}
	for i, r := range results {
		results[i].Secret = ""
		if r.Outcome != InOrder && r.Outcome != Failed {
			fields[endpoints[i].name+"_endpoint"] = r.Endpoint + " " + string(r.Outcome)
		}
	}
	// Stripe was called between the transactions, so the entry is written after what it tells.
	if len(fields) > 0 {
		err = postgres.InTx(context.WithoutCancel(ctx), s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
			return audit.WriteTx(ctx, tx, audit.Change{Resource: name, After: fields})
		})
	}
	return results, err
}

// endpointsAt returns the endpoints of an address, with or without a slash at its end.
func endpointsAt(all []stripe.WebhookEndpoint, url string) (at []stripe.WebhookEndpoint) {
	for _, e := range all {
		if strings.TrimRight(e.URL, "/") == url {
			at = append(at, e)
		}
	}
	return at
}

// difference is what is in a and not in b.
func difference(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(a), func(s string) bool { return slices.Contains(b, s) || slices.Contains(b, "*") })
}

// rendering names the version that an endpoint renders events in.
func rendering(version string) string {
	if version == "" {
		return "the account's default API version"
	}
	return "API version " + version
}
