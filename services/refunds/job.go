package refunds

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/cagnotte/cagnotte/services/donations"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

const (
	// Refunds and disputes that can change are read at Stripe after each quarter of their age, but not more often than each
	// followSoonest, nor less often than each followLatest. Events usually come before.
	followSoonest, followLatest = 10 * time.Minute, 24 * time.Hour
	// followCount bounds the refunds, and the disputes, of one run of upkeep.
	followCount = 100
	// upkeepEvery is how often upkeep runs.
	upkeepEvery = 10 * time.Minute
	// The queue is apart, so that a long history of refunds, each of which is read, delays no donation: followWorkers calls
	// at once, and as many begun in each followPause.
	followQueue   = "refunds"
	followWorkers = 2
	followPause   = 100 * time.Millisecond
	// maxFollowRetry bounds the growing pause after a failure. A refund that cannot be sent in submitTries, two minutes, waits
	// for upkeep. A refund or dispute that only the balance showed has no row that upkeep finds, so it is read for hours,
	// readTries.
	maxFollowRetry = 5 * time.Minute
	submitTries    = 8
	readTries      = 50
)

// submitRefundArgs are the arguments of the job that calls [Service.Submit].
type submitRefundArgs struct {
	Refund uuid.UUID `json:"refund"`
}

// Kind names the job in River.
func (submitRefundArgs) Kind() string { return "submit_refund" }

// InsertOpts allows several jobs for one refund: they do no harm, and one may have been killed with its program.
func (submitRefundArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: followQueue, MaxAttempts: submitTries}
}

// readRefundArgs are the arguments of the job that calls [Service.Read].
type readRefundArgs struct {
	Account string `json:"account"`
	Refund  string `json:"refund"`
}

// Kind names the job in River.
func (readRefundArgs) Kind() string { return "read_refund" }

// InsertOpts allows several jobs for one refund: an earlier one may have read before the change that made this one.
func (readRefundArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: followQueue, MaxAttempts: readTries}
}

// readDisputeArgs are the arguments of the job that calls [Service.ReadDispute].
type readDisputeArgs struct {
	Account string `json:"account"`
	Dispute string `json:"dispute"`
}

// Kind names the job in River.
func (readDisputeArgs) Kind() string { return "read_dispute" }

// InsertOpts is that of [readRefundArgs].
func (readDisputeArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: followQueue, MaxAttempts: readTries}
}

// followWorker works one kind of these jobs.
type followWorker[T river.JobArgs] struct {
	river.WorkerDefaults[T]
	work func(context.Context, T) error
}

// Work implements river.Worker.
func (w *followWorker[T]) Work(ctx context.Context, job *river.Job[T]) error {
	return w.work(ctx, job.Args)
}

// NextRetry implements river.Worker. The first pauses are short, because a donor waits for the money.
func (w *followWorker[T]) NextRetry(job *river.Job[T]) time.Time {
	return time.Now().Add(min(time.Second<<min(job.Attempt-1, 10), maxFollowRetry))
}

// upkeepArgs are the arguments of the upkeep job.
type upkeepArgs struct{}

// Kind names the job in River.
func (upkeepArgs) Kind() string { return "refunds_upkeep" }

// InsertOpts allows no retries: the next run comes soon.
func (upkeepArgs) InsertOpts() river.InsertOpts { return river.InsertOpts{MaxAttempts: 1} }

// Workers adds the workers of this service's jobs.
func (s *Service) Workers(w *river.Workers) {
	river.AddWorker(w, river.WorkFunc(func(ctx context.Context, _ *river.Job[upkeepArgs]) error {
		return s.follow(ctx)
	}))
	river.AddWorker(w, &followWorker[submitRefundArgs]{work: func(ctx context.Context, a submitRefundArgs) error {
		return s.Submit(ctx, a.Refund)
	}})
	river.AddWorker(w, &followWorker[readRefundArgs]{work: func(ctx context.Context, a readRefundArgs) error {
		_, err := s.Read(ctx, a.Account, a.Refund)
		return err
	}})
	river.AddWorker(w, &followWorker[readDisputeArgs]{work: func(ctx context.Context, a readDisputeArgs) error {
		_, err := s.ReadDispute(ctx, a.Account, a.Dispute)
		return err
	}})
}

// Queues returns the queues that this service's jobs need, besides the default one.
func (s *Service) Queues() map[string]river.QueueConfig {
	return map[string]river.QueueConfig{followQueue: {MaxWorkers: followWorkers, FetchCooldown: followPause}}
}

// PeriodicJobs returns the jobs that are inserted on a timer.
func (s *Service) PeriodicJobs() []*river.PeriodicJob {
	return []*river.PeriodicJob{river.NewPeriodicJob(
		river.PeriodicInterval(upkeepEvery),
		func() (river.JobArgs, *river.InsertOpts) { return upkeepArgs{}, nil },
		&river.PeriodicJobOpts{ID: "refunds_upkeep", RunOnStart: true},
	)}
}

