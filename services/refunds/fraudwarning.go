package refunds

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/campaigns"
	"github.com/cagnotte/cagnotte/services/donations"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/notices"
)

// FraudWarning is a card network's early warning that a donation was paid by fraud. A refund while it is actionable avoids the
// dispute and its fee.
type FraudWarning struct {
	// ID is Stripe's id.
	ID       string
	Campaign campaigns.Name
	Donation uuid.UUID
	// FraudType is the kind of fraud, in Stripe's word.
	FraudType string
	// Actionable: the payment is neither disputed nor fully refunded.
	Actionable bool
	CreateTime time.Time
}

// Name returns the resource name, `collectives/{collective}/fraudWarnings/{warning}`.
func (w FraudWarning) Name() string {
	return "collectives/" + w.Campaign.Collective + "/fraudWarnings/" + w.ID
}

// A warning that is not actionable does not become so again. putFraudWarningSQL inserts a warning, or ends the one that
// fraud_warnings_pkey finds. A repeat changes no row, and neither does an older reading that says it is actionable.
const putFraudWarningSQL = `
INSERT INTO refunds.fraud_warnings AS w (
	stripe_account,
	id,
	donation,
	collective,
	fraud_type,
	actionable,
	created_at,
	updated_at
)
VALUES (
	@account,
	@id,
	@donation,
	@collective,
	@fraud_type,
	@actionable,
	@created_at,
	@now
)
ON CONFLICT (stripe_account, id) DO UPDATE
SET
	actionable = excluded.actionable,
	updated_at = excluded.updated_at
WHERE w.actionable
	AND NOT excluded.actionable`

// ReadFraudWarning reads an early fraud warning at Stripe and stores it. It may be called any number of times and in any order,
// outside a transaction. Members get one notice, while it is actionable. ours is false for a warning about a payment that is
// no donation.
func (s *Service) ReadFraudWarning(ctx context.Context, account, id string) (ours bool, err error) {
	is, err := s.cfg.Stripe.GetFraudWarning(ctx, account, id)
	if err != nil {
		return false, notThere(err)
	}
	// This may ask Stripe whose the payment is, so it comes before the transaction.
	match, err := s.cfg.Donations.PaymentOf(ctx, account, donations.Payment{Intent: is.PaymentIntent, Charge: is.Charge})
	if err != nil || match.Donation == uuid.Nil {
		return false, err
	}
	return true, postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, putFraudWarningSQL, pgx.NamedArgs{
			"account": account, "id": is.ID, "donation": match.Donation, "collective": match.Campaign.Collective,
			"fraud_type": is.FraudType, "actionable": is.Actionable, "created_at": is.Created, "now": s.now(),
		})
		// Nobody can act on it any more. A notice of a repeat has the same key, and is not sent twice.
		if err != nil || !is.Actionable {
			return postgres.Error(err)
		}
		// The amount is the donation's: a warning has none.
		return s.cfg.Notices.TellTx(ctx, tx, notices.Notice{
			Collective: match.Campaign.Collective, Kind: notices.FraudWarning, Key: is.ID,
			Subject: donations.Donation{Campaign: match.Campaign, ID: match.Donation}.Name(), Amount: match.Amount,
		})
	})
}

// fraudWarningSelect is what scanFraudWarning reads. The campaign is the donation's, since warnings store the
// collective only.
const fraudWarningSelect = `
SELECT
	w.id,
	w.collective,
	d.campaign,
	w.donation,
	w.fraud_type,
	w.actionable,
	w.created_at
FROM refunds.fraud_warnings AS w
JOIN donations.donations AS d ON d.id = w.donation`

func scanFraudWarning(row pgx.CollectableRow) (w FraudWarning, err error) {
	err = row.Scan(&w.ID, &w.Campaign.Collective, &w.Campaign.Campaign, &w.Donation, &w.FraudType, &w.Actionable, &w.CreateTime)
	w.CreateTime = w.CreateTime.UTC()
	return w, err
}

// getFraudWarningSQL asks for the collective too, so that members do not read warnings of others by their ids.
const getFraudWarningSQL = fraudWarningSelect + `
WHERE w.collective = @collective
	AND w.id = @id`

// GetFraudWarning returns one warning about a collective's donations; any other is NOT_FOUND.
func (s *Service) GetFraudWarning(ctx context.Context, collective, id string) (FraudWarning, error) {
	rows, err := s.cfg.Pool.Query(ctx, getFraudWarningSQL, pgx.NamedArgs{"collective": collective, "id": id})
	if err != nil {
		return FraudWarning{}, postgres.Error(err)
	}
	w, err := pgx.CollectExactlyOneRow(rows, scanFraudWarning)
	if errors.Is(err, pgx.ErrNoRows) {
		return FraudWarning{}, errs.NotFound(FraudWarning{Campaign: campaigns.Name{Collective: collective}, ID: id}.Name())
	}
	return w, postgres.Error(err)
}

// listFraudWarningsSQL returns a page of a collective's warnings, in the order of fraud_warnings_list_idx.
const listFraudWarningsSQL = fraudWarningSelect + `
WHERE w.collective = @collective
	AND (w.created_at, w.id) < (@before_time, @before_id)
ORDER BY
	w.created_at DESC,
	w.id DESC
LIMIT @count`

// ListFraudWarnings returns up to count warnings about a collective's donations, newest first,
// those after the given position.
func (s *Service) ListFraudWarnings(ctx context.Context, collective string, after StripePosition, count int) ([]FraudWarning, error) {
	rows, err := s.cfg.Pool.Query(ctx, listFraudWarningsSQL, pgx.NamedArgs{
		"collective": collective, "before_time": after.CreateTime, "before_id": after.ID, "count": count,
	})
	if err != nil {
		return nil, postgres.Error(err)
	}
	found, err := pgx.CollectRows(rows, scanFraudWarning)
	return found, postgres.Error(err)
}
