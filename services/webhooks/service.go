package webhooks

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/riverqueue/river"

	"github.com/cagnotte/cagnotte/services/collectives"
	"github.com/cagnotte/cagnotte/services/donations"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/internal/stripe"
	"github.com/cagnotte/cagnotte/services/ledger"
	"github.com/cagnotte/cagnotte/services/payouts"
)

// Config is what a Service needs. Everything without a default is required.
type Config struct {
	Pool        *pgxpool.Pool
	Stripe      *stripe.Client
	Donations   *donations.Service
	Ledger      *ledger.Service
	Collectives *collectives.Service
	Payouts     *payouts.Service
	// Jobs inserts jobs; it need not work them.
	Jobs *river.Client[pgx.Tx]
	// Secrets and ConnectSecrets are the signing secrets of the two endpoints, several while one is being
	// rolled. An endpoint without any refuses everything.
	Secrets, ConnectSecrets []string
	// SyncEvery is how often Stripe's balance is read without being asked; 5 minutes when zero.
	SyncEvery time.Duration
	// Now tells the time, which must be Stripe's, to look back from; time.Now when nil.
	Now func() time.Time
	// Logger gets what nobody is told; slog.Default when nil.
	Logger *slog.Logger
	// Metrics is where the collectors are registered; nowhere when nil.
	Metrics prometheus.Registerer
}

// Service keeps donations and books in step with Stripe. It is safe for concurrent use, also by several programs.
type Service struct {
	cfg     Config
	metrics *metrics
	// intake gathers the deliveries of this program.
	intake intake
	// ensured holds the accounts whose row and book this program has seen to.
	ensured sync.Map
	// delivered is when this program last took an event of an account from a webhook, and began when it began.
	delivered sync.Map
	began     time.Time
}

const defaultSyncEvery = 5 * time.Minute

// New returns a Service.
func New(cfg Config) *Service {
	if cfg.SyncEvery <= 0 {
		cfg.SyncEvery = defaultSyncEvery
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	s := &Service{cfg: cfg, metrics: newMetrics(cfg.Metrics)}
	s.began = s.now()
	s.intake.write = s.storeBatch
	if cfg.Metrics != nil {
		cfg.Metrics.MustRegister(newGauges(s))
	}
	return s
}

// now is the time as Postgres keeps it.
func (s *Service) now() time.Time { return s.cfg.Now().UTC().Truncate(time.Microsecond) }

// strings runs a query of one column of text.
func (s *Service) strings(ctx context.Context, sql string, args pgx.NamedArgs) ([]string, error) {
	rows, err := s.cfg.Pool.Query(ctx, sql, args)
	if err != nil {
		return nil, postgres.Error(err)
	}
	values, err := pgx.CollectRows(rows, pgx.RowTo[string])
	return values, postgres.Error(err)
}

func over(until time.Time) bool { return !until.IsZero() && time.Now().After(until) }
