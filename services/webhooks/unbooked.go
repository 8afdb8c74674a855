package webhooks

import (
	"context"
	"time"

	"github.com/cagnotte/cagnotte/services/donations"
	"github.com/cagnotte/cagnotte/services/internal/stripe"
)

const (
	// pollCount is how many donations one sync polls; pollAlone is how many of them it reads one by one.
	pollCount, pollAlone = 1000, 20
)

// pollUnbooked asks Stripe about donations that are paid and not booked: many by pages of their charges, and one by one
// those that the pages do not show. A donation that cannot be read is polled again after growing pauses.
func (s *Service) pollUnbooked(ctx context.Context, account string, intents []string, until time.Time) error {
	due, err := s.cfg.Donations.DueUnbooked(ctx, account, intents, pollCount)
	if err != nil || len(due) == 0 {
		return err
	}
	wanted := make([]stripe.Wanted, len(due))
	for i, u := range due {
		wanted[i] = stripe.Wanted{ID: u.PaymentIntent, Created: u.At}
	}
	met, err := s.cfg.Stripe.FindPayments(ctx, account, wanted)
	if ctx.Err() != nil {
		return err
	}
	if err != nil {
		s.cfg.Logger.WarnContext(ctx, "the list of charges could not be read at Stripe", "account", account, "error", err)
	}
	var known []stripe.BalanceTransaction
	var asked, alone []donations.Unbooked
	for _, u := range due {
		// A payment that the pages show without a balance transaction has no known fee yet, and is polled again later.
		balance, isMet := met[u.PaymentIntent]
		switch {
		case !isMet:
			alone = append(alone, u)
			continue
		// The fee is known, so the payment can be booked now.
		case balance != nil:
			known = append(known, *balance)
		}
		asked = append(asked, u)
	}
	if err := s.bookPolled(ctx, account, known, asked); err != nil {
		return err
	}
	// Those beyond pollAlone stay due.
	return s.pollEach(ctx, account, alone[:min(len(alone), pollAlone)], until)
}

// pollEach reads the payments of donations one by one.
func (s *Service) pollEach(ctx context.Context, account string, due []donations.Unbooked, until time.Time) error {
	for _, u := range due {
		if over(until) {
			return nil
		}
		var known []stripe.BalanceTransaction
		intent, err := s.cfg.Stripe.GetPaymentIntent(ctx, account, u.PaymentIntent)
		switch {
		case ctx.Err() != nil:
			return err
		case stripe.KindOf(err) == stripe.Throttled:
			return nil // the others would be throttled too; they stay due
		// The donation is polled again after a longer pause, as after an answer without a fee.
		case err != nil:
			s.cfg.Logger.WarnContext(ctx, "the payment of a paid donation could not be read at Stripe", "account", account, "donation", u.Donation, "error", err)
		case intent.Balance != nil:
			known = append(known, *intent.Balance)
		}
		if err := s.bookPolled(ctx, account, known, []donations.Unbooked{u}); err != nil {
			return err
		}
	}
	return nil
}

// bookPolled books the known balance transactions and postpones the next poll of the asked donations.
func (s *Service) bookPolled(ctx context.Context, account string, known []stripe.BalanceTransaction, asked []donations.Unbooked) error {
	if len(known) > 0 {
		if err := s.book(ctx, account, known, nil, nil); err != nil {
			return err
		}
	}
	return s.cfg.Donations.PollLater(ctx, asked) // does nothing to a donation that is booked now
}
