package text

import (
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/text/feature/plural"
)

// Every table of this package that has a row for each language has it for all.
func TestEachLanguageHasItsRows(t *testing.T) {
	for _, lang := range Languages {
		if LanguageName(lang) == "" || pluralForms[lang] == nil || calendars[lang].date == "" || calendars[lang].short == "" {
			t.Errorf("%s has no name, plural or calendar", lang)
		}
		if months := Months(lang); len(months) != 12 || slices.Contains(months, "") {
			t.Errorf("%s has the months %q", lang, months)
		}
		// The rules can choose no form that the catalogues lack.
		for n := range int64(1000) {
			if form := pluralForm(lang, n); !slices.Contains(pluralForms[lang], form) {
				t.Errorf("%s has no form %q, of %d", lang, form, n)
			}
		}
	}
	for _, lang := range MemberLanguages {
		if !slices.Contains(Languages, lang) {
			t.Errorf("members read %s, and donors do not", lang)
		}
	}
}

func TestPlurals(t *testing.T) {
	for lang, forms := range map[string]map[int64]string{
		"fr": {0: "one", 1: "one", 2: "other", 20_000_001: "other", 10_000_000: "other"},
		"en": {0: "other", 1: "one", 2: "other", 21: "other", 20_000_001: "other", -1: "one"},
		"oc": {0: "one", 1: "one", 2: "other"},
		"es": {0: "other", 1: "one", 2: "other", 11: "other"},
		"de": {0: "other", 1: "one", 2: "other", 101: "other"},
		"br": {
			0: "other", 1: "one", 2: "two", 3: "few", 4: "few", 5: "other", 9: "few", 11: "other", 13: "other", 21: "one", 22: "two", 29: "few", 71: "other",
			72: "other", 79: "other", 91: "other", 101: "one", 1_000_000: "many", 20_000_000: "many", 1_000_001: "one", 30_000_004: "few",
		},
	} {
		for n, want := range forms {
			if got := pluralForm(lang, n); got != want {
				t.Errorf("%d in %s: %s, want %s", n, lang, got, want)
			}
		}
	}
	if len(formNames) != 5 || formNames[plural.Other] != "other" {
		t.Errorf("the names are %v", formNames)
	}
}

// In these texts _ is a no-break space.
func TestDays(t *testing.T) {
	first, last := time.Date(2026, 4, 1, 14, 5, 0, 0, time.UTC), time.Date(2026, 10, 31, 14, 5, 0, 0, time.UTC)
	for lang, want := range map[string][]string{
		"fr": {"1er_avril 2026", "31_octobre 2026 à_14:05", "octobre 2026", "31/10/2026"},
		"en": {"1_April 2026", "31_October 2026, 14:05", "October 2026", "31/10/2026"},
		"oc": {"1èr_d’abril de 2026", "31_d’octobre de 2026 a_14:05", "octobre de 2026", "31/10/2026"},
		"br": {"1añ_Ebrel 2026", "31_Here 2026 da_14:05", "Here 2026", "31/10/2026"},
		"es": {"1_de abril de 2026", "31_de octubre de 2026, 14:05", "octubre de 2026", "31/10/2026"},
		"de": {"1._April 2026", "31._Oktober 2026, 14:05_Uhr", "Oktober 2026", "31.10.2026"},
	} {
		w := &Words{Lang: lang}
		for i, got := range []string{w.Date(first), w.DateTime(last, time.UTC), w.Month(last), w.ShortDay(last)} {
			if got = strings.ReplaceAll(got, "\u00a0", "_"); got != want[i] {
				t.Errorf("%s: %q, want %q", lang, got, want[i])
			}
		}
	}
}

func TestChosenLanguages(t *testing.T) {
	all := []string{"fr", "en", "oc", "br", "es", "de"}
	for header, want := range map[string]string{
		"": "fr", "de-AT,de;q=0.9,en;q=0.8": "de", "br;q=0.9, fr;q=0.8": "br", "ca, es;q=0.5": "es", "oc-FR": "oc", "it, nl": "fr", "fr;q=0.2, de;q=0.3": "de",
		"en, de": "en", "DE": "de",
	} {
		if got := PreferredLanguage(header, all); got != want {
			t.Errorf("%q: %s, want %s", header, got, want)
		}
	}
	if got := PreferredLanguage("de, en;q=0.5", MemberLanguages); got != "en" {
		t.Errorf("a member who reads German gets %s", got)
	}
	for query, want := range map[string]string{"?lang=es": "es", "?lang=xx": "", "": "", "?lang=ES": ""} {
		if got := ExplicitLanguage(httptest.NewRequest("GET", "/c/a/b"+query, nil), all); got != want {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
	}
}
