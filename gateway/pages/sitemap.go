package pages

import (
	"bytes"
	"encoding/xml"
	"net/http"
	"slices"

	"github.com/cagnotte/cagnotte/gateway/text"
	campaignsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
)

// sitemapURL is one address of a sitemap, with the same page in other languages.
type sitemapURL struct {
	Location   string          `xml:"loc"`
	Alternates []sitemapInLang `xml:"xhtml:link"`
}

type sitemapInLang struct {
	Rel  string `xml:"rel,attr"`
	Lang string `xml:"hreflang,attr"`
	URL  string `xml:"href,attr"`
}

type sitemapFile struct {
	XMLName xml.Name     `xml:"http://www.sitemaps.org/schemas/sitemap/0.9 urlset"`
	XHTML   string       `xml:"xmlns:xhtml,attr"`
	URLs    []sitemapURL `xml:"url"`
}

// sitemap names the front page, the campaigns that chose to be listed there, and their collectives. A collective that lists
// none did not choose to be found, though its page is public.
func (s *site) sitemap(w http.ResponseWriter, r *http.Request) {
	if s.publicURL == "" {
		s.missing(w, r)
		return
	}
	all := sitemapFile{XHTML: "http://www.w3.org/1999/xhtml"}
	all.URLs = s.inSitemap(all.URLs, "/", text.Languages)
	listed, err := s.campaigns.GetSitemap(r.Context(), &campaignsv1.GetSitemapRequest{Name: "instance/sitemap"})
	if err != nil {
		s.failed(w, r, err)
		return
	}
	collectives := map[string]bool{}
	for _, c := range listed.GetCampaigns() {
		collective, campaign := slugs(c.GetCampaign())
		if !collectives[collective] {
			collectives[collective] = true
			all.URLs = s.inSitemap(all.URLs, "/c/"+collective, text.Languages)
		}
		all.URLs = s.inSitemap(all.URLs, "/c/"+collective+"/"+campaign, known(c.GetLanguages()))
	}
	body := bytes.NewBufferString(xml.Header)
	if err := xml.NewEncoder(body).Encode(all); err != nil {
		s.logger.ErrorContext(r.Context(), "the sitemap cannot be written", "error", err)
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return
	}
	answerText(w, r, "application/xml; charset=utf-8", body.Bytes())
}

// known are those of the languages that the pages have, in their order.
func known(languages []string) []string {
	return slices.DeleteFunc(slices.Clone(text.Languages), func(lang string) bool { return !slices.Contains(languages, lang) })
}

// inSitemap adds a page in each of its languages.
func (s *site) inSitemap(urls []sitemapURL, path string, languages []string) []sitemapURL {
	var others []sitemapInLang
	if len(languages) > 1 {
		for _, lang := range languages {
			others = append(others, sitemapInLang{"alternate", lang, s.publicURL + path + languageQuery(lang)})
		}
		others = append(others, sitemapInLang{"alternate", "x-default", s.publicURL + path})
	}
	for _, lang := range languages {
		urls = append(urls, sitemapURL{s.publicURL + path + languageQuery(lang), others})
	}
	return urls
}

// robots tells search engines what to leave out. Pages of one person are not named here: they say so themselves, to those who
// have their address.
func (s *site) robots(w http.ResponseWriter, r *http.Request) {
	body := "User-agent: *\nDisallow: /console\n"
	if s.publicURL != "" {
		body += "\nSitemap: " + s.publicURL + "/sitemap.xml\n"
	}
	answerText(w, r, "text/plain; charset=utf-8", []byte(body))
}

// answerText answers a file that is made anew now and then.
func answerText(w http.ResponseWriter, r *http.Request, contentType string, body []byte) {
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Cache-Control", cacheMinutes)
	h.Del("X-Request-Id")
	if r.Method != http.MethodHead {
		_, _ = w.Write(body)
	}
}
