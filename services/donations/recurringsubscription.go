package donations

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/internal/stripe"
	"github.com/cagnotte/cagnotte/services/notices"
)

const (
	// A renewal's invoice is a draft for an hour, then charged. If no event has come this long after a period's end, the
	// subscription is read.
	renewalSlack = 3 * time.Hour
	// How often a subscription is read while its latest month is unpaid or its debit is at the bank: both take days.
	pastDueLook = 24 * time.Hour
)

// beginSubscriptionSQL stores the subscription once: a row that has one is not changed, so a repeat is harmless. The
// subscription is read soon if no event comes before.
const beginSubscriptionSQL = `
UPDATE donations.recurring AS r
SET
	subscription_id = coalesce(r.subscription_id, @subscription),
	customer_id = coalesce(r.customer_id, nullif(@customer, '')),
	look_at = coalesce(r.look_at, @look_at),
	updated_at = @now
WHERE r.id = @id
	AND r.subscription_id IS NULL`

// An invoice that another donation has already stays with it. The session names the first invoice, by which payMonthSQL
// and failFirstSQL find the donation later.
const noteFirstInvoiceSQL = `
UPDATE donations.donations AS d
SET
	invoice_id = @invoice,
	updated_at = @now
WHERE d.id = @id
	AND d.invoice_id IS NULL
	AND NOT EXISTS (
		SELECT
		FROM donations.donations AS o
		WHERE o.stripe_account = d.stripe_account
			AND o.invoice_id = @invoice
	)`

// beginSubscriptionTx stores the subscription, customer and first invoice that a complete session names. The caller has
// locked the first donation. Such a session has no payment intent; the invoice brings it, and the subscription's state.
func (s *Service) beginSubscriptionTx(ctx context.Context, tx pgx.Tx, first Donation, session stripe.Session) error {
	if first.Recurring != first.ID || session.Subscription == "" || session.Status != stripe.SessionComplete {
		return nil
	}
	now := s.now()
	if _, err := tx.Exec(ctx, beginSubscriptionSQL, pgx.NamedArgs{
		"id": first.ID, "subscription": session.Subscription, "customer": session.Customer, "look_at": now.Add(pollAfter), "now": now,
	}); err != nil {
		return postgres.Error(err)
	}
	// The invoice's own event can bring it later.
	if session.Invoice == "" {
		return nil
	}
	_, err := tx.Exec(ctx, noteFirstInvoiceSQL, pgx.NamedArgs{"id": first.ID, "invoice": session.Invoice, "now": now})
	return postgres.Error(err)
}

// By the subscription that the first month's session named, not by metadata, which anybody with access to the account
// can write. recurring_subscription_key serves it. It locks nothing, since the first donation is locked before this
// row.
const findRecurringSQL = `
SELECT` + recurringColumns + `
FROM donations.recurring AS r
WHERE r.stripe_account = @account
	AND r.subscription_id = @subscription`

// lockRecurringSQL is recurringByIDSQL with a lock for an update.
const lockRecurringSQL = recurringByIDSQL + `
FOR NO KEY UPDATE`

// lockFirstSQL reads a first donation, and locks it until the transaction ends.
const lockFirstSQL = `
SELECT` + columns + `
FROM donations.donations AS d
WHERE d.id = @id
FOR NO KEY UPDATE`

// lockRecurringTx finds a subscription's monthly donation, and locks its first donation and then the row itself. It returns
// pgx.ErrNoRows when the account and livemode have no such monthly donation.
func (s *Service) lockRecurringTx(ctx context.Context, tx pgx.Tx, account, subscription string) (Recurring, Donation, error) {
	found, err := oneRecurring(tx.Query(ctx, findRecurringSQL, pgx.NamedArgs{
		"account": account, "subscription": subscription,
	}))
	if err != nil {
		return Recurring{}, Donation{}, err
	}
	// The same account has subscriptions in test mode and in live mode.
	if found.Livemode != s.cfg.Stripe.Livemode() {
		return Recurring{}, Donation{}, pgx.ErrNoRows
	}
	first, err := collectOne(tx.Query(ctx, lockFirstSQL, pgx.NamedArgs{"id": found.ID}))
	if err != nil {
		return Recurring{}, Donation{}, err
	}
	// The row is read again, because it may have changed before it was locked.
	r, err := oneRecurring(tx.Query(ctx, lockRecurringSQL, pgx.NamedArgs{"id": found.ID}))
	return r, first, err
}

