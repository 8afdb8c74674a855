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
	// maxTxAttempts bounds InTx. Five conflicts in a row are a queue, not bad luck.
	maxTxAttempts = 5
	// txBackoff is the longest first pause; it doubles with every attempt.
	txBackoff = 10 * time.Millisecond
)

// InTx runs fn in one transaction, READ COMMITTED as Postgres has it, and commits when fn returns
// nil. An error or a panic of fn rolls back.
//
// When Postgres itself gave the transaction up (serialization failure, deadlock), nothing of it
// happened, and fn is run again from the start, five times in all. So fn must have no effect but
// on its transaction: no network call, no variable that keeps what an earlier attempt appended.
// InTx must not be nested: what runs in a caller's transaction takes a pgx.Tx and is named …Tx.
//
// Errors of fn come back as they are; Postgres' own are classified by [Error]. UNAVAILABLE from a
// lost connection can mean that the commit did happen: callers repeat under their request id.
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
		// A random pause, or two that met once meet again.
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
	// After a commit this does nothing; after a panic it is what frees the connection. A caller
	// that has gone away must not keep the rollback from being sent.
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	if err := fn(context.WithValue(ctx, inTxKey{}, true), tx); err != nil {
		return err
	}
	return Error(tx.Commit(ctx))
}

type inTxKey struct{}

// InTransaction reports whether ctx is the one that InTx gave to its function. Who calls over the network refuses to
// then: locks would be held for as long as somebody else takes to answer.
func InTransaction(ctx context.Context) bool { return ctx.Value(inTxKey{}) != nil }

// gaveUp reports whether Postgres rolled the transaction back because of others, so that the same
// transaction can work when run again.
// https://www.postgresql.org/docs/current/mvcc-serialization-failure-handling.html
func gaveUp(err error) bool {
	var pgErr *pgconn.PgError
	if !errors.As(err, &pgErr) {
		return false
	}
	return pgErr.Code == serializationFailure || pgErr.Code == deadlockDetected
}
