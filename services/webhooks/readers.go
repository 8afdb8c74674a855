package webhooks

import (
	"context"

	"github.com/cagnotte/cagnotte/services/internal/stripe"
)

// readInvoice brings the donation of an invoice in step.
func (s *Service) readInvoice(ctx context.Context, account, id string) (ours bool, err error) {
	inv, err := s.cfg.Stripe.GetInvoice(ctx, account, id)
	if stripe.KindOf(err) == stripe.Missing {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return s.applyInvoice(ctx, account, inv)
}

// applyInvoice makes a paid invoice a donation. One that is not paid tells how its subscription stands: a month that
// could not be charged is no donation.
func (s *Service) applyInvoice(ctx context.Context, account string, inv stripe.Invoice) (ours bool, err error) {
	ours, err = s.cfg.Donations.ApplyInvoice(ctx, account, inv)
	if err != nil || !ours || inv.Paid {
		return ours, err
	}
	return s.cfg.Donations.ReadSubscription(ctx, account, inv.Subscription)
}

// readPayment tells how the month of a debit stands that is at the bank.
func (s *Service) readPayment(ctx context.Context, account, id string) (ours bool, err error) {
	intent, err := s.cfg.Stripe.GetPaymentIntent(ctx, account, id)
	if stripe.KindOf(err) == stripe.Missing || err == nil && intent.Invoice == "" {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return s.readInvoice(ctx, account, intent.Invoice)
}
