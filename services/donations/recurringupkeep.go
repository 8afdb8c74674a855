package donations

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"golang.org/x/sync/errgroup"

	"github.com/cagnotte/cagnotte/services/campaigns"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/internal/stripe"
)

const (
	// recurringEvery is how often upkeep runs.
	recurringEvery = time.Minute
	// Upkeep takes batches of recurringCount until nothing is due or its next run is, and does recurringAtOnce at once. A
	// campaign that closes may leave thousands of ends, and one that is renewed before its turn is charged an hour later.
	recurringCount  = 50
	recurringAtOnce = 4
	// recurringQueue is separate from the queue of waiting donors, who must not wait for other donors' subscriptions.
	recurringQueue = "donation_recurring"
	// lookPause is how long after a reading that did not succeed the next one is due.
	lookPause = 6 * time.Hour
)

// recurringArgs is the job that runs upkeep.
type recurringArgs struct{}

// Kind names the job in River.
func (recurringArgs) Kind() string { return "donations_recurring" }

// InsertOpts: a failed run is not repeated, since the next one comes within a minute.
func (recurringArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: recurringQueue, MaxAttempts: 1}
}

// recurringWorkersTo adds the workers of upkeep and of mails to donors.
func (s *Service) recurringWorkersTo(w *river.Workers) {
	river.AddWorker(w, river.WorkFunc(func(ctx context.Context, _ *river.Job[recurringArgs]) error {
		return s.KeepRecurring(ctx)
	}))
	river.AddWorker(w, &linkWorker{service: s})
	river.AddWorker(w, &startWorker{service: s})
	river.AddWorker(w, &forgetWorker{service: s})
}

// recurringJob is the timer of [Service.KeepRecurring].
func recurringJob() *river.PeriodicJob {
	return river.NewPeriodicJob(
		river.PeriodicInterval(recurringEvery),
		func() (river.JobArgs, *river.InsertOpts) { return recurringArgs{}, nil },
		&river.PeriodicJobOpts{ID: "donations_recurring", RunOnStart: true},
	)
}

// KeepRecurring stops what suspended collectives would be paid, ends the monthly donations of campaigns that are over, applies pending changes, reads monthly donations
// at Stripe that are due for it, and deletes expired tokens. It is safe to interrupt and to repeat; of two at once each
// thing is done by one.
func (s *Service) KeepRecurring(ctx context.Context) error {
	// Nobody waits for upkeep, so its calls leave Stripe's rate limit to donors.
	ctx = stripe.Background(ctx)
	now := s.now()
	if err := s.endOfClosedCampaigns(ctx, now); err != nil {
		return fmt.Errorf("end monthly donations of closed campaigns: %w", err)
	}
	if _, err := s.cfg.Pool.Exec(ctx, expireRecurringSQL, pgx.NamedArgs{"now": now}); err != nil {
		return fmt.Errorf("expire monthly donations: %w", postgres.Error(err))
	}
	if _, err := s.cfg.Pool.Exec(ctx, forgetTokensSQL, pgx.NamedArgs{"now": now, "since": now.Add(-pageLife)}); err != nil {
		return fmt.Errorf("forget tokens: %w", postgres.Error(err))
	}
	// Pending changes come before readings, and a failure of one does not keep the other from running.
	return errors.Join(
		s.keepSuspensions(ctx),
		s.each(ctx, "cannot apply a monthly donation's pending change", dueChangesSQL, s.applyChange),
		s.each(ctx, "cannot read a monthly donation at Stripe", dueLooksSQL, s.RefreshRecurring),
	)
}

