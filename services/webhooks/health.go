package webhooks

import (
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

const (
	// healthWindow is the period over which deliveries are counted.
	healthWindow = 24 * time.Hour
	// shownFailures is how many failed events a health has at most.
	shownFailures = 20
)

// Health is the state of one Stripe account's events and sync.
type Health struct {
	Account string
	// LastEvent and LastReceived are the times of the newest event, at Stripe and here; zero when there is none.
	LastEvent, LastReceived time.Time
	// Received events came by webhook within 24 hours. Missed ones were found in Stripe's list.
	Received, Missed int64
	// DelayP50 and DelayP99 are percentiles of how long webhooks took; zero when none came.
	DelayP50, DelayP99 time.Duration
	// Waiting events are to be applied, the oldest since WaitingSince. Failed ones are retried. Dead ones were given
	// up.
	Waiting, Failed, Dead int64
	WaitingSince          time.Time
	// Parked is the number of balance transactions that cannot be booked yet.
	Parked int64
	// LastSync is the last sync on the timer; zero before the first.
	LastSync          time.Time
	SyncFailures      int
	SyncFailureReason string
	// BackfilledUntil is the time up to which Stripe's list of events was read; zero before the first backfill.
	BackfilledUntil time.Time
	// Failures are the newest failed events.
	Failures []Event
}

// healthSQL returns a row for each given account, also for one without events or without a row in accounts. Delays are
// in seconds, and only those of webhooks count. An event that is retried is counted as waiting and as failed. The row
// of last is the newest event of the account.
const healthSQL = `
WITH day AS (
	SELECT
		e.account,
		count(*) FILTER (WHERE NOT e.backfilled) AS received,
		count(*) FILTER (WHERE e.backfilled) AS missed,
		percentile_cont(ARRAY[0.5, 0.99]) WITHIN GROUP (ORDER BY extract(epoch FROM e.received_at - e.created_at))
			FILTER (WHERE NOT e.backfilled) AS delays
	FROM webhooks.events AS e
	WHERE e.received_at >= @since
		AND e.account = ANY(@accounts::text[])
	GROUP BY e.account
), due AS (
	SELECT
		e.account,
		count(*) AS waiting,
		min(e.received_at) AS since
	FROM webhooks.events AS e
	WHERE e.next_attempt_at IS NOT NULL
		AND e.account = ANY(@accounts::text[])
	GROUP BY e.account
), failed AS (
	SELECT
		e.account,
		count(*) FILTER (WHERE e.next_attempt_at IS NOT NULL) AS retried,
		count(*) FILTER (WHERE e.next_attempt_at IS NULL) AS dead
	FROM webhooks.events AS e
	WHERE e.state = 'failed'
		AND e.account = ANY(@accounts::text[])
	GROUP BY e.account
), parked AS (
	SELECT
		p.account,
		count(*) AS parked
	FROM webhooks.parked AS p
	WHERE p.account = ANY(@accounts::text[])
	GROUP BY p.account
)
SELECT
	u.account,
	last.created_at,
	last.received_at,
	coalesce(day.received, 0),
	coalesce(day.missed, 0),
	coalesce(day.delays, ARRAY[]::float8[]),
	coalesce(due.waiting, 0),
	due.since,
	coalesce(failed.retried, 0),
	coalesce(failed.dead, 0),
	coalesce(parked.parked, 0),
	nullif(a.last_regular_at, '-infinity'),
	coalesce(a.sync_failures, 0),
	coalesce(a.failure_reason, ''),
	a.backfilled_until
FROM unnest(@accounts::text[]) AS u (account)
LEFT JOIN webhooks.accounts AS a ON a.account = u.account
LEFT JOIN day ON day.account = u.account
LEFT JOIN due ON due.account = u.account
LEFT JOIN failed ON failed.account = u.account
LEFT JOIN parked ON parked.account = u.account
LEFT JOIN LATERAL (
	SELECT
		e.created_at,
		e.received_at
	FROM webhooks.events AS e
	WHERE e.account = u.account
	ORDER BY
		e.received_at DESC,
		e.id DESC
	LIMIT 1
) AS last ON true
ORDER BY u.account`

// Healths returns the health of each of the accounts, ordered by id, without their failures.
func (s *Service) Healths(ctx context.Context, accounts []string) ([]Health, error) {
	rows, err := s.cfg.Pool.Query(ctx, healthSQL, pgx.NamedArgs{"accounts": accounts, "since": s.now().Add(-healthWindow)})
	if err != nil {
		return nil, postgres.Error(err)
	}
	found, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (h Health, err error) {
		var event, received, waiting, synced, backfilled *time.Time
		var delays []float64
		err = r.Scan(&h.Account, &event, &received, &h.Received, &h.Missed, &delays, &h.Waiting, &waiting,
			&h.Failed, &h.Dead, &h.Parked, &synced, &h.SyncFailures, &h.SyncFailureReason, &backfilled)
		h.LastEvent, h.LastReceived, h.WaitingSince = orZero(event), orZero(received), orZero(waiting)
		h.LastSync, h.BackfilledUntil = orZero(synced), orZero(backfilled)
		// The array is empty when no webhook came.
		if len(delays) == 2 {
			h.DelayP50, h.DelayP99 = delayOf(delays[0]), delayOf(delays[1])
		}
		return h, err
	})
	return found, postgres.Error(err)
}

// orZero returns the zero time for NULL.
func orZero(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}

// delayOf is never negative. Stripe's times are whole seconds, and the clocks differ.
func delayOf(seconds float64) time.Duration {
	return max(time.Duration(seconds*float64(time.Second)), 0)
}

// Health returns the health of a collective's account. A missing collective is NOT_FOUND.
func (s *Service) Health(ctx context.Context, collective string) (Health, error) {
	c, err := s.cfg.Collectives.Get(ctx, collective)
	if err != nil {
		return Health{}, err
	}
	return s.health(ctx, c.StripeAccount)
}

// AccountHealth returns the health of an account, empty for the platform's own. An account that no collective has is
// NOT_FOUND.
func (s *Service) AccountHealth(ctx context.Context, account string) (Health, error) {
	accounts, err := s.cfg.Connect.StripeAccounts(ctx)
	if err != nil {
		return Health{}, err
	}
	if !slices.Contains(accounts, account) {
		return Health{}, errs.NotFound("webhookHealth/" + account)
	}
	return s.health(ctx, account)
}

func (s *Service) health(ctx context.Context, account string) (Health, error) {
	found, err := s.Healths(ctx, []string{account})
	if err != nil {
		return Health{}, err
	}
	h := found[0]
	h.Failures, err = s.List(ctx, Scope{Account: account}, StateFailed, newest, shownFailures)
	return h, err
}

// soleAccount returns the account of a collective that shares it with no other, so that its members act on nobody
// else's money. Otherwise it is FAILED_PRECONDITION (ACCOUNT_SHARED).
func (s *Service) soleAccount(ctx context.Context, collective string) (account string, err error) {
	c, err := s.cfg.Collectives.Get(ctx, collective)
	if err != nil {
		return "", err
	}
	owner, err := s.cfg.Collectives.SoleOwner(ctx, c.StripeAccount)
	if err != nil {
		return "", err
	}
	if owner != collective {
		return "", errs.New(errorsv1.ErrorReason_ACCOUNT_SHARED, "Other collectives use the same Stripe account. Only the operator can do this.")
	}
	return c.StripeAccount, nil
}
