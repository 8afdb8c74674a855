package console

import (
	"fmt"
	"net/http"
	"strings"

	"google.golang.org/protobuf/types/known/fieldmaskpb"

	campaignsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
)

// newsSection has the news of campaigns.
func newsSection() section {
	const all, one = "/console/c/{collective}/news", "/console/c/{collective}/news/{campaign}"
	return section{
		name: "news",
		routes: []route{
			{pattern: "GET " + all, serve: newsChoose},
			{pattern: "GET " + one, serve: newsList},
			{pattern: "GET " + one + "/new", serve: newsNewForm, roles: writers},
			{pattern: "POST " + one + "/new", serve: newsNew, roles: writers, body: maxCampaignForm},
			{pattern: "GET " + one + "/items/{item}", serve: newsItem},
			{pattern: "GET " + one + "/items/{item}/edit", serve: newsEditForm, roles: writers},
			{pattern: "POST " + one + "/items/{item}/edit", serve: newsEdit, roles: writers, body: maxCampaignForm},
			{pattern: "POST " + one + "/items/{item}/publish", serve: newsPublish, roles: writers},
			{pattern: "GET " + one + "/items/{item}/withdraw", serve: newsWithdrawForm, roles: writers},
			{pattern: "POST " + one + "/items/{item}/withdraw", serve: newsWithdraw, roles: writers},
			{pattern: "GET " + one + "/items/{item}/delete", serve: newsDeleteForm, roles: writers},
			{pattern: "POST " + one + "/items/{item}/delete", serve: newsDelete, roles: writers},
		},
	}
}

func (v *visit) news() campaignsv1.NewsServiceClient { return campaignsv1.NewNewsServiceClient(v.Conn) }

func newsChoose(v *visit) error { return chooseCampaign(v, "news") }

// newsBase is the address of a campaign's news.
func newsBase(v *visit) string { return v.path("/news/" + v.r.PathValue("campaign")) }

// newsName is that of the item in the address.
func newsName(v *visit) string { return campaignName(v) + "/news/" + v.r.PathValue("item") }

// newsRow is an item in a list, or on its own page.
type newsRow struct {
	Title, Text, TextLang, Path, Badge, Tone, Time string
}

func newNewsRow(v *visit, n *campaignsv1.NewsItem) (newsRow, error) {
	zone, err := v.zone()
	if err != nil {
		return newsRow{}, err
	}
	row := newsRow{Path: newsBase(v) + "/items/" + lastOf(n.GetName()), Badge: v.T("news." + n.GetState().String()), TextLang: "fr"}
	if n.GetTexts()[v.Lang] != nil {
		row.TextLang = v.Lang
	}
	text := n.GetTexts()[row.TextLang]
	row.Title, row.Text = text.GetTitle(), text.GetText()
	switch n.GetState() {
	case campaignsv1.NewsState_NEWS_STATE_PUBLISHED:
		row.Tone = "good"
	case campaignsv1.NewsState_NEWS_STATE_WITHDRAWN:
		row.Tone = "warn"
	}
	at := n.GetPublishTime()
	if at == nil {
		at = n.GetCreateTime()
	}
	row.Time = v.DateTime(at.AsTime(), zone)
	return row, nil
}

type newsPage struct {
	Up            link
	Campaign, New string
	Rows          []newsRow
	Pager         pager
}

func newsList(v *visit) error {
	c, err := campaignOf(v)
	if err != nil {
		return err
	}
	list, err := v.news().ListNewsItems(v.ctx(), &campaignsv1.ListNewsItemsRequest{Parent: c.GetName(), PageToken: v.pageToken()})
	if err != nil {
		return err
	}
	p := newsPage{Up: link{v.path("/news"), v.T("news.title")}, Campaign: campaignTitle(v, c), Pager: v.pager(list.GetNextPageToken())}
	if v.can(writers...) {
		p.New = newsBase(v) + "/new"
	}
	for _, n := range list.GetNewsItems() {
		row, err := newNewsRow(v, n)
		if err != nil {
			return err
		}
		p.Rows = append(p.Rows, row)
	}
	return v.show("news/list", v.T("news.of", "campaign", p.Campaign), p)
}

