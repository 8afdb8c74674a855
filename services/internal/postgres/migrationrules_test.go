package postgres_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/wasilibs/go-pgquery/parser"

	"github.com/cagnotte/cagnotte/services/internal/pgtest"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

// firstSet is the last version of the migrations that run on an empty database. Every later one runs while the program
// serves, on tables that may have millions of rows, and beside a program of the version before.
const firstSet = 13

// policies is the migration that gave each table before it a policy.
const policies = "00020"

var (
	costLine     = regexp.MustCompile(`(?m)^-- On a million rows: \S.*$`)
	unusedLine   = regexp.MustCompile(`(?m)^-- Unused since (\d{5}): \S.*$`)
	upLine       = regexp.MustCompile(`(?m)^-- \+goose Up$`)
	downLine     = regexp.MustCompile(`(?m)^-- \+goose Down`)
	noTxLine     = regexp.MustCompile(`(?m)^-- \+goose NO TRANSACTION$`)
	migrationNam = regexp.MustCompile(`^(\d{5})_[a-z][a-z0-9_]*\.sql$`)
)

// migrationChecker reads migrations in their order and collects what makes them unsafe. doc.go has the rules for people.
// It knows statements that are safe; all others are refused, so that a new kind is thought about once.
type migrationChecker struct {
	problems []string

	// What earlier files did. Constraints are named schema.table.constraint, columns schema.table.column.
	versions    map[string]bool
	unvalidated map[string]string   // constraints that are NOT VALID, and the file that added them
	notNull     map[string][]string // the columns that a check keeps from being NULL, by constraint
	proven      map[string]bool     // the columns of such checks that were validated

	// The file that is being read.
	name    string
	text    string
	noTx    bool
	unused  bool            // it says that no running program uses what it drops
	created map[string]bool // tables and schemas that it creates: nobody waits for these
	secured map[string]bool // tables that it gives row-level security
	scoped  map[string]bool // tables that it gives a policy
	dropped map[string]bool // indexes that it dropped concurrently
	waits   bool            // SET lock_timeout = 0 is in force
}

// unsafeMigrations returns what is unsafe in migrations, which are texts by the name of their file.
func unsafeMigrations(migrations map[string]string) []string {
	c := &migrationChecker{
		versions:    map[string]bool{},
		unvalidated: map[string]string{},
		notNull:     map[string][]string{},
		proven:      map[string]bool{},
	}
	for _, name := range slices.Sorted(maps.Keys(migrations)) {
		c.file(name, migrations[name])
	}
	for _, constraint := range slices.Sorted(maps.Keys(c.unvalidated)) {
		c.name = c.unvalidated[constraint]
		c.problem(0, "%s is never validated: add a later file with VALIDATE CONSTRAINT", constraint)
	}
	return c.problems
}

func (c *migrationChecker) file(name, text string) {
	c.name, c.text = name, text
	c.created, c.dropped, c.waits = map[string]bool{}, map[string]bool{}, false
	c.secured, c.scoped = map[string]bool{}, map[string]bool{}
	version := migrationNam.FindStringSubmatch(name)
	if version == nil {
		c.problem(0, "the name is not of the form 00014_what_it_does.sql")
		return
	}
	defer func() { c.versions[version[1]] = true }()
	up := upLine.FindStringIndex(text)
	if up == nil {
		c.problem(0, "there is no line -- +goose Up")
		return
	}
	if downLine.MatchString(text) {
		c.problem(0, "migrations only go up: remove -- +goose Down")
	}
	if version[1] <= fmt.Sprintf("%05d", firstSet) {
		return
	}
	head := text[:up[0]]
	if !costLine.MatchString(head) {
		c.problem(0, "the head has no line -- On a million rows: how long it takes, and what waits meanwhile")
	}
	c.unused = false
	if unused := unusedLine.FindStringSubmatch(head); unused != nil {
		if c.unused = c.versions[unused[1]]; !c.unused {
			c.problem(0, "Unused since %s: there is no such earlier migration", unused[1])
		}
	}
	c.noTx = noTxLine.MatchString(head)
	c.statements(text, 0)
	for _, table := range slices.Sorted(maps.Keys(c.created)) {
		if _, listed := unscoped[table]; strings.Contains(table, ".") && !listed && !(c.secured[table] && c.scoped[table]) && version[1] > policies {
			c.problem(0, "%s has no policy: copy that of README.md, or say in unscoped of scope_test.go why it needs none", table)
		}
	}
	if c.waits {
		c.problem(0, "RESET lock_timeout at the end: the migrations that follow have the same connection")
	}
}

// problem reports something at a byte of the file's text; 0 is the file as a whole.
func (c *migrationChecker) problem(at int, format string, args ...any) {
	place := c.name
	if at > 0 {
		place = fmt.Sprintf("%s:%d", c.name, 1+strings.Count(c.text[:at], "\n"))
	}
	c.problems = append(c.problems, place+": "+fmt.Sprintf(format, args...))
}

