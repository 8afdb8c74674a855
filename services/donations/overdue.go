package donations

import (
	"context"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/internal/stripe"
)

const (
	// A donation is overdue when its payment page closed overdueAfter ago and no event told its end. It is looked up, and
	// again each time that the page has been closed for twice as long, but not more often than each overdueSoonest (a debit,
	// which takes days, each debitSoonest), nor less often than each overdueLatest. One run of upkeep takes up to
	// overdueCount donations, first those that have waited longest.
	overdueAfter   = 10 * time.Minute
	overdueSoonest = 6 * time.Hour
	debitSoonest   = 24 * time.Hour
	overdueLatest  = 30 * 24 * time.Hour
	overdueCount   = 100
)

// overdueArgs are the arguments of the job that looks up overdue donations of an account.
type overdueArgs struct {
	Account   string      `json:"account"`
	Donations []uuid.UUID `json:"donations"`
}

// Kind names the job in River.
func (overdueArgs) Kind() string { return "donations_overdue" }

// InsertOpts uses the queue of the donors' requests, which bounds the calls to Stripe of both. It allows no retries, since the
// donations become overdue again.
func (overdueArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: refreshQueue, MaxAttempts: 1}
}

// A page that closed is looked up at once, a debit after a day. Each later pause is as long as the page had been closed
// at the last look, within the bounds. Rows that are locked are changing. overdueSQL marks the donations that it
// returns as looked up. donations_open_idx finds those whose page has closed.
const overdueSQL = `
UPDATE donations.donations AS d
SET looked_at = @now
WHERE d.id IN (
	SELECT o.id
	FROM donations.donations AS o
	CROSS JOIN LATERAL (
		SELECT CASE o.state WHEN 'pending' THEN @debit_soonest::interval ELSE @soonest::interval END AS soonest
	) AS pause
	WHERE o.state IN ('created', 'pending')
		AND o.checkout_session_id IS NOT NULL
		AND o.session_expires_at <= @expired
		AND o.livemode = @livemode
		AND (
			(o.looked_at IS NULL AND (o.state = 'created' OR o.session_expires_at + pause.soonest <= @now))
			OR o.looked_at + least(greatest(o.looked_at - o.session_expires_at, pause.soonest), @latest::interval) <= @now
		)
	ORDER BY
		o.looked_at NULLS FIRST,
		o.id
	LIMIT @count
	FOR NO KEY UPDATE OF o SKIP LOCKED
)
RETURNING
	d.stripe_account,
	d.id`

// lookAtOverdue has Stripe asked about overdue donations.
func (s *Service) lookAtOverdue(ctx context.Context) error {
	now := s.now()
	// looked_at and the jobs are written in one transaction: a rollback leaves the donations overdue, and two runs at
	// once take different ones.
	return postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, overdueSQL, pgx.NamedArgs{
			"now": now, "expired": now.Add(-overdueAfter), "soonest": overdueSoonest, "debit_soonest": debitSoonest,
			"latest": overdueLatest, "livemode": s.cfg.Stripe.Livemode(), "count": overdueCount,
		})
		if err != nil {
			return postgres.Error(err)
		}
		// One job for each account, since Stripe's list of sessions is an account's.
		byAccount := map[string][]uuid.UUID{}
		var account string
		var id uuid.UUID
		if _, err := pgx.ForEachRow(rows, []any{&account, &id}, func() error {
			byAccount[account] = append(byAccount[account], id)
			return nil
		}); err != nil || len(byAccount) == 0 {
			return postgres.Error(err)
		}
		var jobs []river.InsertManyParams
		for account, ids := range byAccount {
			jobs = append(jobs, river.InsertManyParams{Args: overdueArgs{Account: account, Donations: ids}})
		}
		_, err = s.cfg.Jobs.InsertManyTx(ctx, tx, jobs)
		return postgres.Error(err)
	})
}

// refreshMany is [Service.Refresh] for many donations of one account. It reads their sessions by pages of Stripe's list, and one
// by one where they are not in it. It stops at Stripe's rate limit; any other failure of one donation delays no other.
func (s *Service) refreshMany(ctx context.Context, account string, ids []uuid.UUID) error {
	donations := make([]Donation, 0, len(ids))
	wanted := make([]stripe.Wanted, 0, len(ids))
	for _, id := range ids {
		d, err := s.byID(ctx, id)
		if err != nil {
			return postgres.Error(err)
		}
		// An event may have ended it since the job was inserted.
		if !d.State.Open() {
			continue
		}
		donations = append(donations, d)
		wanted = append(wanted, stripe.Wanted{ID: d.CheckoutSession, Created: d.openTime()})
	}
	met, err := s.cfg.Stripe.FindSessions(ctx, account, wanted)
	if err != nil {
		return err
	}
	for _, d := range donations {
		session, isMet := met[d.CheckoutSession]
		// The list leaves out sessions that are open, as well as those that it does not have.
		if isMet {
			err = s.applyRead(ctx, account, session)
		} else {
			err = s.Refresh(ctx, d.ID)
		}
		// The calls for the other donations would be refused too. All of them become overdue again.
		if ctx.Err() != nil || stripe.KindOf(err) == stripe.Throttled {
			return err
		}
		if err != nil {
			s.cfg.Logger.WarnContext(ctx, "an overdue donation cannot be looked up", slog.String("donation", d.ID.String()), slog.Any("error", err))
		}
	}
	return nil
}
