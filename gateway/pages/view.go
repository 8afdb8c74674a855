package pages

import (
	"fmt"
	"html/template"
	"slices"
	"strconv"

	"github.com/cagnotte/cagnotte/gateway/text"
	campaignsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
	moneyv1 "github.com/cagnotte/cagnotte/proto/cagnotte/money/v1"
)

// page is what every template gets: the frame, and one content.
type page struct {
	*text.Words
	// Title stands in the tab, and Description beside it where a search engine or messenger shows the link: see share;
	// Query keeps a chosen language in links ("?lang=en" or "").
	Title, Description, Query string
	// Style and Icon are addresses of our own files.
	Style, Icon string
	// InLanguage is the address of this page up to the code of a language, such as "?lang="; empty where it has no fixed address.
	InLanguage string
	// NoIndex keeps search engines away from what is one person's.
	NoIndex bool
	// Discreet says that the collective asks for discretion: see site.answer.
	Discreet bool
	// Feed is the address of the Atom feed of what the page is about; empty for none.
	Feed string
	// Share is what the head says to those who show a link to the page; nil for a page that is no public one.
	Share *share
	// Notice stands above a preview, with the way back.
	Notice, Back, BackText string
	// Script is the address of the page's own script; empty for none. The page is complete without it.
	Script string
	// Whole is what the page carries in itself; nil for a page that loads its style.
	Whole *whole
	// Warning stands beside the notice of a preview, and is for its editor.
	Warning string
	// Framed: the page stands in a frame of another site, so its links open in the whole window.
	Framed bool
	// Embedder is the origin of the site whose frames may show the page; empty for none.
	Embedder string
	// Problems are what is wrong with what was sent, in the order of the fields.
	Problems []problem
	// Content is the page's own part.
	Content any
}

// languageLink leads to a page in another language.
type languageLink struct{ Lang, Name, URL string }

// Languages lead to the page in each of the other languages; none where it has no fixed address.
func (p *page) Languages() (others []languageLink) {
	for _, lang := range text.Languages {
		if lang != p.Lang && p.InLanguage != "" {
			others = append(others, languageLink{lang, text.LanguageName(lang), p.InLanguage + lang})
		}
	}
	return others
}

// problem is what is wrong with what was sent. Field is the id of the element at fault; empty when none is.
type problem struct{ Field, Text string }

// wrong adds a problem; the first of a field stays.
func (p *page) wrong(field, sentence string) {
	if field == "" || p.ProblemAt(field).Text == "" {
		p.Problems = append(p.Problems, problem{field, sentence})
	}
}

// ProblemAt is what is wrong with a field; it has no text when nothing is.
func (p *page) ProblemAt(field string) problem {
	for _, found := range p.Problems {
		if found.Field == field {
			return found
		}
	}
	return problem{}
}

// AtFields reports whether a field is at fault.
func (p *page) AtFields() bool {
	return slices.ContainsFunc(p.Problems, func(found problem) bool { return found.Field != "" })
}

// campaignView is a campaign in one language, every text ready to print.
type campaignView struct {
	Collective, CollectivePath, Path string
	// TextLang is the language of the campaign's own texts, which can differ from the page's.
	Title, TextLang string
	Story           template.HTML
	// Image is nil for a campaign without one.
	Image    *imageView
	Progress progressView
	Stages   []stageView
	// Next is the stage that donations pay for now; nil without stages, or when all are reached.
	Next     *stageView
	Deadline string
	// Event is when and where the campaign takes place; nil for one that is no event.
	Event *eventView
	// Spent says what the cause has cost so far; empty when nothing is known.
	Spent string
	// PledgePath is where to give otherwise than by card; empty when that is not offered.
	PledgePath string
	// Accepting says that donations are taken, else Closed says why there are none; Badge says it in a word. Cards shows the
	// form: without it only the other ways are offered.
	Accepting bool
	Cards     bool
	// Paused: payments by card pause for some minutes.
	Paused        bool
	Closed, Badge string
	Form          formView
	// Links lead to where a reader tells others; nil for none.
	Links *shareLinks
	// Summary is the story's beginning, for phones, where the story stands far below.
	Summary string
	// Accounts is what was raised and spent; nil where the campaign does not show it.
	Accounts *accountsView
	// Batches are the latest donations, some days together; none where the campaign does not show them.
	Batches []batchView
	// News are the newest items. MoreNews says that there are others, and FeedPath is the Atom feed.
	News     []newsView
	MoreNews bool
	FeedPath string
	// Preview shows the form of a campaign that is not public, which leads nowhere.
	Preview bool
}

