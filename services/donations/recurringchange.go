package donations

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/campaigns"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/internal/stripe"
	"github.com/cagnotte/cagnotte/services/money"
)

// What somebody wants of a monthly donation is stored first, and then done at Stripe, at once if Stripe answers and
// nobody else is at it, and else by upkeep. So no end that a donor was promised is lost, and what is sent twice is
// done once.

const (
	// wishClaim is how long one who carries a wish out keeps others from it; longer than its calls take.
	wishClaim = time.Minute
	// Each pause after a failure is twice the one before, longestWish at most.
	firstWish, longestWish = 15 * time.Second, time.Hour
)

const wishEndSQL = `
UPDATE donations.recurring AS r
SET
	wanted_end = @end,
	end_reason = @reason,
	wish = r.wish + 1,
	wish_failures = 0,
	wish_at = @now,
	updated_at = @now
WHERE r.id = @id
	AND r.state IN ('active', 'past_due')
	AND r.wanted_end IS DISTINCT FROM 'now'
	AND r.wanted_end IS DISTINCT FROM @end
	AND (@end = 'now' OR NOT r.cancel_at_period_end)`

// EndRecurring ends a monthly donation, now or with the month that is paid for, for the reason given: nothing more is
// taken. It returns it as it is then: ended, or [Recurring.Pending] when Stripe does not answer or the account is
// disconnected, and then it will be. One that has ended stays as it is. Errors: NOT_FOUND; FAILED_PRECONDITION:
// RECURRING_NOT_STARTED.
func (s *Service) EndRecurring(ctx context.Context, campaign campaigns.Name, id uuid.UUID, atPeriodEnd bool, reason EndReason) (Recurring, error) {
	r, err := s.GetRecurring(ctx, campaign, id)
	if err != nil || r.State == RecurringCanceled {
		return r, err
	}
	if err := r.started(); err != nil {
		return Recurring{}, err
	}
	end := endNow
	// Of a month that is not paid nothing is to be waited for.
	if atPeriodEnd && r.State == RecurringActive {
		end = endWithMonth
	}
	_, err = s.cfg.Pool.Exec(ctx, wishEndSQL, pgx.NamedArgs{"id": id, "end": string(end), "reason": string(reason), "now": s.now()})
	if err != nil {
		return Recurring{}, postgres.Error(err)
	}
	return s.fulfilNow(ctx, campaign, id)
}

// started is an error for a monthly donation of which Stripe has nothing that could be changed.
func (r Recurring) started() error {
	if !r.running() {
		return errs.Precondition("RECURRING_NOT_STARTED", "Nobody has paid the first month of %s.", r.Name())
	}
	return nil
}

// changeable is an error for a monthly donation about which Stripe can be asked nothing now.
func (s *Service) changeable(ctx context.Context, r Recurring) error {
	if err := r.started(); err != nil {
		return err
	}
	return s.cfg.Collectives.CheckConnected(ctx, r.Campaign.Collective)
}

// While another amount may be on its way to Stripe this one waits, or that would be the last there.
const wishAmountSQL = `
UPDATE donations.recurring AS r
SET
	wanted_amount_minor = @amount_minor,
	wish = r.wish + 1,
	wish_failures = 0,
	wish_at = CASE WHEN r.wish_at > @now THEN least(r.wish_at, @claimed_until) ELSE @now END,
	updated_at = @now
WHERE r.id = @id
	AND r.state IN ('active', 'past_due')
	AND coalesce(r.wanted_amount_minor, r.amount_minor) <> @amount_minor`

