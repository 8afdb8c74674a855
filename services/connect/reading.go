package connect

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/internal/stripe"
	"github.com/cagnotte/cagnotte/services/notices"
)

const (
	// lookEvery is how often each connected account is read without being asked: a lost event costs a day.
	lookEvery = 24 * time.Hour
	// tickEvery is how often it is looked which accounts are due, and tickCount how many are read at once.
	tickEvery = time.Hour
	tickCount = 100
	// lookPause is how long somebody who waits for an account to be ready waits for another reading at least.
	lookPause = time.Minute
)

// ReadAccount reads a connected account again at Stripe and keeps what it says. No transaction is open
// meanwhile. Of two readings at once the one that began later holds, so it is safe to repeat and in any order.
// An account that took its access back is noted as disconnected, and one that can be read as connected: so a
// lost event heals. ours is false for an account that no collective has.
func (s *Service) ReadAccount(ctx context.Context, account string) (ours bool, err error) {
	if account == "" {
		return false, nil
	}
	// The time before the call: what changes at Stripe during the call may be missing in the answer.
	began := s.nowMicros()
	a, err := s.cfg.Stripe.GetAccount(ctx, account)
	if err != nil && !stripe.Disconnected(err) {
		return true, err
	}
	// Only a withdrawn access comes here with an error.
	gone := err != nil
	err = postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, accountCollectivesSQL, pgx.NamedArgs{"account": account})
		if err != nil {
			return postgres.Error(err)
		}
		ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
		// Nothing is stored about accounts that no collective has.
		if ours = len(ids) > 0; err != nil || !ours {
			return postgres.Error(err)
		}
		if gone {
			if err := s.setReadConnectedTx(ctx, tx, account, false, began); err != nil {
				return err
			}
			// An account without access has no reading, so looked_at keeps readDue from asking again within the day.
			_, err := tx.Exec(ctx, lookSQL, pgx.NamedArgs{"account": account, "now": began, "before": began})
			return postgres.Error(err)
		}
		if err := s.setReadConnectedTx(ctx, tx, account, true, began); err != nil {
			return err
		}
		return s.keepAccountTx(ctx, tx, a, began)
	})
	return ours, err
}

// knownConnectedSQL is true if the stored state is the same, or if a reading that began later was stored. An account
// without a row counts as connected. It locks nothing; SetConnectedTx decides again by the time.
const knownConnectedSQL = `
SELECT coalesce(
	(
		SELECT k.connected = @connected::boolean OR k.read_at > @at::timestamptz
		FROM connect.connections AS k
		WHERE k.stripe_account = @account
	),
	@connected::boolean
)`

// setReadConnectedTx notes what a reading showed when it is another thing than what is known: events say it
// with Stripe's own time, which is better. It does nothing after a reading that began later and was answered.
func (s *Service) setReadConnectedTx(ctx context.Context, tx pgx.Tx, account string, connected bool, at time.Time) error {
	var known bool
	err := tx.QueryRow(ctx, knownConnectedSQL, pgx.NamedArgs{"account": account, "connected": connected, "at": at}).Scan(&known)
	if err != nil || known {
		return postgres.Error(err)
	}
	return s.SetConnectedTx(ctx, tx, account, connected, at)
}

// keepAccountSQL stores a reading. A new row counts as connected since ever, so that any event is later. A reading that
// began before the stored one changes no row, nor does a repeat of the stored one.
const keepAccountSQL = `
INSERT INTO connect.connections AS k (
	stripe_account,
	connected,
	changed_at,
	charges_enabled,
	payouts_enabled,
	details_submitted,
	requirements_due,
	requirements_deadline,
	disabled_reason,
	read_at
)
VALUES (
	@account,
	true,
	'-infinity',
	@charges_enabled,
	@payouts_enabled,
	@details_submitted,
	@requirements_due,
	@requirements_deadline,
	@disabled_reason,
	@read_at
)
ON CONFLICT (stripe_account) DO UPDATE
SET
	charges_enabled = excluded.charges_enabled,
	payouts_enabled = excluded.payouts_enabled,
	details_submitted = excluded.details_submitted,
	requirements_due = excluded.requirements_due,
	requirements_deadline = excluded.requirements_deadline,
	disabled_reason = excluded.disabled_reason,
	read_at = excluded.read_at
WHERE k.read_at < excluded.read_at`

// keepAccountTx stores what Stripe said, and tells members of what it wants to know of an account that was
// complete once: who is filling in the form sees it there.
func (s *Service) keepAccountTx(ctx context.Context, tx pgx.Tx, a stripe.Account, began time.Time) error {
	due := slices.Sorted(slices.Values(a.RequirementsDue))
	named := pgx.NamedArgs{
		"account":               a.ID,
		"charges_enabled":       a.ChargesEnabled,
		"payouts_enabled":       a.PayoutsEnabled,
		"details_submitted":     a.DetailsSubmitted,
		"requirements_due":      append([]string{}, due...),
		"requirements_deadline": nil,
		"disabled_reason":       a.DisabledReason,
		"read_at":               began,
	}
	if !a.Deadline.IsZero() {
		// NULL where Stripe has set no time.
		named["requirements_deadline"] = a.Deadline
	}
	// A reading that was not stored is old, and tells nothing new.
	tag, err := tx.Exec(ctx, keepAccountSQL, named)
	if err != nil || tag.RowsAffected() == 0 {
		return postgres.Error(err)
	}
	if !a.DetailsSubmitted || len(due) == 0 && a.DisabledReason == "" {
		return nil
	}
	// The same wants are told once, whoever reads them and however often.
	sum := sha256.Sum256([]byte(strings.Join(due, "\n") + "\n\n" + a.DisabledReason))
	return s.tellAccountTx(ctx, tx, a.ID, notices.Notice{
		Kind: notices.OnboardingNeeded, Key: a.ID + ":" + hex.EncodeToString(sum[:8]), Subject: a.ID, Deadline: a.Deadline,
	})
}

