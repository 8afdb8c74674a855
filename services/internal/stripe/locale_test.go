package stripe

import (
	"testing"

	"github.com/cagnotte/cagnotte/services/money"
)

func TestEachLanguageHasALocaleOfStripe(t *testing.T) {
	for _, language := range money.Languages() {
		if _, ok := locales[language]; !ok {
			t.Errorf("%s has none", language)
		}
	}
	for language, want := range map[string]string{"oc": "fr", "br": "fr", "es": "es", "de": "de", "en": "en", "": "fr", "xx": "fr"} {
		if got := localeOf(language); got != want {
			t.Errorf("%q: %q, want %q", language, got, want)
		}
	}
}
