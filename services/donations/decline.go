package donations

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"github.com/cagnotte/cagnotte/services/campaigns"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/internal/stripe"
	"github.com/cagnotte/cagnotte/services/notices"
)

// maxDeclines is how many payments may be refused on one payment page. A donor who mistypes and then takes another card needs
// three or four; somebody who tests stolen cards wants thousands. Together with the limit of a network's pages it bounds what
// can be tested from one address.
const maxDeclines = 8

// strainedDeclines is the same while the campaign's card way is closed, or opens step by step.
const strainedDeclines = 2

const (
	// closeQueue is the queue of the jobs that close pages.
	closeQueue = "donation_close_page"
	// In each copy of the program closeWorkers pages are closed at once, and as many begun in each closePause. A page costs
	// two calls to Stripe.
	closeWorkers = 2
	closePause   = 250 * time.Millisecond
)

// metrics are what an operator watches for card testing: refused payments, and pages that were closed for them.
type metrics struct {
	declines    prometheus.Counter
	closedPages prometheus.Counter
}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		declines: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: "cagnotte", Subsystem: "donations", Name: "declines_total",
			Help: "Payments of donations that were refused: declined cards and refused debits.",
		}),
		closedPages: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: "cagnotte", Subsystem: "donations", Name: "pages_closed_for_declines_total",
			Help: "Payment pages that were closed because too many cards were declined on them. Many in an hour mean that somebody tests stolen cards.",
		}),
	}
	if r != nil {
		r.MustRegister(m.declines, m.closedPages)
	}
	return m
}

// closeArgs are the arguments of the job that closes the payment page on which a payment was tried.
type closeArgs struct {
	Donation      uuid.UUID `json:"donation"`
	PaymentIntent string    `json:"payment_intent"`
}

// Kind names the job in River.
func (closeArgs) Kind() string { return "donation_close_page" }

// InsertOpts allows one job at a time for a payment. The queue is apart from that of the donors' requests, so that neither
// delays the other.
func (closeArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: closeQueue, UniqueOpts: river.UniqueOpts{
		ByArgs: true,
		ByState: []rivertype.JobState{
			rivertype.JobStateAvailable, rivertype.JobStatePending, rivertype.JobStateScheduled, rivertype.JobStateRunning,
			rivertype.JobStateRetryable,
		},
	}}
}

// countDeclineSQL adds one refused payment and returns how many there are. It changes no row, and so returns none, for
// a donation of another account or livemode. The update locks the row, so that two events at once count two.
const countDeclineSQL = `
UPDATE donations.donations AS d
SET
	declines = d.declines + 1,
	updated_at = @now
WHERE d.id = @id
	AND d.stripe_account = @account
	AND d.livemode = @livemode
RETURNING
	d.declines,
	d.collective,
	d.campaign`

// CountDeclineTx counts a refused payment of the donation. The caller's transaction must also note the event as applied, so that
// each event counts once. It may close the card way of the campaign. From maxDeclines refused payments on, or strainedDeclines
// then, a job closes the page of each refused payment. ours is false for a donation that does not exist in this account and livemode.
func (s *Service) CountDeclineTx(ctx context.Context, tx pgx.Tx, account string, donation uuid.UUID, intent string) (ours bool, err error) {
	var declines int
	var campaign campaigns.Name
	err = tx.QueryRow(ctx, countDeclineSQL, pgx.NamedArgs{
		"id": donation, "account": account, "livemode": s.cfg.Stripe.Livemode(), "now": s.now(),
	}).Scan(&declines, &campaign.Collective, &campaign.Campaign)
	// The event's metadata names a donation that this account does not have.
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, postgres.Error(err)
	}
	s.metrics.declines.Inc()
	way := cardWay(campaign, account)
	closing, err := s.cfg.CardWays.DeclinedTx(ctx, tx, way, donation)
	if err != nil {
		return true, err
	}
	if closing != nil {
		if err := s.tellCardWayTx(ctx, tx, notices.CardWayClosed, *closing); err != nil {
			return true, err
		}
		s.cfg.Logger.WarnContext(ctx, "the card way of a campaign is closed: most cards were declined",
			"campaign", campaign.String(), "declined", closing.Declined, "paid", closing.Paid, "until", closing.Until)
	}
	most := maxDeclines
	strained, err := s.cfg.CardWays.StrainedTx(ctx, tx, way)
	if err != nil {
		return true, err
	}
	if strained {
		most = strainedDeclines
	}
	// The job runs after the caller's commit, since Stripe must not be called in a transaction.
	if declines < most {
		return true, nil
	}
	_, err = s.cfg.Jobs.InsertTx(ctx, tx, closeArgs{Donation: donation, PaymentIntent: intent}, nil)
	return true, postgres.Error(err)
}

// closePage expires the page on which the payment was tried. It does nothing when that page is not open.
func (s *Service) closePage(ctx context.Context, args closeArgs, attempt int) error {
	d, err := s.byID(ctx, args.Donation)
	if err != nil {
		return postgres.Error(err)
	}
	// The payment intent leads to the session on which the payment was tried, also when the page was opened again since.
	session, err := s.cfg.Stripe.SessionOfIntent(ctx, d.StripeAccount, args.PaymentIntent)
	if err != nil {
		return err
	}
	// A first month's payment belongs to an invoice, and its session does not name the payment.
	if session.ID == "" && d.State == StateCreated {
		session = stripe.Session{ID: d.CheckoutSession, Status: stripe.SessionOpen}
	}
	// The intent may belong to no session of this donation, and the page may have closed since the event.
	if !d.made(session) || session.Status != stripe.SessionOpen {
		return nil
	}
	session, err = s.cfg.Stripe.ExpireSession(ctx, d.StripeAccount, session.ID, attempt)
	if stripe.KindOf(err) == stripe.Refused { // it was paid or has expired meanwhile
		return s.Refresh(ctx, d.ID)
	}
	if err != nil {
		return err
	}
	s.metrics.closedPages.Inc()
	s.cfg.Logger.WarnContext(ctx, "a payment page is closed: too many cards were declined on it", "donation", d.Name(), "declines", d.declines)
	// The expiry is applied at once, so that no answer offers the closed page until Stripe's event comes.
	return s.applySession(ctx, SessionFact{Account: d.StripeAccount, Session: session, At: s.now()})
}
