package services_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

// A function's name ends in Tx exactly where the function takes its caller's transaction: a reader sees at the call
// what commits together.
func TestTxEndsTheNameOfWhatTakesATransaction(t *testing.T) {
	fset := token.NewFileSet()
	named := 0
	check := func(name *ast.Ident, fn *ast.FuncType) {
		takes, says := takesTx(fn), strings.HasSuffix(name.Name, "Tx")
		if takes && says {
			named++
		}
		if name.Name == "InTx" {
			return // postgres.InTx begins the transaction that others take
		}
		switch {
		case takes && !says:
			t.Errorf("%s: %s takes its caller's transaction, and its name does not end in Tx", fset.Position(name.Pos()), name.Name)
		case says && !takes:
			t.Errorf("%s: %s ends in Tx, and takes no transaction", fset.Position(name.Pos()), name.Name)
		}
	}
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(fset, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(node ast.Node) bool {
			switch node := node.(type) {
			case *ast.FuncDecl:
				check(node.Name, node.Type)
			case *ast.Field: // a method of an interface, or a field that holds a function
				if fn, ok := node.Type.(*ast.FuncType); ok && len(node.Names) == 1 && ast.IsExported(node.Names[0].Name) {
					check(node.Names[0], fn)
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if named < 50 {
		t.Errorf("found %d functions only that take a transaction", named)
	}
}

func takesTx(fn *ast.FuncType) bool {
	for _, param := range fn.Params.List {
		if sel, ok := param.Type.(*ast.SelectorExpr); ok && sel.Sel.Name == "Tx" {
			if pkg, ok := sel.X.(*ast.Ident); ok && pkg.Name == "pgx" {
				return true
			}
		}
	}
	return false
}