// statements checks each statement of an SQL text that stands at an offset of the file.
func (c *migrationChecker) statements(text string, offset int) {
	for _, s := range c.parse(text, offset) {
		for kind, body := range s.body {
			c.statement(kind, node(body.(map[string]any)), s)
		}
	}
}

// parsed is a statement of the file.
type parsed struct {
	body node
	text string
	at   int
}

func (c *migrationChecker) parse(text string, offset int) []parsed {
	raw, err := parser.ParseToJSON(text)
	if err != nil {
		c.problem(offset, "Postgres cannot read it: %v", err)
		return nil
	}
	var tree struct {
		Stmts []struct {
			Stmt     node `json:"stmt"`
			Location int  `json:"stmt_location"`
			Length   int  `json:"stmt_len"`
		} `json:"stmts"`
	}
	if err := json.Unmarshal([]byte(raw), &tree); err != nil {
		c.problem(offset, "the parser's answer cannot be read: %v", err)
		return nil
	}
	var all []parsed
	for _, s := range tree.Stmts {
		statement := text[s.Location:]
		if s.Length > 0 {
			statement = statement[:s.Length]
		}
		// Comments and space before the statement belong to it, and would give the line of the one before.
		lead := len(statement) - len(regexp.MustCompile(`^(\s+|--[^\n]*\n)*`).ReplaceAllString(statement, ""))
		all = append(all, parsed{s.Stmt, statement[lead:], offset + s.Location + lead})
	}
	return all
}

// onCreatedSchema reports whether a GRANT or REVOKE is about schemas that this file creates.
func (c *migrationChecker) onCreatedSchema(body node) bool {
	return body.text("objtype") == "OBJECT_SCHEMA" && !slices.ContainsFunc(body.list("objects"), func(o node) bool {
		return !c.created[o.child("String").text("sval")]
	})
}

func (c *migrationChecker) statement(kind string, body node, s parsed) {
	if c.noTx && !c.repeats(kind, body) {
		c.problem(s.at, "a file with NO TRANSACTION is half done when a later statement fails: only what can be repeated may be in it")
		return
	}
	switch kind {
	case "CreateSchemaStmt":
		c.created[body.text("schemaname")] = true
	case "CreateDomainStmt", "CreateEnumStmt", "AlterEnumStmt", "CreateSeqStmt", "CreateFunctionStmt",
		"ViewStmt", "CommentStmt", "CreateTrigStmt", "AlterFunctionStmt":
		// They read no rows, and lock a table for a moment at most.
	case "CreatePolicyStmt":
		c.scoped[body.child("table").table()] = true
	case "GrantStmt":
		if !body.flag("is_grant") && !c.unused && !c.onCreatedSchema(body) {
			c.problem(s.at, "the program that still serves may use what it revokes: say in the head -- Unused since 00000: why")
		}
	case "CreateStmt":
		if body.has("partbound") || body.has("inhRelations") {
			c.problem(s.at, "a table that inherits locks the other one: say in this test when that is safe")
		}
		c.created[body.child("relation").table()] = true
	case "IndexStmt":
		c.createIndex(body, s.at)
	case "DropStmt":
		c.drop(body, s.at)
	case "ReindexStmt":
		if !slices.ContainsFunc(body.list("params"), func(p node) bool { return p.child("DefElem").text("defname") == "concurrently" }) {
			c.problem(s.at, "REINDEX blocks writes while it builds: use CONCURRENTLY")
		}
	case "AlterTableStmt":
		c.alterTable(body, s.at)
	case "RenameStmt", "AlterObjectSchemaStmt":
		c.problem(s.at, "the program that still serves knows the old name: add the new one, copy, and drop the old one later")
	case "UpdateStmt", "DeleteStmt", "InsertStmt":
		c.change(kind, body, s.at, false)
	case "DoStmt":
		c.do(s)
	case "VariableSetStmt":
		if body.text("name") != "lock_timeout" || !c.noTx {
			c.problem(s.at, "SET stays in force for the migrations that follow")
		}
		c.waits = body.text("kind") == "VAR_SET_VALUE"
	default:
		c.problem(s.at, "%s is not known to be safe: if it is, say so in this test", kind)
	}
}

// repeats reports whether a statement of a file without a transaction may run again after a failure behind it.
func (c *migrationChecker) repeats(kind string, body node) bool {
	switch kind {
	case "IndexStmt", "DropStmt", "ReindexStmt", "VariableSetStmt", "DoStmt":
		return kind != "DropStmt" || body.text("removeType") == "OBJECT_INDEX"
	case "AlterTableStmt":
		return !slices.ContainsFunc(body.list("cmds"), func(cmd node) bool {
			return cmd.child("AlterTableCmd").text("subtype") != "AT_ValidateConstraint"
		})
	}
	return false
}