// A pending change stays, because settleChange removes it once it is applied; an end makes it void. A reading without
// an amount leaves the stored one. Subscription and customer are only filled in: the trigger
// donations.check_recurring_change refuses others.
const applySubscriptionSQL = `
UPDATE donations.recurring AS r
SET
	state = @state,
	amount_minor = CASE WHEN @amount_minor > 0 THEN @amount_minor ELSE r.amount_minor END,
	subscription_id = coalesce(r.subscription_id, @subscription),
	customer_id = coalesce(r.customer_id, nullif(@customer, '')),
	cancel_at_period_end = @cancel_at_period_end,
	period_ends_at = @period_ends_at,
	cancel_at = @cancel_at,
	paused = @paused,
	resumes_at = @resumes_at,
	next_debit_at = @next_debit_at,
	debit_pending = @debit_pending,
	ended_at = @ended_at,
	end_reason = @end_reason,
	pending_amount_minor = CASE WHEN @state = 'canceled' THEN NULL ELSE r.pending_amount_minor END,
	pending_end = CASE WHEN @state = 'canceled' THEN NULL ELSE r.pending_end END,
	change_due_at = CASE WHEN @state = 'canceled' THEN NULL ELSE r.change_due_at END,
	look_at = @look_at,
	updated_at = @now
WHERE r.id = @id`

// subscriptionVersionsSQL returns the version of each subscription's row, which another write changes.
const subscriptionVersionsSQL = `
SELECT
	r.subscription_id,
	r.xmin::text
FROM donations.recurring AS r
WHERE r.stripe_account = @account
	AND r.subscription_id = ANY(@subscriptions::text[])`

// subscriptionVersions returns the present version of each subscription's monthly donation, by subscription. A reading that
// begins afterwards is later than that version. Subscriptions without a monthly donation are left out.
func (s *Service) subscriptionVersions(ctx context.Context, account string, subscriptions ...string) (map[string]string, error) {
	rows, err := s.cfg.Pool.Query(ctx, subscriptionVersionsSQL, pgx.NamedArgs{"account": account, "subscriptions": subscriptions})
	if err != nil {
		return nil, postgres.Error(err)
	}
	versions := map[string]string{}
	var id, version string
	_, err = pgx.ForEachRow(rows, []any{&id, &version}, func() error {
		versions[id] = version
		return nil
	})
	return versions, postgres.Error(err)
}

// ReadSubscription reads a subscription at Stripe and updates its monthly donation. It is safe to repeat. ours is false for a
// subscription that belongs to no monthly donation of this account, or that Stripe does not have.
func (s *Service) ReadSubscription(ctx context.Context, account, id string) (ours bool, err error) {
	versions, err := s.subscriptionVersions(ctx, account, id)
	if err != nil {
		return false, err
	}
	sub, err := s.cfg.Stripe.GetSubscription(ctx, account, id)
	if stripe.KindOf(err) == stripe.Missing {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return s.applySubscription(ctx, account, sub, versions[id])
}

// FindSubscriptions reads many subscriptions by the pages of Stripe's list. It returns, by id, a function for each one that
// it found, which applies the reading as [Service.ReadSubscription] does. After an error it returns those found before it.
func (s *Service) FindSubscriptions(ctx context.Context, account string, wanted []stripe.Wanted) (map[string]func(context.Context) (ours bool, err error), error) {
	ids := make([]string, len(wanted))
	for i, w := range wanted {
		ids[i] = w.ID
	}
	versions, err := s.subscriptionVersions(ctx, account, ids...)
	if err != nil {
		return nil, err
	}
	// The versions were read before: a write during the reading makes it count as old.
	found, err := s.cfg.Stripe.FindSubscriptions(ctx, account, wanted)
	met := make(map[string]func(context.Context) (bool, error), len(found))
	for id, sub := range found {
		met[id] = func(ctx context.Context) (bool, error) { return s.applySubscription(ctx, account, sub, versions[id]) }
	}
	return met, err
}

// applySubscription updates a monthly donation from a reading of its subscription. version is the row's before that reading
// began. If the row has changed since, an end or another amount may be newer than the reading, so the subscription is read
// again. A canceled subscription stays canceled, so such a reading is never old.
func (s *Service) applySubscription(ctx context.Context, account string, sub stripe.Subscription, version string) (ours bool, err error) {
	if err := s.adopt(ctx, account, sub.Recurring, sub.ID); err != nil {
		return false, err
	}
	old := false
	err = postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		// InTx may run this again after a conflict.
		ours, old = false, false
		r, _, err := s.lockRecurringTx(ctx, tx, account, sub.ID)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil {
			return postgres.Error(err)
		}
		// Members can put another price on a subscription. In another currency it is no donation to this campaign.
		if sub.Livemode != r.Livemode || sub.Amount.Currency != r.Amount.Currency {
			return nil
		}
		ours = true
		if old = r.version != version && sub.Status != stripe.SubscriptionCanceled; old {
			return nil
		}
		return s.applySubscriptionTx(ctx, tx, r, sub)
	})
	if err != nil || !old {
		return ours, err
	}
	return s.ReadSubscription(ctx, account, sub.ID)
}

