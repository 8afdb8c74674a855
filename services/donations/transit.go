package donations

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

// A payment can have several charges one after the other, as when a debit is tried again. The newest word counts.
const holdPaymentSQL = `
INSERT INTO donations.payments AS p (
	donation,
	payment_intent_id,
	surplus,
	refunded_minor,
	paid_in_minor,
	refunded_in_minor,
	under_way,
	held_at,
	poll_at
)
VALUES (
	@donation,
	@intent,
	false,
	0,
	0,
	0,
	@under_way,
	@at,
	@poll_at
)
ON CONFLICT (donation, payment_intent_id) DO UPDATE
SET
	under_way = excluded.under_way,
	held_at = excluded.held_at,
	poll_at = excluded.poll_at,
	poll_attempts = 0
WHERE p.held_at IS NULL
	OR p.held_at <= excluded.held_at`

// A month after the first has no session that says so.
const failMonthSQL = `
UPDATE donations.donations AS d
SET
	state = 'failed',
	updated_at = @now
WHERE d.id = @donation
	AND d.recurring_id <> d.id
	AND d.payment_intent_id = @intent
	AND d.state = 'pending'`

// Transit is how far a payment is that passes through transit in the books.
type Transit int

// The stages of a [Transit].
const (
	// TransitUnderWay: its bank has not answered.
	TransitUnderWay Transit = iota
	// TransitArrived: it is received.
	TransitArrived
	// TransitFailed: it went out of transit as it came.
	TransitFailed
)

// HoldTx remembers how far a payment of about then is in transit, and asks for it until it is there no more. The caller
// posts that in the same transaction, and has locked the donation, whose state it leaves to what the payment's session
// says; that of a month after the first, which has none, to the books. What is of before the last word changes nothing.
func (s *Service) HoldTx(ctx context.Context, tx pgx.Tx, donation uuid.UUID, intent string, transit Transit, at time.Time) error {
	now := s.now()
	named := pgx.NamedArgs{
		"donation": donation, "intent": intent, "under_way": transit == TransitUnderWay, "at": at, "poll_at": (*time.Time)(nil), "now": now,
	}
	if transit == TransitUnderWay {
		named["poll_at"] = now.Add(pollAfter)
	}
	tag, err := tx.Exec(ctx, holdPaymentSQL, named)
	if err == nil && transit == TransitFailed && tag.RowsAffected() > 0 {
		_, err = tx.Exec(ctx, failMonthSQL, named)
	}
	return postgres.Error(err)
}
