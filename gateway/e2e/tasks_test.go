package e2e_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

var (
	taskRow = regexp.MustCompile(`(?m)^\| (\d+) \| [^|]+ \| ([a-z-]+): (.+) \|$`)
	goTests = regexp.MustCompile("`(services/[a-z/]+)` \\((Test[A-Za-z]+(?:,\\s+Test[A-Za-z]+)*)\\)")
)

// Each task of the README has a spec, and each spec that it names exists.
func TestEachTaskHasItsSpec(t *testing.T) {
	raw, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(strings.Fields(strings.ReplaceAll(string(raw), "|\n", "|\x00")), " ")
	text = strings.ReplaceAll(text, "\x00 ", "\n")
	tasks := map[int]bool{}
	for _, m := range taskRow.FindAllStringSubmatch(string(raw), -1) {
		task, _ := strconv.Atoi(m[1])
		tasks[task] = true
		spec, err := os.ReadFile(m[2] + ".test.mjs")
		if err != nil || !strings.Contains(string(spec), "\ntest("+strconv.Quote(m[3])+",") {
			t.Errorf("task %d: %s.test.mjs has no test %q: %v", task, m[2], m[3], err)
		}
	}
	for task := 1; task <= 46; task++ {
		if !tasks[task] {
			t.Errorf("task %d has no spec", task)
		}
	}
	named := goTests.FindAllStringSubmatch(text, -1)
	for _, m := range named {
		files, err := filepath.Glob(filepath.Join("../..", filepath.FromSlash(m[1]), "*_test.go"))
		if err != nil {
			t.Fatal(err)
		}
		var all strings.Builder
		for _, file := range files {
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			all.Write(content)
		}
		for _, name := range strings.Split(m[2], ", ") {
			if !strings.Contains(all.String(), "func "+name+"(") {
				t.Errorf("%s has no %s", m[1], name)
			}
		}
	}
	if len(named) != 2 {
		t.Errorf("%d packages of Go tests are named", len(named))
	}
}
