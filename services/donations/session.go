package donations

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/campaigns"
	"github.com/cagnotte/cagnotte/services/collectives"
	"github.com/cagnotte/cagnotte/services/connect"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/internal/stripe"
)

const (
	// createBudget bounds what one Create waits for Stripe: a donor is answered within ten seconds.
	createBudget = 8 * time.Second
	// turnLength is longer than createBudget: when a turn is over, its caller has returned or was killed.
	turnLength = 10 * time.Second
	// storeTimeout bounds the writes that must happen even when the caller has gone away.
	storeTimeout = 5 * time.Second
	// maxWaiting is how many equal requests wait in this process, including the one that calls Stripe.
	maxWaiting = 3
	// allWaiting bounds the waiting requests of all donations. It is never reached: package rpc bounds the calls that wait for Stripe.
	allWaiting = 10_000
	// A request that waits for the session of an equal one looks after firstLook, then after twice as long each time.
	firstLook, longestLook = 50 * time.Millisecond, time.Second
	// firstRetry is the pause after the first failure; each one is twice the one before, longestRetry at most.
	firstRetry, longestRetry = 2 * time.Second, 5 * time.Minute
	// A call that finds its idempotency key in use is made again busyTries times, after busyPause and twice that.
	busyTries, busyPause = 2, 500 * time.Millisecond
	// sessionLife is how long a payment page stays open. Stripe permits 30 minutes to 24 hours.
	sessionLife = 2 * time.Hour
	// minSessionLeft is Stripe's shortest session, 30 min, with a minute for the difference of two clocks. Stripe would
	// refuse an attempt that has less left, so a new attempt is made.
	minSessionLeft = 31 * time.Minute
)

// openSession gives the donation its Checkout Session, or returns the one that it has. Of concurrent equal requests, here
// or in another copy of the program, one calls Stripe, and the others wait for its result. After a failure nobody calls
// Stripe before a pause is over, since repeats of a request are not limited.
//
// At most maxWaiting requests wait for one donation; the others are UNAVAILABLE at once.
func (s *Service) openSession(ctx context.Context, id uuid.UUID, campaign campaigns.Campaign) (Donation, error) {
	leave, ok := s.waiting.Take(ctx, id.String(), 1)
	if !ok {
		return Donation{}, later(firstRetry, errors.New("others wait for the same donation already"))
	}
	defer leave()
	ctx, cancel := context.WithTimeout(ctx, createBudget)
	defer cancel()
	collective, err := s.cfg.Collectives.Get(ctx, campaign.Name.Collective)
	if err != nil {
		return Donation{}, err
	}
	for wait := firstLook; ; wait = min(2*wait, longestLook) {
		d, mine, err := s.takeTurn(ctx, id)
		if err != nil {
			return Donation{}, err
		}
		if mine {
			return s.callForSession(ctx, d, campaign, collective)
		}
		if d.CheckoutSession != "" || d.State != StateCreated {
			return d, nil
		}
		if left := d.retryTime.Sub(s.now()); left > 0 {
			return Donation{}, later(left, nil)
		}
		if !pause(ctx, wait) {
			return Donation{}, later(firstRetry, ctx.Err())
		}
	}
}

// callForSession creates the session at Stripe, in the caller's turn. No transaction is open meanwhile.
func (s *Service) callForSession(ctx context.Context, d Donation, campaign campaigns.Campaign, collective collectives.Collective) (Donation, error) {
	params := s.sessionParams(d, campaign, collective)
	session, err := s.cfg.Stripe.CreateSession(ctx, params)
	// A call whose caller or program has gone away is still under way at Stripe.
	for try := 0; try < busyTries && stripe.KindOf(err) == stripe.Busy && pause(ctx, busyPause<<try); try++ {
		session, err = s.cfg.Stripe.CreateSession(ctx, params)
	}
	// The result is stored whether or not the caller is still there.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	if err == nil {
		return s.storeSession(ctx, d, session)
	}
	wait := min(firstRetry<<min(d.failures, 10), longestRetry)
	if stripe.NotMade(err) {
		wait = firstRetry // no call was made, so it is no failure of this donation
	}
	if noteErr := s.noteSessionFailure(ctx, d, err, wait); noteErr != nil {
		return Donation{}, errors.Join(err, noteErr)
	}
	// The collective disconnected its account, and the event that says so is still on its way.
	if d.StripeAccount != "" && stripe.Disconnected(err) {
		return Donation{}, connect.Disconnected(d.Campaign.Collective)
	}
	switch stripe.KindOf(err) {
	case stripe.Refused, stripe.Missing:
		return Donation{}, errs.Internal(err)
	}
	return Donation{}, later(wait, err)
}

// later is UNAVAILABLE: the same request continues the donation.
func later(wait time.Duration, cause error) error {
	return errs.Unavailable(errorsv1.ErrorReason_STRIPE_UNAVAILABLE, max(wait, time.Second), cause, "Stripe does not answer. Send the same request again.")
}

// neutralSuffix stands on bank statements that must not name the collective.
const neutralSuffix = "DON"

func (s *Service) sessionParams(d Donation, campaign campaigns.Campaign, collective collectives.Collective) stripe.SessionParams {
	// An account of its own bears the collective's name on the page. A shared one bears the platform's.
	title, suffix, whose := campaign.Title(d.Locale), stripe.StatementSuffix(collective.ID), ""
	if d.StripeAccount == "" {
		whose = collective.DisplayName
	}
	// Stripe's mails to the donor repeat the title.
	if collective.Discreet {
		title, suffix, whose = wordsIn(d.Locale).Item, neutralSuffix, ""
	}
	// Both addresses are the one page that shows the donation's state, which is read here and not taken from the address.
	page := s.donationPage(d.Campaign, d.ID, d.Locale, collective.Discreet)
	return stripe.SessionParams{
		Account:    d.StripeAccount,
		Donation:   d.ID,
		Attempt:    d.attempt,
		Amount:     d.Amount,
		Title:      title,
		Locale:     d.Locale,
		ExpiresAt:  d.ExpireTime,
		SuccessURL: page,
		CancelURL:  page,
		Monthly:    d.Recurring != uuid.Nil,
		Note:       pageNote(d),

		Description:     whose,
		StatementSuffix: suffix,
	}
}

