package webhooks

import "context"

// readAccount brings what is known of a connected account in step with Stripe. The event names the account that
// it is of; of another it is nothing that we were told to look at.
func (s *Service) readAccount(ctx context.Context, account, id string) (ours bool, err error) {
	if id != account {
		return false, nil
	}
	return s.cfg.Collectives.ReadAccount(ctx, account)
}
