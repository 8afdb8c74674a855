package pages

import (
	"bytes"
	"io/fs"
	"maps"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	moneyv1 "github.com/cagnotte/cagnotte/proto/cagnotte/money/v1"
)

func TestCatalogues(t *testing.T) {
	all, err := loadCatalogues()
	if err != nil {
		t.Fatal(err)
	}
	french := all["fr"].sentences
	used := regexp.MustCompile(`\{\w+\}`)
	for _, lang := range languages[1:] {
		other := all[lang].sentences
		if diff := cmp.Diff(slices.Sorted(maps.Keys(french)), slices.Sorted(maps.Keys(other))); diff != "" {
			t.Errorf("fr and %s have other keys:\n%s", lang, diff)
		}
		for key, text := range french {
			mine, theirs := used.FindAllString(text, -1), used.FindAllString(other[key], -1)
			slices.Sort(mine)
			slices.Sort(theirs)
			if !slices.Equal(mine, theirs) {
				t.Errorf("%s: fr has %v, %s has %v", key, mine, lang, theirs)
			}
		}
	}
	t.Run("French puts a no-break space before high punctuation", func(t *testing.T) {
		for key, text := range french {
			if regexp.MustCompile(`[^\x{00a0}\x{202f}][!?;:»]|«[^\x{00a0}\x{202f}]`).MatchString(text) {
				t.Errorf("%s: %q", key, text)
			}
		}
	})
	t.Run("every sentence that a template asks for exists", func(t *testing.T) {
		asked := regexp.MustCompile(`\.T "(\w+)"`)
		paths, err := fs.Glob(files, "templates/*.html")
		if err != nil || len(paths) == 0 {
			t.Fatalf("%v: %v", paths, err)
		}
		for _, path := range paths {
			text, err := files.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range asked.FindAllSubmatch(text, -1) {
				if _, ok := french[string(m[1])]; !ok {
					t.Errorf("%s asks for %s", path, m[1])
				}
			}
			if bytes.Contains(text, []byte("style=")) || bytes.Contains(text, []byte("<script")) {
				t.Errorf("%s breaks the pages' policy", path)
			}
		}
	})
}

func TestWords(t *testing.T) {
	all, err := loadCatalogues()
	if err != nil {
		t.Fatal(err)
	}
	fr, en := all["fr"], all["en"]
	for _, c := range []struct{ got, want string }{
		{fr.money(&moneyv1.Money{CurrencyCode: "EUR", AmountMinor: 2000}), "20\u00a0€"},
		{fr.money(&moneyv1.Money{CurrencyCode: "EUR", AmountMinor: 123450}), "1\u202f234,50\u00a0€"},
		{fr.money(&moneyv1.Money{CurrencyCode: "EUR", AmountMinor: 100000000}), "1\u202f000\u202f000\u00a0€"},
		{en.money(&moneyv1.Money{CurrencyCode: "EUR", AmountMinor: 100000}), "€1,000"},
		{en.money(&moneyv1.Money{CurrencyCode: "EUR", AmountMinor: 5}), "€0.05"},
		{en.money(&moneyv1.Money{CurrencyCode: "JPY", AmountMinor: 1000}), "¥1,000"},
		{en.money(&moneyv1.Money{CurrencyCode: "KWD", AmountMinor: 1500}), "KWD\u00a01.500"},
		{fr.percent(79999, 80000), "99\u00a0%"},
		{fr.percent(101250, 80000), "126\u00a0%"},
		{en.percent(1, 0), "0%"},
		{fr.date(time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)), "1er\u00a0mai 2026"},
		{fr.date(time.Date(2026, 8, 31, 12, 0, 0, 0, time.UTC)), "31\u00a0août 2026"},
		{en.date(time.Date(2026, 8, 31, 12, 0, 0, 0, time.UTC)), "31\u00a0August 2026"},
		{fr.wait(time.Second), "2 secondes"},
		{fr.wait(91 * time.Second), "2 minutes"},
		{typeset("fr", "« Non ! » : 1 700 gens ; 12 000 000 €"), "«\u00a0Non\u00a0!\u00a0»\u00a0: 1\u202f700 gens\u00a0; 12\u202f000\u202f000 €"},
		{typeset("en", "No ! 1 700"), "No ! 1 700"},
		{currencySymbol(fr, "EUR"), "€"},
		{currencySymbol(en, "JPY"), "¥"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}
