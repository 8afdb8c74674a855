package donations

import (
	"context"
	"net/netip"
	"time"

	"github.com/jackc/pgx/v5"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/limit"
)

// Limit is how often one network may start a donation. Repeats of a request id do not count.
type Limit = limit.Rate

// DefaultLimit is 20 donations at once, then one each 30 seconds. A village fair behind one address can give, and somebody who
// tests stolen cards is slowed down. It counts payment pages; maxDeclines limits the cards on one page.
var DefaultLimit = Limit{Burst: 20, Interval: 30 * time.Second}

// limits counts what networks and donors' links may do. Callers whose network is unknown share one key, since fraud would move
// to a path without a limit.
func (s *Service) limits() limit.Limiter {
	return limit.Limiter{Table: "donations.limits", Secret: s.cfg.SecretKey, Daily: true}
}

// LimitTx counts one pledge of a network, since pledges share the limit of donations. RESOURCE_EXHAUSTED (TOO_MANY_DONATIONS)
// has the time to wait. It locks the network's row until the caller's transaction ends, so it is called last.
func (s *Service) LimitTx(ctx context.Context, tx pgx.Tx, network netip.Prefix) error {
	return s.takeTx(ctx, tx, network, s.now())
}

// takeTx counts one donation of the network, or is RESOURCE_EXHAUSTED (TOO_MANY_DONATIONS) with the time to wait.
func (s *Service) takeTx(ctx context.Context, tx pgx.Tx, network netip.Prefix, now time.Time) error {
	wait, err := s.limits().TakeTx(ctx, tx, "donations", network.String(), s.cfg.Limit, now)
	if err != nil || wait == 0 {
		return err
	}
	e := errs.New(errorsv1.ErrorReason_TOO_MANY_DONATIONS, "Too many donations were started from this network. Try again later.")
	e.RetryAfter = wait
	return e
}
