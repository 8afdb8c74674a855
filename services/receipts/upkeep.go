package receipts

import (
	"context"
	"time"

	"github.com/riverqueue/river"
)

// upkeepEvery is how often identities whose time is over are looked for. They end with a year.
const upkeepEvery = 6 * time.Hour

type upkeepArgs struct{}

// Kind names the job; it never changes.
func (upkeepArgs) Kind() string { return "receipts_upkeep" }

// PeriodicJobs are the jobs to run on a timer.
func (s *Service) PeriodicJobs() []*river.PeriodicJob {
	return []*river.PeriodicJob{river.NewPeriodicJob(
		river.PeriodicInterval(upkeepEvery),
		func() (river.JobArgs, *river.InsertOpts) { return upkeepArgs{}, nil },
		&river.PeriodicJobOpts{ID: upkeepArgs{}.Kind(), RunOnStart: true},
	)}
}

// Workers adds the workers of these jobs.
func (s *Service) Workers(w *river.Workers) {
	river.AddWorker(w, river.WorkFunc(func(ctx context.Context, _ *river.Job[upkeepArgs]) error {
		_, err := s.EraseExpired(ctx)
		return err
	}))
}
