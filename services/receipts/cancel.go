package receipts

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/audit"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/notices"
)

const cancelSQL = `
UPDATE receipts.receipts AS r
SET
	state = 'canceled',
	cancel_reason = 'member',
	cancel_note = @note,
	reissuable = @reissuable,
	canceled_at = @now
WHERE r.id = @id`

// Cancel cancels a receipt for the caller in the context. One that is canceled stays as it is.
func (s *Service) Cancel(ctx context.Context, collective string, id uuid.UUID, note string, reissuable bool) (result Receipt, err error) {
	err = postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		r, err := lockReceiptTx(ctx, tx, collective, id)
		if err != nil {
			return err
		}
		if result = r; r.State == StateCanceled {
			return nil
		}
		result.State, result.CancelReason, result.CancelNote, result.Reissuable, result.CancelTime = StateCanceled, CanceledByMember, note, reissuable, s.now()
		_, err = tx.Exec(ctx, cancelSQL, pgx.NamedArgs{"id": id, "note": note, "reissuable": reissuable, "now": result.CancelTime})
		if err != nil {
			return postgres.Error(err)
		}
		return audit.WriteTx(ctx, tx, audit.Change{
			Collective: collective, Resource: r.Name(), Before: r.auditFields(), After: result.auditFields(),
		})
	})
	return result, err
}

// canceledColumns are what the notice says.
const canceledColumns = `
	r.id,
	r.collective,
	r.amount_minor,
	r.currency`

func scanCanceled(row pgx.CollectableRow) (r Receipt, err error) {
	err = row.Scan(&r.ID, &r.Collective, &r.Amount.Minor, &r.Amount.Currency)
	return r, err
}

// A receipt stands for no more than what is left of its payments. It is about what was left when it was issued, so a payment
// of which more went back since has a receipt of too much. The donor can have another one, of what is left.
const cancelReturnedSQL = `
WITH canceled AS (
	UPDATE receipts.receipts AS r
	SET
		state = 'canceled',
		cancel_reason = 'refunded',
		reissuable = true,
		canceled_at = @now
	WHERE r.state = 'issued'
		AND r.id IN (
			SELECT p.receipt
			FROM receipts.payments AS p
			JOIN donations.donations AS d ON d.id = p.donation
			WHERE p.donation = ANY(@donations::uuid[])
				AND p.standing
				AND d.amount_minor - d.refunded_minor < p.amount_minor
		)
	RETURNING` + canceledColumns + `
)
SELECT` + canceledColumns + `
FROM canceled AS r
ORDER BY r.id`

// CancelReturnedTx cancels the receipts of donations of which more was refunded since. It is called in the transaction that
// books the refunds, after them, with the donations locked. It changes nothing when repeated.
func (s *Service) CancelReturnedTx(ctx context.Context, tx pgx.Tx, donations []uuid.UUID) error {
	if len(donations) == 0 {
		return nil
	}
	canceled, err := postgres.All(ctx, tx, scanCanceled, cancelReturnedSQL, pgx.NamedArgs{"donations": donations, "now": s.now()})
	if err != nil {
		return err
	}
	return s.tellCanceledTx(ctx, tx, canceled)
}

const cancelOfSQL = `
WITH canceled AS (
	UPDATE receipts.receipts AS r
	SET
		state = 'canceled',
		cancel_reason = @reason,
		reissuable = true,
		canceled_at = @now
	WHERE r.state = 'issued'
		AND r.id IN (
			SELECT p.receipt
			FROM receipts.payments AS p
			WHERE (p.donation = @id OR p.offline_donation = @id)
				AND p.standing
		)
	RETURNING` + canceledColumns + `
)
SELECT` + canceledColumns + `
FROM canceled AS r
ORDER BY r.id`

// CancelLostTx cancels the receipt of a donation whose dispute was lost. It is called in the transaction that stores that. It
// changes nothing when repeated. If the dispute is won after all, the donor can have another one.
func (s *Service) CancelLostTx(ctx context.Context, tx pgx.Tx, donation uuid.UUID) error {
	return s.cancelOfTx(ctx, tx, donation, CanceledDisputeLost)
}

// CancelReversedTx cancels the receipt of an offline donation that was reversed, or whose cheque bounced. It is called in the
// transaction that stores that. It changes nothing when repeated.
func (s *Service) CancelReversedTx(ctx context.Context, tx pgx.Tx, offlineDonation uuid.UUID) error {
	return s.cancelOfTx(ctx, tx, offlineDonation, CanceledReversed)
}

func (s *Service) cancelOfTx(ctx context.Context, tx pgx.Tx, id uuid.UUID, reason CancelReason) error {
	canceled, err := postgres.All(ctx, tx, scanCanceled, cancelOfSQL, pgx.NamedArgs{"id": id, "reason": string(reason), "now": s.now()})
	if err != nil {
		return err
	}
	return s.tellCanceledTx(ctx, tx, canceled)
}

// tellCanceledTx gives members notice: the donor holds a receipt that is not good any more.
func (s *Service) tellCanceledTx(ctx context.Context, tx pgx.Tx, canceled []Receipt) error {
	for _, r := range canceled {
		if err := s.cfg.Notices.TellTx(ctx, tx, notices.Notice{
			Collective: r.Collective, Kind: notices.ReceiptCanceled, Key: r.ID.String(), Subject: r.Name(), Amount: r.Amount,
		}); err != nil {
			return err
		}
	}
	return nil
}
