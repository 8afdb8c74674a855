package pages

import (
	"cmp"
	"context"
	"net/http"

	"github.com/cagnotte/cagnotte/gateway/markdown"
	campaignsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
)

// campaign shows one campaign with its form.
func (s *site) campaign(w http.ResponseWriter, r *http.Request) {
	name, ok := campaignName(r)
	if !ok {
		s.missing(w, r)
		return
	}
	c, err := s.campaigns.GetCampaign(r.Context(), &campaignsv1.GetCampaignRequest{Name: name})
	if err != nil {
		s.failed(w, r, err)
		return
	}
	p := s.begin(w, r)
	p.Discreet = c.GetCollectiveDiscreet()
	v := s.viewOf(r, p, c)
	s.fill(r.Context(), p, &v, c)
	v.Links = s.shareLinksOf(p.Words, v)
	p.Title, p.Description, p.Content = v.Title, cmp.Or(markdown.Summary(v.Story, summaryLength), v.Collective+". "+v.Progress.Text+"."), v
	s.shareCampaign(p, v, languagesOf(c.GetTexts()))
	p.Feed = v.FeedPath
	s.answer(w, r, http.StatusOK, "campaign", p, cachePublic)
}

// fill adds to a campaign what stands beside its form: story, picture, accounts, donations and news.
func (s *site) fill(ctx context.Context, p *page, v *campaignView, c *campaignsv1.Campaign) {
	v.Story = s.stories.Render(v.TextLang, c.GetTexts()[v.TextLang].GetStory())
	v.Summary = markdown.Summary(v.Story, summaryLength)
	v.Image = s.imageOf(ctx, c, v.TextLang)
	v.Accounts = s.accountsOf(ctx, p.Words, c)
	v.Batches = s.batchesOf(ctx, p.Words, c)
	v.News, v.MoreNews = s.latestNews(ctx, p.Words, c.GetName(), v.Path)
	if len(v.News) > 0 {
		v.FeedPath = feedPath(v.Path, p.Words)
	}
}

// viewOf is a campaign without story and picture, and with the way to the other ways to give.
func (s *site) viewOf(r *http.Request, p *page, c *campaignsv1.Campaign) campaignView {
	v := newCampaignView(p.Words, c)
	// A campaign that takes no donations takes no pledges, so nothing is asked then.
	if v.Accepting && s.offersPledges(r.Context(), c.GetName()) {
		v.PledgePath = v.Path + "/pledge"
	}
	return v
}
