package text

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/cagnotte/cagnotte/services/money"
)

// Languages are those that donors read, and MemberLanguages those of the console, the guide and mails to members. The first is
// for everybody whose language is not among them.
var (
	Languages       = codes(money.Languages())
	MemberLanguages = []string{"fr", "en"}
)

func codes(languages []money.Language) (all []string) {
	for _, language := range languages {
		all = append(all, string(language))
	}
	return all
}

// names are what a language is called by those who speak it.
var names = map[string]string{"fr": "Français", "en": "English", "oc": "Occitan", "br": "Brezhoneg", "es": "Español", "de": "Deutsch"}

// LanguageName returns what a language is called by those who speak it.
func LanguageName(lang string) string { return names[lang] }

// Words are the sentences, amounts and days of one language.
type Words struct {
	Lang      string
	sentences map[string]sentence
}

// sentence is a text, or one for each plural form of the language; Other alone is always there.
type sentence struct{ One, Two, Few, Many, Other string }

// UnmarshalJSON reads a string, or an object of plural forms.
func (s *sentence) UnmarshalJSON(raw []byte) error {
	if bytes.HasPrefix(raw, []byte(`"`)) {
		return json.Unmarshal(raw, &s.Other)
	}
	type forms sentence // without this method
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode((*forms)(s)); err != nil {
		return err
	}
	if s.One == "" || s.Other == "" {
		return fmt.Errorf("a plural needs the forms one and other")
	}
	return nil
}

// plural reports whether the sentence has forms for numbers.
func (s sentence) plural() bool { return s.One != "" }

// forms are the sentence in all its forms, by their names in CLDR.
func (s sentence) forms() map[string]string {
	all := map[string]string{"one": s.One, "two": s.Two, "few": s.Few, "many": s.Many, "other": s.Other}
	maps.DeleteFunc(all, func(_, text string) bool { return text == "" })
	return all
}

// Catalogues are the words by language.
type Catalogues map[string]*Words

// bare are the sections whose keys stand as they are in their files.
var bare = []string{"strings", "pages"}

// Load reads the files of the languages that match the pattern, such as "strings/*.json". A language without a file, a file of
// another language or that is not JSON, a key that two files have, and a plural without all forms of its language are errors.
func Load(files fs.FS, pattern string, languages []string) (Catalogues, error) {
	names, err := fs.Glob(files, pattern)
	if err != nil {
		return nil, err
	}
	all := Catalogues{}
	for _, lang := range languages {
		all[lang] = &Words{Lang: lang, sentences: map[string]sentence{}}
	}
	for _, name := range names {
		section, lang, ok := strings.Cut(strings.TrimSuffix(path.Base(name), ".json"), ".")
		words := all[lang]
		if !ok || words == nil {
			return nil, fmt.Errorf("text: %s is not named SECTION.LANGUAGE.json", name)
		}
		raw, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, err
		}
		var sentences map[string]sentence
		if err := json.Unmarshal(raw, &sentences); err != nil {
			return nil, fmt.Errorf("text: %s: %w", name, err)
		}
		for key, s := range sentences {
			if !slices.Contains(bare, section) {
				key = section + "." + key
			}
			if _, twice := words.sentences[key]; twice {
				return nil, fmt.Errorf("text: %s: a second sentence %s", name, key)
			}
			if got := slices.Sorted(maps.Keys(s.forms())); s.plural() && !slices.Equal(got, pluralForms[lang]) {
				return nil, fmt.Errorf("text: %s: %s has the plural forms %v, not %v", name, key, got, pluralForms[lang])
			}
			words.sentences[key] = s
		}
	}
	for lang, words := range all {
		if len(words.sentences) == 0 {
			return nil, fmt.Errorf("text: no sentences in %s match %s", lang, pattern)
		}
	}
	return all, nil
}

// Keys returns the keys of all sentences, sorted.
func (w *Words) Keys() []string { return slices.Sorted(maps.Keys(w.sentences)) }

// Has reports whether there is a sentence of this key.
func (w *Words) Has(key string) bool {
	_, ok := w.sentences[key]
	return ok
}

// T says a sentence. Values follow as name, value, name, value. A sentence that is missing shows its key; package texttest
// keeps the catalogues and the templates in step.
func (w *Words) T(key string, values ...string) string {
	s, ok := w.sentences[key]
	if !ok {
		return key
	}
	return fill(s.Other, values)
}

// Forms returns a sentence in all its plural forms, by their names in CLDR; "other" alone for one without a number.
func (w *Words) Forms(key string) map[string]string { return w.sentences[key].forms() }

// N says a sentence about n of something, in its plural form; {n} in it is the number.
func (w *Words) N(key string, n int64, values ...string) string {
	s, ok := w.sentences[key]
	if !ok {
		return key
	}
	form := s.Other
	if s.plural() {
		form = s.forms()[pluralForm(w.Lang, n)]
	}
	return fill(form, append(values, "n", w.Number(n)))
}

// fill puts the values in as they are. The templates escape the whole sentence.
func fill(sentence string, values []string) string {
	for i := 0; i+1 < len(values); i += 2 {
		sentence = strings.ReplaceAll(sentence, "{"+values[i]+"}", values[i+1])
	}
	return sentence
}

// Number writes a whole number with its thousands: "1 700", "1,700", "−5".
func (w *Words) Number(n int64) string {
	digits, negative := strings.CutPrefix(strconv.FormatInt(n, 10), "-")
	number := money.Language(w.Lang).Group(digits)
	if negative {
		return "\u2212" + number
	}
	return number
}
