package webhooks

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

// depth is how far behind the cursor a sync reads. A balance transaction has the time of its charge, and becomes
// visible when its fee is known: mostly within seconds, for some payment methods within days.
type depth struct {
	name    string
	overlap time.Duration
	// untilKnown: a page whose transactions are all known ends it.
	untilKnown bool
}

var (
	// quick is the depth after an event.
	quick = depth{"quick", 2 * time.Minute, true}
	// regular is the depth on the timer.
	regular = depth{"regular", 15 * time.Minute, false}
)

const (
	// A look back, daily and further once a week, finds what became visible late and belongs to no polled donation. A
	// debit of another product on the same account may take 14 days.
	backEvery  = 24 * time.Hour
	backDaily  = 72 * time.Hour
	backWeekly = 30 * 24 * time.Hour
	// maxSyncPause is the longest pause after failed syncs.
	maxSyncPause = time.Minute
)

// sync brings the account's books up to date: it books new balance transactions, polls donations that are paid and not
// booked, which answers all hints, retries parked transactions, updates payouts, looks back, and on the timer compares
// the books with the balance. The newest money comes first, and one bad transaction delays no other. It stops between
// two steps once until has passed. A failure of the account is stored; with force, sync ignores an earlier one and
// returns its own.
func (s *Service) sync(ctx context.Context, account string, until time.Time, force bool) error {
	if err := s.ensureAccount(ctx, account); err != nil {
		return err
	}
	p, err := s.position(ctx, account)
	if err != nil || (p.waits && !force) {
		return err
	}
	// Read before the balance: this sync sees what these hints tell. Later hints wait for the next sync.
	hints, err := s.dueHints(ctx, account)
	if err != nil {
		return err
	}
	d := quick
	if p.regularDue {
		d = regular
	}
	if err := s.bookNew(ctx, p, d); err != nil {
		return s.syncFailed(ctx, p, d.name, err, force)
	}
	s.metrics.syncs.WithLabelValues(d.name, "done").Inc()
	if err := s.pollUnbooked(ctx, account, hints.intents, until); err != nil {
		return err
	}
	if err := s.noteSync(ctx, account, d); err != nil {
		return err
	}
	if err := s.finishEvents(ctx, account, hints.ids, StateApplied, ""); err != nil {
		return err
	}
	if err := s.retryParked(ctx, account, until); err != nil {
		return err
	}
	if err := s.syncPayouts(ctx, account, until, d, force); err != nil {
		return err
	}
	if err := s.lookBack(ctx, account, until); err != nil {
		return s.syncFailed(ctx, p, "back", err, force)
	}
	// Last, when all that can be booked is booked.
	if d.name == regular.name {
		if err := s.compare(ctx, account); err != nil {
			return err
		}
	}
	return s.noteSuccess(ctx, p)
}

// syncFailed stores a failure, unless it is the database's or time is up, and returns it with force.
func (s *Service) syncFailed(ctx context.Context, p position, depth string, err error, force bool) error {
	if ctx.Err() != nil || postgres.Away(err) {
		return err
	}
	s.metrics.syncs.WithLabelValues(depth, "failed").Inc()
	s.cfg.Logger.WarnContext(ctx, "a sync failed", "account", p.account, "failures", p.failures+1, "error", err)
	if noteErr := s.noteSyncFailure(ctx, p, errs.As(err).Reason.String()); noteErr != nil || !force {
		return noteErr
	}
	return err
}

const noteSyncSQL = `
UPDATE webhooks.accounts AS a
SET
	last_regular_at = statement_timestamp(),
	sync_asked = false
WHERE a.account = @account`

// noteSync records a sync on the timer. A sync after an event does not count as one.
func (s *Service) noteSync(ctx context.Context, account string, d depth) error {
	if d.name != regular.name {
		return nil
	}
	_, err := s.cfg.Pool.Exec(ctx, noteSyncSQL, pgx.NamedArgs{"account": account})
	return postgres.Error(err)
}

const noteSuccessSQL = `
UPDATE webhooks.accounts AS a
SET
	sync_failures = 0,
	failure_reason = '',
	next_sync_at = '-infinity'
WHERE a.account = @account`

// noteSuccess ends a row of failures.
func (s *Service) noteSuccess(ctx context.Context, p position) error {
	if p.failures == 0 {
		return nil
	}
	_, err := s.cfg.Pool.Exec(ctx, noteSuccessSQL, pgx.NamedArgs{"account": p.account})
	return postgres.Error(err)
}

const noteSyncFailureSQL = `
UPDATE webhooks.accounts AS a
SET
	sync_failures = a.sync_failures + 1,
	failure_reason = @reason,
	next_sync_at = statement_timestamp() + @pause::interval
WHERE a.account = @account`

// noteSyncFailure postpones the next sync. The pause doubles with each failure from a second on, up to maxSyncPause.
func (s *Service) noteSyncFailure(ctx context.Context, p position, reason string) error {
	_, err := s.cfg.Pool.Exec(ctx, noteSyncFailureSQL, pgx.NamedArgs{
		"account": p.account, "reason": reason, "pause": min(time.Second<<min(p.failures, 10), maxSyncPause),
	})
	return postgres.Error(err)
}

// syncPayouts brings the account's payouts up to date, after the balance, which they wait for. On the timer they are
// listed, so that no event is needed.
func (s *Service) syncPayouts(ctx context.Context, account string, until time.Time, d depth, force bool) error {
	return s.cfg.Payouts.Sync(ctx, account, until, d.name == regular.name, force)
}
