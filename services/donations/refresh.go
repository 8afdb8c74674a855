package donations

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/internal/stripe"
)

const (
	// While its donor waits, an open donation is looked up at Stripe after each sixth of its age, but not more often than
	// each lookSoonest, nor less often than each lookLatest.
	lookSoonest, lookLatest = 10 * time.Second, 5 * time.Minute
	// Everybody who knows a donation's address may ask for its status, so the calls to Stripe that this causes are bounded
	// in each copy of the program: refreshWorkers at once, and as many begun in each refreshPause. Stripe allows 25 a
	// second in test mode. The queue is apart from the one that keeps the books up to date.
	refreshQueue   = "donation_refresh"
	refreshWorkers = 2
	refreshPause   = 250 * time.Millisecond
)

// refreshArgs are the arguments of the job that calls [Service.Refresh].
type refreshArgs struct {
	Donation uuid.UUID `json:"donation"`
}

// Kind names the job in River.
func (refreshArgs) Kind() string { return "donation_refresh" }

// InsertOpts allows one job at a time for a donation, without retries: the donor's next request makes another one.
func (refreshArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: refreshQueue, MaxAttempts: 1, UniqueOpts: river.UniqueOpts{
		ByArgs: true,
		ByState: []rivertype.JobState{
			rivertype.JobStateAvailable, rivertype.JobStatePending, rivertype.JobStateScheduled, rivertype.JobStateRunning,
		},
	}}
}

// lookSQL marks the donation as looked up. It changes no row if another request did so after @before, so of many
// requests at once one inserts a job.
const lookSQL = `
UPDATE donations.donations AS d
SET looked_at = @now
WHERE d.id = @id
	AND (d.looked_at IS NULL OR d.looked_at <= @before)`

// look inserts a job that asks Stripe about an open donation, unless one was inserted a short while ago.
func (s *Service) look(ctx context.Context, d Donation) error {
	now := s.now()
	// The pause grows with the page's age. The same row is checked here first, to save a transaction.
	before := now.Add(-min(max(now.Sub(d.openTime())/6, lookSoonest), lookLatest))
	if !d.State.Open() || d.CheckoutSession == "" || d.lookTime.After(before) {
		return nil
	}
	return postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, lookSQL, pgx.NamedArgs{"id": d.ID, "now": now, "before": before})
		if err != nil || tag.RowsAffected() == 0 {
			return postgres.Error(err)
		}
		_, err = s.cfg.Jobs.InsertTx(ctx, tx, refreshArgs{Donation: d.ID}, nil)
		return postgres.Error(err)
	})
}

// expireSQL ends a donation whose session Stripe does not have. A pending one is left: its payment is under way. So is one
// whose page was opened again meanwhile.
const expireSQL = `
UPDATE donations.donations AS d
SET
	state = 'expired',
	updated_at = @now
WHERE d.id = @id
	AND d.state = 'created'
	AND d.checkout_session_id = @session`

// openTime is about when its session was made; zero before one was requested.
func (d Donation) openTime() time.Time {
	if d.ExpireTime.IsZero() {
		return time.Time{}
	}
	return d.ExpireTime.Add(-sessionLife)
}

// Refresh reads an open donation's session at Stripe and applies it, and, for a first month by debit, its invoice. If Stripe does
// not have the session, the donation has expired, unless a payment is under way. It does nothing for a donation that is not
// open, or that has no session. It may be called any number of times, outside a transaction.
func (s *Service) Refresh(ctx context.Context, id uuid.UUID) error {
	d, err := s.byID(ctx, id)
	if err != nil {
		return postgres.Error(err)
	}
	if !d.State.Open() || d.CheckoutSession == "" {
		return nil
	}
	session, err := s.cfg.Stripe.GetSession(ctx, d.StripeAccount, d.CheckoutSession)
	if stripe.KindOf(err) == stripe.Missing {
		_, err = s.cfg.Pool.Exec(ctx, expireSQL, pgx.NamedArgs{"id": id, "session": d.CheckoutSession, "now": s.now()})
		return postgres.Error(err)
	}
	if err != nil {
		return err
	}
	return s.applyRead(ctx, d.StripeAccount, session)
}

// applyRead applies a session that was read for an open donation, and, while a debit of it is at the bank, its invoice.
func (s *Service) applyRead(ctx context.Context, account string, session stripe.Session) error {
	fact := SessionFact{Account: account, Session: session, At: s.now()}
	if err := s.applySession(ctx, fact); err != nil || session.Invoice == "" || fact.state() != StatePending {
		return err
	}
	inv, err := s.cfg.Stripe.GetInvoice(ctx, account, session.Invoice)
	if err != nil {
		return err
	}
	_, err = s.ApplyInvoice(ctx, account, inv)
	return err
}