// newsFields are the texts in all languages.
func newsFields() []field {
	fields := []field{{Name: "etag", Kind: "hidden"}}
	for _, lang := range languages {
		path := fmt.Sprintf("news_item.texts[%q]", lang)
		fields = append(fields,
			field{Name: "title-" + lang, Label: "news.itemTitle", Required: lang == "fr", Max: 120, Spellcheck: true, Path: path + ".title"},
			field{Name: "text-" + lang, Label: "news.itemText", Kind: "textarea", Rows: 10, Max: 10_000, Spellcheck: true, Path: path + ".text"},
		)
	}
	return fields
}

// newsForm is the page on which an item is written.
type newsForm struct {
	Form    *form
	Columns []languageFields
	Button  string
	Replace string
	Back    string
}

func newsShowForm(v *visit, f *form, title, button, back, replace string) error {
	p := newsForm{Form: f, Columns: byLanguage(v, f), Button: button, Back: back, Replace: replace}
	if f.failed() {
		return v.refuse("news/form", title, p)
	}
	return v.show("news/form", title, p)
}

// newsTexts are the texts of the form, and those of other languages that the item has.
func newsTexts(f *form, n *campaignsv1.NewsItem) map[string]*campaignsv1.NewsText {
	texts := map[string]*campaignsv1.NewsText{}
	for lang, text := range n.GetTexts() {
		texts[lang] = text
	}
	for _, lang := range languages {
		texts[lang] = &campaignsv1.NewsText{Title: f.Value("title-" + lang), Text: f.lines("text-" + lang)}
		if lang != "fr" && texts[lang].GetTitle() == "" && strings.TrimSpace(texts[lang].GetText()) == "" {
			delete(texts, lang)
		}
	}
	return texts
}

func newsNewForm(v *visit) error {
	return newsShowForm(v, v.newForm(newsFields()), v.T("news.new"), v.T("news.create"), newsBase(v), "")
}

func newsNew(v *visit) error {
	f, err := v.readForm(newsFields())
	if err != nil {
		return err
	}
	if !f.failed() {
		n, err := v.news().CreateNewsItem(v.ctx(), &campaignsv1.CreateNewsItemRequest{
			Parent: campaignName(v), NewsItem: &campaignsv1.NewsItem{Texts: newsTexts(f, nil)}, RequestId: f.RequestID,
		})
		if err == nil {
			return v.done("news.created", newsBase(v)+"/items/"+lastOf(n.GetName()))
		}
		if !f.refused(v, err) {
			return err
		}
	}
	return newsShowForm(v, f, v.T("news.new"), v.T("news.create"), newsBase(v), "")
}

// newsItemPage is one item as it will be read, with what can be done with it.
type newsItemPage struct {
	newsRow
	HTML    any
	Form    *form
	Actions []overviewAction
	// Publish is where the item is published; empty when it is.
	Publish string
	Back    string
}

func newsItemOf(v *visit) (*campaignsv1.NewsItem, error) {
	return v.news().GetNewsItem(v.ctx(), &campaignsv1.GetNewsItemRequest{Name: newsName(v)})
}

func newsItem(v *visit) error { return newsShowItem(v, v.newForm(publishFields)) }

func newsShowItem(v *visit, f *form) error {
	n, err := newsItemOf(v)
	if err != nil {
		return err
	}
	row, err := newNewsRow(v, n)
	if err != nil {
		return err
	}
	f.set("etag", n.GetEtag())
	p := newsItemPage{newsRow: row, HTML: v.stories.Render(row.TextLang, row.Text), Form: f, Back: newsBase(v)}
	if v.can(writers...) {
		p.Actions = append(p.Actions, overviewAction{Label: v.T("news.edit"), Path: row.Path + "/edit"})
		if n.GetState() == campaignsv1.NewsState_NEWS_STATE_PUBLISHED {
			p.Actions = append(p.Actions, overviewAction{Label: v.T("news.withdraw"), Path: row.Path + "/withdraw"})
		} else {
			p.Publish = row.Path + "/publish"
			p.Actions = append(p.Actions, overviewAction{Label: v.T("news.delete"), Path: row.Path + "/delete", Danger: true})
		}
	}
	code := http.StatusOK
	if f.failed() {
		code = http.StatusUnprocessableEntity
	}
	return v.render(code, "news/item", row.Title, p)
}

