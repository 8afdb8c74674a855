package errorsv1_test

import (
	"encoding/json"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
)

// reasons are the values that are used, by name.
func reasons() []string {
	var names []string
	values := errorsv1.ErrorReason(0).Descriptor().Values()
	for i := 1; i < values.Len(); i++ {
		names = append(names, string(values.Get(i).Name()))
	}
	return names
}

func TestEachReasonHasACode(t *testing.T) {
	for _, name := range reasons() {
		if code := errorsv1.ReasonOf(name).Code(); code == codes.OK || code == codes.Unknown {
			t.Errorf("%s has the code %v", name, code)
		}
	}
	if got := errorsv1.ErrorReason(-1).Code(); got != codes.Unknown {
		t.Errorf("a number that is no reason has the code %v", got)
	}
}

// TestEachReasonIsInItsBlock holds the values to the order of the file, by which a reader finds them.
func TestEachReasonIsInItsBlock(t *testing.T) {
	values := errorsv1.ErrorReason(0).Descriptor().Values()
	for i := 1; i < values.Len(); i++ {
		if values.Get(i).Number() <= values.Get(i-1).Number() {
			t.Errorf("%s stands after a greater number", values.Get(i).Name())
		}
	}
}

// languages are those of the catalogues.
var languages = []string{"en", "fr", "es", "de", "oc", "br"}

func TestEachReasonHasATextInEachLanguage(t *testing.T) {
	files, err := filepath.Glob("strings.*.json")
	if err != nil || len(files) != len(languages) {
		t.Fatalf("catalogues %v, err = %v", files, err)
	}
	// No identity and nothing of the inside: no placeholder, address, path or name of a part.
	inside := regexp.MustCompile(`[{}%@/_]|https?:|(?i)postgres|grpc|sql|\bproto`)
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var texts map[string]string
		if err := json.Unmarshal(raw, &texts); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		want := reasons()
		slices.Sort(want)
		if got := slices.Sorted(maps.Keys(texts)); !slices.Equal(got, want) {
			t.Errorf("%s: the texts are of %v, want %v", file, got, want)
		}
		for name, text := range texts {
			if len(text) < 10 || len(text) > 200 || !strings.HasSuffix(text, ".") || inside.MatchString(text) {
				t.Errorf("%s: %s: %q", file, name, text)
			}
		}
	}
}

func TestTextsFollowTheCallersLanguage(t *testing.T) {
	for header, want := range map[string]string{
		"":                               "en",
		"fr":                             "fr",
		"fr-CA,fr;q=0.9,en;q=0.8":        "fr",
		"en-GB, fr;q=0.5":                "en",
		"de, fr;q=0.5":                   "de",
		"es-MX":                          "es",
		"oc, fr;q=0.9":                   "oc",
		"oc-FR":                          "oc",
		"br-FR,br;q=0.9,fr;q=0.8":        "br",
		"it, fr;q=0.5":                   "fr",
		"it":                             "en",
		"fr;q=0, en":                     "en",
		"\x00;;;q=":                      "en",
		strings.Repeat("fr-CA,", 10_000): "en",
	} {
		text, tag := errorsv1.ErrorReason_NOT_FOUND.Text(header)
		if tag != want || (tag == "fr") != strings.Contains(text, "n’existe pas") {
			t.Errorf("%.40q: %s: %q", header, tag, text)
		}
	}
}

// TestEachReasonIsUsed reads the source: a reason that nothing answers is a promise that nothing keeps.
func TestEachReasonIsUsed(t *testing.T) {
	const root = "../../../.."
	use := regexp.MustCompile(`errorsv1\.ErrorReason_([A-Z0-9_]+)`)
	used := map[string]bool{}
	for _, folder := range []string{"services", "gateway"} {
		err := filepath.WalkDir(filepath.Join(root, folder), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() && d.Name() == "node_modules" {
				return err
			}
			if filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
				return nil
			}
			source, err := os.ReadFile(path)
			for _, m := range use.FindAllSubmatch(source, -1) {
				used[string(m[1])] = true
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range reasons() {
		if !used[name] {
			t.Errorf("nothing answers %s", name)
		}
	}
}
