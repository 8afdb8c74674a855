package webhooks

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/internal/stripe"
)

// resourceBatch is how many resources are looked up at once.
const resourceBatch = 500

// dueResource is a resource that due events name, with those events.
type dueResource struct {
	kind, id string
	// created is when Stripe made it, approximately.
	created time.Time // about
	events  []string
}

// The oldest event first. Each resource comes once, however many events name it. events_due_idx serves the conditions.
const dueResourcesSQL = `
SELECT
	coalesce(e.resource ->> 'kind', ''),
	coalesce(e.resource ->> 'id', ''),
	coalesce(max(e.resource ->> 'created')::timestamptz, 'epoch'),
	array_agg(e.id ORDER BY e.id)
FROM webhooks.events AS e
WHERE e.account = @account
	AND e.step = 'resource'
	AND e.next_attempt_at <= statement_timestamp()
GROUP BY
	e.resource ->> 'kind',
	e.resource ->> 'id'
ORDER BY
	min(e.created_at),
	e.resource ->> 'kind',
	e.resource ->> 'id'
LIMIT @count`

// applyResources reads each resource that due events name and applies it by itself, so that one failure does not delay
// others. Many of one kind are read by pages. An event that arrives during the reading causes another one.
func (s *Service) applyResources(ctx context.Context, account string, until time.Time) error {
	// The loop ends because a failed event is due only after a pause.
	for {
		due, err := s.dueResources(ctx, account)
		if err != nil || len(due) == 0 {
			return err
		}
		// Each kind is read right before it is applied, so that little can change in between.
		slices.SortStableFunc(due, func(a, b dueResource) int { return strings.Compare(a.kind, b.kind) })
		var met map[string]applyFunc
		for i, o := range due {
			if over(until) {
				return nil
			}
			if i == 0 || o.kind != due[i-1].kind {
				if met, err = s.readResources(ctx, account, o.kind, due[i:]); err != nil {
					return err
				}
			}
			if err := s.applyResource(ctx, account, o, met[o.id]); err != nil {
				return err
			}
		}
	}
}

// applyFunc applies a resource that was read.
type applyFunc func(context.Context) (ours bool, err error)

// readResources reads the due resources of one kind by pages of their list, for kinds where that saves calls. Resources
// that it does not return are read one by one.
func (s *Service) readResources(ctx context.Context, account, kind string, due []dueResource) (map[string]applyFunc, error) {
	var wanted []stripe.Wanted
	for _, o := range due {
		if o.kind == kind {
			wanted = append(wanted, stripe.Wanted{ID: o.id, Created: o.created})
		}
	}
	met := map[string]applyFunc{}
	var err error
	switch kind {
	case "invoice":
		var found map[string]stripe.Invoice
		found, err = s.cfg.Stripe.FindInvoices(ctx, account, wanted)
		for id, inv := range found {
			met[id] = func(ctx context.Context) (bool, error) { return s.applyInvoice(ctx, account, inv) }
		}
	case "subscription":
		var found map[string]func(context.Context) (bool, error)
		found, err = s.cfg.Donations.FindSubscriptions(ctx, account, wanted)
		for id, apply := range found {
			met[id] = apply
		}
	}
	if ctx.Err() != nil {
		return nil, err
	}
	if err != nil {
		// The resources that were not found are read one by one, and a failure is stored on their events.
		s.cfg.Logger.WarnContext(ctx, "a list could not be read at Stripe", "kind", kind, "account", account, "error", err)
	}
	return met, nil
}

// dueResources returns the resources of due events, up to resourceBatch of them.
func (s *Service) dueResources(ctx context.Context, account string) ([]dueResource, error) {
	rows, err := s.cfg.Pool.Query(ctx, dueResourcesSQL, pgx.NamedArgs{"account": account, "count": resourceBatch})
	if err != nil {
		return nil, postgres.Error(err)
	}
	due, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (o dueResource, err error) {
		return o, row.Scan(&o.kind, &o.id, &o.created, &o.events)
	})
	return due, postgres.Error(err)
}

// applyResource applies one resource, which is read unless met is given, and stores the result of its events. It
// returns an error only when no result can be stored.
func (s *Service) applyResource(ctx context.Context, account string, o dueResource, met applyFunc) error {
	// A kind without a reader is a failure, and so is retried and visible.
	ours, err := false, error(errs.New(errorsv1.ErrorReason_EVENT_UNREADABLE, "The event names no known kind of resource."))
	if met != nil {
		ours, err = met(ctx)
	} else if read, known := s.readers()[o.kind]; known {
		ours, err = read(ctx, account, o.id)
	}
	if err == nil {
		state, reason := StateApplied, ""
		if !ours {
			state, reason = StateIgnored, reasonNotOurs
		}
		return s.finishEvents(ctx, account, o.events, state, reason)
	}
	// Without a database or without time the events wait, and the attempt is not counted.
	if ctx.Err() != nil || postgres.Away(err) {
		return err
	}
	s.metrics.finished.WithLabelValues(string(StateFailed)).Add(float64(len(o.events)))
	s.cfg.Logger.WarnContext(ctx, "a resource could not be read or applied", "kind", o.kind, "id", o.id, "account", account, "error", err)
	// Each event counts its own attempts.
	for _, event := range o.events {
		if err := s.noteFailure(ctx, account, event, errs.As(err).Reason.String()); err != nil {
			return err
		}
	}
	return nil
}
