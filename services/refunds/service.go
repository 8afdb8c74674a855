package refunds

import (
	"context"
	"time"

	"github.com/google/uuid"
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
	// LostTx is called in the transaction that stores that a dispute was lost, with the donation locked; nothing when nil.
	LostTx func(ctx context.Context, tx pgx.Tx, donation uuid.UUID) error
	// Now returns the time, which must agree with Stripe's. The default is time.Now.
	Now func() time.Time
}

// Service refunds donations, and stores disputes and fraud warnings. It is safe for concurrent use.
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

// now is the time with the precision of Postgres, so that a write answers what a later read answers.
func (s *Service) now() time.Time { return s.cfg.Now().UTC().Truncate(time.Microsecond) }