// An unpaid month ends at once, also one whose debit the bank refused after its end became pending. endClosedSQL stores
// these ends, due at once, and returns their campaigns. A pending end stays as it is, and so does an end with a paid
// month that Stripe has already. If that month is not paid, the end becomes one at once and keeps its reason. SKIP
// LOCKED leaves a row that is changing to the next run.
const endClosedSQL = `
UPDATE donations.recurring AS r
SET
	pending_end = CASE WHEN r.state = 'past_due' THEN 'now' ELSE 'period_end' END,
	end_reason = CASE WHEN r.cancel_at_period_end AND r.end_reason <> '' THEN r.end_reason ELSE 'campaign_closed' END,
	change_number = r.change_number + 1,
	change_failures = 0,
	change_due_at = @now,
	updated_at = @now
WHERE r.id IN (
	SELECT o.id
	FROM donations.recurring AS o
	JOIN campaigns.campaigns AS c ON c.collective = o.collective AND c.id = o.campaign
	WHERE (c.state = 'closed' OR c.deadline <= @now)
		AND o.state IN ('active', 'past_due')
		AND (NOT o.cancel_at_period_end OR o.state = 'past_due')
		AND o.pending_end IS NULL
		AND o.livemode = @livemode
	ORDER BY o.id
	LIMIT @count
	FOR NO KEY UPDATE OF o SKIP LOCKED
)
RETURNING
	r.collective,
	r.campaign`

