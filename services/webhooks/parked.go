package webhooks

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/internal/stripe"
	"github.com/cagnotte/cagnotte/services/money"
)

// retryCount is how many parked balance transactions one pass tries again.
const retryCount = 20

// parking is a balance transaction that cannot be booked now, and the reason: the ledger's, or one of those below.
// moved is the amount; nil when Stripe did not tell.
type parking struct {
	id, reason string
	moved      *money.Amount
}

// park returns the parking of a balance transaction that was read.
func park(t stripe.BalanceTransaction, reason string) parking {
	p := parking{id: t.ID, reason: reason}
	if t.Unreadable == "" {
		p.moved = &money.Amount{Minor: t.Net, Currency: money.Currency(t.Currency)}
	}
	return p
}

const (
	// reasonPaymentUnread: the payment, which leads to the donation, could not be read at Stripe.
	reasonPaymentUnread = "PAYMENT_UNREAD"
	// reasonSourceUnread: Stripe named the source of the money by its id only.
	reasonSourceUnread = "SOURCE_UNREAD"
	// reasonUnexpectedShape: the answer does not have the shape that Stripe documents, so its owner cannot be
	// determined.
	reasonUnexpectedShape = "UNEXPECTED_SHAPE"
)

// withExpectedShape returns the balance transactions of the documented shape, and parks the others.
func (s *Service) withExpectedShape(ctx context.Context, account string, fresh []stripe.BalanceTransaction) (good []stripe.BalanceTransaction, odd []parking) {
	for _, t := range fresh {
		// member is the part of the answer that cannot be read, for the log.
		member := t.Unreadable
		// A payout's type is enough; only payments need a readable source.
		if m, _ := meaningOf(t); m.payment && member == "" && t.Source.Unreadable != "" {
			member = "source." + t.Source.Unreadable
		}
		if member == "" {
			good = append(good, t)
			continue
		}
		s.cfg.Logger.ErrorContext(ctx, "a balance transaction has an undocumented shape and is parked",
			"account", account, "balance_transaction", t.ID, "type", t.Type, "member", member)
		odd = append(odd, park(t, reasonUnexpectedShape))
	}
	return good, odd
}

const parkedAmongSQL = `
SELECT p.id
FROM webhooks.parked AS p
WHERE p.account = @account
	AND p.id = ANY(@ids::text[])`

func (s *Service) parkedAmong(ctx context.Context, account string, ids []string) ([]string, error) {
	return s.strings(ctx, parkedAmongSQL, pgx.NamedArgs{"account": account, "ids": ids})
}

// unparkSQL deletes the rows of transactions that were tried and are booked now. One that is parked again keeps its
// row, and with it its attempts and its age.
const unparkSQL = `
DELETE FROM webhooks.parked AS p
WHERE p.account = @account
	AND p.id = ANY(@ids::text[])
	AND p.id <> ALL(@parked::text[])`

// Ordered by id, so that two jobs do not deadlock. A transaction that is parked again keeps its amount if this attempt
// did not tell one. Its pause is twice the one before, up to a maximum.
const parkSQL = `
INSERT INTO webhooks.parked AS p (
	account,
	id,
	reason,
	net_minor,
	currency,
	next_attempt_at
)
SELECT
	@account,
	u.id,
	u.reason,
	u.net_minor,
	u.currency,
	statement_timestamp() + @first::interval
FROM unnest(
	@parked::text[],
	@reasons::text[],
	@nets::bigint[],
	@currencies::text[]
) AS u (id, reason, net_minor, currency)
ORDER BY u.id
ON CONFLICT (account, id) DO UPDATE
SET
	reason = excluded.reason,
	net_minor = coalesce(excluded.net_minor, p.net_minor),
	currency = coalesce(excluded.currency, p.currency),
	attempts = p.attempts + 1,
	next_attempt_at = statement_timestamp() + least(@first::interval * power(2, least(p.attempts, 20)), @max::interval)`

