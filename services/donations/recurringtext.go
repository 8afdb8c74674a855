package donations

import (
	"embed"
	"encoding/json"
	"strings"
	"sync"

	"github.com/google/uuid"

	"github.com/cagnotte/cagnotte/services/money"
)

//go:embed texts.*.json
var textFiles embed.FS

// donorWords are the texts for donors in one language: on Stripe's page, and in mails about monthly donations.
type donorWords struct {
	language money.Language
	// Item is what Stripe's page sells where it must not name the campaign.
	Item string
	// OnceNote and Note are shown on Stripe's page, above the button, for a single and for a monthly donation.
	OnceNote, Note string
	// LinkSubject and LinkText are those of the mail with a link, StartSubject and StartText those of the mail at the start.
	// Names stand at a text's end alone, since locked screens show subjects and first lines.
	LinkSubject, LinkText   string
	StartSubject, StartText string
	// Names is what a mail ends with, unless the collective asks for discretion. {amount}, {campaign} and {collective} are filled in.
	Names string
}

// donorCatalogue reads the texts once. They are part of the program: one that cannot be read is a mistake that a test finds.
var donorCatalogue = sync.OnceValue(func() map[money.Language]donorWords {
	all := map[money.Language]donorWords{}
	for _, language := range money.Languages() {
		raw, err := textFiles.ReadFile("texts." + string(language) + ".json")
		if err != nil {
			panic(err)
		}
		words := donorWords{language: language}
		if err := json.Unmarshal(raw, &words); err != nil {
			panic("donations: texts." + string(language) + ".json: " + err.Error())
		}
		all[language] = words
	}
	return all
})

// wordsIn are the texts of a donor's language, in French for one that is not ours.
func wordsIn(locale string) donorWords {
	if words, ok := donorCatalogue()[money.Language(locale)]; ok {
		return words
	}
	return donorCatalogue()[money.French]
}

// pageNote is the text of a donation's payment page, above its button.
func pageNote(d Donation) string {
	if d.Recurring == uuid.Nil {
		return wordsIn(d.Locale).OnceNote
	}
	return wordsIn(d.Locale).Note
}

// linkMail is what the mail with a link says.
func linkMail(r Recurring, names mailNames, link string) (subject, text string) {
	words := wordsIn(r.Locale)
	return words.LinkSubject, words.fill(words.LinkText, r, names, link)
}

// startMail is what the mail at the start says. page is the address where a link can be asked for.
func startMail(r Recurring, names mailNames, page string) (subject, text string) {
	words := wordsIn(r.Locale)
	return words.StartSubject, words.fill(words.StartText, r, names, page)
}

// fill puts the link into the text, and the names at its end. One pass fills in all, so that a title cannot bring a
// placeholder of its own.
func (w donorWords) fill(text string, r Recurring, names mailNames, link string) string {
	if names != (mailNames{}) {
		text += w.Names
	}
	return strings.NewReplacer(
		"{link}", link, "{amount}", r.Amount.Format(w.language),
		"{campaign}", names.campaign, "{collective}", names.collective,
	).Replace(strings.TrimRight(text, "\n") + "\n")
}
