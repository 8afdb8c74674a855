package refunds

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/campaigns"
	"github.com/cagnotte/cagnotte/services/collectives"
	"github.com/cagnotte/cagnotte/services/donations"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

// CreateRefund stores the wish to give a donation back, or returns the refund of the same request id; the same with
// another content is ALREADY_EXISTS (REQUEST_ID_REUSED). A job sends it to Stripe after the commit, unless a
// second member must approve it first. A donation that is not there is NOT_FOUND. In this order,
//
//   - INVALID_ARGUMENT: CURRENCY_MISMATCH
//   - FAILED_PRECONDITION: DONATION_NOT_PAID, DONATION_NOT_AT_STRIPE, DONATION_DISPUTED, STRIPE_ACCOUNT_DISCONNECTED,
//     REFUND_TOO_LARGE, DEBIT_CAN_BE_CLAIMED
func (s *Service) CreateRefund(ctx context.Context, in RefundRequest) (Refund, error) {
	if _, err := s.cfg.Donations.Get(ctx, in.Campaign, in.Donation); err != nil {
		return Refund{}, err
	}
	collective, err := s.cfg.Collectives.Get(ctx, in.Campaign.Collective)
	if err != nil {
		return Refund{}, err
	}
	// Said only when the refund is new.
	disconnected := s.cfg.Collectives.CheckConnected(ctx, in.Campaign.Collective)
	var refund Refund
	err = postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		// Who holds the donation's row counts what goes back of it alone.
		d, err := s.cfg.Donations.LockTx(ctx, tx, in.Donation)
		if err != nil {
			return err
		}
		refund, err = collectRefund(tx.Query(ctx, refundByRequestSQL, pgx.NamedArgs{"donation": d.ID, "request_id": in.RequestID}))
		switch {
		case err == nil && !bytes.Equal(refund.fingerprint, in.fingerprint()):
			return errs.New(errorsv1.ErrorReason_REQUEST_ID_REUSED, "The request id stands for another refund.")
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
		state := RefundApproved
		if needsApproval(all, amount, collective.RefundApproval) {
			state = RefundAwaitingApproval
		}
		refund, err = s.insertRefundTx(ctx, tx, d, in, payment.intent, amount, state)
		if err != nil {
			return err
		}
		if state == RefundApproved {
			return s.submitTx(ctx, tx, refund.ID)
		}
		return s.tellRefundTx(ctx, tx, collectives.NoticeRefundAwaitingApproval, refund)
	})
	return refund, err
}

// ApproveRefund lets a refund go, for a member who did not ask for it, by a key that is older than the request. The same
// key may say so again. That the key which asked was revoked meanwhile changes nothing: the second member decides.
// FAILED_PRECONDITION: SECOND_MEMBER_NEEDED, KEY_TOO_YOUNG, REFUND_NOT_AWAITING_APPROVAL, and what is wrong with the donation
// by now.
func (s *Service) ApproveRefund(ctx context.Context, campaign campaigns.Name, donation, id uuid.UUID, key string) (Refund, error) {
	if err := s.cfg.Collectives.CheckConnected(ctx, campaign.Collective); err != nil {
		return Refund{}, err
	}
	return s.changeRefund(ctx, campaign, donation, id, func(ctx context.Context, tx pgx.Tx, d donations.Donation, r Refund) error {
		if r.ReviewedBy == key && r.State != RefundRejected {
			return nil
		}
		review, err := s.reviewByTx(ctx, tx, r, key, r.CreateTime)
		if err != nil {
			return err
		}
		all, err := refundableTx(ctx, tx, d, r.ID)
		if err != nil {
			return err
		}
		open, err := checkRefundable(d, r.payment(all))
		if err == nil {
			_, err = choose(d, open, r.Amount)
		}
		if err != nil {
			return err
		}
		if err := s.reviewTx(ctx, tx, r, RefundApproved, review); err != nil {
			return err
		}
		return s.submitTx(ctx, tx, r.ID)
	})
}

// payment is the one that the refund is of.
func (r Refund) payment(all []refundable) []refundable {
	own := refundable{intent: r.paymentIntent, paid: r.Amount}
	if i := slices.IndexFunc(all, own.same); i >= 0 {
		own = all[i]
	}
	return []refundable{own}
}

