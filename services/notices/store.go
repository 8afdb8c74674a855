package notices

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/access"
	"github.com/cagnotte/cagnotte/services/audit"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/money"
)

const insertSQL = `
INSERT INTO notices.notices (
	id,
	collective,
	kind,
	key,
	subject,
	amount_minor,
	currency,
	transactions,
	deadline,
	since,
	counts,
	actor,
	actor_display_name,
	actor_member,
	actor_operator,
	value_before,
	value_after,
	created_at
)
VALUES (
	@id,
	@collective,
	@kind,
	@key,
	@subject,
	@amount_minor,
	@currency,
	@transactions,
	@deadline,
	@since,
	@counts,
	@actor,
	@actor_display_name,
	@actor_member,
	@actor_operator,
	@value_before,
	@value_after,
	@created_at
)
ON CONFLICT (collective, kind, key) DO NOTHING`

// insertTx reports false for what was told before.
func insertTx(ctx context.Context, tx pgx.Tx, n Notice) (told bool, err error) {
	named := pgx.NamedArgs{
		"id":           n.ID,
		"collective":   n.Collective,
		"kind":         string(n.Kind),
		"key":          n.Key,
		"subject":      n.Subject,
		"amount_minor": nil,
		"currency":     nil,
		"transactions": append([]string{}, n.Transactions...),
		"deadline":     nil,
		"since":        nil,
		"counts":       append([]int64{}, n.Counts...),
		"created_at":   n.CreateTime,

		"actor": nil, "actor_display_name": nil, "actor_member": nil, "actor_operator": false, "value_before": nil, "value_after": nil,
	}
	if c := n.Change; c != nil {
		named["actor"], named["actor_display_name"], named["actor_member"] = c.Actor, c.DisplayName, c.Member
		named["actor_operator"] = c.Operator
		named["value_before"], named["value_after"] = c.Before, c.After
	}
	if n.Amount.Currency != "" {
		named["amount_minor"], named["currency"] = n.Amount.Minor, string(n.Amount.Currency)
	}
	if !n.Deadline.IsZero() {
		named["deadline"] = n.Deadline
	}
	if !n.Since.IsZero() {
		named["since"] = n.Since
	}
	tag, err := tx.Exec(ctx, insertSQL, named)
	return tag.RowsAffected() == 1, postgres.ErrorFor(err, map[string]*errs.Error{
		"notices_collective_fkey": errs.NotFound(namePrefix + n.Collective),
	})
}

// columns are what a Notice is read from.
const columns = `
	n.id,
	n.collective,
	n.kind,
	n.key,
	n.subject,
	n.amount_minor,
	n.currency,
	n.transactions,
	n.deadline,
	n.since,
	n.counts,
	n.actor,
	n.actor_display_name,
	n.actor_member,
	n.actor_operator,
	n.value_before,
	n.value_after,
	n.created_at,
	n.acknowledged_at,
	n.acknowledged_by`

const getSQL = `
SELECT` + columns + `
FROM notices.notices AS n
WHERE n.id = @id
	AND n.collective = @collective`

const lockSQL = getSQL + `
FOR NO KEY UPDATE`

// notice returns one notice; a missing one is NOT_FOUND.
func (s *Service) get(ctx context.Context, collective string, id uuid.UUID) (Notice, error) {
	rows, err := s.cfg.Pool.Query(ctx, getSQL, pgx.NamedArgs{"id": id, "collective": collective})
	return one(rows, err, collective, id)
}

// filter says which notices are listed.
type filter struct {
	// Collective is whose; empty for the operator's own.
	Collective string
	// All takes those of every collective and the operator's, and leaves Collective out.
	All bool
	// Unacknowledged takes only those that nobody has seen to.
	Unacknowledged bool
}

const listSQL = `
SELECT` + columns + `
FROM notices.notices AS n
WHERE n.collective = @collective
	AND (n.acknowledged_at IS NULL OR NOT @unacknowledged)
	AND (n.created_at, n.id) < (@before_time::timestamptz, @before_id::uuid)
ORDER BY
	n.created_at DESC,
	n.id DESC
LIMIT @count`

const listAllSQL = `
SELECT` + columns + `
FROM notices.notices AS n
WHERE (n.acknowledged_at IS NULL OR NOT @unacknowledged)
	AND (n.created_at, n.id) < (@before_time::timestamptz, @before_id::uuid)
ORDER BY
	n.created_at DESC,
	n.id DESC
LIMIT @count`

// position is where a page of notices begins: behind the last row of the one before.
type position struct {
	Time time.Time
	ID   uuid.UUID
}

// newest is behind nothing: no notice is told after it.
var newest = position{Time: time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), ID: uuid.Max}

// notices returns up to count notices, newest first, those after the key.
func (s *Service) list(ctx context.Context, f filter, after position, count int) ([]Notice, error) {
	sql := listSQL
	named := pgx.NamedArgs{
		"collective": f.Collective, "unacknowledged": f.Unacknowledged,
		"before_time": after.Time, "before_id": after.ID, "count": count,
	}
	if f.All {
		sql = listAllSQL
		delete(named, "collective")
	}
	rows, err := s.cfg.Pool.Query(ctx, sql, named)
	if err != nil {
		return nil, postgres.Error(err)
	}
	found, err := pgx.CollectRows(rows, scan)
	return found, postgres.Error(err)
}

const acknowledgeSQL = `
UPDATE notices.notices AS n
SET
	acknowledged_at = @now,
	acknowledged_by = @by
WHERE n.id = @id
	AND n.collective = @collective
	AND n.acknowledged_at IS NULL`

