package approvals

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

const upkeepEvery = 10 * time.Minute

// upkeepArgs is the job that ends changes which waited too long.
type upkeepArgs struct{}

// Kind implements river.JobArgs.
func (upkeepArgs) Kind() string { return "approvals_upkeep" }

// PeriodicJobs returns the jobs that River inserts on a timer.
func (s *Service) PeriodicJobs() []*river.PeriodicJob {
	return []*river.PeriodicJob{river.NewPeriodicJob(
		river.PeriodicInterval(upkeepEvery),
		func() (river.JobArgs, *river.InsertOpts) { return upkeepArgs{}, nil },
		&river.PeriodicJobOpts{ID: upkeepArgs{}.Kind(), RunOnStart: true},
	)}
}

// Workers adds the workers of this package's jobs.
func (s *Service) Workers(w *river.Workers) {
	river.AddWorker(w, river.WorkFunc(func(ctx context.Context, _ *river.Job[upkeepArgs]) error { return s.Expire(ctx) }))
}

// Expire ends the changes of all collectives that waited too long, a hundred at most. The job calls it on a timer.
func (s *Service) Expire(ctx context.Context) error {
	return postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		return s.expireTx(ctx, tx, "", s.now())
	})
}
