package stripe

import (
	"context"
	"errors"
	"sync"
	"time"
)

const (
	// After failuresInARow calls of one account that Stripe did not answer, no more are made for openFor. Then one
	// is, and its end decides.
	failuresInARow = 5
	openFor        = 10 * time.Second
	// patience is how long a call must have gone unanswered to count as a failure when its own caller gave it up.
	patience = 3 * time.Second
	// rememberedAccounts bounds the memory of accounts.
	rememberedAccounts = 10_000
)

// errOpen is for a call that was not made, since Stripe did not answer the ones before it.
var errOpen = errors.New("the calls before were not answered")

// breakers keep calls back that somebody would wait for in vain. There is one for each account, so that what is wrong
// with one closes no other. Calls of [Background] work pass by: nobody waits for them, and they have pauses of their own.
type breakers struct {
	openFor time.Duration

	mu sync.Mutex
	of map[string]*breaker
}

// breaker is closed while calls are answered. After failuresInARow it is open until a time; from then on one call at a
// time is let through, until one is answered.
type breaker struct {
	failures int
	until    time.Time
	trying   bool
}

// Outcomes of a call, as the breaker counts them.
var (
	errFailed  = errors.New("failed")
	errNothing = errors.New("says nothing of Stripe")
)

// enter reports whether a call may be made, and whether it is the one that tries.
func (b *breakers) enter(account string) (is *breaker, trying, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.of == nil || len(b.of) > rememberedAccounts {
		b.of = map[string]*breaker{}
	}
	if b.of[account] == nil {
		b.of[account] = &breaker{}
	}
	is = b.of[account]
	if is.failures < failuresInARow {
		return is, false, true
	}
	if is.trying || time.Now().Before(is.until) {
		return is, false, false
	}
	is.trying = true
	return is, true, true
}

// leave counts what became of a call. One that was begun before the breaker opened does not close it.
func (b *breakers) leave(is *breaker, trying bool, verdict error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	open := is.failures >= failuresInARow
	if trying {
		is.trying = false
	}
	switch {
	case open && !trying, verdict == errNothing:
	case verdict == nil:
		is.failures = 0
	default:
		if is.failures++; is.failures >= failuresInARow {
			is.until = time.Now().Add(b.openFor)
		}
	}
}

// guard makes the call unless the account's breaker is open; then it is errOpen.
func (b *breakers) guard(ctx context.Context, account string, call func() (advice, error)) (heard advice, err error) {
	if ctx.Value(laneKey{}) != nil {
		return call()
	}
	is, trying, ok := b.enter(account)
	if !ok {
		return advice{}, errOpen
	}
	began, said := time.Now(), errNothing
	defer func() { b.leave(is, trying, said) }() // after a panic too
	heard, err = call()
	said = verdict(ctx, heard, err, time.Since(began))
	return heard, err
}

// verdict is what a call says of Stripe: nil when it answers.
func verdict(ctx context.Context, heard advice, err error, took time.Duration) error {
	if err == nil {
		return nil
	}
	switch kind := classify(err, heard).Kind; {
	case kind == Failed:
		return errFailed
	case kind == Lost && (ctx.Err() == nil || took >= patience):
		return errFailed
	case kind == Lost, kind == Throttled:
		return errNothing
	}
	return nil
}
