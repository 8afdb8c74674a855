// Package limit bounds how often somebody may try something, by the generic cell rate algorithm in Postgres, so that all
// copies of the program count together.
//
// A row is a key and its theoretical arrival time (tat), which moves on by one interval with each use and may be at most a
// burst of intervals ahead of now. A key whose time has passed limits as little as one without a row, and is deleted by
// Forget. Keys are hashes under a secret, so that nobody can guess networks and addresses from stored ones.
package limit

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

// Rate is how often something may be done: Burst times at once, then once each Interval.
type Rate struct {
	Burst    int
	Interval time.Duration
}

// Limiter counts in one table, whose columns are key and tat. All fields but Daily are required.
type Limiter struct {
	// Table is the name of the table with its schema.
	Table string
	// Secret keys the hashes.
	Secret []byte
	// Daily gives everybody another key each day (UTC), so that stored keys of two days cannot be connected. It is for rates
	// that forgive within hours: a new day forgives everything.
	Daily bool
}

// TakeTx counts one use by whom of what, or returns the time to wait until the next one is allowed, at least a second. It
// locks the row until the transaction ends, so it is called last: of two uses at once the second waits, and sees the first.
func (l Limiter) TakeTx(ctx context.Context, tx pgx.Tx, what, whom string, r Rate, now time.Time) (wait time.Duration, err error) {
	ahead := time.Duration(r.Burst) * r.Interval
	args := pgx.NamedArgs{"key": l.key(what, whom, now), "now": now, "interval": r.Interval, "ahead": ahead}
	var tat time.Time
	err = tx.QueryRow(ctx, `
INSERT INTO `+l.Table+` AS l (key, tat)
VALUES (@key, @now::timestamptz + @interval::interval)
ON CONFLICT (key) DO UPDATE
SET tat = greatest(l.tat, @now::timestamptz) + @interval::interval
WHERE greatest(l.tat, @now::timestamptz) + @interval::interval <= @now::timestamptz + @ahead::interval
RETURNING tat`, args).Scan(&tat)
	if !errors.Is(err, pgx.ErrNoRows) {
		return 0, postgres.Error(err)
	}
	// Refused: the time to wait follows from the arrival time, which stands as it was.
	if err := tx.QueryRow(ctx, `
SELECT l.tat
FROM `+l.Table+` AS l
WHERE l.key = @key`, args).Scan(&tat); err != nil {
		return 0, postgres.Error(err)
	}
	return max(tat.Add(r.Interval).Sub(now.Add(ahead)), time.Second), nil
}

func (l Limiter) key(what, whom string, now time.Time) []byte {
	mac := hmac.New(sha256.New, l.Secret)
	mac.Write([]byte(l.Table + "\n" + what + "\n"))
	if l.Daily {
		mac.Write([]byte(now.UTC().Format(time.DateOnly) + "\n"))
	}
	mac.Write([]byte(whom))
	return mac.Sum(nil)[:16]
}

// Forget deletes the rows that limit nobody any more, by the table's index of tat.
func (l Limiter) Forget(ctx context.Context, db interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}, now time.Time,
) error {
	_, err := db.Exec(ctx, `
DELETE FROM `+l.Table+`
WHERE tat < @now`, pgx.NamedArgs{"now": now})
	return postgres.Error(err)
}
