package collectives

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

const getSQL = `
SELECT
	c.id,
	c.display_name,
	c.stripe_account,
	c.time_zone,
	c.created_at,
	c.updated_at,
	c.version
FROM collectives.collectives AS c
WHERE c.id = @id`

// Get returns one collective; a missing one is NOT_FOUND.
func (s *Service) Get(ctx context.Context, id string) (Collective, error) {
	rows, err := s.pool.Query(ctx, getSQL, pgx.NamedArgs{"id": id})
	return one(rows, err, id)
}

const listSQL = `
SELECT
	c.id,
	c.display_name,
	c.stripe_account,
	c.time_zone,
	c.created_at,
	c.updated_at,
	c.version
FROM collectives.collectives AS c
WHERE c.id > @after
ORDER BY c.id
LIMIT @count`

// List returns up to count collectives by id, those after the given one.
func (s *Service) List(ctx context.Context, after string, count int) ([]Collective, error) {
	rows, err := s.pool.Query(ctx, listSQL, pgx.NamedArgs{"after": after, "count": count})
	if err != nil {
		return nil, postgres.Error(err)
	}
	found, err := pgx.CollectRows(rows, scan)
	return found, postgres.Error(err)
}

const insertSQL = `
INSERT INTO collectives.collectives (
	id,
	display_name,
	stripe_account,
	time_zone,
	created_at,
	updated_at
)
VALUES (
	@id,
	@display_name,
	@stripe_account,
	@time_zone,
	@created_at,
	@created_at
)
ON CONFLICT (id) DO NOTHING
RETURNING
	id,
	display_name,
	stripe_account,
	time_zone,
	created_at,
	updated_at,
	version`

// insert reports false when the id is taken.
func (s *Service) insert(ctx context.Context, c Collective) (created Collective, inserted bool, err error) {
	rows, err := s.pool.Query(ctx, insertSQL, pgx.NamedArgs{
		"id":             c.ID,
		"display_name":   c.DisplayName,
		"stripe_account": c.StripeAccount,
		"time_zone":      c.TimeZone,
		"created_at":     c.CreateTime,
	})
	if err != nil {
		return Collective{}, false, postgres.Error(err)
	}
	created, err = pgx.CollectExactlyOneRow(rows, scan)
	if errors.Is(err, pgx.ErrNoRows) {
		return Collective{}, false, nil
	}
	return created, err == nil, postgres.Error(err)
}

// lockSQL takes the row against other updates only: gifts and keys may go on
// referring to it.
const lockSQL = getSQL + `
FOR NO KEY UPDATE`

const updateSQL = `
UPDATE collectives.collectives AS c
SET
	display_name = @display_name,
	stripe_account = @stripe_account,
	time_zone = @time_zone,
	updated_at = @updated_at,
	version = c.version + 1
WHERE c.id = @id
RETURNING
	c.id,
	c.display_name,
	c.stripe_account,
	c.time_zone,
	c.created_at,
	c.updated_at,
	c.version`

func (s *Service) update(ctx context.Context, id string, decide func(stored Collective) (Collective, error)) (Collective, error) {
	var result Collective
	err := postgres.InTx(ctx, s.pool, func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, lockSQL, pgx.NamedArgs{"id": id})
		stored, err := one(rows, err, id)
		if err != nil {
			return err
		}
		changed, err := decide(stored)
		if err != nil {
			return err
		}
		if sameSettings(stored, changed) {
			result = stored
			return nil
		}
		rows, err = tx.Query(ctx, updateSQL, pgx.NamedArgs{
			"id":             id,
			"display_name":   changed.DisplayName,
			"stripe_account": changed.StripeAccount,
			"time_zone":      changed.TimeZone,
			"updated_at":     s.nowMicros(),
		})
		result, err = one(rows, err, id)
		return err
	})
	if err != nil {
		return Collective{}, err
	}
	return result, nil
}

// one reads the single row of a statement about the collective of this id.
func one(rows pgx.Rows, err error, id string) (Collective, error) {
	if err != nil {
		return Collective{}, postgres.Error(err)
	}
	c, err := pgx.CollectExactlyOneRow(rows, scan)
	if errors.Is(err, pgx.ErrNoRows) {
		return Collective{}, errs.NotFound(namePrefix + id)
	}
	if err != nil {
		return Collective{}, postgres.ErrorFor(err, map[string]*errs.Error{
			"collectives_stripe_account_in_use": errs.Precondition("STRIPE_ACCOUNT_IN_USE",
				"Gifts were made to the Stripe account of %s; it cannot change any more.", namePrefix+id),
		})
	}
	return c, nil
}

func scan(r pgx.CollectableRow) (Collective, error) {
	var c Collective
	err := r.Scan(&c.ID, &c.DisplayName, &c.StripeAccount, &c.TimeZone, &c.CreateTime, &c.UpdateTime, &c.version)
	c.CreateTime, c.UpdateTime = c.CreateTime.UTC(), c.UpdateTime.UTC()
	return c, err
}
