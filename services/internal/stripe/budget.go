package stripe

import (
	"context"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Stripe takes 25 requests a second in test mode and 100 in live mode (https://docs.stripe.com/rate-limits).
// What flows steadily and what may come at once stay below that together, in any second.
const (
	testRate, testBurst = 20, 4
	liveRate, liveBurst = 80, 18
	// One kind of call, such as making sessions, may come 25 times a second in live mode too.
	eachRate, eachBurst = 20, 4
	// unlimited is what a simulator gets.
	unlimited = 1_000_000
)

// maxQueue is how long a call waits for its turn: who waits for a donor's answer has little more.
const maxQueue = 5 * time.Second

// throttledPause is how long background work holds still after Stripe said that it is too much, when Stripe
// does not say how long.
const throttledPause = time.Second

type laneKey struct{}

// Background marks the calls of work that nobody waits for. They leave the way free for donors: of what the
// limit allows they have a fifth for sure, and more only while donors leave it unused.
func Background(ctx context.Context) context.Context { return context.WithValue(ctx, laneKey{}, true) }

// budget keeps the calls of this process below Stripe's limit: a refused call costs a retry, and at the worst
// a donor. Copies of the program do not know of each other; what they exceed together is refused and retried.
type budget struct {
	all   *rate.Limiter
	floor *rate.Limiter
	// reserve is what background work leaves in the bucket.
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

// of returns the limiter of a call's kind: its method and the resource that its path begins with.
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

// wait returns when the call may be made, or with an error when that will not be in time.
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

// holdBack is how long background work should wait before it looks again; zero when it may go on.
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

// throttled holds background work back after Stripe refused a call for its limit.
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
