package pages

import (
	"encoding/json"
	"html"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/cagnotte/cagnotte/gateway/picture"
	"github.com/cagnotte/cagnotte/gateway/text"
	campaignsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
)

// The frame that oEmbed offers, in pixels: as much as the form needs, and what is too little for it.
const (
	frameWidth, frameHeight           = 640, 832
	leastFrameWidth, leastFrameHeight = 280, 320
)

// oEmbed is an answer of https://oembed.com.
type oEmbed struct {
	Version         string `json:"version"`
	Type            string `json:"type"`
	Title           string `json:"title"`
	AuthorName      string `json:"author_name"`
	AuthorURL       string `json:"author_url"`
	ProviderName    string `json:"provider_name"`
	ProviderURL     string `json:"provider_url"`
	CacheAge        int    `json:"cache_age"`
	ThumbnailURL    string `json:"thumbnail_url,omitempty"`
	ThumbnailWidth  int    `json:"thumbnail_width,omitempty"`
	ThumbnailHeight int    `json:"thumbnail_height,omitempty"`
	HTML            string `json:"html,omitempty"`
	Width           int    `json:"width,omitempty"`
	Height          int    `json:"height,omitempty"`
}

// oEmbedURL is where sites ask what a link to a campaign's page becomes.
func (s *site) oEmbedURL(canonical string) string {
	return s.publicURL + "/oembed?" + url.Values{"format": {"json"}, "url": {canonical}}.Encode()
}

// oembed tells a site what a link to a campaign becomes there (https://oembed.com): a frame on a site that the campaign
// allows, which its browser names, and elsewhere a link with a picture. A server that asks names no site, so it gets the link.
//
// The answer depends on who asks, so it is not among those that are shared.
func (s *site) oembed(w http.ResponseWriter, r *http.Request) {
	w.Header().Add("Vary", "Origin, Referer")
	query := r.URL.Query()
	name, lang, ok := s.campaignAt(query.Get("url"))
	if !ok {
		http.Error(w, "oembed: url is the address of no campaign here", http.StatusNotFound)
		return
	}
	if format := query.Get("format"); format != "" && format != "json" {
		http.Error(w, "oembed: format must be json", http.StatusNotImplemented)
		return
	}
	maxWidth, wide := atMost(query.Get("maxwidth"))
	maxHeight, high := atMost(query.Get("maxheight"))
	if !wide || !high {
		http.Error(w, "oembed: maxwidth and maxheight must be positive numbers of pixels", http.StatusBadRequest)
		return
	}
	c, err := s.campaigns.GetCampaign(r.Context(), &campaignsv1.GetCampaignRequest{Name: name})
	// A discreet collective has no previews on other sites.
	if isNotFound(err) || c.GetCollectiveDiscreet() {
		http.Error(w, "oembed: url is the address of no campaign here", http.StatusNotFound)
		return
	}
	if err != nil {
		s.logger.WarnContext(r.Context(), "a link cannot be described", "code", status.Code(err).String())
		code := http.StatusServiceUnavailable
		if status.Code(err) == codes.ResourceExhausted {
			code = http.StatusTooManyRequests
		}
		w.Header().Set("Retry-After", "10")
		http.Error(w, "oembed: try again later", code)
		return
	}
	words := s.catalogues[lang]
	v := newCampaignView(words, c)
	_, host, _ := strings.Cut(s.publicURL, "://")
	answer := oEmbed{
		Version: "1.0", Type: "link", Title: v.Title, AuthorName: v.Collective, AuthorURL: s.publicURL + v.CollectivePath,
		ProviderName: host, ProviderURL: s.publicURL, CacheAge: 300,
	}
	// A thumbnail that is larger than what was asked for must not be named; we have one size.
	if maxWidth >= picture.Width && maxHeight >= picture.Height {
		shown := s.sharePictureOf(words, v)
		answer.ThumbnailURL, answer.ThumbnailWidth, answer.ThumbnailHeight = shown.URL, shown.Width, shown.Height
	}
	asking := r.Header.Get("Origin")
	if from, err := url.Parse(r.Referer()); asking == "" && err == nil {
		asking = from.Scheme + "://" + from.Host
	}
	if origin := s.embedder(r.Context(), name, asking); origin != "" && maxWidth >= leastFrameWidth && maxHeight >= leastFrameHeight {
		answer.Type, answer.Width, answer.Height = "rich", min(frameWidth, maxWidth), min(frameHeight, maxHeight)
		// The frame's address says which site shows it: see embed.
		answer.HTML = `<iframe src="` + html.EscapeString(s.publicURL+v.Path+"/embed?lang="+lang+"&origin="+url.QueryEscape(origin)) + `" title="` + html.EscapeString(v.Title) +
			`" width="` + strconv.Itoa(answer.Width) + `" height="` + strconv.Itoa(answer.Height) + `" frameborder="0" loading="lazy"></iframe>`
		w.Header().Set("Access-Control-Allow-Origin", origin)
	}
	h := w.Header()
	h.Set("Content-Type", "application/json; charset=utf-8")
	// The answer depends on who asks, so shared caches do not keep it.
	h.Set("Cache-Control", "private, max-age=300")
	h.Del("X-Request-Id")
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(answer)
}

// campaignAt returns the campaign whose page an address of ours shows, and the page's language; false for every other address.
func (s *site) campaignAt(address string) (name, lang string, ok bool) {
	page, err := url.Parse(address)
	if err != nil || s.publicURL == "" || page.Scheme+"://"+page.Host != s.publicURL {
		return "", "", false
	}
	path := strings.Split(strings.ToLower(strings.TrimRight(page.Path, "/")), "/")
	if len(path) != 4 || path[1] != "c" || !slugPattern.MatchString(path[2]) || !slugPattern.MatchString(path[3]) {
		return "", "", false
	}
	if lang = page.Query().Get("lang"); !slices.Contains(text.Languages, lang) {
		lang = text.Languages[0]
	}
	return "collectives/" + path[2] + "/campaigns/" + path[3], lang, true
}

// atMost reads a limit in pixels; without one it is large.
func atMost(value string) (int, bool) {
	const large = 1 << 20
	if value == "" {
		return large, true
	}
	n, err := strconv.Atoi(value)
	return min(n, large), err == nil && n > 0
}
