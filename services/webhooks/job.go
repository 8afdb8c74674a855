package webhooks

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivertype"

	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/internal/stripe"
)

const (
	// jobBudget is how long a job runs before it makes room for others. jobTimeout is when it is cancelled; ten pages
	// from a slow Stripe fit in between.
	jobBudget  = 30 * time.Second
	jobTimeout = 3 * time.Minute
	// passPause is the pause between two passes of a job. In a burst it determines how many donations one call to
	// Stripe brings, within the limit of 25 calls a second.
	passPause = time.Second
	// heartbeatEvery is how often a running job reports that it is alive. The ten seconds of liveJobs are five
	// heartbeats.
	heartbeatEvery = 2 * time.Second
	// maxJobRetry is the longest pause after an unexpected error, such as an unreachable database.
	maxJobRetry = 15 * time.Second
	// lockClass is the first key of our advisory locks; the account's hash is the second. Accounts with the same hash
	// only wait for each other.
	lockClass = 7_236_482
)

const lockSharedSQL = `
SELECT pg_advisory_xact_lock_shared(@class::integer, hashtext(u.account))
FROM unnest(@accounts::text[]) AS u (account)`

const lockExclusiveSQL = `
SELECT pg_advisory_xact_lock(@class::integer, hashtext(u.account))
FROM unnest(@accounts::text[]) AS u (account)`

// lockArgs are the arguments for locking several accounts, in the order of the slice.
func lockArgs(accounts ...string) pgx.NamedArgs {
	return pgx.NamedArgs{"class": lockClass, "accounts": accounts}
}

// liveJobs are jobs that will still look for events. A running job without a heartbeat for ten seconds was killed with
// its program. River would rescue it too, but much later.
const liveJobs = `
FROM webhooks.accounts AS a
JOIN river.river_job AS j ON j.id = a.job_id
WHERE (
		j.state IN ('available', 'scheduled', 'retryable')
		OR (j.state = 'running' AND a.alive_at > clock_timestamp() - interval '10 seconds')
	)`

const liveJobSQL = `
SELECT a.job_id` + liveJobs + `
	AND a.account = @account`

// accountArgs is the job that brings one account up to date.
type accountArgs struct {
	Account string `json:"account"`
}

// Kind is the job's name in River.
func (accountArgs) Kind() string { return "stripe_account" }

// scheduleArgs is the job that gives a job to each account that needs one.
type scheduleArgs struct{}

// Kind is the job's name in River.
func (scheduleArgs) Kind() string { return "stripe_schedule" }

// InsertOpts allows no retry, since the next one comes soon.
func (scheduleArgs) InsertOpts() river.InsertOpts { return river.InsertOpts{MaxAttempts: 1} }

// Workers adds the workers of this service's jobs.
func (s *Service) Workers(w *river.Workers) {
	river.AddWorker(w, &accountWorker{service: s})
	river.AddWorker(w, river.WorkFunc(func(ctx context.Context, _ *river.Job[scheduleArgs]) error {
		return errors.Join(s.schedule(ctx), s.reconnect(ctx))
	}))
}

// PeriodicJobs returns the jobs that are inserted on a timer.
func (s *Service) PeriodicJobs() []*river.PeriodicJob {
	return []*river.PeriodicJob{river.NewPeriodicJob(
		river.PeriodicInterval(min(max(s.cfg.SyncEvery, time.Second), 15*time.Second)),
		func() (river.JobArgs, *river.InsertOpts) { return scheduleArgs{}, nil },
		&river.PeriodicJobOpts{ID: "stripe_schedule", RunOnStart: true},
	)}
}

const lockAccountSQL = `
SELECT a.account
FROM webhooks.accounts AS a
WHERE a.account = @account
FOR NO KEY UPDATE`

// setJobSQL makes a job the account's present one. An older one that still runs notices it in finish and ends.
const setJobSQL = `
UPDATE webhooks.accounts AS a
SET job_id = @job_id
WHERE a.account = @account`

// ensureJobTx inserts a job for the account unless one is live; with force in any case. The caller holds the account's
// shared advisory lock.
func (s *Service) ensureJobTx(ctx context.Context, tx pgx.Tx, account string, force bool) error {
	named := pgx.NamedArgs{"account": account}
	if _, err := tx.Exec(ctx, addAccountSQL, named); err != nil {
		return postgres.Error(err)
	}
	// The row lock serialises programs that both find no job.
	if _, err := tx.Exec(ctx, lockAccountSQL, named); err != nil {
		return postgres.Error(err)
	}
	if !force {
		var id int64
		err := tx.QueryRow(ctx, liveJobSQL, named).Scan(&id)
		// A job is live, or the query failed.
		if !errors.Is(err, pgx.ErrNoRows) {
			return postgres.Error(err)
		}
	}
	inserted, err := s.cfg.Jobs.InsertTx(ctx, tx, accountArgs{Account: account}, nil)
	if err != nil {
		return postgres.Error(err)
	}
	_, err = tx.Exec(ctx, setJobSQL, pgx.NamedArgs{"account": account, "job_id": inserted.Job.ID})
	return postgres.Error(err)
}

