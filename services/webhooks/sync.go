package webhooks

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

// depth is how far behind the cursor a sync looks. A balance transaction bears the time of its charge, and
// becomes visible when its fee is known: mostly within seconds, for some ways to pay within days.
type depth struct {
	name    string
	overlap time.Duration
	// untilKnown: a whole page of known balance transactions ends it.
	untilKnown bool
}

var (
	// quick follows an event.
	quick = depth{"quick", 2 * time.Minute, true}
	// regular is the timer's.
	regular = depth{"regular", 15 * time.Minute, false}
)

const (
	// Once a day, and far once a week, a look back finds what came very late and belongs to no donation that is
	// waited for: a debit of another product's on the same account may take 14 days.
	backEvery  = 24 * time.Hour
	backDaily  = 72 * time.Hour
	backWeekly = 30 * 24 * time.Hour
	// maxSyncPause bounds the pause after failed syncs.
	maxSyncPause = time.Minute
)

// sync brings the account's books in step: it follows the balance, asks for donations that are paid and not
// booked, by which all hints of before are answered, tries again what is parked, follows payouts to the bank, looks back,
// and on the timer compares the books with the balance. The newest money comes first, and one balance transaction or payment that makes trouble holds up no other. It stops
// between two steps once until has passed. A failure of the account is noted; with force it does not wait
// after one, and returns it.
func (s *Service) sync(ctx context.Context, account string, until time.Time, force bool) error {
	if err := s.ensureAccount(ctx, account); err != nil {
		return err
	}
	p, err := s.position(ctx, account)
	if err != nil || (p.waits && !force) {
		return err
	}
	hints, err := s.dueHints(ctx, account)
	if err != nil {
		return err
	}
	d := quick
	if p.regularDue {
		d = regular
	}
	if err := s.follow(ctx, p, d); err != nil {
		return s.syncFailed(ctx, p, d.name, err, force)
	}
	s.metrics.syncs.WithLabelValues(d.name, "done").Inc()
	if err := s.poll(ctx, account, hints.intents, until); err != nil {
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
	if d.name == regular.name {
		if err := s.compare(ctx, account); err != nil {
			return err
		}
	}
	return s.noteSuccess(ctx, p)
}

// syncFailed notes a failure, unless the database or time has failed, and returns it with force.
func (s *Service) syncFailed(ctx context.Context, p position, depth string, err error, force bool) error {
	if ctx.Err() != nil || postgres.Away(err) {
		return err
	}
	s.metrics.syncs.WithLabelValues(depth, "failed").Inc()
	s.cfg.Logger.WarnContext(ctx, "a sync failed", "account", p.account, "failures", p.failures+1, "error", err)
	if noteErr := s.noteSyncFailure(ctx, p, errs.As(err).Reason); noteErr != nil || !force {
		return noteErr
	}
	return err
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

// position is how far an account is.
type position struct {
	account string
	// syncedTo is the cursor: what was visible up to here is booked or parked, but for what the look back has
	// still to read.
	syncedTo time.Time
	// backFloor is nil when no look back is under way; backAfter is empty at the newest end.
	backFloor *time.Time
	backAfter string
	// backBegins: this is the first step of one.
	backBegins bool
	// regularDue, backDue: the last one is long ago. backFar: none began this week.
	regularDue, backDue, backFar bool
	failures                     int
	// waits: syncs failed, and the pause is not over.
	waits bool
}

const positionSQL = `
SELECT
	a.synced_to,
	a.back_floor,
	coalesce(a.back_after, ''),
	a.last_regular_at <= statement_timestamp() - @sync_every::interval OR a.sync_asked,
	a.last_back_at <= statement_timestamp() - @back_every::interval,
	a.last_back_at < date_trunc('week', statement_timestamp()),
	a.sync_failures,
	a.next_sync_at > statement_timestamp()
FROM webhooks.accounts AS a
WHERE a.account = @account`

func (s *Service) position(ctx context.Context, account string) (position, error) {
	p := position{account: account}
	err := s.cfg.Pool.QueryRow(ctx, positionSQL, pgx.NamedArgs{
		"account": account, "sync_every": s.cfg.SyncEvery, "back_every": backEvery,
	}).Scan(&p.syncedTo, &p.backFloor, &p.backAfter, &p.regularDue, &p.backDue, &p.backFar, &p.failures, &p.waits)
	return p, postgres.Error(err)
}

// Compared with what was read, because another job may have moved on; then its position stands, which leaves
// out nothing either, and what was booked beside it is booked.
const savePositionSQL = `
UPDATE webhooks.accounts AS a
SET
	synced_to = @synced_to,
	back_floor = @back_floor,
	back_after = nullif(@back_after, ''),
	last_back_at = CASE WHEN @back_begins THEN statement_timestamp() ELSE a.last_back_at END
WHERE a.account = @account
	AND a.synced_to = @was_synced_to
	AND a.back_floor IS NOT DISTINCT FROM @was_back_floor
	AND coalesce(a.back_after, '') = @was_back_after`

func savePositionTx(ctx context.Context, tx pgx.Tx, was, is position) error {
	_, err := tx.Exec(ctx, savePositionSQL, pgx.NamedArgs{
		"account": is.account, "synced_to": is.syncedTo,
		"back_floor": is.backFloor, "back_after": is.backAfter, "back_begins": is.backBegins,
		"was_synced_to": was.syncedTo, "was_back_floor": was.backFloor, "was_back_after": was.backAfter,
	})
	return postgres.Error(err)
}

const noteSyncSQL = `
UPDATE webhooks.accounts AS a
SET
	last_regular_at = statement_timestamp(),
	sync_asked = false
WHERE a.account = @account`

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

func (s *Service) noteSyncFailure(ctx context.Context, p position, reason string) error {
	_, err := s.cfg.Pool.Exec(ctx, noteSyncFailureSQL, pgx.NamedArgs{
		"account": p.account, "reason": reason, "pause": min(time.Second<<min(p.failures, 10), maxSyncPause),
	})
	return postgres.Error(err)
}
