package webhooks

import (
	"context"
	"slices"
	"strconv"

	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/audit"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

// replayCount is how many events one call replays.
const replayCount = 1000

// Scope is what a caller may act on: one account, or all.
type Scope struct {
	All     bool
	Account string
	// Collective is whose account it is, for the audit log; empty for the instance.
	Collective string
}

// name is that of what is below the scope's parent, such as "webhookEvents".
func (in Scope) name(below string) string {
	if in.Collective == "" {
		return "instance/" + below
	}
	return "collectives/" + in.Collective + "/" + below
}

const scopedAccountsSQL = `
SELECT a.account
FROM webhooks.accounts AS a
WHERE @all OR a.account = @account
ORDER BY a.account`

// scopedAccounts returns the accounts of a scope that have a row, in order.
func (s *Service) scopedAccounts(ctx context.Context, in Scope) ([]string, error) {
	return s.strings(ctx, scopedAccountsSQL, pgx.NamedArgs{"all": in.All, "account": in.Account})
}

// replayEventsSQL makes the newest failed events due, and returns an account for each. events_failed_idx has the order
// of the inner query. The outer condition on the state leaves out what another replay or a redelivery restarted
// meanwhile.
const replayEventsSQL = `
UPDATE webhooks.events AS e
SET
	state = 'received',
	attempts = 0,
	next_attempt_at = '-infinity',
	failure_reason = ''
WHERE (e.account, e.id) IN (
	SELECT
		f.account,
		f.id
	FROM webhooks.events AS f
	WHERE f.state = 'failed'
		AND f.account = ANY(@accounts::text[])
	ORDER BY
		f.received_at DESC,
		f.account DESC,
		f.id DESC
	LIMIT @count
)
	AND e.state = 'failed'
RETURNING e.account`

// Replay makes failed events due again, including those that were given up: the newest first, 1,000 at most. It returns
// their number. Calling it twice is safe.
func (s *Service) Replay(ctx context.Context, in Scope) (int, error) {
	accounts, err := s.scopedAccounts(ctx, in)
	if err != nil {
		return 0, err
	}
	return s.makeDue(ctx, replayEventsSQL, pgx.NamedArgs{"accounts": accounts, "count": replayCount}, in, "webhookEvents")
}

// makeDue runs a statement that makes rows due and returns their accounts, and gives those accounts a job. These are
// two steps: if the program ends between them, the schedule finds the rows that are due. below is what the audit log names,
// below the scope.
func (s *Service) makeDue(ctx context.Context, sql string, args pgx.NamedArgs, in Scope, below string) (int, error) {
	var accounts []string
	if err := postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, sql, args)
		if err != nil {
			return postgres.Error(err)
		}
		// InTx may run this function more than once.
		accounts, err = pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil || len(accounts) == 0 {
			return postgres.Error(err)
		}
		return audit.WriteTx(ctx, tx, audit.Change{
			Collective: in.Collective, Resource: in.name(below), After: audit.Fields{"count": strconv.Itoa(len(accounts))},
		})
	}); err != nil {
		return 0, err
	}
	// Each row returned its account, so this is the number of rows.
	count := len(accounts)
	slices.Sort(accounts)
	return count, s.ensureJobs(ctx, slices.Compact(accounts), false)
}

// replayEventSQL makes a failed event due, and returns its account. In another state it changes nothing.
const replayEventSQL = `
UPDATE webhooks.events AS e
SET
	state = 'received',
	attempts = 0,
	next_attempt_at = '-infinity',
	failure_reason = ''
WHERE e.account = ANY(@accounts::text[])
	AND e.id = @id
	AND e.state = 'failed'
RETURNING e.account`

// ReplayOne makes one failed event due again, and returns it. An event that has not failed is left as it is. NOT_FOUND
// when the scope has no such event.
func (s *Service) ReplayOne(ctx context.Context, in Scope, id string) (Event, error) {
	accounts, err := s.scopedAccounts(ctx, in)
	if err != nil {
		return Event{}, err
	}
	if _, err := s.makeDue(ctx, replayEventSQL, pgx.NamedArgs{"accounts": accounts, "id": id}, in, "webhookEvents/"+id); err != nil {
		return Event{}, err
	}
	return s.Get(ctx, in, id)
}
