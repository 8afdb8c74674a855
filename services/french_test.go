package services_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var campagne = regexp.MustCompile(`(?i)campagne`)

// unwanted is what the French texts for people never have, by the rule that it breaks.
var unwanted = map[string]*regexp.Regexp{
	"a campaign is a collecte":                            campagne,
	"an email is an e-mail":                               regexp.MustCompile(`(?i)courriel`),
	"a no-break space stands at high punctuation, quotes": regexp.MustCompile(` [;:!?»]|« `),
	"the apostrophe is the typographic one":               regexp.MustCompile(`\pL'\pL`),
}

// The French texts for people, catalogues and the guide, have one word for a thing and the typography of French.
func TestFrenchTexts(t *testing.T) {
	found := 0
	err := filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir():
			if name := entry.Name(); name == "node_modules" || name != ".." && strings.HasPrefix(name, ".") {
				return filepath.SkipDir
			}
			return nil
		}
		typeset := strings.HasSuffix(path, ".fr.json") || strings.Contains(filepath.ToSlash(path), "/guide/pages/fr/")
		// The code and the plain text file have French in them too, with the typography of their own.
		if base := filepath.Base(path); !typeset && base != "fec_notice.txt" && base != "recurringtext.go" {
			return nil
		}
		found++
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for rule, pattern := range unwanted {
			if at := pattern.FindIndex(text); at != nil && (typeset || pattern == campagne) {
				t.Errorf("%s: %s: …%s…", path, rule, text[max(0, at[0]-30):min(len(text), at[1]+30)])
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if found < 20 {
		t.Errorf("only %d texts were found", found)
	}
}
