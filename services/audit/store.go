package audit

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/places"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

// Config of [New].
type Config struct {
	// Pool is for reads; entries are written in the caller's transaction. Required.
	Pool *pgxpool.Pool
	// SecretKey is what the key that signs checkpoints is derived from, 32 bytes or more. Empty: the service cannot seal.
	SecretKey []byte
	// LongestExport is how long an export may take, its reader's time included; five minutes when zero.
	LongestExport time.Duration
	// Now dates checkpoints; time.Now when nil.
	Now func() time.Time
}

// Service reads, seals and verifies the audit log. It is safe for concurrent use. [WriteTx] writes to it.
type Service struct {
	pool   *pgxpool.Pool
	secret []byte
	now    func() time.Time
	// exports has one place for each export under way.
	exports *places.Set
	longest time.Duration
}

// New returns a service.
func New(cfg Config) *Service {
	s := &Service{
		pool: cfg.Pool, secret: cfg.SecretKey, now: cfg.Now, exports: places.New(places.Config{All: maxExports, Each: maxOfOne}),
		longest: cmp.Or(cfg.LongestExport, longestExport),
	}
	if s.now == nil {
		s.now = time.Now
	}
	return s
}

// columns are what an Entry is read from.
const columns = `
	e.id,
	e.created_at,
	e.collective,
	e.actor,
	e.actor_display_name,
	e.member,
	e.credential,
	e.role,
	e.method,
	e.resource,
	e.before,
	e.after,
	e.request_id`

// numbered are the columns with the number, 0 until an entry is sealed, and its entries.
const numberedPart = `
SELECT` + columns + `,
	coalesce(s.number, 0)
FROM audit.entries AS e
LEFT JOIN audit.seals AS s ON s.entry_id = e.id`

const getSQL = numberedPart + `
WHERE e.id = @id
	AND e.collective = @collective`

// get returns one entry; a missing one is NOT_FOUND.
func (s *Service) get(ctx context.Context, collective string, id uuid.UUID) (Entry, error) {
	rows, err := s.pool.Query(ctx, getSQL, pgx.NamedArgs{"id": id, "collective": collective})
	if err != nil {
		return Entry{}, postgres.Error(err)
	}
	e, err := pgx.CollectExactlyOneRow(rows, scanEntry)
	if errors.Is(err, pgx.ErrNoRows) {
		return Entry{}, errs.NotFound(Entry{Collective: collective, ID: id}.Name())
	}
	return e, postgres.Error(err)
}

// filter says which entries are listed. Empty fields do not count.
type filter struct {
	// Collective is whose; empty for the instance.
	Collective string
	// All takes those of every collective and the instance, and leaves Collective out.
	All bool
	// Actor is a member, a session or a key.
	Actor string
	// HideOperator leaves out, for an Actor, what the operator did: who may not see the operator's names cannot ask for
	// them.
	HideOperator bool
	Method       string
	// Resource takes those below it too.
	Resource string
	// Start is included, End is not.
	Start, End time.Time
}

// filterPart is the conditions of a filter that both lists have.
const filterPart = `
	AND (
		@actor = ''
		OR (
			@actor IN (e.actor, e.member, e.credential)
			AND (e.role NOT IN ('operator', '') OR NOT @hide_operator)
		)
	)
	AND (@method = '' OR e.method = @method)
	AND (@resource = '' OR e.resource = @resource OR starts_with(e.resource, @resource || '/'))
	AND e.created_at >= @start
	AND e.created_at < @end
	AND (e.created_at, e.id) < (@before_time::timestamptz, @before_id::uuid)
ORDER BY
	e.created_at DESC,
	e.id DESC
LIMIT @count`

// entries_collective_idx has this order.
const listSQL = numberedPart + `
WHERE e.collective = @collective` + filterPart

// entries_created_idx has this order.
const listAllSQL = numberedPart + `
WHERE true` + filterPart

// position is an entry's place in a list.
type position struct {
	Time time.Time
	ID   uuid.UUID
}

// earliest and latest are before and after all entries. newest is the key before every entry.
var (
	earliest = time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC)
	latest   = time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)
	newest   = position{Time: latest, ID: uuid.Max}
)

// list returns up to count entries, newest first, those after the key.
func (s *Service) list(ctx context.Context, f filter, after position, count int) ([]Entry, error) {
	sql := listSQL
	named := pgx.NamedArgs{
		"collective": f.Collective, "actor": f.Actor, "hide_operator": f.HideOperator, "method": f.Method, "resource": f.Resource,
		"start": earliest, "end": latest,
		"before_time": after.Time, "before_id": after.ID, "count": count,
	}
	if !f.Start.IsZero() {
		named["start"] = f.Start
	}
	if !f.End.IsZero() {
		named["end"] = f.End
	}
	if f.All {
		sql = listAllSQL
		delete(named, "collective")
	}
	rows, err := s.pool.Query(ctx, sql, named)
	if err != nil {
		return nil, postgres.Error(err)
	}
	found, err := pgx.CollectRows(rows, scanEntry)
	return found, postgres.Error(err)
}

func scanEntry(r pgx.CollectableRow) (Entry, error) { return scan(r) }

// scan reads the columns, the number, and then the rest.
func scan(r pgx.CollectableRow, rest ...any) (Entry, error) {
	var e Entry
	err := r.Scan(append([]any{
		&e.ID, &e.CreateTime, &e.Collective, &e.Actor, &e.ActorDisplayName, &e.Member, &e.Credential, &e.Role,
		&e.Method, &e.Resource, &e.Before, &e.After, &e.RequestID, &e.Number,
	}, rest...)...)
	e.CreateTime = e.CreateTime.UTC()
	return e, err
}
