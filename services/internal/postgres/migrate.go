package postgres

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
)

// RiverSchema is the schema of River's tables. The job client is configured with it.
const RiverSchema = "river"

// versionTable is where goose records the migrations that it applied.
const versionTable = "migrations.cagnotte"

//go:embed migrations/*.sql
var migrationFiles embed.FS

const (
	// migrationLockID is arbitrary, and the same in every version of the program.
	migrationLockID   = 7_236_481_905
	migrationLockPoll = 100 * time.Millisecond
	// migrationConns is one connection for the lock, and three for goose and River.
	migrationConns = 4
)

// Migrate brings the database to the schema of this program: our own tables, then River's, then the service role's rights
// to River's. It may be repeated, and several programs may call it at once: the later ones wait until ctx ends. It never
// goes back, so a schema of a newer program stays.
//
// databaseURL is the address of the owner, who needs CREATE on the database, and CREATEROLE unless the role
// cagnotte_service exists. When a migration fails, its own transaction is undone and the earlier migrations stay. After
// the repair, Migrate continues from there.
//
// A nil logger discards the messages of goose and River. A statement waits 10 s for a lock and then fails, because all
// later queries of the table wait behind it.
func Migrate(ctx context.Context, databaseURL string, logger *slog.Logger) error {
	files, err := fs.Sub(migrationFiles, "migrations")
	if err != nil {
		return err
	}
	return migrate(ctx, databaseURL, logger, files)
}

// migrate is Migrate with other files of our own tables.
func migrate(ctx context.Context, databaseURL string, logger *slog.Logger, files fs.FS) error {
	config, err := parseURL(databaseURL)
	if err != nil {
		return err
	}
	setDefault(config, "lock_timeout", "10s")
	// No limit: building an index can take hours.
	setDefault(config, "statement_timeout", "0")
	config.MaxConns = migrationConns
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	pool, err := newPool(ctx, config)
	if err != nil {
		return err
	}
	defer pool.Close()

	conn, err := pool.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("migrate: %w", Error(err))
	}
	// The connection is closed, not returned: the end of the session is the one way to free the lock that cannot fail.
	defer func() { _ = conn.Hijack().Close(context.WithoutCancel(ctx)) }()
	if err := lockMigrations(ctx, conn); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	if err := createVersionSchema(ctx, conn); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	if err := migrateOwn(ctx, pool, logger, files); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	if err := migrateRiver(ctx, pool, logger); err != nil {
		return fmt.Errorf("migrate River: %w", err)
	}
	if err := grantService(ctx, conn); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	return nil
}

const lockMigrationsSQL = `
SELECT pg_try_advisory_lock(@id)`

// lockMigrations takes one lock for all steps; goose's own would cover goose alone. It polls, because a session that waits
// inside of pg_advisory_lock holds a snapshot, and CREATE INDEX CONCURRENTLY in the session that has the lock would wait
// for that snapshot forever.
func lockMigrations(ctx context.Context, conn *pgxpool.Conn) error {
	ticker := time.NewTicker(migrationLockPoll)
	defer ticker.Stop()
	for {
		var locked bool
		err := conn.QueryRow(ctx, lockMigrationsSQL, pgx.NamedArgs{"id": migrationLockID}).Scan(&locked)
		if err != nil {
			return Error(err)
		}
		if locked {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("another program is migrating: %w", context.Cause(ctx))
		case <-ticker.C:
		}
	}
}

const createVersionSchemaSQL = `
CREATE SCHEMA IF NOT EXISTS migrations`

// createVersionSchema runs before the first migration, because goose records that one there.
func createVersionSchema(ctx context.Context, conn *pgxpool.Conn) error {
	_, err := conn.Exec(ctx, createVersionSchemaSQL)
	return err
}

func migrateOwn(ctx context.Context, pool *pgxpool.Pool, logger *slog.Logger, files fs.FS) error {
	db := stdlib.OpenDBFromPool(pool)
	defer db.Close()
	provider, err := goose.NewProvider(goose.DialectPostgres, db, files,
		goose.WithTableName(versionTable), goose.WithSlog(logger), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return err
	}
	_, err = provider.Up(ctx)
	return err
}

func migrateRiver(ctx context.Context, pool *pgxpool.Pool, logger *slog.Logger) error {
	migrator, err := rivermigrate.New(riverpgxv5.New(pool), &rivermigrate.Config{Schema: RiverSchema, Logger: logger})
	if err != nil {
		return err
	}
	_, err = migrator.Migrate(ctx, rivermigrate.DirectionUp, nil)
	return err
}

// grantServiceSQL runs after every migration, since a new version of River can bring new tables. The service may only
// read which migrations were applied.
const grantServiceSQL = `
DO $$
BEGIN
	GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA river TO cagnotte_service;
	GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA river TO cagnotte_service;
	REVOKE INSERT, UPDATE, DELETE ON river.river_migration FROM cagnotte_service;
	GRANT USAGE ON SCHEMA migrations TO cagnotte_service;
	GRANT SELECT ON migrations.cagnotte TO cagnotte_service;
END
$$`

func grantService(ctx context.Context, conn *pgxpool.Conn) error {
	_, err := conn.Exec(ctx, grantServiceSQL)
	return err
}

const schemaStateSQL = `
SELECT
	(
		SELECT count(*)
		FROM migrations.cagnotte
		WHERE is_applied
			AND version_id = ANY(@own)
	) + (
		SELECT count(*)
		FROM river.river_migration
		WHERE line = 'main'
			AND version = ANY(@river)
	)`

// SchemaState returns how many of the migrations that this program needs, its own and River's, are applied. The schema
// is right when current equals wanted. Migrations of a newer program are not counted, so a program that is being replaced
// stays ready. In a database that was never migrated, current is 0. An error, as classified by [Error], means that the
// database could not be asked.
func SchemaState(ctx context.Context, pool *pgxpool.Pool) (current, wanted int64, err error) {
	own, river, err := wantedMigrations()
	if err != nil {
		return 0, 0, err
	}
	wanted = int64(len(own) + len(river))
	err = pool.QueryRow(ctx, schemaStateSQL, pgx.NamedArgs{"own": own, "river": river}).Scan(&current)
	if neverMigrated(err) {
		return 0, wanted, nil
	}
	return current, wanted, Error(err)
}

// neverMigrated reports whether an error is about something that the first migration creates: the role that every
// connection takes, the schema, or the table.
func neverMigrated(err error) bool {
	var pgErr *pgconn.PgError
	if !errors.As(err, &pgErr) {
		return false
	}
	switch pgErr.Code {
	case "22023", // invalid_parameter_value: SET ROLE to a role that does not exist
		"3F000", // invalid_schema_name
		"42P01", // undefined_table
		"42501": // insufficient_privilege: the schema is there, its grants are not
		return true
	}
	return false
}

// wantedMigrations returns the versions of the migrations that are built into this program.
func wantedMigrations() (own, river []int64, err error) {
	names, err := fs.Glob(migrationFiles, "migrations/*.sql")
	if err != nil {
		return nil, nil, err
	}
	for _, name := range names {
		version, err := goose.NumericComponent(name)
		if err != nil {
			return nil, nil, fmt.Errorf("migration %s: %w", name, err)
		}
		own = append(own, version)
	}
	migrator, err := rivermigrate.New(riverpgxv5.New(nil), &rivermigrate.Config{Schema: RiverSchema, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, nil, err
	}
	for _, migration := range migrator.AllVersions() {
		river = append(river, int64(migration.Version))
	}
	return own, river, nil
}
