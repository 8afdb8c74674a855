package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
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

// tools finds node and a browser. As root on Debian it installs what is missing; anywhere else the
// test fails with the line that does: a browser test that skips tells nobody anything.
func tools(t testing.TB) (node, browser string) {
	t.Helper()
	var missing []string
	if node = find("node"); node == "" || find("npm") == "" {
		missing = append(missing, "nodejs", "npm")
	}
	if browser = os.Getenv("CHROME"); browser == "" {
		browser = find(browsers...)
	}
	if browser == "" {
		missing = append(missing, "chromium")
	}
	if len(missing) == 0 {
		return node, browser
	}
	install := "apt-get install -y " + strings.Join(missing, " ")
	if os.Geteuid() != 0 || find("apt-get") == "" {
		if runtime.GOOS == "darwin" {
			install = "brew install node && brew install --cask google-chrome"
		} else {
			install = "sudo " + install
		}
		t.Fatalf("e2e: the browser tests need %s; install with:\n\n  %s\n\nor set CHROME to a Chromium of yours", strings.Join(missing, ", "), install)
	}
	t.Logf("%s", install)
	// A new machine has no package lists yet, and tests of other packages may be installing too: one at a time.
	run(t, "", "flock", "/tmp/cagnotte-apt.lock", "sh", "-c",
		"apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "+strings.Join(missing, " "))
	if node, browser = find("node"), find(browsers...); node == "" || browser == "" {
		t.Fatalf("e2e: after %q there is still no node or no browser in PATH", install)
	}
	return node, browser
}

// installPlaywright runs npm ci unless what is installed is as new as the lock file.
func installPlaywright(t testing.TB, dir string) {
	t.Helper()
	lock, err := os.Stat(filepath.Join(dir, "package-lock.json"))
	if err != nil {
		t.Fatal(err)
	}
	// npm writes this file at the end of an install.
	installed, err := os.Stat(filepath.Join(dir, "node_modules", ".package-lock.json"))
	if err == nil && !installed.ModTime().Before(lock.ModTime()) {
		return
	}
	run(t, dir, "npm", "ci", "--no-audit", "--no-fund")
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
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	if output, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("e2e: %s %s: %v\n%s", name, strings.Join(args, " "), err, output)
	}
}
