package webhooks

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/internal/stripe"
)

// eventKey identifies an event.
type eventKey struct{ account, id string }

// eventRow is an event as it is stored. A received event is to be applied; others need no job.
type eventRow struct {
	eventKey
	kind       string
	step       step
	livemode   bool
	resource   stripe.Resource
	state      State
	reason     string
	created    time.Time
	received   time.Time
	backfilled bool
}

// due is when the row is to be applied. It is -infinity, so that the clocks of two programs do not matter.
func (r eventRow) due() pgtype.Timestamptz {
	return pgtype.Timestamptz{InfinityModifier: pgtype.NegativeInfinity, Valid: r.state == StateReceived}
}

// finished is when the event was finished on receipt; NULL otherwise.
func (r eventRow) finished() pgtype.Timestamptz {
	return pgtype.Timestamptz{Time: r.received, Valid: r.state != StateReceived}
}

// rowsArgs returns rows as arrays, each event once, ordered by key, so that two writers of the same events do not
// deadlock.
func rowsArgs(rows []eventRow) pgx.NamedArgs {
	rows = slices.Clone(rows)
	slices.SortStableFunc(rows, func(a, b eventRow) int {
		return cmp.Or(cmp.Compare(a.account, b.account), cmp.Compare(a.id, b.id))
	})
	rows = slices.CompactFunc(rows, func(a, b eventRow) bool { return a.eventKey == b.eventKey })
	return pgx.NamedArgs{
		"accounts":   column(rows, func(r eventRow) string { return r.account }),
		"ids":        column(rows, func(r eventRow) string { return r.id }),
		"types":      column(rows, func(r eventRow) string { return r.kind }),
		"steps":      column(rows, func(r eventRow) string { return string(r.step) }),
		"livemodes":  column(rows, func(r eventRow) bool { return r.livemode }),
		"resources":  column(rows, func(r eventRow) stripe.Resource { return r.resource }),
		"states":     column(rows, func(r eventRow) string { return string(r.state) }),
		"due":        column(rows, eventRow.due),
		"reasons":    column(rows, func(r eventRow) string { return r.reason }),
		"created":    column(rows, func(r eventRow) time.Time { return r.created }),
		"received":   column(rows, func(r eventRow) time.Time { return r.received }),
		"finished":   column(rows, eventRow.finished),
		"backfilled": column(rows, func(r eventRow) bool { return r.backfilled }),
	}
}

// column returns one field of all rows, for unnest.
func column[T any](rows []eventRow, of func(eventRow) T) []T {
	values := make([]T, len(rows))
	for i, r := range rows {
		values[i] = of(r)
	}
	return values
}

// storedColumns are the columns of a stored event.
const storedColumns = `
	account,
	id,
	type,
	step,
	livemode,
	resource,
	state,
	next_attempt_at,
	failure_reason,
	created_at,
	received_at,
	finished_at,
	backfilled
`

// givenEvents are the rows of rowsArgs.
const givenEvents = `
FROM unnest(
	@accounts::text[],
	@ids::text[],
	@types::text[],
	@steps::text[],
	@livemodes::boolean[],
	@resources::jsonb[],
	@states::text[],
	@due::timestamptz[],
	@reasons::text[],
	@created::timestamptz[],
	@received::timestamptz[],
	@finished::timestamptz[],
	@backfilled::boolean[]
) AS g (` + storedColumns + `)`

// insertEvents inserts the given events. Their order is that of the keys, see rowsArgs.
const insertEvents = `
INSERT INTO webhooks.events AS e (` + storedColumns + `)
SELECT
	g.account,
	g.id,
	g.type,
	g.step,
	g.livemode,
	g.resource,
	g.state,
	g.next_attempt_at,
	g.failure_reason,
	g.created_at,
	g.received_at,
	g.finished_at,
	g.backfilled` + givenEvents

// onceClause skips stored events without locking them, so that a duplicate does not wait for the job that applies its
// event.
const onceClause = `
ON CONFLICT (account, id) DO NOTHING
RETURNING
	e.account,
	e.id`

// storeEventsSQL stores events that are not stored yet.
const storeEventsSQL = insertEvents + onceClause

// storeBesideJobSQL stores events of accounts that have a live job, and events that need none. In a burst it is the
// only statement: one commit for all deliveries of a batch, and no row that two events share. The shared lock of the
// statement before makes sure that no such job ends before the commit.
const storeBesideJobSQL = insertEvents + `
WHERE g.next_attempt_at IS NULL
	OR g.account IN (
		SELECT a.account` + liveJobs + `
			AND a.account = ANY(@accounts::text[])
	)` + onceClause

// A failed event that Stripe sends again is restarted: somebody fixed the cause and asked for it. The keys are returned
// because a restarted event needs a job again.
const restartFailedSQL = `
UPDATE webhooks.events AS e
SET
	step = g.step,
	resource = g.resource,
	state = g.state,
	attempts = 0,
	next_attempt_at = g.next_attempt_at,
	failure_reason = g.failure_reason,
	finished_at = g.finished_at` + givenEvents + `
WHERE e.account = g.account
	AND e.id = g.id
	AND e.state = 'failed'
RETURNING
	e.account,
	e.id`