// parkTx parks the given transactions, and removes the other tried ones from the parked ones.
func parkTx(ctx context.Context, tx pgx.Tx, account string, tried []stripe.BalanceTransaction, parked []parking) error {
	ids, parkedIDs, reasons := []string{}, []string{}, []string{}
	for _, t := range tried {
		ids = append(ids, t.ID)
	}
	// Both are NULL when the amount is unknown, as the constraint parked_amount_whole requires.
	var nets []*int64
	var currencies []*string
	for _, p := range parked {
		parkedIDs, reasons = append(parkedIDs, p.id), append(reasons, p.reason)
		var net *int64
		var currency *string
		if p.moved != nil {
			net, currency = &p.moved.Minor, (*string)(&p.moved.Currency)
		}
		nets, currencies = append(nets, net), append(currencies, currency)
	}
	named := pgx.NamedArgs{
		"account": account, "ids": ids, "parked": parkedIDs, "reasons": reasons, "nets": nets, "currencies": currencies,
		"first": firstRetry, "max": maxRetry,
	}
	// Parked ones among those that were tried stay, see unparkSQL.
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

// dueParkedSQL returns the transactions whose pause is over, the longest due first. parked_due_idx has this order.
const dueParkedSQL = `
SELECT p.id
FROM webhooks.parked AS p
WHERE p.account = @account
	AND p.next_attempt_at <= statement_timestamp()
ORDER BY
	p.next_attempt_at,
	p.id
LIMIT @count`

// retryParked reads the due parked balance transactions again and books them one by one.
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
		// book parks it again if it still cannot be booked.
		if err == nil {
			err = s.book(ctx, account, []stripe.BalanceTransaction{t}, nil, nil)
		} else {
			s.cfg.Logger.WarnContext(ctx, "a parked balance transaction could not be read", "account", account, "balance_transaction", id, "error", err)
			err = s.book(ctx, account, nil, []parking{{id: id, reason: errs.As(err).Reason.String()}}, nil)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Parked is a balance transaction that cannot be booked yet. Since is when it was first parked, Next when it is tried
// again.
type Parked struct {
	ID, Account string
	Reason      string
	Attempts    int
	Since, Next time.Time
}

// ParkedPosition is the place of a parked balance transaction in a list.
type ParkedPosition struct {
	Since       time.Time
	Account, ID string
}

// listParkedSQL lists by age. No index has this order, since few transactions are parked at a time.
const listParkedSQL = `
SELECT
	p.id,
	p.account,
	p.reason,
	p.attempts,
	p.parked_at,
	p.next_attempt_at
FROM webhooks.parked AS p
WHERE p.account = ANY(@accounts::text[])
	AND (p.parked_at, p.account, p.id) > (@after_since, @after_account, @after_id)
ORDER BY
	p.parked_at,
	p.account,
	p.id
LIMIT @count`

// ListParked returns up to count parked balance transactions after a position, oldest first.
func (s *Service) ListParked(ctx context.Context, in Scope, after ParkedPosition, count int) ([]Parked, error) {
	accounts, err := s.scopedAccounts(ctx, in)
	if err != nil {
		return nil, err
	}
	rows, err := s.cfg.Pool.Query(ctx, listParkedSQL, pgx.NamedArgs{
		"accounts": accounts, "after_since": after.Since, "after_account": after.Account, "after_id": after.ID, "count": count,
	})
	if err != nil {
		return nil, postgres.Error(err)
	}
	found, err := pgx.CollectRows(rows, scanParked)
	return found, postgres.Error(err)
}

// getParkedSQL looks in all accounts of the scope. If several have the id, it returns that of the first account.
const getParkedSQL = `
SELECT
	p.id,
	p.account,
	p.reason,
	p.attempts,
	p.parked_at,
	p.next_attempt_at
FROM webhooks.parked AS p
WHERE p.account = ANY(@accounts::text[])
	AND p.id = @id
ORDER BY p.account
LIMIT 1`

// GetParked returns a parked balance transaction of the scope. NOT_FOUND when none of that id is parked.
func (s *Service) GetParked(ctx context.Context, in Scope, id string) (Parked, error) {
	accounts, err := s.scopedAccounts(ctx, in)
	if err != nil {
		return Parked{}, err
	}
	rows, err := s.cfg.Pool.Query(ctx, getParkedSQL, pgx.NamedArgs{"accounts": accounts, "id": id})
	if err != nil {
		return Parked{}, postgres.Error(err)
	}
	p, err := pgx.CollectExactlyOneRow(rows, scanParked)
	if errors.Is(err, pgx.ErrNoRows) {
		return Parked{}, errs.NotFound("parkedTransactions/" + id)
	}
	return p, postgres.Error(err)
}

// scanParked reads a row of listParkedSQL or getParkedSQL.
func scanParked(r pgx.CollectableRow) (p Parked, err error) {
	return p, r.Scan(&p.ID, &p.Account, &p.Reason, &p.Attempts, &p.Since, &p.Next)
}

// retryParkedNowSQL returns an account for each transaction that it makes due. makeDue counts them.
const retryParkedNowSQL = `
UPDATE webhooks.parked AS p
SET next_attempt_at = statement_timestamp()
WHERE p.account = ANY(@accounts::text[])
RETURNING p.account`

// RetryParked makes all parked balance transactions of the scope due now, and returns their number.
func (s *Service) RetryParked(ctx context.Context, in Scope) (int, error) {
	accounts, err := s.scopedAccounts(ctx, in)
	if err != nil {
		return 0, err
	}
	return s.makeDue(ctx, retryParkedNowSQL, pgx.NamedArgs{"accounts": accounts}, in, "parkedTransactions")
}