// ensureJob calls ensureJobTx in its own transaction.
func (s *Service) ensureJob(ctx context.Context, account string, force bool) error {
	return postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, lockSharedSQL, lockArgs(account)); err != nil {
			return postgres.Error(err)
		}
		return s.ensureJobTx(ctx, tx, account, force)
	})
}

// accountWorker brings one account up to date until nothing is left.
type accountWorker struct {
	river.WorkerDefaults[accountArgs]
	service *Service
}

// Timeout implements river.Worker.
func (w *accountWorker) Timeout(*river.Job[accountArgs]) time.Duration { return jobTimeout }

// NextRetry implements river.Worker. It is soon, because new events wait for this job.
func (w *accountWorker) NextRetry(job *river.Job[accountArgs]) time.Time {
	return time.Now().Add(min(time.Second<<min(job.Attempt-1, 10), maxJobRetry))
}

// Work implements river.Worker.
func (w *accountWorker) Work(ctx context.Context, job *river.Job[accountArgs]) error {
	s, account := w.service, job.Args.Account
	if err := s.noteAlive(ctx, account); err != nil {
		return err
	}
	// Background calls leave Stripe's limit to donors.
	ctx, stop := context.WithCancel(stripe.Background(ctx))
	beating := make(chan struct{})
	go func() {
		defer close(beating)
		s.heartbeat(ctx, account)
	}()
	defer func() { stop(); <-beating }()

	until := time.Now().Add(jobBudget)
	for {
		ours, err := s.pass(ctx, account, until, false)
		if err != nil {
			return fmt.Errorf("bring account %q up to date: %w", account, err)
		}
		ended, err := s.finish(ctx, job, ours)
		if err != nil || ended {
			return err
		}
		if time.Now().After(until) {
			return river.JobSnooze(0)
		}
		timer := time.NewTimer(passPause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return river.JobSnooze(0)
		case <-timer.C:
		}
	}
}

const noteAliveSQL = `
UPDATE webhooks.accounts AS a
SET alive_at = clock_timestamp()
WHERE a.account = @account`

func (s *Service) noteAlive(ctx context.Context, account string) error {
	_, err := s.cfg.Pool.Exec(ctx, noteAliveSQL, pgx.NamedArgs{"account": account})
	return postgres.Error(err)
}

// heartbeat reports that the job is alive until ctx ends.
func (s *Service) heartbeat(ctx context.Context, account string) {
	ticker := time.NewTicker(heartbeatEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			if err := s.noteAlive(ctx, account); err != nil && ctx.Err() == nil {
				s.cfg.Logger.WarnContext(ctx, "a job's heartbeat failed", "account", account, "error", err)
			}
		}
	}
}

// Hints wait for a sync like everything that a sync does, also while syncs are paused after a failure; the schedule
// creates a job when the pause is over. Nothing is read for an account that is not ours. workLeftSQL is true while this
// job has something to do. It is false as well when accounts names another job, which has replaced this one.
const workLeftSQL = `
SELECT
	a.job_id IS NOT DISTINCT FROM @job_id AND (
		EXISTS (
			SELECT
			FROM webhooks.events AS e
			WHERE e.account = a.account
				AND e.next_attempt_at <= statement_timestamp()
				AND (e.step IN ('session', 'decline', 'resource') OR a.next_sync_at <= statement_timestamp())
		)
		OR @ours AND a.next_backfill_at <= statement_timestamp()
		OR @ours AND a.next_sync_at <= statement_timestamp() AND (
			a.back_floor IS NOT NULL
			OR EXISTS (
				SELECT
				FROM webhooks.parked AS p
				WHERE p.account = a.account
					AND p.next_attempt_at <= statement_timestamp()
			)
		)
	)
FROM webhooks.accounts AS a
WHERE a.account = @account`

// finish ends the job if nothing is left to do, or if another job has replaced it. No event can be stored between the
// query and the commit, because storing takes the lock that this transaction holds.
func (s *Service) finish(ctx context.Context, job *river.Job[accountArgs], ours bool) (ended bool, err error) {
	err = postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		ended = false
		account := job.Args.Account
		if _, err := tx.Exec(ctx, lockExclusiveSQL, lockArgs(account)); err != nil {
			return postgres.Error(err)
		}
		var left bool
		err := tx.QueryRow(ctx, workLeftSQL, pgx.NamedArgs{"account": account, "job_id": job.ID, "ours": ours}).Scan(&left)
		if err != nil || left {
			return postgres.Error(err)
		}
		// Not found: River gave the job to another program meanwhile, which ends it.
		if _, err := river.JobCompleteTx[*riverpgxv5.Driver](ctx, tx, job); err != nil && !errors.Is(err, rivertype.ErrNotFound) {
			return postgres.Error(err)
		}
		ended = true
		return nil
	})
	return ended, err
}
