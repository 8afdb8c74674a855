package webhooks

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

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
