package pgtest

import (
	"context"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// PrepareSQL prepares every SQL constant of the Go packages below root on pool's database, and
// returns how many there were. A SQL constant is a string constant, not in a test file, whose
// name ends in SQL: one whole statement, pgx's @name arguments included. One that does not
// prepare, or whose text cannot be read from the source, is an error of the test.
//
// It proves that tables, columns, types and arguments fit together. Rights are checked when a
// statement runs, not here.
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

type sqlConstant struct {
	name     string
	text     string
	position token.Position
	err      error
}

// sqlConstants walks the folders below root, each one a package.
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

// evaluate reads a constant expression of strings: literals, +, and constants of the package. Names
// are looked up without their scopes, so depth ends what would go in circles.
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
