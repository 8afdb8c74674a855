package donations

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

// A payment page closes after some hours, and people come back after days. So Stripe is asked to keep a
// recovery URL (https://docs.stripe.com/payments/checkout/abandoned-carts): each visit there opens a copy of the
// session, with an id of its own, for the same gift. We give it to whoever asks for the gift's status.

// whereToPay is the page on which the gift can be paid, or opened again to be paid; empty for none. A closed
// campaign's pages are not opened again.
func (s *Service) whereToPay(ctx context.Context, d Donation) string {
	now := s.now()
	if d.RecoveryURL(now) == "" {
		return d.PayableURL(now)
	}
	campaign, err := s.cfg.Campaigns.Get(ctx, d.Campaign)
	if err != nil || s.accepts(ctx, campaign) != nil {
		return ""
	}
	return d.RecoveryURL(now)
}

// applySession is ApplySessionTx in a transaction of its own.
func (s *Service) applySession(ctx context.Context, f SessionFact) error {
	return postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		_, err := s.ApplySessionTx(ctx, tx, f)
		return err
	})
}
