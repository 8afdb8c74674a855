package webhooks

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

// keepEvents is how long finished events are kept: three times as long as Stripe can send them again.
const keepEvents = 90 * 24 * time.Hour

// forgetCount bounds how many old events one tick deletes.
const forgetCount = 1000

// An account is due when it was never synced, on the timer, after a failure's pause, when a walk was cut off, and
// when events are due that no job has taken.
const dueAccountsSQL = `
SELECT c.account
FROM unnest(@accounts::text[]) AS c (account)
LEFT JOIN webhooks.accounts AS a ON a.account = c.account
WHERE a.account IS NULL
	OR (
		a.next_sync_at <= @now
		AND (
			a.last_regular_at IS NULL
			OR a.last_regular_at <= @regular_before
			OR a.sync_failures > 0
			OR a.walk_after IS NOT NULL
		)
	)
UNION
SELECT e.account
FROM webhooks.events AS e
LEFT JOIN webhooks.accounts AS a ON a.account = e.account
WHERE e.next_attempt_at <= @now
	AND (e.step = 'session' OR a.next_sync_at <= @now)
ORDER BY account`

const oldestEventSQL = `
SELECT min(e.received_at)
FROM webhooks.events AS e
WHERE e.next_attempt_at IS NOT NULL`

const forgetEventsSQL = `
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

const restartSQL = `
UPDATE webhooks.accounts AS a
SET
	last_regular_at = NULL,
	next_sync_at = '-infinity'`

// CatchUp gives every account a job, also beside one that seems to run: that one may have been killed with the
// program before, and nobody would miss it for seconds. Call it once, when this program starts to work jobs.
// It needs no leader among the programs, whose election waits for a killed one. Two jobs at once do no harm.
func (s *Service) CatchUp(ctx context.Context) error {
	if _, err := s.cfg.Pool.Exec(ctx, restartSQL); err != nil {
		return postgres.Error(err)
	}
	due, err := s.dueAccounts(ctx)
	if err != nil {
		return err
	}
	return s.ensureJobs(ctx, due, true)
}

// tick sees to it that every account which needs a job has one.
func (s *Service) tick(ctx context.Context) error {
	due, err := s.dueAccounts(ctx)
	if err != nil {
		return err
	}
	return errors.Join(s.ensureJobs(ctx, due, false), s.measureOldest(ctx), s.forgetEvents(ctx))
}

// ensureJobs goes on behind an account that fails: one's trouble is not another's.
func (s *Service) ensureJobs(ctx context.Context, accounts []string, force bool) error {
	var failed error
	for _, account := range accounts {
		failed = errors.Join(failed, s.ensureJob(ctx, account, force))
	}
	return failed
}

func (s *Service) dueAccounts(ctx context.Context) ([]string, error) {
	accounts, err := s.cfg.Collectives.StripeAccounts(ctx)
	if err != nil {
		return nil, err
	}
	now := s.now()
	due, err := s.strings(ctx, dueAccountsSQL, pgx.NamedArgs{
		"accounts": accounts, "now": now, "regular_before": now.Add(-s.cfg.SyncEvery),
	})
	if err != nil {
		return nil, err
	}
	unbooked, err := s.cfg.Donations.UnbookedAccounts(ctx)
	if err != nil {
		return nil, err
	}
	due = append(due, unbooked...)
	slices.Sort(due)
	return slices.Compact(due), nil
}

func (s *Service) measureOldest(ctx context.Context) error {
	var oldest *time.Time
	if err := s.cfg.Pool.QueryRow(ctx, oldestEventSQL).Scan(&oldest); err != nil {
		return postgres.Error(err)
	}
	age := 0.0
	if oldest != nil {
		age = max(s.now().Sub(*oldest).Seconds(), 0)
	}
	s.metrics.oldest.Set(age)
	return nil
}

func (s *Service) forgetEvents(ctx context.Context) error {
	_, err := s.cfg.Pool.Exec(ctx, forgetEventsSQL, pgx.NamedArgs{"before": s.now().Add(-keepEvents), "count": forgetCount})
	return postgres.Error(err)
}
