package payouts

import (
	"context"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/cagnotte/cagnotte/services/collectives"
	"github.com/cagnotte/cagnotte/services/internal/stripe"
	"github.com/cagnotte/cagnotte/services/ledger"
	"github.com/cagnotte/cagnotte/services/notices"
)

const (
	// watchFor is how long after its creation a payout may still fail. Until then it is listed and compared again: a
	// bank's answer takes days, https://docs.stripe.com/payouts#payout-failures.
	watchFor = 16 * 24 * time.Hour
	// compareEvery is how often it is compared with the books meanwhile.
	compareEvery = 24 * time.Hour
	// missingAfter is how long after the arrival a payout's contents may still be missing in the books.
	missingAfter = 3 * 24 * time.Hour
	// undividedAfter is how long after the arrival the line at the bank waits until the shares are known.
	undividedAfter = 7 * 24 * time.Hour
	// firstPause and maxPause bound the pause between two attempts at a payout.
	firstPause = 5 * time.Second
	maxPause   = time.Hour
)

// Config configures a Service. Fields without a stated default are required.
type Config struct {
	Pool        *pgxpool.Pool
	Stripe      *stripe.Client
	Ledger      *ledger.Service
	Collectives *collectives.Service
	Notices     *notices.Service
	// Banked is called after a line at the bank was posted or reversed for a collective, because a bank statement may
	// have shown it before. Its error is logged. Default nil: not called.
	Banked func(ctx context.Context, collective string) error
	// Now returns the time by Stripe's clock. Default time.Now.
	Now func() time.Time
	// Logger gets what is reported to nobody. Default slog.Default().
	Logger *slog.Logger
	// Metrics is where the collectors are registered. Default nil: nowhere.
	Metrics prometheus.Registerer
}

// Service keeps payouts up to date with Stripe, and books them. It is safe for concurrent use, also by several
// programs.
type Service struct {
	cfg   Config
	reads *prometheus.CounterVec
}

// New returns a Service.
func New(cfg Config) *Service {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	s := &Service{cfg: cfg, reads: newReads(cfg.Metrics)}
	if cfg.Metrics != nil {
		cfg.Metrics.MustRegister(&gauges{service: s})
	}
	return s
}

// now is the time in the precision of Postgres.
func (s *Service) now() time.Time { return s.cfg.Now().UTC().Truncate(time.Microsecond) }

// over reports whether until has passed, by the wall clock. A zero until never passes.
func over(until time.Time) bool { return !until.IsZero() && time.Now().After(until) }
