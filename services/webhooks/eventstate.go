package webhooks

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

// Ordered by id, so that two jobs that apply the same events do not deadlock. An event that another job finishes while
// this one waits for its lock is left out.
const lockEventsSQL = `
SELECT e.id
FROM webhooks.events AS e
WHERE e.account = @account
	AND e.id = ANY(@ids::text[])
	AND e.next_attempt_at IS NOT NULL
ORDER BY e.id
FOR NO KEY UPDATE`

// lockEventsTx locks the events that are not finished, and returns them in the given order.
func lockEventsTx(ctx context.Context, tx pgx.Tx, account string, events []Event) ([]Event, error) {
	ids := make([]string, len(events))
	for i, e := range events {
		ids[i] = e.ID
	}
	rows, err := tx.Query(ctx, lockEventsSQL, pgx.NamedArgs{"account": account, "ids": ids})
	if err != nil {
		return nil, postgres.Error(err)
	}
	locked, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, postgres.Error(err)
	}
	return slices.DeleteFunc(slices.Clone(events), func(e Event) bool { return !slices.Contains(locked, e.ID) }), nil
}

// applyOnce applies events and stores their result in one transaction, so that each counts once. Events that are
// already finished are left out. do reports for each event whether it is ours.
func (s *Service) applyOnce(ctx context.Context, account string, events []Event,
	do func(ctx context.Context, tx pgx.Tx, due []Event) (ours []bool, err error),
) error {
	if len(events) == 0 {
		return nil
	}
	var applied, ignored []string
	err := postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		due, err := lockEventsTx(ctx, tx, account, events)
		if err != nil {
			return err
		}
		// do runs in the same transaction as the result, so that neither is stored without the other.
		ours, err := do(ctx, tx, due)
		if err != nil {
			return err
		}
		// InTx may run this function more than once.
		applied, ignored = nil, nil
		for i, e := range due {
			if ours[i] {
				applied = append(applied, e.ID)
			} else {
				ignored = append(ignored, e.ID)
			}
		}
		if _, err := s.finishEventsOn(ctx, tx, account, applied, StateApplied, ""); err != nil {
			return err
		}
		_, err = s.finishEventsOn(ctx, tx, account, ignored, StateIgnored, reasonNotOurs)
		return err
	})
	// Counted after the commit, so that a repeated attempt counts once.
	if err == nil {
		s.metrics.finished.WithLabelValues(string(StateApplied)).Add(float64(len(applied)))
		s.metrics.finished.WithLabelValues(string(StateIgnored)).Add(float64(len(ignored)))
	}
	return err
}

// finishEventsSQL stores the result of events, found by the primary key. An event without next_attempt_at is finished
// or given up, and does not change.
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

// execer is a pool or a transaction.
type execer interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}

// finishEventsOn stores the result of events, except of those already finished, and returns how many it stored.
func (s *Service) finishEventsOn(ctx context.Context, in execer, account string, ids []string, state State, reason string) (int64, error) {
	if len(ids) == 0 {
		return 0, nil
	}
	tag, err := in.Exec(ctx, finishEventsSQL, pgx.NamedArgs{
		"account": account, "ids": ids, "state": string(state), "reason": reason, "now": s.now(),
	})
	if err != nil {
		return 0, fmt.Errorf("finish events: %w", postgres.Error(err))
	}
	return tag.RowsAffected(), nil
}

// finishEvents stores the result in a statement of its own. It is for resources and hints, whose work is committed
// before and may be repeated.
func (s *Service) finishEvents(ctx context.Context, account string, ids []string, state State, reason string) error {
	n, err := s.finishEventsOn(ctx, s.cfg.Pool, account, ids, state, reason)
	s.metrics.finished.WithLabelValues(string(state)).Add(float64(n))
	return err
}

// lockAttemptsSQL locks an event that is to be applied and returns its attempts, so that two jobs do not count from the
// same number.
const lockAttemptsSQL = `
SELECT e.attempts
FROM webhooks.events AS e
WHERE e.account = @account
	AND e.id = @id
	AND e.next_attempt_at IS NOT NULL
FOR NO KEY UPDATE`

// noteFailureSQL stores a failed attempt. A NULL pause makes next_attempt_at NULL: the event is given up, and stays
// failed until a replay or a redelivery.
const noteFailureSQL = `
UPDATE webhooks.events AS e
SET
	state = 'failed',
	attempts = @attempts,
	next_attempt_at = statement_timestamp() + @pause::interval,
	failure_reason = @reason
WHERE e.account = @account
	AND e.id = @id`

// noteFailure counts a failed attempt with its reason, and decides when the next one is. An event that was finished
// meanwhile does not change.
func (s *Service) noteFailure(ctx context.Context, account, id, reason string) error {
	return postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		var attempts int
		err := tx.QueryRow(ctx, lockAttemptsSQL, pgx.NamedArgs{"account": account, "id": id}).Scan(&attempts)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil {
			return postgres.Error(err)
		}
		attempts++
		pause := retryPause(attempts)
		if pause == nil {
			s.cfg.Logger.ErrorContext(ctx, "an event is given up after its last attempt", "event", id, "account", account, "reason", reason)
		}
		_, err = tx.Exec(ctx, noteFailureSQL, pgx.NamedArgs{
			"account": account, "id": id, "attempts": attempts, "pause": pause, "reason": reason,
		})
		return postgres.Error(err)
	})
}

// eventRetention is how long finished events are stored: three times as long as Stripe can send them again.
const eventRetention = 90 * 24 * time.Hour

// deleteCount is how many old events one run of the schedule deletes.
const deleteCount = 1000

// deleteOldEventsSQL deletes the oldest finished events, up to a number, so that no run takes long. Events that were
// given up are not deleted: their finished_at is NULL. events_received_idx serves the inner query.
const deleteOldEventsSQL = `
DELETE FROM webhooks.events AS e
WHERE (e.account, e.id) IN (
	SELECT
		o.account,
		o.id
	FROM webhooks.events AS o
	WHERE o.received_at < @before
		AND o.finished_at IS NOT NULL
	ORDER BY
		o.received_at,
		o.account,
		o.id
	LIMIT @count
)`

func (s *Service) deleteOldEvents(ctx context.Context) error {
	_, err := s.cfg.Pool.Exec(ctx, deleteOldEventsSQL, pgx.NamedArgs{"before": s.now().Add(-eventRetention), "count": deleteCount})
	return postgres.Error(err)
}
