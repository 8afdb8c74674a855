package pages

import (
	"net/http"
	"net/url"
	"regexp"

	campaignsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
)

// embed is a campaign's progress and form in a frame of another site, for sites that cannot have the widget's script.
//
// Browsers show it on the pages of an origin that the campaign allows, and nowhere else. The Referer names that origin, which
// is why the frame of the snippet has a referrer policy; the list of all origins is for members alone.
func (s *site) embed(w http.ResponseWriter, r *http.Request) {
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
	w.Header().Add("Vary", "Referer")
	p := s.begin(w, r)
	v := s.viewOf(r, p, c)
	p.Title, p.NoIndex, p.Framed, p.frame, p.Content = v.Title, true, true, s.frameOf(r, name), v
	s.answer(w, r, http.StatusOK, "embed", p, cacheNever)
}

// framing is an origin as a policy may hold it: a policy is a list of words, and nothing of what a client sent may add to it.
var framing = regexp.MustCompile(`^https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?$`)

// frameOf is the origin of the page that shows the frame, when the campaign allows it; empty otherwise.
func (s *site) frameOf(r *http.Request, campaign string) string {
	from, err := url.Parse(r.Referer())
	if err != nil {
		return ""
	}
	origin := from.Scheme + "://" + from.Host
	if !framing.MatchString(origin) {
		return ""
	}
	answer, err := s.campaigns.CheckOrigin(r.Context(), &campaignsv1.CheckOriginRequest{Name: campaign, Origin: origin})
	if err != nil || !answer.GetAllowed() {
		return ""
	}
	return origin
}