func (c *migrationChecker) createIndex(body node, at int) {
	table := body.child("relation").table()
	switch name := body.child("relation").text("schemaname") + "." + body.text("idxname"); {
	case !body.flag("concurrent"):
		if !c.created[table] {
			c.problem(at, "CREATE INDEX blocks writes to %s while it builds: use CONCURRENTLY", table)
		}
	case !c.noTx:
		c.problem(at, "CONCURRENTLY needs a file with -- +goose NO TRANSACTION")
	case body.flag("if_not_exists"):
		c.problem(at, "IF NOT EXISTS keeps an index that an earlier failure left invalid: drop it first, always")
	case !c.dropped[name]:
		c.problem(at, "a failure before may have left %s invalid: DROP INDEX CONCURRENTLY IF EXISTS first", name)
	case !c.waits:
		c.problem(at, "SET lock_timeout = 0 first: CONCURRENTLY waits for all running transactions, and blocks nobody")
	}
}

func (c *migrationChecker) drop(body node, at int) {
	switch body.text("removeType") {
	case "OBJECT_INDEX":
		switch {
		case !body.flag("concurrent"):
			c.problem(at, "DROP INDEX waits for all queries of the table, and all others wait behind it: use CONCURRENTLY")
		case !c.noTx:
			c.problem(at, "CONCURRENTLY needs a file with -- +goose NO TRANSACTION")
		case !body.flag("missing_ok"):
			c.problem(at, "a file without a transaction runs again after a failure: use IF EXISTS")
		case !c.waits:
			c.problem(at, "SET lock_timeout = 0 first: CONCURRENTLY waits for all running transactions, and blocks nobody")
		}
		for _, object := range body.list("objects") {
			c.dropped[object.child("List").name("items")] = true
		}
	case "OBJECT_TRIGGER":
	default:
		if !c.unused {
			c.problem(at, "the program that still serves may use what it drops: say in the head -- Unused since 00000: why")
		}
	}
	if body.text("behavior") == "DROP_CASCADE" {
		c.problem(at, "CASCADE drops what nobody named")
	}
}

func (c *migrationChecker) alterTable(body node, at int) {
	table := body.child("relation").table()
	for _, each := range body.list("cmds") {
		cmd := each.child("AlterTableCmd")
		if cmd.text("subtype") == "AT_EnableRowSecurity" {
			c.secured[table] = true
			continue
		}
		if c.created[table] {
			continue
		}
		name := table + "." + cmd.text("name")
		switch cmd.text("subtype") {
		case "AT_ColumnDefault", "AT_SetStorage", "AT_DropNotNull", "AT_DropConstraint", "AT_SetStatistics", "AT_SetRelOptions", "AT_ResetRelOptions":
			// The catalogue alone changes.
		case "AT_AddColumn":
			c.addColumn(table, cmd.child("def", "ColumnDef"), at)
		case "AT_DropColumn":
			if !c.unused {
				c.problem(at, "the program that still serves may use %s: say in the head -- Unused since 00000: why", name)
			}
		case "AT_AddConstraint":
			c.addConstraint(table, cmd.child("def", "Constraint"), at)
		case "AT_ValidateConstraint":
			if c.unvalidated[name] == c.name {
				c.problem(at, "%s is validated under the lock of the statement that adds it: validate in a later file", name)
			}
			delete(c.unvalidated, name)
			for _, column := range c.notNull[name] {
				c.proven[column] = true
			}
		case "AT_SetNotNull":
			if !c.proven[name] {
				c.problem(at, "SET NOT NULL reads all of %s while everybody waits: validate a CHECK (… IS NOT NULL) in an earlier file", table)
			}
		case "AT_AlterColumnType":
			c.problem(at, "ALTER COLUMN TYPE writes %s anew while everybody waits: add a column, fill it in batches, drop the old one later", table)
		default:
			c.problem(at, "%s is not known to be safe: if it is, say so in this test", cmd.text("subtype"))
		}
	}
}

func (c *migrationChecker) addColumn(table string, column node, at int) {
	name := table + "." + column.text("colname")
	types := column.child("typeName").list("names")
	if len(types) > 1 && types[0].child("String").text("sval") != "pg_catalog" {
		c.problem(at, "%s is of a type of our own: if that is a domain with a rule, the table is written anew", name)
	}
	if last := types[len(types)-1].child("String").text("sval"); strings.Contains(last, "serial") {
		c.problem(at, "%s: a serial writes the table anew", name)
	}
	var notNull, hasDefault bool
	for _, each := range column.list("constraints") {
		constraint := each.child("Constraint")
		switch constraint.text("contype") {
		case "CONSTR_NULL":
		case "CONSTR_NOTNULL":
			notNull = true
		case "CONSTR_DEFAULT":
			hasDefault = true
			if !constant(constraint.child("raw_expr")) {
				c.problem(at, "%s: the table is written anew where a default differs from row to row: use a constant, or SET DEFAULT after", name)
			}
		case "CONSTR_IDENTITY", "CONSTR_GENERATED":
			c.problem(at, "%s: a computed column writes the table anew", name)
		default:
			c.problem(at, "%s: a constraint with the column is checked at once: add it NOT VALID", name)
		}
	}
	if notNull && !hasDefault {
		c.problem(at, "%s: NOT NULL without a default fails where there are rows", name)
	}
}

