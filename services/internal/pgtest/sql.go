package pgtest

import (
	"context"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// PrepareSQL prepares every SQL constant of the Go packages below root on pool's database, and returns how many there
// were. A SQL constant is a string constant, outside of test files, whose name ends in SQL: one whole statement, with
// pgx's @name arguments. A constant that Postgres cannot prepare, that is not in the style of [Style], or whose text
// cannot be read from the source is an error of the test.
//
// It proves that tables, columns, types and arguments fit together. Rights are checked when a statement runs, not here.
func PrepareSQL(t testing.TB, pool *pgxpool.Pool, root string) int {
	t.Helper()
	ctx := context.Background()
	conn, err := pool.Acquire(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	statements, err := sqlConstants(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range statements {
		if s.err != nil {
			t.Errorf("%s: %s: %v", s.position, s.name, s.err)
			continue
		}
		for _, problem := range Style(s.text) {
			t.Errorf("%s: %s: %s", s.position, s.name, problem)
		}
		numbered, _, err := pgx.NamedArgs{}.RewriteQuery(ctx, conn.Conn(), s.text, nil)
		if err != nil {
			t.Errorf("%s: %s: %v", s.position, s.name, err)
			continue
		}
		// The unnamed statement, which the next one replaces.
		if _, err := conn.Conn().PgConn().Prepare(ctx, "", numbered, nil); err != nil {
			t.Errorf("%s: %s: %v", s.position, s.name, err)
		}
	}
	return len(statements)
}

var (
	sqlLiteral = regexp.MustCompile(`"[^"]*"|@[A-Za-z_0-9]+|'(?:[^']|'')*'|--[^\n]*`)
	sqlWord    = regexp.MustCompile(`[A-Za-z_][A-Za-z_0-9]*`)
	sqlStar    = regexp.MustCompile(`(?i)\b(SELECT|RETURNING)\s+(\w+\.)?\*|\.\*`)
	sqlOffset  = regexp.MustCompile(`(?i)\bOFFSET +[^0 ]`)

	// Reserved words, which nothing else can be named.
	sqlKeywords = strings.Fields(`ALL AND ANY ARRAY AS ASC BETWEEN CASE CHECK CONSTRAINT CREATE DEFAULT DELETE DESC DISTINCT ELSE END
		EXCEPT EXISTS FOR FOREIGN FROM GRANT GROUP HAVING IN INSERT INTO IS JOIN LEFT LIKE LIMIT NOT NULL ON OR ORDER PRIMARY
		REFERENCES RETURNING SELECT SET TABLE THEN TO UNION UNIQUE UPDATE USING VALUES WHEN WHERE WITH`)
	// Words that the grammar knows, and that read like functions or values.
	sqlFunctions = strings.Fields("COALESCE EXCLUDED EXTRACT FALSE GREATEST LEAST NULLIF TRUE")
)

// Style returns what in an SQL text is not in the style that package postgres describes: the case of words, columns that are
// not listed, pages by OFFSET.
func Style(sql string) []string {
	sql = sqlLiteral.ReplaceAllString(sql, "x")
	var problems []string
	for _, word := range sqlWord.FindAllString(sql, -1) {
		upper := strings.ToUpper(word)
		switch {
		case word != upper && slices.Contains(sqlKeywords, upper):
			problems = append(problems, word+" is a keyword: write it in upper case")
		case word == upper && slices.Contains(sqlFunctions, upper):
			problems = append(problems, word+" reads like a function: write it in lower case")
		}
	}
	for _, rule := range []struct {
		pattern *regexp.Regexp
		problem string
	}{
		{sqlStar, "* takes columns that are added later: list them"},
		{sqlOffset, "OFFSET reads what it skips: continue behind a key (OFFSET 0, which keeps a sub-query apart, is none)"},
	} {
		if rule.pattern.MatchString(sql) {
			problems = append(problems, rule.problem)
		}
	}
	return problems
}

type sqlConstant struct {
	name     string
	text     string
	position token.Position
	err      error
}

// sqlConstants returns the constants of all folders below root, each of which is a package.
func sqlConstants(root string) ([]sqlConstant, error) {
	var found []sqlConstant
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() {
			return err
		}
		if name := entry.Name(); path != root && (strings.HasPrefix(name, ".") || name == "testdata") {
			return filepath.SkipDir
		}
		inPackage, err := packageConstants(path)
		found = append(found, inPackage...)
		return err
	})
	return found, err
}

func packageConstants(dir string) ([]sqlConstant, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, err
	}
	files := token.NewFileSet()
	values := map[string]ast.Expr{} // the package's constants, which SQL may be put together from
	var names []*ast.Ident
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		ast.Inspect(file, func(node ast.Node) bool {
			declaration, ok := node.(*ast.GenDecl)
			if !ok || declaration.Tok != token.CONST {
				return true
			}
			for _, spec := range declaration.Specs {
				spec := spec.(*ast.ValueSpec)
				for i, name := range spec.Names {
					if i < len(spec.Values) {
						values[name.Name] = spec.Values[i]
					}
					if strings.HasSuffix(name.Name, "SQL") {
						names = append(names, name)
					}
				}
			}
			return true
		})
	}
	var found []sqlConstant
	for _, name := range names {
		text, err := evaluate(values[name.Name], values, len(values))
		found = append(found, sqlConstant{name.Name, text, files.Position(name.Pos()), err})
	}
	return found, nil
}

// evaluate reads a constant expression of strings: literals, +, and constants of the package. It ignores the scopes of
// names, so a name may lead back to itself: depth ends such a circle.
func evaluate(expression ast.Expr, values map[string]ast.Expr, depth int) (string, error) {
	switch e := expression.(type) {
	case *ast.BasicLit:
		return strconv.Unquote(e.Value)
	case *ast.ParenExpr:
		return evaluate(e.X, values, depth)
	case *ast.BinaryExpr:
		left, err := evaluate(e.X, values, depth)
		if err != nil {
			return "", err
		}
		right, err := evaluate(e.Y, values, depth)
		return left + right, err
	case *ast.Ident:
		value, ok := values[e.Name]
		if !ok || depth == 0 {
			return "", fmt.Errorf("%s is not a string constant of the package", e.Name)
		}
		return evaluate(value, values, depth-1)
	}
	return "", fmt.Errorf("cannot read the text of a %T", expression)
}
