package donations

import (
	"context"
	"log/slog"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/money"
	"github.com/cagnotte/cagnotte/services/notices"
)

// RefusedPayment is a payment that names a donation, or was made on its page, and does not pay it.
type RefusedPayment struct {
	Donation uuid.UUID
	// PaymentIntent and Transaction are Stripe's ids.
	PaymentIntent, Transaction string
	Paid                       money.Amount
}

// A payment that differs is not found by [Service.Find] any more. Its row may be there already, as that of a payment in
// transit, so it is changed then. A repeat changes nothing more.
const disownSQL = `
INSERT INTO donations.payments AS p (
	donation,
	payment_intent_id,
	surplus,
	refunded_minor,
	paid_in_minor,
	refunded_in_minor,
	differs
)
VALUES (
	@donation,
	@intent,
	false,
	0,
	0,
	0,
	true
)
ON CONFLICT (donation, payment_intent_id) DO UPDATE
SET differs = true`

// RefuseTx notes that the payments do not pay the donations that they name, and gives members notice of each. The donations
// stay as they are. The caller books the money to unknown receipts in the same transaction. A payment that names a donation of
// another account is ignored; of one that names none that exists, such as one that was deleted, the operator is told.
func (s *Service) RefuseTx(ctx context.Context, tx pgx.Tx, account string, payments []RefusedPayment) error {
	ids := make([]uuid.UUID, len(payments))
	for i, p := range payments {
		ids[i] = p.Donation
	}
	// The donations are read without locks, since nothing of theirs changes.
	named, err := s.claimed(ctx, tx, account, ids)
	if err != nil {
		return err
	}
	// Payments that name the same donation are told one by one.
	for _, p := range payments {
		d, known := named[p.Donation]
		if !known {
			if err := s.tellForgottenTx(ctx, tx, p); err != nil {
				return err
			}
			continue
		}
		s.cfg.Logger.WarnContext(ctx, "a payment names a donation that it is not of",
			slog.String("donation", d.ID.String()), slog.String("balance_transaction", p.Transaction))
		// Without an intent there is nothing by which it could be found.
		if p.PaymentIntent != "" {
			if _, err := tx.Exec(ctx, disownSQL, pgx.NamedArgs{"donation": d.ID, "intent": p.PaymentIntent}); err != nil {
				return postgres.Error(err)
			}
		}
		// The key is the balance transaction, so that members get one notice of each payment.
		if err := s.cfg.Notices.TellTx(ctx, tx, notices.Notice{
			Collective: d.Campaign.Collective, Kind: notices.PaymentRefused, Key: p.Transaction,
			Subject: d.Name(), Amount: p.Paid, Transactions: []string{p.Transaction},
		}); err != nil {
			return err
		}
	}
	return nil
}

const existsSQL = `
SELECT EXISTS (
	SELECT
	FROM donations.donations AS d
	WHERE d.id = @id
)`

// tellForgottenTx tells the operator of a payment that names a donation that does not exist, since nobody knows any more whose it
// was.
func (s *Service) tellForgottenTx(ctx context.Context, tx pgx.Tx, p RefusedPayment) error {
	var exists bool
	if err := tx.QueryRow(ctx, existsSQL, pgx.NamedArgs{"id": p.Donation}).Scan(&exists); err != nil || exists || p.Donation == uuid.Nil {
		return postgres.Error(err)
	}
	return s.cfg.Notices.TellTx(ctx, tx, notices.Notice{
		Kind: notices.PaymentRefused, Key: p.Transaction, Amount: p.Paid, Transactions: []string{p.Transaction},
	})
}
