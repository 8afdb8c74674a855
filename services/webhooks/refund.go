package webhooks

import "context"

// readRefund brings a refund in step, whoever made it.
func (s *Service) readRefund(ctx context.Context, account, id string) (ours bool, err error) {
	return s.cfg.Donations.ReadRefund(ctx, account, id)
}

// readRefundsOfCharge answers charge.refunded, which tells what was refunded in all, and not by which refunds.
func (s *Service) readRefundsOfCharge(ctx context.Context, account, id string) (ours bool, err error) {
	return s.cfg.Donations.ReadRefundsOfCharge(ctx, account, id)
}
