package console

import (
	"fmt"
	"maps"
	"strings"

	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/cagnotte/cagnotte/gateway/text"
	campaignsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
)

// textFields are the texts in all languages.
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
	// Folds: it is the first of the languages that most texts have none of, which are folded together; Open unfolds them.
	Folds, Open bool
}

// byLanguage sorts the fields of a form, whose names end in a language.
func byLanguage(v *visit, f *form) (columns []languageFields) {
	folded, open := len(text.MemberLanguages), false
	for i, lang := range languages {
		column := languageFields{Name: v.T("campaigns.language." + lang), Lang: lang, Folds: i == folded}
		for _, field := range f.Fields() {
			if strings.HasSuffix(field.Name, "-"+lang) {
				column.Fields = append(column.Fields, field)
				open = open || i >= folded && (field.Value != "" || field.Error != "")
			}
		}
		columns = append(columns, column)
	}
	columns[folded].Open = open
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
		if lang != "fr" && text.GetTitle() == "" && strings.TrimSpace(text.GetStory()+text.GetThankYou()+text.GetImageAlt()) == "" {
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
