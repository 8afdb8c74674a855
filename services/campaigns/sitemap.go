package campaigns

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

// maxSitemap is how many campaigns a sitemap names. With their languages they are far below the 50,000 addresses and 50 MB that
// https://www.sitemaps.org allows.
const maxSitemap = 5_000

// sitemapSQL returns names and languages of what the front page lists, by campaigns_listed_idx. Pages of discreet collectives
// tell search engines to leave them out.
const sitemapSQL = `
SELECT
	c.collective,
	c.id,
	ARRAY(
		SELECT k.lang
		FROM jsonb_object_keys(c.texts) AS k (lang)
		ORDER BY k.lang
	)
FROM campaigns.campaigns AS c
JOIN collectives.collectives AS g ON g.id = c.collective
WHERE c.listed
	AND c.state <> 'draft'
	AND g.suspended_at IS NULL
	AND NOT g.discreet
ORDER BY
	c.published_at DESC,
	c.collective DESC,
	c.id DESC
LIMIT @count`

// inSitemap is a campaign of the sitemap.
type inSitemap struct {
	Name      Name
	Languages []string
}

// sitemap returns what the sitemap names, by one query.
func (s *Service) sitemap(ctx context.Context) ([]inSitemap, error) {
	rows, err := s.pool.Query(ctx, sitemapSQL, pgx.NamedArgs{"count": maxSitemap})
	if err != nil {
		return nil, postgres.Error(err)
	}
	found, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (c inSitemap, err error) {
		err = row.Scan(&c.Name.Collective, &c.Name.Campaign, &c.Languages)
		return c, err
	})
	return found, postgres.Error(err)
}
