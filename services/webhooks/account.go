package webhooks

import (
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

// Run brings one account up to date, once: it applies all due events, then reads the balance to its end, also while
// syncs are paused after a failure. It is what the job does, for tests and commands. Concurrent calls, also beside the
// job, are safe.
func (s *Service) Run(ctx context.Context, account string) error {
	_, err := s.pass(ctx, account, time.Time{}, true)
	return err
}

// pass applies what is due and syncs. It stops between two steps once until has passed, unless until is zero. Without
// force, a sync that is paused after a failure is skipped. A failure of Stripe's is stored on the account and not
// returned: the schedule tries again. ours is false for an account that no collective has.
func (s *Service) pass(ctx context.Context, account string, until time.Time, force bool) (ours bool, err error) {
	// StripeAccounts leaves out disconnected accounts, which cannot be read. Their events are ignored until they are
	// connected again.
	accounts, err := s.cfg.Connect.StripeAccounts(ctx)
	if err != nil {
		return false, err
	}
	if !slices.Contains(accounts, account) {
		return false, s.ignoreAccount(ctx, account)
	}
	// First, so that this pass applies the revived events.
	if err := s.reviveEvents(ctx, account); err != nil {
		return true, err
	}
	// After a long absence the backfill takes at most half of the job, so that new donations do not wait for it.
	backfillUntil := until
	if !until.IsZero() {
		backfillUntil = until.Add(-jobBudget / 2)
	}
	if err := s.backfill(ctx, account, backfillUntil); err != nil {
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

// ensureAccount creates the account's row and book, at most once in each program. The service may not delete rows of
// accounts, so what was found once stays true.
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

// addAccountSQL adds the account's row, which holds its positions, and changes nothing when it exists.
const addAccountSQL = `
INSERT INTO webhooks.accounts (account)
VALUES (@account)
ON CONFLICT (account) DO NOTHING`
