package campaigns

import (
	"context"

	campaignsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
)

// GetSitemap answers everybody alike.
func (s *server) GetSitemap(ctx context.Context, req *campaignsv1.GetSitemapRequest) (*campaignsv1.Sitemap, error) {
	found, err := s.service.sitemap(ctx)
	if err != nil {
		return nil, err
	}
	all := &campaignsv1.Sitemap{Name: req.GetName()}
	for _, c := range found {
		all.Campaigns = append(all.Campaigns, &campaignsv1.SitemapCampaign{Campaign: c.Name.String(), Languages: c.Languages})
	}
	return all, nil
}