// constant reports whether a default is evaluated once for all rows that are there.
func constant(expression node) bool {
	for kind, body := range expression {
		inner := node(body.(map[string]any))
		switch kind {
		case "A_Const", "SQLValueFunction":
			return true
		case "TypeCast":
			return constant(inner.child("arg"))
		case "A_ArrayExpr":
			return !slices.ContainsFunc(inner.list("elements"), func(e node) bool { return !constant(e) })
		case "FuncCall":
			switch inner.name("funcname") {
			case "now", "pg_catalog.now", "transaction_timestamp", "statement_timestamp":
				return true
			}
		}
	}
	return false
}

func (c *migrationChecker) addConstraint(table string, constraint node, at int) {
	name := table + "." + constraint.text("conname")
	if constraint.text("conname") == "" {
		c.problem(at, "a constraint of %s has no name", table)
	}
	switch constraint.text("contype") {
	case "CONSTR_CHECK", "CONSTR_FOREIGN":
		if !constraint.flag("skip_validation") {
			c.problem(at, "%s is checked for all rows while everybody waits: add it NOT VALID, and validate in a later file", name)
			return
		}
		c.unvalidated[name] = c.name
		c.notNull[name] = nil
		for _, column := range notNullColumns(constraint.child("raw_expr")) {
			c.notNull[name] = append(c.notNull[name], table+"."+column)
		}
	case "CONSTR_UNIQUE":
		if constraint.text("indexname") == "" {
			c.problem(at, "%s builds an index while everybody waits: create it CONCURRENTLY, then add the constraint USING INDEX", name)
		}
	default:
		c.problem(at, "%s: a constraint of this kind reads all of %s while everybody waits", name, table)
	}
}

// notNullColumns returns the columns of which a check says that they are not NULL, whatever else it says.
func notNullColumns(expression node) []string {
	if test := expression.child("NullTest"); test.text("nulltesttype") == "IS_NOT_NULL" {
		if column := test.child("arg", "ColumnRef"); column != nil {
			return []string{column.name("fields")}
		}
	}
	var columns []string
	if all := expression.child("BoolExpr"); all.text("boolop") == "AND_EXPR" {
		for _, arg := range all.list("args") {
			columns = append(columns, notNullColumns(arg)...)
		}
	}
	return columns
}

// change checks a statement that writes rows, which a data modification in a CTE is too.
func (c *migrationChecker) change(kind string, body node, at int, inBatches bool) {
	table := body.child("relation").table()
	if kind == "InsertStmt" && body.child("selectStmt", "SelectStmt").has("valuesLists") {
		return
	}
	if c.created[table] && kind != "InsertStmt" || inBatches && bounded(body) {
		return
	}
	c.problem(at, "%s may touch all rows in one transaction: in a DO block of a file with NO TRANSACTION, LOOP over it with LIMIT and COMMIT",
		strings.ToUpper(strings.TrimSuffix(kind, "Stmt")))
}

// bounded reports whether a statement takes a limited number of rows.
func bounded(body node) bool {
	return slices.ContainsFunc(find(body, "SelectStmt"), func(s node) bool { return s.has("limitCount") })
}

var loops = []string{"PLpgSQL_stmt_loop", "PLpgSQL_stmt_while", "PLpgSQL_stmt_fori", "PLpgSQL_stmt_fors"}

// do checks each statement of a DO block as if it stood in the file. A loop that commits may write rows.
func (c *migrationChecker) do(s parsed) {
	raw, err := parser.ParsePlPgSqlToJSON(s.text)
	if err != nil {
		c.problem(s.at, "Postgres cannot read the block: %v", err)
		return
	}
	var functions []any
	if err := json.Unmarshal([]byte(raw), &functions); err != nil {
		c.problem(s.at, "the parser's answer cannot be read: %v", err)
		return
	}
	c.block(functions, s.at, false)
}

func (c *migrationChecker) block(value any, at int, inBatches bool) {
	switch v := value.(type) {
	case []any:
		for _, each := range v {
			c.block(each, at, inBatches)
		}
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			batches := inBatches
			switch {
			case slices.Contains(loops, key):
				batches = inBatches || len(find(v[key], "PLpgSQL_stmt_commit")) > 0
				if batches && !c.noTx {
					c.problem(at, "COMMIT needs a file with -- +goose NO TRANSACTION")
				}
			case key == "PLpgSQL_stmt_dynexecute", key == "PLpgSQL_stmt_dynfors", key == "PLpgSQL_stmt_call":
				c.problem(at, "nobody can check what runs here: write the statement itself")
			case key == "PLpgSQL_expr":
				c.blockStatement(node(v[key].(map[string]any)), at, inBatches)
			}
			c.block(v[key], at, batches)
		}
	}
}

