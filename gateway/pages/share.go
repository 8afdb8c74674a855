package pages

import (
	"net/url"
	"slices"
	"strings"

	"github.com/cagnotte/cagnotte/gateway/text"
)

// summaryLength is what search engines show of a description.
const summaryLength = 200

// share is what the head of a public page tells messengers, social networks and search engines: template "share".
//
// Addresses in it begin with the public address of the service, never with what a request says. Without one, it has only
// title and description.
type share struct {
	*text.Words
	Title, Description string
	// Canonical is the one address of the page in its language.
	Canonical string
	// Alternates are the page in each language that it has, and without one, which is the reader's own.
	Alternates []alternate
	// Picture is shown beside the link; nil for none.
	Picture *sharePicture
	// OEmbed is where sites that embed links ask for the page; empty for none.
	OEmbed string
	// Data is the page in the words of schema.org; nil for none.
	Data map[string]any
}

// alternate is a page in another language; Lang is x-default for the address without one.
type alternate struct{ Lang, URL string }

// sharePicture is a picture with what it shows in words.
type sharePicture struct {
	URL, Alt      string
	Width, Height int
}

// share gives a page the head of a public one. Path is the page's, without a query. Languages are those in which it has texts
// of its own; none for all of ours. A page without texts in the reader's language is a copy of the first's.
//
// It takes title and description of the page, so these are set before. Picture, OEmbed and Data are the caller's to add.
func (s *site) share(p *page, path string, languages ...string) *share {
	p.Share = &share{Words: p.Words, Title: p.Title, Description: p.Description}
	if s.publicURL == "" {
		return p.Share
	}
	if len(languages) == 0 {
		languages = text.Languages
	}
	lang := languages[0]
	if slices.Contains(languages, p.Lang) {
		lang = p.Lang
	}
	p.Share.Canonical = s.publicURL + path + languageQuery(lang)
	if len(languages) > 1 {
		for _, l := range languages {
			p.Share.Alternates = append(p.Share.Alternates, alternate{l, s.publicURL + path + languageQuery(l)})
		}
		p.Share.Alternates = append(p.Share.Alternates, alternate{"x-default", s.publicURL + path})
	}
	return p.Share
}

// languageQuery chooses a language. The first of ours needs no choice: it is what a browser without a wish gets, and so do
// search engines.
func languageQuery(lang string) string {
	if lang == text.Languages[0] {
		return ""
	}
	return "?lang=" + lang
}

// thing is an object in the words of schema.org, without its empty fields.
func thing(kind string, fields map[string]any) map[string]any {
	t := map[string]any{"@type": kind}
	for name, value := range fields {
		if value != "" && value != nil {
			t[name] = value
		}
	}
	return t
}

// subject is the thing that a page is about.
func subject(kind string, fields map[string]any) map[string]any {
	t := thing(kind, fields)
	t["@context"] = "https://schema.org"
	return t
}

// languagesOf are those of ours in which a campaign has texts, ours first. French is always one of them.
func languagesOf[V any](texts map[string]V) []string {
	var found []string
	for _, lang := range text.Languages {
		if _, ok := texts[lang]; ok {
			found = append(found, lang)
		}
	}
	return found
}

// shareCampaign gives a campaign's page its head.
func (s *site) shareCampaign(p *page, v campaignView, languages []string) {
	h := s.share(p, v.Path, languages...)
	if h.Canonical == "" {
		return
	}
	h.Picture, h.OEmbed = s.sharePictureOf(p.Words, v), s.oEmbedURL(h.Canonical)
	organization := thing("Organization", map[string]any{"name": v.Collective, "url": s.publicURL + v.CollectivePath})
	fields := map[string]any{
		"name": v.Title, "description": p.Description, "url": h.Canonical, "inLanguage": v.TextLang, "publisher": organization, "image": h.Picture.URL,
	}
	if v.Accepting {
		fields["potentialAction"] = thing("DonateAction", map[string]any{"name": p.T("share.donate"), "recipient": organization, "target": h.Canonical + "#give"})
	}
	if v.Event != nil {
		fields["about"] = thing("Event", map[string]any{
			"name": v.Title, "startDate": v.Event.Start, "location": thing("Place", map[string]any{"name": v.Event.Place}), "organizer": organization,
		})
	}
	h.Data = subject("WebPage", fields)
}

// shareCollective gives a collective's page its head.
func (s *site) shareCollective(p *page, path, name string) {
	if h := s.share(p, path); h.Canonical != "" {
		h.Data = subject("Organization", map[string]any{"name": name, "url": s.publicURL + path})
	}
}

// shareLinks lead to where a reader tells others of a campaign. They load nothing until somebody follows one.
type shareLinks struct {
	// URL is the campaign's address, for whoever copies it.
	URL   string
	Links []link
	// PosterPath is the campaign's sheet for a wall.
	PosterPath string
	// Open shows them unfolded.
	Open bool
}

// shareLinksOf returns a campaign's links; nil where the service does not know its own address. They hold the campaign alone,
// so that a page about one donation does not say whose it is.
func (s *site) shareLinksOf(w *text.Words, v campaignView) *shareLinks {
	if s.publicURL == "" {
		return nil
	}
	address := s.publicURL + v.Path
	message := plainSpaces.Replace(w.T("share.message", "title", v.Title, "collective", v.Collective))
	to := func(base string, values ...string) string {
		for i := 0; i < len(values); i += 2 {
			separator := "&"
			if i == 0 {
				separator = "?"
			}
			// Mail programs take a plus for a plus (RFC 6068, 5).
			base += separator + values[i] + "=" + strings.ReplaceAll(url.QueryEscape(values[i+1]), "+", "%20")
		}
		return base
	}
	return &shareLinks{URL: address, PosterPath: v.Path + "/poster.pdf?lang=" + w.Lang, Links: []link{
		{to("mailto:", "subject", plainSpaces.Replace(v.Title), "body", message+"\r\n\r\n"+address), w.T("share.email")},
		{to("https://wa.me/", "text", message+" "+address), "WhatsApp"},
		{to("https://t.me/share/url", "url", address, "text", message), "Telegram"},
		{to("https://www.facebook.com/sharer/sharer.php", "u", address), "Facebook"},
		{to("https://x.com/intent/post", "text", message, "url", address), "X"},
	}}
}

// plainSpaces are for texts that are not printed by us.
var plainSpaces = strings.NewReplacer("\u00a0", " ", "\u202f", " ")
