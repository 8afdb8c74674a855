package postgres

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	// maxTxAttempts limits how often InTx runs its function. Five conflicts in a row are no coincidence.
	maxTxAttempts = 5
	// txBackoff is the upper limit of the first pause. It doubles with each attempt.
	txBackoff = 10 * time.Millisecond
)

// InTx runs fn in one transaction at the isolation level READ COMMITTED, and commits when fn returns nil. An error or a
// panic of fn rolls the transaction back.
//
// When Postgres aborts the transaction because of others (serialization failure, deadlock), InTx runs fn again from the
// start, five times in all. So fn must have no effect outside of its transaction: no network call, and no variable that
// keeps what an earlier attempt appended. InTx must not be nested. A function that runs in its caller's transaction takes
// a pgx.Tx, and its name ends in Tx.
//
// InTx returns errors of fn as they are, and classifies those of Postgres by [Error]. UNAVAILABLE after a lost connection
// can mean that the commit succeeded: callers repeat the request under the same request id.
func InTx(ctx context.Context, pool *pgxpool.Pool, fn func(ctx context.Context, tx pgx.Tx) error) error {
	pause := txBackoff
	for attempt := 1; ; attempt++ {
		err := inTxOnce(ctx, pool, fn)
		if err == nil || !gaveUp(err) {
			return err
		}
		if attempt == maxTxAttempts {
			return Error(err)
		}
		// The pause is random, so that the same two transactions do not conflict again.
		timer := time.NewTimer(rand.N(pause) + 1)
		select {
		case <-ctx.Done():
			timer.Stop()
			return Error(ctx.Err())
		case <-timer.C:
		}
		pause *= 2
	}
}

func inTxOnce(ctx context.Context, pool *pgxpool.Pool, fn func(ctx context.Context, tx pgx.Tx) error) error {
	tx, err := pool.Begin(ctx)
	if err != nil {
		return Error(err)
	}
	// After a commit this does nothing; after a panic it releases the connection. It is sent even if the caller's context
	// has ended.
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	if err := fn(context.WithValue(ctx, inTxKey{}, true), tx); err != nil {
		return err
	}
	return Error(tx.Commit(ctx))
}

type inTxKey struct{}

// InTransaction reports whether ctx comes from InTx. Clients of network services refuse such a context, because locks would
// be held until the other side answers.
func InTransaction(ctx context.Context) bool { return ctx.Value(inTxKey{}) != nil }

// gaveUp reports whether Postgres aborted the transaction because of others, so that it may succeed when it runs again.
// https://www.postgresql.org/docs/current/mvcc-serialization-failure-handling.html
func gaveUp(err error) bool {
	var pgErr *pgconn.PgError
	if !errors.As(err, &pgErr) {
		return false
	}
	return pgErr.Code == serializationFailure || pgErr.Code == deadlockDetected
}