// blockStatement checks an expression of a DO block where it is a whole statement, as parse mode 0 tells.
func (c *migrationChecker) blockStatement(expression node, at int, inBatches bool) {
	if mode, _ := expression["parseMode"].(float64); mode != 0 {
		return
	}
	for _, s := range c.parse(expression.text("query"), 0) {
		for _, kind := range []string{"UpdateStmt", "DeleteStmt", "InsertStmt"} {
			for _, body := range find(s.body, kind) {
				c.change(kind, body, at, inBatches)
			}
		}
		for kind, body := range s.body {
			switch kind {
			case "UpdateStmt", "DeleteStmt", "InsertStmt":
			case "SelectStmt":
				for _, call := range find(body, "FuncCall") {
					if name := call.name("funcname"); strings.Contains(name, ".") && !strings.HasPrefix(name, "pg_catalog.") {
						c.problem(at, "nobody can check what %s does: write the statements themselves", name)
					}
				}
			default:
				c.problem(at, "%s in a DO block: write it as a statement of its own", kind)
			}
		}
	}
}

// node is one node of the parser's tree. A missing child is an empty node.
type node map[string]any

func (n node) child(path ...string) node {
	for _, key := range path {
		next, ok := n[key].(map[string]any)
		if !ok {
			return nil
		}
		n = next
	}
	return n
}

func (n node) list(key string) []node {
	var all []node
	values, _ := n[key].([]any)
	for _, value := range values {
		if each, ok := value.(map[string]any); ok {
			all = append(all, each)
		}
	}
	return all
}

func (n node) text(key string) string { s, _ := n[key].(string); return s }
func (n node) flag(key string) bool   { b, _ := n[key].(bool); return b }
func (n node) has(key string) bool    { _, ok := n[key]; return ok }
func (n node) table() string          { return n.text("schemaname") + "." + n.text("relname") }

// name joins a list of identifiers with dots.
func (n node) name(key string) string {
	var parts []string
	for _, part := range n.list(key) {
		parts = append(parts, part.child("String").text("sval"))
	}
	return strings.Join(parts, ".")
}

// find returns the nodes of a kind in a tree, also those inside each other.
func find(value any, kind string) []node {
	var found []node
	switch v := value.(type) {
	case node:
		return find(map[string]any(v), kind)
	case []any:
		for _, each := range v {
			found = append(found, find(each, kind)...)
		}
	case map[string]any:
		for key, each := range v {
			if body, ok := each.(map[string]any); ok && key == kind {
				found = append(found, body)
			}
			found = append(found, find(each, kind)...)
		}
	}
	return found
}

func readMigrations(t *testing.T) map[string]string {
	t.Helper()
	files := os.DirFS("migrations")
	names, err := fs.Glob(files, "*.sql")
	if err != nil || len(names) == 0 {
		t.Fatalf("no migrations: %v", err)
	}
	texts := map[string]string{}
	for _, name := range names {
		text, err := fs.ReadFile(files, name)
		if err != nil {
			t.Fatal(err)
		}
		texts[name] = string(text)
	}
	return texts
}

func TestLaterMigrationsAreSafeWhileTheProgramServes(t *testing.T) {
	for _, problem := range unsafeMigrations(readMigrations(t)) {
		t.Error(problem)
	}
}

func TestMigrationsAreInOurStyle(t *testing.T) {
	for name, text := range readMigrations(t) {
		for _, problem := range pgtest.Style(text) {
			t.Errorf("%s: %s", name, problem)
		}
	}
}

// planted is the text of a later migration with the lines that each needs.
func planted(head, statements string) string {
	return cmp.Or(head, "-- On a million rows: a moment.") + "\n\n-- +goose Up\n\n" + statements + "\n"
}

const (
	cost         = "-- On a million rows: a moment."
	noTx         = cost + "\n-- +goose NO TRANSACTION"
	unused00001  = cost + "\n-- Unused since 00001: nothing reads it."
	notValidPaid = "ALTER TABLE a.t ADD CONSTRAINT t_paid CHECK (paid IS NOT NULL AND paid > 0) NOT VALID;"
)

