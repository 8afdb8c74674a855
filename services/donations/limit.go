package donations

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"net/netip"
	"time"

	"github.com/jackc/pgx/v5"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

// Limit is how often one network may start a donation: Burst at once, then one each Interval. Repeats of a request id do not
// count.
type Limit struct {
	Burst    int
	Interval time.Duration
}

// DefaultLimit is 20 donations at once, then one each 30 seconds. A village fair behind one address can give, and somebody who
// tests stolen cards is slowed down. It counts payment pages; maxDeclines limits the cards on one page.
var DefaultLimit = Limit{Burst: 20, Interval: 30 * time.Second}

// limitKey is the key of a network for one day. It is keyed by a secret, so that networks cannot be guessed from stored keys.
// Callers whose network is unknown share one key, since fraud would move to a path without a limit.
func (s *Service) limitKey(network netip.Prefix, now time.Time) []byte {
	mac := hmac.New(sha256.New, s.cfg.SecretKey)
	mac.Write([]byte("donations.limits\n" + now.UTC().Format(time.DateOnly) + "\n" + network.String()))
	return mac.Sum(nil)[:16]
}

// takeSQL is the generic cell rate algorithm in one statement: the theoretical arrival time (tat) moves on by one interval for
// each donation, and may be at most burst intervals ahead. Of two concurrent donations the second waits for the row and sees
// the first.
const takeSQL = `
INSERT INTO donations.limits AS l (key, tat)
VALUES (@key, @now::timestamptz + @interval::interval)
ON CONFLICT (key) DO UPDATE
SET tat = greatest(l.tat, @now::timestamptz) + @interval::interval
WHERE greatest(l.tat, @now::timestamptz) + @interval::interval <= @now::timestamptz + @ahead::interval
RETURNING tat`

// arrivalSQL reads the arrival time of a key that takeSQL refused. The time to wait follows from it.
const arrivalSQL = `
SELECT l.tat
FROM donations.limits AS l
WHERE l.key = @key`

// LimitTx counts one pledge of a network, since pledges share the limit of donations. RESOURCE_EXHAUSTED (TOO_MANY_DONATIONS)
// has the time to wait. It locks the network's row until the caller's transaction ends, so it is called last.
func (s *Service) LimitTx(ctx context.Context, tx pgx.Tx, network netip.Prefix) error {
	return s.takeTx(ctx, tx, network, s.now())
}

// takeTx counts one donation of the network, or is RESOURCE_EXHAUSTED (TOO_MANY_DONATIONS) with the time to wait.
func (s *Service) takeTx(ctx context.Context, tx pgx.Tx, network netip.Prefix, now time.Time) error {
	wait, err := takeKeyTx(ctx, tx, s.limitKey(network, now), s.cfg.Limit, now)
	if err != nil || wait == 0 {
		return err
	}
	e := errs.New(errorsv1.ErrorReason_TOO_MANY_DONATIONS, "Too many donations were started from this network. Try again later.")
	e.RetryAfter = wait
	return e
}

// takeKeyTx counts one use of the key, or returns the time to wait until the next one is allowed.
func takeKeyTx(ctx context.Context, tx pgx.Tx, key []byte, limit Limit, now time.Time) (wait time.Duration, err error) {
	ahead := time.Duration(limit.Burst) * limit.Interval
	var tat time.Time
	err = tx.QueryRow(ctx, takeSQL, pgx.NamedArgs{
		"key": key, "now": now, "interval": limit.Interval, "ahead": ahead,
	}).Scan(&tat)
	if !errors.Is(err, pgx.ErrNoRows) {
		return 0, postgres.Error(err)
	}
	if err := tx.QueryRow(ctx, arrivalSQL, pgx.NamedArgs{"key": key}).Scan(&tat); err != nil {
		return 0, postgres.Error(err)
	}
	return max(tat.Add(limit.Interval).Sub(now.Add(ahead)), time.Second), nil
}

// forgetLimitsSQL deletes the keys whose arrival time has passed, by limits_tat_idx. Such a key limits as little as a
// key without a row.
const forgetLimitsSQL = `
DELETE FROM donations.limits
WHERE tat < @now`

// forgetLimits deletes the rows that limit nobody any more.
func (s *Service) forgetLimits(ctx context.Context) error {
	_, err := s.cfg.Pool.Exec(ctx, forgetLimitsSQL, pgx.NamedArgs{"now": s.now()})
	return postgres.Error(err)
}
