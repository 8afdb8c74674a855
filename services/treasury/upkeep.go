package treasury

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
)

// upkeepEvery is how often all open lines are looked at: whoever booked something may have died before it looked.
const upkeepEvery = time.Hour

// upkeepArgs asks to look at all open lines again.
type upkeepArgs struct{}

// Kind names the job in River.
func (upkeepArgs) Kind() string { return "treasury_upkeep" }

// InsertOpts: the next one comes soon enough.
func (upkeepArgs) InsertOpts() river.InsertOpts { return river.InsertOpts{MaxAttempts: 1} }

// PeriodicJobs returns what must be inserted on a timer.
func (s *Service) PeriodicJobs() []*river.PeriodicJob {
	return []*river.PeriodicJob{river.NewPeriodicJob(
		river.PeriodicInterval(upkeepEvery),
		func() (river.JobArgs, *river.InsertOpts) { return upkeepArgs{}, nil },
		&river.PeriodicJobOpts{ID: upkeepArgs{}.Kind(), RunOnStart: true},
	)}
}

// Workers adds the workers of this service's jobs.
func (s *Service) Workers(w *river.Workers) {
	river.AddWorker(w, river.WorkFunc(func(ctx context.Context, _ *river.Job[upkeepArgs]) error {
		return s.recogniseAll(ctx)
	}))
}

const openCollectivesSQL = `
SELECT DISTINCT
	l.collective
FROM treasury.bank_lines AS l
WHERE l.state IN ('unmatched', 'suggested')
ORDER BY l.collective`

// recogniseAll looks at the open lines of every collective. One whose lines cannot be looked at keeps no other from it.
func (s *Service) recogniseAll(ctx context.Context) error {
	groups, err := all(ctx, s.cfg.Pool, pgx.RowTo[string], openCollectivesSQL, nil)
	if err != nil {
		return err
	}
	var failed []error
	for _, collective := range groups {
		if err := s.Recognise(ctx, collective); err != nil {
			failed = append(failed, fmt.Errorf("look at the bank lines of %s: %w", collective, err))
		}
	}
	return errors.Join(failed...)
}
