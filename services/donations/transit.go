package donations

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

// A payment can have several charges one after the other, as when a debit is tried again. The newest one counts.
// holdPaymentSQL stores a payment's stage. A stage of an older charge changes no row, so the order of movements does
// not matter. The number of polls begins anew.
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

// Months after the first have no session, so the books decide. failMonthSQL fails the month only while it is pending:
// one that was paid since stays paid.
const failMonthSQL = `
UPDATE donations.donations AS d
SET
	state = 'failed',
	updated_at = @now
WHERE d.id = @donation
	AND d.recurring_id <> d.id
	AND d.payment_intent_id = @intent
	AND d.state = 'pending'`

// Transit is the stage of a payment that passes through transit in the books.
type Transit int

// The stages of a [Transit].
const (
	// TransitUnderWay: the bank has not answered.
	TransitUnderWay Transit = iota
	// TransitArrived: it is received.
	TransitArrived
	// TransitFailed: the bank refused it, and the books reversed it.
	TransitFailed
)

// HoldTx stores the stage of a payment whose charge was made at that time, and has Stripe asked about it until it has left
// transit. The caller posts the stage in the same transaction, and has locked the donation. The donation's state follows
// the payment's session; only that of a month after the first, which has no session, becomes failed here. A stage of an
// older charge changes nothing.
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
