package services_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// floatsAllowed are the files that may use floats, and what they measure with them. None of it is money, but where
// the reason says so.
var floatsAllowed = map[string]string{
	"gateway/chart/draw.go":                                 "places in a picture; its values and its axis are whole numbers",
	"gateway/errors.go":                                     "seconds of Retry-After",
	"gateway/pages/drawn.go":                                "shares of a bar, which was printed before",
	"gateway/picture/picture.go":                            "places and sizes in a picture, in pixels",
	"gateway/poster/poster.go":                              "places and sizes on a page, in points",
	"gateway/text/language.go":                              "quality values of Accept-Language",
	"gateway/typeface/typeface.go":                          "sizes of letters",
	"gateway/widget/widget.js":                              "seconds of Retry-After",
	"services/bank/statement/workbook.go":                   "amounts, since a workbook has no other numbers: each cell is rounded to six decimals, and refused where the currency has fewer",
	"services/cmd/cagnotte/progress.go":                     "the share of entries that are verified",
	"services/cmd/cagnotte-dev/demo.go":                     "a random draw, which picks one of a list of round sums",
	"services/exports/xlsx.go":                              "widths of columns; and amounts, since a spreadsheet has no other numbers: each cell is the double nearest to its decimal",
	"services/exports/totals.go":                            "widths of columns",
	"services/internal/app/config.go":                       "calls to Stripe a second",
	"services/internal/apptest/apptest.go":                  "calls to Stripe a second",
	"services/internal/apptest/description.go":              "what encoding/json makes of any number",
	"services/internal/apptest/process.go":                  "calls to Stripe a second",
	"services/internal/postgres/migrations/00001_roles.sql": "seconds of a pause",
	"services/receipts/pdf.go":                              "sizes on a page, in points",
	"services/internal/rpc/rate.go":                         "writes a second",
	"services/internal/rpc/server.go":                       "buckets of a histogram of seconds",
	"services/internal/stripe/budget.go":                    "calls to Stripe a second",
	"services/internal/stripe/client.go":                    "calls to Stripe a second",
	"services/internal/stripe/unixtime.go":                  "what encoding/json makes of a time",
	"services/internal/stripesim/balance.go":                "an exchange rate, as Stripe shows it",
	"services/internal/stripesim/control.go":                "seconds, shares of webhooks that are lost, and exchange rates",
	"services/internal/stripesim/deliverymode.go":           "shares of webhooks that are lost",
	"services/internal/stripesim/exchange.go":               "exchange rates; what they convert is exact",
	"services/ledger/metrics.go":                            "seconds of a metric",
	"services/payouts/metrics.go":                           "counts and seconds of metrics",
	"services/webhooks/gauges.go":                           "counts and seconds of metrics",
	"services/webhooks/health.go":                           "seconds of a delay",
	"services/webhooks/metrics.go":                          "buckets of a histogram of seconds",
	"services/wall/challenge.go":                            "the logarithm of a pressure",
	"services/wall/counter.go":                              "counts of payments that fade",
	"services/wall/limits.go":                               "limits of such counts",
	"services/wall/wall.go":                                 "ratios to limits",
	"services/internal/postgres/migrations/00070_wall.sql":  "counts of payments that fade",
}

// Money is counted in integers. A float in the code is one that somebody has given a reason for.
func TestNoFloatTouchesAnAmount(t *testing.T) {
	used := map[string]bool{}
	for _, found := range floats(t, "..") {
		file, _, _ := strings.Cut(found, ":")
		if used[file] = true; floatsAllowed[file] == "" {
			t.Errorf("%s: money is counted in integers, see services/money; another use of floats needs its reason in floatsAllowed", found)
		}
	}
	for file := range floatsAllowed {
		if !used[file] {
			t.Errorf("%s is allowed to use floats, and uses none", file)
		}
	}
}

// The check itself must fail where it should.
func TestPlantedFloats(t *testing.T) {
	for name, code := range map[string]string{
		"a type.go":                 "package p\nfunc half(minor int64) int64 { return int64(float64(minor) / 2) }",
		"a small type.go":           "package p\nvar rate float32",
		"a literal.go":              "package p\nfunc half(minor int64) int64 { part := 0.5; _ = part; return minor }",
		"a literal with e.go":       "package p\nconst noise = 1e-6",
		"a parsed one.go":           "package p\nimport \"strconv\"\nfunc f(s string) { _, _ = strconv.ParseFloat(s, 64) }",
		"a function of math.go":     "package p\nimport \"math\"\nfunc f(a int) { _ = math.Ceil(1) }",
		"math by another name.go":   "package p\nimport m \"math\"\nfunc f(a int) { _ = m.Sqrt2 }",
		"a big one.go":              "package p\nimport \"math/big\"\nvar f big.Float",
		"a random one.go":           "package p\nimport \"math/rand/v2\"\nvar f = rand.Float64()",
		"a metric that is none.go":  "package p\nfunc Add(n float64) {}",
		"a statement in code.go":    "package p\nconst sql = `SELECT sum(d.amount_minor)::float8`",
		"a statement with cast.go":  "package p\nconst sql = `SELECT CAST(d.amount_minor AS double precision)`",
		"a statement of half.go":    "package p\nconst sql = `SELECT d.amount_minor * 0.5 FROM donations.donations AS d`",
		"a column.sql":              "CREATE TABLE t (\n    amount_minor double precision NOT NULL\n);",
		"a column of numbers.sql":   "ALTER TABLE t ADD COLUMN amount real;",
		"a script.js":               "const minor = parseFloat(text) * 100;",
		"a script with decimals.js": "const fee = amount * 0.015;",
		"a script that rounds.js":   "const minor = Math.round(amount * 100);",
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, name), []byte(code), 0o600); err != nil {
				t.Fatal(err)
			}
			if len(floats(t, dir)) == 0 {
				t.Error("nobody sees it")
			}
		})
	}
	dir := t.TempDir()
	harmless := "package p\nimport \"math\"\n// 0.5 in a comment.\nvar most = math.MaxInt64\nfunc f(m metric, n int) { m.Set(float64(n)) }\nvar text = `1.5 %`\nconst sql = `SELECT count(*), sum(amount)::bigint -- 0.5`"
	if err := os.WriteFile(filepath.Join(dir, "harmless.go"), []byte(harmless), 0o600); err != nil {
		t.Fatal(err)
	}
	if found := floats(t, dir); len(found) > 0 {
		t.Errorf("it sees what is none: %v", found)
	}
}

