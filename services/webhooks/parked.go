package webhooks

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/internal/stripe"
)

// retryCount bounds the parked balance transactions that one pass tries again.
const retryCount = 20

// parking is a balance transaction that cannot be booked now, and why: a reason of the ledger's, or of these.
type parking struct{ id, reason string }

const (
	// reasonPaymentUnread: its payment, which leads to its gift, could not be read at Stripe.
	reasonPaymentUnread = "PAYMENT_UNREAD"
	// reasonSourceUnread: Stripe named what moved the money by its id only.
	reasonSourceUnread = "SOURCE_UNREAD"
)

const parkedAmongSQL = `
SELECT p.id
FROM webhooks.parked AS p
WHERE p.account = @account
	AND p.id = ANY(@ids::text[])`

func (s *Service) parkedAmong(ctx context.Context, account string, ids []string) ([]string, error) {
	return s.strings(ctx, parkedAmongSQL, pgx.NamedArgs{"account": account, "ids": ids})
}

const unparkSQL = `
DELETE FROM webhooks.parked AS p
WHERE p.account = @account
	AND p.id = ANY(@ids::text[])
	AND p.id <> ALL(@parked::text[])`

// In the order of ids, so that two who park never wait for one another in a circle.
const parkSQL = `
INSERT INTO webhooks.parked AS p (
	account,
	id,
	reason,
	next_attempt_at
)
SELECT
	@account,
	u.id,
	u.reason,
	statement_timestamp() + @first::interval
FROM unnest(
	@parked::text[],
	@reasons::text[]
) AS u (id, reason)
ORDER BY u.id
ON CONFLICT (account, id) DO UPDATE
SET
	reason = EXCLUDED.reason,
	attempts = p.attempts + 1,
	next_attempt_at = statement_timestamp() + least(@first::interval * power(2, least(p.attempts, 20)), @max::interval)`

// parkTx notes what was tried in vain, and that the rest of what was tried is parked no more.
func parkTx(ctx context.Context, tx pgx.Tx, account string, tried []stripe.BalanceTransaction, parked []parking) error {
	ids, parkedIDs, reasons := []string{}, []string{}, []string{}
	for _, t := range tried {
		ids = append(ids, t.ID)
	}
	for _, p := range parked {
		parkedIDs, reasons = append(parkedIDs, p.id), append(reasons, p.reason)
	}
	named := pgx.NamedArgs{
		"account": account, "ids": ids, "parked": parkedIDs, "reasons": reasons, "first": firstRetry, "max": maxRetry,
	}
	if len(ids) > 0 {
		if _, err := tx.Exec(ctx, unparkSQL, named); err != nil {
			return postgres.Error(err)
		}
	}
	if len(parked) == 0 {
		return nil
	}
	_, err := tx.Exec(ctx, parkSQL, named)
	return postgres.Error(err)
}

const dueParkedSQL = `
SELECT p.id
FROM webhooks.parked AS p
WHERE p.account = @account
	AND p.next_attempt_at <= statement_timestamp()
ORDER BY
	p.next_attempt_at,
	p.id
LIMIT @count`

// retryParked reads parked balance transactions again, which are due, and books them one by one.
func (s *Service) retryParked(ctx context.Context, account string, until time.Time) error {
	ids, err := s.strings(ctx, dueParkedSQL, pgx.NamedArgs{"account": account, "count": retryCount})
	if err != nil {
		return err
	}
	for _, id := range ids {
		if over(until) {
			return nil
		}
		t, err := s.cfg.Stripe.GetBalanceTransaction(ctx, account, id)
		if ctx.Err() != nil {
			return err
		}
		if err == nil {
			err = s.book(ctx, account, []stripe.BalanceTransaction{t}, nil, nil)
		} else {
			s.cfg.Logger.WarnContext(ctx, "a parked balance transaction cannot be read", "account", account, "balance_transaction", id, "error", err)
			err = s.book(ctx, account, nil, []parking{{id, errs.As(err).Reason}}, nil)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
