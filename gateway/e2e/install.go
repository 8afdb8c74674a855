package e2e

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// browsers are the names and places that Chromium and Chrome have, in the order of trying.
var browsers = []string{
	"chromium",
	"chromium-browser",
	"google-chrome",
	"google-chrome-stable",
	"/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
	"/Applications/Chromium.app/Contents/MacOS/Chromium",
}

// tools finds node and a browser. What is missing is installed where that is possible, and fails the test with the line
// that installs it where not: a browser test that skips tells nobody anything.
func tools(t testing.TB) (node, browser string) {
	t.Helper()
	run(t, folder(), "../../.tools/need", "node", "npm", "chromium")
	if browser = os.Getenv("CHROME"); browser == "" {
		browser = find(browsers...)
	}
	if node = find("node"); node == "" || browser == "" {
		t.Fatalf("e2e: there is no node or no browser in PATH: %q, %q", node, browser)
	}
	return node, browser
}

// installPlaywright runs npm ci unless what is installed is what the lock file says. A copy of that is kept beside it,
// since the times of files say when somebody checked them out, and no more.
func installPlaywright(t testing.TB, dir string) {
	t.Helper()
	lock, err := os.ReadFile(filepath.Join(dir, "package-lock.json"))
	if err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(dir, "node_modules", ".installed-lock.json")
	if installed, err := os.ReadFile(copied); err == nil && bytes.Equal(installed, lock) {
		return
	}
	run(t, dir, "npm", "ci", "--no-audit", "--no-fund")
	if err := os.WriteFile(copied, lock, 0o600); err != nil {
		t.Fatal(err)
	}
}

// find returns the first of the names that can be run, or "".
func find(names ...string) string {
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

func run(t testing.TB, dir, name string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	if output, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("e2e: %s %s: %v\n%s", name, strings.Join(args, " "), err, output)
	}
}
