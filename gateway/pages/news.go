package pages

import (
	"cmp"
	"context"
	"encoding/xml"
	"html/template"
	"net/http"
	"strings"
	"time"

	"github.com/cagnotte/cagnotte/gateway/markdown"
	"github.com/cagnotte/cagnotte/gateway/text"
	campaignsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
)

const (
	// newsOnCampaign, newsPerPage and newsInFeed are how many items the campaign's page, a page of news and the feed have.
	newsOnCampaign = 3
	newsPerPage    = 10
	newsInFeed     = 20
	// newsSummary is how much of an item the campaign's page shows, in characters.
	newsSummary = 220
)

// newsView is an item in one language. Day is for people, Time for programs.
type newsView struct {
	Title, TextLang, Path string
	Day, Time             string
	Summary               string
	Text                  template.HTML
}

// newsPage is the news of a campaign, or one item of them.
type newsPage struct {
	Collective, CollectivePath string
	Campaign, CampaignLang     string
	CampaignPath               string
	Items                      []newsView
	// One is an item's own page.
	One bool
	// More is the address of the next page; empty on the last. Feed is that of the Atom feed.
	More, Feed string
}

// newNewsView prints an item of a campaign whose page is at path.
func (s *site) newNewsView(w *text.Words, n *campaignsv1.NewsItem, path string) newsView {
	v := newsView{TextLang: w.Lang}
	if _, ok := n.GetTexts()[w.Lang]; !ok {
		v.TextLang = "fr"
	}
	told := n.GetTexts()[v.TextLang]
	at := n.GetPublishTime().AsTime()
	v.Title, v.Text = text.Typeset(v.TextLang, told.GetTitle()), s.stories.Render(v.TextLang, told.GetText())
	v.Day, v.Time = w.Date(at), at.UTC().Format(time.RFC3339)
	v.Summary = markdown.Summary(v.Text, newsSummary)
	_, id, _ := strings.Cut(n.GetName(), "/news/")
	v.Path = path + "/news/" + id
	return v
}

// latestNews are the newest items for the campaign's page; none when they cannot be read.
func (s *site) latestNews(ctx context.Context, w *text.Words, campaign, path string) (latest []newsView, more bool) {
	list, err := s.newsItems.ListNewsItems(ctx, &campaignsv1.ListNewsItemsRequest{Parent: campaign, PageSize: newsOnCampaign})
	if err != nil {
		return nil, false
	}
	for _, n := range list.GetNewsItems() {
		latest = append(latest, s.newNewsView(w, n, path))
	}
	return latest, list.GetNextPageToken() != ""
}

// newsPageOf begins a page about a campaign's news; false when it has answered that there is none.
func (s *site) newsPageOf(w http.ResponseWriter, r *http.Request) (*campaignsv1.Campaign, newsPage, *page, bool) {
	name, ok := campaignName(r)
	if !ok {
		s.missing(w, r)
		return nil, newsPage{}, nil, false
	}
	c, err := s.campaigns.GetCampaign(r.Context(), &campaignsv1.GetCampaignRequest{Name: name})
	if err != nil {
		s.failed(w, r, err)
		return nil, newsPage{}, nil, false
	}
	p := s.begin(w, r)
	p.Discreet = c.GetCollectiveDiscreet()
	collective, campaign := slugs(name)
	v := newsPage{
		Collective: c.GetCollectiveDisplayName(), CollectivePath: "/c/" + collective, CampaignPath: "/c/" + collective + "/" + campaign,
		CampaignLang: textLanguage(p.Words, c),
	}
	v.Campaign = text.Typeset(v.CampaignLang, c.GetTexts()[v.CampaignLang].GetTitle())
	v.Feed = feedPath(v.CampaignPath, p.Words)
	return c, v, p, true
}

// feedPath is the address of a campaign's feed in the reader's language.
func feedPath(campaignPath string, w *text.Words) string {
	return campaignPath + "/news.atom?lang=" + w.Lang
}

// newsList shows a campaign's news, the newest first.
func (s *site) newsList(w http.ResponseWriter, r *http.Request) {
	c, v, p, ok := s.newsPageOf(w, r)
	if !ok {
		return
	}
	list, err := s.newsItems.ListNewsItems(r.Context(), &campaignsv1.ListNewsItemsRequest{
		Parent: c.GetName(), PageSize: newsPerPage, PageToken: r.URL.Query().Get("page"),
	})
	if err != nil {
		s.failed(w, r, err)
		return
	}
	for _, n := range list.GetNewsItems() {
		v.Items = append(v.Items, s.newNewsView(p.Words, n, v.CampaignPath))
	}
	v.More = nextPage(r, list.GetNextPageToken())
	p.Title, p.Content, p.Feed = p.T("news.of", "campaign", v.Campaign), v, v.Feed
	p.Description = p.Title
	s.share(p, v.CampaignPath+"/news")
	s.answer(w, r, http.StatusOK, "news", p, cachePublic)
}

