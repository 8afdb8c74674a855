package images

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/audit"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

// columns are what an Image is read from.
const columns = `
	i.collective,
	i.id,
	i.width,
	i.height,
	(
		SELECT array_agg(v.width ORDER BY v.width)
		FROM images.variants AS v
		WHERE v.collective = i.collective
			AND v.image = i.id
	),
	i.created_at`

// publicPart is true for what a campaign that was published, or the profile, names.
const publicPart = `(
	EXISTS (
		SELECT
		FROM campaigns.campaigns AS c
		WHERE c.collective = i.collective
			AND c.image = i.id
			AND c.published_at IS NOT NULL
	)
	OR EXISTS (
		SELECT
		FROM collectives.profiles AS p
		WHERE p.collective = i.collective
			AND p.logo = i.id
	)
)`

// getSQL reads one image; without @member only one that is public.
const getSQL = `
SELECT` + columns + `
FROM images.images AS i
WHERE i.collective = @collective
	AND i.id = @id
	AND (@member OR ` + publicPart + `)`

// Get returns one image. Without member it is NOT_FOUND unless it is public.
func (s *Service) Get(ctx context.Context, collective, id string, member bool) (Image, error) {
	rows, err := s.pool.Query(ctx, getSQL, pgx.NamedArgs{"collective": collective, "id": id, "member": member})
	if err != nil {
		return Image{}, postgres.Error(err)
	}
	i, err := pgx.CollectExactlyOneRow(rows, scan)
	if errors.Is(err, pgx.ErrNoRows) {
		return Image{}, errs.NotFound(Image{Collective: collective, ID: id}.Name())
	}
	return i, postgres.Error(err)
}

// contentSQL reads one variant, the largest for the width zero; without @member only of an image that is public.
const contentSQL = `
SELECT
	v.content_type,
	v.body
FROM images.images AS i
JOIN images.variants AS v ON v.collective = i.collective AND v.image = i.id
WHERE i.collective = @collective
	AND i.id = @id
	AND (v.width = @width OR @width = 0)
	AND (@member OR ` + publicPart + `)
ORDER BY v.width DESC
LIMIT 1`

// Content returns an image in one of its widths, or the largest for zero. Errors are those of [Service.Get], also for a
// width that it does not have.
func (s *Service) Content(ctx context.Context, collective, id string, width int32, member bool) (c Content, err error) {
	err = s.pool.QueryRow(ctx, contentSQL, pgx.NamedArgs{
		"collective": collective, "id": id, "width": width, "member": member,
	}).Scan(&c.ContentType, &c.Body)
	if errors.Is(err, pgx.ErrNoRows) {
		return Content{}, errs.NotFound(Image{Collective: collective, ID: id}.Name())
	}
	return c, postgres.Error(err)
}

// listSQL returns a page of a collective's images in the order of images_list_idx.
const listSQL = `
SELECT` + columns + `
FROM images.images AS i
WHERE i.collective = @collective
	AND (i.created_at, i.id) < (@before_time, @before_id)
ORDER BY
	i.created_at DESC,
	i.id DESC
LIMIT @count`

// position is an image's place in a list.
type position struct {
	CreateTime time.Time
	ID         string
}

// newest is before every image.
var newest = position{CreateTime: time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)}

// list returns up to count images of a collective, those after the position.
func (s *Service) list(ctx context.Context, collective string, before position, count int) ([]Image, error) {
	rows, err := s.pool.Query(ctx, listSQL, pgx.NamedArgs{
		"collective": collective, "before_time": before.CreateTime, "before_id": before.ID, "count": count,
	})
	if err != nil {
		return nil, postgres.Error(err)
	}
	found, err := pgx.CollectRows(rows, scan)
	return found, postgres.Error(err)
}

// removeUnnamedSQL removes what nothing names for a day. An image that is being named at this moment is skipped.
const removeUnnamedSQL = `
DELETE FROM images.images AS d
WHERE (d.collective, d.id) IN (
	SELECT
		i.collective,
		i.id
	FROM images.images AS i
	WHERE i.collective = @collective
		AND i.created_at < @before
		AND NOT EXISTS (
			SELECT
			FROM campaigns.campaigns AS c
			WHERE c.collective = i.collective
				AND c.image = i.id
		)
		AND NOT EXISTS (
			SELECT
			FROM collectives.profiles AS p
			WHERE p.collective = i.collective
				AND p.logo = i.id
		)
	FOR UPDATE OF i SKIP LOCKED
)`

