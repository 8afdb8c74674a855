package stripe

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/sony/gobreaker/v2"
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

// breaker is closed while calls are answered. After failuresInARow it is open for a while; from then on one call at a
// time is let through, until one is answered. A call counts only in the state that it was begun in.
type breaker = gobreaker.TwoStepCircuitBreaker[any]

// Outcomes of a call, as the breaker counts them. After errNothing it stays as it is.
var (
	errFailed  = errors.New("failed")
	errNothing = errors.New("says nothing of Stripe")
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

// guard makes the call unless the account's breaker is open; then it is errOpen.
func (b *breakers) guard(ctx context.Context, account string, call func() (advice, error)) (heard advice, err error) {
	if ctx.Value(laneKey{}) != nil {
		return call()
	}
	leave, err := b.account(account).Allow()
	if err != nil {
		return advice{}, errOpen
	}
	began, said := time.Now(), errNothing
	defer func() { leave(said) }() // after a panic too
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
