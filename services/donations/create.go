package donations

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc/codes"

	"github.com/cagnotte/cagnotte/services/campaigns"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/internal/stripe"
)

const (
	// createBudget bounds all calls to Stripe of one Create: a donor is answered within ten seconds.
	createBudget = 8 * time.Second
	// storeTimeout bounds the writes that must happen even when the caller has gone away.
	storeTimeout = 5 * time.Second
	// busyPause is how long to wait for a twin that holds the idempotency key.
	busyPause = 150 * time.Millisecond
	// minSessionLeft is Stripe's shortest session, 30 min, with a minute for the difference of two clocks. An
	// attempt that has less left would be refused, and a new one is made.
	minSessionLeft = 31 * time.Minute
)

// Create starts a gift, or continues the one of the same request id, and returns it with its session. The
// order of the checks is that of the errors in the contract:
//
//   - PERMISSION_DENIED: ORIGIN_NOT_ALLOWED
//   - ALREADY_EXISTS: REQUEST_ID_REUSED
//   - FAILED_PRECONDITION: CAMPAIGN_NOT_OPEN; NOT_FOUND for a campaign that is not there
//   - INVALID_ARGUMENT: CURRENCY_MISMATCH, AMOUNT_TOO_SMALL, AMOUNT_TOO_LARGE, RETURN_URL_NOT_ALLOWED
//   - RESOURCE_EXHAUSTED: TOO_MANY_GIFTS; only for a new gift
//   - UNAVAILABLE: STRIPE_UNAVAILABLE; the gift stays, and the same request continues it
//
// A gift whose session exists is answered whatever became of its campaign.
func (s *Service) Create(ctx context.Context, in Intent) (Donation, error) {
	if in.Locale == "" {
		in.Locale = campaigns.French
	}
	campaign, err := s.cfg.Campaigns.Get(ctx, in.Campaign)
	if err != nil {
		return Donation{}, err
	}
	if in.Origin != "" && !s.allowed(campaign, in.Origin) {
		return Donation{}, errs.New(codes.PermissionDenied, "ORIGIN_NOT_ALLOWED", "Pages of this origin may not take gifts for %s.", in.Campaign)
	}
	d, err := s.byRequest(ctx, in.Campaign, in.RequestID)
	if errors.Is(err, pgx.ErrNoRows) {
		d, err = s.start(ctx, campaign, in)
	}
	if err != nil {
		return Donation{}, err
	}
	if !bytes.Equal(d.fingerprint, in.fingerprint()) {
		return Donation{}, errs.Exists("REQUEST_ID_REUSED", "The request id stands for another gift.")
	}
	if d.CheckoutSession != "" || d.State != StateCreated {
		return d, nil
	}
	// It was started while the campaign was open; without a page to pay on, it can still be stopped.
	if err := campaign.AcceptsGifts(s.now()); err != nil {
		return Donation{}, err
	}
	return s.openSession(ctx, d, campaign.Title(d.Locale))
}

// start stores the intent. Of two equal requests one stores it, and both return it.
func (s *Service) start(ctx context.Context, campaign campaigns.Campaign, in Intent) (Donation, error) {
	now := s.now()
	if err := campaign.AcceptsGifts(now); err != nil {
		return Donation{}, err
	}
	if err := checkAmount(campaign, in.Amount); err != nil {
		return Donation{}, err
	}
	if err := s.checkReturnURL(campaign, in.ReturnURL); err != nil {
		return Donation{}, err
	}
	id := s.cfg.NewID()
	err := postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		account, err := s.cfg.Collectives.MarkInUseTx(ctx, tx, in.Campaign.Collective)
		if err != nil {
			return err
		}
		inserted, err := insertTx(ctx, tx, Donation{
			ID: id, Campaign: in.Campaign, Amount: in.Amount, Locale: in.Locale, ReturnURL: in.ReturnURL,
			StripeAccount: account, Livemode: s.cfg.Stripe.Livemode(), CreateTime: now, fingerprint: in.fingerprint(),
		}, in.RequestID)
		if err != nil || !inserted {
			return err
		}
		// Last, since it holds the network's row until the commit.
		return s.takeTx(ctx, tx, in.Network, now)
	})
	if err != nil {
		return Donation{}, err
	}
	d, err := s.byRequest(ctx, in.Campaign, in.RequestID)
	return d, postgres.Error(err)
}

// openSession gives the gift its Checkout Session. No transaction is open meanwhile.
func (s *Service) openSession(ctx context.Context, d Donation, title string) (Donation, error) {
	calls, cancel := context.WithTimeout(ctx, createBudget)
	defer cancel()
	for {
		if d.attempt == 0 || d.ExpireTime.Sub(s.now()) < minSessionLeft {
			next, err := s.nextAttempt(ctx, d)
			if err != nil {
				return Donation{}, err
			}
			d = next
		}
		if d.CheckoutSession != "" || d.State != StateCreated {
			return d, nil
		}
		session, err := s.cfg.Stripe.CreateSession(calls, s.sessionParams(d, title))
		switch stripe.KindOf(err) {
		case stripe.Busy:
			// A twin is creating it under the same key: it will be in the row, or be answered to us too.
			if !pause(calls, busyPause) {
				return Donation{}, err
			}
			if d, err = s.byID(ctx, d.ID); err != nil {
				return Donation{}, postgres.Error(err)
			}
		case stripe.Failed, stripe.Refused, stripe.Missing:
			// Stripe repeats this answer under the same key, so whoever tries again needs another one.
			kept, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
			defer cancel()
			if _, bumpErr := s.nextAttempt(kept, d); bumpErr != nil {
				return Donation{}, errors.Join(err, bumpErr)
			}
			if stripe.KindOf(err) == stripe.Missing {
				err = errs.Internal(err)
			}
			return Donation{}, err
		default:
			if err != nil {
				return Donation{}, err
			}
			return s.storeSession(ctx, d, session)
		}
	}
}

func (s *Service) sessionParams(d Donation, title string) stripe.SessionParams {
	// Both ways lead to the one page that says what became of the gift, from our state and not from the
	// address that somebody came back to.
	page := s.cfg.PublicURL + "/c/" + d.Campaign.Collective + "/" + d.Campaign.Campaign + "/gifts/" + d.ID.String() +
		"?lang=" + d.Locale
	return stripe.SessionParams{
		Account:    d.StripeAccount,
		Donation:   d.ID,
		Attempt:    d.attempt,
		Amount:     d.Amount,
		Title:      title,
		Locale:     d.Locale,
		ExpiresAt:  d.ExpireTime,
		SuccessURL: page,
		CancelURL:  page,
	}
}

// pause waits, and reports false when ctx ended before.
func pause(ctx context.Context, wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
