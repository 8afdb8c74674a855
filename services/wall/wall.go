package wall

import (
	"context"
	"net/netip"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/limit"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/money"
)

// Config is what a Service needs. Everything without a default is required.
type Config struct {
	Pool *pgxpool.Pool
	// SecretKey keys the hashes of what is counted, and signs challenges.
	SecretKey []byte
	// Limits are how much may be started. The default is DefaultLimits.
	Limits Limits
	// Now tells the time. The default is time.Now.
	Now func() time.Time
	// Metrics is where metrics are registered. None are when nil.
	Metrics prometheus.Registerer
}

// Service is the wall. It is safe for concurrent use.
type Service struct {
	cfg     Config
	signing []byte
	metrics *metrics
}

// New returns a Service.
func New(cfg Config) *Service {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Limits == (Limits{}) {
		cfg.Limits = DefaultLimits
	}
	return &Service{cfg: cfg, signing: signingKey(cfg.SecretKey), metrics: newMetrics(cfg.Metrics)}
}

// now is the time with the precision of Postgres.
func (s *Service) now() time.Time { return s.cfg.Now().UTC().Truncate(time.Microsecond) }

// Kind is a way to make a payment. Each has counters of its own, so that an attack by card leaves pledges as they are; the limits
// of networks are for all together.
type Kind string

// The ways to make a payment.
const (
	// Card opens a page at Stripe: a donation, single or monthly, or one whose page is opened again.
	Card Kind = "card"
	// Pledge promises a transfer, a cheque or cash.
	Pledge Kind = "pledge"
	// Change changes the amount or the card of a monthly donation.
	Change Kind = "change"
)

// Attempt is somebody's wish to start a payment.
type Attempt struct {
	Kind Kind
	// Address is where the request comes from; invalid when unknown. All whose address is unknown share one limit, since fraud would
	// move to a path without one.
	Address netip.Addr
	// Campaign is the resource name.
	Campaign string
	// Account is the Stripe account; empty for the platform's own.
	Account string
	// Amount is what the caller asked for; zero where a page lets choose nothing.
	Amount money.Amount
	// Solution is the solution of a challenge, as the caller sent it; empty for none.
	Solution string
}

// Check judges an attempt before anything is written for it. Errors: FAILED_PRECONDITION (CHALLENGE_REQUIRED), with a challenge
// as metadata; RESOURCE_EXHAUSTED (TOO_MANY_DONATIONS), with the time to wait.
func (s *Service) Check(ctx context.Context, a Attempt) error {
	if s.cfg.Limits.Off {
		return nil
	}
	now := s.now()
	answer, err := s.readSolution(ctx, s.cfg.Pool, a, now)
	if err != nil {
		return err
	}
	buckets := s.buckets(a, answer)
	ahead, err := s.limiter().Ahead(ctx, s.cfg.Pool, uses(buckets), now)
	if err != nil {
		return err
	}
	counts, err := s.counts(ctx, s.cfg.Pool, a, now)
	if err != nil {
		return err
	}
	return s.judge(a, answer, s.pressure(buckets, ahead, counts), now)
}

// TakeTx judges an attempt and counts it. It must be the last call of the transaction, since it locks the rows of the network
// until the commit. An error ends the transaction, and nothing is counted then. Errors: those of [Service.Check].
func (s *Service) TakeTx(ctx context.Context, tx pgx.Tx, a Attempt) error {
	if s.cfg.Limits.Off {
		return nil
	}
	now := s.now()
	answer, err := s.readSolution(ctx, tx, a, now)
	if err != nil {
		return err
	}
	buckets := s.buckets(a, answer)
	// From the innermost outwards: first the network, whose rows are locked, then the counters, for which nobody waits.
	ahead, err := s.limiter().TakeAllTx(ctx, tx, uses(buckets), now)
	if err != nil {
		return err
	}
	counts, err := s.counts(ctx, tx, a, now)
	if err != nil {
		return err
	}
	p := s.pressure(buckets, ahead, counts)
	if err := s.judge(a, answer, p, now); err != nil {
		return err
	}
	if p.asks() && s.cfg.Limits.Challenges {
		// Of two calls with one solution the second waits for the first, and finds it used.
		fresh, err := s.useSolutionTx(ctx, tx, answer)
		if err != nil {
			return err
		}
		if !fresh {
			return s.challenge(a, p, now)
		}
		s.metrics.passed(answer)
	}
	return s.addTx(ctx, tx, s.outerKeys(a.Kind, a.Campaign, a.Account), 1, 0, now)
}