// ChangeRecurring changes what is given from the next month on, within the campaign's bounds. It returns it as it
// is then, [Recurring.Pending] when Stripe does not answer or the account is disconnected. Errors: NOT_FOUND;
// FAILED_PRECONDITION: RECURRING_NOT_STARTED, RECURRING_ENDED; INVALID_ARGUMENT as of [Service.Create].
func (s *Service) ChangeRecurring(ctx context.Context, name campaigns.Name, id uuid.UUID, amount money.Amount) (Recurring, error) {
	r, err := s.GetRecurring(ctx, name, id)
	if err != nil {
		return Recurring{}, err
	}
	if err := r.goesOn(); err != nil {
		return Recurring{}, err
	}
	campaign, err := s.cfg.Campaigns.Get(ctx, name)
	if err != nil {
		return Recurring{}, err
	}
	if err := checkAmount(campaign, amount); err != nil {
		return Recurring{}, err
	}
	now := s.now()
	_, err = s.cfg.Pool.Exec(ctx, wishAmountSQL, pgx.NamedArgs{
		"id": id, "amount_minor": amount.Minor, "now": now, "claimed_until": now.Add(wishClaim),
	})
	if err != nil {
		return Recurring{}, postgres.Error(err)
	}
	return s.fulfilNow(ctx, name, id)
}

// goesOn is an error for a monthly donation that has no next month.
func (r Recurring) goesOn() error {
	if r.State == RecurringCanceled || r.CancelAtPeriodEnd || r.wantedEnd != "" {
		return errs.Precondition("RECURRING_ENDED", "%s has ended, or is about to.", r.Name())
	}
	return r.started()
}

// fulfilNow carries the wish out while its caller waits. A failure of Stripe's is none of the caller's: the wish
// is kept.
func (s *Service) fulfilNow(ctx context.Context, campaign campaigns.Name, id uuid.UUID) (Recurring, error) {
	calling, cancel := context.WithTimeout(ctx, createBudget)
	defer cancel()
	if err := s.fulfil(calling, id); err != nil {
		s.cfg.Logger.WarnContext(ctx, "a wish about a monthly donation waits", slog.String("recurring", id.String()), slog.Any("error", err))
	}
	return s.GetRecurring(ctx, campaign, id)
}

// connectedOnly leaves out what Stripe can be told nothing about now. A wish waits as it is meanwhile, and is due the
// moment that the account is connected again.
const connectedOnly = `
	AND NOT EXISTS (
		SELECT
		FROM collectives.connections AS k
		WHERE k.stripe_account = r.stripe_account
			AND NOT k.connected
	)`

const claimWishSQL = `
UPDATE donations.recurring AS r
SET wish_at = @claimed_until
WHERE r.id = @id
	AND r.wish_at <= @now
	AND r.state IN ('active', 'past_due')` + connectedOnly + `
RETURNING` + recurringColumns

// fulfil does at Stripe what is wanted and notes what came of it. It does nothing when nothing is due.
func (s *Service) fulfil(ctx context.Context, id uuid.UUID) error {
	now := s.now()
	r, err := oneRecurring(s.cfg.Pool.Query(ctx, claimWishSQL, pgx.NamedArgs{"id": id, "now": now, "claimed_until": now.Add(wishClaim)}))
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		return postgres.Error(err)
	}
	sub, err := s.tellStripe(ctx, r)
	// What came of it is kept whether or not the caller is still there.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	switch {
	case r.StripeAccount != "" && stripe.Disconnected(err):
		return errors.Join(err, s.keepWish(ctx, r, now))
	case err != nil:
		return errors.Join(err, s.noteWishFailure(ctx, r, stripe.KindOf(err)))
	}
	if _, err := s.applySubscription(ctx, r.StripeAccount, sub, r.version); err != nil {
		return err
	}
	return s.noteWishDone(ctx, r)
}

// tellStripe reads the subscription and changes what is not yet as wanted, so that what an earlier call did is not
// done again. It returns it as it is then.
func (s *Service) tellStripe(ctx context.Context, r Recurring) (stripe.Subscription, error) {
	sub, err := s.readSubscription(ctx, r)
	if err != nil || sub.Status == stripe.SubscriptionCanceled {
		return sub, err
	}
	if r.endsNow(sub) {
		return s.cancel(ctx, r)
	}
	change := stripe.SubscriptionChange{Account: r.StripeAccount, Now: sub, Wish: r.wish}
	change.Now.Recurring = r.ID
	if r.wantedMinor != 0 && r.wantedMinor != sub.Amount.Minor {
		change.Amount = money.Amount{Minor: r.wantedMinor, Currency: r.Amount.Currency}
	}
	change.CancelAtPeriodEnd = r.wantedEnd == endWithMonth && !sub.EndsWithPeriod()
	if change.Amount.Minor == 0 && !change.CancelAtPeriodEnd {
		return sub, nil
	}
	sub, err = s.cfg.Stripe.ChangeSubscription(ctx, change)
	if err == nil && r.endsNow(sub) { // it was renewed after it was read
		return s.cancel(ctx, r)
	}
	return sub, err
}

