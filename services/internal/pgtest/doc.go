// Package pgtest gives every test a migrated database of its own, on a real Postgres.
//
// A test binary that uses it has
//
//	func TestMain(m *testing.M) { pgtest.Main(m) }
//
// and its tests call [New] for a pool as the service's role, [NewURL] to start a whole program, or [Owner] for what the
// service may not do. The first call starts a private server and migrates a template. Each database is a copy of the
// template, which takes some tens of milliseconds, and is dropped when its test ends. Tests may run in parallel.
//
// CAGNOTTE_TEST_DATABASE_URL is the address of a server to use instead of a private one. Its role needs CREATEDB and
// CREATEROLE. When there is no Postgres, tests fail with the command that installs it.
//
// [PrepareSQL] checks the SQL constants of Go packages against the migrated database, [IndexedSQL] that row-level security
// leaves their conditions to indexes, and [Style] how SQL is written.
package pgtest
