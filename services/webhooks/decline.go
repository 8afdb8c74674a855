package webhooks

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/donations"
	"github.com/cagnotte/cagnotte/services/internal/stripe"
)

// declinedDonation is the donation whose payment was refused, or Nil. The first month's payment belongs to an invoice, which
// leads to it; those of later months are tried by Stripe and not by anybody at a page. Nothing proves yet that the
// invoice is the donation's, whose session tells when it is complete; a decline moves no money, and closes its page at worst.
func (s *Service) declinedDonation(ctx context.Context, account string, o stripe.Object) (uuid.UUID, error) {
	if o.Invoice == "" {
		if o.Donation == uuid.Nil {
			return uuid.Nil, nil
		}
		match, err := s.cfg.Donations.PaymentOf(ctx, account, donations.Payment{Intent: o.ID, Claim: o.Donation})
		return match.Donation, err
	}
	invoice, err := s.cfg.Stripe.GetInvoice(ctx, account, o.Invoice)
	if stripe.KindOf(err) == stripe.Missing {
		return uuid.Nil, nil
	}
	if err != nil || !invoice.First {
		return uuid.Nil, err
	}
	return invoice.Recurring, nil // the id of the first month's donation too
}

// countDecline counts a refused payment on its donation, in the transaction that finishes the event.
func (s *Service) countDecline(ctx context.Context, account string, e Event) error {
	donation, err := s.declinedDonation(ctx, account, e.object)
	if err != nil {
		return err
	}
	return s.finishing(ctx, account, []Event{e}, func(ctx context.Context, tx pgx.Tx, due []Event) (ours []bool, err error) {
		ours = make([]bool, len(due))
		if len(due) > 0 && donation != uuid.Nil {
			ours[0], err = s.cfg.Donations.CountDeclineTx(ctx, tx, account, donation, e.object.ID)
		}
		return ours, err
	})
}
