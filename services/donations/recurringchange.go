package donations

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/audit"
	"github.com/cagnotte/cagnotte/services/campaigns"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/internal/stripe"
	"github.com/cagnotte/cagnotte/services/money"
	"github.com/cagnotte/cagnotte/services/wall"
)

// A change of a monthly donation, another amount or an end, is stored first, as a pending change, and then applied at
// Stripe: at once if Stripe answers and no other call is applying one, and by upkeep otherwise. So an end that a donor was
// promised is never lost, and a request that is sent twice changes the subscription once.

const (
	// changeClaim is how long an attempt keeps others from the same pending change; longer than its calls take.
	changeClaim = time.Minute
	// Each pause after a failed attempt is twice the one before, longestPause at most.
	firstPause, longestPause = 15 * time.Second, time.Hour
)

// setPendingEndSQL stores a pending end that is due at once. It changes no row if an end now or the same end is
// pending, nor for an end with the month that Stripe has already. change_number grows, so that an attempt that began
// before does not remove the new change.
const setPendingEndSQL = `
UPDATE donations.recurring AS r
SET
	pending_end = @end,
	end_reason = @reason,
	change_number = r.change_number + 1,
	change_failures = 0,
	change_due_at = @now,
	updated_at = @now
WHERE r.id = @id
	AND r.state IN ('active', 'past_due')
	AND r.pending_end IS DISTINCT FROM 'now'
	AND r.pending_end IS DISTINCT FROM @end
	AND (@end = 'now' OR NOT r.cancel_at_period_end)`

// EndRecurring ends a monthly donation, now or at the end of the paid month, for the reason given. No further payment is
// taken. It returns the donation as it is afterwards: ended, or [Recurring.Pending] when Stripe does not answer or the
// account is disconnected; upkeep ends it then. It is safe to repeat: a donation that has ended stays as it is. Errors:
// NOT_FOUND; FAILED_PRECONDITION: RECURRING_NOT_STARTED.
func (s *Service) EndRecurring(ctx context.Context, campaign campaigns.Name, id uuid.UUID, atPeriodEnd bool, reason EndReason) (Recurring, error) {
	r, err := s.GetRecurring(ctx, campaign, id)
	if err != nil || r.State == RecurringCanceled {
		return r, err
	}
	if err := r.started(); err != nil {
		return Recurring{}, err
	}
	end := endNow
	// There is no paid month to wait for otherwise.
	if atPeriodEnd && r.State == RecurringActive {
		end = endWithMonth
	}
	args := pgx.NamedArgs{"id": id, "end": string(end), "reason": string(reason), "now": s.now()}
	if err := postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, setPendingEndSQL, args)
		// What a donor does is no member's change.
		if err != nil || tag.RowsAffected() == 0 || reason != EndedByCollective {
			return postgres.Error(err)
		}
		return audit.WriteTx(ctx, tx, audit.Change{
			Collective: campaign.Collective, Resource: r.Name(), After: audit.Fields{"end": string(end)},
		})
	}); err != nil {
		return Recurring{}, err
	}
	return s.applyChangeNow(ctx, campaign, id)
}

// started is an error for a monthly donation that has no running subscription at Stripe.
func (r Recurring) started() error {
	if !r.running() {
		return errs.New(errorsv1.ErrorReason_RECURRING_NOT_STARTED, "The first month of %s is not paid yet.", r.Name())
	}
	return nil
}

// changeable is an error for a monthly donation whose subscription cannot be reached now.
func (s *Service) changeable(ctx context.Context, r Recurring) error {
	if err := r.started(); err != nil {
		return err
	}
	return s.cfg.Connect.CheckConnected(ctx, r.Campaign.Collective)
}

// While an attempt may be sending another amount to Stripe, this one waits for the end of its claim. Otherwise the older
// amount could arrive last.
const setPendingAmountSQL = `
UPDATE donations.recurring AS r
SET
	pending_amount_minor = @amount_minor,
	change_number = r.change_number + 1,
	change_failures = 0,
	change_due_at = CASE WHEN r.change_due_at > @now THEN least(r.change_due_at, @claimed_until) ELSE @now END,
	updated_at = @now
WHERE r.id = @id
	AND r.state IN ('active', 'past_due')
	AND coalesce(r.pending_amount_minor, r.amount_minor) <> @amount_minor`

