package payouts

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

// insertPayoutSQL adds a payout that is not known yet. Its next_attempt_at is now by default, so that the next sync
// processes it.
const insertPayoutSQL = `
INSERT INTO payouts.payouts (
	account,
	id,
	amount_minor,
	currency,
	automatic,
	created_at,
	arrival_at,
	state,
	listable,
	own_transaction,
	failure_transaction
)
VALUES (
	@account,
	@id,
	@amount_minor,
	@currency,
	@automatic,
	@created_at,
	@arrival_at,
	@state,
	@listable,
	@own_transaction,
	@failure_transaction
)
ON CONFLICT (account, id) DO NOTHING`

// lockPayoutSQL locks a payout until the transaction ends, against a change of its state and against a second decision
// about its shares.
const lockPayoutSQL = `
SELECT
	p.state,
	p.listable
FROM payouts.payouts AS p
WHERE p.account = @account
	AND p.id = @id
FOR NO KEY UPDATE`

// What is the same as before makes no work. A change makes the payout due at once and restarts its pauses.
const updatePayoutSQL = `
UPDATE payouts.payouts AS p
SET
	state = @state,
	arrival_at = @arrival_at,
	listable = @listable,
	own_transaction = @own_transaction,
	failure_transaction = @failure_transaction,
	next_attempt_at = statement_timestamp(),
	attempts = 0
WHERE p.account = @account
	AND p.id = @id
	AND (p.state, p.arrival_at, p.listable, p.own_transaction, p.failure_transaction)
		IS DISTINCT FROM (@state, @arrival_at::timestamptz, @listable::boolean, @own_transaction, @failure_transaction)`

// storePayout stores what Stripe says of a payout. An older answer changes nothing. Members are notified of a failure,
// except of one in the history of a new account.
func (s *Service) storePayout(ctx context.Context, account string, p stripe.Payout) error {
	args := pgx.NamedArgs{
		"account": account, "id": p.ID, "amount_minor": p.Amount, "currency": p.Currency, "automatic": p.Automatic,
		"created_at": p.Created, "arrival_at": p.Arrival, "state": string(p.Status), "listable": p.Automatic && p.Reconciled,
		"own_transaction": p.Transaction, "failure_transaction": p.FailureTransaction,
	}
	// Read before the transaction, and only for a failure, which alone is notified.
	var owner string
	failed := p.Status == stripe.PayoutFailed
	if failed {
		var err error
		if owner, err = s.cfg.Collectives.SoleOwner(ctx, account); err != nil {
			return err
		}
	}
	return postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		// Insert, then lock and compare. So two programs that store the same payout do so one after the other.
		added, err := tx.Exec(ctx, insertPayoutSQL, args)
		if err != nil {
			return postgres.Error(err)
		}
		var state stripe.PayoutStatus
		var listable bool
		if err := tx.QueryRow(ctx, lockPayoutSQL, args).Scan(&state, &listable); err != nil {
			return postgres.Error(err)
		}
		// Contents that could be listed once can always be: an answer of the same state without them is an older one.
		if rank(p.Status) < rank(state) || (rank(p.Status) == rank(state) && listable && !p.Reconciled) {
			return nil
		}
		if _, err := tx.Exec(ctx, updatePayoutSQL, args); err != nil {
			return postgres.Error(err)
		}
		known := added.RowsAffected() == 0
		// Notices are for a payout that was not known as failed before.
		if !failed || known && state == stripe.PayoutFailed || !known && s.isHistory(p.Created) {
			return nil
		}
		return s.tellFailedTx(ctx, tx, account, owner, p.ID, money.Amount{Minor: p.Amount, Currency: money.Currency(p.Currency)})
	})
}

// isHistory reports whether a payout is so old that nobody is notified of its failure when it is new to us.
func (s *Service) isHistory(created time.Time) bool { return s.now().Sub(created) > 2*watchFor }

