package webhooks

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/internal/stripe"
)

const (
	// reconnectEvery is how often a disconnected account is tried: the event that it is back may be lost.
	reconnectEvery = time.Hour
	// reconnectCount bounds those that one tick tries.
	reconnectCount = 5
)

const dueReconnectsSQL = `
SELECT a.account
FROM webhooks.accounts AS a
WHERE a.account = ANY(@accounts::text[])
	AND a.hear_next_at <= statement_timestamp()
ORDER BY
	a.hear_next_at,
	a.account
LIMIT @count`

// reconnect asks for the accounts that are disconnected, now and then, and at the start. One that answers is
// read again from where it was left.
func (s *Service) reconnect(ctx context.Context) error {
	gone, err := s.cfg.Collectives.DisconnectedAccounts(ctx)
	if err != nil || len(gone) == 0 {
		return err
	}
	for _, account := range gone { // one may have been disconnected before it was ever read
		if err := s.ensureAccount(ctx, account); err != nil {
			return err
		}
	}
	due, err := s.strings(ctx, dueReconnectsSQL, pgx.NamedArgs{"accounts": gone, "count": reconnectCount})
	if err != nil {
		return err
	}
	var failed error
	for _, account := range due {
		began := s.now()
		_, err := s.cfg.Stripe.ConnectedAccount(stripe.Background(ctx), account)
		if ctx.Err() != nil {
			return err
		}
		if err == nil {
			failed = errors.Join(failed, s.setConnected(ctx, account, true, began))
			continue
		}
		pause := reconnectEvery
		if !stripe.Disconnected(err) { // it may be back
			pause = hearAgain
		}
		_, err = s.cfg.Pool.Exec(ctx, hearLaterSQL, pgx.NamedArgs{"account": account, "pause": pause})
		failed = errors.Join(failed, postgres.Error(err))
	}
	return failed
}
