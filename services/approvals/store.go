package approvals

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

// changeColumns is what scan reads.
const changeColumns = `
	c.id,
	c.collective,
	c.kind,
	c.subject,
	c.before,
	c.after,
	c.before_text,
	c.after_text,
	c.state,
	c.requester,
	c.requester_name,
	c.decider,
	c.decider_name,
	c.created_at,
	c.expires_at,
	c.decided_at`

func scan(r pgx.CollectableRow) (c Change, err error) {
	var decided *time.Time
	err = r.Scan(&c.ID, &c.Collective, &c.Kind, &c.Subject, &c.Before, &c.After, &c.BeforeText, &c.AfterText, &c.State,
		&c.Requester, &c.RequesterName, &c.Decider, &c.DeciderName, &c.CreateTime, &c.ExpireTime, &decided)
	if decided != nil {
		c.DecideTime = decided.UTC()
	}
	c.CreateTime, c.ExpireTime = c.CreateTime.UTC(), c.ExpireTime.UTC()
	return c, err
}

// found turns no row into NOT_FOUND.
func found(c Change, err error, collective string, id uuid.UUID) (Change, error) {
	if errors.Is(err, pgx.ErrNoRows) {
		return Change{}, errs.NotFound(Change{Collective: collective, ID: id}.Name())
	}
	return c, postgres.Error(err)
}

const insertSQL = `
INSERT INTO approvals.pending_changes (
	id,
	collective,
	kind,
	subject,
	before,
	after,
	before_text,
	after_text,
	requester,
	requester_name,
	created_at,
	expires_at
)
VALUES (
	@id,
	@collective,
	@kind,
	@subject,
	@before,
	@after,
	@before_text,
	@after_text,
	@requester,
	@requester_name,
	@created_at,
	@expires_at
)
ON CONFLICT (collective, kind, subject) WHERE state = 'pending' DO NOTHING`

// insertTx reports false when a change of the same subject waits.
func insertTx(ctx context.Context, tx pgx.Tx, c Change) (inserted bool, err error) {
	tag, err := tx.Exec(ctx, insertSQL, pgx.NamedArgs{
		"id": c.ID, "collective": c.Collective, "kind": c.Kind, "subject": c.Subject, "before": c.Before, "after": c.After,
		"before_text": c.BeforeText, "after_text": c.AfterText, "requester": c.Requester, "requester_name": c.RequesterName,
		"created_at": c.CreateTime, "expires_at": c.ExpireTime,
	})
	return tag.RowsAffected() == 1, postgres.Error(err)
}

const waitingSQL = `
SELECT` + changeColumns + `
FROM approvals.pending_changes AS c
WHERE c.collective = @collective
	AND c.kind = @kind
	AND c.subject = @subject
	AND c.state = 'pending'`

// waitingTx returns the change of a subject that waits.
func waitingTx(ctx context.Context, tx pgx.Tx, collective string, kind Kind, subject string) (Change, error) {
	c, err := postgres.One(ctx, tx, scan, waitingSQL, pgx.NamedArgs{"collective": collective, "kind": kind, "subject": subject})
	return found(c, err, collective, uuid.Nil)
}

const getSQL = `
SELECT` + changeColumns + `
FROM approvals.pending_changes AS c
WHERE c.collective = @collective
	AND c.id = @id`

const lockSQL = getSQL + `
FOR UPDATE OF c`

func lockTx(ctx context.Context, tx pgx.Tx, collective string, id uuid.UUID) (Change, error) {
	c, err := postgres.One(ctx, tx, scan, lockSQL, pgx.NamedArgs{"collective": collective, "id": id})
	return found(c, err, collective, id)
}

const endSQL = `
UPDATE approvals.pending_changes AS c
SET
	state = @state,
	decider = @decider,
	decider_name = @decider_name,
	decided_at = @decided_at
WHERE c.id = @id`

func endTx(ctx context.Context, tx pgx.Tx, c Change) error {
	_, err := tx.Exec(ctx, endSQL, pgx.NamedArgs{
		"id": c.ID, "state": c.State, "decider": c.Decider, "decider_name": c.DeciderName, "decided_at": c.DecideTime,
	})
	return postgres.Error(err)
}

// Position is a change's place in a list.
type Position struct {
	CreateTime time.Time
	ID         uuid.UUID
}

// newest is before every change.
var newest = Position{CreateTime: time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)}

const listSQL = `
SELECT` + changeColumns + `
FROM approvals.pending_changes AS c
WHERE c.collective = @collective
	AND (@state = '' OR c.state = @state)
	AND (c.created_at, c.id) < (@before_time, @before_id::uuid)
ORDER BY
	c.created_at DESC,
	c.id DESC
LIMIT @count`

// List returns up to count changes of a collective, newest first, those before the given one; of one state unless it is
// empty.
func (s *Service) List(ctx context.Context, collective string, state State, before Position, count int) ([]Change, error) {
	return postgres.All(ctx, s.cfg.Pool, scan, listSQL, pgx.NamedArgs{
		"collective": collective, "state": string(state), "before_time": before.CreateTime, "before_id": before.ID, "count": count,
	})
}

const dueSQL = `
SELECT` + changeColumns + `
FROM approvals.pending_changes AS c
WHERE c.state = 'pending'
	AND c.expires_at <= @now
	AND (@collective = '' OR c.collective = @collective)
ORDER BY
	c.expires_at,
	c.id
LIMIT 100
FOR UPDATE OF c SKIP LOCKED`

// expireTx ends the changes that waited too long, of one collective or, when that is empty, of all.
func (s *Service) expireTx(ctx context.Context, tx pgx.Tx, collective string, now time.Time) error {
	due, err := postgres.All(ctx, tx, scan, dueSQL, pgx.NamedArgs{"collective": collective, "now": now})
	if err != nil {
		return err
	}
	for _, c := range due {
		c.State, c.DecideTime = Expired, now
		if err := endTx(ctx, tx, c); err != nil {
			return err
		}
		if err := s.dropTx(ctx, tx, c); err != nil {
			return err
		}
	}
	return nil
}