// A refund is not read if its row shows already what moved: it failed or was canceled, or it succeeded and no money
// came back. back is whether the money came back to the collective. refunds_stripe_key finds the rows; a refund that
// has none, made at Stripe, is read.
const unreadRefundsSQL = `
SELECT
	m.account,
	m.refund
FROM unnest(
	@accounts::text[],
	@refunds::text[],
	@back::boolean[]
) AS m (account, refund, back)
WHERE NOT EXISTS (
	SELECT
	FROM refunds.refunds AS r
	WHERE r.stripe_account = m.account
		AND r.stripe_refund_id = m.refund
		AND (r.state IN ('failed', 'canceled') OR (r.state = 'succeeded' AND NOT m.back))
)
ORDER BY
	m.account,
	m.refund`

// FollowTx inserts jobs that read the refunds and disputes whose money moved, unless the stored refund shows that already. So
// they become known even if every event is lost. The caller posts the movements in the same transaction.
func (s *Service) FollowTx(ctx context.Context, tx pgx.Tx, movements []donations.Movement) error {
	var jobs []river.InsertManyParams
	var accounts, refunds []string
	var back []bool
	for _, m := range movements {
		if m.Refund != "" {
			accounts, refunds, back = append(accounts, m.Account), append(refunds, m.Refund), append(back, m.Back)
		}
		if m.Dispute != "" {
			// A dispute is read at each of its movements.
			jobs = append(jobs, river.InsertManyParams{Args: readDisputeArgs{Account: m.Account, Dispute: m.Dispute}})
		}
	}
	if len(refunds) > 0 {
		rows, err := tx.Query(ctx, unreadRefundsSQL, pgx.NamedArgs{"accounts": accounts, "refunds": refunds, "back": back})
		if err != nil {
			return postgres.Error(err)
		}
		var unread readRefundArgs
		_, err = pgx.ForEachRow(rows, []any{&unread.Account, &unread.Refund}, func() error {
			jobs = append(jobs, river.InsertManyParams{Args: unread})
			return nil
		})
		if err != nil {
			return postgres.Error(err)
		}
	}
	if len(jobs) == 0 {
		return nil
	}
	_, err := s.cfg.Jobs.InsertManyTx(ctx, tx, jobs)
	return postgres.Error(err)
}

// A row that another transaction has locked is changing, and becomes due again at worst. dueRefundsSQL returns the
// refunds that are due, found by refunds_look_idx, and sets the time of their next look in the same statement. Stripe's
// id is empty while Stripe has not answered.
const dueRefundsSQL = `
UPDATE refunds.refunds AS r
SET look_at = @now + least(greatest((@now - r.created_at) / 4, @soonest::interval), @latest::interval)
WHERE r.id IN (
	SELECT o.id
	FROM refunds.refunds AS o
	WHERE o.look_at <= @now
	ORDER BY
		o.look_at,
		o.id
	LIMIT @count
	FOR NO KEY UPDATE SKIP LOCKED
)
RETURNING
	r.id,
	r.stripe_account,
	coalesce(r.stripe_refund_id, '')`

// dueDisputesSQL is the same for disputes, by disputes_look_idx.
const dueDisputesSQL = `
UPDATE refunds.disputes AS p
SET look_at = @now + least(greatest((@now - p.created_at) / 4, @soonest::interval), @latest::interval)
WHERE (p.stripe_account, p.id) IN (
	SELECT
		o.stripe_account,
		o.id
	FROM refunds.disputes AS o
	WHERE o.look_at <= @now
	ORDER BY
		o.look_at,
		o.stripe_account,
		o.id
	LIMIT @count
	FOR NO KEY UPDATE SKIP LOCKED
)
RETURNING
	p.stripe_account,
	p.id`

// follow inserts jobs that send or read the refunds and disputes whose time has come.
func (s *Service) follow(ctx context.Context) error {
	// The jobs are inserted with the new times in one transaction, so a rollback leaves everything due.
	named := pgx.NamedArgs{"now": s.now(), "soonest": followSoonest, "latest": followLatest, "count": followCount}
	return postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		var jobs []river.InsertManyParams
		var id uuid.UUID
		var account, stripeID string
		rows, err := tx.Query(ctx, dueRefundsSQL, named)
		if err != nil {
			return postgres.Error(err)
		}
		_, err = pgx.ForEachRow(rows, []any{&id, &account, &stripeID}, func() error {
			if stripeID == "" { // Stripe has not answered, so it may not have been sent
				jobs = append(jobs, river.InsertManyParams{Args: submitRefundArgs{Refund: id}})
			} else {
				jobs = append(jobs, river.InsertManyParams{Args: readRefundArgs{Account: account, Refund: stripeID}})
			}
			return nil
		})
		if err != nil {
			return postgres.Error(err)
		}
		if rows, err = tx.Query(ctx, dueDisputesSQL, named); err != nil {
			return postgres.Error(err)
		}
		_, err = pgx.ForEachRow(rows, []any{&account, &stripeID}, func() error {
			jobs = append(jobs, river.InsertManyParams{Args: readDisputeArgs{Account: account, Dispute: stripeID}})
			return nil
		})
		if err != nil || len(jobs) == 0 {
			return postgres.Error(err)
		}
		_, err = s.cfg.Jobs.InsertManyTx(ctx, tx, jobs)
		return postgres.Error(err)
	})
}
