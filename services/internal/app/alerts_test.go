package app_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
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

const alertsFolder = "../../../deploy/alerts"

type alertRule struct {
	Alert, Expr, For string
	Labels           struct{ Severity string }
	Annotations      struct{ Summary, Runbook string }
}

func alertRules(t *testing.T) (rules []alertRule) {
	t.Helper()
	var file struct{ Groups []struct{ Rules []alertRule } }
	readYAML(t, "cagnotte.yml", &file)
	for _, group := range file.Groups {
		rules = append(rules, group.Rules...)
	}
	return rules
}

func readYAML(t *testing.T, name string, into any) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(alertsFolder, name))
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(data, into); err != nil {
		t.Fatal(err)
	}
}

// Prometheus' own promtool plays the rules; each must come at least once, and no other with it.
func TestAlertsComeWhenTheyShould(t *testing.T) {
	files := []string{"cagnotte_test.yml", "cagnotte_days_test.yml"}
	comes := map[string]bool{}
	for _, name := range files {
		var file struct {
			Tests []struct {
				Checks []struct {
					Samples []struct{ Labels string } `yaml:"exp_samples"`
				} `yaml:"promql_expr_test"`
			}
		}
		readYAML(t, name, &file)
		for _, test := range file.Tests {
			for _, check := range test.Checks {
				for _, sample := range check.Samples {
					comes[sample.Labels] = true
				}
			}
		}
	}
	for _, rule := range alertRules(t) {
		if !comes[fmt.Sprintf(`{alertname=%q}`, rule.Alert)] {
			t.Errorf("no test in which %s comes", rule.Alert)
		}
	}
	if out, err := exec.CommandContext(t.Context(), "../../../.tools/need", "promtool").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		promtool = "../../../.dev/bin/promtool"
	}
	if promtool, err = filepath.Abs(promtool); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"check", "rules", "cagnotte.yml"}, append([]string{"test", "rules"}, files...)} {
		command := exec.CommandContext(t.Context(), promtool, args...)
		command.Dir = alertsFolder
		if out, err := command.CombinedOutput(); err != nil {
			t.Errorf("promtool %v: %v\n%s", args, err, out)
		}
	}
}

// An alert on a metric that nobody has never fires.
func TestEveryAlertWatchesWhatTheProgramTells(t *testing.T) {
	watched := map[string]string{}
	seen := map[string]bool{}
	for _, rule := range alertRules(t) {
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
	// So is the first of the failed donations.
	for _, method := range []string{"donations.v1.DonationsService/CreateDonation", "treasury.v1.TreasuryService/CreatePledge"} {
		for _, code := range []string{"OK", "Unavailable", "DeadlineExceeded", "Internal", "Unknown", "DataLoss"} {
			watched[fmt.Sprintf("cagnotte_rpc_calls_total{code=%q,method=\"/cagnotte.%s\"}", code, method)] = "CagnotteDonationsFail"
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