// ChangeRecurring changes the amount from the next month on, within the campaign's bounds. It returns the donation as it is
// afterwards: changed, or [Recurring.Pending] when Stripe does not answer or the account is disconnected. Errors: NOT_FOUND;
// FAILED_PRECONDITION: RECURRING_NOT_STARTED, RECURRING_ENDED; INVALID_ARGUMENT as of [Service.Create]; those of
// [wall.Service.Check]. The amount that it has already is no change, and is not counted.
func (s *Service) ChangeRecurring(ctx context.Context, name campaigns.Name, id uuid.UUID, amount money.Amount, from Visit) (Recurring, error) {
	r, err := s.GetRecurring(ctx, name, id)
	if err != nil {
		return Recurring{}, err
	}
	if err := r.checkGoesOn(); err != nil {
		return Recurring{}, err
	}
	campaign, err := s.cfg.Campaigns.Get(ctx, name)
	if err != nil {
		return Recurring{}, err
	}
	if err := checkAmount(campaign, "amount", amount); err != nil {
		return Recurring{}, err
	}
	attempt := from.attempt(r, amount)
	now := s.now()
	err = postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, setPendingAmountSQL, pgx.NamedArgs{
			"id": id, "amount_minor": amount.Minor, "now": now, "claimed_until": now.Add(changeClaim),
		})
		if err != nil || tag.RowsAffected() == 0 {
			return postgres.Error(err)
		}
		return s.cfg.Wall.TakeTx(ctx, tx, attempt)
	})
	if err != nil {
		return Recurring{}, err
	}
	return s.applyChangeNow(ctx, name, id)
}

// Visit is where a donor's call comes from, and the solution of a challenge of package wall; empty for none.
type Visit struct {
	Address  netip.Addr
	Solution string
}

// attempt is the wish to change a monthly donation, as package wall counts it.
func (v Visit) attempt(r Recurring, amount money.Amount) wall.Attempt {
	return wall.Attempt{
		Kind: wall.Change, Address: v.Address, Campaign: r.Campaign.String(), Account: r.StripeAccount, Amount: amount, Solution: v.Solution,
	}
}

// checkGoesOn is an error for a monthly donation that has no next month.
func (r Recurring) checkGoesOn() error {
	if r.State == RecurringCanceled || r.CancelAtPeriodEnd || r.pendingEnd != "" {
		return errs.New(errorsv1.ErrorReason_RECURRING_ENDED, "%s has ended, or ends with its paid month.", r.Name())
	}
	return r.started()
}

// applyChangeNow applies the pending change while its caller waits. A failure at Stripe is logged and not returned: the
// change stays pending.
func (s *Service) applyChangeNow(ctx context.Context, campaign campaigns.Name, id uuid.UUID) (Recurring, error) {
	calling, cancel := context.WithTimeout(ctx, createBudget)
	defer cancel()
	if err := s.applyChange(calling, id); err != nil {
		s.cfg.Logger.WarnContext(ctx, "cannot apply a monthly donation's pending change yet", slog.String("recurring", id.String()), slog.Any("error", err))
	}
	return s.GetRecurring(ctx, campaign, id)
}

// connectedOnly leaves out monthly donations of disconnected accounts. Their pending changes stay as they are, and are
// due the moment that the account is connected again.
const connectedOnly = `
	AND NOT EXISTS (
		SELECT
		FROM connect.connections AS k
		WHERE k.stripe_account = r.stripe_account
			AND NOT k.connected
	)`

// claimChangeSQL claims a pending change that is due, and returns its row. Until the claim ends no other attempt finds
// the change due. If the program is killed meanwhile, the change is due again then.
const claimChangeSQL = `
UPDATE donations.recurring AS r
SET change_due_at = @claimed_until
WHERE r.id = @id
	AND r.change_due_at <= @now
	AND r.state IN ('active', 'past_due')` + connectedOnly + `
RETURNING` + recurringColumns

// applyChange applies a pending change at Stripe and stores the result. It does nothing when no change is due.
func (s *Service) applyChange(ctx context.Context, id uuid.UUID) error {
	now := s.now()
	r, err := oneRecurring(s.cfg.Pool.Query(ctx, claimChangeSQL, pgx.NamedArgs{"id": id, "now": now, "claimed_until": now.Add(changeClaim)}))
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		return postgres.Error(err)
	}
	sub, err := s.changeAtStripe(ctx, r)
	// The result is stored even if the caller has gone.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	switch {
	case r.StripeAccount != "" && stripe.Disconnected(err):
		return errors.Join(err, s.keepChange(ctx, r, now))
	case err != nil:
		return errors.Join(err, s.postponeChange(ctx, r, stripe.KindOf(err)))
	}
	if _, err := s.applySubscription(ctx, r.StripeAccount, sub, r.version); err != nil {
		return err
	}
	return s.settleChange(ctx, r)
}

// changeAtStripe reads the subscription and changes what differs from the pending change, so that what an earlier attempt
// did is not done again. It returns the subscription as it is afterwards.
func (s *Service) changeAtStripe(ctx context.Context, r Recurring) (stripe.Subscription, error) {
	sub, err := s.readSubscription(ctx, r)
	if err != nil || sub.Status == stripe.SubscriptionCanceled {
		return sub, err
	}
	if r.endsNow(sub) {
		return s.cancel(ctx, r)
	}
	change := stripe.SubscriptionChange{Account: r.StripeAccount, Now: sub, Number: r.changeNumber}
	// The row's id is used, whatever the subscription's metadata says.
	change.Now.Recurring = r.ID
	if r.pendingMinor != 0 && r.pendingMinor != sub.Amount.Minor {
		change.Amount = money.Amount{Minor: r.pendingMinor, Currency: r.Amount.Currency}
	}
	change.CancelAtPeriodEnd = r.pendingEnd == endWithMonth && !sub.EndsWithPeriod()
	if change.Amount.Minor == 0 && !change.CancelAtPeriodEnd {
		return sub, nil
	}
	sub, err = s.cfg.Stripe.ChangeSubscription(ctx, change)
	if err == nil && r.endsNow(sub) { // it was renewed between the two calls
		return s.cancel(ctx, r)
	}
	return sub, err
}

