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
	// upkeepEvery is how often old limits are deleted and forgotten donations looked up.
	upkeepEvery = 10 * time.Minute
	// A donation that never got a page has expired when it is this long past the end of the last one asked for.
	abandonedAfter = 24 * time.Hour
)

// upkeepArgs asks for what must happen now and then.
type upkeepArgs struct{}

// Kind names the job in River.
func (upkeepArgs) Kind() string { return "donations_upkeep" }

// InsertOpts: the next one comes soon enough.
func (upkeepArgs) InsertOpts() river.InsertOpts { return river.InsertOpts{MaxAttempts: 1} }

// A donation for which Stripe was never asked has no end of a page.
const expireAbandonedSQL = `
UPDATE donations.donations AS d
SET
	state = 'expired',
	updated_at = @now
WHERE d.state = 'created'
	AND d.checkout_session_id IS NULL
	AND coalesce(d.session_expires_at, d.created_at) <= @before`

// upkeep deletes limits that limit nobody and links that are over, ends donations that nobody can pay any more, and has Stripe asked about
// those whose end was never heard of.
func (s *Service) upkeep(ctx context.Context) error {
	if err := s.forgetLimits(ctx); err != nil {
		return fmt.Errorf("forget limits: %w", err)
	}
	if err := s.forgetLinks(ctx); err != nil {
		return fmt.Errorf("forget recovery links: %w", err)
	}
	now := s.now()
	if _, err := s.cfg.Pool.Exec(ctx, expireAbandonedSQL, pgx.NamedArgs{"now": now, "before": now.Add(-abandonedAfter)}); err != nil {
		return fmt.Errorf("expire donations without a page: %w", postgres.Error(err))
	}
	if err := s.lookAtOverdue(ctx); err != nil {
		return fmt.Errorf("look at overdue donations: %w", err)
	}
	return nil
}
