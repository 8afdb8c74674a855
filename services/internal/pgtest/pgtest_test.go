package pgtest

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

func TestMain(m *testing.M) { Main(m) }

func TestNew(t *testing.T) {
	ctx := context.Background()
	one, two := New(t), New(t)

	t.Run("works as the service's role", func(t *testing.T) {
		var role string
		if err := one.QueryRow(ctx, "SELECT current_user").Scan(&role); err != nil {
			t.Fatal(err)
		}
		if role != "cagnotte_service" {
			t.Errorf("works as %s", role)
		}
	})
	t.Run("lets the owner tamper", func(t *testing.T) {
		if _, err := Owner(t, one).Exec(ctx, "CREATE TABLE ledger.tampered (word text)"); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("keeps databases apart", func(t *testing.T) {
		var found *string
		if err := two.QueryRow(ctx, "SELECT to_regclass('ledger.tampered')::text").Scan(&found); err != nil {
			t.Fatal(err)
		}
		if found != nil {
			t.Error("one test's table is in another test's database")
		}
	})
	t.Run("does not let the service make tables", func(t *testing.T) {
		_, err := one.Exec(ctx, "CREATE TABLE ledger.more (word text)")
		var pgErr *pgconn.PgError
		if !errors.As(err, &pgErr) || pgErr.Code != "42501" {
			t.Errorf("err = %v, want insufficient_privilege", err)
		}
	})
}

func TestDatabasesAreDropped(t *testing.T) {
	var databaseURL string
	t.Run("a test that leaves a session behind", func(t *testing.T) {
		databaseURL = NewURL(t)
		conn, err := pgx.Connect(context.Background(), databaseURL)
		if err != nil {
			t.Fatal(err)
		}
		if err := conn.Ping(context.Background()); err != nil {
			t.Fatal(err)
		}
	})
	_, err := pgx.Connect(context.Background(), databaseURL)
	var pgErr *pgconn.PgError
	if !errors.As(err, &pgErr) || pgErr.Code != "3D000" {
		t.Errorf("err = %v, want invalid_catalog_name", err)
	}
}

func TestClonesInParallel(t *testing.T) {
	for range 8 {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			if err := New(t).Ping(context.Background()); err != nil {
				t.Error(err)
			}
		})
	}
}

// BenchmarkClone compares the two ways to copy the template; cloneStrategy is the faster.
func BenchmarkClone(b *testing.B) {
	NewURL(b)
	for _, strategy := range []string{"FILE_COPY", "WAL_LOG"} {
		b.Run(strings.ToLower(strategy), func(b *testing.B) {
			for b.Loop() {
				name := randomName("cagnotte_bench_")
				if err := shared.admin("CREATE DATABASE %s TEMPLATE %s STRATEGY "+strategy, name, shared.template); err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				if err := shared.admin("DROP DATABASE %s", name); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
		})
	}
}