// endsNow reports whether the pending end takes effect at once. For an hour after a period's end the next month's invoice
// is a draft. The paid month is over then, and an end at the period's end would be one of the period that has begun: Stripe
// would charge the draft first. So the subscription is canceled, which charges nothing. Nor is there a paid month to wait
// for when the last one could not be charged, also when Stripe's event about that has not arrived.
func (r Recurring) endsNow(sub stripe.Subscription) bool {
	return r.pendingEnd == endNow || r.pendingEnd == endWithMonth && (sub.Latest.Draft || recurringState(sub.Status) != RecurringActive)
}

// cancel ends the subscription at once, and returns it as it is then.
func (s *Service) cancel(ctx context.Context, r Recurring) (stripe.Subscription, error) {
	sub, err := s.cfg.Stripe.CancelSubscription(ctx, r.StripeAccount, r.Subscription)
	if stripe.KindOf(err) == stripe.Missing { // it has ended since it was read
		return s.readSubscription(ctx, r)
	}
	return sub, err
}

// readSubscription reads a monthly donation's subscription. One that Stripe does not have counts as canceled.
func (s *Service) readSubscription(ctx context.Context, r Recurring) (stripe.Subscription, error) {
	sub, err := s.cfg.Stripe.GetSubscription(ctx, r.StripeAccount, r.Subscription)
	if stripe.KindOf(err) == stripe.Missing {
		return stripe.Subscription{
			ID: r.Subscription, Recurring: r.ID, Status: stripe.SubscriptionCanceled, Amount: r.Amount, Livemode: r.Livemode,
		}, nil
	}
	return sub, err
}

// settleChangeSQL removes the pending change of this number. A change that was stored since has another one.
const settleChangeSQL = `
UPDATE donations.recurring AS r
SET
	pending_amount_minor = NULL,
	pending_end = NULL,
	change_failures = 0,
	change_due_at = NULL,
	updated_at = @now
WHERE r.id = @id
	AND r.change_number = @change`

// settleChange removes the pending change that was applied. A newer one stays.
func (s *Service) settleChange(ctx context.Context, r Recurring) error {
	_, err := s.cfg.Pool.Exec(ctx, settleChangeSQL, pgx.NamedArgs{"id": r.ID, "change": r.changeNumber, "now": s.now()})
	return postgres.Error(err)
}

// postponeChangeSQL makes the change due after the pause. change_due_at is NULL when the subscription's end has made
// the change void.
const postponeChangeSQL = `
UPDATE donations.recurring AS r
SET
	change_number = CASE WHEN @repeated THEN r.change_number + 1 ELSE r.change_number END,
	change_failures = r.change_failures + 1,
	change_due_at = @again_at
WHERE r.id = @id
	AND r.change_number = @change
	AND r.change_due_at IS NOT NULL`

// postponeChange begins the pause after a failed attempt. Stripe repeats some answers under the same idempotency key, so the
// next attempt has another one, https://docs.stripe.com/api/idempotent_requests.
func (s *Service) postponeChange(ctx context.Context, r Recurring, kind stripe.Kind) error {
	_, err := s.cfg.Pool.Exec(ctx, postponeChangeSQL, pgx.NamedArgs{
		"id": r.ID, "change": r.changeNumber, "repeated": kind == stripe.Failed || kind == stripe.Refused || kind == stripe.Missing,
		"again_at": s.now().Add(min(firstPause<<min(r.changeFailures, 10), longestPause)),
	})
	return postgres.Error(err)
}

// keepChangeSQL ends the claim early. connectedOnly excludes the change until the account is connected again.
const keepChangeSQL = `
UPDATE donations.recurring AS r
SET change_due_at = @now
WHERE r.id = @id
	AND r.change_number = @change
	AND r.change_due_at IS NOT NULL`

// keepChange is for an account that turns out to be disconnected. It stores that, as of when Stripe was asked. The attempt
// counts as no failure: the change is due again with the reconnection.
func (s *Service) keepChange(ctx context.Context, r Recurring, asked time.Time) error {
	return postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		if err := s.cfg.Connect.SetConnectedTx(ctx, tx, r.StripeAccount, false, asked); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, keepChangeSQL, pgx.NamedArgs{"id": r.ID, "change": r.changeNumber, "now": s.now()})
		return postgres.Error(err)
	})
}
