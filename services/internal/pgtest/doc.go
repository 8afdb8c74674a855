// Package pgtest gives every test a migrated database of its own, on a real Postgres.
//
// A test binary that uses it has
//
//	func TestMain(m *testing.M) { pgtest.Main(m) }
//
// and its tests call [New] for a pool as the service's role, [NewURL] to start a whole program,
// or [Owner] to tamper with what the service must not touch. The first call starts a private
// server and migrates a template; each database is then a copy of it, made in some tens of
// milliseconds and dropped when its test ends. Tests may run in parallel.
//
// CAGNOTTE_TEST_DATABASE_URL names a server to use instead of a private one; its role needs
// CREATEDB and CREATEROLE. When Postgres is missing, tests fail with the line that installs it.
//
// [PrepareSQL] checks the SQL constants of Go packages against the migrated database.
package pgtest
