package webhooks

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

// position is how far an account is synced.
type position struct {
	account string
	// syncedTo is the cursor. All that was visible up to this time is booked or parked, except what the look back still
	// has to read.
	syncedTo time.Time
	// backFloor is where the look back that is under way ends; nil when none is. backAfter is where it continues, empty
	// at the newest end.
	backFloor *time.Time
	backAfter string
	// backBegins: this step begins a look back.
	backBegins bool
	// regularDue and backDue: the last one is long ago. backFar: none began this week.
	regularDue, backDue, backFar bool
	failures                     int
	// waits: syncs failed, and their pause is not over.
	waits bool
}

// positionSQL returns the position and what is due, by the database's clock.
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

// Compared with what was read, because another job may have moved the position; then that position stands. It leaves
// nothing out either, and what was booked here is booked.
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
