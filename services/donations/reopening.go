package donations

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/campaigns"
	"github.com/cagnotte/cagnotte/services/collectives"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/wall"
)

// A payment page closes after two hours, and donors may come back after days. The donation is then created once more, with
// another Checkout Session. Stripe could open pages again by itself, any number of times for 30 days, and nobody could count
// or refuse that. Here one page is open at a time, and each opening is counted as a new donation is.

const (
	// reopenFor is how long after the page closed it can be opened again, and maxReopenings how often. All pages of a donation
	// together have maxDeclines.
	reopenFor     = 30 * 24 * time.Hour
	maxReopenings = 3
)

// reopenable reports whether the page of the donation closed unpaid and may be opened again, as far as the donation itself
// says. One whose cards were declined too often stays closed. A month that an invoice made has no page.
func (d Donation) reopenable(now time.Time) bool {
	closed := d.ExpireTime
	if closed.IsZero() { // no page was ever requested
		closed = d.CreateTime
	}
	return d.State == StateExpired && d.declines < maxDeclines && d.reopenings < maxReopenings &&
		now.Before(closed.Add(reopenFor)) && (d.Recurring == uuid.Nil || d.Recurring == d.ID)
}

// canReopen reports whether [Service.Reopen] would open the donation's page again, but for the limits.
func (s *Service) canReopen(ctx context.Context, d Donation) bool {
	if !d.reopenable(s.now()) {
		return false
	}
	campaign, err := s.cfg.Campaigns.Get(ctx, d.Campaign)
	if err != nil || s.accepts(ctx, campaign) != nil {
		return false
	}
	collective, err := s.cfg.Collectives.Get(ctx, d.Campaign.Collective)
	return err == nil && s.sameAccount(d, collective)
}

// sameAccount reports whether a page of the donation would be made where the collective's donations go now.
func (s *Service) sameAccount(d Donation, c collectives.Collective) bool {
	return d.StripeAccount == c.StripeAccount && d.Livemode == s.cfg.Stripe.Livemode()
}

// notReopenable is the refusal of a donation whose page is not opened again.
func notReopenable() error {
	return errs.New(errorsv1.ErrorReason_DONATION_NOT_REOPENABLE, "The payment page of this donation is not opened again. Start another donation.")
}

// keepSessionSQL keeps the session that is left behind, since the money of a donation is known by its sessions.
const keepSessionSQL = `
INSERT INTO donations.earlier_sessions (donation, session_id)
SELECT
	d.id,
	d.checkout_session_id
FROM donations.donations AS d
WHERE d.id = @id
	AND d.checkout_session_id IS NOT NULL
ON CONFLICT DO NOTHING`

// reopenSQL begins the donation's page anew, under another attempt. The caller has locked the row.
const reopenSQL = `
UPDATE donations.donations AS d
SET
	state = 'created',
	reopenings = d.reopenings + 1,
	checkout_session_id = NULL,
	attempt = d.attempt + 1,
	session_expires_at = @expires_at,
	turn_ends_at = '-infinity',
	session_failures = 0,
	retry_at = '-infinity',
	looked_at = NULL,
	updated_at = @now
WHERE d.id = @id`

// Reopen opens the page of a donation that expired unpaid again, by another session, and returns the donation with it. A repeat
// while that page is open answers the same page, and counts once. A donation that is paid or under way is returned as it is.
//
//   - NOT_FOUND: a donation that does not exist
//   - FAILED_PRECONDITION: DONATION_NOT_REOPENABLE, and those of [Service.Create]
//   - those of [wall.Service.Check]
//   - UNAVAILABLE: CARDS_PAUSED; STRIPE_UNAVAILABLE, and the same call continues
//
// The first month of a monthly donation is opened again too: its closed page can start no subscription any more, so there is
// never more than one.
func (s *Service) Reopen(ctx context.Context, name campaigns.Name, id uuid.UUID, from Visit) (Donation, error) {
	d, err := s.Get(ctx, name, id)
	if err != nil || d.State != StateExpired && !d.interrupted() {
		return d, err
	}
	campaign, err := s.cfg.Campaigns.Get(ctx, name)
	if err != nil {
		return Donation{}, err
	}
	if err := s.accepts(ctx, campaign); err != nil {
		return Donation{}, err
	}
	if d.State == StateExpired {
		if err := s.reopen(ctx, id, from); err != nil {
			return Donation{}, err
		}
	}
	return s.openSession(ctx, id, campaign)
}

// reopen makes the donation created again. Of two calls at once one does, and both find it done.
func (s *Service) reopen(ctx context.Context, id uuid.UUID, from Visit) error {
	now := s.now()
	return postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		d, err := s.LockTx(ctx, tx, id)
		if err != nil {
			return postgres.Error(err)
		}
		if d.State != StateExpired {
			return nil
		}
		collective, err := s.cfg.Collectives.Get(ctx, d.Campaign.Collective)
		if err != nil {
			return err
		}
		if !d.reopenable(now) || !s.sameAccount(d, collective) {
			return notReopenable()
		}
		if _, err := tx.Exec(ctx, keepSessionSQL, pgx.NamedArgs{"id": id}); err != nil {
			return postgres.Error(err)
		}
		if _, err := tx.Exec(ctx, reopenSQL, pgx.NamedArgs{"id": id, "expires_at": s.sessionEnd(now), "now": now}); err != nil {
			return postgres.Error(err)
		}
		if err := s.cfg.CardWays.EnterTx(ctx, tx, cardWay(d.Campaign, d.StripeAccount)); err != nil {
			return err
		}
		// Last, since it locks the rows of the network until the commit.
		return s.cfg.Wall.TakeTx(ctx, tx, wall.Attempt{
			Kind: wall.Card, Address: from.Address, Campaign: d.Campaign.String(), Account: d.StripeAccount, Amount: d.Amount, Solution: from.Solution,
		})
	})
}
