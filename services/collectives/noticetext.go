package collectives

import (
	"embed"
	"encoding/json"
	"strings"
	"sync"
	"time"

	"github.com/cagnotte/cagnotte/services/money"
)

// The languages in which members are written to.
const (
	// French is the language of a collective that names none.
	French = "fr"
	// English is also the operator's, as that of logs and settings.
	English = "en"
)

//go:embed notices.*.json
var noticeFiles embed.FS

// noticeTexts reads the catalogues once. They are part of the program: one that cannot be read is a mistake
// that a test finds.
var noticeTexts = sync.OnceValue(func() map[string]map[string]string {
	all := map[string]map[string]string{}
	for _, language := range []string{French, English} {
		raw, err := noticeFiles.ReadFile("notices." + language + ".json")
		if err != nil {
			panic(err)
		}
		texts := map[string]string{}
		if err := json.Unmarshal(raw, &texts); err != nil {
			panic("collectives: notices." + language + ".json: " + err.Error())
		}
		all[language] = texts
	}
	return all
})

// noticeKinds are those that have texts, which a test holds to be all.
func noticeKinds() (all []NoticeKind) {
	for key := range noticeTexts()[French] {
		if kind, ok := strings.CutSuffix(key, ".subject"); ok {
			all = append(all, NoticeKind(kind))
		}
	}
	return all
}

// reader is for whom a notice is written.
type reader struct {
	// name is the collective's; empty for the operator.
	name     string
	language string
	location *time.Location
}

// write says a notice in its reader's language. It says no more than the notice holds.
func (n Notice) write(to reader) (subject, text string) {
	texts := noticeTexts()[to.language]
	say := func(key string, values ...string) string { return strings.NewReplacer(values...).Replace(texts[key]) }
	who, footer := to.name, texts["footer"]
	if n.Collective == "" {
		who, footer = texts["operator"], texts["operatorFooter"]
	}
	subject = say("subject", "{collective}", who, "{what}", texts[string(n.Kind)+".subject"])
	facts := []string{}
	if n.Amount.Currency != "" {
		facts = append(facts, say("amount", "{amount}", n.Amount.Format(money.Language(to.language))))
	}
	if len(n.Transactions) > 0 {
		facts = append(facts, say("transactions", "{transactions}", strings.Join(n.Transactions, ", ")))
	}
	if !n.Deadline.IsZero() {
		// One form for all languages, in which no month can be taken for a day.
		facts = append(facts, say("deadline", "{deadline}", n.Deadline.In(to.location).Format("2006-01-02 15:04"), "{zone}", to.location.String()))
	}
	if !n.Since.IsZero() {
		facts = append(facts, say("since", "{since}", n.Since.In(to.location).Format(time.DateOnly)))
	}
	if n.Subject != "" {
		facts = append(facts, say("about", "{subject}", n.Subject))
	}
	facts = append(facts, say("notice", "{notice}", n.Name()))
	return subject, texts[string(n.Kind)+".text"] + "\n\n" + strings.Join(facts, "\n") + "\n\n-- \n" + footer + "\n"
}
