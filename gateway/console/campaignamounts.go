package console

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/cagnotte/cagnotte/gateway/text"
	campaignsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
	moneyv1 "github.com/cagnotte/cagnotte/proto/cagnotte/money/v1"
)

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
	fields := []field{
		{Name: "stage-id" + n, Kind: "hidden"},
		{Name: "stage-amount" + n, Label: "campaigns.stage.amount", Kind: "money", Required: true, Suffix: v.CurrencySymbol(c.GetGoal().GetCurrencyCode()), Path: path + ".amount"},
	}
	for _, lang := range stageLanguages(c) {
		fields = append(fields, field{
			Name: "stage-" + lang + n, Label: "campaigns.stage." + lang, Required: lang == "fr", Max: 120, Spellcheck: true, Path: fmt.Sprintf("%s.titles[%q]", path, lang),
		})
	}
	return fields
}

// stageLanguages are those in which stages are named: those of members, and those in which the campaign has texts or names.
func stageLanguages(c *campaignsv1.Campaign) (named []string) {
	for _, lang := range languages {
		named = append(named, lang)
		if slices.Contains(text.MemberLanguages, lang) || c.GetTexts()[lang] != nil {
			continue
		}
		if !slices.ContainsFunc(c.GetStages(), func(s *campaignsv1.Stage) bool { return s.GetTitles()[lang] != "" }) {
			named = named[:len(named)-1]
		}
	}
	return named
}

// stageParts are the beginnings of the names of a stage's fields.
var stageParts = func() []string {
	parts := []string{"stage-id-", "stage-amount-"}
	for _, lang := range languages {
		parts = append(parts, "stage-"+lang+"-")
	}
	return parts
}()

func campaignsAmountsForm(v *visit) error {
	c, err := campaignOf(v)
	if err != nil {
		return err
	}
	f := v.newForm(amountFields(v, c), "etag", c.GetEtag(), "stages", strconv.Itoa(len(c.GetStages())), "goal", v.FieldMoney(c.GetGoal()),
		"minimum", v.FieldMoney(c.GetMinimum()), "maximum", v.FieldMoney(c.GetMaximum()), "deadline", c.GetDeadlineDate())
	var presets []string
	for _, preset := range c.GetPresets() {
		presets = append(presets, v.FieldMoney(preset))
	}
	f.set("presets", strings.Join(presets, "; "))
	for i, stage := range c.GetStages() {
		f.fields = append(f.fields, stageFields(v, c, i)...)
		n := strconv.Itoa(i)
		f.set("stage-id-"+n, stage.GetId())
		f.set("stage-amount-"+n, v.FieldMoney(stage.GetAmount()))
		for _, lang := range stageLanguages(c) {
			f.set("stage-"+lang+"-"+n, stage.GetTitles()[lang])
		}
	}
	return campaignsShowAmounts(v, c, f, nil)
}

// stageRow is a stage in the form, with the buttons that move it.
type stageRow struct {
	Number, Count int
	Index         int
	First, Last   bool
	ID, Cost      *fieldView
	// Names are one a language.
	Names []*fieldView
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
		n := strconv.Itoa(i)
		row.ID, _ = f.Field("stage-id-" + n) // each is there
		row.Cost, _ = f.Field("stage-amount-" + n)
		for _, lang := range stageLanguages(c) {
			name, _ := f.Field("stage-" + lang + "-" + n)
			row.Names = append(row.Names, name)
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

// arranged is the field in which to go on after arrange: that of the stage which was added or moved.
func arranged(f *form, do string) string {
	verb, at, _ := strings.Cut(do, "-")
	i, _ := strconv.Atoi(at) // zero for add, which has none
	switch verb {
	case "add":
		i = stageCount(f) - 1
	case "up":
		i--
	case "down":
		i++
	case "remove":
		i = min(i, stageCount(f)-1)
	}
	return "stage-fr-" + strconv.Itoa(i)
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
		f.focus(arranged(f, do))
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
	presets, wrong := presetsOf(v, f.Value("presets"), currency)
	if sent.Presets = presets; wrong != "" {
		f.fail("presets", wrong)
	}
	slices.SortFunc(sent.Presets, func(a, b *moneyv1.Money) int { return int(a.GetAmountMinor() - b.GetAmountMinor()) })
	// The day that stands there already keeps the deadline to the second.
	switch day := f.day("deadline"); {
	case day != "" && day == c.GetDeadlineDate():
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
		stage := &campaignsv1.Stage{Id: f.Value("stage-id-" + n), Amount: f.money("stage-amount-"+n, currency), Titles: map[string]string{}}
		for _, lang := range stageLanguages(c) {
			if name := f.Value("stage-" + lang + "-" + n); name != "" || lang == "fr" {
				stage.Titles[lang] = name
			}
		}
		// The titles of other languages stay.
		for _, stored := range c.GetStages() {
			if stored.GetId() == stage.GetId() {
				for lang, title := range stored.GetTitles() {
					if !slices.Contains(stageLanguages(c), lang) {
						stage.Titles[lang] = title
					}
				}
			}
		}
		sent.Stages = append(sent.Stages, stage)
	}
	return sent
}

// betweenPresets is what stands between two amounts of a list: a semicolon, a comma with a space, or a new line. A comma
// without one is of decimals, and a space of thousands.
var betweenPresets = regexp.MustCompile(`[\s\p{Z}]*(?:;|,[\s\p{Z}]|\n)[\s\p{Z}]*`)

// presetsOf reads a list of amounts, such as "5; 20; 1 250". What stands alone with spaces in it, such as "20 100", may be one
// amount or several: where it can be read as both it is refused with both, else it is what it can be. Wrong says in words why
// the list is refused; empty when it is not.
func presetsOf(v *visit, typed, currency string) (amounts []*moneyv1.Money, wrong string) {
	read := func(parts []string) (read []*moneyv1.Money, err error) {
		for _, part := range parts {
			amount, err := text.ParseMoney(part, currency)
			if err != nil {
				return nil, err
			}
			read = append(read, amount)
		}
		return read, nil
	}
	parts := slices.DeleteFunc(betweenPresets.Split(strings.TrimSpace(typed), -1), func(part string) bool { return part == "" })
	amounts, err := read(parts)
	if len(parts) == 1 {
		several, severalErr := read(strings.Fields(parts[0]))
		switch {
		case severalErr != nil || len(several) < 2:
		case err != nil:
			return several, ""
		default:
			said := make([]string, len(several))
			for i, amount := range several {
				said[i] = v.Money(amount)
			}
			return nil, v.T("campaigns.presetsAmbiguous", "one", v.Money(amounts[0]), "several", strings.Join(said, v.T("campaigns.presetsAnd")))
		}
	}
	switch {
	case errors.Is(err, text.ErrAmbiguous):
		return nil, v.T("shell.amountAmbiguous")
	case err != nil:
		return nil, v.T("campaigns.presetsWrong")
	}
	return amounts, ""
}
