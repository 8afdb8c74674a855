package webhooks

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/internal/stripe"
)

const (
	// reconnectEvery is how often a disconnected account is tried. The event that it is connected again may be lost.
	reconnectEvery = time.Hour
	// reconnectCount is how many accounts one run of the schedule tries.
	reconnectCount = 5
)

// dueReconnectsSQL returns the accounts whose next attempt is due, the longest waiting first. A disconnected account
// has no backfill, so next_backfill_at is the time of that attempt.
const dueReconnectsSQL = `
SELECT a.account
FROM webhooks.accounts AS a
WHERE a.account = ANY(@accounts::text[])
	AND a.next_backfill_at <= statement_timestamp()
ORDER BY
	a.next_backfill_at,
	a.account
LIMIT @count`

// reconnect asks Stripe for disconnected accounts, at the start and every hour. One that answers is read again from its
// last position.
func (s *Service) reconnect(ctx context.Context) error {
	gone, err := s.cfg.Connect.DisconnectedAccounts(ctx)
	if err != nil || len(gone) == 0 {
		return err
	}
	for _, account := range gone { // an account may have been disconnected before its first pass
		if err := s.ensureAccount(ctx, account); err != nil {
			return err
		}
	}
	due, err := s.strings(ctx, dueReconnectsSQL, pgx.NamedArgs{"accounts": gone, "count": reconnectCount})
	if err != nil {
		return err
	}
	var failed error
	for _, account := range due {
		began := s.now()
		_, err := s.cfg.Stripe.ConnectedAccount(stripe.Background(ctx), account)
		if ctx.Err() != nil {
			return err
		}
		// It answers, so it is connected. The time is from before the call: a disconnection that is noted since is
		// newer.
		if err == nil {
			failed = errors.Join(failed, s.setConnected(ctx, account, true, began))
			continue
		}
		pause := reconnectEvery
		if !stripe.Disconnected(err) { // it may be connected again
			pause = backfillRetryPause
		}
		_, err = s.cfg.Pool.Exec(ctx, backfillLaterSQL, pgx.NamedArgs{"account": account, "pause": pause})
		failed = errors.Join(failed, postgres.Error(err))
	}
	return failed
}

const backfillSoonSQL = `
UPDATE webhooks.accounts AS a
SET next_backfill_at = '-infinity'
WHERE a.account = @account`

// storeConnection stores an event about the account's connection and applies it in the same transaction. That needs no
// call to Stripe, and no job reads a disconnected account. The order of two such events within a second is unknown, so
// the backfill is due at once: it asks Stripe, and stores what was missed meanwhile.
func (s *Service) storeConnection(ctx context.Context, row eventRow) (stored bool, err error) {
	row.state = StateApplied
	err = postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		keys, err := storeTx(ctx, tx, []eventRow{row})
		// A duplicate changes nothing.
		if stored = keys[row.eventKey]; err != nil || !stored {
			return err
		}
		if _, err := tx.Exec(ctx, backfillSoonSQL, pgx.NamedArgs{"account": row.account}); err != nil {
			return postgres.Error(err)
		}
		return s.cfg.Connect.SetConnectedTx(ctx, tx, row.account, row.kind == typeAuthorized, row.created)
	})
	return stored, err
}

func (s *Service) setConnected(ctx context.Context, account string, is bool, at time.Time) error {
	return postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		return s.cfg.Connect.SetConnectedTx(ctx, tx, account, is, at)
	})
}

// ignoreAccountSQL finishes all due events of an account. reviveEventsSQL finds them again by their reason. The partial
// index events_due_idx serves it.
const ignoreAccountSQL = `
UPDATE webhooks.events AS e
SET
	state = 'ignored',
	next_attempt_at = NULL,
	failure_reason = @reason,
	finished_at = @now
WHERE e.account = @account
	AND e.next_attempt_at IS NOT NULL`

// ignoreAccount ignores the due events of a connected account that no collective has: it is disconnected, or another
// product of the operator's connected it.
func (s *Service) ignoreAccount(ctx context.Context, account string) error {
	tag, err := s.cfg.Pool.Exec(ctx, ignoreAccountSQL, pgx.NamedArgs{"account": account, "reason": reasonUnknownAccount, "now": s.now()})
	s.metrics.finished.WithLabelValues("ignored").Add(float64(tag.RowsAffected()))
	return postgres.Error(err)
}

// The reason is a constant, as in the index. The index is events_unknown_account_idx. It is partial, so the usual case
// without such events costs little.
const reviveEventsSQL = `
UPDATE webhooks.events AS e
SET
	state = 'received',
	attempts = 0,
	next_attempt_at = '-infinity',
	failure_reason = '',
	finished_at = NULL
WHERE e.account = @account
	AND e.failure_reason = 'UNKNOWN_ACCOUNT'`

// reviveEvents makes events due again that were ignored while no collective had the account. The backfill does not
// bring them, because they are stored already, and some moved no money. It runs on every pass rather than on
// reconnection, which is noticed in several places, possibly just before another program ignores the last of them.
func (s *Service) reviveEvents(ctx context.Context, account string) error {
	_, err := s.cfg.Pool.Exec(ctx, reviveEventsSQL, pgx.NamedArgs{"account": account})
	return postgres.Error(err)
}
