package donations

import (
	"context"
	"errors"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/internal/stripe"
)

// A suspended collective takes no new donation: campaigns refuse it. What began before is stopped here, each minute, by
// upkeep: pages that are open are closed, and the monthly donations are held, so that Stripe voids their invoices instead
// of collecting them. What was paid, or is under way, is booked all the same.
//
//	hold    Stripe                                     next
//	NULL    collects                                   wanted, when the collective is suspended
//	wanted  is told to pause or to resume, or was      set; NULL after the suspension
//	set     paused                                     wanted, when the suspension has ended
//	kept    was paused by members without an end       NULL; Stripe is not told anything
//
// wanted is written before the call, so that a program that is killed in between, or whose answer is lost, leaves neither a
// pause that nobody ends nor a donation that is collected during the next suspension.

const (
	holdWanted = "wanted"
	holdSet    = "set"
	holdKept   = "kept"
)

// suspendedPagesSQL finds payment pages of suspended collectives that are open, by donations_open_idx.
const suspendedPagesSQL = `
SELECT d.id
FROM donations.donations AS d
JOIN collectives.collectives AS c ON c.id = d.collective
WHERE c.suspended_at IS NOT NULL
	AND d.state = 'created'
	AND d.checkout_session_id IS NOT NULL
	AND d.session_expires_at > @now
	AND d.livemode = @livemode
ORDER BY d.id
LIMIT @count`

// suspendedRecurringSQL finds monthly donations of suspended collectives that are not held yet. Those that Stripe would
// charge next go first.
const suspendedRecurringSQL = `
SELECT r.id
FROM donations.recurring AS r
JOIN collectives.collectives AS c ON c.id = r.collective
WHERE c.suspended_at IS NOT NULL
	AND r.state IN ('active', 'past_due')
	AND (r.hold IS NULL OR r.hold = 'wanted')
	AND r.livemode = @livemode` + connectedOnly + `
ORDER BY
	r.period_ends_at,
	r.id
LIMIT @count`

// resumedRecurringSQL finds monthly donations that are held, and whose collective is not suspended any more, by
// recurring_hold_idx.
const resumedRecurringSQL = `
SELECT r.id
FROM donations.recurring AS r
JOIN collectives.collectives AS c ON c.id = r.collective
WHERE r.hold IS NOT NULL
	AND c.suspended_at IS NULL
	AND r.livemode = @livemode` + connectedOnly + `
ORDER BY
	r.period_ends_at,
	r.id
LIMIT @count`

// keepSuspensions does at Stripe what the suspensions of collectives, and their ends, ask for. It is safe to interrupt and to
// repeat.
func (s *Service) keepSuspensions(ctx context.Context) error {
	return errors.Join(
		s.each(ctx, "cannot close a payment page of a suspended collective", suspendedPagesSQL, s.closeSuspended),
		s.each(ctx, "cannot hold a monthly donation of a suspended collective", suspendedRecurringSQL, s.hold),
		s.each(ctx, "cannot resume a monthly donation", resumedRecurringSQL, s.release),
	)
}

// closeSuspended closes the donation's page. One that was paid or has closed meanwhile is read.
func (s *Service) closeSuspended(ctx context.Context, id uuid.UUID) error {
	d, err := s.byID(ctx, id)
	if err != nil {
		return postgres.Error(err)
	}
	// Stripe repeats an answer under the same key: each minute has another one.
	session, err := s.cfg.Stripe.ExpireSession(ctx, d.StripeAccount, d.CheckoutSession, int(s.now().Unix()/60))
	if stripe.KindOf(err) == stripe.Refused {
		return s.Refresh(ctx, d.ID)
	}
	if err != nil {
		return err
	}
	return s.applySession(ctx, SessionFact{Account: d.StripeAccount, Session: session, At: s.now()})
}

// keepPauseSQL notes that members paused a monthly donation without an end, before the suspension: that pause goes on after
// it. One with an end is replaced by the hold, since it could end before.
const keepPauseSQL = `
UPDATE donations.recurring AS r
SET hold = 'kept'
WHERE r.id = @id
	AND r.hold IS NULL
	AND r.paused
	AND r.resumes_at IS NULL`

