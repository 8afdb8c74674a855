package campaigns

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

// equalButShown reports whether two contents differ in what is shown at most.
func (c Content) equalButShown(d Content) bool {
	d.Shown = c.Shown
	return c.equal(d)
}

// rankedColumns are those of getSQL, and rankedTables those that they are of, with [Campaign.rank] at @now.
const (
	rankedColumns = `
	c.collective,
	c.id,
	c.texts,
	c.currency,
	c.goal_minor,
	c.presets_minor,
	c.minimum_minor,
	c.maximum_minor,
	c.deadline,
	c.stages,
	c.allowed_origins,
	c.image,
	c.listed,
	c.expenses_shown,
	c.donations_shown,
	coalesce(to_char(c.event_date, 'YYYY-MM-DD'), ''),
	c.event_time,
	c.event_place,
	c.state,
	c.published_at,
	c.closed_at,
	c.created_at,
	c.updated_at,
	c.version,
	g.display_name,
	g.time_zone,
	g.suspended_at IS NOT NULL,
	g.discreet`

	rankedTables = `
FROM campaigns.campaigns AS c
JOIN collectives.collectives AS g ON g.id = c.collective
CROSS JOIN LATERAL (
	SELECT
		CASE
			WHEN c.state = 'closed' OR c.deadline <= @now THEN 2
			WHEN c.state = 'published' THEN 0
			ELSE 1
		END AS rank
) AS r`
)

// runningSQL returns a page of a collective's campaigns, those that run first. A collective has few, which campaigns_list_idx
// finds.
const runningSQL = `
SELECT` + rankedColumns + rankedTables + `
WHERE c.collective = @collective
	AND (c.state <> 'draft' OR @drafts)
	AND (r.rank > @rank OR r.rank = @rank AND (c.created_at, c.id) < (@before_time, @before_id))
ORDER BY
	r.rank,
	c.created_at DESC,
	c.id DESC
LIMIT @count`

// listedSQL returns a page of the front page, those that run first, and of these those that were published last.
// campaigns_listed_idx has what is listed.
const listedSQL = `
SELECT` + rankedColumns + rankedTables + `
WHERE c.listed
	AND c.state <> 'draft'
	AND g.suspended_at IS NULL
	AND (r.rank > @rank OR r.rank = @rank AND (c.published_at, c.collective, c.id) < (@before_time, @before_collective, @before_id))
ORDER BY
	r.rank,
	c.published_at DESC,
	c.collective DESC,
	c.id DESC
LIMIT @count`

// rankedPosition is a campaign's place in a list of what runs. Time is its creation, or in the front page's list its
// publication, where Collective counts too.
type rankedPosition struct {
	Rank       int16
	Time       time.Time
	Collective string
	Campaign   string
}

// foremost is before every campaign.
var foremost = rankedPosition{Time: newest.CreateTime}

// listRunning returns a page of a collective's campaigns, those that run first.
func (s *Service) listRunning(ctx context.Context, q query, before rankedPosition, now time.Time) ([]Campaign, error) {
	return s.ranked(ctx, runningSQL, q, before, now)
}

// listListed returns a page of the front page.
func (s *Service) listListed(ctx context.Context, before rankedPosition, count int, now time.Time) ([]Campaign, error) {
	return s.ranked(ctx, listedSQL, query{count: count}, before, now)
}

// ranked runs one of the statements above.
func (s *Service) ranked(ctx context.Context, sql string, q query, before rankedPosition, now time.Time) ([]Campaign, error) {
	rows, err := s.pool.Query(ctx, sql, pgx.NamedArgs{
		"collective": q.collective, "drafts": q.drafts, "now": now, "rank": before.Rank,
		"before_time": before.Time, "before_collective": before.Collective, "before_id": before.Campaign, "count": q.count,
	})
	if err != nil {
		return nil, postgres.Error(err)
	}
	found, err := pgx.CollectRows(rows, scan)
	return found, postgres.Error(err)
}
