package stripe

import (
	"context"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Stripe accepts 25 requests a second in test mode and 100 in live mode (https://docs.stripe.com/rate-limits). Rate
// and burst together stay below that in any second.
const (
	testRate, testBurst = 20, 4
	liveRate, liveBurst = 80, 18
	// One kind of call, such as creating sessions, is limited to 25 a second in live mode too.
	eachRate, eachBurst = 20, 4
	// unlimited is what a simulator gets.
	unlimited = 1_000_000
)

// maxQueue is how long a call waits for its turn. A waiting donor has little more time.
const maxQueue = 5 * time.Second

// throttledPause is how long background work pauses after a 429 without Retry-After.
const throttledPause = time.Second

type laneKey struct{}

// Background marks calls of work that nobody waits for. They get at least a fifth of the rate limit, and more only
// while donors leave it unused.
func Background(ctx context.Context) context.Context { return context.WithValue(ctx, laneKey{}, true) }

// budget keeps this process's calls below Stripe's limit, because a refused call costs a retry, or a donor. Copies of
// the program do not coordinate: calls that exceed the limit together are refused and retried.
type budget struct {
	all   *rate.Limiter
	floor *rate.Limiter
	// reserve is the number of tokens that background work leaves in the bucket.
	reserve float64

	mu     sync.Mutex
	paused time.Time
	each   map[string]*rate.Limiter // by kind of call
}

func newBudget(perSecond float64, burst int) *budget {
	return &budget{
		all:     rate.NewLimiter(rate.Limit(perSecond), burst),
		floor:   rate.NewLimiter(rate.Limit(perSecond/5), 1),
		reserve: float64(burst) / 2,
		each:    map[string]*rate.Limiter{},
	}
}

// of returns the limiter of a call's kind, which is its method and the resource in its path.
func (b *budget) of(method, path string) *rate.Limiter {
	resource, _, _ := strings.Cut(strings.TrimPrefix(path, "/v1/"), "/")
	kind := method + " " + resource
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.each[kind] == nil {
		limit, burst := min(b.all.Limit(), eachRate), min(b.all.Burst(), eachBurst)
		if b.all.Limit() == unlimited {
			limit, burst = unlimited, unlimited
		}
		b.each[kind] = rate.NewLimiter(limit, burst)
	}
	return b.each[kind]
}

// wait returns when the call may be made, or an error when that would take too long.
func (b *budget) wait(ctx context.Context, method, path string) error {
	if ctx.Value(laneKey{}) == nil {
		ctx, cancel := context.WithTimeout(ctx, maxQueue)
		defer cancel()
		if err := b.of(method, path).Wait(ctx); err != nil {
			return err
		}
		return b.all.Wait(ctx)
	}
	if err := b.of(method, path).Wait(ctx); err != nil {
		return err
	}
	for {
		pause := b.holdBack(time.Now())
		if pause <= 0 {
			return b.all.Wait(ctx)
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		}
	}
}

// holdBack is how long background work has to wait before it asks again; zero when it may go on.
func (b *budget) holdBack(now time.Time) time.Duration {
	b.mu.Lock()
	paused := b.paused.Sub(now)
	b.mu.Unlock()
	if paused > 0 {
		return paused
	}
	if b.floor.AllowN(now, 1) {
		return 0
	}
	missing := b.reserve + 1 - b.all.TokensAt(now)
	if missing <= 0 {
		return 0
	}
	return max(time.Duration(missing/float64(b.all.Limit())*float64(time.Second)), time.Millisecond)
}

// throttled pauses background work after a 429.
func (b *budget) throttled(now time.Time, after time.Duration) {
	if after <= 0 {
		after = throttledPause
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if until := now.Add(after); until.After(b.paused) {
		b.paused = until
	}
}
