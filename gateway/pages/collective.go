package pages

import (
	"cmp"
	"context"
	"html/template"
	"net/http"
	"net/url"
	"strings"

	"github.com/cagnotte/cagnotte/gateway/markdown"
	"github.com/cagnotte/cagnotte/gateway/text"
	campaignsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
	collectivesv1 "github.com/cagnotte/cagnotte/proto/cagnotte/collectives/v1"
	imagesv1 "github.com/cagnotte/cagnotte/proto/cagnotte/images/v1"
	ledgerv1 "github.com/cagnotte/cagnotte/proto/cagnotte/ledger/v1"
)

// campaignsPerPage is how many a collective's page shows, and the front page.
const campaignsPerPage = 24

// collectiveView is what a collective tells about itself, and its campaigns.
type collectiveView struct {
	// Path is the page's own address.
	Name, TextLang, Path string
	Logo                 *imageView
	About, Legal         template.HTML
	// Website, ContactURL and Email are as the collective wrote them; Site is the website in short.
	Website, Site, ContactURL, Email string
	// Host are the lines of who runs the service; none where the operator has not said it.
	Host []hostLine
	// First is whether the page begins the list: the later ones have the campaigns alone.
	First bool
	Lists []campaignList
	// More is the address of the next page; empty on the last.
	More string
	// Sealed says how much of the book is signed, and Checkpoint is where; empty before the first.
	Sealed, Checkpoint string
}

// campaignList is the campaigns of one kind under a heading.
type campaignList struct {
	ID, Heading string
	Campaigns   []campaignView
}

// hostLine is a line about the host. Email says that it is an address to write to.
type hostLine struct {
	Text  string
	Email bool
}

// collective shows who a collective is and its campaigns, those that run first. A collective without public campaigns looks
// like one that does not exist.
func (s *site) collective(w http.ResponseWriter, r *http.Request) {
	collective := r.PathValue("collective")
	if !slugPattern.MatchString(collective) {
		s.missing(w, r)
		return
	}
	name := "collectives/" + collective
	token := r.URL.Query().Get("page")
	list, err := s.campaigns.ListCampaigns(r.Context(), &campaignsv1.ListCampaignsRequest{
		Parent: name, PageSize: campaignsPerPage, RunningFirst: true,
		// A token that is not right is an error of the call, which becomes the page for a missing address.
		PageToken: token,
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
	v := collectiveView{Path: "/c/" + collective, Name: list.GetCampaigns()[0].GetCollectiveDisplayName(), First: token == ""}
	p.Discreet = list.GetCampaigns()[0].GetCollectiveDiscreet()
	v.Lists = s.campaignLists(r.Context(), p.Words, list.GetCampaigns())
	v.More = nextPage(r, list.GetNextPageToken())
	p.Title, p.Description = v.Name, p.T("collectiveTitle", "collective", v.Name)
	if v.First {
		s.tell(r.Context(), p.Words, name, &v)
		p.Description = cmp.Or(markdown.Summary(v.About, summaryLength), p.Description)
		s.shareCollective(p, "/c/"+collective, v.Name)
	} else {
		p.Title = p.Description
	}
	p.Content = v
	s.answer(w, r, http.StatusOK, "collective", p, cachePublic)
}

// tell adds what the collective says about itself, and how its book stands. The page does without what cannot be read.
func (s *site) tell(ctx context.Context, w *text.Words, name string, v *collectiveView) {
	v.Host = s.host
	if checkpoint, err := s.ledger.GetCheckpoint(ctx, &ledgerv1.GetCheckpointRequest{Name: name + "/ledger/checkpoint"}); err == nil {
		v.Checkpoint = "/v1/" + name + "/ledger/checkpoint"
		v.Sealed = w.N("collective.sealed", checkpoint.GetSize(), "date", w.Date(checkpoint.GetSignTime().AsTime()))
	}
	profile, err := s.collectives.GetCollectiveProfile(ctx, &collectivesv1.GetCollectiveProfileRequest{Name: name + "/profile"})
	if err != nil {
		return
	}
	v.TextLang = w.Lang
	if _, ok := profile.GetTexts()[w.Lang]; !ok {
		v.TextLang = "fr"
	}
	told := profile.GetTexts()[v.TextLang]
	v.About = s.stories.Render(v.TextLang, told.GetAbout())
	v.Legal = s.stories.Render(v.TextLang, told.GetLegalNotice())
	v.Website, v.ContactURL, v.Email = profile.GetWebsite(), profile.GetContactUrl(), profile.GetContactEmail()
	if u, err := url.Parse(v.Website); err == nil {
		v.Site = strings.TrimPrefix(u.Host, "www.")
	}
	if profile.GetLogo() == "" {
		return
	}
	if logo, err := s.images.GetImage(ctx, &imagesv1.GetImageRequest{Name: profile.GetLogo()}); err == nil {
		v.Logo = newImageView(logo, "/images", cmp.Or(told.GetLogoAlt(), v.Name), v.TextLang)
	}
}

// campaignLists sorts campaigns into those that run and those that do not, each with its picture.
func (s *site) campaignLists(ctx context.Context, w *text.Words, all []*campaignsv1.Campaign) []campaignList {
	running := campaignList{ID: "running", Heading: w.T("collective.running")}
	paused := campaignList{ID: "paused", Heading: w.T("collective.paused")}
	ended := campaignList{ID: "ended", Heading: w.T("collective.ended")}
	for _, c := range all {
		v := newCampaignView(w, c)
		v.Image = s.imageOf(ctx, c, v.TextLang)
		list := &ended
		switch {
		case v.Accepting:
			list = &running
		case c.GetState() == campaignsv1.CampaignState_CAMPAIGN_STATE_PAUSED || c.GetCollectiveSuspended():
			list = &paused
		}
		list.Campaigns = append(list.Campaigns, v)
	}
	var lists []campaignList
	for _, list := range []campaignList{running, paused, ended} {
		if len(list.Campaigns) > 0 {
			lists = append(lists, list)
		}
	}
	return lists
}

// nextPage is the address of the page of a list that begins at a token; empty for none. A language that was chosen stays in
// it; one that the browser prefers is found again.
func nextPage(r *http.Request, token string) string {
	if token == "" {
		return ""
	}
	query := url.Values{"page": {token}}
	if lang := text.ExplicitLanguage(r, text.Languages); lang != "" {
		query.Set("lang", lang)
	}
	return r.URL.Path + "?" + query.Encode()
}

// hostLines tells addresses to write to from the other lines.
func hostLines(lines []string) []hostLine {
	var all []hostLine
	for _, line := range lines {
		all = append(all, hostLine{line, strings.Contains(line, "@") && !strings.ContainsAny(line, " /")})
	}
	return all
}
