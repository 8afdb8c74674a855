package console

import (
	"regexp"
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
	"google.golang.org/protobuf/proto"

	"github.com/cagnotte/cagnotte/gateway/pages"
	"github.com/cagnotte/cagnotte/gateway/text"
	accessv1 "github.com/cagnotte/cagnotte/proto/cagnotte/access/v1"
	campaignsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
	imagesv1 "github.com/cagnotte/cagnotte/proto/cagnotte/images/v1"
)

// writers change campaigns, news and what the collective tells about itself.
var writers = []accessv1.Role{owner, editor}

const (
	// maxCampaignForm holds stories of 20,000 characters in six languages: six bytes a letter with an accent, once a form has
	// encoded it, and most letters are one.
	maxCampaignForm = 1 << 20
	// maxImageForm holds a picture of 8 MiB.
	maxImageForm = 9 << 20
	// maxStages is how many stages a campaign may have.
	maxStages = 20
)

// languages are those in which members write for donors, French first.
var languages = text.Languages

// campaignsSection has the campaigns: list, texts, amounts and stages, image, sites, checklist, and what becomes of them.
func campaignsSection() section {
	const all, one = "/console/c/{collective}/campaigns", "/console/c/{collective}/campaigns/{campaign}"
	return section{
		name: "campaigns",
		nav:  []navEntry{{label: "campaigns.nav", icon: "flag", path: "/campaigns", also: []string{"/spread", "/news"}}},
		routes: []route{
			{pattern: "GET " + all, serve: campaignsList},
			{pattern: "GET " + all + "/new", serve: campaignsNewForm, roles: writers},
			{pattern: "POST " + all + "/new", serve: campaignsNew, roles: writers},
			{pattern: "GET " + one, serve: campaignsOverview},
			{pattern: "GET " + one + "/preview", serve: campaignsPreview},
			{pattern: "GET " + one + "/images/{owner}/{image}/{width}", serve: campaignsImageContent},
			{pattern: "GET " + one + "/texts", serve: campaignsTextsForm, roles: writers},
			{pattern: "POST " + one + "/texts", serve: campaignsTexts, roles: writers, body: maxCampaignForm},
			{pattern: "POST " + one + "/preview", serve: campaignsPreviewTyped, roles: writers, body: maxCampaignForm},
			{pattern: "GET " + one + "/amounts", serve: campaignsAmountsForm, roles: writers},
			{pattern: "POST " + one + "/amounts", serve: campaignsAmounts, roles: writers},
			{pattern: "GET " + one + "/image", serve: campaignsImageForm, roles: writers},
			{pattern: "POST " + one + "/image", serve: campaignsImage, roles: writers, body: maxImageForm},
			{pattern: "GET " + one + "/sites", serve: campaignsSitesForm, roles: writers},
			{pattern: "POST " + one + "/sites", serve: campaignsSites, roles: writers},
			{pattern: "GET " + one + "/event", serve: campaignsEventForm, roles: writers},
			{pattern: "POST " + one + "/event", serve: campaignsEvent, roles: writers},
			{pattern: "GET " + one + "/shown", serve: campaignsShownForm, roles: writers},
			{pattern: "POST " + one + "/shown", serve: campaignsShown, roles: writers},
			{pattern: "GET " + one + "/checklist", serve: campaignsChecklist},
			{pattern: "POST " + one + "/publish", serve: campaignsPublish, roles: writers},
			{pattern: "GET " + one + "/pause", serve: campaignsPauseForm, roles: writers},
			{pattern: "POST " + one + "/pause", serve: campaignsPause, roles: writers},
			{pattern: "GET " + one + "/resume", serve: campaignsResumeForm, roles: writers},
			{pattern: "POST " + one + "/resume", serve: campaignsResume, roles: writers},
			{pattern: "GET " + one + "/close", serve: campaignsCloseForm, roles: writers},
			{pattern: "POST " + one + "/close", serve: campaignsClose, roles: writers},
			{pattern: "GET " + one + "/copy", serve: campaignsCopyForm, roles: writers},
			{pattern: "POST " + one + "/copy", serve: campaignsCopy, roles: writers},
			{pattern: "GET " + one + "/rename", serve: campaignsRenameForm, roles: writers},
			{pattern: "POST " + one + "/rename", serve: campaignsRename, roles: writers},
			{pattern: "GET " + one + "/delete", serve: campaignsDeleteForm, roles: writers},
			{pattern: "POST " + one + "/delete", serve: campaignsDelete, roles: writers},
		},
	}
}

func (v *visit) campaigns() campaignsv1.CampaignsServiceClient {
	return campaignsv1.NewCampaignsServiceClient(v.Conn)
}

func (v *visit) images() imagesv1.ImagesServiceClient { return imagesv1.NewImagesServiceClient(v.Conn) }

