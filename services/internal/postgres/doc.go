// Package postgres connects the services to their database: the pool, transactions, the meaning of database errors, and
// the migrations of every schema. It knows errs and no service.
//
// # Roles
//
// The owner migrates. The service works as [ServiceRole], which may read and write rows as the migrations grant it, and
// may change no table: so the ledger stays append-only even if one of our queries is wrong. The service should log in as
// a role that is a member of ServiceRole and owns nothing; [LoginOwns] reports when it does not.
//
// # Row-level security
//
// A query sees and writes the rows of its scope alone: those of some collectives and of a person, or all ([Scope]). The pool
// sets the context's scope on the connection that it hands out; without one nothing is seen. Package rpc sets it for each
// call, jobs and commands have [AllScope]. Each table has a policy, or a reason in scope_test.go why it needs none.
//
// # Migrations
//
// A schema belongs to the service of its name. The first set, the files up to 00013, creates one schema in
// each file, for an empty database. River's own migrations create its tables in the schema river.
//
// Later migrations run while the program of the version before serves, on tables with millions of rows. They only add: a
// file that databases have is never changed (migrations/SHA256SUMS), and nothing goes down. Tests refuse what these rules
// forbid; migrations/README.md has each of the permitted forms to copy.
//
//   - The head of each file says what it is for, and has the line "-- On a million rows:" with the time that it takes and
//     what waits meanwhile.
//   - Indexes of an existing table are created and dropped CONCURRENTLY, in a file of their own without a transaction.
//   - A constraint is added NOT VALID, and validated in a later file. NOT NULL follows a validated check.
//   - A new column has no default, or a constant one. A type never changes.
//   - Rows are filled in batches, each with its own COMMIT.
//   - Nothing is renamed. What is dropped or revoked bears the line "-- Unused since" with the migration of the first
//     program that did not use it.
//
// # SQL
//
// A service keeps its SQL in constants, each right above the function that runs it, with a name that ends in SQL. A test
// here prepares every one of them on the migrated database. All SQL, in Go and in migrations, has one style:
//
//   - Keywords are in upper case. Identifiers, types and functions are in lower_snake_case, and so are coalesce, nullif,
//     greatest, least, excluded, true and false. AS stands before an alias. Indents are tabs in Go, and four spaces in
//     migrations.
//   - One clause on a line; below SELECT, SET, GROUP BY, ORDER BY and RETURNING one column on a line where there is more
//     than one; AND and OR at the beginning of a line.
//   - Tables with their schema. Columns are always listed, never *.
//   - Arguments by name (@collective), not by number.
//   - ORDER BY ends in a unique key. Pages continue behind a key, without OFFSET.
//   - Each constraint has a name. Columns are NOT NULL unless NULL has a meaning, which a comment says. Amounts are bigint
//     in minor units, times timestamptz.
package postgres