// Connection returns what is known of a collective's account. Somebody waits for one that takes no payments
// yet, so it is read again soon, unless that was done a minute ago. A missing collective is NOT_FOUND.
func (s *Service) Connection(ctx context.Context, id string) (Connection, error) {
	k, err := s.connection(ctx, id)
	if err != nil || k.Account == "" || k.Connected && k.ChargesEnabled && k.PayoutsEnabled || s.cfg.Jobs == nil {
		return k.Connection, err
	}
	return k.Connection, s.look(ctx, k.Account)
}

// lookSQL notes that a reading was asked for. It changes no row if one was after @before, so of many requests at once
// one inserts a job.
const lookSQL = `
INSERT INTO connect.connections AS k (
	stripe_account,
	connected,
	changed_at,
	looked_at
)
VALUES (
	@account,
	true,
	'-infinity',
	@now
)
ON CONFLICT (stripe_account) DO UPDATE
SET looked_at = excluded.looked_at
WHERE k.looked_at <= @before`

// look makes a job read an account, unless one did a short while ago.
func (s *Service) look(ctx context.Context, account string) error {
	now := s.nowMicros()
	return postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, lookSQL, pgx.NamedArgs{"account": account, "now": now, "before": now.Add(-lookPause)})
		if err != nil || tag.RowsAffected() == 0 {
			return postgres.Error(err)
		}
		_, err = s.cfg.Jobs.InsertTx(ctx, tx, accountReadArgs{Account: account}, nil)
		return postgres.Error(err)
	})
}

// accountReadArgs asks to read one account; accountTickArgs to read those that are due.
type (
	accountReadArgs struct {
		Account string `json:"account"`
	}
	accountTickArgs struct{}
)

// Kind names the job in River.
func (accountReadArgs) Kind() string { return "connected_account" }

// Kind names the job in River.
func (accountTickArgs) Kind() string { return "connected_accounts_tick" }

// InsertOpts: whoever looks again asks again.
func (accountReadArgs) InsertOpts() river.InsertOpts { return river.InsertOpts{MaxAttempts: 3} }

// InsertOpts: the next one comes soon enough.
func (accountTickArgs) InsertOpts() river.InsertOpts { return river.InsertOpts{MaxAttempts: 1} }

// Workers adds the workers of this service's jobs.
func (s *Service) Workers(w *river.Workers) {
	river.AddWorker(w, river.WorkFunc(func(ctx context.Context, job *river.Job[accountReadArgs]) error {
		_, err := s.ReadAccount(ctx, job.Args.Account)
		return err
	}))
	river.AddWorker(w, river.WorkFunc(func(ctx context.Context, _ *river.Job[accountTickArgs]) error {
		return s.readDue(ctx)
	}))
}

// PeriodicJobs returns what must be inserted on a timer.
func (s *Service) PeriodicJobs() []*river.PeriodicJob {
	return []*river.PeriodicJob{river.NewPeriodicJob(
		river.PeriodicInterval(tickEvery),
		func() (river.JobArgs, *river.InsertOpts) { return accountTickArgs{}, nil },
		&river.PeriodicJobOpts{ID: "connected_accounts_tick", RunOnStart: true},
	)}
}

// dueAccountsSQL returns the accounts of collectives that were neither read nor asked about since @before, each once.
// An account without a row is due.
const dueAccountsSQL = `
SELECT DISTINCT
	c.stripe_account
FROM collectives.collectives AS c
LEFT JOIN connect.connections AS k ON k.stripe_account = c.stripe_account
WHERE c.stripe_account <> ''
	AND coalesce(greatest(k.read_at, k.looked_at), '-infinity') <= @before
ORDER BY c.stripe_account
LIMIT @count`

// readDue reads the accounts that nobody read for a day, those that are not connected among them. One that
// cannot be read keeps no other from it.
func (s *Service) readDue(ctx context.Context) error {
	rows, err := s.cfg.Pool.Query(ctx, dueAccountsSQL, pgx.NamedArgs{"before": s.nowMicros().Add(-lookEvery), "count": tickCount})
	if err != nil {
		return postgres.Error(err)
	}
	accounts, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return postgres.Error(err)
	}
	var failed []error
	for _, account := range accounts {
		if _, err := s.ReadAccount(ctx, account); err != nil {
			failed = append(failed, fmt.Errorf("read account %s: %w", account, err))
		}
	}
	return errors.Join(failed...)
}
