package postgres_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"google.golang.org/grpc/codes"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/pgtest"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

// pots is a database with a table of the service's own: a (1) and b (1).
func pots(t *testing.T) *pgxpool.Pool {
	t.Helper()
	pool := pgtest.New(t)
	_, err := pgtest.Owner(t, pool).Exec(testContext(t), `
		CREATE SCHEMA test;
		GRANT USAGE ON SCHEMA test TO cagnotte_service;
		CREATE TABLE test.pots (
			name text CONSTRAINT pots_pkey PRIMARY KEY,
			amount bigint NOT NULL CONSTRAINT pots_amount_check CHECK (amount >= 0),
			parent text CONSTRAINT pots_parent_fkey REFERENCES test.pots (name)
		);
		GRANT SELECT, INSERT, UPDATE, DELETE ON test.pots TO cagnotte_service;
		INSERT INTO test.pots (name, amount) VALUES ('a', 1), ('b', 1)`)
	if err != nil {
		t.Fatal(err)
	}
	return pool
}

func amountOf(t *testing.T, pool *pgxpool.Pool, name string) (amount int64) {
	t.Helper()
	err := pool.QueryRow(testContext(t), "SELECT amount FROM test.pots WHERE name = $1", name).Scan(&amount)
	if err != nil {
		t.Fatal(err)
	}
	return amount
}

func add(ctx context.Context, tx pgx.Tx, name string, n int64) error {
	_, err := tx.Exec(ctx, "UPDATE test.pots SET amount = amount + $2 WHERE name = $1", name, n)
	return err
}

// fail makes Postgres raise an error of the given SQLSTATE.
func fail(ctx context.Context, tx pgx.Tx, code string) error {
	_, err := tx.Exec(ctx, "DO $$ BEGIN RAISE EXCEPTION 'test' USING ERRCODE = '"+code+"'; END $$")
	return err
}

