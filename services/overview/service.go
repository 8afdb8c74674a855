package overview

import (
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/cagnotte/cagnotte/services/campaigns"
	"github.com/cagnotte/cagnotte/services/collectives"
)

// Config is what a Service needs. Everything without a default is required.
type Config struct {
	Pool        *pgxpool.Pool
	Campaigns   *campaigns.Service
	Collectives *collectives.Service
	// Now returns the time. The default is time.Now.
	Now func() time.Time
}

// Service reads overviews. It is safe for concurrent use.
type Service struct{ cfg Config }

// New returns a Service.
func New(cfg Config) *Service {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Service{cfg: cfg}
}
