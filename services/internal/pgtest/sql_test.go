package pgtest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// recorder is a test that may fail without failing ours.
type recorder struct {
	testing.TB
	errors []string
}

func (r *recorder) Helper() {}

func (r *recorder) Errorf(format string, args ...any) {
	r.errors = append(r.errors, fmt.Sprintf(format, args...))
}

func TestPrepareSQL(t *testing.T) {
	for _, test := range []struct {
		rule, source string
		found        int
		want         string // in the one error; empty for none
	}{
		{
			"prepares named arguments and joined constants",
			"const columns = `line, version`\nconst listSQL = `SELECT ` + columns + ` FROM river.river_migration WHERE line = @line AND version > @after`",
			1, "",
		},
		{"finds constants inside functions", "func list() string {\n\tconst listSQL = `SELECT 1`\n\treturn listSQL\n}", 1, ""},
		{"passes over constants of other names", "const notes = `SELECT nothing FROM nowhere`", 0, ""},
		{"reports a missing table, with its place", "const listSQL = `SELECT id FROM campaigns.missing`", 1, "source.go:3:7: listSQL: ERROR: relation"},
		{"reports a missing column", "const listSQL = `SELECT missing FROM river.river_job`", 1, "missing"},
		{"reports a wrong type", "const listSQL = `SELECT id FROM river.river_job WHERE id = @id::text`", 1, "operator does not exist"},
		{"reports two statements in one", "const listSQL = `SELECT 1; SELECT 2`", 1, "multiple commands"},
		{"reports what is not in our style", "const listSQL = `SELECT id from river.river_job`", 1, "from is a keyword"},
		{"reports a text that it cannot read", "const listSQL = other.Text", 1, "cannot read"},
	} {
		t.Run(test.rule, func(t *testing.T) {
			root := t.TempDir()
			dir := filepath.Join(root, "nested", "source")
			if err := os.MkdirAll(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			source := "package source\n\n" + test.source + "\n"
			if err := os.WriteFile(filepath.Join(dir, "source.go"), []byte(source), 0o644); err != nil {
				t.Fatal(err)
			}
			ignored := "package source\n\nconst ignoredSQL = `SELECT nothing FROM nowhere`\n"
			if err := os.WriteFile(filepath.Join(dir, "source_test.go"), []byte(ignored), 0o644); err != nil {
				t.Fatal(err)
			}

			record := &recorder{TB: t}
			if found := PrepareSQL(record, New(t), root); found != test.found {
				t.Errorf("found %d constants, want %d", found, test.found)
			}
			switch {
			case test.want == "" && len(record.errors) > 0:
				t.Errorf("errors: %v", record.errors)
			case test.want != "" && (len(record.errors) != 1 || !strings.Contains(record.errors[0], test.want)):
				t.Errorf("errors = %q, want one with %q", record.errors, test.want)
			}
		})
	}
}

func TestStyle(t *testing.T) {
	for _, test := range []struct{ sql, want string }{
		{"SELECT coalesce(d.id, '') FROM donations.donations AS d WHERE d.state = @from", ""},
		{"SELECT 'select * from' -- where\nFROM donations.donations AS d ORDER BY d.\"end\" OFFSET 0", ""},
		{"SELECT count(*) FROM donations.donations", ""},
		{"select d.id FROM donations.donations AS d", "select is a keyword"},
		{"SELECT d.id FROM donations.donations as d", "as is a keyword"},
		{"SELECT COALESCE(d.id, '') FROM donations.donations AS d", "COALESCE reads like a function"},
		{"SELECT * FROM donations.donations", "list them"},
		{"SELECT d.* FROM donations.donations AS d", "list them"},
		{"SELECT d.id FROM donations.donations AS d LIMIT 10 OFFSET @skip", "continue behind a key"},
	} {
		got := strings.Join(Style(test.sql), "; ")
		if test.want == "" && got != "" || !strings.Contains(got, test.want) {
			t.Errorf("%s: %q, want %q", test.sql, got, test.want)
		}
	}
}
