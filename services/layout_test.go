package services_test

import (
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

// maxDocLines is how long a package comment may be: longer ones are not read.
const maxDocLines = 60

// sharedProtos are the proto packages that a service of another name serves, as doc.go says.
var sharedProtos = map[string]string{"recurring": "donations", "disputes": "refunds"}

// unserved are services that others call, and that serve nothing themselves.
var unserved = []string{"wall"}

func TestPackageCommentsAreShort(t *testing.T) {
	for _, root := range []string{".", "../gateway"} {
		walkGo(t, root, func(fset *token.FileSet, path string, file *ast.File) {
			if file.Doc == nil {
				return
			}
			if lines := fset.Position(file.Doc.End()).Line - fset.Position(file.Doc.Pos()).Line + 1; lines > maxDocLines {
				t.Errorf("%s: the package comment has %d lines, and may have %d", path, lines, maxDocLines)
			}
		})
	}
}

// A service has the files that doc.go promises.
func TestFilesOfServices(t *testing.T) {
	services := servicesWithProto(t)
	for _, service := range services {
		for _, name := range []string{"doc.go", "server.go"} {
			if _, err := os.Stat(filepath.Join(service, name)); err != nil {
				t.Errorf("%s has no %s", service, name)
			}
		}
		walkGo(t, service, func(fset *token.FileSet, path string, file *ast.File) {
			isServer := strings.HasSuffix(path, "server.go")
			for _, spec := range file.Imports {
				imported := strings.Trim(spec.Path.Value, `"`)
				if strings.HasPrefix(imported, module+"proto/cagnotte/") && !strings.HasSuffix(imported, "/errors/v1") && !isServer {
					t.Errorf("%s imports %s: messages stand in server.go or <noun>server.go", path, imported)
				}
			}
			for name, pos := range statements(file) {
				if isServer {
					t.Errorf("%s: %s stands in a server's file", fset.Position(pos), name)
				}
				if !runs(file, name) {
					t.Errorf("%s: nothing in this file runs %s", fset.Position(pos), name)
				}
			}
		})
	}
}

// The proto package has the service's name, and so has the SQL schema.
func TestServicesProtosAndSchemasHaveOneName(t *testing.T) {
	services := servicesWithProto(t)
	protos, err := os.ReadDir("../proto/cagnotte")
	if err != nil {
		t.Fatal(err)
	}
	for _, proto := range protos {
		name := proto.Name()
		if shared, ok := sharedProtos[name]; ok {
			name = shared
		}
		if name != "errors" && name != "money" && !slices.Contains(services, name) {
			t.Errorf("nothing serves proto/cagnotte/%s under its name", proto.Name())
		}
	}
	migrations, err := filepath.Glob("internal/postgres/migrations/*.sql")
	if err != nil || len(migrations) < 10 {
		t.Fatalf("%d migrations, %v", len(migrations), err)
	}
	schema := regexp.MustCompile(`(?m)^CREATE SCHEMA (?:IF NOT EXISTS )?(\w+)`)
	for _, path := range migrations {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(path, "_roles.sql") {
			continue // it makes the schemas of migrations and jobs
		}
		for _, match := range schema.FindAllStringSubmatch(string(text), -1) {
			if !slices.Contains(services, match[1]) && !slices.Contains(unserved, match[1]) {
				t.Errorf("%s makes the schema %s, and there is no service of this name", path, match[1])
			}
		}
	}
}

// servicesWithProto are the services that have a proto package of their name.
func servicesWithProto(t *testing.T) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		name := entry.Name()
		if !entry.IsDir() || name == "internal" || name == "cmd" || name == "money" || slices.Contains(unserved, name) {
			continue
		}
		if _, err := os.Stat(filepath.Join("../proto/cagnotte", name)); err != nil {
			t.Errorf("%s has no proto package", name)
		}
		names = append(names, name)
	}
	return names
}

// statements are the constants of a file that hold SQL.
func statements(file *ast.File) map[string]token.Pos {
	found := map[string]token.Pos{}
	for _, decl := range file.Decls {
		constants, ok := decl.(*ast.GenDecl)
		if !ok || constants.Tok != token.CONST {
			continue
		}
		for _, spec := range constants.Specs {
			for _, name := range spec.(*ast.ValueSpec).Names {
				if strings.HasSuffix(name.Name, "SQL") {
					found[name.Name] = name.Pos()
				}
			}
		}
	}
	return found
}

// runs reports whether a file uses a name beside declaring it.
func runs(file *ast.File, name string) bool {
	uses := 0
	ast.Inspect(file, func(node ast.Node) bool {
		if ident, ok := node.(*ast.Ident); ok && ident.Name == name {
			uses++
		}
		return true
	})
	return uses > 1
}

// walkGo parses all Go files below a folder but tests.
func walkGo(t *testing.T, root string, visit func(fset *token.FileSet, path string, file *ast.File)) {
	t.Helper()
	fset := token.NewFileSet()
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(fset, path, nil, parser.SkipObjectResolution|parser.ParseComments)
		if err == nil {
			visit(fset, path, file)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
