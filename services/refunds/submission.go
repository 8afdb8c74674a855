package refunds

import (
	"context"
	"errors"
	"net/http"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/donations"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/internal/stripe"
	"github.com/cagnotte/cagnotte/services/notices"
)

// submitTx inserts the job that sends a refund to Stripe after the commit.
func (s *Service) submitTx(ctx context.Context, tx pgx.Tx, id uuid.UUID) error {
	_, err := s.cfg.Jobs.InsertTx(ctx, tx, submitRefundArgs{Refund: id}, nil)
	return postgres.Error(err)
}

// From here on the refund may have reached Stripe. The state is stored before the call for that reason. A refund that
// another job took is not changed, so that submitted_at stays the time of the first call. The update needs no lock of
// the donation: the refund counts as before.
const takeRefundSQL = `
UPDATE refunds.refunds AS r
SET
	state = 'submitted',
	attempt = 1,
	submitted_at = @now,
	look_at = @look_at,
	updated_at = @now
WHERE r.id = @id
	AND r.state = 'approved'`

// Submit sends an approved refund to Stripe. It stores the state submitted before the call, whose answer may be lost. A refund
// that may have reached Stripe is first looked for among the payment's refunds. If it is not there it is sent again under the
// same idempotency key, or, after Stripe repeated a failure under that key, under another. So the money goes back once. A
// refund that Stripe does not accept becomes failed, and members get a notice. After an error the caller tries again.
func (s *Service) Submit(ctx context.Context, id uuid.UUID) error {
	now := s.now()
	// Of several jobs one takes the refund, and makes its first call.
	taken, err := s.cfg.Pool.Exec(ctx, takeRefundSQL, pgx.NamedArgs{"id": id, "now": now, "look_at": lookAt(StateSubmitted, now)})
	if err != nil {
		return postgres.Error(err)
	}
	r, err := collectRefund(s.cfg.Pool.Query(ctx, refundByIDSQL, pgx.NamedArgs{"id": id}))
	if err != nil {
		return postgres.Error(err)
	}
	if r.State != StateSubmitted { // it was canceled, or its answer is stored
		return nil
	}
	if taken.RowsAffected() == 0 { // an earlier call may have made it
		if found, err := s.findSubmitted(ctx, r); err != nil || found {
			return err
		}
	}
	// The currency is checked at Stripe, since no parameter of the call says in which one the amount is.
	failure, err := s.checkPayment(ctx, r)
	if err != nil {
		return err
	}
	if failure != "" {
		return s.refuse(ctx, r, failure)
	}
	made, err := s.cfg.Stripe.CreateRefund(ctx, stripe.RefundParams{
		Account: r.StripeAccount, Refund: r.ID, Attempt: r.attempt, PaymentIntent: r.paymentIntent,
		AmountMinor: r.Amount.Minor, Reason: r.Reason.stripe(),
	})
	if err == nil {
		return s.applyRefund(ctx, donations.Match{Donation: r.Donation}, r.StripeAccount, made)
	}
	// Stripe has answered that it will not make this refund.
	if failure = refusal(err); failure != "" {
		return s.refuse(ctx, r, failure)
	}
	// A failure that is not a repeated answer may come from a proxy before Stripe, while Stripe makes the refund.
	if failed := new(stripe.Error); errors.As(err, &failed) && failed.Kind == stripe.Failed && failed.Replayed {
		// The job's next run sends it under the new key. The error is returned, so that River runs the job again.
		return errors.Join(err, s.nextAttempt(ctx, r))
	}
	return err
}

// checkPayment returns why a refund must not be sent; empty for no reason. Stripe takes the amount of a refund to be in the
// payment's currency, so both must be the same.
func (s *Service) checkPayment(ctx context.Context, r Refund) (failure string, err error) {
	payment, err := s.cfg.Stripe.GetPaymentIntent(ctx, r.StripeAccount, r.paymentIntent)
	switch {
	case err != nil && refusal(err) != "":
		return refusal(err), nil
	case err != nil:
		return "", err
	case payment.Currency != string(r.Amount.Currency):
		return "PAID_IN_ANOTHER_CURRENCY", nil
	}
	return "", nil
}

// findSubmitted looks for a refund that an earlier call made, by our id in its metadata, and applies it.
func (s *Service) findSubmitted(ctx context.Context, r Refund) (found bool, err error) {
	known, err := s.cfg.Stripe.ListRefundsOfPayment(ctx, r.StripeAccount, r.paymentIntent)
	if err != nil {
		return false, err
	}
	for _, k := range known {
		if k.Refund == r.ID {
			return true, s.applyRefund(ctx, donations.Match{Donation: r.Donation}, r.StripeAccount, k)
		}
	}
	return false, nil
}

// refusal returns why Stripe does not accept a refund, as a failure reason; empty for a failure that may pass. A key that lacks
// a permission is such a failure: the operator can correct it.
func refusal(err error) string {
	var e *stripe.Error
	if !errors.As(err, &e) || e.Kind != stripe.Refused && e.Kind != stripe.Missing {
		return ""
	}
	switch {
	// The account was disconnected. This comes before the status, which is 403 too.
	case e.Code == "account_invalid":
		return "STRIPE_ACCOUNT_DISCONNECTED"
	case e.Status == http.StatusForbidden:
		return ""
	case e.Code == "charge_disputed":
		return "DONATION_DISPUTED"
	case e.Code == "charge_already_refunded":
		return "ALREADY_REFUNDED"
	case e.Code == "balance_insufficient", e.Code == "insufficient_funds":
		return "BALANCE_INSUFFICIENT"
	case e.Param == "amount":
		return "REFUND_TOO_LARGE"
	}
	return "REFUSED_BY_STRIPE"
}

// Another attempt is another idempotency key. Of two jobs that saw the same failure one makes the next attempt.
const nextAttemptSQL = `
UPDATE refunds.refunds AS r
SET
	attempt = r.attempt + 1,
	updated_at = @now
WHERE r.id = @id
	AND r.attempt = @attempt
	AND r.state = 'submitted'`

// nextAttempt has the next call made under another idempotency key.
func (s *Service) nextAttempt(ctx context.Context, r Refund) error {
	_, err := s.cfg.Pool.Exec(ctx, nextAttemptSQL, pgx.NamedArgs{"id": r.ID, "attempt": r.attempt, "now": s.now()})
	return postgres.Error(err)
}

// refuse ends a refund that Stripe does not accept, unless its state changed meanwhile, and gives members notice.
func (s *Service) refuse(ctx context.Context, r Refund, failure string) error {
	_, err := s.changeRefund(ctx, r.Campaign, r.Donation, r.ID, func(ctx context.Context, tx pgx.Tx, _ donations.Donation, r Refund) error {
		// r is the refund as it is under the lock. A reading may have found it at Stripe meanwhile.
		if r.State != StateSubmitted {
			return nil
		}
		if err := s.moveRefundTx(ctx, tx, r, StateFailed, failure); err != nil {
			return err
		}
		return s.tellRefundTx(ctx, tx, notices.RefundFailed, r)
	})
	return err
}