// wantHoldSQL marks a monthly donation before Stripe is told, and returns it. It returns none when the suspension has ended.
const wantHoldSQL = `
UPDATE donations.recurring AS r
SET
	hold = 'wanted',
	updated_at = @now
FROM collectives.collectives AS c
WHERE r.id = @id
	AND c.id = r.collective
	AND c.suspended_at IS NOT NULL
	AND (r.hold IS NULL OR r.hold = 'wanted')
	AND r.state IN ('active', 'past_due')
RETURNING` + recurringColumns

// setHoldSQL notes what Stripe has, unless another run has noted something meanwhile.
const setHoldSQL = `
UPDATE donations.recurring AS r
SET hold = nullif(@hold, '')
WHERE r.id = @id
	AND r.hold = @before`

// hold has Stripe void the invoices of one monthly donation instead of collecting them.
func (s *Service) hold(ctx context.Context, id uuid.UUID) error {
	kept, err := s.cfg.Pool.Exec(ctx, keepPauseSQL, pgx.NamedArgs{"id": id})
	if err != nil || kept.RowsAffected() > 0 {
		return postgres.Error(err)
	}
	r, err := oneRecurring(s.cfg.Pool.Query(ctx, wantHoldSQL, pgx.NamedArgs{"id": id, "now": s.now()}))
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		return postgres.Error(err)
	}
	sub, err := s.readSubscription(ctx, r)
	if err == nil && sub.Status != stripe.SubscriptionCanceled {
		sub, err = s.cfg.Stripe.PauseSubscription(ctx, r.StripeAccount, r.Subscription)
	}
	if err != nil {
		return err
	}
	return s.settleHold(ctx, r, sub, holdWanted, holdSet)
}

// releaseSQL marks a monthly donation before Stripe is told to resume it. A pause of members stays what it is.
const releaseSQL = `
UPDATE donations.recurring AS r
SET hold = 'wanted'
WHERE r.id = @id
	AND r.hold = 'set'`

// release has Stripe collect one monthly donation again.
func (s *Service) release(ctx context.Context, id uuid.UUID) error {
	if _, err := s.cfg.Pool.Exec(ctx, releaseSQL, pgx.NamedArgs{"id": id}); err != nil {
		return postgres.Error(err)
	}
	r, hold, err := s.held(ctx, id)
	if err != nil || hold == "" {
		return err
	}
	sub, err := s.readSubscription(ctx, r)
	if err != nil {
		return err
	}
	if hold != holdKept && sub.Status != stripe.SubscriptionCanceled {
		if sub, err = s.cfg.Stripe.ResumeSubscription(ctx, r.StripeAccount, r.Subscription); err != nil {
			return err
		}
	}
	return s.settleHold(ctx, r, sub, hold, "")
}

const heldSQL = `
SELECT coalesce(r.hold, '')
FROM donations.recurring AS r
WHERE r.id = @id`

// held returns a monthly donation and how it is held; empty for not.
func (s *Service) held(ctx context.Context, id uuid.UUID) (r Recurring, hold string, err error) {
	if err := s.cfg.Pool.QueryRow(ctx, heldSQL, pgx.NamedArgs{"id": id}).Scan(&hold); err != nil {
		return Recurring{}, "", postgres.Error(err)
	}
	r, err = oneRecurring(s.cfg.Pool.Query(ctx, recurringByIDSQL, pgx.NamedArgs{"id": id}))
	return r, hold, postgres.Error(err)
}

// settleHold stores what Stripe answered, and then the hold in place of the one before; empty for none.
func (s *Service) settleHold(ctx context.Context, r Recurring, sub stripe.Subscription, before, hold string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	if _, err := s.applySubscription(ctx, r.StripeAccount, sub, r.version); err != nil {
		return err
	}
	_, err := s.cfg.Pool.Exec(ctx, setHoldSQL, pgx.NamedArgs{"id": r.ID, "before": before, "hold": hold})
	return postgres.Error(err)
}
