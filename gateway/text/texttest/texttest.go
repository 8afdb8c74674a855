// Package texttest checks the catalogues of a package: that the languages have the same sentences, and that each sentence
// which the package's templates and Go code ask for exists.
package texttest

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cagnotte/cagnotte/gateway/text"
)

var (
	placeholder = regexp.MustCompile(`\{\w+\}`)
	// asked finds the keys in templates and Go code: T "key", .N "key", T("key", and the label of a form's field.
	asked = regexp.MustCompile(`\b(?:T|N)[ (]"([\w.-]+)"`)
	// label finds the keys that Go code gives to the fields of forms and to entries of the navigation.
	label = regexp.MustCompile(`\b(?:Label|Hint|label): +"([a-z]+\.[\w.-]+)"`)
	// loose finds high punctuation and quotes of French without a no-break space.
	loose  = regexp.MustCompile(`[^\x{00a0}\x{202f}][!?;:»]|«[^\x{00a0}\x{202f}]`)
	spaced = regexp.MustCompile(`[\s\x{00a0}\x{202f}][!?;:»]`)
	// address is what has a colon without a space.
	address = regexp.MustCompile(`https?://\S+|[a-z]+:[a-z]|\b\d{1,2}:\d{2}\b`)
)

// Punctuation tells what a sentence has that its language does not print: French puts a no-break space before high
// punctuation and inside of its quotes, the others none before it; Spanish opens questions and exclamations; German quotes
// begin low. Straight quotes are of no language.
func Punctuation(lang, said string) (wrong []string) {
	said = address.ReplaceAllString(said, "")
	if lang == "fr" && loose.MatchString(said) {
		wrong = append(wrong, "no no-break space before high punctuation")
	}
	// Breton is set as French is, or as English: both are printed.
	if spaced.MatchString(said) && !slices.Contains([]string{"fr", "br", "oc"}, lang) {
		wrong = append(wrong, "a space before high punctuation")
	}
	if strings.ContainsAny(said, `'"`) {
		wrong = append(wrong, "a straight quote")
	}
	if lang == "es" && (strings.Count(said, "?") != strings.Count(said, "¿") || strings.Count(said, "!") != strings.Count(said, "¡")) {
		wrong = append(wrong, "a question or exclamation that is not opened")
	}
	if lang == "de" && strings.Count(said, "„") != strings.Count(said, "“") {
		wrong = append(wrong, "quotes other than „ and “")
	}
	return wrong
}

// Check runs the tests. Files are the package's embedded templates, below the folder templates; the test runs in the
// package's folder, whose Go files it reads.
func Check(t *testing.T, all text.Catalogues, files fs.FS) {
	t.Helper()
	french := all["fr"]
	for lang := range all {
		if diff := cmp.Diff(french.Keys(), all[lang].Keys()); diff != "" {
			t.Errorf("fr and %s have other keys:\n%s", lang, diff)
		}
		for _, key := range french.Keys() {
			ours, theirs := values(french, key), values(all[lang], key)
			if diff := cmp.Diff(ours, theirs); diff != "" {
				t.Errorf("%s: fr and %s have other values:\n%s", key, lang, diff)
			}
			// Package text refuses a plural without all forms of its language.
			if (len(french.Forms(key)) > 1) != (len(all[lang].Forms(key)) > 1) {
				t.Errorf("%s: a plural in one of fr and %s", key, lang)
			}
		}
		t.Run(lang+" has its own punctuation", func(t *testing.T) {
			for _, key := range all[lang].Keys() {
				for _, said := range all[lang].Forms(key) {
					for _, wrong := range Punctuation(lang, said) {
						t.Errorf("%s: %s: %q", key, wrong, said)
					}
				}
			}
		})
	}
	t.Run("every sentence that is asked for exists", func(t *testing.T) {
		templates, code := sources(t, files)
		for path, source := range templates {
			// A block of data is not executed, and no policy is asked about it.
			source = strings.ReplaceAll(source, `<script type="application/ld+json">`, "<data>")
			// A page that is one file has its script in it, which its policy names by a hash.
			source = strings.ReplaceAll(source, "<script>{{.Script}}</script>", "")
			if strings.Contains(source, "style=") || regexp.MustCompile(`<script[^>]*>[^<]|\son[a-z]+=`).MatchString(source) {
				t.Errorf("%s breaks the pages' policy: no inline style, script or handler", path)
			}
		}
		maps.Copy(templates, code)
		for path, source := range templates {
			for _, pattern := range []*regexp.Regexp{asked, label} {
				for _, m := range pattern.FindAllStringSubmatch(source, -1) {
					// A key that ends with a point, hyphen or underscore is the beginning of one.
					if !strings.ContainsAny(m[1][len(m[1])-1:], ".-_") && !french.Has(m[1]) {
						t.Errorf("%s asks for %s", path, m[1])
					}
				}
			}
		}
	})
}

// values are the placeholders of a sentence in all its forms.
func values(w *text.Words, key string) []string {
	found := map[string]bool{}
	for _, said := range w.Forms(key) {
		for _, p := range placeholder.FindAllString(said, -1) {
			found[p] = true
		}
	}
	return slices.Sorted(maps.Keys(found))
}

func sources(t *testing.T, files fs.FS) (templates, code map[string]string) {
	t.Helper()
	templates, code = map[string]string{}, map[string]string{}
	err := fs.WalkDir(files, "templates", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		body, err := fs.ReadFile(files, path)
		templates[path] = string(body)
		return err
	})
	if err != nil || len(templates) == 0 {
		t.Fatalf("%d templates: %v", len(templates), err)
	}
	paths, err := filepath.Glob("*.go")
	if err != nil || len(paths) == 0 {
		t.Fatalf("%d Go files: %v", len(paths), err)
	}
	for _, path := range paths {
		if path == "doc.go" || strings.HasSuffix(path, "_test.go") {
			continue
		}
		body, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		code[path] = string(body)
	}
	return templates, code
}
