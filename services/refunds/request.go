package refunds

import (
	"bytes"
	"context"
	"errors"
	"strconv"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/access"
	"github.com/cagnotte/cagnotte/services/audit"
	"github.com/cagnotte/cagnotte/services/campaigns"
	"github.com/cagnotte/cagnotte/services/donations"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/fingerprint"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/money"
	"github.com/cagnotte/cagnotte/services/notices"
)

// Request is a member's request for a refund.
type Request struct {
	Campaign  campaigns.Name
	Donation  uuid.UUID
	RequestID uuid.UUID
	// Amount is how much; the zero Amount for all that is left of one payment.
	Amount money.Amount
	Reason Reason
	Note   string
	// Key is the resource name of the API key that requests it.
	Key string
	// AllowDebit allows the refund of a SEPA debit that the donor's bank can also take back; see [Claim].
	AllowDebit bool
}

// fingerprint tells whether two requests with one id ask for the same.
func (in Request) fingerprint() []byte {
	fields := fingerprint.Fields{"currency": string(in.Amount.Currency), "reason": string(in.Reason), "note": in.Note}
	if in.Amount.Minor != 0 {
		fields["amount_minor"] = strconv.FormatInt(in.Amount.Minor, 10)
	}
	return fingerprint.Of(fields)
}

// refundByRequestSQL finds the refund of a request id, which is unique in its donation, by refunds_request_key.
const refundByRequestSQL = refundSelect + `
WHERE r.donation = @donation
	AND r.request_id = @request_id`

// Create stores a refund, or returns the one of the same request id; the same id with other content is ALREADY_EXISTS
// (REQUEST_ID_REUSED). A job sends it to Stripe after the commit, unless a second member must approve it first. A donation
// that does not exist is NOT_FOUND. Other errors, in this order:
//
//   - INVALID_ARGUMENT: CURRENCY_MISMATCH
//   - FAILED_PRECONDITION: DONATION_NOT_PAID, DONATION_NOT_AT_STRIPE, DONATION_DISPUTED, STRIPE_ACCOUNT_DISCONNECTED,
//     REFUND_TOO_LARGE, DEBIT_CAN_BE_CLAIMED
func (s *Service) Create(ctx context.Context, in Request) (Refund, error) {
	if _, err := s.cfg.Donations.Get(ctx, in.Campaign, in.Donation); err != nil {
		return Refund{}, err
	}
	collective, err := s.cfg.Collectives.Get(ctx, in.Campaign.Collective)
	if err != nil {
		return Refund{}, err
	}
	// It matters only if the refund is new.
	disconnected := s.cfg.Connect.CheckConnected(ctx, in.Campaign.Collective)
	var refund Refund
	err = postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		// The lock makes concurrent requests count one after the other what is left.
		d, err := s.cfg.Donations.LockTx(ctx, tx, in.Donation)
		if err != nil {
			return err
		}
		refund, err = collectRefund(tx.Query(ctx, refundByRequestSQL, pgx.NamedArgs{"donation": d.ID, "request_id": in.RequestID}))
		switch {
		// A repeat returns the refund in its present state.
		case err == nil && !bytes.Equal(refund.fingerprint, in.fingerprint()):
			return errs.New(errorsv1.ErrorReason_REQUEST_ID_REUSED, "The request id belongs to another refund.")
		case !errors.Is(err, pgx.ErrNoRows):
			return postgres.Error(err)
		}
		all, err := refundableTx(ctx, tx, d, uuid.Nil)
		if err != nil {
			return err
		}
		payment, amount, err := refundOf(d, in, all, disconnected)
		if err != nil {
			return err
		}
		if !in.AllowDebit {
			if err := claimOn(d, payment, s.now()).check(s.now()); err != nil {
				return err
			}
		}
		// One member alone may refund up to the collective's threshold.
		state := StateApproved
		if needsApproval(all, amount, collective.RefundApproval) {
			state = StateAwaitingApproval
			if err := access.CheckAskerTx(ctx, tx, in.Campaign.Collective, in.Key); err != nil {
				return err
			}
		}
		refund, err = s.insertRefundTx(ctx, tx, d, in, payment.intent, amount, state)
		if err != nil {
			return err
		}
		if state == StateApproved {
			err = s.submitTx(ctx, tx, refund.ID)
		} else {
			err = s.tellRefundTx(ctx, tx, notices.RefundAwaitingApproval, refund)
		}
		if err != nil {
			return err
		}
		// The note is left out: somebody may have written who gave.
		return audit.WriteTx(ctx, tx, audit.Change{
			Collective: refund.Campaign.Collective, Resource: refund.Name(),
			After: audit.Fields{"state": string(refund.State), "amount": refund.Amount.String(), "reason": string(refund.Reason)},
		})
	})
	return refund, err
}

// Cancel cancels a refund, for the member who requested it, by any of their keys. Canceling it again changes nothing.
// FAILED_PRECONDITION: ANOTHER_MEMBERS_REFUND, REFUND_ALREADY_SENT.
func (s *Service) Cancel(ctx context.Context, campaign campaigns.Name, donation, id uuid.UUID, key string) (Refund, error) {
	return s.changeRefund(ctx, campaign, donation, id, func(ctx context.Context, tx pgx.Tx, _ donations.Donation, r Refund) error {
		same, err := access.SameMemberTx(ctx, tx, r.RequestedBy, key)
		switch {
		case err != nil:
			return err
		case !same:
			return errs.New(errorsv1.ErrorReason_ANOTHER_MEMBERS_REFUND, "Only the member who requested a refund can cancel it.")
		case r.State == StateCanceled:
			return nil
		case r.State != StateAwaitingApproval && r.State != StateApproved:
			return errs.New(errorsv1.ErrorReason_REFUND_ALREADY_SENT, "The refund is %s and cannot be canceled any more.", r.State)
		}
		return s.moveRefundTx(ctx, tx, r, StateCanceled, "")
	})
}
