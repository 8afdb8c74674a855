package treasury

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/campaigns"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

// donationColumns is what scanDonation reads.
const donationColumns = `
	g.id,
	g.collective,
	g.campaign,
	g.book,
	g.amount_minor,
	g.currency,
	g.method,
	to_char(g.received_on, 'YYYY-MM-DD'),
	g.document,
	coalesce(g.pledge, '00000000-0000-0000-0000-000000000000'),
	g.outside_books,
	g.stage,
	g.state,
	coalesce(g.deposit, '00000000-0000-0000-0000-000000000000'),
	coalesce(to_char(g.banked_on, 'YYYY-MM-DD'), ''),
	coalesce(to_char(g.bounced_on, 'YYYY-MM-DD'), ''),
	g.reverse_reason,
	coalesce((
		SELECT l.id
		FROM treasury.bank_lines AS l
		WHERE l.offline_donation = g.id
	), '00000000-0000-0000-0000-000000000000'),
	g.created_by,
	g.created_at,
	g.updated_at`

func scanDonation(r pgx.CollectableRow) (g Donation, err error) {
	err = r.Scan(&g.ID, &g.Campaign.Collective, &g.Campaign.Campaign, &g.book, &g.Amount.Minor, &g.Amount.Currency, &g.Method,
		&g.ReceivedOn, &g.Document, &g.Pledge, &g.OutsideBooks, &g.Stage, &g.State, &g.Deposit, &g.BankedOn, &g.BouncedOn,
		&g.ReverseReason, &g.BankLine, &g.CreatedBy, &g.CreateTime, &g.UpdateTime)
	g.CreateTime, g.UpdateTime = g.CreateTime.UTC(), g.UpdateTime.UTC()
	return g, err
}

const donationSQL = `
SELECT` + donationColumns + `
FROM treasury.offline_donations AS g
WHERE g.id = @id
	AND g.collective = @collective
	AND g.campaign = @campaign`

// Donation returns one donation of a campaign; NOT_FOUND when there is none.
func (s *Service) Donation(ctx context.Context, campaign campaigns.Name, id uuid.UUID) (Donation, error) {
	return oneDonation(ctx, s.cfg.Pool, donationSQL, campaign, id)
}

const lockDonationSQL = donationSQL + `
FOR NO KEY UPDATE OF g`

// lockDonationTx is Donation for who is going to change it. The row is read again once it is locked, since a line of the
// bank's is no part of it.
func lockDonationTx(ctx context.Context, tx pgx.Tx, campaign campaigns.Name, id uuid.UUID) (Donation, error) {
	if _, err := oneDonation(ctx, tx, lockDonationSQL, campaign, id); err != nil {
		return Donation{}, err
	}
	return oneDonation(ctx, tx, donationSQL, campaign, id)
}

// querier is a pool or a transaction.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

func oneDonation(ctx context.Context, db querier, sql string, campaign campaigns.Name, id uuid.UUID) (Donation, error) {
	g, err := one(ctx, db, scanDonation, sql, pgx.NamedArgs{"id": id, "collective": campaign.Collective, "campaign": campaign.Campaign})
	if errors.Is(err, pgx.ErrNoRows) {
		return Donation{}, errs.NotFound(donationName(campaign, id))
	}
	return g, postgres.Error(err)
}

// one returns pgx.ErrNoRows when there is none.
func one[T any](ctx context.Context, db querier, scan pgx.RowToFunc[T], sql string, args pgx.NamedArgs) (row T, err error) {
	rows, err := db.Query(ctx, sql, args)
	if err != nil {
		return row, err
	}
	return pgx.CollectExactlyOneRow(rows, scan)
}

// all returns every row.
func all[T any](ctx context.Context, db querier, scan pgx.RowToFunc[T], sql string, args pgx.NamedArgs) ([]T, error) {
	rows, err := db.Query(ctx, sql, args)
	if err != nil {
		return nil, postgres.Error(err)
	}
	found, err := pgx.CollectRows(rows, scan)
	return found, postgres.Error(err)
}

const listDonationsSQL = `
SELECT` + donationColumns + `
FROM treasury.offline_donations AS g
WHERE g.collective = @collective
	AND g.campaign = @campaign
	AND (g.created_at, g.id) < (@before_time, @before_id)
ORDER BY
	g.created_at DESC,
	g.id DESC
LIMIT @count`

// Donations returns up to count donations of a campaign, those entered last first, before the given one.
func (s *Service) Donations(ctx context.Context, campaign campaigns.Name, before Position, count int) ([]Donation, error) {
	return all(ctx, s.cfg.Pool, scanDonation, listDonationsSQL, pgx.NamedArgs{
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
	"offline_donations_pledge_key": errs.New(errorsv1.ErrorReason_PLEDGE_FULFILLED, "Another donation fulfils the pledge already."),
}

func insertDonationTx(ctx context.Context, tx pgx.Tx, g Donation) error {
	_, err := tx.Exec(ctx, insertDonationSQL, pgx.NamedArgs{
		"id":            g.ID,
		"collective":    g.Campaign.Collective,
		"campaign":      g.Campaign.Campaign,
		"book":          g.book,
		"amount_minor":  g.Amount.Minor,
		"currency":      string(g.Amount.Currency),
		"method":        string(g.Method),
		"received_on":   string(g.ReceivedOn),
		"document":      g.Document,
		"pledge":        nullID(g.Pledge),
		"outside_books": g.OutsideBooks,
		"stage":         g.Stage,
		"created_by":    g.CreatedBy,
		"now":           g.CreateTime,
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
func nullDay(d Day) *string {
	if d == "" {
		return nil
	}
	return (*string)(&d)
}

const moveDonationSQL = `
UPDATE treasury.offline_donations
SET
	state = @state,
	deposit = @deposit,
	banked_on = @banked_on,
	bounced_on = @bounced_on,
	reverse_reason = @reverse_reason,
	updated_at = @now
WHERE id = @id`

// moveDonationTx writes where a donation that is locked has come to.
func moveDonationTx(ctx context.Context, tx pgx.Tx, g Donation, now time.Time) error {
	_, err := tx.Exec(ctx, moveDonationSQL, pgx.NamedArgs{
		"id": g.ID, "state": string(g.State), "deposit": nullID(g.Deposit), "banked_on": nullDay(g.BankedOn),
		"bounced_on": nullDay(g.BouncedOn), "reverse_reason": g.ReverseReason, "now": now,
	})
	return postgres.Error(err)
}