func newsEditForm(v *visit) error {
	n, err := newsItemOf(v)
	if err != nil {
		return err
	}
	f := v.newForm(newsFields(), "etag", n.GetEtag())
	for _, lang := range languages {
		f.set("title-"+lang, n.GetTexts()[lang].GetTitle())
		f.set("text-"+lang, n.GetTexts()[lang].GetText())
	}
	return newsShowForm(v, f, v.T("news.title.edit"), v.T("campaigns.save"), newsBase(v)+"/items/"+v.r.PathValue("item"), "")
}

func newsEdit(v *visit) error {
	n, err := newsItemOf(v)
	if err != nil {
		return err
	}
	f, err := v.readForm(newsFields())
	if err != nil {
		return err
	}
	back, replace := newsBase(v)+"/items/"+v.r.PathValue("item"), ""
	if !f.failed() {
		_, err := v.news().UpdateNewsItem(v.ctx(), &campaignsv1.UpdateNewsItemRequest{
			NewsItem:   &campaignsv1.NewsItem{Name: n.GetName(), Texts: newsTexts(f, n), Etag: etagOf(f)},
			UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"texts"}},
		})
		if err == nil {
			return v.done("news.saved", back)
		}
		if !f.refused(v, err) {
			return err
		}
		if changed(err) {
			f.Message, replace = v.T("news.changed"), n.GetEtag()
		}
	}
	return newsShowForm(v, f, v.T("news.title.edit"), v.T("campaigns.save"), back, replace)
}

func newsPublish(v *visit) error {
	f, err := v.readForm(publishFields)
	if err != nil {
		return err
	}
	if _, err = v.news().PublishNewsItem(v.ctx(), &campaignsv1.PublishNewsItemRequest{Name: newsName(v), Etag: f.Value("etag")}); err == nil {
		return v.done("news.published", newsBase(v)+"/items/"+v.r.PathValue("item"))
	}
	if !f.refused(v, err) {
		return err
	}
	if changed(err) {
		f.Message = v.T("news.changedPublish")
	}
	return newsShowItem(v, f)
}

// newsConfirm is the page before an item is withdrawn or deleted.
func newsConfirm(v *visit, f *form, verb string, danger bool) error {
	n, err := newsItemOf(v)
	if err != nil {
		return err
	}
	row, err := newNewsRow(v, n)
	if err != nil {
		return err
	}
	f.set("etag", n.GetEtag())
	return v.confirm(v.T("news.title."+verb), confirmation{
		Lead: v.T("news.lead."+verb, "title", row.Title), Points: []string{v.T("news.point." + verb)}, Form: f, Danger: danger,
		Button: v.T("news." + verb), Back: row.Path,
	})
}

func newsWithdrawForm(v *visit) error { return newsConfirm(v, v.newForm(nil), "withdraw", false) }

func newsWithdraw(v *visit) error {
	f, err := v.readForm(nil)
	if err != nil {
		return err
	}
	if _, err = v.news().WithdrawNewsItem(v.ctx(), &campaignsv1.WithdrawNewsItemRequest{Name: newsName(v)}); err == nil {
		return v.done("news.withdrawn", newsBase(v)+"/items/"+v.r.PathValue("item"))
	}
	if !f.refused(v, err) {
		return err
	}
	return newsConfirm(v, f, "withdraw", false)
}

func newsDeleteForm(v *visit) error { return newsConfirm(v, v.newForm(deleteFields), "delete", true) }

func newsDelete(v *visit) error {
	f, err := v.readForm(deleteFields)
	if err != nil {
		return err
	}
	_, err = v.news().DeleteNewsItem(v.ctx(), &campaignsv1.DeleteNewsItemRequest{Name: newsName(v), Etag: f.Value("etag")})
	// It is gone when the form is sent twice.
	if err == nil || isNotFound(err) {
		return v.done("news.deleted", newsBase(v))
	}
	if !f.refused(v, err) {
		return err
	}
	return newsConfirm(v, f, "delete", true)
}
