package webhooks

import (
	"context"
	"errors"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/internal/stripe"
)

// declinedGift is the gift whose payment was refused, or Nil. The first month's payment belongs to an invoice, which
// leads to it; those of later months are tried by Stripe and not by anybody at a page.
func (s *Service) declinedGift(ctx context.Context, account string, o stripe.Object) (uuid.UUID, error) {
	if o.Donation != uuid.Nil || o.Invoice == "" {
		return o.Donation, nil
	}
	invoice, err := s.cfg.Stripe.GetInvoice(ctx, account, o.Invoice)
	if stripe.KindOf(err) == stripe.Missing {
		return uuid.Nil, nil
	}
	if err != nil || !invoice.First {
		return uuid.Nil, err
	}
	return invoice.Recurring, nil // the id of the first month's gift too
}

// countDecline counts a refused payment on its gift, in the transaction that finishes the event, so that each
// event counts once. It returns "" for an event that somebody else finished.
func (s *Service) countDecline(ctx context.Context, account, id string, e Event) (outcome string, err error) {
	donation, err := s.declinedGift(ctx, account, e.object)
	if err != nil {
		return "", err
	}
	err = postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		outcome = ""
		if _, err := eventOf(tx.QueryRow(ctx, lockEventSQL, pgx.NamedArgs{"account": account, "id": id})); err != nil {
			if errors.Is(err, pgx.ErrNoRows) {
				return nil
			}
			return postgres.Error(err)
		}
		ours := false
		if donation != uuid.Nil {
			var err error
			if ours, err = s.cfg.Donations.CountDeclineTx(ctx, tx, account, donation, e.object.ID); err != nil {
				return err
			}
		}
		state, reason := StateApplied, ""
		if !ours {
			state, reason = StateIgnored, reasonNotOurs
		}
		outcome = string(state)
		return s.finishEventTx(ctx, tx, account, id, state, reason)
	})
	return outcome, err
}
