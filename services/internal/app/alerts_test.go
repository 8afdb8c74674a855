package app_test

import (
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/cagnotte/cagnotte/services/internal/apptest"
)

var (
	metricName = regexp.MustCompile(`\b(cagnotte_[a-z_]+|up)\b`)
	// oneOutcome is a counter of which one value is watched.
	oneOutcome = regexp.MustCompile(`\bcagnotte_[a-z_]+\{outcome="[a-z_]+"\}`)
)

// An alert on a metric that nobody has never fires.
func TestEveryAlertWatchesWhatTheProgramTells(t *testing.T) {
	data, err := os.ReadFile("../../../deploy/alerts/cagnotte.yml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Groups []struct {
			Rules []struct {
				Alert, Expr, For string
				Labels           struct{ Severity string }
				Annotations      struct{ Summary, Runbook string }
			}
		}
	}
	if err := yaml.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	watched := map[string]string{}
	seen := map[string]bool{}
	for _, group := range file.Groups {
		for _, rule := range group.Rules {
			switch {
			case rule.Alert == "" || seen[rule.Alert]:
				t.Errorf("alert %q has no name of its own", rule.Alert)
			case rule.Annotations.Summary == "" || rule.Annotations.Runbook == "":
				t.Errorf("%s does not say what is wrong and what to do", rule.Alert)
			case rule.Labels.Severity != "page" && rule.Labels.Severity != "ticket":
				t.Errorf("%s has the severity %q", rule.Alert, rule.Labels.Severity)
			case strings.Count(rule.Expr, "(") != strings.Count(rule.Expr, ")"):
				t.Errorf("%s: %s", rule.Alert, rule.Expr)
			}
			seen[rule.Alert] = true
			names := metricName.FindAllString(rule.Expr, -1)
			if len(names) == 0 {
				t.Errorf("%s watches nothing: %s", rule.Alert, rule.Expr)
			}
			// Prometheus sees no increase in what begins with the first: it is told from 0 on.
			for _, series := range oneOutcome.FindAllString(rule.Expr, -1) {
				watched[series] = rule.Alert
			}
			for _, name := range names {
				if name = strings.TrimSuffix(name, "_bucket"); name != "up" {
					watched[name] = rule.Alert
				}
			}
		}
	}
	if len(seen) < 15 {
		t.Errorf("%d alerts", len(seen))
	}
	e := apptest.Start(t, apptest.Config{})
	var missing []string
	defer func() {
		if t.Failed() {
			t.Logf("nobody tells: %v", missing)
		}
	}()
	e.Eventually("every metric is told", func() bool {
		resp, err := http.Get("http://" + e.App.AdminAddr().String() + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		told, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		missing = nil
		for name, alert := range watched {
			if !strings.Contains(string(told), "\n"+name+" ") && !strings.Contains(string(told), "# TYPE "+name+" ") {
				missing = append(missing, alert+" watches "+name)
			}
		}
		// Not yet, or never: the deadline tells.
		return len(missing) == 0
	})
}