// floats finds the floats in the Go code, the SQL and the scripts below a directory, but in tests and generated code,
// each as "file:line: what".
func floats(t *testing.T, root string) (found []string) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		if entry.IsDir() {
			if slices.Contains([]string{"node_modules", "testdata", "e2e", "proto"}, name) || path != root && strings.HasPrefix(name, ".") {
				return filepath.SkipDir
			}
			return nil
		}
		var see func(path string, code []byte) ([]string, error)
		switch {
		case strings.HasSuffix(name, "_test.go"):
			return nil
		case strings.HasSuffix(name, ".go"):
			see = floatsInGo
		case strings.HasSuffix(name, ".sql"):
			see = linesWith(floatInSQL, sqlComment)
		case strings.HasSuffix(name, ".js"):
			see = linesWith(floatInScript, scriptComment)
		default:
			return nil
		}
		code, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		seen, err := see(filepath.ToSlash(relative), code)
		found = append(found, seen...)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

var (
	// A decimal number in a statement is one too, as percentile_cont takes it.
	floatInSQL    = regexp.MustCompile(`(?i)\b(float|float4|float8|real|double precision)\b|[^\w.'][0-9]+\.[0-9]+\b`)
	floatInScript = regexp.MustCompile(`parseFloat|toFixed|Math\.(round|trunc|fround)|[^\w."'][0-9]+\.[0-9]|[0-9][eE]-[0-9]`)
	sqlComment    = regexp.MustCompile(`--.*`)
	scriptComment = regexp.MustCompile(`//.*|^\s*/?\*.*`)
	statement     = regexp.MustCompile(`\b(SELECT|INSERT|UPDATE|DELETE|VALUES)\b`)
)

// linesWith finds the lines that a pattern is in, comments left out.
func linesWith(pattern, comment *regexp.Regexp) func(path string, code []byte) ([]string, error) {
	return func(path string, code []byte) (found []string, err error) {
		for i, line := range strings.Split(string(code), "\n") {
			if what := pattern.FindString(comment.ReplaceAllString(line, "")); what != "" {
				found = append(found, fmt.Sprintf("%s:%d: %s", path, i+1, strings.TrimSpace(what)))
			}
		}
		return found, nil
	}
}

// integersOfMath are what package math has of integers.
var integersOfMath = regexp.MustCompile(`^(Max|Min)(Int|Uint)[0-9]*$`)

// measures are the methods and functions of metrics, whose argument is a count as a float.
var measures = []string{"Add", "Set", "Observe", "MustNewConstMetric"}

func floatsInGo(path string, code []byte) (found []string, err error) {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, path, code, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	see := func(n ast.Node, what string) {
		found = append(found, fmt.Sprintf("%s:%d: %s", path, fset.Position(n.Pos()).Line, what))
	}
	mathName := "math"
	for _, imported := range file.Imports {
		if imported.Path.Value == `"math"` && imported.Name != nil {
			mathName = imported.Name.Name
		}
	}
	metrics := map[ast.Node]bool{}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			if called, ok := n.Fun.(*ast.SelectorExpr); ok && slices.Contains(measures, called.Sel.Name) {
				for _, argument := range n.Args {
					if conversion, ok := argument.(*ast.CallExpr); ok {
						metrics[conversion.Fun] = true
					}
				}
			}
		case *ast.Ident:
			if strings.HasPrefix(n.Name, "float") && (n.Name == "float32" || n.Name == "float64") && !metrics[n] {
				see(n, n.Name)
			}
		case *ast.SelectorExpr:
			switch of, _ := n.X.(*ast.Ident); {
			case of != nil && of.Name == mathName && !integersOfMath.MatchString(n.Sel.Name):
				see(n, "math."+n.Sel.Name)
			case strings.Contains(n.Sel.Name, "Float"):
				see(n, n.Sel.Name)
			}
		case *ast.BasicLit:
			switch {
			case n.Kind == token.FLOAT || n.Kind == token.IMAG:
				see(n, n.Value)
			case n.Kind == token.STRING && statement.MatchString(n.Value):
				for i, line := range strings.Split(n.Value, "\n") {
					if what := floatInSQL.FindString(sqlComment.ReplaceAllString(line, "")); what != "" {
						found = append(found, fmt.Sprintf("%s:%d: %s", path, fset.Position(n.Pos()).Line+i, strings.TrimSpace(what)))
					}
				}
			}
		}
		return true
	})
	return found, nil
}
