package instance

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

// Queue is the queue of background jobs.
type Queue struct {
	Waiting, Running, Retrying, Discarded int64
	// OldestWaiting is when the job that has waited longest was due; zero when none waits.
	OldestWaiting time.Time
}

// queueSQL counts jobs by River's states, https://riverqueue.com/docs/job-states. A job that is scheduled for later does
// not wait yet.
const queueSQL = `
SELECT
	count(*) FILTER (WHERE j.state = 'available'),
	count(*) FILTER (WHERE j.state = 'running'),
	count(*) FILTER (WHERE j.state = 'retryable'),
	count(*) FILTER (WHERE j.state = 'discarded' AND j.finalized_at >= @since),
	min(j.scheduled_at) FILTER (WHERE j.state = 'available')
FROM river.river_job AS j
WHERE j.state IN ('available', 'running', 'retryable', 'discarded')`

// queue returns the state of the queue. Its times are Postgres's, not the domain's.
func (s *Service) queue(ctx context.Context) (q Queue, err error) {
	var oldest *time.Time
	err = s.cfg.Pool.QueryRow(ctx, queueSQL, pgx.NamedArgs{"since": time.Now().AddDate(0, 0, -7)}).
		Scan(&q.Waiting, &q.Running, &q.Retrying, &q.Discarded, &oldest)
	if oldest != nil {
		q.OldestWaiting = oldest.UTC()
	}
	return q, postgres.Error(err)
}
