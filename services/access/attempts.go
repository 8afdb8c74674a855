package access

import (
	"context"
	"net/netip"
	"time"

	"github.com/jackc/pgx/v5"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/limit"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

var (
	// networkLinks is for the links that one network asks for: an office may sign in, and nobody can mail a whole town.
	networkLinks = limit.Rate{Burst: 10, Interval: time.Minute}
	// addressLinks is for those that one network asks for one address, whose owner must not be flooded. It leaves the owner's
	// own network its links: whoever knows an address must not be able to keep its owner out. allAddressLinks is for those of
	// all networks.
	addressLinks    = limit.Rate{Burst: 4, Interval: 15 * time.Minute}
	allAddressLinks = limit.Rate{Burst: 20, Interval: 3 * time.Minute}
	// networkAttempts is for tokens and passkeys that one network tries. No token can be guessed; this bounds the work.
	networkAttempts = limit.Rate{Burst: 30, Interval: 10 * time.Second}
	// invitations is for those of one collective.
	invitationsLimit = limit.Rate{Burst: 20, Interval: 10 * time.Minute}
)

// attempts counts what may be tried. Callers whose network is unknown share one key.
func (s *Service) attempts() limit.Limiter {
	return limit.Limiter{Table: "access.attempts", Secret: s.cfg.SecretKey, Daily: true}
}

// countAttempt counts an attempt to sign in from a network, whatever comes of it: it has a transaction of its own, since
// that of an attempt that fails is rolled back. RESOURCE_EXHAUSTED (TOO_MANY_ATTEMPTS) has the time to wait.
func (s *Service) countAttempt(ctx context.Context, network netip.Prefix) error {
	now := s.now()
	return postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		wait, err := s.attempts().TakeTx(ctx, tx, "attempts", network.String(), networkAttempts, now)
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
