package treasury

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/campaigns"
	"github.com/cagnotte/cagnotte/services/internal/calendar"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

// donationColumns is what scanDonation reads.
const donationColumns = `
	d.id,
	d.collective,
	d.campaign,
	d.book,
	d.amount_minor,
	d.currency,
	d.method,
	to_char(d.received_on, 'YYYY-MM-DD'),
	d.document,
	coalesce(d.pledge, '00000000-0000-0000-0000-000000000000'),
	d.outside_books,
	d.stage,
	d.state,
	coalesce(d.deposit, '00000000-0000-0000-0000-000000000000'),
	coalesce(to_char(d.banked_on, 'YYYY-MM-DD'), ''),
	coalesce(to_char(d.bounced_on, 'YYYY-MM-DD'), ''),
	d.reverse_reason,
	coalesce((
		SELECT l.id
		FROM bank.lines AS l
		WHERE l.offline_donation = d.id
	), '00000000-0000-0000-0000-000000000000'),
	d.created_by,
	d.created_at,
	d.updated_at`

func scanDonation(r pgx.CollectableRow) (d OfflineDonation, err error) {
	err = r.Scan(&d.ID, &d.Campaign.Collective, &d.Campaign.Campaign, &d.book, &d.Amount.Minor, &d.Amount.Currency, &d.Method,
		&d.ReceivedOn, &d.Document, &d.Pledge, &d.OutsideBooks, &d.Stage, &d.State, &d.Deposit, &d.BankedOn, &d.BouncedOn,
		&d.ReverseReason, &d.BankLine, &d.CreatedBy, &d.CreateTime, &d.UpdateTime)
	d.CreateTime, d.UpdateTime = d.CreateTime.UTC(), d.UpdateTime.UTC()
	return d, err
}

const donationSQL = `
SELECT` + donationColumns + `
FROM treasury.offline_donations AS d
WHERE d.id = @id
	AND d.collective = @collective
	AND d.campaign = @campaign`

// OfflineDonation returns one donation of a campaign; NOT_FOUND when there is none.
func (s *Service) OfflineDonation(ctx context.Context, campaign campaigns.Name, id uuid.UUID) (OfflineDonation, error) {
	return oneDonation(ctx, s.cfg.Pool, donationSQL, campaign, id)
}

const lockDonationSQL = donationSQL + `
FOR NO KEY UPDATE OF d`

// lockDonationTx returns a donation and locks it. The row is read again once it is locked, because the line of the bank
// statement is read from another table.
func lockDonationTx(ctx context.Context, tx pgx.Tx, campaign campaigns.Name, id uuid.UUID) (OfflineDonation, error) {
	if _, err := oneDonation(ctx, tx, lockDonationSQL, campaign, id); err != nil {
		return OfflineDonation{}, err
	}
	return oneDonation(ctx, tx, donationSQL, campaign, id)
}

func oneDonation(ctx context.Context, db postgres.Querier, sql string, campaign campaigns.Name, id uuid.UUID) (OfflineDonation, error) {
	d, err := postgres.One(ctx, db, scanDonation, sql, pgx.NamedArgs{"id": id, "collective": campaign.Collective, "campaign": campaign.Campaign})
	if errors.Is(err, pgx.ErrNoRows) {
		return OfflineDonation{}, errs.NotFound(donationName(campaign, id))
	}
	return d, postgres.Error(err)
}

const listDonationsSQL = `
SELECT` + donationColumns + `
FROM treasury.offline_donations AS d
WHERE d.collective = @collective
	AND d.campaign = @campaign
	AND (d.created_at, d.id) < (@before_time, @before_id)
ORDER BY
	d.created_at DESC,
	d.id DESC
LIMIT @count`

// OfflineDonations returns up to count donations of a campaign, those entered last first, before the given one.
func (s *Service) OfflineDonations(ctx context.Context, campaign campaigns.Name, before Position, count int) ([]OfflineDonation, error) {
	return postgres.All(ctx, s.cfg.Pool, scanDonation, listDonationsSQL, pgx.NamedArgs{
		"collective": campaign.Collective, "campaign": campaign.Campaign,
		"before_time": before.Time, "before_id": before.ID, "count": count,
	})
}

const insertDonationSQL = `
INSERT INTO treasury.offline_donations (
	id,
	collective,
	campaign,
	book,
	amount_minor,
	currency,
	method,
	received_on,
	document,
	pledge,
	outside_books,
	stage,
	created_by,
	created_at,
	updated_at
)
VALUES (
	@id,
	@collective,
	@campaign,
	@book,
	@amount_minor,
	@currency,
	@method,
	@received_on,
	@document,
	@pledge,
	@outside_books,
	@stage,
	@created_by,
	@now,
	@now
)`

var donationRefusals = map[string]*errs.Error{
	"offline_donations_pledge_key": errs.New(errorsv1.ErrorReason_PLEDGE_FULFILLED, "AllowDuplicate donation fulfils the pledge already."),
}

func insertDonationTx(ctx context.Context, tx pgx.Tx, d OfflineDonation) error {
	_, err := tx.Exec(ctx, insertDonationSQL, pgx.NamedArgs{
		"id":            d.ID,
		"collective":    d.Campaign.Collective,
		"campaign":      d.Campaign.Campaign,
		"book":          d.book,
		"amount_minor":  d.Amount.Minor,
		"currency":      string(d.Amount.Currency),
		"method":        string(d.Method),
		"received_on":   string(d.ReceivedOn),
		"document":      d.Document,
		"pledge":        nullID(d.Pledge),
		"outside_books": d.OutsideBooks,
		"stage":         d.Stage,
		"created_by":    d.CreatedBy,
		"now":           d.CreateTime,
	})
	return postgres.ErrorFor(err, donationRefusals)
}

// nullID is NULL for uuid.Nil.
func nullID(id uuid.UUID) *uuid.UUID {
	if id == uuid.Nil {
		return nil
	}
	return &id
}

// nullDay is NULL for no day.
func nullDay(d calendar.Day) *string {
	if d == "" {
		return nil
	}
	return (*string)(&d)
}

const updateDonationSQL = `
UPDATE treasury.offline_donations
SET
	state = @state,
	deposit = @deposit,
	banked_on = @banked_on,
	bounced_on = @bounced_on,
	reverse_reason = @reverse_reason,
	updated_at = @now
WHERE id = @id`

// updateDonationTx stores the new state of a donation that is locked.
func updateDonationTx(ctx context.Context, tx pgx.Tx, d OfflineDonation, now time.Time) error {
	_, err := tx.Exec(ctx, updateDonationSQL, pgx.NamedArgs{
		"id": d.ID, "state": string(d.State), "deposit": nullID(d.Deposit), "banked_on": nullDay(d.BankedOn),
		"bounced_on": nullDay(d.BouncedOn), "reverse_reason": d.ReverseReason, "now": now,
	})
	return postgres.Error(err)
}
