package postgres_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/cagnotte/cagnotte/services/internal/pgtest"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

// unscoped are the tables without a policy, and why each needs none.
var unscoped = map[string]string{
	"access.attempts":                "keyed hashes of networks and addresses, of no collective",
	"audit.seals":                    "numbers and hashes of entries, which are walled",
	"audit.checkpoints":              "hashes and signatures over the whole log",
	"collectives.application_limits": "keyed hashes of networks and addresses, of no collective",
	"collectives.opening":            "one row of the instance: how collectives are opened",
	"campaigns.limits":               "keyed hashes of networks, of no collective",
	"connect.platform":               "one row of the instance: the Stripe account and mode of its key",
	"donations.limits":               "keyed hashes of networks, of no collective",
	"wall.limits":                    "keyed hashes of networks, of no collective",
	"wall.counters":                  "sums under keyed hashes, which are read for donors of all collectives",
	"wall.solutions":                 "keyed hashes of solutions, of no collective",
	"ledger.reversals":               "two ids of transactions, which are walled; written before the statement's transaction can be seen",
	"ledger.reclassifications":       "as ledger.reversals",
}

// writable are the tables to which a caller may write rows that it does not see, and why. Their policy has a condition of
// its own for what is written.
var writable = map[string]string{
	"audit.entries": "a change of what belongs to no collective leaves its entry too",
}

// policyForm is what each policy's condition begins with, as Postgres prints it.
const policyForm = "CASE ( SELECT current_setting('cagnotte.scope'::text, true) AS current_setting) WHEN '*'::text THEN true ELSE "

func TestEachTableHasItsPolicy(t *testing.T) {
	const sql = `
SELECT
	n.nspname || '.' || c.relname,
	c.relrowsecurity,
	coalesce((
		SELECT array_agg(btrim(regexp_replace(pg_get_expr(p.polqual, p.polrelid), '\s+', ' ', 'g')))
		FROM pg_policy AS p
		WHERE p.polrelid = c.oid
			AND p.polcmd = '*'
			AND p.polroles = '{0}'
	), '{}'),
	(SELECT count(*) FROM pg_policy AS p WHERE p.polrelid = c.oid),
	EXISTS (SELECT FROM pg_policy AS p WHERE p.polrelid = c.oid AND p.polwithcheck IS NOT NULL)
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm')
	AND n.nspname NOT LIKE 'pg\_%'
	AND n.nspname NOT IN ('information_schema', 'river', 'migrations')
ORDER BY 1`
	rows, err := pgtest.New(t).Query(t.Context(), sql)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for rows.Next() {
		var (
			table    string
			secured  bool
			policies []string
			count    int
			writes   bool
		)
		if err := rows.Scan(&table, &secured, &policies, &count, &writes); err != nil {
			t.Fatal(err)
		}
		seen[table] = true
		switch why, listed := unscoped[table]; {
		case listed && (secured || count > 0):
			t.Errorf("%s has a policy, and unscoped says that it needs none: %s", table, why)
		case listed:
		case !secured || count != 1 || len(policies) != 1:
			t.Errorf("%s has not the one policy for all commands and roles: see migrations/README.md, or list it in unscoped", table)
		case writes != (writable[table] != ""):
			t.Errorf("%s: its policy has a WITH CHECK (%t), and writable says otherwise", table, writes)
		case !strings.HasPrefix(policies[0], policyForm):
			t.Errorf("%s: the policy is not of the form in migrations/README.md: %s", table, policies[0])
		}
	}
	if rows.Err() != nil {
		t.Fatal(rows.Err())
	}
	for table := range unscoped {
		if !seen[table] {
			t.Errorf("unscoped lists %s, which there is not", table)
		}
	}
}

// insertCollective adds a collective, as the owner of the database.
func insertCollective(t *testing.T, pool *pgxpool.Pool, ids ...string) {
	t.Helper()
	for _, id := range ids {
		_, err := pgtest.Owner(t, pool).Exec(t.Context(), `
INSERT INTO collectives.collectives (id, display_name, stripe_account, time_zone, created_at, updated_at)
VALUES ($1, $1, '', 'Europe/Paris', now(), now())`, id)
		if err != nil {
			t.Fatal(err)
		}
	}
}

func idsSeen(t *testing.T, ctx context.Context, db postgres.Querier) string {
	t.Helper()
	ids, err := postgres.All(ctx, db, pgx.RowTo[string], "SELECT id FROM collectives.collectives ORDER BY id", nil)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(ids, " ")
}

