// Package places bounds how much is under way at once, in all and for each client, so that one client cannot take
// everything. All limits of this kind in the program use it. A place is a call, a connection, or a byte of a body in
// memory.
//
// Each copy of the program counts for itself. A limit that holds for all copies together, such as that of refunds, stands
// in the database.
package places

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
)

// Config is what a Set needs.
type Config struct {
	// All is the number of places. It is required. Each is how many of them one client may have; All when zero.
	All, Each int64
	// Wait is how long Take waits for a place. Zero: it does not wait.
	Wait time.Duration
	// Line is how many places may be waited for, in all; a client may wait for its share of them. Zero: for none.
	Line int64
}

// Set is a number of places. It is safe for concurrent use.
type Set struct {
	cfg Config
	all slots

	mu   sync.Mutex
	each map[string]*share
}

// New returns a set whose places are all free.
func New(cfg Config) *Set {
	if cfg.Each <= 0 || cfg.Each > cfg.All {
		cfg.Each = cfg.All
	}
	if cfg.Wait <= 0 {
		cfg.Line = 0
	}
	return &Set{cfg: cfg, all: newSlots(cfg.All, cfg.Line), each: map[string]*share{}}
}

// slots are places, and a line in front of them.
type slots struct{ places, entry *semaphore.Weighted }

func newSlots(places, line int64) slots {
	return slots{places: semaphore.NewWeighted(places), entry: semaphore.NewWeighted(places + line)}
}

// share is one client's slots. It exists while the client has a place or waits for one.
type share struct {
	slots
	users int
}

// Take takes n places for a client, and returns a function that gives them back, to be called once. An empty name has no
// limit of its own. ok is false when no place was free in time, when the line is full, and when ctx ended.
func (s *Set) Take(ctx context.Context, whom string, n int64) (release func(), ok bool) {
	if n > s.cfg.Each {
		return nil, false
	}
	if s.cfg.Wait > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, s.cfg.Wait)
		defer cancel()
	}
	leaveShare := func() {}
	if whom != "" {
		mine := s.share(whom)
		leave, ok := s.enter(ctx, mine.slots, n)
		if !ok {
			s.drop(whom, mine)
			return nil, false
		}
		leaveShare = func() { leave(); s.drop(whom, mine) }
	}
	leaveAll, ok := s.enter(ctx, s.all, n)
	if !ok {
		leaveShare()
		return nil, false
	}
	return func() { leaveAll(); leaveShare() }, true
}

func (s *Set) enter(ctx context.Context, r slots, n int64) (leave func(), ok bool) {
	if !r.entry.TryAcquire(n) {
		return nil, false
	}
	if !r.places.TryAcquire(n) && (s.cfg.Wait <= 0 || r.places.Acquire(ctx, n) != nil) {
		r.entry.Release(n)
		return nil, false
	}
	return func() { r.places.Release(n); r.entry.Release(n) }, true
}

// share returns the slots of one client. Its line is the part of the whole that its places are.
func (s *Set) share(whom string) *share {
	s.mu.Lock()
	defer s.mu.Unlock()
	mine := s.each[whom]
	if mine == nil {
		mine = &share{slots: newSlots(s.cfg.Each, s.cfg.Line*s.cfg.Each/s.cfg.All)}
		s.each[whom] = mine
	}
	mine.users++
	return mine
}

func (s *Set) drop(whom string, mine *share) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if mine.users--; mine.users == 0 {
		delete(s.each, whom)
	}
}