// storeBatch stores deliveries: those whose account has a live job at once, the others together with a job. If the
// batch fails, each is tried by itself, so that one bad event does not fail the others.
func (s *Service) storeBatch(ctx context.Context, batch []*delivery) {
	rest, err := s.storeBesideJob(ctx, batch)
	if err == nil && len(rest) > 0 {
		err = s.storeWithJob(ctx, rest)
	}
	if err == nil {
		return
	}
	// If the database is away, single attempts would fail too. A batch of one has been tried alone.
	alone := len(rest) > 1 && ctx.Err() == nil && !postgres.Away(err)
	for _, d := range rest {
		if d.err = err; alone {
			d.err = s.storeWithJob(ctx, []*delivery{d})
		}
	}
}

// storeBesideJob returns the deliveries that are stored already or need a job first. After an error it returns all.
func (s *Service) storeBesideJob(ctx context.Context, batch []*delivery) (rest []*delivery, err error) {
	rows := rowsOf(batch)
	// A batch without BEGIN is one transaction and one round trip. Locking is a statement of its own, because the next
	// one must see what was committed while it waited.
	var both pgx.Batch
	both.Queue(lockSharedSQL, lockArgs(accountsOf(rows)...))
	both.Queue(storeBesideJobSQL, rowsArgs(rows))
	// The results come in order: that of the lock, then the keys of the stored events.
	results := s.cfg.Pool.SendBatch(ctx, &both)
	_, err = results.Exec()
	stored := map[eventKey]bool{}
	if err == nil {
		err = collectKeys(stored)(results.Query())
	}
	if closeErr := results.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return batch, postgres.Error(err)
	}
	return reportStored(batch, stored, false), nil
}

// storeWithJob stores deliveries together with a job for their accounts. It is for accounts without a live job, and for
// events that were stored before.
func (s *Service) storeWithJob(ctx context.Context, batch []*delivery) error {
	rows := rowsOf(batch)
	var stored map[eventKey]bool
	err := postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, lockSharedSQL, lockArgs(accountsOf(rows)...)); err != nil {
			return postgres.Error(err)
		}
		var err error
		if stored, err = storeTx(ctx, tx, rows); err != nil {
			return err
		}
		// A duplicate needs no job: its event was stored beside or together with one.
		fresh := slices.DeleteFunc(slices.Clone(rows), func(r eventRow) bool { return !stored[r.eventKey] })
		// In sorted order, so that two writers lock the rows of accounts in the same order.
		for _, account := range accountsOf(fresh) {
			if err := s.ensureJobTx(ctx, tx, account, false); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	reportStored(batch, stored, true)
	return nil
}

// storeTx stores events and restarts those that had failed. It returns both; the others were stored before.
func storeTx(ctx context.Context, tx pgx.Tx, rows []eventRow) (stored map[eventKey]bool, err error) {
	stored = map[eventKey]bool{}
	if err := collectKeys(stored)(tx.Query(ctx, storeEventsSQL, rowsArgs(rows))); err != nil {
		return nil, postgres.Error(err)
	}
	// The others were stored before. Those that failed are restarted, the rest are duplicates.
	there := slices.DeleteFunc(slices.Clone(rows), func(r eventRow) bool { return stored[r.eventKey] })
	if len(there) == 0 {
		return stored, nil
	}
	err = collectKeys(stored)(tx.Query(ctx, restartFailedSQL, rowsArgs(there)))
	return stored, postgres.Error(err)
}

// reportStored sets the result of the deliveries that were stored, or of all when all is true, and returns the others.
// If a batch has an event twice, the second is a duplicate.
func reportStored(batch []*delivery, stored map[eventKey]bool, all bool) (rest []*delivery) {
	for _, d := range batch {
		// With all, an event that was not stored is a duplicate, which is no error.
		if d.stored = stored[d.eventKey]; d.stored || all {
			d.err = nil
			delete(stored, d.eventKey)
			continue
		}
		rest = append(rest, d)
	}
	return rest
}

// rowsOf returns the events of deliveries, in their order.
func rowsOf(batch []*delivery) []eventRow {
	rows := make([]eventRow, len(batch))
	for i, d := range batch {
		rows[i] = d.eventRow
	}
	return rows
}

// accountsOf returns the accounts that have events to apply, sorted.
func accountsOf(rows []eventRow) []string {
	accounts := []string{}
	for _, r := range rows {
		if r.state == StateReceived {
			accounts = append(accounts, r.account)
		}
	}
	slices.Sort(accounts)
	return slices.Compact(accounts)
}

// collectKeys adds the keys that a statement returns.
func collectKeys(to map[eventKey]bool) func(pgx.Rows, error) error {
	return func(rows pgx.Rows, err error) error {
		if err != nil {
			return err
		}
		var key eventKey
		_, err = pgx.ForEachRow(rows, []any{&key.account, &key.id}, func() error {
			to[key] = true
			return nil
		})
		return err
	}
}
