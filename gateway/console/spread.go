package console

import (
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/cagnotte/cagnotte/gateway/qr"
	"github.com/cagnotte/cagnotte/gateway/widget"
	campaignsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
)

// spreadSection has what carries a campaign to people: the widget for a site, a link, codes to scan, and a poster.
func spreadSection() section {
	const all, one = "/console/c/{collective}/spread", "/console/c/{collective}/spread/{campaign}"
	return section{
		name: "spread",
		routes: []route{
			{pattern: "GET " + all, serve: spreadChoose},
			{pattern: "GET " + one, serve: spreadShow},
			{pattern: "POST " + one + "/allow", serve: spreadAllow, roles: writers},
			{pattern: "GET " + one + "/poster", serve: spreadPoster},
			{pattern: "GET " + one + "/poster.pdf", serve: spreadPosterPDF},
			{pattern: "GET " + one + "/qr.svg", serve: spreadQRSVG},
			{pattern: "GET " + one + "/qr.png", serve: spreadQRPNG},
			{pattern: "GET " + one + "/door/poster.pdf", serve: spreadDoorPoster},
			{pattern: "GET " + one + "/door/qr.svg", serve: spreadDoorQRSVG},
			{pattern: "GET " + one + "/door/qr.png", serve: spreadDoorQRPNG},
		},
	}
}

// choosePage leads to a section's page of each campaign.
type choosePage struct {
	Tabs  []tab
	Lead  string
	Rows  []campaignRow
	Pager pager
	// Without is shown while there is no campaign.
	Without emptyWith
}

// chooseCampaign shows the collective's campaigns for a section whose pages are about one.
func chooseCampaign(v *visit, section string) error {
	list, err := v.campaigns().ListCampaigns(v.ctx(), &campaignsv1.ListCampaignsRequest{Parent: v.collective, PageSize: 50, PageToken: v.pageToken()})
	if err != nil {
		return err
	}
	p := choosePage{Tabs: campaignsTabs(v, "/"+section), Pager: v.pager(list.GetNextPageToken()), Without: emptyWith{Empty: v.T("campaigns.none")}}
	if len(list.GetCampaigns()) > 0 {
		p.Lead = v.T(section + ".choose")
	}
	if v.can(writers...) {
		p.Without.link = link{v.path("/campaigns/new"), v.T("home.begin")}
	}
	for _, c := range list.GetCampaigns() {
		row := newCampaignRow(v, c)
		row.Path = v.path("/" + section + "/" + lastOf(c.GetName()))
		p.Rows = append(p.Rows, row)
	}
	return v.show("spread/choose", v.T(section+".title"), p)
}

func spreadChoose(v *visit) error { return chooseCampaign(v, "spread") }

type spreadPage struct {
	Up link
	campaignRow
	Form *form
	// Draft says that nobody but members sees the campaign yet.
	Draft bool
	// DoorLink is the address of the page at the door; empty for a campaign that is no event.
	DoorLink string
	// Link is the public address, and the rest what is copied. FrameSite is the site whose frame it is; empty when none is
	// allowed.
	Link, Snippet, Styles, Policy, Version     string
	Frame, FrameHeight, FramePolicy, FrameSite string
	Button, Picture, BadgePath, BadgeAlt       string
	Base, Sites                                string
	Allowed                                    []string
	Refused                                    []refusedSite
	// MayAllow shows the buttons of the sites.
	MayAllow bool
}

// copyable is a text with a button that copies it.
type copyable struct{ ID, Text, Copy, Copied string }

// Copyable is a text of a page with the words of its button.
func (p *page) Copyable(id, text string) copyable {
	return copyable{ID: id, Text: text, Copy: p.T("shell.copy"), Copied: p.T("shell.copied")}
}

// refusedSite is a site on which the widget was refused.
type refusedSite struct {
	Origin, Text, Why string
	// Allowable shows the button.
	Allowable bool
}

// frameHeight is that of a frame whose page does not listen to it, in pixels.
const frameHeight = 880

// frameListener sets the height of our frames on another site. It listens to our origin alone, and takes nothing but a number.
const frameListener = `<script>
addEventListener("message", (event) => {
  const height = Number(event.data?.cagnotteHeight);
  if (event.origin !== "%s" || !(height > 0)) return;
  for (const frame of document.querySelectorAll("iframe")) {
    if (frame.contentWindow === event.source) frame.height = height;
  }
});
</script>`

// reservedEm is what a page reserves for the widget until it is there, in the page's own em. A fifth less than the card of a
// phone is right for all widths: the widget keeps the layout shift below 0.1 from 0.72 to 1.4 times the reserve.
func reservedEm(c *campaignsv1.Campaign) int {
	// What stands there always, and what depends on the campaign, as measured on a phone.
	em := 38
	if n := len(c.GetStages()); n > 0 {
		em += 3 + 4*n
	}
	em += 3 * ((len(c.GetPresets()) + 2) / 3)
	if c.GetDeadlineDate() != "" {
		em++
	}
	if c.GetFeeEstimate() != nil {
		em += 6
	}
	return em * 4 / 5
}

