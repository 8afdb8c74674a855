package campaigns

import (
	"context"

	campaignsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
	"github.com/cagnotte/cagnotte/services/internal/page"
)

// listRunning is ListCampaigns with running_first. A campaign that ends between two pages may be on both, or on none.
func (s *server) listRunning(ctx context.Context, req *campaignsv1.ListCampaignsRequest, q query) (*campaignsv1.ListCampaignsResponse, error) {
	now := s.service.now()
	filter := listFilter{Parent: req.GetParent(), Drafts: q.drafts, Running: true}
	found, next, err := page.List(req, filter, foremost, func(before rankedPosition, count int) ([]Campaign, error) {
		q.count = count
		return s.service.listRunning(ctx, q, before, now)
	}, func(c Campaign) rankedPosition {
		return rankedPosition{Rank: c.rank(now), Time: c.CreateTime, Campaign: c.Name.Campaign}
	})
	if err != nil {
		return nil, err
	}
	resp := &campaignsv1.ListCampaignsResponse{NextPageToken: next}
	resp.Campaigns, err = s.present(ctx, found)
	return resp, err
}

// ListListedCampaigns answers members as it answers everybody, but for the fields of their own campaigns.
func (s *server) ListListedCampaigns(ctx context.Context, req *campaignsv1.ListListedCampaignsRequest) (*campaignsv1.ListListedCampaignsResponse, error) {
	now := s.service.now()
	found, next, err := page.List(req, "listed campaigns", foremost, func(before rankedPosition, count int) ([]Campaign, error) {
		return s.service.listListed(ctx, before, count, now)
	}, func(c Campaign) rankedPosition {
		return rankedPosition{c.rank(now), c.PublishTime, c.Name.Collective, c.Name.Campaign}
	})
	if err != nil {
		return nil, err
	}
	resp := &campaignsv1.ListListedCampaignsResponse{NextPageToken: next}
	resp.Campaigns, err = s.present(ctx, found)
	return resp, err
}
