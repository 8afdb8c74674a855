package webhooks

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/donations"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/internal/stripe"
)

// depth is how far behind the cursor a sync looks.
type depth struct {
	name    string
	overlap time.Duration
	// untilKnown: a whole page of known balance transactions ends it.
	untilKnown bool
}

// A balance transaction bears the time of its charge, and becomes visible when its fee is known: mostly
// within seconds, for some ways to pay within days.
var (
	// quick follows an event.
	quick = depth{"quick", 2 * time.Minute, true}
	// regular is the timer's.
	regular = depth{"regular", 15 * time.Minute, false}
	// deep finds what came very late and belongs to no gift that is waited for.
	deep = depth{"deep", 72 * time.Hour, false}
)

const (
	deepEvery = 24 * time.Hour
	// pollCount bounds the gifts that one sync asks for by themselves.
	pollCount = 20
	// maxSyncPause bounds the pause after failed syncs.
	maxSyncPause = time.Minute
)

// sync reads the account's balance into the ledger, then asks for gifts that are paid and not booked,
// those of the given payment intents first of all. done is false when a failure was noted, or until has
// passed before the end. With force it does not wait after a failure, and returns it.
func (s *Service) sync(ctx context.Context, account string, intents []string, until time.Time, force bool) (done bool, err error) {
	if err := s.ensureAccount(ctx, account); err != nil {
		return false, err
	}
	p, err := s.position(ctx, account)
	if err != nil || (p.waits && !force) {
		return false, err
	}
	d := s.depthOf(p)
	done, err = s.syncTo(ctx, p, d, intents, until)
	switch {
	case err != nil && (ctx.Err() != nil || postgresAway(err)):
		return false, err
	case err != nil:
		s.metrics.syncs.WithLabelValues(d.name, "failed").Inc()
		s.cfg.Logger.WarnContext(ctx, "a sync failed", "account", account, "failures", p.failures+1, "error", err)
		if noteErr := s.noteSyncFailure(ctx, p, errs.As(err).Reason); noteErr != nil || !force {
			return false, noteErr
		}
		return false, err
	case done:
		s.metrics.syncs.WithLabelValues(d.name, "done").Inc()
		s.metrics.lastSync.WithLabelValues(account).Set(float64(s.now().Unix()))
		return true, s.noteSync(ctx, p, d)
	}
	s.metrics.syncs.WithLabelValues(d.name, "interrupted").Inc()
	return false, nil
}

func (s *Service) depthOf(p position) depth {
	now := s.now()
	switch {
	case now.Sub(p.deepAt) >= deepEvery:
		return deep
	case now.Sub(p.regularAt) >= s.cfg.SyncEvery:
		return regular
	}
	return quick
}

func (s *Service) syncTo(ctx context.Context, p position, d depth, intents []string, until time.Time) (done bool, err error) {
	// A walk that was cut off ends first: only then is everything behind the cursor posted.
	if p.walkAfter != "" {
		if done, err = s.walk(ctx, &p, depth{name: d.name, overlap: d.overlap}, until); err != nil || !done {
			return false, err
		}
	}
	if done, err = s.walk(ctx, &p, d, until); err != nil || !done {
		return false, err
	}
	return true, s.poll(ctx, p.account, intents)
}