// applySubscriptionTx writes a reading to the locked row, and the notices that follow from it. It writes nothing for a status
// without a state, as of a subscription whose first payment is incomplete, and for a step that the table of states lacks: an
// event that came late.
func (s *Service) applySubscriptionTx(ctx context.Context, tx pgx.Tx, r Recurring, sub stripe.Subscription) error {
	state := recurringState(sub.Status)
	if sub.Status == stripe.SubscriptionIncompleteExpired {
		state = RecurringExpired
		if r.running() { // the first month was paid after Stripe had given it up
			state = RecurringCanceled
		}
	}
	if state != r.State && !r.State.CanBecome(state) {
		return nil
	}
	now := s.now()
	named := pgx.NamedArgs{
		"id": r.ID, "state": string(state), "amount_minor": sub.Amount.Minor, "subscription": sub.ID, "customer": sub.Customer,
		"cancel_at_period_end": sub.EndsWithPeriod(), "period_ends_at": timeOrNull(sub.PeriodEnd), "cancel_at": timeOrNull(sub.CancelAt),
		"paused": sub.Paused, "resumes_at": timeOrNull(sub.ResumesAt), "next_debit_at": timeOrNull(sub.NextDebit()),
		"debit_pending": sub.Latest.UnderWay,
		"ended_at":      (*time.Time)(nil), "end_reason": string(endReason(r, sub, state)), "look_at": s.nextLook(state, sub, now), "now": now,
	}
	if state == RecurringCanceled {
		end := sub.EndedAt
		if end.IsZero() { // it is missing at Stripe
			end = now
		}
		named["ended_at"] = end
	}
	if _, err := tx.Exec(ctx, applySubscriptionSQL, named); err != nil {
		return postgres.Error(err)
	}
	// r is the row before this reading, so these tell what the reading has changed.
	if err := s.mailStartTx(ctx, tx, r, state); err != nil {
		return err
	}
	if err := s.endRefusedTx(ctx, tx, r, sub, state); err != nil {
		return err
	}
	if err := s.tellEndTx(ctx, tx, r, sub, state); err != nil {
		return err
	}
	return s.tellUnpaidTx(ctx, tx, r, sub)
}

// endRefusedTx makes an end with the month one at once when that month's debit was refused: Stripe would collect it again
// until the period's end, and the donor was told that nothing more is taken. It leaves alone an end that members set in
// Stripe's dashboard, since no donor was told of that one here.
func (s *Service) endRefusedTx(ctx context.Context, tx pgx.Tx, r Recurring, sub stripe.Subscription, state RecurringState) error {
	if state != RecurringPastDue || !sub.EndsWithPeriod() || r.EndReason == "" || r.EndReason == EndedAtStripe {
		return nil
	}
	_, err := tx.Exec(ctx, setPendingEndSQL, pgx.NamedArgs{"id": r.ID, "end": string(endNow), "reason": string(r.EndReason), "now": s.now()})
	return postgres.Error(err)
}

// tellUnpaidTx notifies members, once a period, that its payment could not be collected. A paused subscription collects
// nothing.
func (s *Service) tellUnpaidTx(ctx context.Context, tx pgx.Tx, r Recurring, sub stripe.Subscription) error {
	if sub.Status != stripe.SubscriptionPastDue && sub.Status != stripe.SubscriptionUnpaid {
		return nil
	}
	return s.cfg.Notices.TellTx(ctx, tx, notices.Notice{
		Collective: r.Campaign.Collective, Kind: notices.RecurringFailing,
		Key:     r.ID.String() + " " + sub.PeriodEnd.UTC().Format(time.DateOnly),
		Subject: r.Name(), Amount: r.Amount,
	})
}

// endReason returns the reason of an end that began here, and otherwise what Stripe says.
func endReason(r Recurring, sub stripe.Subscription, state RecurringState) EndReason {
	switch {
	case state == RecurringCanceled && sub.EndReason == stripe.PaymentFailed:
		return EndedByFailure
	case r.EndReason != "" && (state == RecurringCanceled || sub.Ends() || r.pendingEnd != ""):
		return r.EndReason
	case state == RecurringCanceled, sub.Ends():
		return EndedAtStripe
	}
	return ""
}

// nextLook is when the subscription is read next if no event comes before; nil for never.
func (s *Service) nextLook(state RecurringState, sub stripe.Subscription, now time.Time) *time.Time {
	look := now.Add(pastDueLook)
	switch state {
	case RecurringCanceled, RecurringExpired:
		return nil
	case RecurringActive:
		// After the period's end, unless a debit needs it earlier; and after each time at which the subscription changes
		// by itself.
		if renewed := sub.PeriodEnd.Add(renewalSlack); renewed.After(now) && !sub.Latest.UnderWay {
			look = renewed
		}
		for _, changes := range []time.Time{sub.CancelAt, sub.ResumesAt} {
			if at := changes.Add(renewalSlack); at.After(now) && at.Before(look) {
				look = at
			}
		}
	}
	return &look
}

func timeOrNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
