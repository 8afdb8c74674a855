package ledger

import (
	"cmp"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
)

// Config of [New].
type Config struct {
	// Pool is for reads and for sealing; postings run in the caller's transaction. Required.
	Pool *pgxpool.Pool
	// Chart is the name of the chart that new books get, one of [Charts]. Empty: [DefaultChart].
	Chart string
	// SecretKey is what the keys that sign checkpoints are derived from, 32 bytes or more. Empty: the service cannot seal.
	SecretKey []byte
	// Now dates checkpoints and corrections. Nil: time.Now.
	Now func() time.Time
	// ReversedElsewhere are the prefixes of references whose transactions the API does not reclassify, since whoever posted
	// them stores more than the books say and reverses both together. Nil: none.
	ReversedElsewhere []string
	// Metrics is where the length and the age of the tail are registered. Nil: nowhere.
	Metrics prometheus.Registerer
}

const (
	// sealBatch is how many transactions one database transaction seals at most.
	sealBatch = 2000
	// tailLength is how many sealed transactions a balance adds up at most beyond the stored one. A smaller number makes more
	// rows, a larger one makes balances slower.
	tailLength = 128
)

// Service writes and reads the books. It is safe for concurrent use.
type Service struct {
	pool   *pgxpool.Pool
	chart  string
	secret []byte
	now    func() time.Time

	sealBatch, tailLength int
	reversedElsewhere     []string
}

// New returns a service. A chart that does not exist is an error of the first [Service.EnsureBookTx].
func New(cfg Config) *Service {
	now := cfg.Now
	if now == nil {
		now = time.Now
	}
	s := &Service{
		pool:              cfg.Pool,
		chart:             cmp.Or(cfg.Chart, DefaultChart),
		secret:            cfg.SecretKey,
		now:               now,
		sealBatch:         sealBatch,
		tailLength:        tailLength,
		reversedElsewhere: cfg.ReversedElsewhere,
	}
	if cfg.Metrics != nil {
		cfg.Metrics.MustRegister(newTailMetrics(s))
	}
	return s
}
