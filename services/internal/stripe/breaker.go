package stripe

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/sony/gobreaker/v2"
)

const (
	// After failuresInARow unanswered calls of one account, calls stop for openFor. Then one is tried, and its result
	// decides.
	failuresInARow = 5
	openFor        = 10 * time.Second
	// patience is how long an unanswered call must have taken to count as a failure when its own caller cancelled it.
	patience = 3 * time.Second
	// rememberedAccounts bounds the number of breakers.
	rememberedAccounts = 10_000
)

// errOpen is the error of a call that was not made, because Stripe did not answer the calls before.
var errOpen = errors.New("the calls before were left unanswered")

// breakers stop calls that would probably stay unanswered. There is one for each account and process, so that one
// account's trouble does not affect others. [Background] calls pass: nobody waits for them, and they have pauses of
// their own.
type breakers struct {
	openFor time.Duration

	mu sync.Mutex
	of map[string]*breaker
}

// breaker is closed while calls are answered, and open for a while after failuresInARow. Then one call at a time passes
// until one is answered. A call counts only in the state in which it began.
type breaker = gobreaker.TwoStepCircuitBreaker[any]

// Results of a call for the breaker. errNothing leaves its state unchanged.
var (
	errFailed  = errors.New("failed")
	errNothing = errors.New("no information about Stripe")
)

// account returns the breaker of an account.
func (b *breakers) account(account string) *breaker {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.of == nil || len(b.of) > rememberedAccounts {
		b.of = map[string]*breaker{}
	}
	if b.of[account] == nil {
		b.of[account] = gobreaker.NewTwoStepCircuitBreaker[any](gobreaker.Settings{
			MaxRequests: 1,
			Timeout:     b.openFor,
			ReadyToTrip: func(counts gobreaker.Counts) bool { return counts.ConsecutiveFailures >= failuresInARow },
			IsExcluded:  func(said error) bool { return said == errNothing },
		})
	}
	return b.of[account]
}

// guard makes the call, unless the account's breaker is open; then it returns errOpen.
func (b *breakers) guard(ctx context.Context, account string, call func() (advice, error)) (adv advice, err error) {
	if ctx.Value(laneKey{}) != nil {
		return call()
	}
	leave, err := b.account(account).Allow()
	if err != nil {
		return advice{}, errOpen
	}
	began, said := time.Now(), errNothing
	defer func() { leave(said) }() // after a panic too
	adv, err = call()
	said = verdict(ctx, adv, err, time.Since(began))
	return adv, err
}

// verdict is a call's result for the breaker: nil when Stripe answered.
func verdict(ctx context.Context, adv advice, err error, took time.Duration) error {
	if err == nil {
		return nil
	}
	switch kind := classify(err, adv).Kind; {
	case kind == Failed:
		return errFailed
	case kind == Lost && (ctx.Err() == nil || took >= patience):
		return errFailed
	case kind == Lost, kind == Throttled:
		return errNothing
	}
	return nil
}