func publicURL(v *visit, c *campaignsv1.Campaign) string { return v.PublicURL + publicPath(v, c) }

// doorURL is the address of the page at the door of an event.
func doorURL(v *visit, c *campaignsv1.Campaign) string { return publicURL(v, c) + "/door" }

func spreadShow(v *visit) error { return spreadRender(v, v.newForm(nil)) }

func spreadRender(v *visit, f *form) error {
	c, err := campaignOf(v)
	if err != nil {
		return err
	}
	row := newCampaignRow(v, c)
	address := publicURL(v, c)
	label := template.HTMLEscapeString(v.T("spread.give"))
	reserve := reservedEm(c)
	// The example is no site: .example is reserved (RFC 2606).
	frameSite, frameOrigin := "", "https://site.example"
	if allowed := c.GetAllowedOrigins(); len(allowed) > 0 {
		frameSite, frameOrigin = allowed[0], allowed[0]
	}
	title := template.HTMLEscapeString(row.Title)
	badgeAlt := v.T("spread.badgeAlt", "title", row.Title)
	p := spreadPage{
		Up: link{v.path("/spread"), v.T("spread.title")}, campaignRow: row, Form: f, Draft: isDraft(c), Link: address, Base: v.path("/spread/" + lastOf(c.GetName())), Sites: row.Path + "/sites",
		Allowed: c.GetAllowedOrigins(), MayAllow: v.can(writers...) && !isClosed(c),
		Snippet: fmt.Sprintf("<script defer src=\"%s%s\"></script>\n<cagnotte-widget campaign=\"%s\" lang=\"%s\" style=\"display:block;min-height:%dem\">\n  <a href=\"%s\">%s</a>\n</cagnotte-widget>",
			v.PublicURL, widget.StablePath, c.GetName(), v.Lang, reserve, address, label),
		Styles: fmt.Sprintf("cagnotte-widget { display: block; min-height: %dem }", reserve),
		Policy: fmt.Sprintf("script-src %[1]s; connect-src %[1]s", v.PublicURL),
		Version: fmt.Sprintf(`<script defer src="%s%s" integrity="%s" crossorigin="anonymous"></script>`,
			v.PublicURL, v.Widget.VersionPath, v.Widget.Integrity),
		// Sizes and border are attributes, so that a site's policy for styles does not matter.
		Frame: fmt.Sprintf(`<iframe src="%s/embed?lang=%s&amp;origin=%s" title="%s" width="100%%" height="%d" frameborder="0" loading="lazy"></iframe>`,
			address, v.Lang, url.QueryEscape(frameOrigin), title, frameHeight),
		FrameSite: frameSite, FrameHeight: fmt.Sprintf(frameListener, v.PublicURL), FramePolicy: "frame-src " + v.PublicURL,
		BadgePath: publicPath(v, c) + "/badge.svg?lang=" + v.Lang, BadgeAlt: badgeAlt,
		Picture: fmt.Sprintf("<a href=\"%[1]s\"><img src=\"%[1]s/badge.svg?lang=%[2]s\" width=\"360\" height=\"88\" alt=\"%[3]s\"></a>",
			address, v.Lang, template.HTMLEscapeString(badgeAlt)),
		Button: fmt.Sprintf(`<a href="%s" style="display:inline-block;padding:.7em 1.2em;border-radius:.5em;background:#17694f;color:#fff;font-weight:bold;text-decoration:none">%s</a>`,
			address, label),
	}
	if c.GetEvent() != nil {
		p.DoorLink = doorURL(v, c)
	}
	if v.can(owner, editor, operator) {
		list, err := v.campaigns().ListRefusedOrigins(v.ctx(), &campaignsv1.ListRefusedOriginsRequest{Parent: c.GetName()})
		if err != nil {
			return err
		}
		zone, err := v.zone()
		if err != nil {
			return err
		}
		for _, o := range list.GetRefusedOrigins() {
			site := refusedSite{
				Origin: o.GetOrigin(), Allowable: o.GetAllowable(),
				Text: v.N("spread.refusedN", o.GetCount(), "time", v.DateTime(o.GetLastTime().AsTime(), zone)),
				Why:  v.T("spread.notAllowed", "site", o.GetOrigin()),
			}
			if !o.GetAllowable() {
				site.Why = v.T("spread.notSecure", "site", o.GetOrigin())
			}
			p.Refused = append(p.Refused, site)
		}
	}
	if f.failed() {
		return v.refuse("spread/show", p.Title, p)
	}
	return v.show("spread/show", p.Title, p)
}

