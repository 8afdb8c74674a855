package webhooks

import (
	"context"
	"time"
)

// readPayout reads a payout again that events speak of. Each on the account is ours: the books are the account's.
func (s *Service) readPayout(ctx context.Context, account, id string) (ours bool, err error) {
	return true, s.cfg.Payouts.Read(ctx, account, id)
}

// syncPayouts brings the account's payouts in step, after the balance, which they wait for. On the timer they are
// listed, so that events may get lost.
func (s *Service) syncPayouts(ctx context.Context, account string, until time.Time, d depth, force bool) error {
	return s.cfg.Payouts.Sync(ctx, account, until, d.name == regular.name, force)
}