// campaignName is that of the campaign in the address.
func campaignName(v *visit) string { return v.collective + "/campaigns/" + v.r.PathValue("campaign") }

// campaignOf reads the campaign in the address.
func campaignOf(v *visit) (*campaignsv1.Campaign, error) {
	return v.campaigns().GetCampaign(v.ctx(), &campaignsv1.GetCampaignRequest{Name: campaignName(v)})
}

// campaignPath is the address of a campaign's pages.
func campaignPath(v *visit, c *campaignsv1.Campaign) string {
	return v.path("/campaigns/" + lastOf(c.GetName()))
}

// publicPath is a campaign's public page below the service's address.
func publicPath(v *visit, c *campaignsv1.Campaign) string {
	return "/c/" + strings.TrimPrefix(v.collective, "collectives/") + "/" + lastOf(c.GetName())
}

// isDraft and isClosed tell the two states that allow other actions.
func isDraft(c *campaignsv1.Campaign) bool {
	return c.GetState() == campaignsv1.CampaignState_CAMPAIGN_STATE_DRAFT
}

func isClosed(c *campaignsv1.Campaign) bool {
	return c.GetState() == campaignsv1.CampaignState_CAMPAIGN_STATE_CLOSED
}

// campaignRow is a campaign in a list, and what all pages about it begin with.
type campaignRow struct {
	Title, Path, Badge, Tone, Raised, Deadline string
}

func newCampaignRow(v *visit, c *campaignsv1.Campaign) campaignRow {
	row := campaignRow{
		Title: campaignTitle(v, c), Path: campaignPath(v, c), Badge: v.T("campaigns." + c.GetState().String()),
		Raised: v.T("campaigns.raised", "sum", v.Money(c.GetProgress().GetSettled()), "goal", v.Money(c.GetGoal())),
	}
	switch c.GetState() {
	case campaignsv1.CampaignState_CAMPAIGN_STATE_PUBLISHED:
		row.Tone = "good"
	case campaignsv1.CampaignState_CAMPAIGN_STATE_PAUSED:
		row.Tone = "warn"
	}
	if day := c.GetDeadlineDate(); day != "" {
		row.Deadline = v.T("campaigns.until", "day", v.Day(day))
	}
	return row
}

// campaignsTabs are the pages about all campaigns; current is the path of one.
func campaignsTabs(v *visit, current string) []tab {
	var tabs []tab
	for _, t := range []struct{ label, path string }{
		{"campaigns.title", "/campaigns"},
		{"spread.title", "/spread"},
		{"news.title", "/news"},
	} {
		tabs = append(tabs, tab{v.T(t.label), v.path(t.path), t.path == current})
	}
	return tabs
}

type campaignsListPage struct {
	Tabs  []tab
	New   string
	Rows  []campaignRow
	Pager pager
}

func campaignsList(v *visit) error {
	list, err := v.campaigns().ListCampaigns(v.ctx(), &campaignsv1.ListCampaignsRequest{Parent: v.collective, PageSize: 50, PageToken: v.pageToken()})
	if err != nil {
		return err
	}
	p := campaignsListPage{Tabs: campaignsTabs(v, "/campaigns"), Pager: v.pager(list.GetNextPageToken())}
	if v.can(writers...) {
		p.New = v.path("/campaigns/new")
	}
	for _, c := range list.GetCampaigns() {
		p.Rows = append(p.Rows, newCampaignRow(v, c))
	}
	return v.show("campaigns/list", v.T("campaigns.title"), p)
}

// campaignPage is what the pages about one campaign have.
type campaignPage struct {
	campaignRow
	// Up leads to all campaigns.
	Up   link
	Tabs []tab
	Form *form
	// Lead explains the page, and Button sends its form.
	Lead, Button string
	// Heading says what the form does, where the title and the tabs do not. Cancel leads away from it.
	Heading, Cancel string
	// Preview is where what was typed is shown as donors will see it; empty where that is not offered.
	Preview string
	// Replace is the etag under which the form overwrites what somebody else has changed; empty while nobody has.
	Replace string
	// Content is the page's own.
	Content any
}

// newCampaignPage begins a page about a campaign; current is the tab's path.
func newCampaignPage(v *visit, c *campaignsv1.Campaign, current string, f *form) campaignPage {
	p := campaignPage{campaignRow: newCampaignRow(v, c), Up: link{v.path("/campaigns"), v.T("campaigns.nav")}, Form: f, Button: v.T("campaigns.save")}
	base := campaignPath(v, c)
	paths := []string{"", "texts", "amounts", "image", "event", "sites", "shown"}
	switch {
	case !v.can(writers...):
		paths = paths[:1]
	case isClosed(c):
		// What is shown changes after the end, too.
		paths = []string{"", "shown"}
	}
	if isDraft(c) {
		paths = append(paths, "checklist")
	}
	for _, path := range paths {
		key := path
		if key == "" {
			key = "overview"
		}
		p.Tabs = append(p.Tabs, tab{v.T("campaigns.tab." + key), strings.TrimSuffix(base+"/"+path, "/"), path == current})
	}
	return p
}