// selectPayout has the columns in the order of targets.
const selectPayout = `
SELECT
	p.account,
	p.id,
	p.amount_minor,
	p.currency,
	p.automatic,
	p.created_at,
	p.arrival_at,
	p.state,
	p.listable,
	p.own_transaction,
	p.failure_transaction,
	p.contents_after,
	p.contents_read_at IS NOT NULL,
	p.banked_at,
	p.reconciled_at,
	p.attempts`

const payoutSQL = selectPayout + `
FROM payouts.payouts AS p
WHERE p.account = @account
	AND p.id = @id`

// get returns a payout, NOT_FOUND when there is none.
func (s *Service) get(ctx context.Context, account, id string) (Payout, error) {
	rows, err := s.cfg.Pool.Query(ctx, payoutSQL, pgx.NamedArgs{"account": account, "id": id})
	if err != nil {
		return Payout{}, postgres.Error(err)
	}
	p, err := pgx.CollectExactlyOneRow(rows, scanPayout)
	if errors.Is(err, pgx.ErrNoRows) {
		return Payout{}, errs.NotFound(nameOf("", id))
	}
	return p, postgres.Error(err)
}

// scanPayout reads a row of selectPayout.
func scanPayout(row pgx.CollectableRow) (p Payout, err error) {
	err = row.Scan(p.targets()...)
	return p.complete(), err
}

// targets are the scan targets of selectPayout's columns.
func (p *Payout) targets() []any {
	return []any{
		&p.Account, &p.ID, &p.Amount.Minor, &p.Amount.Currency, &p.Automatic, &p.Created, &p.Arrival, &p.State, &p.listable,
		&p.Transaction, &p.FailureTransaction, &p.contentsAfter, &p.contentsRead, &p.bankedAt, &p.reconciledAt, &p.attempts,
	}
}

// complete sets the fields that follow from what was scanned.
func (p Payout) complete() Payout {
	p.Created, p.Arrival, p.Share = p.Created.UTC(), p.Arrival.UTC(), p.Amount
	if p.bankedAt != nil {
		p.BankTime = p.bankedAt.UTC()
	}
	if p.reconciledAt != nil {
		p.ReconcileTime = p.reconciledAt.UTC()
	}
	return p
}

// markDoneSQL postpones a payout, or sets next_attempt_at to NULL if it is not watched. The conditions compare what was
// processed with what is stored.
const markDoneSQL = `
UPDATE payouts.payouts AS p
SET
	next_attempt_at = CASE WHEN @watched THEN statement_timestamp() + @every::interval END,
	attempts = 0
WHERE p.account = @account
	AND p.id = @id
	AND p.state = @state
	AND p.listable = @listable
	AND p.failure_transaction = @failure_transaction
	AND p.attempts = @attempts`

// markDone postpones a payout until its next comparison, or for ever when it is old and nothing differs. A missing
// transaction may still be booked months later, when the account is connected again. A payout that an event changed
// meanwhile stays due.
func (s *Service) markDone(ctx context.Context, p Payout, differs bool) error {
	_, err := s.cfg.Pool.Exec(ctx, markDoneSQL, pgx.NamedArgs{
		"account": p.Account, "id": p.ID, "state": string(p.State), "listable": p.listable,
		"failure_transaction": p.FailureTransaction, "attempts": p.attempts,
		"watched": differs || s.now().Sub(p.Created) < watchFor, "every": compareEvery,
	})
	return postgres.Error(err)
}

// retryLaterSQL doubles the pause with each attempt, up to a maximum. If an event or another job changed the attempts
// meanwhile, nothing changes.
const retryLaterSQL = `
UPDATE payouts.payouts AS p
SET
	next_attempt_at = statement_timestamp() + least(@first::interval * power(2, least(p.attempts, 20)), @max::interval),
	attempts = p.attempts + 1
WHERE p.account = @account
	AND p.id = @id
	AND p.attempts = @attempts`

// retryLater makes a payout due again after a growing pause.
func (s *Service) retryLater(ctx context.Context, p Payout) error {
	_, err := s.cfg.Pool.Exec(ctx, retryLaterSQL, pgx.NamedArgs{
		"account": p.Account, "id": p.ID, "attempts": p.attempts, "first": firstPause, "max": maxPause,
	})
	return postgres.Error(err)
}
