// Package e2e runs the browser tests: *.test.mjs, people in a real Chromium, driven by Playwright.
//
// It knows the running program by its addresses only. Whoever can start the whole program calls
// [Run]; that is services/internal/app/e2e, since what starts it is internal to services. The page
// that embeds the widget is served here, on an origin of its own, under a policy that
// allows no more than the README asks of a host page.
package e2e

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// Program is a running service and its simulated Stripe.
type Program struct {
	// URL is the service's, StripeURL the simulator's.
	URL, StripeURL string
	// Campaign is the name of an open campaign in EUR that the site's origin may embed, with a preset
	// of 20 €, a minimum above 0.10 € and texts in French and English. It takes debits, and pledges by transfer.
	Campaign string
	// Members are the addresses of members by their role in the campaign's collective: "owner", "editor", "treasurer",
	// "auditor"; and of the "operator".
	Members map[string]string
	// Do has what a spec can have done behind the pages, by name: see act in console.mjs. What it returns is answered as JSON.
	Do map[string]func(values url.Values) (any, error)
	// Spec is the one file whose specs are run; empty for all.
	Spec string
	// Mails are the texts of all mails that it sent so far, oldest first.
	Mails func() []string
}

// Site is the collective's own page, on another origin than the service.
type Site struct {
	// URL is its origin, known before the campaign that must allow it.
	URL    string
	server *httptest.Server
}

// NewSite opens the site's port. It serves from Run on.
func NewSite(t testing.TB) *Site {
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	s := &Site{URL: "http://" + server.Listener.Addr().String(), server: server}
	t.Cleanup(server.Close)
	return s
}

// Whose says which specs to run.
type Whose string

// Those of members are console-*.test.mjs, those of an operator who begins start-*.test.mjs, those of donors who meet a
// challenge wall-*.test.mjs, and those of visitors all others. They run against different programs: a donor's specs look for their donation in the progress of the campaign, and
// who begins has an empty database.
const (
	Members  Whose = "members"
	Starters Whose = "starters"
	Visitors Whose = "visitors"
	Walled   Whose = "walled"
)

// whose says whose specs a file has.
func whose(name string) Whose {
	switch {
	case strings.HasPrefix(name, "console-"):
		return Members
	case strings.HasPrefix(name, "start-"):
		return Starters
	case strings.HasPrefix(name, "wall-"):
		return Walled
	}
	return Visitors
}

// Specs are the names of the files with specs of somebody; of one alone with CAGNOTTE_SPEC=console-books.
func Specs(t *testing.T, of Whose) (names []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder(), "*.test.mjs"))
	one := os.Getenv("CAGNOTTE_SPEC")
	for _, file := range files {
		if name := filepath.Base(file); whose(name) == of && (one == "" || name == one+".test.mjs") {
			names = append(names, name)
		}
	}
	if err != nil || len(names) == 0 {
		t.Fatalf("e2e: no specs: %v", err)
	}
	return names
}

// Run runs the specs against the program. It installs what is missing where it can, and fails, with the line that installs
// it, where it cannot. CAGNOTTE_SPEC=console-books runs the specs of one file alone.
func Run(t *testing.T, of Whose, p Program, s *Site) {
	t.Helper()
	s.server.Config.Handler = hostPage(p)
	s.server.Start()

	node, browser := tools(t)
	dir := folder()
	installPlaywright(t, dir)
	specs := Specs(t, of)
	if p.Spec != "" {
		specs = []string{p.Spec}
	}
	for i := range specs {
		specs[i] = filepath.Join(dir, specs[i])
	}
	// One file at a time: each donation is looked for in the progress of the one campaign.
	arguments := []string{"--test", "--test-concurrency=1", "--test-reporter=spec"}
	if only := os.Getenv("CAGNOTTE_TEST"); only != "" {
		arguments = append(arguments, "--test-name-pattern="+only)
	}
	cmd := exec.CommandContext(t.Context(), node, append(arguments, specs...)...)
	cmd.Dir = dir
	members, err := json.Marshal(p.Members)
	if err != nil {
		t.Fatal(err)
	}
	cmd.Env = append(os.Environ(),
		"CAGNOTTE_MEMBERS="+string(members),
		"CAGNOTTE_URL="+p.URL,
		"CAGNOTTE_STRIPE="+p.StripeURL,
		"CAGNOTTE_CAMPAIGN="+p.Campaign,
		"CAGNOTTE_SITE="+s.URL,
		"CHROME="+browser)
	output, err := cmd.CombinedOutput()
	t.Logf("%s", output)
	if err != nil {
		t.Fatalf("e2e: the browser tests failed: %v", err)
	}
}

// folder is where this file is, with the specs and Playwright.
func folder() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Dir(file)
}