// etagOf is the etag that a form was read with, or the one under which it replaces what changed since.
func etagOf(f *form) string {
	if replace := f.Value("replace"); replace != "" {
		return replace
	}
	return f.Value("etag")
}

// changed reports whether an update was refused because of somebody else's change. The form then keeps what was typed.
func changed(err error) bool { return reasonOf(err) == "ETAG_MISMATCH" }

// lines reads a text of several lines; browsers send CRLF.
func (f *form) lines(name string) string { return strings.ReplaceAll(f.values.Get(name), "\r\n", "\n") }

var currencyOptions = []string{"EUR", "CHF", "GBP", "USD", "CAD", "AUD", "CZK", "DKK", "NOK", "PLN", "RON", "SEK"}

func campaignNewFields() []field {
	fields := []field{
		{Name: "title", Label: "campaigns.titleFr", Hint: "campaigns.titleHint", Required: true, Max: 120, Spellcheck: true, Path: `campaign.texts["fr"].title`},
		{Name: "goal", Label: "campaigns.goal", Hint: "campaigns.goalHint", Kind: "money", Required: true, Path: "campaign.goal"},
		{Name: "currency", Label: "campaigns.currency", Kind: "select", Required: true},
		{Name: "id", Label: "campaigns.id", Hint: "campaigns.idHint", Max: 40, Mono: true, Path: "campaign_id"},
	}
	for _, currency := range currencyOptions {
		fields[2].Options = append(fields[2].Options, option{Value: currency, Label: currency})
	}
	return fields
}

func campaignsNewForm(v *visit) error {
	return campaignsShowNew(v, v.newForm(campaignNewFields(), "currency", "EUR"))
}

func campaignsShowNew(v *visit, f *form) error {
	p := campaignPage{Form: f, Lead: v.T("campaigns.newLead"), Button: v.T("campaigns.create"), Cancel: v.path("/campaigns")}
	if f.failed() {
		return v.refuse("campaigns/form", v.T("campaigns.newTitle"), p)
	}
	return v.show("campaigns/form", v.T("campaigns.newTitle"), p)
}

// slugOf proposes an id for a title: "Un avocat contre les caméras" is "un-avocat-contre-les-cameras".
func slugOf(title string) string {
	plain := strings.Map(func(r rune) rune {
		switch {
		case unicode.Is(unicode.Mn, r) || unicode.Is(unicode.Cf, r):
			return -1
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			return r
		}
		return '-'
	}, norm.NFKD.String(strings.ToLower(title)))
	slug := strings.Trim(regexp.MustCompile(`-+`).ReplaceAllString(plain, "-"), "-0123456789")
	if len(slug) > 40 {
		slug = strings.TrimRight(slug[:40], "-")
	}
	if len(slug) < 3 {
		return "collecte-" + slug + "1"
	}
	return slug
}

func campaignsNew(v *visit) error {
	f, err := v.readForm(campaignNewFields())
	if err != nil {
		return err
	}
	goal := f.money("goal", f.Value("currency"))
	if f.Value("id") == "" {
		f.set("id", slugOf(f.Value("title")))
	}
	if f.failed() {
		return campaignsShowNew(v, f)
	}
	c, err := v.campaigns().CreateCampaign(v.ctx(), &campaignsv1.CreateCampaignRequest{
		Parent: v.collective, CampaignId: f.Value("id"),
		Campaign: &campaignsv1.Campaign{Texts: map[string]*campaignsv1.CampaignText{"fr": {Title: f.Value("title")}}, Goal: goal},
	})
	switch {
	case err == nil:
		return v.done("campaigns.created", campaignPath(v, c)+"/texts")
	case reasonOf(err) == "CAMPAIGN_EXISTS":
		f.fail("id", v.T("campaigns.idTaken"))
	case !f.refused(v, err):
		return err
	}
	return campaignsShowNew(v, f)
}

// overviewPage says how a campaign is, and what can be done with it.
type overviewPage struct {
	Public, PublicText string
	Preview            string
	Spread, News       string
	Actions            []overviewAction
	Facts              []fact
}

type overviewAction struct {
	Label, Path     string
	Danger, Primary bool
}

type fact struct{ Name, Value string }

