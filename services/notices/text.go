package notices

import (
	"cmp"
	"embed"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/cagnotte/cagnotte/services/money"
)

//go:embed texts.*.json
var catalogueFiles embed.FS

// catalogues reads the catalogues once. They are part of the program: one that cannot be read is a mistake
// that a test finds.
var catalogues = sync.OnceValue(func() map[money.Language]map[string]string {
	all := map[money.Language]map[string]string{}
	for _, language := range []money.Language{money.French, money.English} {
		raw, err := catalogueFiles.ReadFile("texts." + string(language) + ".json")
		if err != nil {
			panic(err)
		}
		texts := map[string]string{}
		if err := json.Unmarshal(raw, &texts); err != nil {
			panic("notices: texts." + string(language) + ".json: " + err.Error())
		}
		all[language] = texts
	}
	return all
})

// allKinds are those that have texts, which a test holds to be all.
func allKinds() (all []Kind) {
	for key := range catalogues()[money.French] {
		if kind, ok := strings.CutSuffix(key, ".subject"); ok {
			all = append(all, Kind(kind))
		}
	}
	return all
}

// reader is for whom a notice is written.
type reader struct {
	// name is the collective's; empty for the operator.
	name     string
	language money.Language
	location *time.Location
	// operator: it is the operator who reads.
	operator bool
	// publicURL is where the pages are; empty when that is not known.
	publicURL string
}

// write says a notice in its reader's language. It says no more than the notice holds.
func (n Notice) write(to reader) (subject, text string) {
	texts := catalogues()[to.language]
	say := func(key string, values ...string) string { return strings.NewReplacer(values...).Replace(texts[key]) }
	who, footer := to.name, texts["footer"]
	if n.Collective == "" {
		who = texts["operator"]
	}
	if n.Collective == "" || to.operator {
		footer = texts["operatorFooter"]
	}
	what, text := n.texts(to.language)
	subject = say("subject", "{collective}", who, "{what}", what)
	facts := []string{}
	if n.Change != nil {
		facts = append(facts, n.changeFacts(to, texts, say)...)
	}
	if n.Amount.Currency != "" {
		facts = append(facts, say("amount", "{amount}", n.Amount.Format(to.language)))
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
	address := n.address(to.publicURL)
	// The page leads to what the notice is about; a resource's name is for who has no page.
	if n.Subject != "" && address == n.Name() {
		facts = append(facts, say("about", "{subject}", n.Subject))
	}
	facts = append(facts, say("notice", "{notice}", address))
	return subject, text + "\n\n" + strings.Join(facts, "\n") + "\n\n-- \n" + footer + "\n"
}

// address is the page of the console where the notice is read and leads on; its name when there is no page for it.
func (n Notice) address(publicURL string) string {
	if publicURL == "" || n.Collective == "" {
		return n.Name()
	}
	return strings.TrimRight(publicURL, "/") + "/console/c/" + n.Collective + "/notices/" + n.ID.String()
}

// said returns what happened and what can be done, in a language.
func (n Notice) said(language money.Language) (title, text string) {
	subject, text := n.texts(language)
	first, size := utf8.DecodeRuneInString(subject)
	return string(unicode.ToUpper(first)) + subject[size:], text
}

// texts returns the subject and the text of the notice's kind. A kind can have others for the instance, which is no
// collective.
func (n Notice) texts(language money.Language) (subject, text string) {
	texts := catalogues()[language]
	if n.Collective == "" {
		subject, text = texts[string(n.Kind)+".siteSubject"], texts[string(n.Kind)+".siteText"]
	}
	figures := []string{}
	for i, count := range n.Counts {
		figures = append(figures, "{"+strconv.Itoa(i+1)+"}", strconv.FormatInt(count, 10))
	}
	text = strings.NewReplacer(figures...).Replace(cmp.Or(text, texts[string(n.Kind)+".text"]))
	return cmp.Or(subject, texts[string(n.Kind)+".subject"]), text
}

// changeFacts are who changed something, and from what to what. The names of the instance's keys are the operator's.
func (n Notice) changeFacts(to reader, texts map[string]string, say func(key string, values ...string) string) []string {
	c := *n.Change
	by := texts["theOperator"]
	if c.Actor != "" && (!c.Operator || to.operator) {
		by = c.DisplayName
		if !strings.HasPrefix(c.Actor, "members/") {
			by = say("key", "{label}", c.DisplayName)
		}
	}
	facts := []string{say("by", "{by}", by)}
	if n.Kind == OnboardingStarted {
		return facts
	}
	value := func(v string) string {
		switch {
		case v != "" && n.labelled():
			role, label, _ := strings.Cut(v, " ")
			return say("labelled", "{label}", label, "{role}", texts["role_"+role])
		case n.Kind == TwoPersonRuleWaits || n.Kind == TwoPersonRuleChanged:
			return cmp.Or(texts["mode_"+v], texts["none"])
		case v != "" && (n.Kind == RefundApprovalWaits || n.Kind == RefundApprovalChanged):
			return limitText(v, to.language, texts)
		case v != "":
			return v
		case n.Kind == StripeAccountChanged:
			return texts["platformAccount"]
		}
		return texts["none"]
	}
	if !slices.Contains([]Kind{KeyCreated, KeyWaits, KeyApproved, MemberInvited, MemberJoined, MemberEmailChanged, InvitationWaits}, n.Kind) {
		facts = append(facts, say("before", "{before}", value(c.Before)))
	}
	if n.Kind != KeyRevoked && n.Kind != MemberLeft && n.Kind != ChangeDropped {
		facts = append(facts, say("after", "{after}", value(c.After)))
	}
	return facts
}

// limitText writes the limit of refunds, such as "50.00 EUR", as people read it. A limit of zero is about all refunds.
func limitText(value string, language money.Language, texts map[string]string) string {
	amount, currency, _ := strings.Cut(value, " ")
	limit, err := money.Parse(amount, money.Currency(currency))
	switch {
	case err != nil:
		return value
	case limit.Minor == 0:
		return texts["all_refunds"]
	}
	return limit.Format(language)
}

// labelled reports whether the change is of a role with its label: "treasurer Laptop".
func (n Notice) labelled() bool {
	return slices.Contains([]Kind{
		KeyCreated, KeyRevoked, MemberInvited, MemberJoined, MemberRoleChanged, MemberLeft, MemberEmailChanged, KeyWaits, KeyApproved, InvitationWaits,
		MemberRoleWaits,
	}, n.Kind)
}