// formView is the donation form, with what was sent when it comes back.
type formView struct {
	Presets                  []presetView
	Minimum, Maximum, Symbol string
	Typed                    string
	// Monthly and Cover are what was chosen.
	Monthly, Cover bool
	// FeeRate is the estimated fee, and FeeWhole what a donation of FeeExample becomes with it; empty when it cannot be
	// covered.
	FeeRate, FeeExample, FeeWhole string
}

// amountField is what the template of the amount's fields gets.
type amountField struct {
	*text.Words
	formView
	Problem problem
}

// AmountField joins the page's words, a form and what is wrong with its amount.
func (p *page) AmountField(f formView) amountField {
	return amountField{p.Words, f, p.ProblemAt("amount")}
}

// shareField is what the template of the links gets.
type shareField struct {
	*text.Words
	Links *shareLinks
}

// ShareWith joins the page's words and a campaign's links.
func (p *page) ShareWith(links *shareLinks) shareField { return shareField{p.Words, links} }

// check marks the preset that was sent.
func (f *formView) check(preset string) {
	for i := range f.Presets {
		f.Presets[i].Checked = strconv.FormatInt(f.Presets[i].Minor, 10) == preset
	}
}

// presetView is an amount to choose; Minor is what the form sends.
type presetView struct {
	Minor   int64
	Label   string
	Checked bool
}

// progressView draws the bar: widths and positions are in percent of the bar, which
// stands for the goal, or for what came in when that is more.
// Now is the settled share in whole percent, within 0 and 100.
type progressView struct {
	Label, Text, Raised, Goal, Percent, Pending string
	// Left says what is missing to the goal, or that it is reached.
	Left             string
	Now              int64
	Settled, Waiting string
	Ticks            []tickView
}

// tickView is a mark on the bar: the end of a stage, or the goal when more than that came in.
type tickView struct {
	At   string
	Goal bool
}

// stageView is a stage in one language. State is reached, current or upcoming.
type stageView struct {
	Number                int
	Title, TextLang, Cost string
	State, Remark, Spent  string
}

// lastDay says until when donations are accepted: the whole of that day, in the collective's zone.
func lastDay(w *text.Words, day string) string { return w.T("deadline", "date", w.Day(day)) }

// newCampaignView prints a campaign. The story is left to the caller that shows it.
func newCampaignView(w *text.Words, c *campaignsv1.Campaign) campaignView {
	collective, campaign := slugs(c.GetName())
	v := campaignView{
		Collective:     c.GetCollectiveDisplayName(),
		CollectivePath: "/c/" + collective,
		Path:           "/c/" + collective + "/" + campaign,
		TextLang:       textLanguage(w, c),
		Progress:       newProgressView(w, c),
		Stages:         newStageViews(w, c),
		Accepting:      c.GetAcceptingDonations(),
		Cards:          c.GetAcceptingCards(),
		Paused:         c.GetCardsPaused(),
	}
	v.Title = text.Typeset(v.TextLang, c.GetTexts()[v.TextLang].GetTitle())
	v.Event = newEventView(w, c)
	if at := slices.IndexFunc(v.Stages, func(s stageView) bool { return s.State == "current" }); at >= 0 {
		v.Next = &v.Stages[at]
	}
	switch {
	case v.Accepting:
		if d := c.GetDeadlineDate(); d != "" {
			v.Deadline = lastDay(w, d)
		}
	case c.GetCollectiveSuspended():
		v.Closed, v.Badge = w.T("suspended"), w.T("stateSuspended")
	case c.GetState() == campaignsv1.CampaignState_CAMPAIGN_STATE_PAUSED:
		v.Closed, v.Badge = w.T("paused"), w.T("statePaused")
	default:
		v.Closed, v.Badge = w.T("ended"), w.T("stateEnded")
	}
	for _, preset := range c.GetPresets() {
		v.Form.Presets = append(v.Form.Presets, presetView{Minor: preset.GetAmountMinor(), Label: w.Money(preset)})
	}
	v.Form.Minimum, v.Form.Maximum = w.Money(c.GetMinimum()), w.Money(c.GetMaximum())
	v.Form.Symbol = w.CurrencySymbol(c.GetGoal().GetCurrencyCode())
	v.Form.estimate(w, c)
	if c.GetSpent().GetAmountMinor() > 0 {
		v.Spent = w.T("spent", "amount", w.Money(c.GetSpent()))
	}
	return v
}