// endsNow reports whether a wanted end is one at once. For an hour after a period's end the next month's invoice is a
// draft. The month that is paid for is over then, and Stripe would take another before it ends the subscription with
// that: so the end is now, which takes nothing. Nor is a month waited for that could not be charged, also when nobody
// had heard of it.
func (r Recurring) endsNow(sub stripe.Subscription) bool {
	return r.wantedEnd == endNow || r.wantedEnd == endWithMonth && (sub.Latest.Draft || recurringState(sub.Status) != RecurringActive)
}

func (s *Service) cancel(ctx context.Context, r Recurring) (stripe.Subscription, error) {
	sub, err := s.cfg.Stripe.CancelSubscription(ctx, r.StripeAccount, r.Subscription)
	if stripe.KindOf(err) == stripe.Missing { // somebody was faster
		return s.readSubscription(ctx, r)
	}
	return sub, err
}

// readSubscription reads a monthly donation's subscription. One that Stripe does not have takes no money any more.
func (s *Service) readSubscription(ctx context.Context, r Recurring) (stripe.Subscription, error) {
	sub, err := s.cfg.Stripe.GetSubscription(ctx, r.StripeAccount, r.Subscription)
	if stripe.KindOf(err) == stripe.Missing {
		return stripe.Subscription{
			ID: r.Subscription, Recurring: r.ID, Status: stripe.SubscriptionCanceled, Amount: r.Amount, Livemode: r.Livemode,
		}, nil
	}
	return sub, err
}

const wishDoneSQL = `
UPDATE donations.recurring AS r
SET
	wanted_amount_minor = NULL,
	wanted_end = NULL,
	wish_failures = 0,
	wish_at = NULL,
	updated_at = @now
WHERE r.id = @id
	AND r.wish = @wish`

// noteWishDone leaves a newer wish alone.
func (s *Service) noteWishDone(ctx context.Context, r Recurring) error {
	_, err := s.cfg.Pool.Exec(ctx, wishDoneSQL, pgx.NamedArgs{"id": r.ID, "wish": r.wish, "now": s.now()})
	return postgres.Error(err)
}

const wishFailedSQL = `
UPDATE donations.recurring AS r
SET
	wish = CASE WHEN @remembered THEN r.wish + 1 ELSE r.wish END,
	wish_failures = r.wish_failures + 1,
	wish_at = @again_at
WHERE r.id = @id
	AND r.wish = @wish
	AND r.wish_at IS NOT NULL`

// noteWishFailure begins the pause. Stripe repeats some answers under the same key, so the next try has another.
func (s *Service) noteWishFailure(ctx context.Context, r Recurring, kind stripe.Kind) error {
	_, err := s.cfg.Pool.Exec(ctx, wishFailedSQL, pgx.NamedArgs{
		"id": r.ID, "wish": r.wish, "remembered": kind == stripe.Failed || kind == stripe.Refused || kind == stripe.Missing,
		"again_at": s.now().Add(min(firstWish<<min(r.wishFailures, 10), longestWish)),
	})
	return postgres.Error(err)
}

const keepWishSQL = `
UPDATE donations.recurring AS r
SET wish_at = @now
WHERE r.id = @id
	AND r.wish = @wish
	AND r.wish_at IS NOT NULL`

// keepWish is for an account that took our access back before anybody heard of it. That is noted, as of when Stripe was
// asked, and the wish is no failure: it is due again with the connection.
func (s *Service) keepWish(ctx context.Context, r Recurring, asked time.Time) error {
	return postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		if err := s.cfg.Collectives.SetConnectedTx(ctx, tx, r.StripeAccount, false, asked); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, keepWishSQL, pgx.NamedArgs{"id": r.ID, "wish": r.wish, "now": s.now()})
		return postgres.Error(err)
	})
}
