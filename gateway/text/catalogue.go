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
)

// Languages are those of the catalogues; the first is for everybody whose language is not among them.
var Languages = []string{"fr", "en"}

// Words are the sentences, amounts and days of one language.
type Words struct {
	Lang      string
	sentences map[string]sentence
}

// sentence is a text, with a form of its own for one of something.
type sentence struct{ One, Other string }

// UnmarshalJSON reads a string, or an object of plural forms.
func (s *sentence) UnmarshalJSON(raw []byte) error {
	if bytes.HasPrefix(raw, []byte(`"`)) {
		return json.Unmarshal(raw, &s.Other)
	}
	var forms struct{ One, Other string }
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&forms); err != nil {
		return err
	}
	*s = sentence(forms)
	if s.One == "" || s.Other == "" {
		return fmt.Errorf("a plural needs the forms one and other")
	}
	return nil
}

// Catalogues are the words by language.
type Catalogues map[string]*Words

// bare are the sections whose keys stand as they are in their files.
var bare = []string{"strings", "pages"}

// Load reads the files of every language that match the pattern, such as "strings/*.json". A language without a file, a
// file that is not JSON and a key that two files have are errors.
func Load(files fs.FS, pattern string) (Catalogues, error) {
	names, err := fs.Glob(files, pattern)
	if err != nil {
		return nil, err
	}
	all := Catalogues{}
	for _, lang := range Languages {
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

// N says a sentence about n of something, in its plural form; {n} in it is the number. French has one form for zero and
// one, English for one alone.
func (w *Words) N(key string, n int64, values ...string) string {
	s, ok := w.sentences[key]
	if !ok {
		return key
	}
	form := s.Other
	if s.One != "" && (n == 1 || n == 0 && w.Lang == "fr") {
		form = s.One
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
	digits := strconv.FormatInt(n, 10)
	sign := ""
	if strings.HasPrefix(digits, "-") {
		sign, digits = "\u2212", digits[1:]
	}
	separator := "\u202f"
	if w.Lang == "en" {
		separator = ","
	}
	for at := len(digits) - 3; at > 0; at -= 3 {
		digits = digits[:at] + separator + digits[at:]
	}
	return sign + digits
}
