package donations

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

// A payment page closes after some hours, and donors may come back after days. So Stripe is asked for a recovery URL
// (https://docs.stripe.com/payments/checkout/abandoned-carts): each visit there opens a copy of the session, with an id of its
// own, for the same donation. The donation's status answers it. The database deletes it when the donation is paid or under
// way (donations.forget_links), and upkeep when it is over.

// whereToPay is the page on which the donation can be paid, also one that Stripe opens again; empty for none. Pages of a closed
// campaign are not opened again.
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

// forgetLinksCount bounds the links that one statement deletes.
const forgetLinksCount = 1000

// forgetLinksSQL deletes a batch of the links that are over, found by donations_recovery_idx. It skips rows that are
// locked; a later run finds them.
const forgetLinksSQL = `
UPDATE donations.donations AS d
SET
	recovery_url = NULL,
	recovery_ends_at = NULL
WHERE d.id IN (
	SELECT o.id
	FROM donations.donations AS o
	WHERE o.recovery_url IS NOT NULL
		AND o.recovery_ends_at <= @now
	ORDER BY
		o.recovery_ends_at,
		o.id
	LIMIT @count
	FOR NO KEY UPDATE SKIP LOCKED
)`

// forgetLinks deletes the recovery links that are over.
func (s *Service) forgetLinks(ctx context.Context) error {
	for {
		tag, err := s.cfg.Pool.Exec(ctx, forgetLinksSQL, pgx.NamedArgs{"now": s.now(), "count": forgetLinksCount})
		if err != nil || tag.RowsAffected() < forgetLinksCount {
			return postgres.Error(err)
		}
	}
}