// removeUnnamed makes room for other images.
func (s *Service) removeUnnamed(ctx context.Context, collective string) error {
	_, err := s.pool.Exec(ctx, removeUnnamedSQL, pgx.NamedArgs{"collective": collective, "before": s.nowMicros().Add(-unnamedFor)})
	// An image that was named between the look and the lock stays, and the others go the next time.
	if postgres.Constraint(err, "campaigns_image_fkey") || postgres.Constraint(err, "profiles_logo_fkey") {
		return nil
	}
	return postgres.Error(err)
}

const (
	// lockSQL lets one image be added at a time, so that the count holds.
	lockSQL = `
SELECT
FROM collectives.collectives AS c
WHERE c.id = @collective
FOR NO KEY UPDATE`

	countSQL = `
SELECT count(*)
FROM images.images AS i
WHERE i.collective = @collective
	AND i.id <> @id`

	// insertSQL adds an image, or renews the time of the one that exists, whose day begins again.
	insertSQL = `
INSERT INTO images.images (
	collective,
	id,
	width,
	height,
	created_at
)
VALUES (
	@collective,
	@id,
	@width,
	@height,
	@now
)
ON CONFLICT (collective, id) DO UPDATE
SET created_at = excluded.created_at
RETURNING xmax = 0`

	variantSQL = `
INSERT INTO images.variants (
	collective,
	image,
	width,
	content_type,
	body
)
VALUES (
	@collective,
	@id,
	@width,
	@content_type,
	@body
)`
)

// insert stores an image with its variants.
func (s *Service) insert(ctx context.Context, collective, id string, variants []variant) (Image, error) {
	largest := variants[len(variants)-1]
	i := Image{Collective: collective, ID: id, Width: largest.Width, Height: largest.Height, CreateTime: s.nowMicros()}
	for _, v := range variants {
		i.Widths = append(i.Widths, int32(v.Width))
	}
	err := postgres.InTx(ctx, s.pool, func(ctx context.Context, tx pgx.Tx) error {
		args := pgx.NamedArgs{"collective": collective, "id": id, "width": i.Width, "height": i.Height, "now": i.CreateTime}
		tag, err := tx.Exec(ctx, lockSQL, args)
		if err != nil {
			return postgres.Error(err)
		}
		if tag.RowsAffected() == 0 {
			return errs.NotFound("collectives/" + collective)
		}
		var count int
		if err := tx.QueryRow(ctx, countSQL, args).Scan(&count); err != nil {
			return postgres.Error(err)
		}
		if count >= maxImages {
			return errs.New(errorsv1.ErrorReason_TOO_MANY_IMAGES, "collectives/%s has %d images, the most that it may have.", collective, maxImages)
		}
		var added bool
		if err := tx.QueryRow(ctx, insertSQL, args).Scan(&added); err != nil || !added {
			return postgres.Error(err)
		}
		for _, v := range variants {
			if _, err := tx.Exec(ctx, variantSQL, pgx.NamedArgs{
				"collective": collective, "id": id, "width": v.Width, "content_type": v.ContentType, "body": v.Body,
			}); err != nil {
				return postgres.Error(err)
			}
		}
		return audit.WriteTx(ctx, tx, audit.Change{
			Collective: collective, Resource: i.Name(),
			After: audit.Fields{"width": strconv.Itoa(i.Width), "height": strconv.Itoa(i.Height)},
		})
	})
	if err != nil {
		return Image{}, err
	}
	return i, nil
}

// scan reads the columns of an Image.
func scan(r pgx.CollectableRow) (i Image, err error) {
	err = r.Scan(&i.Collective, &i.ID, &i.Width, &i.Height, &i.Widths, &i.CreateTime)
	i.CreateTime = i.CreateTime.UTC()
	return i, err
}
