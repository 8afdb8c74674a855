package webhooks

import (
	"context"

	"github.com/cagnotte/cagnotte/services/internal/stripe"
)

// reader reads a resource again at Stripe, by its id, and updates our side. It is called outside any transaction,
// possibly more than once and in any order. ours is false when the resource belongs to no collective's donation. An
// error is retried with growing pauses.
type reader func(ctx context.Context, account, id string) (ours bool, err error)

// readers are the readers of events whose step is stepResource, by kind of resource, in Stripe's words.
func (s *Service) readers() map[string]reader {
	return map[string]reader{
		"invoice":        s.readInvoice,
		"payment_intent": s.readPayment,
		"subscription":   s.cfg.Donations.ReadSubscription,
		"payout":         s.readPayout,
		"account":        s.readAccount,
		// charge.refunded tells the sum of what was refunded, and not by which refunds.
		"charge": s.cfg.Refunds.ReadOfCharge,
		"refund": s.cfg.Refunds.Read,
		// A dispute is also an inquiry.
		"dispute":                   s.cfg.Refunds.ReadDispute,
		"radar.early_fraud_warning": s.cfg.Refunds.ReadFraudWarning,
	}
}

// readInvoice updates the donation of an invoice.
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

// applyInvoice turns a paid invoice into a donation. An unpaid one is no donation; its subscription is read instead.
func (s *Service) applyInvoice(ctx context.Context, account string, inv stripe.Invoice) (ours bool, err error) {
	ours, err = s.cfg.Donations.ApplyInvoice(ctx, account, inv)
	if err != nil || !ours || inv.Paid {
		return ours, err
	}
	return s.cfg.Donations.ReadSubscription(ctx, account, inv.Subscription)
}

// readPayment updates the donation of a month whose debit is at the bank. Payments without an invoice are left to
// their Checkout Session.
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

// readPayout updates a payout. Every payout of the account is ours, because the books are the account's.
func (s *Service) readPayout(ctx context.Context, account, id string) (ours bool, err error) {
	return true, s.cfg.Payouts.Read(ctx, account, id)
}

// readAccount updates a connected account. An event that names another account than the one it came for is ignored.
func (s *Service) readAccount(ctx context.Context, account, id string) (ours bool, err error) {
	if id != account {
		return false, nil
	}
	return s.cfg.Connect.ReadAccount(ctx, account)
}
