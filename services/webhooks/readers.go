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

// reader reads an object again at Stripe, by its id, and brings our side in step with it. It is called with no
// transaction open, more than once and in any order. ours is false for an object that no collective's donation has
// to do with. What it returns as an error is tried again with growing pauses.
type reader func(ctx context.Context, account, id string) (ours bool, err error)

// readers are by the kind of object, Stripe's word, for the events whose step is stepObject.
func (s *Service) readers() map[string]reader {
	return map[string]reader{
		"invoice":                   s.readInvoice,
		"payment_intent":            s.readPayment,
		"subscription":              s.cfg.Donations.ReadSubscription,
		"payout":                    s.readPayout,
		"account":                   s.readAccount,
		"charge":                    s.readRefundsOfCharge,
		"refund":                    s.readRefund,
		"dispute":                   s.readDispute,
		"radar.early_fraud_warning": s.readFraudWarning,
	}
}

// readRefund brings a refund in step, whoever made it.
func (s *Service) readRefund(ctx context.Context, account, id string) (ours bool, err error) {
	return s.cfg.Donations.ReadRefund(ctx, account, id)
}

// readRefundsOfCharge answers charge.refunded, which tells what was refunded in all, and not by which refunds.
func (s *Service) readRefundsOfCharge(ctx context.Context, account, id string) (ours bool, err error) {
	return s.cfg.Donations.ReadRefundsOfCharge(ctx, account, id)
}

// readDispute brings a dispute or an inquiry in step.
func (s *Service) readDispute(ctx context.Context, account, id string) (ours bool, err error) {
	return s.cfg.Donations.ReadDispute(ctx, account, id)
}

// readFraudWarning notes a card network's early word of fraud.
func (s *Service) readFraudWarning(ctx context.Context, account, id string) (ours bool, err error) {
	return s.cfg.Donations.ReadFraudWarning(ctx, account, id)
}

// readPayout reads a payout again that events speak of. Each on the account is ours: the books are the account's.
func (s *Service) readPayout(ctx context.Context, account, id string) (ours bool, err error) {
	return true, s.cfg.Payouts.Read(ctx, account, id)
}

// readAccount brings what is known of a connected account in step with Stripe. The event names the account that
// it is of; of another it is nothing that we were told to look at.
func (s *Service) readAccount(ctx context.Context, account, id string) (ours bool, err error) {
	if id != account {
		return false, nil
	}
	return s.cfg.Collectives.ReadAccount(ctx, account)
}
