package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// Querier is a pool or a transaction.
type Querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// One returns the one row of a statement, and pgx.ErrNoRows as it is when there is none.
func One[T any](ctx context.Context, db Querier, scan pgx.RowToFunc[T], sql string, args pgx.NamedArgs) (row T, err error) {
	rows, err := db.Query(ctx, sql, args)
	if err != nil {
		return row, err
	}
	return pgx.CollectExactlyOneRow(rows, scan)
}

// All returns every row of a statement; its errors are classified like those of [Error].
func All[T any](ctx context.Context, db Querier, scan pgx.RowToFunc[T], sql string, args pgx.NamedArgs) ([]T, error) {
	rows, err := db.Query(ctx, sql, args)
	if err != nil {
		return nil, Error(err)
	}
	found, err := pgx.CollectRows(rows, scan)
	return found, Error(err)
}
