package refunds

import (
	"context"
	"errors"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/donations"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/internal/stripe"
	"github.com/cagnotte/cagnotte/services/money"
	"github.com/cagnotte/cagnotte/services/notices"
)

// Read reads a refund at Stripe and updates the stored one, or adds it if it was made at Stripe. It may be called any number of
// times and in any order, outside a transaction. ours is false for a refund of a payment that is no donation.
func (s *Service) Read(ctx context.Context, account, id string) (ours bool, err error) {
	r, err := s.cfg.Stripe.GetRefund(ctx, account, id)
	if err != nil {
		return false, notThere(err)
	}
	return s.readRefunds(ctx, account, []stripe.Refund{r})
}

// ReadOfCharge is Read for all refunds of a charge. An event about a charge has only the sum of its refunds.
func (s *Service) ReadOfCharge(ctx context.Context, account, charge string) (ours bool, err error) {
	all, err := s.cfg.Stripe.ListRefundsOfCharge(ctx, account, charge)
	if err != nil {
		return false, notThere(err)
	}
	return s.readRefunds(ctx, account, all)
}

// notThere drops the error of an object that Stripe does not have: it is not ours.
func notThere(err error) error {
	if stripe.KindOf(err) == stripe.Missing {
		return nil
	}
	return err
}

// readRefunds applies refunds of one charge.
func (s *Service) readRefunds(ctx context.Context, account string, all []stripe.Refund) (ours bool, err error) {
	// Without a refund there is no payment to look for.
	if len(all) == 0 {
		return false, nil
	}
	// One charge has one payment, and so one donation.
	match, err := s.cfg.Donations.PaymentOf(ctx, account, donations.Payment{Intent: all[0].PaymentIntent, Charge: all[0].Charge})
	if err != nil || match.Donation == uuid.Nil {
		return false, err
	}
	for _, r := range all {
		// Each in a transaction of its own. Those that were applied before an error stay.
		if err := s.applyRefund(ctx, match, account, r); err != nil {
			return true, err
		}
	}
	return true, nil
}

// refundByStripeSQL finds a refund by Stripe's id, which refunds_stripe_key makes unique in its account.
const refundByStripeSQL = refundSelect + `
WHERE r.stripe_account = @account
	AND r.stripe_refund_id = @stripe_refund`

// applyRefundSQL writes a reading. The caller holds the donation's lock and has checked that the step is one.
const applyRefundSQL = `
UPDATE refunds.refunds AS r
SET
	state = @state,
	stripe_refund_id = @stripe_refund,
	failure_reason = @failure_reason,
	look_at = @look_at,
	updated_at = @now
WHERE r.id = @id`

// addRefundSQL stores a refund that was made at Stripe, by a member in the dashboard or by Stripe itself. It has no
// request, no note and no key. created_at is Stripe's, so lists have it in its place.
const addRefundSQL = `
INSERT INTO refunds.refunds (
	id,
	donation,
	collective,
	stripe_account,
	payment_intent_id,
	origin,
	stripe_refund_id,
	amount_minor,
	currency,
	reason,
	state,
	failure_reason,
	look_at,
	created_at,
	updated_at
)
VALUES (
	@id,
	@donation,
	@collective,
	@account,
	@intent,
	'stripe',
	@stripe_refund,
	@amount_minor,
	@currency,
	@reason,
	@state,
	@failure_reason,
	@look_at,
	@created_at,
	@now
)`

// applyRefund stores what Stripe says of a refund of the donation. What is known, or older than what is known, changes nothing.
// Members get a notice of a refund that failed.
func (s *Service) applyRefund(ctx context.Context, match donations.Match, account string, is stripe.Refund) error {
	return postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		// The lock orders two readings of one refund, so that both cannot add it, and keeps requests from counting in
		// between.
		d, err := s.cfg.Donations.LockTx(ctx, tx, match.Donation)
		if err != nil {
			return postgres.Error(err)
		}
		r, err := s.knownRefundTx(ctx, tx, d, account, is)
		if err != nil {
			return err
		}
		now, next := s.now(), stateOf(is.Status)
		// What both statements need; the one for a new row gets the rest below.
		named := pgx.NamedArgs{
			"id": r.ID, "stripe_refund": is.ID, "state": string(next), "failure_reason": is.FailureReason,
			"look_at": lookAt(next, now), "now": now,
		}
		switch {
		case r.ID == uuid.Nil: // made at Stripe
			r.ID = uuid.Must(uuid.NewV7())
			r.Campaign, r.Donation = d.Campaign, d.ID
			r.Amount.Minor, r.Amount.Currency = is.AmountMinor, money.Currency(is.Currency)
			named["id"], named["donation"], named["collective"], named["account"] = r.ID, d.ID, d.Campaign.Collective, account
			named["intent"], named["amount_minor"], named["currency"] = is.PaymentIntent, is.AmountMinor, is.Currency
			named["reason"], named["created_at"] = string(reasonOf(is.Reason)), is.Created
			_, err = tx.Exec(ctx, addRefundSQL, named)
		// The table of states excludes older readings: no state goes back.
		case r.State.CanBecome(next):
			_, err = tx.Exec(ctx, applyRefundSQL, named)
		default: // known, or older than what is known
			return nil
		}
		// Only a failure needs members: the money did not reach the donor.
		if err != nil || next != StateFailed {
			return postgres.Error(err)
		}
		return s.tellRefundTx(ctx, tx, notices.RefundFailed, r)
	})
}

// knownRefundTx returns the stored refund for one of Stripe's; a zero Refund for one that was made at Stripe and is new.
// Everybody who may use Stripe's dashboard can write metadata, so a refund that it names counts only if that is submitted,
// with the same donation, amount and payment.
func (s *Service) knownRefundTx(ctx context.Context, tx pgx.Tx, d donations.Donation, account string, is stripe.Refund) (Refund, error) {
	// A refund that has Stripe's id is the one. One without it may be ours, whose answer was lost.
	r, err := collectRefund(tx.Query(ctx, refundByStripeSQL, pgx.NamedArgs{"account": account, "stripe_refund": is.ID}))
	if !errors.Is(err, pgx.ErrNoRows) {
		return r, postgres.Error(err)
	}
	r, err = collectRefund(tx.Query(ctx, refundByIDSQL, pgx.NamedArgs{"id": is.Refund}))
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return Refund{}, nil
	case err != nil:
		return Refund{}, postgres.Error(err)
	// The metadata names a refund that this one is not.
	case r.Donation != d.ID || r.State != StateSubmitted || r.Amount.Minor != is.AmountMinor || r.paymentIntent != is.PaymentIntent:
		return Refund{}, nil
	}
	return r, nil
}
