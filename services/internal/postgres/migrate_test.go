package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"

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
