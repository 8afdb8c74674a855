package bank

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

// upkeepEvery is how often all open lines are compared with the books: a program may have died between a booking and its
// call of [Service.Recognise].
const upkeepEvery = time.Hour

// upkeepArgs asks to compare all open lines with the books.
type upkeepArgs struct{}

// Kind names the job in River.
func (upkeepArgs) Kind() string { return "bank_upkeep" }

// InsertOpts allows one attempt, since the next job comes within the hour.
func (upkeepArgs) InsertOpts() river.InsertOpts { return river.InsertOpts{MaxAttempts: 1} }

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
	river.AddWorker(w, river.WorkFunc(func(ctx context.Context, _ *river.Job[upkeepArgs]) error {
		return s.recogniseAll(ctx)
	}))
}

// openCollectivesSQL returns the collectives that have open lines; the index lines_open_idx has no other lines. Each is
// then compared in a transaction of its own.
const openCollectivesSQL = `
SELECT DISTINCT
	l.collective
FROM bank.lines AS l
WHERE l.state IN ('unmatched', 'suggested')
ORDER BY l.collective`

// recogniseAll compares the open lines of every collective. An error of one collective does not stop the others.
func (s *Service) recogniseAll(ctx context.Context) error {
	groups, err := postgres.All(ctx, s.cfg.Pool, pgx.RowTo[string], openCollectivesSQL, nil)
	if err != nil {
		return err
	}
	var failed []error
	for _, collective := range groups {
		if err := s.Recognise(ctx, collective); err != nil {
			failed = append(failed, fmt.Errorf("compare the bank lines of %s: %w", collective, err))
		}
	}
	return errors.Join(failed...)
}
