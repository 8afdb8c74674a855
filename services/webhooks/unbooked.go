package webhooks

import (
	"context"
	"time"

	"github.com/cagnotte/cagnotte/services/donations"
	"github.com/cagnotte/cagnotte/services/internal/stripe"
)

const (
	// pollCount bounds the donations that one sync asks for, and pollAlone those of them that it asks for by themselves.
	pollCount, pollAlone = 1000, 20
)

// pollUnbooked asks for donations that are paid and not booked, whose balance transaction the list does not show: many by the
// pages of their charges, and by themselves those that are not met there. One that cannot be read waits longer and
// longer.
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
		s.cfg.Logger.WarnContext(ctx, "the list of charges cannot be read", "account", account, "error", err)
	}
	var known []stripe.BalanceTransaction
	var asked, alone []donations.Unbooked
	for _, u := range due {
		balance, isMet := met[u.PaymentIntent]
		switch {
		case !isMet:
			alone = append(alone, u)
			continue
		case balance != nil:
			known = append(known, *balance)
		}
		asked = append(asked, u)
	}
	if err := s.bookPolled(ctx, account, known, asked); err != nil {
		return err
	}
	return s.pollEach(ctx, account, alone[:min(len(alone), pollAlone)], until)
}

// pollEach asks for donations by themselves.
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
			return nil // nor may the others be asked for; they stay due
		case err != nil:
			s.cfg.Logger.WarnContext(ctx, "a paid donation cannot be asked for", "account", account, "donation", u.Donation, "error", err)
		case intent.Balance != nil:
			known = append(known, *intent.Balance)
		}
		if err := s.bookPolled(ctx, account, known, []donations.Unbooked{u}); err != nil {
			return err
		}
	}
	return nil
}

// bookPolled books what is known, and puts the next poll of the donations that were asked for off.
func (s *Service) bookPolled(ctx context.Context, account string, known []stripe.BalanceTransaction, asked []donations.Unbooked) error {
	if len(known) > 0 {
		if err := s.book(ctx, account, known, nil, nil); err != nil {
			return err
		}
	}
	return s.cfg.Donations.PollLater(ctx, asked) // does nothing to a donation that is booked now
}
