package donations

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/cagnotte/cagnotte/services/money"
)

func TestTextsForDonorsAreCompleteInEachLanguage(t *testing.T) {
	// Stripe cuts custom texts at 1,200 characters.
	const maxNote = 1200
	placeholder := regexp.MustCompile(`\{\w+\}`)
	read := func(language money.Language) map[string]string {
		raw, err := textFiles.ReadFile("texts." + string(language) + ".json")
		if err != nil {
			t.Fatal(err)
		}
		var texts map[string]string
		if err := json.Unmarshal(raw, &texts); err != nil {
			t.Fatal(err)
		}
		return texts
	}
	french := read(money.French)
	for _, language := range money.Languages() {
		texts := read(language)
		if got, want := slices.Sorted(maps.Keys(texts)), slices.Sorted(maps.Keys(french)); !slices.Equal(got, want) {
			t.Errorf("%s has the texts %v, want %v", language, got, want)
		}
		for key, text := range texts {
			got, want := placeholder.FindAllString(text, -1), placeholder.FindAllString(french[key], -1)
			slices.Sort(got)
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Errorf("%s: %s has the placeholders %v, want %v", language, key, got, want)
			}
			if strings.TrimSpace(text) == "" || language != money.French && text == french[key] {
				t.Errorf("%s: %s says %q", language, key, text)
			}
		}
		for _, note := range []string{texts["note"], texts["onceNote"]} {
			if len([]rune(note)) > maxNote {
				t.Errorf("%s: Stripe takes no note of %d characters", language, len([]rune(note)))
			}
		}
		r := Recurring{ID: uuid.New(), Locale: string(language), Amount: money.Amount{Minor: 5_00, Currency: money.EUR}}
		for name, write := range map[string]func(Recurring, mailNames, string) (string, string){"link": linkMail, "start": startMail} {
			subject, text := write(r, mailNames{collective: "Vallon", campaign: "Une avocate"}, "https://dons.example/x")
			if strings.Contains(subject+text, "{") || !strings.Contains(text, r.Amount.Format(language)) || !strings.Contains(text, "\nhttps://dons.example/x\n") {
				t.Errorf("%s: the mail of the %s says %q", language, name, text)
			}
		}
	}
	if subject, _ := linkMail(Recurring{Locale: "xx"}, mailNames{}, ""); subject != french["linkSubject"] {
		t.Errorf("in another language the subject is %q", subject)
	}
}

// Stripe's page says, before anything is paid, that a monthly donation ends with its campaign.
func TestStripesPageSaysThatCampaignsEndMonthlyDonations(t *testing.T) {
	e := newEnv(t)
	for locale, words := range map[string]string{
		"fr": "Si la collecte se termine, votre don mensuel s’arrête de lui-même à la fin du mois déjà payé.",
		"en": "If the campaign ends, your monthly donation stops by itself at the end of the month already paid.",
	} {
		in := intent()
		in.Monthly, in.Locale = true, locale
		e.create(in)
		said := ""
		for _, r := range e.sim.Requests() {
			if r.Method != http.MethodPost || r.Path != "/v1/checkout/sessions" {
				continue
			}
			form, err := url.ParseQuery(string(r.Body))
			if err != nil {
				t.Fatal(err)
			}
			said = form.Get("custom_text[submit][message]") // of the latest
		}
		if !strings.Contains(said, words) {
			t.Errorf("in %s the page says %q", locale, said)
		}
	}
}
