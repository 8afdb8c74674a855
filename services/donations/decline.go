package donations

import (
	"context"
	"errors"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/internal/stripe"
)

// maxDeclines is how many cards may be refused on one payment page. A donor who mistypes, and then takes
// another card, needs three or four; who tries stolen numbers wants thousands. With the limit of a network's
// pages it bounds what can be tried from one address.
const maxDeclines = 8

type metrics struct {
	declines    prometheus.Counter
	closedPages prometheus.Counter
}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		declines: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: "cagnotte", Subsystem: "donations", Name: "declines_total",
			Help: "Payments of donations that were refused: cards that were declined, debits that did not come.",
		}),
		closedPages: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: "cagnotte", Subsystem: "donations", Name: "pages_closed_for_declines_total",
			Help: "Payment pages that were closed because too many cards were declined there. Many in an hour are somebody who tries stolen cards.",
		}),
	}
	if r != nil {
		r.MustRegister(m.declines, m.closedPages)
	}
	return m
}

// closeArgs asks to close a donation's payment page, the one that the payment was tried on.
type closeArgs struct {
	Donation      uuid.UUID `json:"donation"`
	PaymentIntent string    `json:"payment_intent"`
}

// Kind names the job in River.
func (closeArgs) Kind() string { return "donation_close_page" }

// InsertOpts: one at a time for a payment, in the queue whose calls to Stripe are bounded.
func (closeArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: refreshQueue, UniqueOpts: river.UniqueOpts{
		ByArgs: true,
		ByState: []rivertype.JobState{
			rivertype.JobStateAvailable, rivertype.JobStatePending, rivertype.JobStateScheduled, rivertype.JobStateRunning,
			rivertype.JobStateRetryable,
		},
	}}
}

const countDeclineSQL = `
UPDATE donations.donations AS d
SET
	declines = d.declines + 1,
	updated_at = @now
WHERE d.id = @id
	AND d.stripe_account = @account
	AND d.livemode = @livemode
RETURNING d.declines`

// CountDeclineTx counts a payment of the donation that was refused, in the caller's transaction, which must be the
// one that notes the event as applied: so each counts once. After maxDeclines of them a job closes the payment
// page, and each other one of the donation on which a card is declined after that: a page that closed can be opened
// again as often as somebody likes. ours is false for a donation that is not there.
func (s *Service) CountDeclineTx(ctx context.Context, tx pgx.Tx, account string, donation uuid.UUID, intent string) (ours bool, err error) {
	var declines int
	err = tx.QueryRow(ctx, countDeclineSQL, pgx.NamedArgs{
		"id": donation, "account": account, "livemode": s.cfg.Stripe.Livemode(), "now": s.now(),
	}).Scan(&declines)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, postgres.Error(err)
	}
	s.metrics.declines.Inc()
	if declines < maxDeclines {
		return true, nil
	}
	_, err = s.cfg.Jobs.InsertTx(ctx, tx, closeArgs{Donation: donation, PaymentIntent: intent}, nil)
	return true, postgres.Error(err)
}

// closePage expires the page on which too many cards were declined. It does nothing when there is none open.
func (s *Service) closePage(ctx context.Context, args closeArgs, attempt int) error {
	d, err := s.byID(ctx, args.Donation)
	if err != nil {
		return postgres.Error(err)
	}
	session, err := s.cfg.Stripe.SessionOfIntent(ctx, d.StripeAccount, args.PaymentIntent)
	if err != nil {
		return err
	}
	// The first month's payment belongs to an invoice, and its session does not name it.
	if session.ID == "" && d.State == StateCreated {
		session = stripe.Session{ID: d.CheckoutSession, Status: stripe.SessionOpen}
	}
	if !d.made(session) || session.Status != stripe.SessionOpen {
		return nil
	}
	session, err = s.cfg.Stripe.ExpireSession(ctx, d.StripeAccount, session.ID, attempt)
	if stripe.KindOf(err) == stripe.Refused { // paid at last, or closed by itself
		return s.Refresh(ctx, d.ID)
	}
	if err != nil {
		return err
	}
	s.metrics.closedPages.Inc()
	s.cfg.Logger.WarnContext(ctx, "a payment page is closed: too many cards were declined there", "donation", d.Name(), "declines", d.declines)
	return s.applySession(ctx, SessionFact{Account: d.StripeAccount, Session: session, At: s.now()})
}
