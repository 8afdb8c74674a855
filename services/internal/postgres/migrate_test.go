package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"google.golang.org/grpc/codes"

	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/pgembed"
	"github.com/cagnotte/cagnotte/services/internal/pgtest"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

// freshCluster is a server where the service's role does not exist yet; those of pgtest have it.
func freshCluster(t *testing.T) *pgembed.Server {
	t.Helper()
	server, err := pgembed.Start(testContext(t), pgembed.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return server
}

func execute(t *testing.T, databaseURL string, statements ...string) {
	t.Helper()
	ctx := testContext(t)
	conn, err := pgx.Connect(ctx, databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	for _, statement := range statements {
		if _, err := conn.Exec(ctx, statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

func openService(t *testing.T, databaseURL string) *pgxpool.Pool {
	t.Helper()
	pool, err := postgres.Open(testContext(t), postgres.Config{URL: databaseURL})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

func state(t *testing.T, pool *pgxpool.Pool) (current, wanted int64) {
	t.Helper()
	current, wanted, err := postgres.SchemaState(testContext(t), pool)
	if err != nil {
		t.Fatal(err)
	}
	return current, wanted
}

// Programs start together: several on one database, and databases side by side on one cluster,
// where the role belongs to all. The owners are no superusers, as with a hosted Postgres.
func TestMigrateAtOnceAndAgain(t *testing.T) {
	ctx := testContext(t)
	server := freshCluster(t)
	const databases, programs = 3, 3
	var urls []string
	for i := range databases {
		owner := fmt.Sprintf("owner%d", i)
		execute(t, server.URL("postgres"),
			"CREATE ROLE "+owner+" LOGIN CREATEROLE PASSWORD 'test'",
			"CREATE DATABASE "+owner+" OWNER "+owner)
		address, err := url.Parse(server.URL(owner))
		if err != nil {
			t.Fatal(err)
		}
		address.User = url.UserPassword(owner, "test")
		urls = append(urls, address.String())
	}

	if current, wanted := state(t, openService(t, urls[0])); current != 0 || wanted == 0 {
		t.Errorf("before the first migration, the state is %d of %d", current, wanted)
	}
	var results [databases * programs]error
	var done sync.WaitGroup
	for i := range results {
		done.Go(func() { results[i] = postgres.Migrate(ctx, urls[i%databases], nil) })
	}
	done.Wait()
	if err := errors.Join(results[:]...); err != nil {
		t.Fatal(err)
	}
	for _, databaseURL := range urls {
		if err := postgres.Migrate(ctx, databaseURL, nil); err != nil {
			t.Errorf("migrating again: %v", err)
		}
		if current, wanted := state(t, openService(t, databaseURL)); current != wanted {
			t.Errorf("after the migration, the state is %d of %d", current, wanted)
		}
	}
}

func TestMigrateSaysWhatAnOwnerWithoutRightsMustAskFor(t *testing.T) {
	server := freshCluster(t)
	execute(t, server.URL("postgres"), "CREATE ROLE poor LOGIN PASSWORD 'test'", "CREATE DATABASE poor OWNER poor")
	address, err := url.Parse(server.URL("poor"))
	if err != nil {
		t.Fatal(err)
	}
	address.User = url.UserPassword("poor", "test")
	err = postgres.Migrate(testContext(t), address.String(), nil)
	if err == nil || !strings.Contains(err.Error(), "GRANT cagnotte_service TO poor") {
		t.Fatalf("err = %v, want the statement to run", err)
	}
	execute(t, server.URL("postgres"), "CREATE ROLE cagnotte_service NOLOGIN", "GRANT cagnotte_service TO poor")
	if err := postgres.Migrate(testContext(t), address.String(), nil); err != nil {
		t.Fatal(err)
	}
	if current, wanted := state(t, openService(t, address.String())); current != wanted {
		t.Errorf("the state is %d of %d", current, wanted)
	}
}

// The roles are those of deploy/README.md: one owns the database and migrates, one serves and owns nothing.
func TestLoginOwns(t *testing.T) {
	server := freshCluster(t)
	execute(t, server.URL("postgres"),
		"CREATE ROLE cagnotte_owner LOGIN PASSWORD 'test'", "CREATE ROLE cagnotte_serve LOGIN PASSWORD 'test'",
		"CREATE ROLE cagnotte_service NOLOGIN", "GRANT cagnotte_service TO cagnotte_owner, cagnotte_serve",
		"CREATE DATABASE cagnotte OWNER cagnotte_owner")
	as := func(role string) string {
		address, err := url.Parse(server.URL("cagnotte"))
		if err != nil {
			t.Fatal(err)
		}
		address.User = url.UserPassword(role, "test")
		return address.String()
	}
	if err := postgres.Migrate(testContext(t), as("cagnotte_owner"), nil); err != nil {
		t.Fatal(err)
	}
	if current, wanted := state(t, openService(t, as("cagnotte_serve"))); current != wanted {
		t.Errorf("who serves sees the state %d of %d", current, wanted)
	}
	execute(t, server.URL("cagnotte"),
		"CREATE ROLE member LOGIN PASSWORD 'test' IN ROLE cagnotte_service, cagnotte_owner",
		"CREATE ROLE maker LOGIN CREATEROLE PASSWORD 'test' IN ROLE cagnotte_service",
		"CREATE ROLE schemas LOGIN PASSWORD 'test' IN ROLE cagnotte_service", "CREATE SCHEMA more AUTHORIZATION schemas",
		"CREATE ROLE tables LOGIN PASSWORD 'test' IN ROLE cagnotte_service", "ALTER TABLE campaigns.campaigns OWNER TO tables")
	for _, c := range []struct {
		role, url string
		want      bool
	}{
		{"who serves", as("cagnotte_serve"), false},
		{"the owner of the database", as("cagnotte_owner"), true},
		{"a member of the owner", as("member"), true},
		{"who may create roles", as("maker"), true},
		{"the owner of a schema", as("schemas"), true},
		{"the owner of a table", as("tables"), true},
		{"a superuser", server.URL("cagnotte"), true},
	} {
		if owns, err := postgres.LoginOwns(testContext(t), openService(t, c.url)); err != nil || owns != c.want {
			t.Errorf("%s owns: %v (%v), want %v", c.role, owns, err, c.want)
		}
	}
	if _, err := postgres.LoginOwns(testContext(t), openService(t, awayURL(t))); errs.Code(err) != codes.Unavailable {
		t.Errorf("without a database: %v, want UNAVAILABLE", err)
	}
}

func TestMigrateTellsWhenTheDatabaseIsAway(t *testing.T) {
	if err := postgres.Migrate(testContext(t), awayURL(t), nil); errs.Code(err) != codes.Unavailable {
		t.Errorf("err = %v, want UNAVAILABLE", err)
	}
}

func TestSchemaState(t *testing.T) {
	ctx := testContext(t)
	pool := pgtest.New(t)
	owner := pgtest.Owner(t, pool)

	t.Run("is complete on a migrated database", func(t *testing.T) {
		if current, wanted := state(t, pool); current != wanted {
			t.Errorf("%d of %d", current, wanted)
		}
	})
	t.Run("stays so beside a newer program", func(t *testing.T) {
		_, err := owner.Exec(ctx, "INSERT INTO migrations.cagnotte (version_id, is_applied) VALUES (99999, true)")
		if err != nil {
			t.Fatal(err)
		}
		if current, wanted := state(t, pool); current != wanted {
			t.Errorf("%d of %d", current, wanted)
		}
	})
	for _, test := range []struct{ rule, statement string }{
		{"misses one of ours", "DELETE FROM migrations.cagnotte WHERE version_id = 1"},
		{"misses one of River's", "DELETE FROM river.river_migration WHERE version = 6"},
	} {
		t.Run(test.rule, func(t *testing.T) {
			before, wanted := state(t, pool)
			if _, err := owner.Exec(ctx, test.statement); err != nil {
				t.Fatal(err)
			}
			if current, _ := state(t, pool); current != before-1 || current >= wanted {
				t.Errorf("%d of %d, before %d", current, wanted, before)
			}
		})
	}
	t.Run("is an error when the database is away", func(t *testing.T) {
		_, _, err := postgres.SchemaState(ctx, openService(t, awayURL(t)))
		if errs.Code(err) != codes.Unavailable {
			t.Errorf("err = %v, want UNAVAILABLE", err)
		}
	})
}

func TestServiceRoleIsRefused(t *testing.T) {
	pool := pgtest.New(t)
	for _, statement := range []string{
		"CREATE TABLE public.more (id bigint)",
		"CREATE TABLE donations.more (id bigint)",
		"CREATE SCHEMA more",
		"INSERT INTO migrations.cagnotte (version_id, is_applied) VALUES (99999, true)",
		"DELETE FROM river.river_migration",
		"TRUNCATE river.river_job",
		"ALTER TABLE river.river_job ADD COLUMN more text",
		"CREATE ROLE more",
	} {
		t.Run(statement, func(t *testing.T) {
			_, err := pool.Exec(testContext(t), statement)
			var pgErr *pgconn.PgError
			if !errors.As(err, &pgErr) || pgErr.Code != "42501" {
				t.Errorf("err = %v, want insufficient_privilege", err)
			}
		})
	}
}

type echoArgs struct{}

func (echoArgs) Kind() string { return "echo" }

// River does all that a job needs with the service's rights.
func TestServiceRoleRunsJobs(t *testing.T) {
	ctx := testContext(t)
	pool := pgtest.New(t)
	worked := make(chan struct{})
	workers := river.NewWorkers()
	river.AddWorker(workers, river.WorkFunc(func(context.Context, *river.Job[echoArgs]) error {
		close(worked)
		return nil
	}))
	client, err := river.NewClient(riverpgxv5.New(pool), &river.Config{
		Schema:  postgres.RiverSchema,
		Queues:  map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: 1}},
		Workers: workers,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := client.Start(ctx); err != nil {
		t.Fatal(err)
	}
	err = postgres.InTx(ctx, pool, func(ctx context.Context, tx pgx.Tx) error {
		_, err := client.InsertTx(ctx, tx, echoArgs{}, &river.InsertOpts{UniqueOpts: river.UniqueOpts{ByArgs: true}})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-worked:
	case <-ctx.Done():
		t.Error("the job was not worked")
	}
	if err := client.Stop(ctx); err != nil {
		t.Error(err)
	}
}

// later is the first set, and more files.
func later(t *testing.T, more map[string]string) fstest.MapFS {
	t.Helper()
	files := fstest.MapFS{}
	for name, text := range readMigrations(t) {
		files[name] = &fstest.MapFile{Data: []byte(text)}
	}
	for name, text := range more {
		files[name] = &fstest.MapFile{Data: []byte(text)}
	}
	for _, problem := range unsafeMigrations(more) {
		t.Error(problem)
	}
	return files
}

// A later migration builds an index beside a transaction that runs for long, and nobody waits for it. A build that was
// broken off leaves an invalid index, which the next one replaces.
func TestMigrateBuildsIndexesConcurrently(t *testing.T) {
	ctx := testContext(t)
	databaseURL := pgtest.NewURL(t)
	pool := openService(t, databaseURL)
	owner := pgtest.Owner(t, pool)
	files := later(t, map[string]string{
		"90001_limits_idx.sql": planted(noTx, `SET lock_timeout = 0;
DROP INDEX CONCURRENTLY IF EXISTS donations.limits_planted_idx;
CREATE INDEX CONCURRENTLY limits_planted_idx ON donations.limits (tat, key);
RESET lock_timeout;`),
		"90002_after.sql": planted(cost, `CREATE TABLE donations.planted (
    lock_timeout text NOT NULL DEFAULT current_setting('lock_timeout')
);
ALTER TABLE donations.planted ENABLE ROW LEVEL SECURITY;
CREATE POLICY planted_scope ON donations.planted
    USING (true);
INSERT INTO donations.planted
VALUES (DEFAULT);`),
	})
	const insert = "INSERT INTO donations.limits (key, tat) SELECT decode(md5(i::text), 'hex'), now() FROM generate_series($1::integer, $2) AS i"
	if _, err := pool.Exec(ctx, insert, 1, 1000); err != nil {
		t.Fatal(err)
	}
	valid := func() (valid bool) {
		t.Helper()
		err := owner.QueryRow(ctx, "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('donations.limits_planted_idx')").Scan(&valid)
		if err != nil {
			t.Fatal(err)
		}
		return valid
	}
	// during holds a transaction that has written, starts the migration, and calls f once that waits.
	during := func(f func(end context.CancelFunc)) error {
		t.Helper()
		tx, err := pool.Begin(ctx)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = tx.Rollback(ctx) }()
		if _, err := tx.Exec(ctx, "UPDATE donations.limits SET tat = tat"); err != nil {
			t.Fatal(err)
		}
		running, end := context.WithCancel(ctx)
		defer end()
		done := make(chan error, 1)
		go func() { done <- postgres.MigrateFiles(running, databaseURL, nil, files) }()
		pgtest.WaitForLock(t, pool)
		f(end)
		if err := tx.Rollback(ctx); err != nil {
			t.Fatal(err)
		}
		return <-done
	}

	err := during(func(end context.CancelFunc) {
		end()
		// The server learns of it later.
		for building := true; building; time.Sleep(time.Millisecond) {
			err := owner.QueryRow(ctx, `SELECT EXISTS (
				SELECT
				FROM pg_stat_activity AS a
				WHERE a.datname = current_database()
					AND a.state = 'active'
					AND a.pid <> pg_backend_pid()
					AND a.query LIKE '%CREATE INDEX CONCURRENTLY%'
			)`).Scan(&building)
			if err != nil {
				t.Fatal(err)
			}
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("a migration that was broken off: %v", err)
	}
	if valid() {
		t.Fatal("the index of the build that was broken off is valid")
	}
	err = during(func(context.CancelFunc) {
		// Whoever waited behind a lock would fail after 5 s.
		if _, err := pool.Exec(ctx, insert, 1001, 2000); err != nil {
			t.Errorf("a write beside the build: %v", err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if !valid() {
		t.Error("the index is not valid")
	}
	var lockTimeout string
	if err := owner.QueryRow(ctx, "SELECT lock_timeout FROM donations.planted").Scan(&lockTimeout); err != nil {
		t.Fatal(err)
	}
	if lockTimeout != "10s" {
		t.Errorf("the next migration waits %s for a lock", lockTimeout)
	}
}

// Rows are filled in batches, each committed before the next, also when the migration runs a second time.
func TestMigrateFillsInBatches(t *testing.T) {
	ctx := testContext(t)
	databaseURL := pgtest.NewURL(t)
	pool := openService(t, databaseURL)
	owner := pgtest.Owner(t, pool)
	_, err := pool.Exec(ctx, "INSERT INTO donations.limits (key, tat) SELECT decode(md5(i::text), 'hex'), now() FROM generate_series(1, 1000) AS i")
	if err != nil {
		t.Fatal(err)
	}
	files := later(t, map[string]string{
		"90001_limits_note.sql": planted(cost, "ALTER TABLE donations.limits ADD COLUMN note text, ADD COLUMN xid xid8;"),
		"90002_fill_notes.sql": planted(noTx, `-- +goose StatementBegin
DO $$
BEGIN
    LOOP
        UPDATE donations.limits AS l
        SET
            note = 'filled',
            xid = pg_current_xact_id()
        WHERE l.key IN (
            SELECT n.key
            FROM donations.limits AS n
            WHERE n.note IS NULL
            ORDER BY n.key
            LIMIT 300
        );
        EXIT WHEN NOT FOUND;
        COMMIT;
    END LOOP;
END
$$;
-- +goose StatementEnd`),
	})
	if err := postgres.MigrateFiles(ctx, databaseURL, nil, files); err != nil {
		t.Fatal(err)
	}
	var rows, transactions int
	err = owner.QueryRow(ctx, "SELECT count(note), count(DISTINCT xid::text) FROM donations.limits").Scan(&rows, &transactions)
	if err != nil {
		t.Fatal(err)
	}
	if rows != 1000 || transactions != 4 {
		t.Errorf("%d rows were filled in %d transactions, want 1000 in 4", rows, transactions)
	}
}