// PaidTx takes back what the start of a donation added, and raises the limits of its campaign and account. It is called once for
// each donation that is paid, in the transaction that notes the payment. It waits for nobody.
func (s *Service) PaidTx(ctx context.Context, tx pgx.Tx, campaign, account string) error {
	if s.cfg.Limits.Off {
		return nil
	}
	return s.addTx(ctx, tx, s.outerKeys(Card, campaign, account), -1, 1, s.now())
}

// Forget deletes the rows that limit nobody any more.
func (s *Service) Forget(ctx context.Context) error {
	now := s.now()
	if err := s.limiter().Forget(ctx, s.cfg.Pool, now); err != nil {
		return err
	}
	if _, err := s.cfg.Pool.Exec(ctx, forgetCountersSQL, pgx.NamedArgs{"before": now.Add(-counterLife)}); err != nil {
		return postgres.Error(err)
	}
	_, err := s.cfg.Pool.Exec(ctx, forgetSolutionsSQL, pgx.NamedArgs{"now": now})
	return postgres.Error(err)
}

const (
	forgetCountersSQL = `
DELETE FROM wall.counters
WHERE counted_at < @before`

	forgetSolutionsSQL = `
DELETE FROM wall.solutions
WHERE expires_at < @now`
)

// limiter counts networks. Their keys change each day, so that stored ones of two days cannot be connected.
func (s *Service) limiter() limit.Limiter {
	return limit.Limiter{Table: "wall.limits", Secret: s.cfg.SecretKey, Daily: true}
}

// pressure is how far an attempt is over its limits.
type pressure struct {
	// inner is the largest ratio to a soft limit among the networks, and outer the largest of campaign, account and instance. Up to
	// 1 nothing is asked.
	inner, outer float64
	// wait is how long to wait where a hard limit is passed; zero otherwise.
	wait time.Duration
}

func (p pressure) asks() bool { return p.inner > 1 || p.outer > 1 }

// pressure compares what was counted with the limits, as if the attempt were counted already.
func (s *Service) pressure(buckets []bucket, ahead []time.Duration, counts []count) (p pressure) {
	for i, b := range buckets {
		p.inner = max(p.inner, float64(ahead[i])/float64(time.Duration(b.limit.Soft)*b.limit.Interval))
		if over := ahead[i] - time.Duration(b.limit.Hard)*b.limit.Interval; over > 0 {
			p.wait = max(p.wait, over, time.Second)
		}
	}
	for _, c := range counts {
		soft := c.limit.Soft + c.limit.Paid*c.paid + c.limit.Usual*c.usual
		ratio := (c.unpaid + 1) / soft
		p.outer = max(p.outer, ratio)
		if ratio > hardRatio {
			p.wait = max(p.wait, outerWait)
		}
	}
	return p
}

// judge turns the pressure into the answer. A hard limit comes first: no solution helps.
func (s *Service) judge(a Attempt, answer solution, p pressure, now time.Time) error {
	if p.wait > 0 {
		s.metrics.refused.Inc()
		e := errs.New(errorsv1.ErrorReason_TOO_MANY_DONATIONS, "Too many payments are started. Try again later.")
		e.RetryAfter = p.wait
		return e
	}
	if !p.asks() || !s.cfg.Limits.Challenges || answer.valid && answer.difficulty >= s.difficulty(p)-toleratedBits {
		return nil
	}
	return s.challenge(a, p, now)
}
