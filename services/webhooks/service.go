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
	"github.com/cagnotte/cagnotte/services/connect"
	"github.com/cagnotte/cagnotte/services/donations"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/internal/stripe"
	"github.com/cagnotte/cagnotte/services/ledger"
	"github.com/cagnotte/cagnotte/services/notices"
	"github.com/cagnotte/cagnotte/services/payouts"
	"github.com/cagnotte/cagnotte/services/refunds"
)

// Config configures a Service. Fields without a stated default are required.
type Config struct {
	Pool        *pgxpool.Pool
	Stripe      *stripe.Client
	Donations   *donations.Service
	Refunds     *refunds.Service
	Ledger      *ledger.Service
	Collectives *collectives.Service
	Notices     *notices.Service
	Connect     *connect.Service
	Payouts     *payouts.Service
	// Jobs inserts jobs. It need not work them.
	Jobs *river.Client[pgx.Tx]
	// Secrets and ConnectSecrets are the signing secrets of the two endpoints; several while one is being rolled.
	// Default none: then only those count that are stored ([Service.StoreSecretTx]).
	Secrets, ConnectSecrets []string
	// SecretKey encrypts the secrets that are stored. Default none: none can be stored, and none is read.
	SecretKey []byte
	// SyncEvery is how often Stripe's balance and list of events are read without an event. Default 5 minutes.
	SyncEvery time.Duration
	// Now returns the time by Stripe's clock. Default time.Now.
	Now func() time.Time
	// Logger gets what is reported to nobody. Default slog.Default().
	Logger *slog.Logger
	// Metrics is where the collectors are registered. Default nil: nowhere.
	Metrics prometheus.Registerer
}

// Service keeps donations and books up to date with Stripe. It is safe for concurrent use, also by several programs.
type Service struct {
	cfg     Config
	metrics *metrics
	// intake batches the deliveries of this program.
	intake intake
	// stored are the signing secrets that are stored.
	stored secretCache
	// ensured holds the accounts whose row and book this program has created or found.
	ensured sync.Map
	// delivered has the time of each account's last delivery to this program; began is when this program started.
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

// now is the time in the precision of Postgres.
func (s *Service) now() time.Time { return s.cfg.Now().UTC().Truncate(time.Microsecond) }

// strings runs a query that returns one column of text.
func (s *Service) strings(ctx context.Context, sql string, args pgx.NamedArgs) ([]string, error) {
	rows, err := s.cfg.Pool.Query(ctx, sql, args)
	if err != nil {
		return nil, postgres.Error(err)
	}
	values, err := pgx.CollectRows(rows, pgx.RowTo[string])
	return values, postgres.Error(err)
}

// over reports whether until has passed, by the wall clock. A zero until never passes.
func over(until time.Time) bool { return !until.IsZero() && time.Now().After(until) }