func TestScope(t *testing.T) {
	ctx := testContext(t)
	filled := pgtest.New(t)
	insertCollective(t, filled, "one", "two", "three")
	// One connection, so that each query meets the scope of the one before.
	databaseURL := pgtest.URLOf(t, filled)
	pool, err := postgres.Open(ctx, postgres.Config{URL: databaseURL, MaxConns: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	with := func(scope postgres.Scope) context.Context { return postgres.WithScope(ctx, scope) }

	t.Run("each query sees what its own context says, whatever the connection had before", func(t *testing.T) {
		for range 2 {
			for _, c := range []struct {
				scope postgres.Scope
				want  string
			}{
				{postgres.AllScope(), "one three two"},
				{postgres.ScopeOf("two"), "two"},
				{postgres.ScopeOf("one", "two", "one"), "one two"},
				{postgres.ScopeOf(), ""},
				{postgres.Scope{}, ""},
				{postgres.ScopeOf("two", "*"), "two"},
				{postgres.ScopeOf("*"), ""},
				{postgres.ScopeOf("one,two"), ""},
				{postgres.ScopeOf("One", "one' OR true"), ""},
			} {
				if got := idsSeen(t, with(c.scope), pool); got != c.want {
					t.Errorf("%+v sees %q, want %q", c.scope, got, c.want)
				}
				if got := idsSeen(t, ctx, pool); got != "" {
					t.Errorf("a context without a scope sees %q after %+v", got, c.scope)
				}
			}
		}
	})
	t.Run("a transaction keeps the scope that it began with", func(t *testing.T) {
		err := postgres.InTx(with(postgres.ScopeOf("one")), pool, func(_ context.Context, tx pgx.Tx) error {
			if got := idsSeen(t, with(postgres.AllScope()), tx); got != "one" {
				t.Errorf("it sees %q", got)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
	t.Run("a look-up sees all in a transaction, and what follows does not", func(t *testing.T) {
		err := postgres.InTx(with(postgres.ScopeOf("one")), pool, func(ctx context.Context, tx pgx.Tx) error {
			var seen string
			err := postgres.SeeAllTx(ctx, tx, func() error { seen = idsSeen(t, ctx, tx); return nil })
			if after := idsSeen(t, ctx, tx); seen != "one three two" || after != "one" {
				t.Errorf("it sees %q, then %q", seen, after)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if got := idsSeen(t, with(postgres.ScopeOf("one")), pool); got != "one" {
			t.Errorf("the next transaction sees %q", got)
		}
	})
	t.Run("a row of another collective can be neither written nor changed", func(t *testing.T) {
		_, err := pool.Exec(with(postgres.ScopeOf("one")), `
INSERT INTO collectives.collectives (id, display_name, stripe_account, time_zone, created_at, updated_at)
VALUES ('four', 'Four', '', 'Europe/Paris', now(), now())`)
		var pgErr *pgconn.PgError
		if !errors.As(err, &pgErr) || pgErr.Code != "42501" {
			t.Errorf("insert: %v", err)
		}
		tag, err := pool.Exec(with(postgres.ScopeOf("one")), "UPDATE collectives.collectives SET display_name = 'X'")
		if err != nil || tag.RowsAffected() != 1 {
			t.Errorf("update: %v, %v", tag, err)
		}
	})
	t.Run("the same scope costs no round trip", func(t *testing.T) {
		conn, err := pool.Acquire(with(postgres.ScopeOf("one")))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Release()
		hook := pool.Config().PrepareConn
		// A closed connection answers nothing, so a query would fail.
		_ = conn.Conn().Close(ctx)
		if ok, err := hook(with(postgres.ScopeOf("one")), conn.Conn()); !ok || err != nil {
			t.Errorf("%t, %v", ok, err)
		}
		for range 2 { // also the second time: what failed is not remembered as done
			if ok, err := hook(with(postgres.ScopeOf("two")), conn.Conn()); ok || err == nil {
				t.Error("another scope was set on a closed connection")
			}
		}
	})
	t.Run("a connection is closed when its scope cannot be set", func(t *testing.T) {
		canceled, cancel := context.WithCancel(with(postgres.ScopeOf("three")))
		conn, err := pool.Acquire(ctx)
		if err != nil {
			t.Fatal(err)
		}
		cancel()
		if ok, err := pool.Config().PrepareConn(canceled, conn.Conn()); ok || err == nil {
			t.Errorf("%t, %v", ok, err)
		}
		conn.Release()
		if got := idsSeen(t, with(postgres.ScopeOf("one")), pool); got != "one" {
			t.Errorf("later it sees %q", got)
		}
	})
}
