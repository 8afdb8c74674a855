package refunds

import (
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"

	"github.com/cagnotte/cagnotte/services/collectives"
	"github.com/cagnotte/cagnotte/services/connect"
	"github.com/cagnotte/cagnotte/services/donations"
	"github.com/cagnotte/cagnotte/services/internal/stripe"
	"github.com/cagnotte/cagnotte/services/notices"
)

// Config is what a Service needs. Everything without a default is required.
type Config struct {
	Pool        *pgxpool.Pool
	Donations   *donations.Service
	Collectives *collectives.Service
	Notices     *notices.Service
	Connect     *connect.Service
	Stripe      *stripe.Client
	// Jobs inserts jobs; it need not work them.
	Jobs *river.Client[pgx.Tx]
	// Now tells the time, which must be Stripe's; time.Now when nil.
	Now func() time.Time
}

// Service refunds donations, and knows what banks and card networks say against them. It is safe for concurrent use.
type Service struct {
	cfg Config
}

// New returns a Service.
func New(cfg Config) *Service {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Service{cfg: cfg}
}

// now is the time as Postgres keeps it, so that what is answered after a write is what is read later.
func (s *Service) now() time.Time { return s.cfg.Now().UTC().Truncate(time.Microsecond) }
