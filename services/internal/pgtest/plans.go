package pgtest

import (
	"context"
	"encoding/json"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

// IndexedSQL checks that row-level security takes no condition away from an index. It plans every SQL constant of the Go
// packages below root twice: for the owner, whom no policy concerns, and for the service's role with a member's scope.
// A condition that an index has for the owner, and that is tried on each row for the service, is an error of the test.
// Postgres evaluates what is not leakproof, such as coalesce and lower, only on rows that the policy lets pass, and so never
// in an index: see https://www.postgresql.org/docs/current/rules-privileges.html. CASE can stand where coalesce stood.
//
// except lists statements that need no index there, as package.constant, and why. One that loses no condition is an error
// too.
func IndexedSQL(t testing.TB, pool *pgxpool.Pool, root string, except map[string]string) {
	t.Helper()
	statements, err := sqlConstants(root)
	if err != nil {
		t.Fatal(err)
	}
	owner := planner(t, Owner(t, pool), postgres.AllScope())
	service := planner(t, pool, postgres.ScopeOf("somebody"))
	excused := map[string]bool{}
	for _, s := range statements {
		open, walled := owner(s), service(s)
		var lost []string
		for _, condition := range open.indexed {
			if !slices.Contains(walled.indexed, condition) && slices.ContainsFunc(condition.parts(), walled.tries) {
				lost = append(lost, condition.table+" "+condition.text)
			}
		}
		if len(lost) == 0 {
			continue
		}
		name := filepath.Base(filepath.Dir(s.position.Filename)) + "." + s.name
		if excused[name] = except[name] != ""; !excused[name] {
			t.Errorf("%s: %s: row-level security takes from an index\n\t%s", s.position, s.name, strings.Join(lost, "\n\t"))
		}
	}
	for name := range except {
		if !excused[name] {
			t.Errorf("%s is excused, and loses no condition of an index, or there is no such statement", name)
		}
	}
}

// plannerSettings make a plan show what indexes could do, whatever the statistics of empty tables say.
const plannerSettings = `
SELECT
	set_config('plan_cache_mode', 'force_generic_plan', false),
	set_config('enable_seqscan', 'off', false),
	set_config('enable_bitmapscan', 'off', false),
	set_config('enable_sort', 'off', false),
	set_config('enable_hashjoin', 'off', false),
	set_config('enable_mergejoin', 'off', false)`

// planner returns a function that plans a statement on one connection. A statement that has no plan, such as SET, has no
// conditions.
func planner(t testing.TB, pool *pgxpool.Pool, scope postgres.Scope) func(sqlConstant) planConditions {
	t.Helper()
	ctx := postgres.WithScope(context.Background(), scope)
	// The connection is not given back to the pool, since it keeps the settings.
	pooled, err := pool.Acquire(ctx)
	if err != nil {
		t.Fatal(err)
	}
	conn := pooled.Hijack()
	t.Cleanup(func() { _ = conn.Close(ctx) })
	if _, err := conn.Exec(ctx, plannerSettings); err != nil {
		t.Fatal(err)
	}
	return func(s sqlConstant) planConditions {
		t.Helper()
		const name = "planned"
		numbered, _, err := pgx.NamedArgs{}.RewriteQuery(ctx, conn, s.text, nil)
		if err != nil {
			t.Fatalf("%s: %s: %v", s.position, s.name, err)
		}
		prepared, err := conn.PgConn().Prepare(ctx, name, numbered, nil)
		if err != nil {
			t.Fatalf("%s: %s: %v", s.position, s.name, err)
		}
		defer func() { _, _ = conn.Exec(ctx, "DEALLOCATE "+name) }()
		arguments := strings.Join(slices.Repeat([]string{"NULL"}, len(prepared.ParamOIDs)), ", ")
		if arguments != "" {
			arguments = "(" + arguments + ")"
		}
		var text []byte
		if err := conn.QueryRow(ctx, "EXPLAIN (FORMAT JSON) EXECUTE "+name+arguments, pgx.QueryExecModeSimpleProtocol).Scan(&text); err != nil {
			t.Fatalf("%s: %s: %v", s.position, s.name, err)
		}
		var plans []struct{ Plan planNode }
		var found planConditions
		if json.Unmarshal(text, &plans) == nil {
			found.add(plans[0].Plan)
		}
		return found
	}
}

type planNode struct {
	Table   string `json:"Relation Name"`
	Indexed string `json:"Index Cond"`
	Filter  string
	Plans   []planNode
}

// planCondition is what a plan asks of the rows of a table.
type planCondition struct{ table, text string }

// parts are the conditions that one consists of, each with its table.
func (c planCondition) parts() []planCondition {
	var parts []planCondition
	for part := range strings.SplitSeq(c.text, " AND ") {
		parts = append(parts, planCondition{c.table, part})
	}
	return parts
}

// planConditions are those of a plan: what indexes find, and what is tried on rows that they found.
type planConditions struct{ indexed, filtered []planCondition }

func (c *planConditions) add(n planNode) {
	if n.Indexed != "" {
		c.indexed = append(c.indexed, planCondition{n.Table, comparableText(n.Indexed)})
	}
	if n.Filter != "" {
		c.filtered = append(c.filtered, planCondition{n.Table, comparableText(n.Filter)})
	}
	for _, child := range n.Plans {
		c.add(child)
	}
}

// tries reports whether the plan, which lost a condition of an index, tries it on rows. One with a function may have become a
// part of any join; one of columns alone may have been replaced by another way to the same rows.
func (c planConditions) tries(lost planCondition) bool {
	if planFunction.MatchString(lost.text) {
		return true
	}
	return slices.ContainsFunc(c.filtered, func(f planCondition) bool {
		return f.table == lost.table && strings.Contains(f.text, lost.text)
	})
}

var planFunction = regexp.MustCompile(`\b(COALESCE|[a-z_]+)\(`)

// planNames are what may differ in plans that do the same: the numbers of arguments and sub-plans, and aliases of tables.
var planNames = regexp.MustCompile(`\$\d+|SubPlan \d+|"[^"]*"\.|\b\w+\.`)

// comparableText takes from a condition what may differ, and the outermost parentheses.
func comparableText(condition string) string {
	condition = planNames.ReplaceAllStringFunc(condition, func(name string) string {
		if strings.HasSuffix(name, ".") {
			return ""
		}
		return "?"
	})
	if strings.Contains(condition, " AND ") {
		condition = strings.TrimSuffix(strings.TrimPrefix(condition, "("), ")")
	}
	return condition
}