// newsItem shows one item. One that was withdrawn is missing, as one that never was.
func (s *site) newsItem(w http.ResponseWriter, r *http.Request) {
	if !donationPattern.MatchString(r.PathValue("item")) {
		s.missing(w, r)
		return
	}
	c, v, p, ok := s.newsPageOf(w, r)
	if !ok {
		return
	}
	n, err := s.newsItems.GetNewsItem(r.Context(), &campaignsv1.GetNewsItemRequest{Name: c.GetName() + "/news/" + r.PathValue("item")})
	if err != nil {
		s.failed(w, r, err)
		return
	}
	item := s.newNewsView(p.Words, n, v.CampaignPath)
	v.Items, v.One = []newsView{item}, true
	p.Title, p.Content, p.Feed = item.Title, v, v.Feed
	p.Description = cmp.Or(item.Summary, v.Campaign)
	s.share(p, item.Path, languagesOf(n.GetTexts())...)
	s.answer(w, r, http.StatusOK, "news", p, cachePublic)
}

// The elements of Atom (RFC 4287). An item's id is made of its own, so it stays when the text, the campaign's name or the
// address of the service changes.
type (
	atomFeed struct {
		XMLName  xml.Name    `xml:"http://www.w3.org/2005/Atom feed"`
		Lang     string      `xml:"xml:lang,attr"`
		ID       string      `xml:"id"`
		Title    string      `xml:"title"`
		Subtitle string      `xml:"subtitle"`
		Updated  string      `xml:"updated"`
		Author   atomPerson  `xml:"author"`
		Links    []atomLink  `xml:"link"`
		Entries  []atomEntry `xml:"entry"`
	}
	atomPerson struct {
		Name string `xml:"name"`
		URI  string `xml:"uri"`
	}
	atomLink struct {
		Rel  string `xml:"rel,attr"`
		Type string `xml:"type,attr"`
		Href string `xml:"href,attr"`
	}
	atomEntry struct {
		Lang      string      `xml:"xml:lang,attr"`
		ID        string      `xml:"id"`
		Title     string      `xml:"title"`
		Published string      `xml:"published"`
		Updated   string      `xml:"updated"`
		Link      atomLink    `xml:"link"`
		Content   atomContent `xml:"content"`
	}
	atomContent struct {
		Type string `xml:"type,attr"`
		// Base is what addresses in the text are relative to.
		Base string `xml:"xml:base,attr"`
		HTML string `xml:",chardata"`
	}
)

// newsFeed is a campaign's news for programs that follow them. Its addresses begin with the service's own, so it is missing
// where the service does not know that.
func (s *site) newsFeed(w http.ResponseWriter, r *http.Request) {
	if s.publicURL == "" {
		s.missing(w, r)
		return
	}
	c, v, p, ok := s.newsPageOf(w, r)
	if !ok {
		return
	}
	list, err := s.newsItems.ListNewsItems(r.Context(), &campaignsv1.ListNewsItemsRequest{Parent: c.GetName(), PageSize: newsInFeed})
	if err != nil {
		s.failed(w, r, err)
		return
	}
	address := s.publicURL + v.CampaignPath
	// Without news the feed is as old as the campaign, so that it is the same each time.
	updated := c.GetPublishTime().AsTime()
	feed := atomFeed{
		Lang: p.Lang, ID: s.publicURL + v.Feed, Title: p.T("news.of", "campaign", v.Campaign), Subtitle: v.Collective,
		Author: atomPerson{v.Collective, s.publicURL + v.CollectivePath},
		Links:  []atomLink{{"self", "application/atom+xml", s.publicURL + v.Feed}, {"alternate", "text/html", address + "/news?lang=" + p.Lang}},
	}
	for _, n := range list.GetNewsItems() {
		item := s.newNewsView(p.Words, n, v.CampaignPath)
		_, id, _ := strings.Cut(n.GetName(), "/news/")
		changed := n.GetUpdateTime().AsTime()
		if changed.After(updated) {
			updated = changed
		}
		feed.Entries = append(feed.Entries, atomEntry{
			Lang: item.TextLang, ID: "urn:uuid:" + id, Title: item.Title, Published: item.Time, Updated: changed.UTC().Format(time.RFC3339),
			Link:    atomLink{"alternate", "text/html", s.publicURL + item.Path + "?lang=" + p.Lang},
			Content: atomContent{Type: "html", Base: s.publicURL + item.Path, HTML: string(item.Text)},
		})
	}
	feed.Updated = updated.UTC().Format(time.RFC3339)
	body, err := xml.MarshalIndent(feed, "", " ")
	if err != nil {
		s.failed(w, r, err)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/atom+xml; charset=utf-8")
	h.Set("Content-Language", p.Lang)
	h.Set("Cache-Control", cachePublic)
	h.Del("X-Request-Id")
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(append([]byte(xml.Header), body...))
}
