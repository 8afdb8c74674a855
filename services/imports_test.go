package services_test

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/cagnotte/cagnotte/"

// siblings reads from doc.go which services a service may import.
func siblings(t *testing.T) map[string][]string {
	t.Helper()
	text, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	allowed := map[string][]string{}
	for _, match := range regexp.MustCompile(`(?m)^//\t([a-z, ]+?) +-> ([a-z/, ]+)$`).FindAllStringSubmatch(string(text), -1) {
		for _, service := range strings.Split(match[1], ", ") {
			if _, err := os.Stat(service); err != nil {
				continue // a rule about others, which permitted has
			}
			allowed["services/"+service] = []string{}
			if match[2] != "no sibling" {
				allowed["services/"+service] = strings.Split(match[2], ", ")
			}
		}
	}
	if len(allowed) < 10 {
		t.Fatalf("doc.go has rules for %d services only", len(allowed))
	}
	return allowed
}

type goPackage struct {
	ImportPath string
	Imports    []string
}

func TestWhoImportsWhom(t *testing.T) {
	packages, rules := list(t), siblings(t)
	used := map[string]map[string]bool{}
	for _, p := range packages {
		from := strings.TrimPrefix(p.ImportPath, module)
		service := serviceOf(from)
		if used[service] == nil {
			used[service] = map[string]bool{}
		}
		for _, imported := range p.Imports {
			to, ours := strings.CutPrefix(imported, module)
			if ours && !permitted(rules, from, to) {
				t.Errorf("%s may not import %s: see services/doc.go", from, to)
			}
			used[service][strings.TrimPrefix(serviceOf(to), "services/")] = true
			used[service][strings.TrimPrefix(to, "services/")] = true
		}
	}
	for service, siblings := range rules {
		for _, sibling := range siblings {
			if !used[service][sibling] {
				t.Errorf("doc.go permits %s to import %s, and it does not", service, sibling)
			}
		}
	}
	for service := range used {
		name, isService := strings.CutPrefix(service, "services/")
		if _, known := rules[service]; isService && name != "cmd" && name != "internal" && !known {
			t.Errorf("doc.go has no rule for %s", service)
		}
	}
}

// serviceOf is the service that a package belongs to, such as services/ledger for services/ledger/proof.
func serviceOf(path string) string {
	parts := strings.SplitN(path, "/", 3)
	return strings.Join(parts[:min(len(parts), 2)], "/")
}

func TestTheTableItself(t *testing.T) {
	rules := siblings(t)
	for _, c := range []struct {
		from, to string
		want     bool
	}{
		{"services/ledger", "services/donations", false},
		{"services/campaigns", "services/access", false},
		{"services/donations", "services/refunds", false},
		{"services/ledger", "services/ledger/proof", true},
		{"services/audit", "services/ledger/proof", true},
		{"services/audit", "services/ledger", false},
		{"services/ledger/proof", "services/ledger", false},
		{"services/ledger/proof", "services/internal/errs", false},
		{"services/donations", "services/internal/stripe", true},
		{"services/donations", "services/internal/stripesim", false},
		{"services/donations", "services/internal/pgtest", false},
		{"services/donations", "services/internal/app", false},
		{"services/newcomer", "services/ledger", false},
		{"gateway/pages", "services/money", true},
		{"gateway/pages", "services/ledger", false},
		{"gateway", "services/internal/errs", false},
		{"services/cmd/cagnotte", "services/ledger", false},
		{"services/internal/errs", "services/ledger", false},
		{"services/treasury", "services/bank", false},
		{"services/bank/statement", "services/money", true},
		{"services/bank/statement", "services/internal/postgres", false},
		{"services/bank/statement", "services/treasury", false},
		{"services/bank/statement", "services/bank", false},
	} {
		if got := permitted(rules, c.from, c.to); got != c.want {
			t.Errorf("%s -> %s: permitted is %v, want %v", c.from, c.to, got, c.want)
		}
	}
}

// permitted is the table of services/doc.go.
func permitted(rules map[string][]string, from, to string) bool {
	under := func(path, folder string) bool { return path == folder || strings.HasPrefix(path, folder+"/") }
	if under(from, "proto") {
		return under(to, "proto")
	}
	if under(from, "gateway") {
		return under(to, "gateway") || under(to, "proto") || to == "services/money"
	}
	if under(from, "services/internal/app") || from == "services/internal/apptest" {
		return true
	}
	if under(to, "gateway") || under(to, "services/internal/app") || under(to, "services/cmd") {
		return under(from, "services/cmd") && to == "services/internal/app"
	}
	switch from {
	case "services/cmd/cagnotte":
		return false
	case "services/cmd/cagnotte-dev":
		return under(to, "proto") || to == "services/internal/pgembed" || to == "services/internal/stripesim"
	}
	if from == "services/ledger/proof" {
		return to == "services/money"
	}
	if under(to, "proto") || to == "services/money" {
		return true
	}
	if under(from, "services/internal") {
		return under(to, "services/internal") || from == "services/internal/rpc" && to == "services/access"
	}
	if from == "services/bank/statement" {
		return to == "services/internal/calendar" || to == "services/internal/errs"
	}
	if under(to, "services/internal") {
		return to != "services/internal/stripesim" && !strings.HasSuffix(to, "test")
	}
	return under(to, serviceOf(from)) || slices.Contains(rules[serviceOf(from)], strings.TrimPrefix(to, "services/"))
}

func list(t *testing.T) []goPackage {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports", module+"...")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v: %s", err, stderr.String())
	}
	var packages []goPackage
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("go list: %v", err)
		}
		packages = append(packages, p)
	}
	if len(packages) < 20 {
		t.Fatalf("go list found %d packages only", len(packages))
	}
	return packages
}
