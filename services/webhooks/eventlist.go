package webhooks

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

// Position is the place of an event in a list.
type Position struct {
	Received    time.Time
	Account, ID string
}

// newest is the position before all events.
var newest = Position{Received: time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)}

// eventColumns are the columns that scanEvent reads. An event that is due at once has -infinity, which is no time in Go.
const eventColumns = `
	e.id,
	e.account,
	e.type,
	e.state,
	e.attempts,
	e.failure_reason,
	e.created_at,
	e.received_at,
	e.finished_at,
	CASE WHEN e.next_attempt_at IS NOT NULL THEN greatest(e.next_attempt_at, e.received_at) END`

// selectEventsSQL selects the events that come after a position, newest first. The comparison of rows has the order of
// events_received_idx.
const selectEventsSQL = `
SELECT` + eventColumns + `
FROM webhooks.events AS e
WHERE (e.received_at, e.account, e.id) < (@received_at, @account, @id)`

// newestEvents is the order of events_received_idx and events_failed_idx.
const newestEvents = `
ORDER BY
	e.received_at DESC,
	e.account DESC,
	e.id DESC
LIMIT @count`

// listEventsSQL lists events of all accounts. An empty state stands for all states.
const listEventsSQL = selectEventsSQL + `
	AND (@state = '' OR e.state = @state)` + newestEvents

// listFailedSQL has the state in its text rather than as an argument, so that every plan can use the index of failed
// events.
const listFailedSQL = selectEventsSQL + `
	AND e.state = 'failed'` + newestEvents

// selectAccountEventsSQL selects the events of one account that come after a position, newest first: a range of
// events_account_idx, or of events_account_failed_idx. So a page passes over no events of other accounts. With account = … the
// planner would also take events_received_idx, which has the events of all accounts.
const selectAccountEventsSQL = `
SELECT` + eventColumns + `
FROM webhooks.events AS e
WHERE (e.account, e.received_at, e.id) < (@in_account, @received_at, @id)
	AND (e.account, e.received_at, e.id) >= (@in_account, '-infinity', '')`

const newestAccountEvents = `
ORDER BY
	e.account DESC,
	e.received_at DESC,
	e.id DESC
LIMIT @count`

const listAccountEventsSQL = selectAccountEventsSQL + `
	AND (@state = '' OR e.state = @state)` + newestAccountEvents

// listAccountFailedSQL has the state in its text too, for the index of failed events.
const listAccountFailedSQL = selectAccountEventsSQL + `
	AND e.state = 'failed'` + newestAccountEvents

// List returns up to count events of the scope before a position, newest first; all states when state is empty.
func (s *Service) List(ctx context.Context, in Scope, state State, before Position, count int) ([]Event, error) {
	sql := listAccountEventsSQL
	switch {
	case in.All && state == StateFailed:
		sql = listFailedSQL
	case in.All:
		sql = listEventsSQL
	case state == StateFailed:
		sql = listAccountFailedSQL
	}
	rows, err := s.cfg.Pool.Query(ctx, sql, pgx.NamedArgs{
		"state": string(state), "in_account": in.Account,
		"received_at": before.Received, "account": before.Account, "id": before.ID, "count": count,
	})
	if err != nil {
		return nil, postgres.Error(err)
	}
	found, err := pgx.CollectRows(rows, scanEvent)
	return found, postgres.Error(err)
}

const getEventSQL = `
SELECT` + eventColumns + `
FROM webhooks.events AS e
WHERE e.account = @account
	AND e.id = @id`

// findEventSQL looks for an event of any account. The primary key begins with the account, of which there are few: it
// is probed once for each. The recursive query goes from each account to the next one in the order of the index.
const findEventSQL = `
WITH RECURSIVE accounts AS (
	SELECT min(e.account) AS account
	FROM webhooks.events AS e
	UNION ALL
	SELECT (
		SELECT min(e.account)
		FROM webhooks.events AS e
		WHERE e.account > a.account
	)
	FROM accounts AS a
	WHERE a.account IS NOT NULL
)
SELECT` + eventColumns + `
FROM accounts AS a
JOIN webhooks.events AS e ON e.account = a.account
WHERE e.id = @id
ORDER BY e.account
LIMIT 1`

// Get returns an event of the scope. NOT_FOUND when there is none of that id.
func (s *Service) Get(ctx context.Context, in Scope, id string) (Event, error) {
	sql := getEventSQL
	if in.All {
		sql = findEventSQL
	}
	rows, err := s.cfg.Pool.Query(ctx, sql, pgx.NamedArgs{"account": in.Account, "id": id})
	if err != nil {
		return Event{}, postgres.Error(err)
	}
	e, err := pgx.CollectExactlyOneRow(rows, scanEvent)
	if errors.Is(err, pgx.ErrNoRows) {
		return Event{}, errs.NotFound("webhookEvents/" + id)
	}
	return e, postgres.Error(err)
}

// scanEvent reads a row of eventColumns. finished_at is NULL while the event is received or failed,
// and next_attempt_at when it is not tried again.
func scanEvent(r pgx.CollectableRow) (Event, error) {
	var e Event
	var finished, next *time.Time
	err := r.Scan(&e.ID, &e.Account, &e.Type, &e.State, &e.Attempts, &e.Reason, &e.Created, &e.Received, &finished, &next)
	e.FinishTime, e.NextAttempt = orZero(finished), orZero(next)
	return e, err
}
