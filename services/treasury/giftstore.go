package treasury

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/campaigns"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

// giftColumns is what scanGift reads.
const giftColumns = `
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
		WHERE l.offline_gift = g.id
	), '00000000-0000-0000-0000-000000000000'),
	g.created_by,
	g.created_at,
	g.updated_at`

func scanGift(r pgx.CollectableRow) (g Gift, err error) {
	err = r.Scan(&g.ID, &g.Campaign.Collective, &g.Campaign.Campaign, &g.book, &g.Amount.Minor, &g.Amount.Currency, &g.Method,
		&g.ReceivedOn, &g.Document, &g.Pledge, &g.OutsideBooks, &g.Stage, &g.State, &g.Deposit, &g.BankedOn, &g.BouncedOn,
		&g.ReverseReason, &g.BankLine, &g.CreatedBy, &g.CreateTime, &g.UpdateTime)
	g.CreateTime, g.UpdateTime = g.CreateTime.UTC(), g.UpdateTime.UTC()
	return g, err
}

const giftSQL = `
SELECT` + giftColumns + `
FROM treasury.offline_gifts AS g
WHERE g.id = @id
	AND g.collective = @collective
	AND g.campaign = @campaign`

// Gift returns one gift of a campaign; NOT_FOUND when there is none.
func (s *Service) Gift(ctx context.Context, campaign campaigns.Name, id uuid.UUID) (Gift, error) {
	return oneGift(ctx, s.cfg.Pool, giftSQL, campaign, id)
}

const lockGiftSQL = giftSQL + `
FOR NO KEY UPDATE OF g`

// lockGiftTx is Gift for who is going to change it. The row is read again once it is locked, since a line of the
// bank's is no part of it.
func lockGiftTx(ctx context.Context, tx pgx.Tx, campaign campaigns.Name, id uuid.UUID) (Gift, error) {
	if _, err := oneGift(ctx, tx, lockGiftSQL, campaign, id); err != nil {
		return Gift{}, err
	}
	return oneGift(ctx, tx, giftSQL, campaign, id)
}

// querier is a pool or a transaction.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

func oneGift(ctx context.Context, db querier, sql string, campaign campaigns.Name, id uuid.UUID) (Gift, error) {
	g, err := one(ctx, db, scanGift, sql, pgx.NamedArgs{"id": id, "collective": campaign.Collective, "campaign": campaign.Campaign})
	if errors.Is(err, pgx.ErrNoRows) {
		return Gift{}, errs.NotFound(giftName(campaign, id))
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

const listGiftsSQL = `
SELECT` + giftColumns + `
FROM treasury.offline_gifts AS g
WHERE g.collective = @collective
	AND g.campaign = @campaign
	AND (g.created_at, g.id) < (@before_time, @before_id)
ORDER BY
	g.created_at DESC,
	g.id DESC
LIMIT @count`

// Gifts returns up to count gifts of a campaign, those entered last first, before the given one.
func (s *Service) Gifts(ctx context.Context, campaign campaigns.Name, before Position, count int) ([]Gift, error) {
	return all(ctx, s.cfg.Pool, scanGift, listGiftsSQL, pgx.NamedArgs{
		"collective": campaign.Collective, "campaign": campaign.Campaign,
		"before_time": before.Time, "before_id": before.ID, "count": count,
	})
}

const insertGiftSQL = `
INSERT INTO treasury.offline_gifts (
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

var giftRefusals = map[string]*errs.Error{
	"offline_gifts_pledge_key": errs.Precondition("PLEDGE_FULFILLED", "Another gift fulfils the pledge already."),
}

func insertGiftTx(ctx context.Context, tx pgx.Tx, g Gift) error {
	_, err := tx.Exec(ctx, insertGiftSQL, pgx.NamedArgs{
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
	return postgres.ErrorFor(err, giftRefusals)
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

const moveGiftSQL = `
UPDATE treasury.offline_gifts
SET
	state = @state,
	deposit = @deposit,
	banked_on = @banked_on,
	bounced_on = @bounced_on,
	reverse_reason = @reverse_reason,
	updated_at = @now
WHERE id = @id`

// moveGiftTx writes where a gift that is locked has come to.
func moveGiftTx(ctx context.Context, tx pgx.Tx, g Gift, now time.Time) error {
	_, err := tx.Exec(ctx, moveGiftSQL, pgx.NamedArgs{
		"id": g.ID, "state": string(g.State), "deposit": nullID(g.Deposit), "banked_on": nullDay(g.BankedOn),
		"bounced_on": nullDay(g.BouncedOn), "reverse_reason": g.ReverseReason, "now": now,
	})
	return postgres.Error(err)
}
