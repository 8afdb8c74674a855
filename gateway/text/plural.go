package text

import (
	"golang.org/x/text/feature/plural"
	"golang.org/x/text/language"
)

// pluralForms are the forms of each language, sorted. Those of millions alone, which French and Spanish have in CLDR, are left
// out: nothing of ours is counted in millions of words.
var pluralForms = map[string][]string{
	"fr": {"one", "other"},
	"en": {"one", "other"},
	"oc": {"one", "other"},
	"br": {"few", "many", "one", "other", "two"},
	"es": {"one", "other"},
	"de": {"one", "other"},
}

// pluralRules are the languages of CLDR whose rules ours follow. It has none for Occitan, which counts as French: nothing and
// one are singular.
var pluralRules = map[string]language.Tag{
	"fr": language.French,
	"en": language.English,
	"oc": language.French,
	"br": language.Make("br"),
	"es": language.Spanish,
	"de": language.German,
}

var formNames = map[plural.Form]string{plural.One: "one", plural.Two: "two", plural.Few: "few", plural.Many: "many", plural.Other: "other"}

// pluralForm is the form that a language has for a whole number.
func pluralForm(lang string, n int64) string {
	const million = 1_000_000
	if n < 0 {
		n = -(n % (10 * million)) // what is below zero is a small number
	}
	// The rules look at a small number whole, and at the last six digits of a large one; the package takes seven.
	if n >= million {
		n = million + n%million
	}
	return formNames[plural.Cardinal.MatchPlural(pluralRules[lang], int(n), 0, 0, 0, 0)]
}
