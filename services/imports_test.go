package services_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/cagnotte/cagnotte/"

// siblings says which services a package may import, as doc.go does.
var siblings = map[string][]string{
	"services/money":       {},
	"services/access":      {},
	"services/ledger":      {},
	"services/collectives": {"access"},
	"services/campaigns":   {"collectives"},
	"services/donations":   {"campaigns", "ledger", "collectives"},
	"services/refunds":     {"campaigns", "donations", "collectives"},
	"services/treasury":    {"campaigns", "ledger", "collectives"},
	"services/exports":     {"campaigns", "payouts", "ledger", "collectives"},
	"services/payouts":     {"ledger", "collectives"},
	"services/webhooks":    {"donations", "refunds", "payouts", "ledger", "collectives"},
}

type goPackage struct {
	ImportPath string
	Imports    []string
}

func TestWhoImportsWhom(t *testing.T) {
	packages := list(t)
	seen := map[string]bool{}
	for _, p := range packages {
		from := strings.TrimPrefix(p.ImportPath, module)
		seen[from] = true
		for _, imported := range p.Imports {
			to, ours := strings.CutPrefix(imported, module)
			if ours && !allowed(from, to) {
				t.Errorf("%s may not import %s: see services/doc.go", from, to)
			}
		}
	}
	for service := range siblings {
		if !seen[service] {
			t.Errorf("%s is in the table and not in the tree", service)
		}
	}
}

// What is proven must be verifiable without a database, which holds for what the package can reach.
func TestProofsNeedNoDatabase(t *testing.T) {
	deps := reached(t, "services/ledger/proof")
	if !slices.Contains(deps, module+"services/money") {
		t.Fatalf("go list found only %v", deps)
	}
	for _, dep := range deps {
		ours, isOurs := strings.CutPrefix(dep, module)
		switch {
		case isOurs && ours != "services/money" && ours != "services/ledger/proof", strings.Contains(dep, "/pgx/"), dep == "database/sql":
			t.Errorf("services/ledger/proof reaches %s: see services/doc.go", dep)
		}
	}
}

// reached are all packages that a package imports, directly and through others.
func reached(t *testing.T, path string) []string {
	t.Helper()
	out, err := exec.Command("go", "list", "-deps", module+path).Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	return strings.Fields(string(out))
}

func TestTheTableItself(t *testing.T) {
	for _, c := range []struct {
		from, to string
		want     bool
	}{
		{"services/ledger", "services/donations", false},
		{"services/campaigns", "services/access", false},
		{"services/donations", "services/refunds", false},
		{"services/ledger", "services/ledger/proof", true},
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
	} {
		if got := allowed(c.from, c.to); got != c.want {
			t.Errorf("%s -> %s: allowed is %v, want %v", c.from, c.to, got, c.want)
		}
	}
}

// allowed is the table of services/doc.go.
func allowed(from, to string) bool {
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
	if under(to, "services/internal") {
		return to != "services/internal/stripesim" && !strings.HasSuffix(to, "test")
	}
	service := strings.Join(strings.SplitN(from, "/", 3)[:2], "/")
	return under(to, service) || slices.Contains(siblings[service], strings.TrimPrefix(to, "services/"))
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