func TestUnsafeMigrationsAreRefused(t *testing.T) {
	inBatches := func(body string) string { return "DO $$\nBEGIN\n" + body + "\nEND\n$$;" }
	for _, c := range []struct {
		rule, head, statements, problem string
	}{
		{"without its cost", "-- Adds a column.", "ALTER TABLE a.t ADD COLUMN c text;", "On a million rows"},
		{"that goes down", "", "ALTER TABLE a.t ADD COLUMN c text;\n\n-- +goose Down\nSELECT 1;", "only go up"},
		{"that does not parse", "", "ALTER TABEL a.t;", "cannot read it"},
		{"an index that blocks writes", "", "CREATE INDEX t_idx ON a.t (c);", ":5: CREATE INDEX blocks writes to a.t"},
		{"a unique index that blocks writes", "", "CREATE UNIQUE INDEX t_idx ON a.t (c);", "use CONCURRENTLY"},
		{"a concurrent index in a transaction", "", "CREATE INDEX CONCURRENTLY t_idx ON a.t (c);", "NO TRANSACTION"},
		{
			"a concurrent index that keeps an invalid one", noTx,
			"SET lock_timeout = 0;\nCREATE INDEX CONCURRENTLY IF NOT EXISTS t_idx ON a.t (c);\nRESET lock_timeout;", "left invalid",
		},
		{
			"a concurrent index over one that may be invalid", noTx,
			"SET lock_timeout = 0;\nCREATE INDEX CONCURRENTLY t_idx ON a.t (c);\nRESET lock_timeout;", "a.t_idx invalid",
		},
		{
			"a concurrent index that gives up after ten seconds", noTx,
			"DROP INDEX CONCURRENTLY IF EXISTS a.t_idx;\nCREATE INDEX CONCURRENTLY t_idx ON a.t (c);", "SET lock_timeout = 0",
		},
		{"a lock_timeout that stays", noTx, "SET lock_timeout = 0;\nDROP INDEX CONCURRENTLY IF EXISTS a.t_idx;", "RESET lock_timeout"},
		{"an index that is dropped under a lock", "", "DROP INDEX a.t_idx;", "use CONCURRENTLY"},
		{
			"a concurrent drop that cannot be repeated", noTx,
			"SET lock_timeout = 0;\nDROP INDEX CONCURRENTLY a.t_idx;\nRESET lock_timeout;", "IF EXISTS",
		},
		{"REINDEX under a lock", noTx, "REINDEX INDEX a.t_idx;", "use CONCURRENTLY"},
		{"a check that reads the table", "", "ALTER TABLE a.t ADD CONSTRAINT t_c CHECK (c > 0);", "a.t.t_c is checked for all rows"},
		{"a foreign key that reads the table", "", "ALTER TABLE a.t ADD CONSTRAINT t_u FOREIGN KEY (u) REFERENCES a.u (id);", "NOT VALID"},
		{"a check that is validated under its lock", "", notValidPaid + "\nALTER TABLE a.t VALIDATE CONSTRAINT t_paid;", "in a later file"},
		{"a check that is never validated", "", notValidPaid, "a.t.t_paid is never validated"},
		{"a constraint without a name", "", "ALTER TABLE a.t ADD CHECK (c > 0) NOT VALID;", "has no name"},
		{"a unique constraint that builds its index", "", "ALTER TABLE a.t ADD CONSTRAINT t_c UNIQUE (c);", "USING INDEX"},
		{"a primary key", "", "ALTER TABLE a.t ADD CONSTRAINT t_pkey PRIMARY KEY (c);", "reads all of a.t"},
		{"an exclusion", "", "ALTER TABLE a.t ADD CONSTRAINT t_x EXCLUDE USING gist (c WITH &&);", "reads all of a.t"},
		{"another type of a column", "", "ALTER TABLE a.t ALTER COLUMN c TYPE bigint;", "writes a.t anew"},
		{"NOT NULL without a proof", "", "ALTER TABLE a.t ALTER COLUMN paid SET NOT NULL;", "reads all of a.t"},
		{"a default that differs from row to row", "", "ALTER TABLE a.t ADD COLUMN c timestamptz NOT NULL DEFAULT clock_timestamp();", "written anew"},
		{"a random default", "", "ALTER TABLE a.t ADD COLUMN c uuid DEFAULT gen_random_uuid();", "written anew"},
		{"a column that is NOT NULL without a default", "", "ALTER TABLE a.t ADD COLUMN c text NOT NULL;", "fails where there are rows"},
		{"an identity", "", "ALTER TABLE a.t ADD COLUMN c bigint GENERATED ALWAYS AS IDENTITY;", "written anew|writes the table anew"},
		{"a computed column", "", "ALTER TABLE a.t ADD COLUMN c text GENERATED ALWAYS AS (lower(d)) STORED;", "writes the table anew"},
		{"a serial", "", "ALTER TABLE a.t ADD COLUMN c bigserial;", "writes the table anew"},
		{"a column of a domain", "", "ALTER TABLE a.t ADD COLUMN c ledger.amount;", "a domain with a rule"},
		{"a column with a check", "", "ALTER TABLE a.t ADD COLUMN c bigint CHECK (c > 0);", "add it NOT VALID"},
		{"a column with a foreign key", "", "ALTER TABLE a.t ADD COLUMN c bigint REFERENCES a.u (id);", "add it NOT VALID"},
		{"a dropped column", "", "ALTER TABLE a.t DROP COLUMN c;", "may use a.t.c"},
		{"a dropped table", "", "DROP TABLE a.t;", "may use what it drops"},
		{"a dropped function", "", "DROP FUNCTION a.f(bigint);", "may use what it drops"},
		{"a right that is revoked", "", "REVOKE UPDATE ON a.t FROM cagnotte_service;", "may use what it revokes"},
		{"a dropped schema with all that is in it", unused00001, "DROP SCHEMA a CASCADE;", "CASCADE"},
		{
			"what is unused since a migration that is not there", cost + "\n-- Unused since 99999: nothing reads it.",
			"ALTER TABLE a.t DROP COLUMN c;", "no such earlier migration",
		},
		{"another name of a column", "", "ALTER TABLE a.t RENAME COLUMN c TO d;", "knows the old name"},
		{"another name of a table", "", "ALTER TABLE a.t RENAME TO u;", "knows the old name"},
		{"another schema of a table", "", "ALTER TABLE a.t SET SCHEMA b;", "knows the old name"},
		{"another tablespace", "", "ALTER TABLE a.t SET TABLESPACE more;", "not known to be safe"},
		{"a trigger that stands aside", "", "ALTER TABLE a.t DISABLE TRIGGER t_append_only;", "not known to be safe"},
		{"a partition", "", "CREATE TABLE a.p PARTITION OF a.t FOR VALUES IN (1);", "locks the other one"},
		{"a lock", "", "LOCK TABLE a.t IN SHARE MODE;", "LockStmt is not known"},
		{"TRUNCATE", "", "TRUNCATE a.t;", "TruncateStmt is not known"},
		{"VACUUM FULL", noTx, "VACUUM FULL a.t;", "half done"},
		{"a stricter domain", "", "ALTER DOMAIN a.d ADD CONSTRAINT d_c CHECK (VALUE > 0);", "AlterDomainStmt is not known"},
		{"a call that does anything", "", "SELECT a.f();", "SelectStmt is not known"},
		{"a setting that stays", "", "SET search_path = a;", "stays in force"},
		{"all rows in one UPDATE", "", "UPDATE a.t SET c = 1 WHERE c IS NULL;", "UPDATE may touch all rows"},
		{"all rows in one DELETE", "", "DELETE FROM a.t;", "DELETE may touch all rows"},
		{"all rows copied at once", "", "INSERT INTO a.t SELECT * FROM a.u;", "INSERT may touch all rows"},
		{"one UPDATE in a DO block", "", inBatches("UPDATE a.t SET c = 1;"), "UPDATE may touch all rows"},
		{
			"a loop that does not commit", noTx, inBatches("LOOP UPDATE a.t SET c = 1 WHERE id IN (SELECT id FROM a.t LIMIT 9); EXIT WHEN NOT FOUND; END LOOP;"),
			"LIMIT and COMMIT",
		},
		{"a loop without a limit", noTx, inBatches("LOOP UPDATE a.t SET c = 1; EXIT WHEN NOT FOUND; COMMIT; END LOOP;"), "LIMIT and COMMIT"},
		{
			"a loop that commits in a transaction", "",
			inBatches("LOOP UPDATE a.t SET c = 1 WHERE id IN (SELECT id FROM a.t LIMIT 9); EXIT WHEN NOT FOUND; COMMIT; END LOOP;"), "NO TRANSACTION",
		},
		{
			"a DELETE in a CTE of a DO block", "", inBatches("PERFORM 1 FROM (SELECT 1) AS x; WITH gone AS (DELETE FROM a.t RETURNING 1) INSERT INTO a.u SELECT * FROM gone;"),
			"DELETE may touch all rows",
		},
		{"a statement that is put together", "", inBatches("EXECUTE 'DROP TABLE a.' || 't';"), "nobody can check"},
		{"a function of ours in a DO block", "", inBatches("PERFORM a.f();"), "nobody can check what a.f does"},
		{"DDL in a DO block", "", inBatches("CREATE INDEX t_idx ON a.t (c);"), "IndexStmt in a DO block"},
		{"a table without a policy", "", "CREATE TABLE a.n (id bigint);", "a.n has no policy"},
		{
			"a table whose policy is not in force", "", "CREATE TABLE a.n (id bigint);\nCREATE POLICY n_scope ON a.n USING (true);",
			"a.n has no policy",
		},
		{"a table without a transaction", noTx, "CREATE TABLE a.n (id bigint);", "half done"},
	} {
		t.Run(c.rule, func(t *testing.T) {
			problems := unsafeMigrations(map[string]string{
				"00001_first.sql":   "-- +goose Up\n",
				"90000_planted.sql": planted(c.head, c.statements),
			})
			if len(problems) == 0 {
				t.Fatal("it passes")
			}
			if !regexp.MustCompile(c.problem).MatchString(strings.Join(problems, "\n")) {
				t.Errorf("want %q, got\n%s", c.problem, strings.Join(problems, "\n"))
			}
		})
	}
	t.Run("a name of another form", func(t *testing.T) {
		if got := unsafeMigrations(map[string]string{"10_more.sql": planted("", "")}); len(got) != 1 || !strings.Contains(got[0], "form") {
			t.Errorf("got %q", got)
		}
	})
}