// donationPage is the address of the page that shows a donation. A discreet one names nothing but the donation, and leads
// there: see LocateDonation.
func (s *Service) donationPage(c campaigns.Name, id uuid.UUID, locale string, discreet bool) string {
	return s.pageBase(c, discreet) + "/donations/" + id.String() + "?lang=" + locale
}

// pageBase is what the addresses of a campaign's pages begin with.
func (s *Service) pageBase(c campaigns.Name, discreet bool) string {
	if discreet {
		return s.cfg.PublicURL
	}
	return s.cfg.PublicURL + "/c/" + c.Collective + "/" + c.Campaign
}

// The first turn makes the first attempt. An attempt whose session would close too soon is replaced by a new one.
const takeTurnSQL = `
UPDATE donations.donations AS d
SET
	turn_ends_at = @turn_ends_at,
	attempt = CASE WHEN d.session_expires_at >= @near THEN d.attempt ELSE d.attempt + 1 END,
	session_expires_at = CASE WHEN d.session_expires_at >= @near THEN d.session_expires_at ELSE @expires_at END,
	updated_at = @now
WHERE d.id = @id
	AND d.state = 'created'
	AND d.checkout_session_id IS NULL
	AND d.turn_ends_at <= @now
	AND d.retry_at <= @now
RETURNING` + columns

// takeTurn makes the caller the one that creates the donation's session, and returns the donation. mine is false while
// another caller has the turn, during the pause after a failure, and when no session is to be created any more.
func (s *Service) takeTurn(ctx context.Context, id uuid.UUID) (d Donation, mine bool, err error) {
	now := s.now()
	d, err = collectOne(s.cfg.Pool.Query(ctx, takeTurnSQL, pgx.NamedArgs{
		"id": id, "now": now, "turn_ends_at": now.Add(turnLength), "near": now.Add(minSessionLeft),
		"expires_at": s.sessionEnd(now),
	}))
	if errors.Is(err, pgx.ErrNoRows) {
		d, err = s.byID(ctx, id)
		return d, false, postgres.Error(err)
	}
	return d, err == nil, postgres.Error(err)
}

// sessionEnd is when the session of an attempt that begins now closes, in whole seconds as Stripe counts: the parameters of
// repeated calls must be equal.
func (s *Service) sessionEnd(now time.Time) time.Time {
	return now.Add(sessionLife).Truncate(time.Second)
}

// noteSessionFailureSQL ends the turn and begins the pause. @made: a call was made, so it counts as a failure.
// @remembered: Stripe would repeat its answer, so the next call is another attempt with a new end of the session. The
// conditions on failures and attempt exclude the result of an older turn.
const noteSessionFailureSQL = `
UPDATE donations.donations AS d
SET
	turn_ends_at = '-infinity',
	session_failures = CASE WHEN @made THEN d.session_failures + 1 ELSE d.session_failures END,
	retry_at = @retry_at,
	attempt = CASE WHEN @remembered THEN d.attempt + 1 ELSE d.attempt END,
	session_expires_at = CASE WHEN @remembered THEN @expires_at ELSE d.session_expires_at END,
	updated_at = @now
WHERE d.id = @id
	AND d.session_failures = @failures
	AND d.attempt = @attempt
	AND d.checkout_session_id IS NULL`

// noteSessionFailure ends the turn and begins the pause. Stripe repeats some answers under the same idempotency key, so the
// next call after those is another attempt. It does nothing when another caller took the turn and noted its failure.
func (s *Service) noteSessionFailure(ctx context.Context, d Donation, failure error, wait time.Duration) error {
	now, kind := s.now(), stripe.KindOf(failure)
	_, err := s.cfg.Pool.Exec(ctx, noteSessionFailureSQL, pgx.NamedArgs{
		"id": d.ID, "failures": d.failures, "attempt": d.attempt, "now": now, "retry_at": now.Add(wait),
		"made":       !stripe.NotMade(failure),
		"remembered": kind == stripe.Failed || kind == stripe.Refused || kind == stripe.Missing,
		"expires_at": s.sessionEnd(now),
	})
	return postgres.Error(err)
}

// storeSessionSQL stores the session of the current attempt. It never replaces another session, and a repeat writes the
// same.
const storeSessionSQL = `
UPDATE donations.donations AS d
SET
	checkout_session_id = @session,
	checkout_url = @url,
	updated_at = @now
WHERE d.id = @id
	AND d.state = 'created'
	AND d.attempt = @attempt
	AND coalesce(d.checkout_session_id, @session) = @session`

// storeSession stores the session, and returns the donation as it is then: an equal request may have made another attempt,
// and an event may have come first.
func (s *Service) storeSession(ctx context.Context, d Donation, session stripe.Session) (Donation, error) {
	_, err := s.cfg.Pool.Exec(ctx, storeSessionSQL, pgx.NamedArgs{
		"id": d.ID, "attempt": d.attempt, "session": session.ID, "url": session.URL, "now": s.now(),
	})
	if err != nil {
		return Donation{}, postgres.Error(err)
	}
	d, err = s.byID(ctx, d.ID)
	return d, postgres.Error(err)
}

// pause waits, and reports false when ctx ended before.
func pause(ctx context.Context, wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
