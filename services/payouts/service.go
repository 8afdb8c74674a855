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
)

const (
	// watchFor is how long a payout may still fail after it was made, and is listed again and compared anew: a
	// bank's answer takes days, https://docs.stripe.com/payouts#payout-failures.
	watchFor = 16 * 24 * time.Hour
	// compareEvery is how often, meanwhile, it is compared with the books again.
	compareEvery = 24 * time.Hour
	// missingAfter is how long after its arrival a payout's content may still be on its way to the books.
	missingAfter = 3 * 24 * time.Hour
	// undividedAfter is how long after its arrival its line at the bank waits for whose money it is.
	undividedAfter = 7 * 24 * time.Hour
	// firstPause and maxPause bound the pause of a payout that waits for something.
	firstPause = 5 * time.Second
	maxPause   = time.Hour
)

// Config is what a Service needs. Everything without a default is required.
type Config struct {
	Pool        *pgxpool.Pool
	Stripe      *stripe.Client
	Ledger      *ledger.Service
	Collectives *collectives.Service
	// Banked is called after a line at the bank of a collective's was posted or taken back: a statement may have shown it
	// before. Its error is logged. Nil: nobody asks.
	Banked func(ctx context.Context, collective string) error
	// Now tells the time, which must be Stripe's; time.Now when nil.
	Now func() time.Time
	// Logger gets what nobody is told; slog.Default when nil.
	Logger *slog.Logger
	// Metrics is where the collectors are registered; nowhere when nil.
	Metrics prometheus.Registerer
}

// Service keeps payouts in step with Stripe and the books with payouts. It is safe for concurrent use, also by
// several programs.
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

// now is the time as Postgres keeps it.
func (s *Service) now() time.Time { return s.cfg.Now().UTC().Truncate(time.Microsecond) }

func over(until time.Time) bool { return !until.IsZero() && time.Now().After(until) }
