package pages

import (
	"net/http"

	campaignsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
)

// frontView is the campaigns that chose to be listed. First is whether the page begins the list.
type frontView struct {
	First     bool
	Campaigns []campaignView
	// More is the address of the next page; empty on the last.
	More string
}

// front is the service's first page: a word about it, and the campaigns that chose to be listed, those that run first.
func (s *site) front(w http.ResponseWriter, r *http.Request) {
	token := r.URL.Query().Get("page")
	list, err := s.campaigns.ListListedCampaigns(r.Context(), &campaignsv1.ListListedCampaignsRequest{
		Parent: "instance", PageSize: campaignsPerPage, PageToken: token,
	})
	if err != nil {
		s.failed(w, r, err)
		return
	}
	p := s.begin(w, r)
	v := frontView{First: token == "", More: nextPage(r, list.GetNextPageToken())}
	for _, c := range list.GetCampaigns() {
		shown := newCampaignView(p.Words, c)
		shown.Image = s.imageOf(r.Context(), c, shown.TextLang)
		v.Campaigns = append(v.Campaigns, shown)
	}
	p.Title, p.Description, p.Content = p.T("siteTitle"), p.T("homeLead"), v
	if v.First {
		s.share(p, "/")
	}
	s.answer(w, r, http.StatusOK, "front", p, cachePublic)
}
