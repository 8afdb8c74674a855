package donations

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

// Unbooked is a paid donation whose payment is not booked yet, or a payment that is in transit in the books.
type Unbooked struct {
	Donation      uuid.UUID
	PaymentIntent string
	// Attempts is how often Stripe was asked without a result.
	Attempts int
	// At is about when it was paid.
	At time.Time
}

// Donations whose first payment is not booked, and payments in transit. A payment that is both is in the first part
// only. The first part is read from donations_poll_idx, the second from payments_to_poll. A donation that is refunded
// or disputed counts too, since a refund can be booked before the payment. The intents are those that the caller knows
// of; they are returned before their time. The longest overdue come first. unbookedSQL locks nothing, so two syncs at
// once can ask about the same payment, which does no harm.
const unbookedSQL = `
SELECT
	u.id,
	u.intent,
	u.attempts,
	u.at
FROM (
	SELECT
		d.id,
		d.payment_intent_id AS intent,
		d.poll_attempts AS attempts,
		coalesce(d.paid_at, d.created_at) AS at,
		d.poll_at
	FROM donations.donations AS d
	WHERE d.stripe_account = @account
		AND d.livemode = @livemode
		AND d.booked_at IS NULL
		AND d.state IN ('succeeded', 'partially_refunded', 'refunded', 'disputed')
		AND d.payment_intent_id IS NOT NULL
		AND (d.poll_at <= @now OR d.payment_intent_id = ANY(@intents::text[]))
	UNION ALL
	SELECT
		p.donation,
		p.payment_intent_id,
		p.poll_attempts,
		coalesce(p.held_at, d.created_at),
		p.poll_at
	FROM donations.payments AS p
	JOIN donations.donations AS d ON d.id = p.donation
	WHERE p.under_way
		AND d.stripe_account = @account
		AND d.livemode = @livemode
		AND (p.poll_at <= @now OR p.payment_intent_id = ANY(@intents::text[]))
		AND NOT (
			d.booked_at IS NULL
			AND d.state IN ('succeeded', 'partially_refunded', 'refunded', 'disputed')
			AND d.payment_intent_id = p.payment_intent_id
		)
) AS u
ORDER BY
	u.poll_at,
	u.id,
	u.intent
LIMIT @count`

// DueUnbooked returns up to count paid donations and payments in transit of the account whose time for a poll has come, or
// whose payment intent is among intents.
func (s *Service) DueUnbooked(ctx context.Context, account string, intents []string, count int) ([]Unbooked, error) {
	rows, err := s.cfg.Pool.Query(ctx, unbookedSQL, pgx.NamedArgs{
		"account": account, "livemode": s.cfg.Stripe.Livemode(), "intents": intents, "count": count, "now": s.now(),
	})
	if err != nil {
		return nil, postgres.Error(err)
	}
	// The fields of Unbooked are in the order of the columns.
	due, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Unbooked])
	return due, postgres.Error(err)
}

// The same conditions as in unbookedSQL, without the payment intents. unbookedAccountsSQL has a row for each account
// that has something due.
const unbookedAccountsSQL = `
SELECT DISTINCT d.stripe_account
FROM donations.donations AS d
WHERE d.livemode = @livemode
	AND d.booked_at IS NULL
	AND d.state IN ('succeeded', 'partially_refunded', 'refunded', 'disputed')
	AND d.payment_intent_id IS NOT NULL
	AND d.poll_at <= @now
UNION
SELECT d.stripe_account
FROM donations.payments AS p
JOIN donations.donations AS d ON d.id = p.donation
WHERE p.under_way
	AND p.poll_at <= @now
	AND d.livemode = @livemode
ORDER BY stripe_account`

// UnbookedAccounts returns the accounts that have unbooked payments whose time for a poll has come.
func (s *Service) UnbookedAccounts(ctx context.Context) ([]string, error) {
	rows, err := s.cfg.Pool.Query(ctx, unbookedAccountsSQL, pgx.NamedArgs{"livemode": s.cfg.Stripe.Livemode(), "now": s.now()})
	if err != nil {
		return nil, postgres.Error(err)
	}
	accounts, err := pgx.CollectRows(rows, pgx.RowTo[string])
	return accounts, postgres.Error(err)
}

// The rows are locked in the order of ids, as in booking. pollLaterSQL postpones the polls of first payments that are
// not booked. One that was booked since has no poll_at, and is left.
const pollLaterSQL = `
WITH unbooked AS (
	SELECT o.id
	FROM donations.donations AS o
	WHERE o.id = ANY(@ids::uuid[])
		AND o.booked_at IS NULL
		AND o.poll_at IS NOT NULL
	ORDER BY o.id
	FOR NO KEY UPDATE
)
UPDATE donations.donations AS d
SET
	poll_attempts = d.poll_attempts + 1,
	poll_at = u.poll_at
FROM unnest(
	@ids::uuid[],
	@poll_at::timestamptz[]
) AS u (id, poll_at)
JOIN unbooked ON unbooked.id = u.id
WHERE d.id = u.id`

// A row that is locked is changing, and is polled once more at worst. pollPaymentsLaterSQL is the same for payments in
// transit. Unlike booking it does not lock their donations, so it must not wait for a row: SKIP LOCKED rules out a
// deadlock.
const pollPaymentsLaterSQL = `
WITH held AS (
	SELECT
		o.donation,
		o.payment_intent_id
	FROM donations.payments AS o
	JOIN unnest(
		@ids::uuid[],
		@intents::text[]
	) AS u (donation, intent) ON u.donation = o.donation AND u.intent = o.payment_intent_id
	WHERE o.under_way
	FOR NO KEY UPDATE OF o SKIP LOCKED
)
UPDATE donations.payments AS p
SET
	poll_attempts = p.poll_attempts + 1,
	poll_at = u.poll_at
FROM unnest(
	@ids::uuid[],
	@intents::text[],
	@poll_at::timestamptz[]
) AS u (donation, intent, poll_at)
JOIN held ON held.donation = u.donation AND held.payment_intent_id = u.intent
WHERE p.donation = u.donation
	AND p.payment_intent_id = u.intent`

// maxPollPause bounds the growing pause between two polls of one donation.
const maxPollPause = time.Hour

// PollLater postpones the next poll of donations and payments: each pause is twice the one before, an hour at most.
func (s *Service) PollLater(ctx context.Context, asked []Unbooked) error {
	ids, intents, at := make([]uuid.UUID, len(asked)), make([]string, len(asked)), make([]time.Time, len(asked))
	for i, u := range asked {
		// The shift is bounded, so that it cannot overflow; the pause reaches its maximum before.
		ids[i], intents[i], at[i] = u.Donation, u.PaymentIntent, s.now().Add(min(pollAfter<<min(u.Attempts, 10), maxPollPause))
	}
	// One list for both statements: each changes the rows that are its own. They need no common transaction, since a
	// poll that is repeated does no harm.
	named := pgx.NamedArgs{"ids": ids, "intents": intents, "poll_at": at}
	if _, err := s.cfg.Pool.Exec(ctx, pollLaterSQL, named); err != nil {
		return postgres.Error(err)
	}
	_, err := s.cfg.Pool.Exec(ctx, pollPaymentsLaterSQL, named)
	return postgres.Error(err)
}
