package refunds

import (
	"context"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/access"
	"github.com/cagnotte/cagnotte/services/campaigns"
	"github.com/cagnotte/cagnotte/services/donations"
	"github.com/cagnotte/cagnotte/services/internal/errs"
)

// Approve approves a refund, for a member who did not request it, by a key that is older than the request, and has it sent.
// Approving it again with the same key changes nothing. It does not matter whether the requesting key was revoked meanwhile.
// FAILED_PRECONDITION: SECOND_MEMBER_NEEDED, KEY_TOO_YOUNG, REFUND_NOT_AWAITING_APPROVAL, STRIPE_ACCOUNT_DISCONNECTED,
// DONATION_DISPUTED, REFUND_TOO_LARGE.
func (s *Service) Approve(ctx context.Context, campaign campaigns.Name, donation, id uuid.UUID, key string) (Refund, error) {
	if err := s.cfg.Connect.CheckConnected(ctx, campaign.Collective); err != nil {
		return Refund{}, err
	}
	return s.changeRefund(ctx, campaign, donation, id, func(ctx context.Context, tx pgx.Tx, d donations.Donation, r Refund) error {
		// The same key has approved it already, and it may have been sent since.
		if r.ReviewedBy == key && r.State != StateRejected {
			return nil
		}
		review, err := s.reviewByTx(ctx, tx, r, key, r.CreateTime)
		if err != nil {
			return err
		}
		// The donation may have been disputed or refunded since the request, so it is checked again. The refund itself
		// does not count.
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
		if err := s.reviewTx(ctx, tx, r, StateApproved, review); err != nil {
			return err
		}
		return s.submitTx(ctx, tx, r.ID)
	})
}

// payment returns the payment that the refund is of.
func (r Refund) payment(all []refundable) []refundable {
	// Of a payment that is not among them nothing else is known to have gone back.
	own := refundable{intent: r.paymentIntent, paid: r.Amount}
	if i := slices.IndexFunc(all, own.same); i >= 0 {
		own = all[i]
	}
	return []refundable{own}
}

// Reject ends a refund, for a member who did not request it. Rejecting it again with the same key changes nothing.
// FAILED_PRECONDITION: SECOND_MEMBER_NEEDED, REFUND_NOT_AWAITING_APPROVAL.
func (s *Service) Reject(ctx context.Context, campaign campaigns.Name, donation, id uuid.UUID, key string) (Refund, error) {
	return s.changeRefund(ctx, campaign, donation, id, func(ctx context.Context, tx pgx.Tx, _ donations.Donation, r Refund) error {
		if r.ReviewedBy == key && r.State == StateRejected {
			return nil
		}
		review, err := s.reviewByTx(ctx, tx, r, key, time.Time{})
		if err != nil {
			return err
		}
		return s.reviewTx(ctx, tx, r, StateRejected, review)
	})
}

// review is the key that decides about a refund, and the members to whom the requesting and the deciding key belong.
type review struct{ key, asker, second string }

// reviewByTx returns an error unless the key may decide about the refund; see [access.CheckSecondMemberTx].
func (s *Service) reviewByTx(ctx context.Context, tx pgx.Tx, r Refund, key string, since time.Time) (review, error) {
	if r.State != StateAwaitingApproval {
		return review{}, errs.New(errorsv1.ErrorReason_REFUND_NOT_AWAITING_APPROVAL, "The refund is %s and does not await an approval.", r.State)
	}
	asker, second, err := access.CheckSecondMemberTx(ctx, tx, r.Campaign.Collective, r.RequestedBy, key, since)
	return review{key: key, asker: asker, second: second}, err
}
