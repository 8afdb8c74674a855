package donations

import (
	"context"

	"github.com/riverqueue/river"

	"github.com/cagnotte/cagnotte/services/internal/stripe"
)

// Workers adds the workers of this service's jobs.
func (s *Service) Workers(w *river.Workers) {
	river.AddWorker(w, river.WorkFunc(func(ctx context.Context, job *river.Job[refreshArgs]) error {
		return s.Refresh(ctx, job.Args.Donation)
	}))
	river.AddWorker(w, river.WorkFunc(func(ctx context.Context, job *river.Job[overdueArgs]) error {
		// Nobody waits for overdue donations, so their calls leave Stripe's rate limit to donors.
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

// Queues returns the queues that this service's jobs need, besides the default one.
func (s *Service) Queues() map[string]river.QueueConfig {
	return map[string]river.QueueConfig{
		refreshQueue: {MaxWorkers: refreshWorkers, FetchCooldown: refreshPause},
		closeQueue:   {MaxWorkers: closeWorkers, FetchCooldown: closePause},
		// One run of upkeep at a time in each copy of the program.
		recurringQueue: {MaxWorkers: 1},
	}
}

// PeriodicJobs returns the jobs that are inserted on a timer. Both also run when the program starts, so that a restart
// delays nothing.
func (s *Service) PeriodicJobs() []*river.PeriodicJob {
	return []*river.PeriodicJob{recurringJob(), river.NewPeriodicJob(
		river.PeriodicInterval(upkeepEvery),
		func() (river.JobArgs, *river.InsertOpts) { return upkeepArgs{}, nil },
		&river.PeriodicJobOpts{ID: "donations_upkeep", RunOnStart: true},
	)}
}
