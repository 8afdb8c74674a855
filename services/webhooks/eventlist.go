package webhooks

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

// Position is the place of an event in a list.
type Position struct {
	Received    time.Time
	Account, ID string
}

// newest is the position before all events.
var newest = Position{Received: time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)}

// eventColumns are the columns that scanEvent reads.
const eventColumns = `
	e.id,
	e.account,
	e.type,
	e.state,
	e.attempts,
	e.failure_reason,
	e.created_at,
	e.received_at,
	e.finished_at`

const selectEventsSQL = `
SELECT` + eventColumns + `
FROM webhooks.events AS e
WHERE (e.received_at, e.account, e.id) < (@received_at, @account, @id)`

const newestEvents = `
ORDER BY
	e.received_at DESC,
	e.account DESC,
	e.id DESC
LIMIT @count`

const listEventsSQL = selectEventsSQL + `
	AND (@state = '' OR e.state = @state)` + newestEvents

// listFailedSQL has the state in its text rather than as an argument, so that every plan can use the index of failed
// events.
const listFailedSQL = selectEventsSQL + `
	AND e.state = 'failed'` + newestEvents

// List returns up to count events before a position, newest first; all states when state is empty.
func (s *Service) List(ctx context.Context, state State, before Position, count int) ([]Event, error) {
	sql := listEventsSQL
	if state == StateFailed {
		sql = listFailedSQL
	}
	rows, err := s.cfg.Pool.Query(ctx, sql, pgx.NamedArgs{
		"state": string(state), "received_at": before.Received, "account": before.Account, "id": before.ID, "count": count,
	})
	if err != nil {
		return nil, postgres.Error(err)
	}
	found, err := pgx.CollectRows(rows, scanEvent)
	return found, postgres.Error(err)
}

func scanEvent(r pgx.CollectableRow) (Event, error) {
	var e Event
	var finished *time.Time
	err := r.Scan(&e.ID, &e.Account, &e.Type, &e.State, &e.Attempts, &e.Reason, &e.Created, &e.Received, &finished)
	e.FinishTime = orZero(finished)
	return e, err
}

const namedEventSQL = `
SELECT` + eventColumns + `
FROM webhooks.events AS e
WHERE e.account = ANY(@accounts::text[])
	AND e.id = @id
ORDER BY e.account
LIMIT 1`