// endOfClosedCampaigns stores a pending end for each monthly donation whose campaign is closed or past its deadline, and
// tells members.
func (s *Service) endOfClosedCampaigns(ctx context.Context, now time.Time) error {
	const batch = 500
	for {
		count := 0
		err := postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
			rows, err := tx.Query(ctx, endClosedSQL, pgx.NamedArgs{"now": now, "livemode": s.cfg.Stripe.Livemode(), "count": batch})
			if err != nil {
				return postgres.Error(err)
			}
			ended, err := pgx.CollectRows(rows, pgx.RowToStructByPos[campaigns.Name])
			if err != nil {
				return postgres.Error(err)
			}
			count = len(ended)
			// One notice for each campaign of the batch. Those of further batches have the same key, and so make no
			// other.
			slices.SortFunc(ended, func(a, b campaigns.Name) int { return strings.Compare(a.String(), b.String()) })
			for _, campaign := range slices.Compact(ended) {
				if err := s.tellClosedTx(ctx, tx, campaign); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil || count < batch {
			return err
		}
	}
}

// A monthly donation whose first donation can no longer be paid on its page has expired. Money that comes all the same
// makes it active. recurring_created_idx finds the candidates.
const expireRecurringSQL = `
UPDATE donations.recurring AS r
SET
	state = 'expired',
	updated_at = @now
FROM donations.donations AS d
WHERE r.state = 'created'
	AND d.id = r.id
	AND d.state IN ('expired', 'failed', 'canceled')`

// forgetTokensSQL deletes links that have expired, by manage_tokens_expiry_idx. One that was opened lately is still open.
const forgetTokensSQL = `
DELETE FROM donations.manage_tokens
WHERE expires_at <= @now
	AND (used_at IS NULL OR used_at <= @since)`

// A campaign that closes leaves many changes that are due at one time: those that Stripe would charge next go first.
// dueChangesSQL finds them by recurring_change_idx and locks nothing: applyChange claims each one.
const dueChangesSQL = `
SELECT r.id
FROM donations.recurring AS r
WHERE r.change_due_at <= @now
	AND r.livemode = @livemode` + connectedOnly + `
ORDER BY
	r.change_due_at,
	r.state = 'past_due' DESC,
	r.period_ends_at,
	r.id
LIMIT @count`

// The rows are claimed for lookPause, so that two copies of the program do not read the same ones. recurring_look_idx
// finds them. A reading that succeeds sets look_at to another time.
const dueLooksSQL = `
UPDATE donations.recurring AS r
SET look_at = @again_at
WHERE r.id IN (
	SELECT o.id
	FROM donations.recurring AS o
	WHERE o.look_at <= @now
		AND o.livemode = @livemode
	ORDER BY
		o.look_at,
		o.id
	LIMIT @count
	FOR NO KEY UPDATE SKIP LOCKED
)
RETURNING r.id`

// each does the work for all rows that the query finds due. A failure is logged and does not stop the others. The run ends
// early when Stripe's rate limit is reached, and after a batch in which nothing succeeded.
func (s *Service) each(ctx context.Context, failure, sql string, work func(context.Context, uuid.UUID) error) error {
	named := pgx.NamedArgs{
		"now": s.now(), "again_at": s.now().Add(lookPause), "livemode": s.cfg.Stripe.Livemode(), "count": recurringCount,
	}
	// By the wall clock, since it bounds the run and not what is due.
	for began := time.Now(); time.Since(began) < recurringEvery; {
		rows, err := s.cfg.Pool.Query(ctx, sql, named)
		if err != nil {
			return postgres.Error(err)
		}
		ids, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
		if err != nil {
			return postgres.Error(err)
		}
		// Up to recurringAtOnce goroutines write it.
		var done atomic.Bool
		var batch errgroup.Group
		batch.SetLimit(recurringAtOnce)
		// It ends the work of this batch that has not begun. What has begun goes on, by ctx.
		limited, stop := context.WithCancel(ctx)
		for _, id := range ids {
			batch.Go(func() error {
				if limited.Err() != nil {
					return nil
				}
				err := work(ctx, id)
				switch {
				case err == nil:
					done.Store(true)
				case ctx.Err() != nil || stripe.KindOf(err) == stripe.Throttled:
					stop()
					return err
				default:
					s.cfg.Logger.WarnContext(ctx, failure, slog.String("recurring", id.String()), slog.Any("error", err))
				}
				return nil
			})
		}
		err = batch.Wait()
		stop()
		// Nothing more is due, or Stripe does not answer now. The next run tries again.
		if err != nil || len(ids) < recurringCount || !done.Load() {
			return err
		}
	}
	return nil
}

// RefreshRecurring reads a monthly donation's subscription and paid invoices at Stripe and applies them. It does nothing
// before the first month is paid, and while the collective's account is disconnected.
func (s *Service) RefreshRecurring(ctx context.Context, id uuid.UUID) error {
	r, err := oneRecurring(s.cfg.Pool.Query(ctx, recurringByIDSQL, pgx.NamedArgs{"id": id}))
	if err != nil {
		return postgres.Error(err)
	}
	if r.Subscription == "" || s.cfg.Connect.CheckConnected(ctx, r.Campaign.Collective) != nil {
		return nil
	}
	// Invoices first: applying the subscription postpones the next reading, which must not happen before all are in.
	invoices, err := s.cfg.Stripe.ListPaidInvoices(ctx, r.StripeAccount, r.Subscription)
	if err != nil {
		return err
	}
	known, err := s.knownInvoices(ctx, r)
	if err != nil {
		return err
	}
	for _, inv := range invoices {
		if known[inv.ID] {
			continue
		}
		if _, err := s.ApplyInvoice(ctx, r.StripeAccount, inv); err != nil {
			return err
		}
	}
	// Before the reading, and after the invoices, which changed the row.
	versions, err := s.subscriptionVersions(ctx, r.StripeAccount, r.Subscription)
	if err != nil {
		return err
	}
	sub, err := s.readSubscription(ctx, r)
	if err != nil {
		return err
	}
	// Only paid invoices are listed. An unpaid one may be a first month that Stripe has given up.
	if latest := sub.Latest; latest.ID != "" && !latest.Paid && !known[latest.ID] {
		if _, err := s.ApplyInvoice(ctx, r.StripeAccount, latest); err != nil {
			return err
		}
	}
	_, err = s.applySubscription(ctx, r.StripeAccount, sub, versions[r.Subscription])
	return err
}

// knownInvoicesSQL returns the invoices of which payMonthSQL would change nothing any more, by donations_recurring_idx.
const knownInvoicesSQL = `
SELECT d.invoice_id
FROM donations.donations AS d
WHERE d.recurring_id = @id
	AND d.invoice_id IS NOT NULL
	AND d.payment_intent_id IS NOT NULL
	AND d.paid_at IS NOT NULL`

// knownInvoices are the invoices whose donations are paid.
func (s *Service) knownInvoices(ctx context.Context, r Recurring) (map[string]bool, error) {
	rows, err := s.cfg.Pool.Query(ctx, knownInvoicesSQL, pgx.NamedArgs{"id": r.ID})
	if err != nil {
		return nil, postgres.Error(err)
	}
	known := map[string]bool{}
	var id string
	_, err = pgx.ForEachRow(rows, []any{&id}, func() error {
		known[id] = true
		return nil
	})
	return known, postgres.Error(err)
}