func campaignsOverview(v *visit) error {
	c, err := campaignOf(v)
	if err != nil {
		return err
	}
	p := newCampaignPage(v, c, "", nil)
	o := overviewPage{Preview: p.Path + "/preview", News: v.path("/news/" + lastOf(c.GetName()))}
	if !isDraft(c) {
		o.Public, o.PublicText = publicPath(v, c), v.PublicURL+publicPath(v, c)
		o.Spread = v.path("/spread/" + lastOf(c.GetName()))
	}
	o.Facts = []fact{
		{v.T("campaigns.fact.progress"), p.Raised},
		{v.T("campaigns.fact.stages"), v.N("campaigns.stagesN", int64(len(c.GetStages())))},
		{v.T("campaigns.fact.deadline"), v.T("campaigns.noDeadline")},
		{v.T("campaigns.fact.sites"), v.T("campaigns.noSites")},
	}
	if p.Deadline != "" {
		o.Facts[2].Value = p.Deadline
	}
	if len(c.GetAllowedOrigins()) > 0 {
		o.Facts[3].Value = strings.Join(c.GetAllowedOrigins(), " · ")
	}
	if v.can(writers...) {
		add := func(path string, danger bool) {
			o.Actions = append(o.Actions, overviewAction{Label: v.T("campaigns.action." + path), Path: p.Path + "/" + path, Danger: danger, Primary: path == "checklist"})
		}
		switch c.GetState() {
		case campaignsv1.CampaignState_CAMPAIGN_STATE_DRAFT:
			add("checklist", false)
		case campaignsv1.CampaignState_CAMPAIGN_STATE_PUBLISHED:
			add("pause", false)
		case campaignsv1.CampaignState_CAMPAIGN_STATE_PAUSED:
			add("resume", false)
		}
		add("copy", false)
		if !isClosed(c) {
			add("rename", false)
		}
		switch {
		case isDraft(c):
			add("delete", true)
		case !isClosed(c):
			add("close", true)
		}
	}
	p.Content = o
	return v.show("campaigns/overview", p.Title, p)
}

// previewOf shows a campaign as donors will see it.
func previewOf(v *visit, c *campaignsv1.Campaign, typed bool) error {
	shown := pages.Preview{
		Campaign: c, ImageBase: campaignPath(v, c) + "/images", Notice: v.T("campaigns.previewNotice"),
		Back: campaignPath(v, c), BackText: v.T("campaigns.previewBack"),
	}
	if typed {
		shown.Notice, shown.Back, shown.BackText = v.T("campaigns.previewTyped"), campaignPath(v, c)+"/texts", v.T("campaigns.previewEdit")
	}
	if c.GetImage() != "" {
		image, err := v.images().GetImage(v.ctx(), &imagesv1.GetImageRequest{Name: c.GetImage()})
		if err != nil && !isNotFound(err) {
			return err
		}
		if err == nil {
			shown.Image = image
		}
	}
	// The checklist knows how donors can pay, of drafts too.
	list, err := v.campaigns().GetPublishChecklist(v.ctx(), &campaignsv1.GetPublishChecklistRequest{Name: c.GetName() + "/publishChecklist"})
	if err != nil {
		return err
	}
	for _, item := range list.GetItems() {
		if item.GetSubject() == campaignsv1.ChecklistSubject_CHECKLIST_SUBJECT_STRIPE {
			shown.Cards = item.GetState() == campaignsv1.ChecklistState_CHECKLIST_STATE_READY
			shown.OtherWays = !item.GetBlocking()
		}
	}
	v.console.Config.Preview(v.w, v.r, shown)
	return nil
}

func campaignsPreview(v *visit) error {
	c, err := campaignOf(v)
	if err != nil {
		return err
	}
	return previewOf(v, c, false)
}

// campaignsPreviewTyped shows what stands in the form of the texts, and stores nothing. So its answer is no redirect: sending
// it again shows the same.
func campaignsPreviewTyped(v *visit) error {
	c, err := campaignOf(v)
	if err != nil {
		return err
	}
	f, err := v.readForm(textFields(v, c))
	if err != nil {
		return err
	}
	c = proto.CloneOf(c)
	c.Texts = textsOf(f, c)
	return previewOf(v, c, true)
}

// campaignsImageContent serves a picture to members, whatever its campaign's state. The owner in the address is the
// collective, as in the public one.
func campaignsImageContent(v *visit) error {
	width, err := strconv.ParseInt(v.r.PathValue("width"), 10, 32)
	if err != nil || width < 1 || "collectives/"+v.r.PathValue("owner") != v.collective {
		return errNoPage
	}
	content, err := v.images().GetImageContent(v.ctx(), &imagesv1.GetImageContentRequest{
		Name: v.collective + "/images/" + v.r.PathValue("image"), Width: int32(width),
	})
	if err != nil {
		return err
	}
	pages.WriteImage(v.w, v.r, content, "private, max-age=3600")
	return nil
}
