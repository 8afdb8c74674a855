package webhooks

import "context"

// readDispute brings a dispute or an inquiry in step.
func (s *Service) readDispute(ctx context.Context, account, id string) (ours bool, err error) {
	return s.cfg.Donations.ReadDispute(ctx, account, id)
}

// readFraudWarning notes a card network's early word of fraud.
func (s *Service) readFraudWarning(ctx context.Context, account, id string) (ours bool, err error) {
	return s.cfg.Donations.ReadFraudWarning(ctx, account, id)
}
