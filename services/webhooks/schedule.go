package webhooks

import (
	"context"
	"errors"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

// restartSQL makes the sync and the backfill of all accounts due.
const restartSQL = `
UPDATE webhooks.accounts AS a
SET
	sync_asked = true,
	next_backfill_at = '-infinity',
	next_sync_at = '-infinity'`

// CatchUp gives every account a job, also beside one that seems to run, which may have been killed with the program
// before. Call it once, when this program starts to work jobs. It does not wait for the election of a leader, which
// takes long after a kill. Two jobs at once do no harm.
func (s *Service) CatchUp(ctx context.Context) error {
	// What happened while no program ran is read at once, without waiting for a timer.
	if _, err := s.cfg.Pool.Exec(ctx, restartSQL); err != nil {
		return postgres.Error(err)
	}
	due, err := s.dueAccounts(ctx)
	if err != nil {
		return err
	}
	return s.ensureJobs(ctx, due, true)
}

// schedule gives a job to every account that needs one, and deletes old events.
func (s *Service) schedule(ctx context.Context) error {
	due, err := s.dueAccounts(ctx)
	if err != nil {
		return err
	}
	return errors.Join(s.ensureJobs(ctx, due, false), s.deleteOldEvents(ctx))
}

// ensureJobs continues after an account that fails, and returns all errors.
func (s *Service) ensureJobs(ctx context.Context, accounts []string, force bool) error {
	var failed error
	for _, account := range accounts {
		failed = errors.Join(failed, s.ensureJob(ctx, account, force))
	}
	return failed
}

// An account is due when it was never synced, when a timer or the pause after a failure is over, when a look back is
// under way, and when parked balance transactions or events are due that no job has taken. The second part has no
// condition on the account: the job of an account that no collective has ignores its events.
const dueAccountsSQL = `
SELECT c.account
FROM unnest(@accounts::text[]) AS c (account)
LEFT JOIN webhooks.accounts AS a ON a.account = c.account
WHERE a.account IS NULL
	OR a.next_backfill_at <= statement_timestamp()
	OR (
		a.next_sync_at <= statement_timestamp()
		AND (
			a.last_regular_at <= statement_timestamp() - @sync_every::interval
			OR a.sync_asked
			OR a.sync_failures > 0
			OR a.back_floor IS NOT NULL
			OR EXISTS (
				SELECT
				FROM webhooks.parked AS p
				WHERE p.account = a.account
					AND p.next_attempt_at <= statement_timestamp()
			)
		)
	)
UNION
SELECT e.account
FROM webhooks.events AS e
LEFT JOIN webhooks.accounts AS a ON a.account = e.account
WHERE e.next_attempt_at <= statement_timestamp()
	AND (e.step IN ('session', 'decline', 'resource') OR a.next_sync_at <= statement_timestamp())
ORDER BY account`

// dueAccounts returns the accounts that need a job, each once: for the sync, for events, for unbooked donations and for
// payouts.
func (s *Service) dueAccounts(ctx context.Context) ([]string, error) {
	accounts, err := s.cfg.Connect.StripeAccounts(ctx)
	if err != nil {
		return nil, err
	}
	due, err := s.strings(ctx, dueAccountsSQL, pgx.NamedArgs{"accounts": accounts, "sync_every": s.cfg.SyncEvery})
	if err != nil {
		return nil, err
	}
	unbooked, err := s.cfg.Donations.UnbookedAccounts(ctx)
	if err != nil {
		return nil, err
	}
	payouts, err := s.cfg.Payouts.DueAccounts(ctx, accounts)
	if err != nil {
		return nil, err
	}
	for _, account := range unbooked {
		if slices.Contains(accounts, account) { // of one that was disconnected nothing can be read
			due = append(due, account)
		}
	}
	due = append(due, payouts...)
	slices.Sort(due)
	return slices.Compact(due), nil
}
