package webhooks

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc/codes"

	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

// objectBatch is how many objects are looked up at once.
const objectBatch = 100

// reader reads an object again at Stripe, by its id, and brings our side in step with it. It is called with no
// transaction open, more than once and in any order. ours is false for an object that no collective's gift has
// to do with. What it returns as an error is tried again with growing pauses.
type reader func(ctx context.Context, account, id string) (ours bool, err error)

// readers are by the kind of object, Stripe's word, for the events whose step is stepObject.
func (s *Service) readers() map[string]reader {
	return map[string]reader{
		"invoice":                   s.readInvoice,
		"payment_intent":            s.readPayment,
		"subscription":              s.readSubscription,
		"payout":                    s.readPayout,
		"account":                   s.readAccount,
		"charge":                    s.readRefundsOfCharge,
		"refund":                    s.readRefund,
		"dispute":                   s.readDispute,
		"radar.early_fraud_warning": s.readFraudWarning,
	}
}

// dueObject is an object that events speak of, with all of those that are due.
type dueObject struct {
	kind, id string
	events   []string
}

// The oldest word first. Each object comes once, however often it was spoken of.
const dueObjectsSQL = `
SELECT
	coalesce(e.object ->> 'object', ''),
	coalesce(e.object ->> 'id', ''),
	array_agg(e.id ORDER BY e.id)
FROM webhooks.events AS e
WHERE e.account = @account
	AND e.step = 'object'
	AND e.next_attempt_at <= statement_timestamp()
GROUP BY
	e.object ->> 'object',
	e.object ->> 'id'
ORDER BY
	min(e.created_at),
	e.object ->> 'object',
	e.object ->> 'id'
LIMIT @count`

// applyObjects reads each object that due events name, one by one, so that none waits for another's failure.
// An event that comes during a reading is read for anew.
func (s *Service) applyObjects(ctx context.Context, account string, until time.Time) error {
	for {
		due, err := s.dueObjects(ctx, account)
		if err != nil || len(due) == 0 {
			return err
		}
		for _, o := range due {
			if over(until) {
				return nil
			}
			if err := s.applyObject(ctx, account, o); err != nil {
				return err
			}
		}
	}
}

func (s *Service) dueObjects(ctx context.Context, account string) ([]dueObject, error) {
	rows, err := s.cfg.Pool.Query(ctx, dueObjectsSQL, pgx.NamedArgs{"account": account, "count": objectBatch})
	if err != nil {
		return nil, postgres.Error(err)
	}
	due, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (o dueObject, err error) {
		return o, row.Scan(&o.kind, &o.id, &o.events)
	})
	return due, postgres.Error(err)
}

// applyObject brings one object in step and notes the end of its events. An error is returned only when nothing
// can be noted.
func (s *Service) applyObject(ctx context.Context, account string, o dueObject) error {
	ours, err := false, error(errs.New(codes.FailedPrecondition, "EVENT_UNREADABLE", "The event names no object that is known."))
	if read, known := s.readers()[o.kind]; known {
		ours, err = read(ctx, account, o.id)
	}
	if err == nil {
		state, reason := StateApplied, ""
		if !ours {
			state, reason = StateIgnored, reasonNotOurs
		}
		return s.finishEvents(ctx, account, o.events, state, reason)
	}
	if ctx.Err() != nil || postgres.Away(err) {
		return err
	}
	s.metrics.finished.WithLabelValues(string(StateFailed)).Add(float64(len(o.events)))
	s.cfg.Logger.WarnContext(ctx, "an object could not be read", "kind", o.kind, "id", o.id, "account", account, "error", err)
	for _, event := range o.events {
		if err := s.noteFailure(ctx, account, event, errs.As(err).Reason); err != nil {
			return err
		}
	}
	return nil
}

const finishEventsSQL = `
UPDATE webhooks.events AS e
SET
	state = @state,
	attempts = e.attempts + 1,
	next_attempt_at = NULL,
	failure_reason = @reason,
	finished_at = @now
WHERE e.account = @account
	AND e.id = ANY(@ids::text[])
	AND e.next_attempt_at IS NOT NULL`

func (s *Service) finishEvents(ctx context.Context, account string, ids []string, state State, reason string) error {
	if len(ids) == 0 {
		return nil
	}
	tag, err := s.cfg.Pool.Exec(ctx, finishEventsSQL, pgx.NamedArgs{
		"account": account, "ids": ids, "state": string(state), "reason": reason, "now": s.now(),
	})
	if err != nil {
		return fmt.Errorf("finish events: %w", postgres.Error(err))
	}
	s.metrics.finished.WithLabelValues(string(state)).Add(float64(tag.RowsAffected()))
	return nil
}
