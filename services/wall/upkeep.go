package wall

import (
	"context"
	"time"

	"github.com/riverqueue/river"
)

// upkeepEvery is how often rows that limit nobody are deleted.
const upkeepEvery = 10 * time.Minute

// upkeepArgs are the arguments of the upkeep job.
type upkeepArgs struct{}

// Kind names the job in River.
func (upkeepArgs) Kind() string { return "wall_upkeep" }

// InsertOpts allows no retries: the next run comes soon.
func (upkeepArgs) InsertOpts() river.InsertOpts { return river.InsertOpts{MaxAttempts: 1} }

// Workers adds the workers of this service's jobs.
func (s *Service) Workers(w *river.Workers) {
	river.AddWorker(w, river.WorkFunc(func(ctx context.Context, _ *river.Job[upkeepArgs]) error { return s.Forget(ctx) }))
}

// PeriodicJobs returns the jobs that are inserted on a timer, and when the program starts.
func (s *Service) PeriodicJobs() []*river.PeriodicJob {
	return []*river.PeriodicJob{river.NewPeriodicJob(
		river.PeriodicInterval(upkeepEvery),
		func() (river.JobArgs, *river.InsertOpts) { return upkeepArgs{}, nil },
		&river.PeriodicJobOpts{ID: "wall_upkeep", RunOnStart: true},
	)}
}