// Acknowledge notes that a member saw to a notice. Who was first stays: a second time changes nothing and answers the
// same. A missing one is NOT_FOUND. What a member changed itself another one sees to, as long as there is another who can:
// else it is FAILED_PRECONDITION (SECOND_MEMBER_NEEDED).
func (s *Service) Acknowledge(ctx context.Context, collective string, id uuid.UUID, by access.Principal) (n Notice, err error) {
	err = postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		named := pgx.NamedArgs{"id": id, "collective": collective}
		rows, err := tx.Query(ctx, lockSQL, named)
		if n, err = one(rows, err, collective, id); err != nil || !n.AcknowledgeTime.IsZero() {
			return err
		}
		if err := n.checkAcknowledgeTx(ctx, tx, by); err != nil {
			return err
		}
		n.AcknowledgeTime, n.AcknowledgedBy = s.nowMicros(), by.Name
		named["by"], named["now"] = n.AcknowledgedBy, n.AcknowledgeTime
		if _, err = tx.Exec(ctx, acknowledgeSQL, named); err != nil {
			return postgres.Error(err)
		}
		return audit.WriteTx(ctx, tx, audit.Change{
			Collective: n.Collective, Resource: n.Name(), After: audit.Fields{"kind": string(n.Kind), "subject": n.Subject},
		})
	})
	if err != nil {
		return Notice{}, err
	}
	return n, nil
}

// checkAcknowledgeTx keeps who changed something from putting the notice of it away.
func (n Notice) checkAcknowledgeTx(ctx context.Context, tx pgx.Tx, by access.Principal) error {
	c := n.Change
	if c == nil {
		return nil
	}
	// For a collective its operators are one.
	operators := n.Collective != "" && c.Operator && by.IsOperator()
	if c.Member != by.Member && !operators {
		return nil
	}
	able := []access.Role{access.RoleOwner, access.RoleTreasurer}
	if n.Collective == "" {
		able = []access.Role{access.RoleOperator}
	}
	other, err := access.OtherMemberTx(ctx, tx, n.Collective, c.Member, able...)
	if err != nil || !other {
		return err
	}
	return errs.New(errorsv1.ErrorReason_SECOND_MEMBER_NEEDED, "Another member must see to what you changed yourself.")
}

const openSQL = `
SELECT
	n.kind,
	count(*)
FROM notices.notices AS n
WHERE n.acknowledged_at IS NULL
GROUP BY n.kind
ORDER BY n.kind`

// open counts what nobody has seen to, by kind.
func (s *Service) open(ctx context.Context) (map[Kind]int64, error) {
	rows, err := s.cfg.Pool.Query(ctx, openSQL)
	if err != nil {
		return nil, postgres.Error(err)
	}
	open := map[Kind]int64{}
	var kind Kind
	var count int64
	_, err = pgx.ForEachRow(rows, []any{&kind, &count}, func() error {
		open[kind] = count
		return nil
	})
	return open, postgres.Error(err)
}

func one(rows pgx.Rows, err error, collective string, id uuid.UUID) (Notice, error) {
	if err != nil {
		return Notice{}, postgres.Error(err)
	}
	n, err := pgx.CollectExactlyOneRow(rows, scan)
	if errors.Is(err, pgx.ErrNoRows) {
		return Notice{}, errs.NotFound(Notice{Collective: collective, ID: id}.Name())
	}
	return n, postgres.Error(err)
}

func scan(r pgx.CollectableRow) (Notice, error) {
	var n Notice
	var minor *int64
	var currency *string
	var deadline, since, acknowledged *time.Time
	var actor, label, member, before, after *string
	var operator bool
	err := r.Scan(&n.ID, &n.Collective, &n.Kind, &n.Key, &n.Subject, &minor, &currency, &n.Transactions, &deadline, &since, &n.Counts,
		&actor, &label, &member, &operator, &before, &after, &n.CreateTime, &acknowledged, &n.AcknowledgedBy)
	if err != nil {
		return Notice{}, err
	}
	n.CreateTime = n.CreateTime.UTC()
	if actor != nil {
		n.Change = &Change{Actor: *actor, DisplayName: *label, Member: *member, Operator: operator || byOperatorsKey(*actor), Before: *before, After: *after}
	}
	if minor != nil {
		n.Amount = money.Amount{Minor: *minor, Currency: money.Currency(*currency)}
	}
	if deadline != nil {
		n.Deadline = deadline.UTC()
	}
	if since != nil {
		n.Since = since.UTC()
	}
	if acknowledged != nil {
		n.AcknowledgeTime = acknowledged.UTC()
	}
	return n, nil
}

// byOperatorsKey reports a change that was stored before actor_operator was: by the operator's key, or on the command line.
func byOperatorsKey(actor string) bool {
	return !strings.HasPrefix(actor, namePrefix) && !strings.HasPrefix(actor, "members/")
}

const openCountSQL = `
SELECT count(*)
FROM notices.notices AS n
WHERE n.collective = @collective
	AND n.acknowledged_at IS NULL`

// OpenCount returns how many notices of a collective are not acknowledged; of the operator's when it is empty.
func (s *Service) OpenCount(ctx context.Context, collective string) (count int64, err error) {
	err = s.cfg.Pool.QueryRow(ctx, openCountSQL, pgx.NamedArgs{"collective": collective}).Scan(&count)
	return count, postgres.Error(err)
}
