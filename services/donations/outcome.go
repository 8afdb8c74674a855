package donations

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc/codes"

	"github.com/google/uuid"

	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/internal/stripe"
)

// pollAfter is how long a paid gift may stay unbooked before its payment is asked for by itself. The sync
// that follows every event books it long before, unless its fee comes late.
const pollAfter = time.Minute

// SessionFact is what Stripe said about a session, in an event or when asked.
type SessionFact struct {
	// Account is where the session is: the event's account, or the one that was asked.
	Account string
	Session stripe.Session
	// Failed: a debit that was under way did not come (checkout.session.async_payment_failed). The session
	// itself looks like one whose debit is still under way. Of a monthly gift's first debit Stripe may make another
	// try: its invoice tells when it is given up.
	Failed bool
	// At is when it happened.
	At time.Time
}

// state returns the state that the fact leads to; "" when it leads nowhere.
func (f SessionFact) state() State {
	switch f.Session.Status {
	case stripe.SessionExpired:
		return StateExpired
	case stripe.SessionComplete:
		switch {
		case f.Session.PaymentStatus == stripe.Paid:
			return StateSucceeded
		case f.Session.PaymentStatus != stripe.Unpaid:
			return ""
		// Unpaid is not failed: a debit takes days.
		case f.Session.Subscription != "":
			return StatePending
		case f.Failed || f.Session.IntentStatus == "requires_payment_method" || f.Session.IntentStatus == "canceled":
			return StateFailed
		}
		return StatePending
	}
	return ""
}

// The session may not be stored yet, since an event can be faster than the answer that it comes after: then
// its client_reference_id finds the gift. A recovered session is a copy of the one that expired, and found the
// same way, or by what it is a copy of.
const lockBySessionSQL = `
SELECT` + columns + `
FROM donations.donations AS d
WHERE d.id = @id
	OR d.checkout_session_id IN (@session, @recovered_from)
	OR d.recovered_session_id IN (@session, @recovered_from)
ORDER BY
	d.checkout_session_id IN (@session, @recovered_from) DESC NULLS LAST,
	d.id
LIMIT 1
FOR NO KEY UPDATE`

const applySQL = `
UPDATE donations.donations AS d
SET
	state = @state,
	checkout_session_id = coalesce(d.checkout_session_id, @session),
	recovered_session_id = CASE WHEN @recovered THEN @session ELSE d.recovered_session_id END,
	recovery_url = CASE WHEN @state = 'expired' THEN nullif(@recovery_url, '') ELSE d.recovery_url END,
	recovery_ends_at = CASE WHEN @state = 'expired' THEN @recovery_ends ELSE d.recovery_ends_at END,
	payment_intent_id = CASE
		WHEN @recovered THEN coalesce(nullif(@intent, ''), d.payment_intent_id)
		ELSE coalesce(d.payment_intent_id, nullif(@intent, ''))
	END,
	paid_at = CASE WHEN @state = 'succeeded' THEN coalesce(d.paid_at, @at) ELSE d.paid_at END,
	poll_at = CASE WHEN @state = 'succeeded' THEN @poll_at ELSE d.poll_at END,
	updated_at = @now
WHERE d.id = @id`

// ApplySessionTx moves a gift as far as the fact proves, in the caller's transaction, and locks it until the
// end of that. A fact that is known, older or weaker than what is known changes nothing, so it is safe to
// repeat and in any order. ours is false for a session that belongs to no gift of this account, currency and
// livemode. An amount that differs from the gift's is FAILED_PRECONDITION (AMOUNT_DIFFERS).
func (s *Service) ApplySessionTx(ctx context.Context, tx pgx.Tx, f SessionFact) (ours bool, err error) {
	d, err := collectOne(tx.Query(ctx, lockBySessionSQL, pgx.NamedArgs{
		"id": f.Session.Donation, "session": f.Session.ID, "recovered_from": f.Session.RecoveredFrom,
	}))
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, postgres.Error(err)
	}
	if d.StripeAccount != f.Account || d.Livemode != f.Session.Livemode || string(d.Amount.Currency) != f.Session.Currency {
		return false, nil
	}
	if d.Amount.Minor != f.Session.AmountMinor {
		return true, errs.New(codes.FailedPrecondition, "AMOUNT_DIFFERS", "The session's amount is not the gift's.")
	}
	if err := s.beginSubscriptionTx(ctx, tx, d, f.Session); err != nil {
		return true, err
	}
	next := f.state()
	// An attempt that was left behind may have left a session behind too. Nobody knows its address, and its
	// end says nothing about the gift. Nor does the end of a session that was opened again and not paid.
	if next == StateExpired && d.CheckoutSession != "" && d.CheckoutSession != f.Session.ID {
		return true, nil
	}
	if !d.State.CanBecome(next) {
		return true, nil
	}
	now := s.now()
	var recoveryEnds *time.Time
	if f.Session.RecoveryURL != "" {
		recoveryEnds = &f.Session.RecoveryEnds
	}
	_, err = tx.Exec(ctx, applySQL, pgx.NamedArgs{
		"id": d.ID, "state": string(next), "session": f.Session.ID, "intent": f.Session.PaymentIntent,
		"recovered": f.Session.RecoveredFrom != "", "recovery_url": f.Session.RecoveryURL, "recovery_ends": recoveryEnds,
		"at": f.At, "poll_at": now.Add(pollAfter), "now": now,
	})
	return true, postgres.Error(err)
}

const expireSQL = `
UPDATE donations.donations AS d
SET
	state = 'expired',
	updated_at = @now
WHERE d.id = @id
	AND d.state = 'created'`

// session is the one to ask Stripe about; empty for none.
func (d Donation) session() string { return cmp.Or(d.recoveredSession, d.CheckoutSession) }

// Refresh reads an open gift's session at Stripe and applies what it says. A session that Stripe does not have
// is no page to pay on: its gift has expired, unless a payment is under way. A first month by debit is decided by
// its invoice. It does nothing for a gift whose end is known, or that has no session.
func (s *Service) Refresh(ctx context.Context, id uuid.UUID) error {
	d, err := s.byID(ctx, id)
	if err != nil {
		return postgres.Error(err)
	}
	if !d.State.Open() || d.CheckoutSession == "" {
		return nil
	}
	session, err := s.cfg.Stripe.GetSession(ctx, d.StripeAccount, d.session())
	if stripe.KindOf(err) == stripe.Missing {
		_, err = s.cfg.Pool.Exec(ctx, expireSQL, pgx.NamedArgs{"id": id, "now": s.now()})
		return postgres.Error(err)
	}
	if err != nil {
		return err
	}
	fact := SessionFact{Account: d.StripeAccount, Session: session, At: s.now()}
	if err := s.applySession(ctx, fact); err != nil || session.Invoice == "" || fact.state() != StatePending {
		return err
	}
	inv, err := s.cfg.Stripe.GetInvoice(ctx, d.StripeAccount, session.Invoice)
	if err != nil {
		return err
	}
	_, err = s.ApplyInvoice(ctx, d.StripeAccount, inv)
	return err
}
