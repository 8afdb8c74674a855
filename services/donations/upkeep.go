package donations

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

const (
	// upkeepEvery is how often upkeep runs.
	upkeepEvery = 10 * time.Minute
	// A donation without a page expires this long after the end of the last session that was requested for it.
	abandonedAfter = 24 * time.Hour
)

// upkeepArgs are the arguments of the upkeep job.
type upkeepArgs struct{}

// Kind names the job in River.
func (upkeepArgs) Kind() string { return "donations_upkeep" }

// InsertOpts allows no retries: the next run comes soon.
func (upkeepArgs) InsertOpts() river.InsertOpts { return river.InsertOpts{MaxAttempts: 1} }

// A donation for which no session was requested has no session_expires_at. donations_abandoned_idx has the same
// expression, and finds them.
const expireAbandonedSQL = `
UPDATE donations.donations AS d
SET
	state = 'expired',
	updated_at = @now
WHERE d.state = 'created'
	AND d.checkout_session_id IS NULL
	AND coalesce(d.session_expires_at, d.created_at) <= @before`

// upkeep deletes limits that are over, expires donations that cannot be paid any more, has Stripe asked about
// donations whose end no event told, makes batches of what was booked, and deletes donations that nobody paid.
func (s *Service) upkeep(ctx context.Context) error {
	if err := s.limits().Forget(ctx, s.cfg.Pool, s.now()); err != nil {
		return fmt.Errorf("forget limits: %w", err)
	}
	now := s.now()
	if _, err := s.cfg.Pool.Exec(ctx, expireAbandonedSQL, pgx.NamedArgs{"now": now, "before": now.Add(-abandonedAfter)}); err != nil {
		return fmt.Errorf("expire donations without a page: %w", postgres.Error(err))
	}
	if err := s.forgetAbandoned(ctx); err != nil {
		return fmt.Errorf("forget abandoned donations: %w", err)
	}
	if err := s.tellReopened(ctx); err != nil {
		return fmt.Errorf("tell of card ways that are open again: %w", err)
	}
	if err := s.lookAtOverdue(ctx); err != nil {
		return fmt.Errorf("look at overdue donations: %w", err)
	}
	if err := s.makeBatches(ctx); err != nil {
		return fmt.Errorf("make batches of donations: %w", err)
	}
	return nil
}
