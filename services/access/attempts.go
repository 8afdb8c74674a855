package access

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

// limit is how often something may be tried: burst times at once, then once each interval.
type limit struct {
	burst    int
	interval time.Duration
}

var (
	// networkLinks is for the links that one network asks for: an office may sign in, and nobody can mail a whole town.
	networkLinks = limit{burst: 10, interval: time.Minute}
	// addressLinks is for those that one network asks for one address, whose owner must not be flooded. It leaves the owner's
	// own network its links: whoever knows an address must not be able to keep its owner out. allAddressLinks is for those of
	// all networks.
	addressLinks    = limit{burst: 4, interval: 15 * time.Minute}
	allAddressLinks = limit{burst: 20, interval: 3 * time.Minute}
	// networkAttempts is for tokens and passkeys that one network tries. No token can be guessed; this bounds the work.
	networkAttempts = limit{burst: 30, interval: 10 * time.Second}
	// invitations is for those of one collective.
	invitationsLimit = limit{burst: 20, interval: 10 * time.Minute}
)

// attemptKey is the key of something that is limited, for one day. It is keyed by a secret, so that neither networks nor
// addresses can be guessed from stored keys. Callers whose network is unknown share one key.
func (s *Service) attemptKey(what, whom string, now time.Time) []byte {
	mac := hmac.New(sha256.New, s.cfg.SecretKey)
	mac.Write([]byte("access." + what + "\n" + now.UTC().Format(time.DateOnly) + "\n" + whom))
	return mac.Sum(nil)[:16]
}

// attemptSQL is the generic cell rate algorithm in one statement: the theoretical arrival time (tat) moves on by one
// interval for each attempt, and may be at most burst intervals ahead. Of two concurrent attempts the second waits for the
// row and sees the first.
const attemptSQL = `
INSERT INTO access.attempts AS a (key, tat)
VALUES (@key, @now::timestamptz + @interval::interval)
ON CONFLICT (key) DO UPDATE
SET tat = greatest(a.tat, @now::timestamptz) + @interval::interval
WHERE greatest(a.tat, @now::timestamptz) + @interval::interval <= @now::timestamptz + @ahead::interval
RETURNING tat`

// arrivalSQL reads the arrival time of a key that attemptSQL refused. The time to wait follows from it.
const arrivalSQL = `
SELECT a.tat
FROM access.attempts AS a
WHERE a.key = @key`

// attemptTx counts one attempt, or returns the time to wait until the next one is allowed.
func attemptTx(ctx context.Context, tx pgx.Tx, key []byte, l limit, now time.Time) (wait time.Duration, err error) {
	ahead := time.Duration(l.burst) * l.interval
	var tat time.Time
	err = tx.QueryRow(ctx, attemptSQL, pgx.NamedArgs{
		"key": key, "now": now, "interval": l.interval, "ahead": ahead,
	}).Scan(&tat)
	if !errors.Is(err, pgx.ErrNoRows) {
		return 0, postgres.Error(err)
	}
	if err := tx.QueryRow(ctx, arrivalSQL, pgx.NamedArgs{"key": key}).Scan(&tat); err != nil {
		return 0, postgres.Error(err)
	}
	return max(tat.Add(l.interval).Sub(now.Add(ahead)), time.Second), nil
}

// countAttempt counts an attempt to sign in from a network, whatever comes of it: it has a transaction of its own, since
// that of an attempt that fails is rolled back. RESOURCE_EXHAUSTED (TOO_MANY_ATTEMPTS) has the time to wait.
func (s *Service) countAttempt(ctx context.Context, network netip.Prefix) error {
	now := s.now()
	return postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		wait, err := attemptTx(ctx, tx, s.attemptKey("attempts", network.String(), now), networkAttempts, now)
		if err != nil || wait == 0 {
			return err
		}
		return tooMany(errorsv1.ErrorReason_TOO_MANY_ATTEMPTS, wait, "Too many attempts to sign in from this network; wait before the next one.")
	})
}

func tooMany(reason errs.Reason, wait time.Duration, text string) error {
	e := errs.New(reason, "%s", text)
	e.RetryAfter = wait
	return e
}
