package pages

import (
	"cmp"
	"net/http"
	"net/url"

	"github.com/cagnotte/cagnotte/gateway/markdown"
	"github.com/cagnotte/cagnotte/gateway/text"
	campaignsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
)

// campaignsPerPage is how many a collective's page shows.
const campaignsPerPage = 50

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
	v := s.viewOf(r, p, c)
	v.Story = s.stories.Render(v.TextLang, c.GetTexts()[v.TextLang].GetStory())
	v.Image = s.imageOf(r.Context(), c, v.TextLang)
	v.Links = s.shareLinksOf(p.Words, v)
	p.Title, p.Description, p.Content = v.Title, cmp.Or(markdown.Summary(v.Story, summaryLength), v.Collective+". "+v.Progress.Text+"."), v
	s.shareCampaign(p, v, languagesOf(c.GetTexts()))
	s.answer(w, r, http.StatusOK, "campaign", p, cachePublic)
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

// collectiveView is the list of a collective's campaigns.
type collectiveView struct {
	Heading   string
	Campaigns []campaignView
	// Older is the address of the next page; empty on the last.
	Older string
}

// collective lists a collective's campaigns, newest first. A collective without
// public campaigns looks like one that does not exist.
func (s *site) collective(w http.ResponseWriter, r *http.Request) {
	collective := r.PathValue("collective")
	if !slugPattern.MatchString(collective) {
		s.missing(w, r)
		return
	}
	list, err := s.campaigns.ListCampaigns(r.Context(), &campaignsv1.ListCampaignsRequest{
		Parent:   "collectives/" + collective,
		PageSize: campaignsPerPage,
		// A token that is not right is an error of the call, which becomes the page for a missing address.
		PageToken: r.URL.Query().Get("page"),
	})
	if err != nil {
		s.failed(w, r, err)
		return
	}
	if len(list.GetCampaigns()) == 0 {
		s.missing(w, r)
		return
	}
	p := s.begin(w, r)
	v := collectiveView{}
	for _, c := range list.GetCampaigns() {
		v.Campaigns = append(v.Campaigns, newCampaignView(p.Words, c))
	}
	v.Heading = p.T("collectiveTitle", "collective", v.Campaigns[0].Collective)
	// A language that was chosen stays in the link; one that the browser prefers is found again.
	if token := list.GetNextPageToken(); token != "" {
		query := url.Values{"page": {token}}
		if lang := text.ExplicitLanguage(r); lang != "" {
			query.Set("lang", lang)
		}
		v.Older = "/c/" + collective + "?" + query.Encode()
	}
	p.Title, p.Content = v.Heading, v
	s.shareCollective(p, "/c/"+collective, v.Campaigns[0].Collective)
	s.answer(w, r, http.StatusOK, "collective", p, cachePublic)
}
