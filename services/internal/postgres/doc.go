// Package postgres is how the services reach their database: the pool, transactions, the meaning
// of database errors, and the migrations of every schema.
//
// Two roles. The owner migrates. The service works as [ServiceRole], which may read and write rows as the migrations
// grant it, and change no table: so the ledger stays insert-only even if a query of ours is wrong. It should log in as a
// role of its own that is a member of that one and owns nothing; [LoginOwns] tells when it does not. A schema belongs to the
// service of its name; migrations/ holds one file for each, and River's tables have the schema
// river.
//
// The package knows errs and nothing of the services. Each service keeps its own SQL, in constants
// whose names end in SQL: a test here prepares every one of them on the migrated database.
package postgres
