package donations

import (
	"bytes"
	"context"
	"errors"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/campaigns"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/wall"
)

// Create starts a donation, or continues the one of the same request id, and returns it with its session. The checks are
// made in this order:
//
//   - PERMISSION_DENIED: ORIGIN_NOT_ALLOWED
//   - ALREADY_EXISTS: REQUEST_ID_REUSED
//   - FAILED_PRECONDITION: CAMPAIGN_NOT_OPEN, STRIPE_ACCOUNT_DISCONNECTED, STRIPE_ACCOUNT_NOT_READY; NOT_FOUND for a
//     campaign that is not there, or a draft
//   - INVALID_ARGUMENT: CURRENCY_MISMATCH, AMOUNT_TOO_SMALL, AMOUNT_TOO_LARGE, FEE_COVER_UNAVAILABLE,
//     RETURN_URL_NOT_ALLOWED
//   - FAILED_PRECONDITION: CHALLENGE_REQUIRED; RESOURCE_EXHAUSTED: TOO_MANY_DONATIONS; only for a new donation
//   - UNAVAILABLE: CARDS_PAUSED, with the time to wait, while the campaign's card way is closed; only for a new donation
//   - UNAVAILABLE: STRIPE_UNAVAILABLE, with the time to wait; the same request continues the donation
//
// A donation that has a session is returned even if its campaign has closed since.
func (s *Service) Create(ctx context.Context, in Intent) (Donation, error) {
	if in.Locale == "" {
		in.Locale = campaigns.French
	}
	campaign, err := s.cfg.Campaigns.Get(ctx, in.Campaign)
	if err == nil && campaign.State == campaigns.StateDraft {
		err = errs.NotFound(in.Campaign.String()) // a draft is not disclosed
	}
	if err != nil {
		return Donation{}, err
	}
	if in.Origin != "" && !s.allowed(campaign, in.Origin) {
		return Donation{}, errs.New(errorsv1.ErrorReason_ORIGIN_NOT_ALLOWED, "This origin is not allowed to take donations for %s.", in.Campaign)
	}
	d, err := s.byRequest(ctx, in.Campaign, in.RequestID)
	if errors.Is(err, pgx.ErrNoRows) {
		d, err = s.start(ctx, campaign, in)
	}
	if err != nil {
		return Donation{}, err
	}
	if !bytes.Equal(d.fingerprint, in.fingerprint()) {
		return Donation{}, errs.New(errorsv1.ErrorReason_REQUEST_ID_REUSED, "The request id belongs to another donation.")
	}
	if d.CheckoutSession != "" || d.State != StateCreated {
		return d, nil
	}
	// The campaign was open when the donation was started. Without a session it can still be refused.
	if err := s.accepts(ctx, campaign); err != nil {
		return Donation{}, err
	}
	return s.openSession(ctx, d.ID, campaign)
}

// accepts returns an error unless the campaign is open and its collective can take payments.
func (s *Service) accepts(ctx context.Context, campaign campaigns.Campaign) error {
	if err := campaign.AcceptsDonations(s.now()); err != nil {
		return err
	}
	return s.cfg.Connect.CheckTakesDonations(ctx, campaign.Name.Collective)
}

// start stores the intent. Of two equal requests one stores it, and both return it.
func (s *Service) start(ctx context.Context, campaign campaigns.Campaign, in Intent) (Donation, error) {
	now := s.now()
	if err := s.accepts(ctx, campaign); err != nil {
		return Donation{}, err
	}
	if err := checkAmount(campaign, "donation.amount", in.Amount); err != nil {
		return Donation{}, err
	}
	whole, feeCover, err := s.whole(in)
	if err != nil {
		return Donation{}, err
	}
	if err := s.checkReturnURL(campaign, in.ReturnURL); err != nil {
		return Donation{}, err
	}
	collective, err := s.cfg.Collectives.Get(ctx, in.Campaign.Collective)
	if err != nil {
		return Donation{}, err
	}
	attempt := wall.Attempt{
		Kind: wall.Card, Address: in.Address, Campaign: in.Campaign.String(), Account: collective.StripeAccount,
		Amount: in.Amount, Solution: in.Solution,
	}
	// Before anything is written, so that an attack leaves nothing behind.
	if err := s.cfg.Wall.Check(ctx, attempt); err != nil {
		return Donation{}, err
	}
	id := uuid.Must(uuid.NewV7())
	err = postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		account, err := s.cfg.Collectives.MarkInUseTx(ctx, tx, in.Campaign.Collective)
		if err != nil {
			return err
		}
		// A monthly donation has the id of its first month.
		recurring := uuid.Nil
		if in.Monthly {
			recurring = id
		}
		inserted, err := insertTx(ctx, tx, Donation{
			Recurring: recurring,
			ID:        id, Campaign: in.Campaign, Amount: whole, FeeCover: feeCover, Locale: in.Locale, ReturnURL: in.ReturnURL,
			StripeAccount: account, Livemode: s.cfg.Stripe.Livemode(), CreateTime: now, fingerprint: in.fingerprint(),
		}, in.RequestID)
		// An equal request was first. Its donation was counted in the limit, so this one is not.
		if err != nil || !inserted {
			return err
		}
		if in.Monthly {
			if err := beginRecurringTx(ctx, tx, id); err != nil {
				return err
			}
		}
		if err := s.cfg.CardWays.EnterTx(ctx, tx, cardWay(in.Campaign, account)); err != nil {
			return err
		}
		// Last, since it locks the rows of the network until the commit.
		attempt.Account = account
		return s.cfg.Wall.TakeTx(ctx, tx, attempt)
	})
	if err != nil {
		return Donation{}, err
	}
	d, err := s.byRequest(ctx, in.Campaign, in.RequestID)
	return d, postgres.Error(err)
}