func TestSafeMigrationsPass(t *testing.T) {
	for _, c := range []struct {
		rule  string
		files map[string]string
	}{
		{"a new table with all that belongs to it", map[string]string{"90000_new.sql": planted("", `
CREATE SCHEMA IF NOT EXISTS b;
CREATE TABLE b.n (
    id bigint GENERATED ALWAYS AS IDENTITY,
    t  bigint NOT NULL,
    c  timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT n_pkey PRIMARY KEY (id),
    CONSTRAINT n_t_fkey FOREIGN KEY (t) REFERENCES a.t (id)
);
CREATE INDEX n_t_idx ON b.n (t);
ALTER TABLE b.n ADD CONSTRAINT n_c CHECK (t > 0);
CREATE FUNCTION b.f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN DELETE FROM a.t; RETURN NULL; END $$;
CREATE TRIGGER n_f BEFORE UPDATE ON b.n FOR EACH STATEMENT EXECUTE FUNCTION b.f();
GRANT SELECT, INSERT ON b.n TO cagnotte_service;
ALTER TABLE b.n ENABLE ROW LEVEL SECURITY;
CREATE POLICY n_scope ON b.n USING (true);
INSERT INTO b.n (t) VALUES (1), (2);`)}},
		{"columns that rewrite nothing", map[string]string{"90000_columns.sql": planted("", `
ALTER TABLE a.t
    ADD COLUMN c text,
    ADD COLUMN d bigint NOT NULL DEFAULT -1,
    ADD COLUMN e text[] NOT NULL DEFAULT '{}',
    ADD COLUMN f timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN g timestamptz NOT NULL DEFAULT '-infinity'::timestamptz;
ALTER TABLE a.t ALTER COLUMN g SET DEFAULT clock_timestamp();
GRANT UPDATE (c) ON a.t TO cagnotte_service;`)}},
		{"a check in two steps, and NOT NULL in a third", map[string]string{
			"90000_add.sql":      planted("", notValidPaid),
			"90001_validate.sql": planted("", "ALTER TABLE a.t VALIDATE CONSTRAINT t_paid;"),
			"90002_not_null.sql": planted("", "ALTER TABLE a.t ALTER COLUMN paid SET NOT NULL;\nALTER TABLE a.t DROP CONSTRAINT t_paid;"),
		}},
		{"a unique constraint over an index", map[string]string{
			"90000_index.sql":  planted(noTx, "SET lock_timeout = 0;\nDROP INDEX CONCURRENTLY IF EXISTS a.t_c;\nCREATE UNIQUE INDEX CONCURRENTLY t_c ON a.t (c);\nRESET lock_timeout;"),
			"90001_unique.sql": planted("", "ALTER TABLE a.t ADD CONSTRAINT t_c UNIQUE USING INDEX t_c;"),
		}},
		{"batches that commit", map[string]string{"90000_fill.sql": planted(noTx, `
DO $$
BEGIN
    LOOP
        UPDATE a.t SET c = 1 WHERE id IN (SELECT id FROM a.t WHERE c IS NULL ORDER BY id LIMIT 1000);
        EXIT WHEN NOT FOUND;
        COMMIT;
    END LOOP;
END
$$;`)}},
		{"a column that nothing uses any more", map[string]string{
			"00001_first.sql":    "-- +goose Up\n",
			"90000_contract.sql": planted(unused00001, "ALTER TABLE a.t DROP COLUMN c;\nDROP TABLE a.u;"),
		}},
	} {
		t.Run(c.rule, func(t *testing.T) {
			for _, problem := range unsafeMigrations(c.files) {
				t.Error(problem)
			}
		})
	}
}

// The forms of migrations/README.md are permitted, and Postgres takes them one after the other.
func TestTheFormsToCopy(t *testing.T) {
	readme, err := os.ReadFile("migrations/README.md")
	if err != nil {
		t.Fatal(err)
	}
	forms := map[string]string{}
	for i, match := range regexp.MustCompile("(?s)```sql\n(.*?)```").FindAllStringSubmatch(string(readme), -1) {
		text := match[1]
		if !upLine.MatchString(text) {
			// Only head and statement are shown.
			text = regexp.MustCompile(`^(-- .*\n)+`).ReplaceAllString(text, "$0\n-- +goose Up\n\n")
		}
		// Behind all that there are, so that no number is there twice.
		forms[fmt.Sprintf("%05d_form.sql", 90000+i)] = strings.Replace(text, "Unused since 00014", "Unused since 90000", 1)
	}
	if len(forms) == 0 {
		t.Fatal("there are none")
	}
	// later reports what is unsafe.
	if err := postgres.MigrateFiles(testContext(t), pgtest.NewURL(t), nil, later(t, forms)); err != nil {
		t.Fatal(err)
	}
}
