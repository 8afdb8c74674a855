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
	args := pgx.NamedArgs{"key": l.Key(what, whom, now), "now": now, "interval": r.Interval, "ahead": ahead}
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

// Use is one use by whom of what, which may be done once each Interval.
type Use struct {
	What, Whom string
	Interval   time.Duration
}

// Ahead returns how far ahead of now each key would be after one more use: not more than one interval for a key that was not used
// lately. It locks and writes nothing.
func (l Limiter) Ahead(ctx context.Context, db postgres.Querier, uses []Use, now time.Time) ([]time.Duration, error) {
	return l.ahead(ctx, db, uses, now, `
SELECT
	u.key,
	greatest(l.tat, @now::timestamptz) + (u.next - @now::timestamptz)
FROM unnest(@keys::bytea[], @nexts::timestamptz[]) AS u (key, next)
LEFT JOIN `+l.Table+` AS l ON l.key = u.key`)
}

// TakeAllTx counts one use of each, which must be different, and returns how far ahead of now each key is then. It limits nothing
// by itself: a caller that refuses ends the transaction, and then nothing is counted. It locks the rows, in the order of their
// keys, until the transaction ends, so it is called last.
func (l Limiter) TakeAllTx(ctx context.Context, tx pgx.Tx, uses []Use, now time.Time) ([]time.Duration, error) {
	return l.ahead(ctx, tx, uses, now, `
INSERT INTO `+l.Table+` AS l (key, tat)
SELECT
	u.key,
	u.next
FROM unnest(@keys::bytea[], @nexts::timestamptz[]) AS u (key, next)
ORDER BY u.key
ON CONFLICT (key) DO UPDATE
SET tat = greatest(l.tat, @now::timestamptz) + (excluded.tat - @now::timestamptz)
RETURNING
	l.key,
	l.tat`)
}

// ahead runs a statement that returns keys and their arrival times.
func (l Limiter) ahead(ctx context.Context, db postgres.Querier, uses []Use, now time.Time, sql string) ([]time.Duration, error) {
	keys, nexts, places := make([][]byte, len(uses)), make([]time.Time, len(uses)), map[string]int{}
	for i, u := range uses {
		keys[i], nexts[i] = l.Key(u.What, u.Whom, now), now.Add(u.Interval)
		places[string(keys[i])] = i
	}
	rows, err := db.Query(ctx, sql, pgx.NamedArgs{"keys": keys, "nexts": nexts, "now": now})
	if err != nil {
		return nil, postgres.Error(err)
	}
	ahead := make([]time.Duration, len(uses))
	var key []byte
	var tat time.Time
	_, err = pgx.ForEachRow(rows, []any{&key, &tat}, func() error {
		ahead[places[string(key)]] = tat.Sub(now)
		return nil
	})
	return ahead, postgres.Error(err)
}

// Key is what a use is stored by: a hash under the secret, of the table, what, whom and, if Daily, the day.
func (l Limiter) Key(what, whom string, now time.Time) []byte {
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
