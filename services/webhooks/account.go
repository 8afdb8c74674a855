package webhooks

import (
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

// Run brings one account in step, once: it applies all events that are due, then reads the balance to its
// end, even while syncs wait after a failure. It is what the job does, for tests and commands. Two at once,
// or one beside the job, do no harm.
func (s *Service) Run(ctx context.Context, account string) error {
	_, err := s.pass(ctx, account, time.Time{}, true)
	return err
}

// pass applies what is due and syncs. It stops between two steps once until, by the wall clock, has passed,
// unless that is zero. Without force a sync that waits after a failure is left out. A failure of Stripe's is
// noted on the account and not returned: the events were applied, and the tick tries again. ours is false for
// an account that no collective has.
func (s *Service) pass(ctx context.Context, account string, until time.Time, force bool) (ours bool, err error) {
	accounts, err := s.cfg.Collectives.StripeAccounts(ctx)
	if err != nil {
		return false, err
	}
	if !slices.Contains(accounts, account) {
		return false, s.ignoreAccount(ctx, account)
	}
	if err := s.reviveEvents(ctx, account); err != nil {
		return true, err
	}
	// The list of a long absence leaves the half of a job to what came since: a donation that is paid now waits for no list.
	hearUntil := until
	if !until.IsZero() {
		hearUntil = until.Add(-jobBudget / 2)
	}
	if err := s.backfill(ctx, account, hearUntil); err != nil {
		return true, err
	}
	if err := s.applySessions(ctx, account, until); err != nil {
		return true, err
	}
	if err := s.applyResources(ctx, account, until); err != nil {
		return true, err
	}
	return true, s.sync(ctx, account, until, force)
}

// ensureAccount makes the account's row and its book, once a program.
func (s *Service) ensureAccount(ctx context.Context, account string) error {
	if _, known := s.ensured.Load(account); known {
		return nil
	}
	err := postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, addAccountSQL, pgx.NamedArgs{"account": account}); err != nil {
			return postgres.Error(err)
		}
		return s.cfg.Ledger.EnsureBookTx(ctx, tx, account)
	})
	if err == nil {
		s.ensured.Store(account, true)
	}
	return err
}

const addAccountSQL = `
INSERT INTO webhooks.accounts (account)
VALUES (@account)
ON CONFLICT (account) DO NOTHING`
