package ledger

import (
	"cmp"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/cagnotte/cagnotte/services/money"
)

// Config of [New].
type Config struct {
	// Pool is used for reads; postings run in the caller's transaction.
	Pool *pgxpool.Pool
	// Chart is the name of the chart that new books get, one of [Charts]. Empty: [DefaultChart].
	Chart string
	// Currency is the one that new books are kept in. Empty: EUR. Entries may be in any.
	Currency money.Currency
	// SecretKey is what the keys that sign checkpoints are derived from, 32 bytes or more. Empty:
	// this service cannot seal.
	SecretKey []byte
	// Now dates checkpoints; time.Now when nil.
	Now func() time.Time
	// SealBatch is how many transactions one database transaction seals at most. Zero: 2,000.
	SealBatch int
	// TailLength is how many sealed transactions a balance adds up at most beyond the one that is
	// kept. Zero: 128. Smaller is more rows, larger slower balances.
	TailLength int
	// ReversedElsewhere begins the references of transactions that are not reclassified, since whoever posted them keeps more
	// than the books say, and takes back both.
	ReversedElsewhere []string
	// Metrics gets how long the tail is and how old. Nil: nobody does.
	Metrics prometheus.Registerer
}

// Service keeps and reads the books. It is safe for concurrent use.
type Service struct {
	pool     *pgxpool.Pool
	chart    string
	currency money.Currency
	secret   []byte
	now      func() time.Time

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
		pool:     cfg.Pool,
		chart:    cmp.Or(cfg.Chart, DefaultChart),
		currency: cmp.Or(cfg.Currency, money.EUR),
		secret:   cfg.SecretKey,
		now:      now,

		sealBatch:  cmp.Or(cfg.SealBatch, 2000),
		tailLength: cmp.Or(cfg.TailLength, 128),

		reversedElsewhere: cfg.ReversedElsewhere,
	}
	if cfg.Metrics != nil {
		cfg.Metrics.MustRegister(newTailMetrics(s))
	}
	return s
}