// estimate says what the fee may be, by the example of a middle preset. Without a script the page cannot compute
// it for what is typed; the payment page shows the whole before anything is charged.
func (f *formView) estimate(w *text.Words, c *campaignsv1.Campaign) {
	fee := c.GetFeeEstimate()
	if fee == nil {
		return
	}
	example := c.GetMinimum()
	if presets := c.GetPresets(); len(presets) > 0 {
		example = presets[len(presets)/2]
	}
	// all is the whole in hundredths of a percent. The fee is taken from the whole payment, so the payment is (amount +
	// fixed part) / (1 - rate), rounded up to the next minor unit.
	const all = 10_000
	left := all - int64(fee.GetBasisPoints())
	whole := ((example.GetAmountMinor()+fee.GetFixed().GetAmountMinor())*all + left - 1) / left
	f.FeeRate = w.Share(fee.GetBasisPoints()) + " + " + w.Money(fee.GetFixed())
	f.FeeExample = w.Money(example)
	f.FeeWhole = w.Money(&moneyv1.Money{CurrencyCode: example.GetCurrencyCode(), AmountMinor: whole})
}

// textLanguage is the reader's language where the campaign has it, else French.
func textLanguage(w *text.Words, c *campaignsv1.Campaign) string {
	if _, ok := c.GetTexts()[w.Lang]; ok {
		return w.Lang
	}
	return "fr"
}

func newProgressView(w *text.Words, c *campaignsv1.Campaign) progressView {
	goal := c.GetGoal().GetAmountMinor()
	settled := c.GetProgress().GetSettled().GetAmountMinor()
	// The bar has no width for a negative sum.
	pending := max(0, c.GetProgress().GetPending().GetAmountMinor())
	currency := c.GetGoal().GetCurrencyCode()
	print := func(minor int64) string {
		return w.Money(&moneyv1.Money{CurrencyCode: currency, AmountMinor: minor})
	}
	v := progressView{
		Label:   w.T("progressTitle"),
		Raised:  print(settled),
		Goal:    w.T("goal", "goal", print(goal)),
		Percent: w.Percent(settled, goal),
	}
	v.Text = w.T("progress", "amount", print(settled), "goal", print(goal), "percent", v.Percent)
	if pending > 0 {
		v.Pending = w.T("pending", "amount", print(pending))
		v.Text += " (" + v.Pending + ")"
	}
	switch {
	case goal <= 0:
	case settled >= goal && c.GetAcceptingDonations():
		v.Left = w.T("goalReachedOpen")
	case settled >= goal:
		v.Left = w.T("goalReached")
	case c.GetAcceptingDonations():
		v.Left = w.T("goalLeft", "amount", print(goal-max(0, settled)))
	}
	v.Now = min(100, max(0, text.Hundredths(settled, goal)))
	// At least one, so that nothing is divided by zero.
	scale := max(goal, settled+pending, 1)
	v.Settled, v.Waiting = percentOf(settled, scale), percentOf(pending, scale)
	var end int64
	for _, stage := range c.GetStages() {
		// A stage that ends with the bar needs no mark, and the goal has its own.
		if end += stage.GetAmount().GetAmountMinor(); end < scale && end != goal {
			v.Ticks = append(v.Ticks, tickView{At: percentOf(end, scale)})
		}
	}
	if goal < scale {
		v.Ticks = append(v.Ticks, tickView{At: percentOf(goal, scale), Goal: true})
	}
	return v
}

// newStageViews says of each stage whether what came in, spent in order, pays for it.
func newStageViews(w *text.Words, c *campaignsv1.Campaign) []stageView {
	settled := c.GetProgress().GetSettled().GetAmountMinor()
	var views []stageView
	// start and end are the sums of the stages before and with this one.
	var start int64
	for i, stage := range c.GetStages() {
		end := start + stage.GetAmount().GetAmountMinor()
		v := stageView{Number: i + 1, TextLang: w.Lang, Cost: w.Money(stage.GetAmount())}
		if _, ok := stage.GetTitles()[w.Lang]; !ok {
			v.TextLang = "fr"
		}
		v.Title = text.Typeset(v.TextLang, stage.GetTitles()[v.TextLang])
		switch {
		case settled >= end:
			v.State, v.Remark = "reached", w.T("reached")
		case settled >= start:
			v.State = "current"
			v.Remark = w.T("missing", "amount", w.Money(&moneyv1.Money{
				CurrencyCode: stage.GetAmount().GetCurrencyCode(),
				AmountMinor:  end - settled,
			}))
		default:
			v.State, v.Remark = "upcoming", w.T("upcoming")
		}
		if stage.GetSpent().GetAmountMinor() > 0 {
			v.Spent = w.T("stageSpent", "amount", w.Money(stage.GetSpent()))
		}
		views = append(views, v)
		start = end
	}
	return views
}

// percentOf writes a share for SVG, within 0 and 100, to a hundredth.
func percentOf(part, whole int64) string {
	part = min(max(part, 0), whole)
	// Half of a hundredth is rounded up. The parts are computed one by one, so that no product overflows.
	share := part/whole*100_00 + (part%whole*100_00+whole/2)/whole
	return fmt.Sprintf("%d.%02d", share/100, share%100)
}
