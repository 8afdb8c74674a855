package console

import (
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"golang.org/x/text/unicode/norm"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/cagnotte/cagnotte/gateway/pages"
	accessv1 "github.com/cagnotte/cagnotte/proto/cagnotte/access/v1"
	campaignsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
	imagesv1 "github.com/cagnotte/cagnotte/proto/cagnotte/images/v1"
	moneyv1 "github.com/cagnotte/cagnotte/proto/cagnotte/money/v1"
	recurringv1 "github.com/cagnotte/cagnotte/proto/cagnotte/recurring/v1"
)

// writers change campaigns, news and what the collective tells about itself.
var writers = []accessv1.Role{owner, editor}

const (
	// maxCampaignForm holds two stories of 20,000 characters, three bytes each once a form has encoded them.
	maxCampaignForm = 512 << 10
	// maxImageForm holds a picture of 8 MiB.
	maxImageForm = 9 << 20
	// maxStages is how many stages a campaign may have.
	maxStages = 20
)

// languages are those in which members write, French first.
var languages = []string{"fr", "en"}

// campaignsSection has the campaigns: list, texts, amounts and stages, image, sites, checklist, and what becomes of them.
func campaignsSection() section {
	const all, one = "/console/c/{collective}/campaigns", "/console/c/{collective}/campaigns/{campaign}"
	return section{
		name: "campaigns",
		nav:  []navEntry{{label: "campaigns.nav", icon: "flag", path: "/campaigns"}},
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
	if day := deadlineDay(v, c); day != "" {
		row.Deadline = v.T("campaigns.until", "day", v.Day(day))
	}
	return row
}

// deadlineDay is the last day on which donations are accepted, in the collective's zone; empty for no deadline.
func deadlineDay(v *visit, c *campaignsv1.Campaign) string {
	zone, err := v.zone()
	if c.GetDeadline() == nil || err != nil {
		return ""
	}
	return c.GetDeadline().AsTime().Add(-time.Nanosecond).In(zone).Format(time.DateOnly)
}

type campaignsListPage struct {
	New   string
	Rows  []campaignRow
	Pager pager
}

func campaignsList(v *visit) error {
	list, err := v.campaigns().ListCampaigns(v.ctx(), &campaignsv1.ListCampaignsRequest{Parent: v.collective, PageSize: 50, PageToken: v.pageToken()})
	if err != nil {
		return err
	}
	p := campaignsListPage{Pager: v.pager(list.GetNextPageToken())}
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
	Tabs []tab
	Form *form
	// Lead explains the page, and Button sends its form.
	Lead, Button string
	// Preview is where what was typed is shown as donors will see it; empty where that is not offered.
	Preview string
	// Replace is the etag under which the form overwrites what somebody else has changed; empty while nobody has.
	Replace string
	// Content is the page's own.
	Content any
}

// newCampaignPage begins a page about a campaign; current is the tab's path.
func newCampaignPage(v *visit, c *campaignsv1.Campaign, current string, f *form) campaignPage {
	p := campaignPage{campaignRow: newCampaignRow(v, c), Form: f, Button: v.T("campaigns.save")}
	base := campaignPath(v, c)
	paths := []string{"", "texts", "amounts", "image", "sites"}
	if !v.can(writers...) || isClosed(c) {
		paths = paths[:1]
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
	p := campaignPage{Form: f, Lead: v.T("campaigns.newLead"), Button: v.T("campaigns.create")}
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
	Preview, Spread    string
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
	o := overviewPage{Preview: p.Path + "/preview"}
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

// textFields are the texts in both languages.
func textFields(v *visit, c *campaignsv1.Campaign) []field {
	fields := []field{{Name: "etag", Kind: "hidden"}}
	for _, lang := range languages {
		path := fmt.Sprintf("campaign.texts[%q]", lang)
		fields = append(fields,
			field{Name: "title-" + lang, Label: "campaigns.text.title", Required: lang == "fr", Max: 120, Spellcheck: true, Path: path + ".title"},
			field{Name: "story-" + lang, Label: "campaigns.text.story", Hint: "campaigns.text.storyHint", Kind: "textarea", Rows: 14, Max: 20_000, Spellcheck: true, Path: path + ".story"},
			field{Name: "thanks-" + lang, Label: "campaigns.text.thanks", Hint: "campaigns.text.thanksHint", Kind: "textarea", Rows: 4, Max: 2_000, Spellcheck: true, Path: path + ".thank_you"},
		)
		if c.GetImage() != "" {
			fields = append(fields, field{Name: "alt-" + lang, Label: "campaigns.text.alt", Hint: "campaigns.text.altHint", Required: lang == "fr", Max: 300, Spellcheck: true, Path: path + ".image_alt"})
		}
	}
	return fields
}

func campaignsTextsForm(v *visit) error {
	c, err := campaignOf(v)
	if err != nil {
		return err
	}
	f := v.newForm(textFields(v, c), "etag", c.GetEtag())
	for _, lang := range languages {
		text := c.GetTexts()[lang]
		f.set("title-"+lang, text.GetTitle())
		f.set("story-"+lang, text.GetStory())
		f.set("thanks-"+lang, text.GetThankYou())
		f.set("alt-"+lang, text.GetImageAlt())
	}
	return campaignsShowTexts(v, c, f, nil)
}

// languageFields are the fields of one language, for columns side by side.
type languageFields struct {
	Name, Lang string
	Fields     []*fieldView
}

// byLanguage sorts the fields of a form, whose names end in a language.
func byLanguage(v *visit, f *form) (columns []languageFields) {
	for _, lang := range languages {
		column := languageFields{Name: v.T("campaigns.language." + lang), Lang: lang}
		for _, field := range f.Fields() {
			if strings.HasSuffix(field.Name, "-"+lang) {
				column.Fields = append(column.Fields, field)
			}
		}
		columns = append(columns, column)
	}
	return columns
}

func campaignsShowTexts(v *visit, c *campaignsv1.Campaign, f *form, refusal error) error {
	p := newCampaignPage(v, c, "texts", f)
	p.Preview, p.Content = p.Path+"/preview", byLanguage(v, f)
	return showChange(v, "campaigns/texts", c.GetEtag(), p, refusal)
}

// showChange shows a form that changes a campaign, with the way out when somebody else has changed it since.
func showChange(v *visit, template, etag string, p campaignPage, refusal error) error {
	if changed(refusal) {
		p.Form.Message, p.Replace = v.T("campaigns.changed"), etag
	}
	if p.Form.failed() {
		return v.refuse(template, p.Title, p)
	}
	return v.show(template, p.Title, p)
}

// textsOf are the texts of the form, and those of other languages that the campaign has.
func textsOf(f *form, c *campaignsv1.Campaign) map[string]*campaignsv1.CampaignText {
	texts := maps.Clone(c.GetTexts())
	if texts == nil {
		texts = map[string]*campaignsv1.CampaignText{}
	}
	for _, lang := range languages {
		text := &campaignsv1.CampaignText{
			Title: f.Value("title-" + lang), Story: f.lines("story-" + lang), ThankYou: f.lines("thanks-" + lang),
			ImageAlt: f.Value("alt-" + lang),
		}
		texts[lang] = text
		if lang != "fr" && text.GetTitle() == "" && strings.TrimSpace(text.GetStory()+text.GetThankYou()) == "" {
			delete(texts, lang)
		}
	}
	return texts
}

func campaignsTexts(v *visit) error {
	c, err := campaignOf(v)
	if err != nil {
		return err
	}
	f, err := v.readForm(textFields(v, c))
	if err != nil {
		return err
	}
	if f.failed() {
		return campaignsShowTexts(v, c, f, nil)
	}
	err = updateCampaign(v, &campaignsv1.Campaign{Name: c.GetName(), Texts: textsOf(f, c), Etag: etagOf(f)}, "texts")
	if err == nil {
		return v.done("campaigns.saved", campaignPath(v, c)+"/texts")
	}
	if !f.refused(v, err) {
		return err
	}
	return campaignsShowTexts(v, c, f, err)
}

func updateCampaign(v *visit, c *campaignsv1.Campaign, paths ...string) error {
	_, err := v.campaigns().UpdateCampaign(v.ctx(), &campaignsv1.UpdateCampaignRequest{Campaign: c, UpdateMask: &fieldmaskpb.FieldMask{Paths: paths}})
	return err
}

func amountFields(v *visit, c *campaignsv1.Campaign) []field {
	symbol := v.CurrencySymbol(c.GetGoal().GetCurrencyCode())
	return []field{
		{Name: "etag", Kind: "hidden"},
		{Name: "stages", Kind: "hidden"},
		{Name: "goal", Label: "campaigns.goal", Kind: "money", Required: true, Suffix: symbol, Path: "campaign.goal"},
		{Name: "presets", Label: "campaigns.presets", Hint: "campaigns.presetsHint", Path: "campaign.presets", Suffix: symbol},
		{Name: "minimum", Label: "campaigns.minimum", Kind: "money", Required: true, Suffix: symbol, Path: "campaign.minimum"},
		{Name: "maximum", Label: "campaigns.maximum", Kind: "money", Required: true, Suffix: symbol, Path: "campaign.maximum"},
		{Name: "deadline", Label: "campaigns.deadline", Hint: "campaigns.deadlineHint", Kind: "day", Path: "campaign.deadline"},
	}
}

// stageFields are those of the stage with this number, from 0. Their names end in it.
func stageFields(v *visit, c *campaignsv1.Campaign, i int) []field {
	path := fmt.Sprintf("campaign.stages[%d]", i)
	n := "-" + strconv.Itoa(i)
	return []field{
		{Name: "stage-id" + n, Kind: "hidden"},
		{Name: "stage-fr" + n, Label: "campaigns.stage.fr", Required: true, Max: 120, Spellcheck: true, Path: path + `.titles["fr"]`},
		{Name: "stage-en" + n, Label: "campaigns.stage.en", Max: 120, Spellcheck: true, Path: path + `.titles["en"]`},
		{Name: "stage-amount" + n, Label: "campaigns.stage.amount", Kind: "money", Required: true, Suffix: v.CurrencySymbol(c.GetGoal().GetCurrencyCode()), Path: path + ".amount"},
	}
}

// stageParts are the beginnings of the names of a stage's fields.
var stageParts = []string{"stage-id-", "stage-fr-", "stage-en-", "stage-amount-"}

func campaignsAmountsForm(v *visit) error {
	c, err := campaignOf(v)
	if err != nil {
		return err
	}
	f := v.newForm(amountFields(v, c), "etag", c.GetEtag(), "stages", strconv.Itoa(len(c.GetStages())), "goal", v.FieldMoney(c.GetGoal()),
		"minimum", v.FieldMoney(c.GetMinimum()), "maximum", v.FieldMoney(c.GetMaximum()), "deadline", deadlineDay(v, c))
	var presets []string
	for _, preset := range c.GetPresets() {
		presets = append(presets, v.FieldMoney(preset))
	}
	f.set("presets", strings.Join(presets, " "))
	for i, stage := range c.GetStages() {
		f.fields = append(f.fields, stageFields(v, c, i)...)
		for part, value := range map[string]string{
			"stage-id-": stage.GetId(), "stage-fr-": stage.GetTitles()["fr"], "stage-en-": stage.GetTitles()["en"], "stage-amount-": v.FieldMoney(stage.GetAmount()),
		} {
			f.set(part+strconv.Itoa(i), value)
		}
	}
	return campaignsShowAmounts(v, c, f, nil)
}

// stageRow is a stage in the form, with the buttons that move it.
type stageRow struct {
	Number, Count    int
	Index            int
	First, Last      bool
	ID, FR, EN, Cost *fieldView
}

// amountsPage has the form's fields but the stages', and the stages.
type amountsPage struct {
	Fields []*fieldView
	Stages []stageRow
	More   bool
}

func campaignsShowAmounts(v *visit, c *campaignsv1.Campaign, f *form, refusal error) error {
	p := newCampaignPage(v, c, "amounts", f)
	var a amountsPage
	count := stageCount(f)
	for _, field := range f.Fields() {
		if !strings.HasPrefix(field.Name, "stage-") {
			a.Fields = append(a.Fields, field)
		}
	}
	for i := range count {
		row := stageRow{Number: i + 1, Count: count, Index: i, First: i == 0, Last: i == count-1}
		for part, view := range map[string]**fieldView{"stage-id-": &row.ID, "stage-fr-": &row.FR, "stage-en-": &row.EN, "stage-amount-": &row.Cost} {
			*view, _ = f.Field(part + strconv.Itoa(i)) // it is there
		}
		a.Stages = append(a.Stages, row)
	}
	a.More = count < maxStages
	p.Content = a
	return showChange(v, "campaigns/amounts", c.GetEtag(), p, refusal)
}

func stageCount(f *form) int {
	count, err := strconv.Atoi(f.Value("stages"))
	if err != nil {
		return 0
	}
	return min(max(count, 0), maxStages)
}

// arrange adds, removes and moves stages in the form; false when that is not what was asked for.
func arrange(f *form, do string) bool {
	verb, at, _ := strings.Cut(do, "-")
	i, err := strconv.Atoi(at)
	count := stageCount(f)
	swap := func(i, j int) {
		for _, part := range stageParts {
			a, b := part+strconv.Itoa(i), part+strconv.Itoa(j)
			first, second := f.values.Get(a), f.values.Get(b)
			f.set(a, second)
			f.set(b, first)
		}
	}
	switch {
	case verb == "add" && count < maxStages:
		f.set("stages", strconv.Itoa(count+1))
	case err != nil || i < 0 || i >= count:
		return verb == "add"
	case verb == "up" && i > 0:
		swap(i-1, i)
	case verb == "down" && i < count-1:
		swap(i, i+1)
	case verb == "remove":
		for ; i < count-1; i++ {
			swap(i, i+1)
		}
		for _, part := range stageParts {
			f.values.Del(part + strconv.Itoa(count-1))
		}
		f.set("stages", strconv.Itoa(count-1))
	}
	return true
}

func campaignsAmounts(v *visit) error {
	c, err := campaignOf(v)
	if err != nil {
		return err
	}
	f, err := v.readForm(amountFields(v, c))
	if err != nil {
		return err
	}
	if do := f.Value("do"); do != "" && arrange(f, do) {
		// Nothing is stored yet, and nothing has to be filled in to move a stage.
		f.errors = map[string]string{}
		for i := range stageCount(f) {
			f.fields = append(f.fields, stageFields(v, c, i)...)
		}
		return campaignsShowAmounts(v, c, f, nil)
	}
	for i := range stageCount(f) {
		f.fields = append(f.fields, stageFields(v, c, i)...)
	}
	f.check()
	sent := amountsOf(v, f, c)
	if f.failed() {
		return campaignsShowAmounts(v, c, f, nil)
	}
	err = updateCampaign(v, sent, "goal", "presets", "minimum", "maximum", "deadline", "stages")
	if err == nil {
		return v.done("campaigns.saved", campaignPath(v, c)+"/amounts")
	}
	if !f.refused(v, err) {
		return err
	}
	return campaignsShowAmounts(v, c, f, err)
}

// amountsOf reads the amounts, the deadline and the stages of a form.
func amountsOf(v *visit, f *form, c *campaignsv1.Campaign) *campaignsv1.Campaign {
	currency := c.GetGoal().GetCurrencyCode()
	sent := &campaignsv1.Campaign{
		Name: c.GetName(), Etag: etagOf(f),
		Goal: f.money("goal", currency), Minimum: f.money("minimum", currency), Maximum: f.money("maximum", currency),
	}
	presets := newForm(f)
	for _, typed := range strings.FieldsFunc(f.Value("presets"), func(r rune) bool { return unicode.IsSpace(r) || r == ';' || r == '/' }) {
		presets.set("presets", typed)
		if amount := presets.money("presets", currency); amount != nil {
			sent.Presets = append(sent.Presets, amount)
		}
	}
	if presets.failed() {
		f.fail("presets", presets.errors["presets"])
	}
	slices.SortFunc(sent.Presets, func(a, b *moneyv1.Money) int { return int(a.GetAmountMinor() - b.GetAmountMinor()) })
	// The day that stands there already keeps the deadline to the second.
	switch day := f.day("deadline"); {
	case day != "" && day == deadlineDay(v, c):
		sent.Deadline = c.GetDeadline()
	case day != "":
		zone, err := v.zone()
		if err != nil {
			f.Message = v.T("shell.busyText")
			break
		}
		sent.Deadline = dayEnd(day, zone)
	}
	for i := range stageCount(f) {
		n := strconv.Itoa(i)
		stage := &campaignsv1.Stage{Id: f.Value("stage-id-" + n), Amount: f.money("stage-amount-"+n, currency), Titles: map[string]string{"fr": f.Value("stage-fr-" + n)}}
		if en := f.Value("stage-en-" + n); en != "" {
			stage.Titles["en"] = en
		}
		// The titles of other languages stay.
		for _, stored := range c.GetStages() {
			if stored.GetId() == stage.GetId() {
				for lang, title := range stored.GetTitles() {
					if !slices.Contains(languages, lang) {
						stage.Titles[lang] = title
					}
				}
			}
		}
		sent.Stages = append(sent.Stages, stage)
	}
	return sent
}

// newForm is a form beside another one, in its words.
func newForm(f *form) *form {
	return &form{Words: f.Words, values: url.Values{}, errors: map[string]string{}}
}

func imageFields(c *campaignsv1.Campaign) []field {
	fields := []field{
		{Name: "etag", Kind: "hidden"},
		{Name: "image", Label: "campaigns.image.file", Hint: "campaigns.image.hint", Kind: "file", Accept: "image/jpeg,image/png,image/webp,image/gif", Path: "image.content"},
	}
	for _, lang := range languages {
		if c.GetTexts()[lang] != nil {
			fields = append(fields, field{
				Name: "alt-" + lang, Label: "campaigns.image.alt." + lang, Hint: "campaigns.text.altHint", Required: true, Max: 300, Spellcheck: true,
				Path: fmt.Sprintf("campaign.texts[%q].image_alt", lang),
			})
		}
	}
	return fields
}

func campaignsImageForm(v *visit) error {
	c, err := campaignOf(v)
	if err != nil {
		return err
	}
	f := v.newForm(imageFields(c), "etag", c.GetEtag())
	for _, lang := range languages {
		f.set("alt-"+lang, c.GetTexts()[lang].GetImageAlt())
	}
	return campaignsShowImage(v, c, f, nil)
}

func campaignsShowImage(v *visit, c *campaignsv1.Campaign, f *form, refusal error) error {
	p := newCampaignPage(v, c, "image", f)
	if c.GetImage() != "" {
		image, err := v.images().GetImage(v.ctx(), &imagesv1.GetImageRequest{Name: c.GetImage()})
		if err != nil {
			return err
		}
		p.Content = memberImage(v, p.Path+"/images", image, campaignAlt(v, c))
	}
	return showChange(v, "campaigns/image", c.GetEtag(), p, refusal)
}

// shownImage is a picture on a page of the console.
type shownImage struct {
	Src, Alt      string
	Width, Height int32
}

// memberImage is a picture at its members' address, in the smallest width.
func memberImage(v *visit, base string, image *imagesv1.Image, alt string) shownImage {
	width := image.GetWidth()
	if widths := image.GetWidths(); len(widths) > 0 {
		width = widths[0]
	}
	return shownImage{
		Src: fmt.Sprintf("%s/%s/%s/%d", base, strings.TrimPrefix(v.collective, "collectives/"), lastOf(image.GetName()), width),
		Alt: alt, Width: width, Height: max(1, image.GetHeight()*width/max(1, image.GetWidth())),
	}
}

func campaignAlt(v *visit, c *campaignsv1.Campaign) string {
	for _, lang := range []string{v.Lang, "fr"} {
		if alt := c.GetTexts()[lang].GetImageAlt(); alt != "" {
			return alt
		}
	}
	return ""
}

func campaignsImage(v *visit) error {
	c, err := campaignOf(v)
	if err != nil {
		return err
	}
	f, err := v.readForm(imageFields(c))
	if err != nil {
		return err
	}
	remove := f.Value("do") == "remove"
	file, uploaded := f.file("image")
	if !uploaded && c.GetImage() == "" {
		f.fail("image", v.T("shell.required"))
	}
	if f.failed() && !remove {
		return campaignsShowImage(v, c, f, nil)
	}
	sent := &campaignsv1.Campaign{Name: c.GetName(), Etag: etagOf(f), Image: c.GetImage(), Texts: map[string]*campaignsv1.CampaignText{}}
	for lang, text := range c.GetTexts() {
		text = proto.CloneOf(text)
		if slices.Contains(languages, lang) {
			text.ImageAlt = f.Value("alt-" + lang)
		}
		if remove {
			text.ImageAlt = ""
		}
		sent.Texts[lang] = text
	}
	switch {
	case remove:
		sent.Image = ""
	case uploaded:
		image, err := v.images().CreateImage(v.ctx(), &imagesv1.CreateImageRequest{Parent: v.collective, Image: &imagesv1.Image{Content: file.Body}})
		if err != nil {
			return campaignsRefuseImage(v, c, f, err)
		}
		sent.Image = image.GetName()
	}
	if err := updateCampaign(v, sent, "image", "texts"); err != nil {
		return campaignsRefuseImage(v, c, f, err)
	}
	return v.done("campaigns.saved", campaignPath(v, c)+"/image")
}

func campaignsRefuseImage(v *visit, c *campaignsv1.Campaign, f *form, err error) error {
	if !refusedImage(v, f, err) && !f.refused(v, err) {
		return err
	}
	return campaignsShowImage(v, c, f, err)
}

// refusedImage says at the file's field why a picture was refused; false for another error.
func refusedImage(v *visit, f *form, err error) bool {
	key := map[string]string{
		"IMAGE_UNREADABLE": "campaigns.image.unreadable", "IMAGE_TOO_LARGE": "campaigns.image.tooLarge", "TOO_MANY_IMAGES": "campaigns.image.tooMany",
	}[reasonOf(err)]
	if key == "" {
		return false
	}
	f.fail("image", v.T(key))
	return true
}

var siteFields = []field{
	{Name: "etag", Kind: "hidden"},
	{Name: "sites", Label: "campaigns.sites.label", Hint: "campaigns.sites.hint", Kind: "textarea", Max: 15_000, Rows: 6, Path: "campaign.allowed_origins"},
}

func campaignsSitesForm(v *visit) error {
	c, err := campaignOf(v)
	if err != nil {
		return err
	}
	return campaignsShowSites(v, c, v.newForm(siteFields, "etag", c.GetEtag(), "sites", strings.Join(c.GetAllowedOrigins(), "\n")), nil)
}

func campaignsShowSites(v *visit, c *campaignsv1.Campaign, f *form, refusal error) error {
	p := newCampaignPage(v, c, "sites", f)
	p.Lead = v.T("campaigns.sites.lead")
	return showChange(v, "campaigns/form", c.GetEtag(), p, refusal)
}

// originOf is the origin of an address that was pasted whole, or the text as it is.
func originOf(typed string) string {
	u, err := url.Parse(typed)
	if err != nil || u.Host == "" {
		return typed
	}
	return u.Scheme + "://" + u.Host
}

func campaignsSites(v *visit) error {
	c, err := campaignOf(v)
	if err != nil {
		return err
	}
	f, err := v.readForm(siteFields)
	if err != nil {
		return err
	}
	var origins []string
	for _, typed := range strings.Fields(f.Value("sites")) {
		if origin := originOf(typed); !slices.Contains(origins, origin) {
			origins = append(origins, origin)
		}
	}
	err = updateCampaign(v, &campaignsv1.Campaign{Name: c.GetName(), Etag: etagOf(f), AllowedOrigins: origins}, "allowed_origins")
	switch {
	case err == nil:
		return v.done("campaigns.saved", campaignPath(v, c)+"/sites")
	case reasonOf(err) == "INVALID_FIELD":
		f.fail("sites", v.T("campaigns.sites.wrong"))
	case !f.refused(v, err):
		return err
	}
	return campaignsShowSites(v, c, f, err)
}

// checklistPage is what is ready and what is missing.
type checklistPage struct {
	Items []checklistItem
	// Publish is empty when it cannot be published now.
	Publish string
	Draft   bool
}

type checklistItem struct {
	Label, Text, Tone, Badge, Path, Fix string
}

// fixes are where each subject is put right, below the collective's pages; {campaign} is the campaign's.
var fixes = map[campaignsv1.ChecklistSubject]string{
	campaignsv1.ChecklistSubject_CHECKLIST_SUBJECT_STRIPE:       "/settings/stripe",
	campaignsv1.ChecklistSubject_CHECKLIST_SUBJECT_GOAL:         "{campaign}/amounts",
	campaignsv1.ChecklistSubject_CHECKLIST_SUBJECT_STORY:        "{campaign}/texts",
	campaignsv1.ChecklistSubject_CHECKLIST_SUBJECT_IMAGE:        "{campaign}/image",
	campaignsv1.ChecklistSubject_CHECKLIST_SUBJECT_LEGAL_NOTICE: "/settings/identity",
	campaignsv1.ChecklistSubject_CHECKLIST_SUBJECT_CONTACT:      "/settings/identity",
	campaignsv1.ChecklistSubject_CHECKLIST_SUBJECT_DEADLINE:     "{campaign}/amounts",
	campaignsv1.ChecklistSubject_CHECKLIST_SUBJECT_THANK_YOU:    "{campaign}/texts",
	campaignsv1.ChecklistSubject_CHECKLIST_SUBJECT_TAX_RECEIPT:  "{campaign}/texts",
	campaignsv1.ChecklistSubject_CHECKLIST_SUBJECT_PENALTIES:    "{campaign}/texts",
}

func campaignsChecklist(v *visit) error {
	c, err := campaignOf(v)
	if err != nil {
		return err
	}
	list, err := v.campaigns().GetPublishChecklist(v.ctx(), &campaignsv1.GetPublishChecklistRequest{Name: c.GetName() + "/publishChecklist"})
	if err != nil {
		return err
	}
	f := v.newForm(nil)
	p := newCampaignPage(v, c, "checklist", f)
	content := checklistPage{Draft: isDraft(c)}
	for _, item := range list.GetItems() {
		key := "campaigns.check." + strings.TrimPrefix(item.GetSubject().String(), "CHECKLIST_SUBJECT_")
		shown := checklistItem{Label: v.T(key), Tone: "good", Badge: v.T("campaigns.check.ready")}
		switch item.GetState() {
		case campaignsv1.ChecklistState_CHECKLIST_STATE_MISSING:
			shown.Tone, shown.Badge, shown.Text = "warn", v.T("campaigns.check.missing"), v.T(key+".missing")
			if item.GetBlocking() {
				shown.Tone, shown.Badge = "bad", v.T("campaigns.check.blocking")
			}
		case campaignsv1.ChecklistState_CHECKLIST_STATE_WARNING:
			shown.Tone, shown.Badge, shown.Text = "warn", v.T("campaigns.check.warning"), v.T(key+".missing", "words", item.GetExcerpt())
		}
		if item.GetLanguage() != "" {
			shown.Label += " (" + v.T("campaigns.language."+item.GetLanguage()) + ")"
		}
		if fix := fixes[item.GetSubject()]; fix != "" && item.GetState() != campaignsv1.ChecklistState_CHECKLIST_STATE_READY && v.can(writers...) {
			shown.Path, shown.Fix = v.path(fix), v.T("campaigns.check.fix")
			if below, ok := strings.CutPrefix(fix, "{campaign}"); ok {
				shown.Path = p.Path + below
			}
		}
		content.Items = append(content.Items, shown)
	}
	if list.GetPublishable() && v.can(writers...) {
		content.Publish = p.Path + "/publish"
	}
	p.Content = content
	return v.show("campaigns/checklist", p.Title, p)
}

// campaignVerb does one of the verbs, which have the same form, and leads back to the campaign.
func campaignVerb(v *visit, done string, confirm func(*visit, *form) error, verb func(name string) error) error {
	f, err := v.readForm(nil)
	if err != nil {
		return err
	}
	err = verb(campaignName(v))
	if err == nil {
		return v.done("campaigns."+done, v.path("/campaigns/"+v.r.PathValue("campaign")))
	}
	if !f.refused(v, err) {
		return err
	}
	return confirm(v, f)
}

func campaignsPublish(v *visit) error {
	return campaignVerb(v, "published", func(v *visit, f *form) error {
		return v.confirm(v.T("campaigns.action.publish"), confirmation{
			Lead: v.T("campaigns.publishLead"), Form: f, Button: v.T("campaigns.action.publish"), Back: v.path("/campaigns/" + v.r.PathValue("campaign") + "/checklist"),
		})
	}, func(name string) error {
		_, err := v.campaigns().PublishCampaign(v.ctx(), &campaignsv1.PublishCampaignRequest{Name: name})
		return err
	})
}

// monthlyOf says how many monthly donations of a campaign go on; empty when that is not known.
func monthlyOf(v *visit, campaign string) string {
	list, err := recurringv1.NewRecurringServiceClient(v.Conn).ListRecurringDonations(v.ctx(), &recurringv1.ListRecurringDonationsRequest{
		Parent: campaign, PageSize: 200,
		States: []recurringv1.RecurringDonationState{
			recurringv1.RecurringDonationState_RECURRING_DONATION_STATE_ACTIVE, recurringv1.RecurringDonationState_RECURRING_DONATION_STATE_PAST_DUE,
		},
	})
	switch {
	case err != nil:
		return ""
	case list.GetNextPageToken() != "":
		return v.T("campaigns.monthlyMany")
	}
	return v.N("campaigns.monthlyN", int64(len(list.GetRecurringDonations())))
}

// confirmVerb is the page before a verb: points say what it does.
func confirmVerb(v *visit, f *form, verb string, danger bool, points ...string) error {
	c, err := campaignOf(v)
	if err != nil {
		return err
	}
	points = slices.DeleteFunc(points, func(p string) bool { return p == "" })
	return v.confirm(v.T("campaigns.action."+verb), confirmation{
		Lead: v.T("campaigns.lead."+verb, "title", campaignTitle(v, c)), Points: points, Form: f, Danger: danger,
		Button: v.T("campaigns.action." + verb), Back: campaignPath(v, c),
	})
}

func campaignsPauseForm(v *visit) error { return confirmPause(v, v.newForm(nil)) }

func confirmPause(v *visit, f *form) error {
	return confirmVerb(v, f, "pause", false, v.T("campaigns.point.pauseStops"), v.T("campaigns.point.pausePage"), v.T("campaigns.point.pauseMonthly"), monthlyOf(v, campaignName(v)))
}

func campaignsPause(v *visit) error {
	return campaignVerb(v, "paused", confirmPause, func(name string) error {
		_, err := v.campaigns().PauseCampaign(v.ctx(), &campaignsv1.PauseCampaignRequest{Name: name})
		return err
	})
}

func campaignsResumeForm(v *visit) error { return confirmResume(v, v.newForm(nil)) }

func confirmResume(v *visit, f *form) error {
	return confirmVerb(v, f, "resume", false, v.T("campaigns.point.resume"))
}

func campaignsResume(v *visit) error {
	return campaignVerb(v, "resumed", confirmResume, func(name string) error {
		_, err := v.campaigns().ResumeCampaign(v.ctx(), &campaignsv1.ResumeCampaignRequest{Name: name})
		return err
	})
}

func campaignsCloseForm(v *visit) error { return confirmClose(v, v.newForm(nil)) }

func confirmClose(v *visit, f *form) error {
	return confirmVerb(v, f, "close", true, v.T("campaigns.point.closeEnds"), v.T("campaigns.point.closePage"), v.T("campaigns.point.closeMonthly"), monthlyOf(v, campaignName(v)))
}

func campaignsClose(v *visit) error {
	return campaignVerb(v, "closed", confirmClose, func(name string) error {
		_, err := v.campaigns().CloseCampaign(v.ctx(), &campaignsv1.CloseCampaignRequest{Name: name})
		return err
	})
}

var idFields = []field{
	{Name: "etag", Kind: "hidden"},
	{Name: "id", Label: "campaigns.id", Hint: "campaigns.idHint", Required: true, Max: 40, Mono: true, Path: "campaign_id"},
}

// campaignsShowID shows the form that copies or renames.
func campaignsShowID(v *visit, c *campaignsv1.Campaign, f *form, verb string) error {
	p := newCampaignPage(v, c, "none", f)
	p.Lead, p.Button = v.T("campaigns.lead."+verb, "title", p.Title), v.T("campaigns.action."+verb)
	if f.failed() {
		return v.refuse("campaigns/form", p.Title, p)
	}
	return v.show("campaigns/form", p.Title, p)
}

func campaignsIDForm(v *visit, verb, id string) error {
	c, err := campaignOf(v)
	if err != nil {
		return err
	}
	return campaignsShowID(v, c, v.newForm(idFields, "etag", c.GetEtag(), "id", id), verb)
}

// campaignsSendID does what the form of an id asks for.
func campaignsSendID(v *visit, verb, done string, call func(c *campaignsv1.Campaign, f *form) (*campaignsv1.Campaign, error)) error {
	c, err := campaignOf(v)
	if err != nil {
		return err
	}
	f, err := v.readForm(idFields)
	if err != nil {
		return err
	}
	if f.failed() {
		return campaignsShowID(v, c, f, verb)
	}
	changed, err := call(c, f)
	switch {
	case err == nil:
		return v.done("campaigns."+done, campaignPath(v, changed))
	case reasonOf(err) == "CAMPAIGN_EXISTS":
		f.fail("id", v.T("campaigns.idTaken"))
	case !f.refused(v, err):
		return err
	}
	return campaignsShowID(v, c, f, verb)
}

func campaignsCopyForm(v *visit) error {
	return campaignsIDForm(v, "copy", slugOf(v.r.PathValue("campaign")+"-2"))
}

func campaignsCopy(v *visit) error {
	return campaignsSendID(v, "copy", "copied", func(c *campaignsv1.Campaign, f *form) (*campaignsv1.Campaign, error) {
		return v.campaigns().CopyCampaign(v.ctx(), &campaignsv1.CopyCampaignRequest{Name: c.GetName(), CampaignId: f.Value("id")})
	})
}

func campaignsRenameForm(v *visit) error {
	return campaignsIDForm(v, "rename", v.r.PathValue("campaign"))
}

func campaignsRename(v *visit) error {
	return campaignsSendID(v, "rename", "renamed", func(c *campaignsv1.Campaign, f *form) (*campaignsv1.Campaign, error) {
		return v.campaigns().RenameCampaign(v.ctx(), &campaignsv1.RenameCampaignRequest{Name: c.GetName(), CampaignId: f.Value("id"), Etag: etagOf(f)})
	})
}

func campaignsDeleteForm(v *visit) error { return confirmDelete(v, v.newForm(nil)) }

func confirmDelete(v *visit, f *form) error {
	return confirmVerb(v, f, "delete", true, v.T("campaigns.point.delete"), v.T("campaigns.point.deleteForever"))
}

func campaignsDelete(v *visit) error {
	f, err := v.readForm(nil)
	if err != nil {
		return err
	}
	_, err = v.campaigns().DeleteCampaign(v.ctx(), &campaignsv1.DeleteCampaignRequest{Name: campaignName(v)})
	// It is gone when the form is sent twice.
	if err == nil || isNotFound(err) {
		return v.done("campaigns.deleted", v.path("/campaigns"))
	}
	if !f.refused(v, err) {
		return err
	}
	return confirmDelete(v, f)
}
