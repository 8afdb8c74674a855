package services_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

var (
	// A path in the tree, in backticks or as the target of a link, without a line or a fragment.
	quoted = regexp.MustCompile("`((?:proto|services|gateway|deploy|\\.tools)/[^`\\s…*]*)`")
	linked = regexp.MustCompile(`\]\(((?:proto|services|gateway|deploy)/[^)#\s]*)`)
)

// TestReadmesAreTrue keeps the paths that the READMEs name, and the length of the lines that readers paste.
func TestReadmesAreTrue(t *testing.T) {
	paths := 0
	for _, name := range []string{"README.md", "deploy/README.md", "deploy/benchmarks.md"} {
		raw, err := os.ReadFile(filepath.Join("..", name))
		if err != nil {
			t.Fatal(err)
		}
		text := string(raw)
		for _, m := range append(quoted.FindAllStringSubmatch(text, -1), linked.FindAllStringSubmatch(text, -1)...) {
			paths++
			if _, err := os.Stat(filepath.Join("..", filepath.FromSlash(m[1]))); err != nil {
				t.Errorf("%s names %s, which is not there", name, m[1])
			}
		}
		fenced := false
		for i, line := range strings.Split(text, "\n") {
			if strings.HasPrefix(strings.TrimSpace(line), "```") {
				fenced = !fenced
			} else if fenced && utf8.RuneCountInString(line) > 120 {
				t.Errorf("%s:%d: a line of code has more than 120 characters", name, i+1)
			}
		}
	}
	if paths < 10 {
		t.Errorf("found %d paths: are the patterns still right?", paths)
	}
}