// spreadAllow adds a site that was refused to those that are allowed.
func spreadAllow(v *visit) error {
	c, err := campaignOf(v)
	if err != nil {
		return err
	}
	f, err := v.readForm(nil)
	if err != nil {
		return err
	}
	origins := c.GetAllowedOrigins()
	if origin := f.Value("origin"); !slices.Contains(origins, origin) {
		origins = append(origins, origin)
	}
	err = updateCampaign(v, &campaignsv1.Campaign{Name: c.GetName(), Etag: c.GetEtag(), AllowedOrigins: origins}, "allowed_origins")
	if err == nil {
		return v.done("spread.allowed", v.path("/spread/"+lastOf(c.GetName())))
	}
	if reasonOf(err) == "INVALID_FIELD" {
		f.Message = v.T("campaigns.sites.wrong")
	} else if !f.refused(v, err) {
		return err
	}
	return spreadRender(v, f)
}

type posterPage struct {
	Title, Collective, Lang, Goal, Link, QR, Alt, Scan, Print, Back string
}

// spreadPoster is a page to be printed on A4.
func spreadPoster(v *visit) error {
	c, err := campaignOf(v)
	if err != nil {
		return err
	}
	base := v.path("/spread/" + lastOf(c.GetName()))
	return v.show("spread/poster", campaignTitle(v, c), posterPage{
		Title: campaignTitle(v, c), Collective: c.GetCollectiveDisplayName(), Goal: v.T("spread.posterGoal", "goal", v.Money(c.GetGoal())),
		Link: strings.TrimPrefix(strings.TrimPrefix(publicURL(v, c), "https://"), "http://"), QR: base + "/qr.svg",
		Alt: v.T("spread.qrAlt", "link", publicURL(v, c)), Scan: v.T("spread.posterScan"), Print: v.T("spread.posterPrint"), Back: base,
	})
}

// answerFile answers a picture, to be saved when the address says so.
func answerFile(v *visit, contentType, name string, body []byte) error {
	h := v.w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	if v.r.URL.Query().Has("download") {
		h.Set("Content-Disposition", `attachment; filename="`+name+`"`)
	}
	v.w.WriteHeader(http.StatusOK)
	_, _ = v.w.Write(body)
	return nil
}

// spreadQRSVG and spreadQRPNG answer the code of a campaign's public page.
func spreadQRSVG(v *visit) error { return spreadQR(v, drawSVG, publicURL, "") }

func spreadQRPNG(v *visit) error { return spreadQR(v, drawPNG, publicURL, "") }

// spreadDoorQRSVG and spreadDoorQRPNG answer the code of the page at an event's door.
func spreadDoorQRSVG(v *visit) error { return spreadQR(v, drawSVG, doorURL, doorFile) }

func spreadDoorQRPNG(v *visit) error { return spreadQR(v, drawPNG, doorURL, doorFile) }

// doorFile ends the names of files about an event's door, and tells that the campaign must be one.
const doorFile = "-door"

// drawn is a kind of picture of a code.
type drawn struct {
	contentType, extension string
	draw                   func(string) ([]byte, error)
}

var (
	drawSVG = drawn{"image/svg+xml; charset=utf-8", ".svg", qr.SVG}
	drawPNG = drawn{"image/png", ".png", qr.PNG}
)

func spreadQR(v *visit, kind drawn, address func(*visit, *campaignsv1.Campaign) string, suffix string) error {
	c, err := spreadCampaign(v, suffix)
	if err != nil {
		return err
	}
	code, err := kind.draw(address(v, c))
	if err != nil {
		return err
	}
	return answerFile(v, kind.contentType, lastOf(c.GetName())+suffix+kind.extension, code)
}

// spreadCampaign is the campaign that a file is about.
func spreadCampaign(v *visit, suffix string) (*campaignsv1.Campaign, error) {
	c, err := campaignOf(v)
	if err == nil && suffix == doorFile && c.GetEvent() == nil {
		err = errNoPage
	}
	return c, err
}

// spreadPosterPDF answers the poster as a file, of a draft, too.
func spreadPosterPDF(v *visit) error { return spreadSheet(v, v.Poster, "") }

// spreadDoorPoster answers the poster for an event's door.
func spreadDoorPoster(v *visit) error { return spreadSheet(v, v.DoorPoster, doorFile) }

func spreadSheet(v *visit, draw func(*campaignsv1.Campaign, string) ([]byte, error), suffix string) error {
	c, err := spreadCampaign(v, suffix)
	if err != nil {
		return err
	}
	sheet, err := draw(c, v.Lang)
	if err != nil {
		return err
	}
	return answerFile(v, "application/pdf", lastOf(c.GetName())+suffix+".pdf", sheet)
}
