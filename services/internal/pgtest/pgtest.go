package pgtest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/cagnotte/cagnotte/services/internal/pgembed"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

// URLVariable is the environment variable with the address of the server to use.
const URLVariable = "CAGNOTTE_TEST_DATABASE_URL"

const (
	setupTimeout = 2 * time.Minute
	// poolSize is more than the concurrency tests need, and little of the server's 200 connections.
	poolSize = 16
)

// harness is what the tests of one binary share. It is a global because TestMain cannot pass a value to tests.
type harness struct {
	once     sync.Once
	err      error
	server   *pgembed.Server // nil for a server given by URLVariable
	adminURL string
	template string
	running  bool // Main runs the tests and will stop the server
}

var shared harness

// Main runs the tests and then each function of after, stops the server if there is one, and exits.
func Main(m *testing.M, after ...func()) {
	shared.running = true
	code := m.Run()
	for _, f := range after {
		f()
	}
	if err := shared.stop(); err != nil {
		fmt.Fprintln(os.Stderr, "pgtest:", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// New returns a pool of the service's role on a new, migrated database. Its queries see all rows, unless their context has
// another scope by postgres.WithScope. The pool is closed, and the database dropped, when
// the test ends.
func New(t testing.TB) *pgxpool.Pool {
	t.Helper()
	return open(t, NewURL(t), postgres.ServiceRole)
}

// NewURL returns the owner's address of a new, migrated database, which is dropped when the test ends.
func NewURL(t testing.TB) string {
	t.Helper()
	if !shared.running {
		t.Fatal("pgtest: the package has no func TestMain(m *testing.M) { pgtest.Main(m) }")
	}
	shared.once.Do(func() { shared.err = shared.start() })
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	name := randomName("cagnotte_test_")
	if err := shared.admin("CREATE DATABASE %s TEMPLATE %s STRATEGY "+cloneStrategy, name, shared.template); err != nil {
		t.Fatalf("pgtest: clone a database: %v", err)
	}
	t.Cleanup(func() {
		// FORCE, because a program that the test killed may have left sessions.
		if err := shared.admin("DROP DATABASE %s WITH (FORCE)", name); err != nil {
			t.Errorf("pgtest: drop a database: %v", err)
		}
	})
	return withDatabase(shared.adminURL, name)
}

// cloneStrategy is the faster one on a private server, where nothing waits for the disk. BenchmarkClone measures both.
// https://www.postgresql.org/docs/current/sql-createdatabase.html
const cloneStrategy = "FILE_COPY"

// Owner returns a pool on the database of another pool, as the role that owns it; on a private server that is the
// superuser. Tests use it for what the service may not do, such as tampering with the ledger.
func Owner(t testing.TB, pool *pgxpool.Pool) *pgxpool.Pool {
	t.Helper()
	databaseURL := URLOf(t, pool)
	parsed, err := url.Parse(databaseURL)
	if err != nil {
		t.Fatal("pgtest: the address of the database does not parse")
	}
	return open(t, databaseURL, parsed.User.Username())
}

// URLOf returns the owner's address of the database of a pool.
func URLOf(t testing.TB, pool *pgxpool.Pool) string {
	t.Helper()
	return withDatabase(shared.adminURL, pool.Config().ConnConfig.Database)
}

// WaitForLock waits until a session of the pool's database waits for a lock, such as one that the test holds. It fails the
// test after a minute.
func WaitForLock(t testing.TB, pool *pgxpool.Pool) {
	t.Helper()
	const sql = `
SELECT EXISTS (
	SELECT
	FROM pg_stat_activity AS a
	WHERE a.datname = current_database()
		AND a.wait_event_type = 'Lock'
)`
	owner := Owner(t, pool) // the service may not see what other sessions wait for
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		var waits bool
		if err := owner.QueryRow(t.Context(), sql).Scan(&waits); err != nil {
			t.Fatal(err)
		}
		if waits {
			return
		}
	}
	t.Fatal("no session waits for a lock")
}

func open(t testing.TB, databaseURL, role string) *pgxpool.Pool {
	t.Helper()
	pool, err := postgres.Open(context.Background(), postgres.Config{
		URL: databaseURL, MaxConns: poolSize, Role: role, DefaultScope: postgres.AllScope(),
	})
	if err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	t.Cleanup(pool.Close)
	return pool
}

// start starts the server and creates the template.
func (h *harness) start() error {
	ctx, cancel := context.WithTimeout(context.Background(), setupTimeout)
	defer cancel()
	if h.adminURL = os.Getenv(URLVariable); h.adminURL == "" {
		server, err := pgembed.Start(ctx, pgembed.Config{Settings: map[string]string{
			// CREATE DATABASE waits while an autovacuum worker is in the template.
			"autovacuum": "off",
		}})
		if err != nil {
			return fmt.Errorf("pgtest: %w", err)
		}
		h.server = server
		h.adminURL = server.URL("postgres")
	} else if parsed, err := url.Parse(h.adminURL); err != nil || parsed.User.Username() == "" {
		return errors.New("pgtest: " + URLVariable + " must look like postgres://user:password@host:5432/postgres")
	}
	h.template = randomName("cagnotte_template_")
	if err := h.admin("CREATE DATABASE %s", h.template); err != nil {
		return fmt.Errorf("pgtest: make the template: %w", err)
	}
	if err := postgres.Migrate(ctx, withDatabase(h.adminURL, h.template), nil); err != nil {
		return fmt.Errorf("pgtest: %w", err)
	}
	return nil
}

func (h *harness) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), setupTimeout)
	defer cancel()
	switch {
	case h.server != nil:
		return h.server.Stop(ctx)
	case h.template != "":
		return h.admin("DROP DATABASE %s WITH (FORCE)", h.template)
	}
	return nil
}

// admin runs one statement about databases, with names for each %s. Each statement has a connection of its own, because
// they are rare and tests run in parallel.
func (h *harness) admin(statement string, names ...any) error {
	ctx, cancel := context.WithTimeout(context.Background(), setupTimeout)
	defer cancel()
	conn, err := pgx.Connect(ctx, h.adminURL)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, fmt.Sprintf(statement, names...))
	return err
}

// randomName returns a name that needs no quoting in SQL, and that is unique among the binaries that use one server.
func randomName(prefix string) string {
	return prefix + strings.ToLower(rand.Text()[:16])
}

// withDatabase returns the address with another database.
func withDatabase(databaseURL, database string) string {
	parsed, err := url.Parse(databaseURL)
	if err != nil {
		panic("pgtest: start checked that the address parses")
	}
	parsed.Path = "/" + database
	return parsed.String()
}
