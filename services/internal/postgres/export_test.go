package postgres

// MigrateFiles is Migrate with other files, for tests of migrations that do not exist yet.
var MigrateFiles = migrate
