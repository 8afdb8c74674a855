package donations

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/internal/stripe"
)

const (
	// An open donation is looked up at Stripe while its donor waits, often at first: once in a sixth of its age,
	// but not in less than lookSoonest nor in more than lookLatest.
	lookSoonest, lookLatest = 10 * time.Second, 5 * time.Minute
	// Anybody who knows a donation's address may ask for its status, so what that asks of Stripe is bounded, for
	// each copy of the program: refreshWorkers calls at once, and as many begun in each refreshPause. Stripe
	// lets 25 a second pass in test mode. The queue is apart from the one that keeps the books in step.
	refreshQueue   = "donation_refresh"
	refreshWorkers = 2
	refreshPause   = 250 * time.Millisecond
	// upkeepEvery is how often old limits are deleted and forgotten donations looked up.
	upkeepEvery = 10 * time.Minute
	// A donation that never got a page has expired when it is this long past the end of the last one asked for.
	abandonedAfter = 24 * time.Hour
)

// refreshArgs asks for [Service.Refresh].
type refreshArgs struct {
	Donation uuid.UUID `json:"donation"`
}

// Kind names the job in River.
func (refreshArgs) Kind() string { return "donation_refresh" }

// InsertOpts: a second try comes with the donor's next question, not by itself. While one job of a donation waits or
// runs, there is no other.
func (refreshArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: refreshQueue, MaxAttempts: 1, UniqueOpts: river.UniqueOpts{
		ByArgs: true,
		ByState: []rivertype.JobState{
			rivertype.JobStateAvailable, rivertype.JobStatePending, rivertype.JobStateScheduled, rivertype.JobStateRunning,
		},
	}}
}

// upkeepArgs asks for what must happen now and then.
type upkeepArgs struct{}

// Kind names the job in River.
func (upkeepArgs) Kind() string { return "donations_upkeep" }

// InsertOpts: the next one comes soon enough.
func (upkeepArgs) InsertOpts() river.InsertOpts { return river.InsertOpts{MaxAttempts: 1} }

// Workers adds the workers of this service's jobs.
func (s *Service) Workers(w *river.Workers) {
	river.AddWorker(w, river.WorkFunc(func(ctx context.Context, job *river.Job[refreshArgs]) error {
		return s.Refresh(ctx, job.Args.Donation)
	}))
	river.AddWorker(w, river.WorkFunc(func(ctx context.Context, job *river.Job[overdueArgs]) error {
		return s.refreshMany(stripe.Background(ctx), job.Args.Account, job.Args.Donations)
	}))
	river.AddWorker(w, river.WorkFunc(func(ctx context.Context, job *river.Job[closeArgs]) error {
		return s.closePage(ctx, job.Args, job.Attempt)
	}))
	s.recurringWorkersTo(w)
	river.AddWorker(w, river.WorkFunc(func(ctx context.Context, _ *river.Job[upkeepArgs]) error {
		return s.upkeep(ctx)
	}))
}

// Queues returns the queues of its own that this service's jobs need.
func (s *Service) Queues() map[string]river.QueueConfig {
	return map[string]river.QueueConfig{
		refreshQueue:   {MaxWorkers: refreshWorkers, FetchCooldown: refreshPause},
		recurringQueue: {MaxWorkers: 1},
	}
}

// PeriodicJobs returns what must be inserted on a timer.
func (s *Service) PeriodicJobs() []*river.PeriodicJob {
	return []*river.PeriodicJob{recurringJob(), river.NewPeriodicJob(
		river.PeriodicInterval(upkeepEvery),
		func() (river.JobArgs, *river.InsertOpts) { return upkeepArgs{}, nil },
		&river.PeriodicJobOpts{ID: "donations_upkeep", RunOnStart: true},
	)}
}

const lookSQL = `
UPDATE donations.donations AS d
SET looked_at = @now
WHERE d.id = @id
	AND (d.looked_at IS NULL OR d.looked_at <= @before)`

// look makes a job ask Stripe about an open donation, unless one did a short while ago.
func (s *Service) look(ctx context.Context, d Donation) error {
	now := s.now()
	before := now.Add(-min(max(now.Sub(d.CreateTime)/6, lookSoonest), lookLatest))
	if !d.State.Open() || d.CheckoutSession == "" || d.lookTime.After(before) {
		return nil
	}
	return postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, lookSQL, pgx.NamedArgs{"id": d.ID, "now": now, "before": before})
		if err != nil || tag.RowsAffected() == 0 {
			return postgres.Error(err)
		}
		_, err = s.cfg.Jobs.InsertTx(ctx, tx, refreshArgs{Donation: d.ID}, nil)
		return postgres.Error(err)
	})
}

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