// RejectRefund ends a refund, for a member who did not ask for it. The same member may say so again.
// FAILED_PRECONDITION: SECOND_MEMBER_NEEDED, REFUND_NOT_AWAITING_APPROVAL.
func (s *Service) RejectRefund(ctx context.Context, campaign campaigns.Name, donation, id uuid.UUID, key string) (Refund, error) {
	return s.changeRefund(ctx, campaign, donation, id, func(ctx context.Context, tx pgx.Tx, _ donations.Donation, r Refund) error {
		if r.ReviewedBy == key && r.State == RefundRejected {
			return nil
		}
		review, err := s.reviewByTx(ctx, tx, r, key, time.Time{})
		if err != nil {
			return err
		}
		return s.reviewTx(ctx, tx, r, RefundRejected, review)
	})
}

// review is who decides about a refund, and for whom the keys stand.
type review struct{ key, asker, second string }

// reviewByTx is an error unless the key may decide about the refund; see [collectives.Service.CheckSecondMemberTx].
func (s *Service) reviewByTx(ctx context.Context, tx pgx.Tx, r Refund, key string, since time.Time) (review, error) {
	if r.State != RefundAwaitingApproval {
		return review{}, errs.New(errorsv1.ErrorReason_REFUND_NOT_AWAITING_APPROVAL, "The refund is %s: nobody has to approve it.", r.State)
	}
	asker, second, err := s.cfg.Collectives.CheckSecondMemberTx(ctx, tx, r.RequestedBy, key, since)
	return review{key: key, asker: asker, second: second}, err
}

// CancelRefund calls a refund off, for the member who asked for it, by any key of theirs. FAILED_PRECONDITION: ANOTHER_MEMBERS_REFUND,
// REFUND_ALREADY_SENT.
func (s *Service) CancelRefund(ctx context.Context, campaign campaigns.Name, donation, id uuid.UUID, key string) (Refund, error) {
	return s.changeRefund(ctx, campaign, donation, id, func(ctx context.Context, tx pgx.Tx, _ donations.Donation, r Refund) error {
		same, err := s.cfg.Collectives.SameMemberTx(ctx, tx, r.RequestedBy, key)
		switch {
		case err != nil:
			return err
		case !same:
			return errs.New(errorsv1.ErrorReason_ANOTHER_MEMBERS_REFUND, "Only the member who asked for a refund can call it off.")
		case r.State == RefundCanceled:
			return nil
		case r.State != RefundAwaitingApproval && r.State != RefundApproved:
			return errs.New(errorsv1.ErrorReason_REFUND_ALREADY_SENT, "The refund is %s: it cannot be called off.", r.State)
		}
		return s.moveRefundTx(ctx, tx, r, RefundCanceled, "")
	})
}

// changeRefund locks the donation, then the refund, as all do who change one, and returns it as it is then.
func (s *Service) changeRefund(ctx context.Context, campaign campaigns.Name, donation, id uuid.UUID,
	change func(context.Context, pgx.Tx, donations.Donation, Refund) error,
) (refund Refund, err error) {
	missing := errs.NotFound(Refund{Campaign: campaign, Donation: donation, ID: id}.Name())
	err = postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		d, err := s.cfg.Donations.LockTx(ctx, tx, donation)
		if errors.Is(err, pgx.ErrNoRows) || err == nil && d.Campaign != campaign {
			return missing
		}
		if err != nil {
			return postgres.Error(err)
		}
		refund, err = collectRefund(tx.Query(ctx, lockRefundSQL, pgx.NamedArgs{"id": id}))
		if errors.Is(err, pgx.ErrNoRows) || err == nil && refund.Donation != donation {
			return missing
		}
		if err != nil {
			return postgres.Error(err)
		}
		if err := change(ctx, tx, d, refund); err != nil {
			return err
		}
		refund, err = collectRefund(tx.Query(ctx, refundByIDSQL, pgx.NamedArgs{"id": id}))
		return postgres.Error(err)
	})
	return refund, err
}

// tellRefundTx tells the members of the collective, once for each kind.
func (s *Service) tellRefundTx(ctx context.Context, tx pgx.Tx, kind collectives.NoticeKind, r Refund) error {
	return s.cfg.Collectives.TellTx(ctx, tx, collectives.Notice{
		Collective: r.Campaign.Collective, Kind: kind, Key: r.ID.String(), Subject: r.Name(), Amount: r.Amount,
	})
}