// poll asks for gifts that are paid and not booked, whose balance transaction the list does not show.
func (s *Service) poll(ctx context.Context, account string, intents []string) error {
	due, err := s.cfg.Donations.DueUnbooked(ctx, account, intents, pollCount)
	if err != nil {
		return err
	}
	for _, u := range due {
		if err := s.pollOne(ctx, account, u); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) pollOne(ctx context.Context, account string, u donations.Unbooked) error {
	intent, err := s.cfg.Stripe.GetPaymentIntent(ctx, account, u.PaymentIntent)
	if err != nil && stripe.KindOf(err) != stripe.Missing {
		return err
	}
	if intent.Balance != nil {
		if err := s.postAll(ctx, account, []stripe.BalanceTransaction{*intent.Balance}, nil); err != nil {
			return err
		}
	}
	// Does nothing to a gift that is booked now.
	return s.cfg.Donations.PollLater(ctx, u)
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
	account  string
	syncedTo time.Time
	// walkAfter is empty when no walk is under way.
	walkAfter          string
	walkFloor, walkTop time.Time
	regularAt, deepAt  time.Time
	failures           int
	// waits: syncs failed, and the pause is not over.
	waits bool
}

const positionSQL = `
SELECT
	a.synced_to,
	coalesce(a.walk_after, ''),
	coalesce(a.walk_floor, 'epoch'),
	coalesce(a.walk_top, 'epoch'),
	coalesce(a.last_regular_at, 'epoch'),
	coalesce(a.last_deep_at, 'epoch'),
	a.sync_failures,
	a.next_sync_at > @now
FROM webhooks.accounts AS a
WHERE a.account = @account`

func (s *Service) position(ctx context.Context, account string) (position, error) {
	p := position{account: account}
	err := s.cfg.Pool.QueryRow(ctx, positionSQL, pgx.NamedArgs{"account": account, "now": s.now()}).Scan(
		&p.syncedTo, &p.walkAfter, &p.walkFloor, &p.walkTop, &p.regularAt, &p.deepAt, &p.failures, &p.waits)
	return p, postgres.Error(err)
}

// Compared with what was read, because another job may have walked on; then its position stands, and what
// was posted beside it is posted.
const savePositionSQL = `
UPDATE webhooks.accounts AS a
SET
	synced_to = @synced_to,
	walk_after = nullif(@walk_after, ''),
	walk_floor = CASE WHEN @walk_after <> '' THEN @walk_floor::timestamptz END,
	walk_top = CASE WHEN @walk_after <> '' THEN @walk_top::timestamptz END
WHERE a.account = @account
	AND a.synced_to = @was_synced_to
	AND coalesce(a.walk_after, '') = @was_walk_after`

func savePositionTx(ctx context.Context, tx pgx.Tx, was, is position) error {
	_, err := tx.Exec(ctx, savePositionSQL, pgx.NamedArgs{
		"account": is.account, "synced_to": is.syncedTo,
		"walk_after": is.walkAfter, "walk_floor": is.walkFloor, "walk_top": is.walkTop,
		"was_synced_to": was.syncedTo, "was_walk_after": was.walkAfter,
	})
	return postgres.Error(err)
}

const noteSyncSQL = `
UPDATE webhooks.accounts AS a
SET
	last_sync_at = @now,
	last_regular_at = CASE WHEN @depth <> 'quick' THEN @now ELSE a.last_regular_at END,
	last_deep_at = CASE WHEN @depth = 'deep' THEN @now ELSE a.last_deep_at END,
	sync_failures = 0,
	failure_reason = '',
	next_sync_at = '-infinity'
WHERE a.account = @account`

func (s *Service) noteSync(ctx context.Context, p position, d depth) error {
	_, err := s.cfg.Pool.Exec(ctx, noteSyncSQL, pgx.NamedArgs{"account": p.account, "depth": d.name, "now": s.now()})
	return postgres.Error(err)
}

const noteSyncFailureSQL = `
UPDATE webhooks.accounts AS a
SET
	sync_failures = a.sync_failures + 1,
	failure_reason = @reason,
	next_sync_at = @next_sync_at
WHERE a.account = @account`

func (s *Service) noteSyncFailure(ctx context.Context, p position, reason string) error {
	wait := min(time.Second<<min(p.failures, 10), maxSyncPause)
	_, err := s.cfg.Pool.Exec(ctx, noteSyncFailureSQL, pgx.NamedArgs{
		"account": p.account, "reason": reason, "next_sync_at": s.now().Add(wait),
	})
	return postgres.Error(err)
}
