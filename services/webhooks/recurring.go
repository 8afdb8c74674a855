package webhooks

import (
	"context"

	"github.com/google/uuid"

	"github.com/cagnotte/cagnotte/services/internal/stripe"
)

// readInvoice makes a paid invoice a gift. One that is not paid tells how its subscription stands: a month that
// could not be charged is no gift.
func (s *Service) readInvoice(ctx context.Context, account, id string) (ours bool, err error) {
	inv, err := s.cfg.Stripe.GetInvoice(ctx, account, id)
	if stripe.KindOf(err) == stripe.Missing {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	ours, err = s.cfg.Donations.ApplyInvoice(ctx, account, inv)
	if err != nil || !ours || inv.Paid {
		return ours, err
	}
	return s.readSubscription(ctx, account, inv.Subscription)
}

// readSubscription brings a monthly gift in step.
func (s *Service) readSubscription(ctx context.Context, account, id string) (ours bool, err error) {
	sub, err := s.cfg.Stripe.GetSubscription(ctx, account, id)
	if stripe.KindOf(err) == stripe.Missing {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return s.cfg.Donations.ApplySubscription(ctx, account, sub)
}

const (
	// maxAsks bounds the payments that one step asks for, one after the other, and maxInvoiceAsks the invoices: of
	// monthly gifts many are renewed on one day, and each has one.
	maxAsks        = 20
	maxInvoiceAsks = 100
)

// questions are what one step asks Stripe to find the gifts of payments.
type questions struct {
	service            *Service
	account            string
	asks, invoiceAsks  int
	intents            map[string]uuid.UUID
	readBefore, unpaid map[string]bool
}

func (s *Service) newQuestions(account string) *questions {
	return &questions{
		service: s, account: account, asks: maxAsks, invoiceAsks: maxInvoiceAsks,
		intents: map[string]uuid.UUID{}, readBefore: map[string]bool{}, unpaid: map[string]bool{},
	}
}

// giftOf asks for the gift of a payment that nothing known leads to. The charge of an invoice has no metadata: its
// invoice leads to its monthly gift, whose month is made then, and found by the payment. A refund or a dispute
// names its payment only. told is false when Stripe cannot tell now. An error is nobody's refusal.
func (q *questions) giftOf(ctx context.Context, t stripe.BalanceTransaction, m meaning) (donation uuid.UUID, told bool, err error) {
	intent := t.Source.PaymentIntent
	switch {
	case m.paid && t.Source.Invoice != "":
		told, err = q.readInvoice(ctx, t.Source.Invoice)
		return uuid.Nil, told, err
	case m.paid, intent == "":
		return uuid.Nil, true, nil
	}
	if donation, known := q.intents[intent]; known {
		return donation, true, nil
	}
	if q.asks == 0 {
		return uuid.Nil, false, nil
	}
	q.asks--
	found, err := q.service.cfg.Stripe.GetPaymentIntent(ctx, q.account, intent)
	if ctx.Err() != nil {
		return uuid.Nil, false, err
	}
	switch stripe.KindOf(err) {
	case 0, stripe.Missing, stripe.Refused: // when it may not be read, it is no gift of ours
	case stripe.Failed:
		return uuid.Nil, false, nil
	default: // nor will Stripe tell of the others now
		q.asks, q.invoiceAsks = 0, 0
		return uuid.Nil, false, nil
	}
	if found.Donation == uuid.Nil && found.Invoice != "" {
		if told, err := q.readInvoice(ctx, found.Invoice); err != nil || !told {
			return uuid.Nil, false, err
		}
	}
	q.intents[intent] = found.Donation
	return found.Donation, true, nil
}

// readInvoice makes a paid invoice of a monthly gift a gift. One that may not be read, and one of ours that is not
// paid yet though its charge is, are told later.
func (q *questions) readInvoice(ctx context.Context, id string) (told bool, err error) {
	if q.readBefore[id] {
		return !q.unpaid[id], nil
	}
	if q.invoiceAsks == 0 {
		return false, nil
	}
	q.invoiceAsks--
	inv, err := q.service.cfg.Stripe.GetInvoice(ctx, q.account, id)
	if ctx.Err() != nil {
		return false, err
	}
	switch stripe.KindOf(err) {
	case 0:
	case stripe.Missing:
		q.readBefore[id] = true
		return true, nil
	case stripe.Failed, stripe.Refused:
		return false, nil
	default:
		q.asks, q.invoiceAsks = 0, 0
		return false, nil
	}
	ours, err := q.service.cfg.Donations.ApplyInvoice(ctx, q.account, inv)
	if err != nil {
		if ctx.Err() != nil || postgresAway(err) {
			return false, err
		}
		q.service.cfg.Logger.WarnContext(ctx, "an invoice could not be applied", "account", q.account, "invoice", id, "error", err)
		return false, nil
	}
	q.readBefore[id], q.unpaid[id] = true, ours && !inv.Paid
	return !q.unpaid[id], nil
}
