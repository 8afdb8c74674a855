package postgres_test

import (
	"crypto/sha256"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var updateSums = flag.Bool("update", false, "add the sums of new migrations to migrations/SHA256SUMS")

// A database that has a migration never runs it again, so a change of its text reaches new databases alone. The list has
// the form of sha256sum.
func TestAMigrationNeverChanges(t *testing.T) {
	path := filepath.Join("migrations", "SHA256SUMS")
	text, err := os.ReadFile(path)
	if err != nil && !*updateSums {
		t.Fatal(err)
	}
	sums := map[string]string{}
	for line := range strings.Lines(string(text)) {
		sum, name, ok := strings.Cut(strings.TrimSpace(line), "  ")
		if !ok {
			t.Fatalf("%s: %q is no line of sha256sum", path, line)
		}
		sums[name] = sum
	}
	migrations := readMigrations(t)
	for name := range sums {
		if _, ok := migrations[name]; !ok {
			t.Errorf("%s is gone: databases have it, so it stays", name)
		}
	}
	for name, text := range migrations {
		sum := fmt.Sprintf("%x", sha256.Sum256([]byte(text)))
		switch known := sums[name]; {
		case known == "" && *updateSums:
			sums[name] = sum
		case known == "":
			t.Errorf("%s is not in %s: run go test ./services/internal/postgres -run TestAMigrationNeverChanges -update", name, path)
		case known != sum:
			t.Errorf("%s has changed: databases that have it would not get the change, so write a new migration "+
				"(before its release, delete its line in %s and run this test with -update)", name, path)
		}
	}
	if !*updateSums {
		return
	}
	var list strings.Builder
	for _, name := range slices.Sorted(maps.Keys(sums)) {
		fmt.Fprintf(&list, "%s  %s\n", sums[name], name)
	}
	if err := os.WriteFile(path, []byte(list.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}
