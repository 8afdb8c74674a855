package connect

import (
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"

	"github.com/cagnotte/cagnotte/services/collectives"
	"github.com/cagnotte/cagnotte/services/internal/stripe"
	"github.com/cagnotte/cagnotte/services/notices"
)

// Config is what a Service needs. What has no default is required.
type Config struct {
	// Pool is the database.
	Pool *pgxpool.Pool
	// Collectives are whose accounts these are. Needed by onboarding alone.
	Collectives *collectives.Service
	// Notices tells members of a disconnection, of what Stripe wants to know, and of links into the onboarding.
	Notices *notices.Service
	// Stripe makes and reads accounts. Needed by onboarding and reading alone.
	Stripe *stripe.Client
	// Jobs inserts the jobs that read accounts; it need not work them. Nil inserts none.
	Jobs *river.Client[pgx.Tx]
	// PublicURL is where browsers find us, without a slash at its end: Stripe leads back to it. Needed by onboarding alone.
	PublicURL string
	// Now tells the time; time.Now when nil.
	Now func() time.Time
}

// Service keeps what is known of accounts at Stripe. It is safe for concurrent use.
type Service struct {
	cfg Config
}

// New returns a Service.
func New(c Config) *Service {
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Service{cfg: c}
}

// nowMicros is the time as Postgres keeps it, so that what is answered after a write is what is read later.
func (s *Service) nowMicros() time.Time { return s.cfg.Now().UTC().Truncate(time.Microsecond) }

// name is a collective's resource name.
func name(id string) string { return collectives.Collective{ID: id}.Name() }