func TestInTx(t *testing.T) {
	ctx := testContext(t)
	pool := pots(t)

	t.Run("commits", func(t *testing.T) {
		before := amountOf(t, pool, "a")
		err := postgres.InTx(ctx, pool, func(ctx context.Context, tx pgx.Tx) error { return add(ctx, tx, "a", 1) })
		if err != nil {
			t.Fatal(err)
		}
		if got := amountOf(t, pool, "a"); got != before+1 {
			t.Errorf("amount = %d, want %d", got, before+1)
		}
	})

	t.Run("rolls back on an error, which comes back as it is, once", func(t *testing.T) {
		before := amountOf(t, pool, "a")
		attempts := 0
		refused := errs.New(errorsv1.ErrorReason_CAMPAIGN_CLOSED, "No.")
		err := postgres.InTx(ctx, pool, func(ctx context.Context, tx pgx.Tx) error {
			attempts++
			if err := add(ctx, tx, "a", 1); err != nil {
				return err
			}
			return refused
		})
		if err != error(refused) {
			t.Errorf("err = %v", err)
		}
		if got := amountOf(t, pool, "a"); got != before || attempts != 1 {
			t.Errorf("amount = %d after %d attempts, want %d after 1", got, attempts, before)
		}
	})

	t.Run("rolls back on a panic, and gives the connection back", func(t *testing.T) {
		before := amountOf(t, pool, "a")
		func() {
			defer func() {
				if recover() == nil {
					t.Error("the panic was swallowed")
				}
			}()
			_ = postgres.InTx(ctx, pool, func(ctx context.Context, tx pgx.Tx) error {
				if err := add(ctx, tx, "a", 1); err != nil {
					return err
				}
				panic("test")
			})
		}()
		if got := amountOf(t, pool, "a"); got != before {
			t.Errorf("amount = %d, want %d", got, before)
		}
		if busy := pool.Stat().AcquiredConns(); busy != 0 {
			t.Errorf("%d connections are still taken", busy)
		}
	})

	for _, code := range []string{"40001", "40P01"} {
		t.Run("runs again after "+code+", also when it was classified on the way", func(t *testing.T) {
			before := amountOf(t, pool, "a")
			attempts := 0
			err := postgres.InTx(ctx, pool, func(ctx context.Context, tx pgx.Tx) error {
				attempts++
				if err := add(ctx, tx, "a", 1); err != nil {
					return err
				}
				if attempts < 3 {
					return postgres.Error(fail(ctx, tx, code))
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if got := amountOf(t, pool, "a"); got != before+1 || attempts != 3 {
				t.Errorf("amount = %d after %d attempts, want %d after 3", got, attempts, before+1)
			}
		})
	}

	t.Run("gives up after five conflicts with ABORTED", func(t *testing.T) {
		attempts := 0
		err := postgres.InTx(ctx, pool, func(ctx context.Context, tx pgx.Tx) error {
			attempts++
			return fail(ctx, tx, "40001")
		})
		if errs.Code(err) != codes.Aborted || attempts != 5 {
			t.Errorf("err = %v after %d attempts", err, attempts)
		}
	})

	t.Run("does not run again after any other error", func(t *testing.T) {
		for _, code := range []string{"23505", "55P03", "57014", "P0001"} {
			attempts := 0
			err := postgres.InTx(ctx, pool, func(ctx context.Context, tx pgx.Tx) error {
				attempts++
				return fail(ctx, tx, code)
			})
			if err == nil || attempts != 1 {
				t.Errorf("%s: err = %v after %d attempts", code, err, attempts)
			}
		}
	})

	t.Run("stops when the caller goes away", func(t *testing.T) {
		ctx, cancel := context.WithCancel(ctx)
		err := postgres.InTx(ctx, pool, func(ctx context.Context, tx pgx.Tx) error {
			err := fail(ctx, tx, "40001")
			cancel()
			return err
		})
		if errs.Code(err) != codes.Canceled {
			t.Errorf("err = %v, want CANCELED", err)
		}
	})
}

// Two transactions take the same two rows in opposite order. Postgres ends one, InTx runs it
// again, and both changes are there.
func TestInTxSurvivesADeadlock(t *testing.T) {
	ctx := testContext(t)
	pool := pots(t)
	beforeA, beforeB := amountOf(t, pool, "a"), amountOf(t, pool, "b")
	var met sync.WaitGroup
	met.Add(2)
	transfer := func(first, second string) error {
		attempts := 0
		return postgres.InTx(ctx, pool, func(ctx context.Context, tx pgx.Tx) error {
			attempts++
			if err := add(ctx, tx, first, 1); err != nil {
				return err
			}
			if attempts == 1 {
				met.Done()
				met.Wait() // both hold one row now
			}
			return add(ctx, tx, second, 1)
		})
	}
	var results [2]error
	var done sync.WaitGroup
	done.Go(func() { results[0] = transfer("a", "b") })
	done.Go(func() { results[1] = transfer("b", "a") })
	done.Wait()
	if err := errors.Join(results[:]...); err != nil {
		t.Fatal(err)
	}
	if a, b := amountOf(t, pool, "a"), amountOf(t, pool, "b"); a != beforeA+2 || b != beforeB+2 {
		t.Errorf("amounts = %d, %d, want %d, %d", a, b, beforeA+2, beforeB+2)
	}
}

func TestErrorBySQLState(t *testing.T) {
	pool := pots(t)
	for state, want := range map[string]struct {
		code   codes.Code
		reason errs.Reason
	}{
		"40001": {codes.Aborted, errorsv1.ErrorReason_TRANSACTION_CONFLICT},
		"40P01": {codes.Aborted, errorsv1.ErrorReason_TRANSACTION_CONFLICT},
		"55P03": {codes.Aborted, errorsv1.ErrorReason_TRANSACTION_CONFLICT},
		"57014": {codes.Unavailable, errorsv1.ErrorReason_DATABASE_TIMEOUT},
		"57P01": {codes.Unavailable, errorsv1.ErrorReason_DATABASE_UNAVAILABLE},
		"57P03": {codes.Unavailable, errorsv1.ErrorReason_DATABASE_UNAVAILABLE},
		"53300": {codes.Unavailable, errorsv1.ErrorReason_DATABASE_UNAVAILABLE},
		"08006": {codes.Unavailable, errorsv1.ErrorReason_DATABASE_UNAVAILABLE},
		"25P03": {codes.Unavailable, errorsv1.ErrorReason_DATABASE_UNAVAILABLE},
		"22003": {codes.InvalidArgument, errorsv1.ErrorReason_INVALID_VALUE},
		"23505": {codes.Internal, errorsv1.ErrorReason_INTERNAL},
		"42P01": {codes.Internal, errorsv1.ErrorReason_INTERNAL},
	} {
		t.Run(state, func(t *testing.T) {
			ctx := testContext(t)
			tx, err := pool.Begin(ctx)
			if err != nil {
				t.Fatal(err)
			}
			defer tx.Rollback(ctx)
			got := errs.As(postgres.Error(fail(ctx, tx, state)))
			if got.Code != want.code || got.Reason != want.reason {
				t.Errorf("got %v %s, want %v %s", got.Code, got.Reason, want.code, want.reason)
			}
			if strings.Contains(got.Message, "test") {
				t.Errorf("the message repeats the database: %s", got.Message)
			}
		})
	}
}

func TestErrorOfRealFailures(t *testing.T) {
	ctx := testContext(t)
	pool := pots(t)

	t.Run("nil stays nil", func(t *testing.T) {
		if err := postgres.Error(nil); err != nil {
			t.Error(err)
		}
	})
	t.Run("a NUL in a text is INVALID_ARGUMENT", func(t *testing.T) {
		_, err := pool.Exec(ctx, "INSERT INTO test.pots (name, amount) VALUES ($1, 1)", "a\x00b")
		if got := errs.Code(postgres.Error(err)); got != codes.InvalidArgument {
			t.Errorf("code = %v for %v", got, err)
		}
	})
	t.Run("a session that the server ended is UNAVAILABLE", func(t *testing.T) {
		err := pool.AcquireFunc(ctx, func(conn *pgxpool.Conn) error {
			if _, err := pgtest.Owner(t, pool).Exec(ctx, "SELECT pg_terminate_backend($1)", conn.Conn().PgConn().PID()); err != nil {
				t.Fatal(err)
			}
			_, err := conn.Exec(ctx, "SELECT pg_sleep(60)")
			return err
		})
		if got := errs.Code(postgres.Error(err)); got != codes.Unavailable {
			t.Errorf("code = %v for %v", got, err)
		}
	})
	t.Run("a caller that went away is CANCELED", func(t *testing.T) {
		gone, cancel := context.WithCancel(ctx)
		cancel()
		_, err := pool.Exec(gone, "SELECT 1")
		if got := errs.Code(postgres.Error(err)); got != codes.Canceled {
			t.Errorf("code = %v for %v", got, err)
		}
	})
	t.Run("no row is left for the caller to name", func(t *testing.T) {
		if !errors.Is(postgres.Error(pgx.ErrNoRows), pgx.ErrNoRows) {
			t.Error("pgx.ErrNoRows is lost")
		}
	})
}

func TestConstraints(t *testing.T) {
	ctx := testContext(t)
	pool := pots(t)
	taken := errs.New(errorsv1.ErrorReason_CAMPAIGN_EXISTS, "The name is taken.")
	table := map[string]*errs.Error{
		"pots_pkey":         taken,
		"pots_amount_check": errs.Invalid("amount", "must not be negative"),
		"pots_parent_fkey":  errs.NotFound("pots/parent"),
	}
	for _, test := range []struct {
		constraint, values string
		want               codes.Code
	}{
		{"pots_pkey", "('a', 1, NULL)", codes.AlreadyExists},
		{"pots_amount_check", "('c', -1, NULL)", codes.InvalidArgument},
		{"pots_parent_fkey", "('d', 1, 'nobody')", codes.NotFound},
		{"", "('e', NULL, NULL)", codes.Internal},
	} {
		t.Run("maps "+test.constraint+" to "+test.want.String(), func(t *testing.T) {
			_, err := pool.Exec(ctx, "INSERT INTO test.pots (name, amount, parent) VALUES "+test.values)
			got := postgres.ErrorFor(err, table)
			if errs.Code(got) != test.want {
				t.Errorf("err = %v", got)
			}
			if test.constraint != "" && !postgres.Constraint(err, test.constraint) {
				t.Errorf("Constraint does not recognise %v", err)
			}
			if postgres.Constraint(err, "pots_other_key") {
				t.Errorf("Constraint takes %v for another one", err)
			}
		})
	}
	if taken.Cause != nil {
		t.Error("the caller's table was changed")
	}
}
