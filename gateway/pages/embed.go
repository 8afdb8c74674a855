package pages

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/xml"
	"fmt"
	"net/http"
	"regexp"

	campaignsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
)

//go:embed embed.js
var embedScript []byte

// embed is a campaign's progress and form in a frame of another site, for sites that cannot have the widget's script.
//
// The address names the site: `?origin=https://vallon.example`. When the campaign allows that origin, the answer's policy lets
// its pages show the frame (frame-ancestors), and nobody else's. What the address claims is harmless: a site that names another
// one is refused by the browser, which knows where the frame is. So no Referer is needed, which many sites do not send, and
// one answer serves all visitors of a site. The list of all allowed origins is for members alone, and stands nowhere.
//
// With a script the frame tells that origin, and no other, how high it is.
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
	p := s.begin(w, r)
	v := s.viewOf(r, p, c)
	p.Title, p.NoIndex, p.Framed, p.Content = v.Title, true, true, v
	p.Discreet = c.GetCollectiveDiscreet()
	origin, cache := r.URL.Query().Get("origin"), cachePublic
	if p.Embedder = s.embedder(r.Context(), name, origin); p.Embedder != "" {
		p.Script = s.height
	} else if origin != "" {
		// Whoever invents origins does not fill the memory that campaigns are answered from.
		cache = cacheNever
	}
	s.answer(w, r, http.StatusOK, "embed", p, cache)
}

// framing is an origin as a policy may hold it: a policy is a list of words, and nothing of what a client sent may add to it.
var framing = regexp.MustCompile(`^https?://[a-z0-9.-]+(:[0-9]{1,5})?$`)

// embedder is the origin of a site, when the campaign allows it; empty otherwise.
func (s *site) embedder(ctx context.Context, campaign, origin string) string {
	if !framing.MatchString(origin) {
		return ""
	}
	answer, err := s.campaigns.CheckOrigin(ctx, &campaignsv1.CheckOriginRequest{Name: campaign, Origin: origin})
	if err != nil || !answer.GetAllowed() {
		return ""
	}
	return origin
}

// The size of the badge, and how many letters of a title are surely narrower than it.
const (
	badgeWidth, badgeHeight = 360, 88
	badgeLetters            = 34
)

// badge is a picture of a campaign's progress, which any page may show. Its colours are attributes, so that it needs no policy
// for styles.
func (s *site) badge(w http.ResponseWriter, r *http.Request) {
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
	v := newCampaignView(p.Words, c)
	title := []rune(v.Title)
	if len(title) > badgeLetters {
		title = append(title[:badgeLetters-1], '…')
	}
	status := v.Progress.Goal
	if !v.Accepting {
		// In the place of the goal: a badge has room for one.
		status = v.Badge
	}
	h := w.Header()
	h.Set("Content-Type", "image/svg+xml; charset=utf-8")
	h.Set("Content-Language", p.Lang)
	h.Set("Cache-Control", cachePublic)
	h.Set("Cross-Origin-Resource-Policy", "cross-origin")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Del("X-Request-Id")
	_, _ = w.Write(drawBadge(p.Lang, string(title), v.Title+". "+v.Progress.Text, v.Progress, status))
}

// drawBadge draws the title, the bar, and what it stands for. The whole is the name that a screen reader says.
func drawBadge(lang, title, whole string, progress progressView, status string) []byte {
	const margin, bar = 16, badgeWidth - 2*16
	var b bytes.Buffer
	text := func(attributes, content string) {
		fmt.Fprintf(&b, `<text font-family="system-ui, -apple-system, 'Segoe UI', Roboto, 'Liberation Sans', sans-serif" %s>`, attributes)
		// A buffer takes every write.
		_ = xml.EscapeText(&b, []byte(content))
		b.WriteString(`</text>`)
	}
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%[1]d" height="%[2]d" viewBox="0 0 %[1]d %[2]d" role="img" aria-labelledby="t" lang="%[3]s"><title id="t">`, badgeWidth, badgeHeight, lang)
	_ = xml.EscapeText(&b, []byte(whole))
	fmt.Fprintf(&b, `</title><rect x=".5" y=".5" width="%d" height="%d" rx="10" fill="#fff" stroke="#d5dcd8"/>`, badgeWidth-1, badgeHeight-1)
	text(fmt.Sprintf(`x="%d" y="30" font-size="15" font-weight="700" fill="#1c2320"`, margin), title)
	// The bar is 100 wide, as the shares are, and drawn as wide as there is room.
	fmt.Fprintf(&b, `<clipPath id="b"><rect x="%[1]d" y="41" width="%[2]d" height="10" rx="5"/></clipPath><g clip-path="url(#b)"><svg x="%[1]d" y="41" width="%[2]d" height="10" viewBox="0 0 100 10" preserveAspectRatio="none"><rect width="100" height="10" fill="#dde9e3"/><rect width="%[3]s" height="10" fill="#17694f"/></svg></g>`, margin, bar, progress.Settled)
	fmt.Fprintf(&b, `<text x="%d" y="73" font-family="system-ui, -apple-system, 'Segoe UI', Roboto, 'Liberation Sans', sans-serif" font-size="13" fill="#55605b"><tspan font-weight="700" fill="#1c2320">`, margin)
	_ = xml.EscapeText(&b, []byte(progress.Raised))
	b.WriteString(`</tspan> `)
	_ = xml.EscapeText(&b, []byte(status))
	b.WriteString(`</text>`)
	text(fmt.Sprintf(`x="%d" y="73" font-size="13" font-weight="700" text-anchor="end" fill="#17694f"`, badgeWidth-margin), progress.Percent)
	b.WriteString(`</svg>`)
	return b.Bytes()
}
