package stripesim

import (
	"sync"
	"time"
)

// Clock is the simulated time. It runs with wall time from wherever it was last set, unless it is frozen. A change
// performs everything that became due, in order, before it returns. All methods are safe for concurrent use. The lock
// guards the fields alone. It is never held while a listener runs, and a simulator may hold its own lock when it asks
// for the time.
type Clock struct {
	mu        sync.Mutex
	base      time.Time // simulated time at the moment since
	since     time.Time // wall time, with its monotonic reading
	frozen    bool
	listeners map[int]func()
	nextID    int
}

// NewClock returns a clock that shows wall time.
func NewClock() *Clock { return NewClockAt(time.Now()) }

// NewClockAt returns a clock that shows t now and runs on from there. Round(0) drops the monotonic reading of t, since
// base is simulated time; the field since alone measures what has passed.
func NewClockAt(t time.Time) *Clock {
	return &Clock{base: t.UTC().Round(0), since: time.Now(), listeners: map[int]func(){}}
}

// Now returns the simulated time, in UTC.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now()
}

// now is called with the lock held.
func (c *Clock) now() time.Time {
	if c.frozen {
		return c.base
	}
	return c.base.Add(time.Since(c.since))
}

// Set moves the clock to t. Going back is allowed and undoes nothing.
func (c *Clock) Set(t time.Time) {
	c.change(func(time.Time) time.Time { return t.UTC().Round(0) })
}

// Advance moves the clock forward by d.
func (c *Clock) Advance(d time.Duration) {
	c.change(func(now time.Time) time.Time { return now.Add(d) })
}

// Freeze stops the clock at the time it shows; Set and Advance still move it.
func (c *Clock) Freeze() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.base, c.since, c.frozen = c.now(), time.Now(), true
}

func (c *Clock) isFrozen() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.frozen
}

// change moves the clock and then tells the listeners. The time that has run since the last change counts before to is
// applied.
func (c *Clock) change(to func(now time.Time) time.Time) {
	c.mu.Lock()
	c.base, c.since = to(c.now()), time.Now()
	c.mu.Unlock()
	c.notify()
}

// notify calls the listeners outside the lock, because they read the clock.
func (c *Clock) notify() {
	c.mu.Lock()
	listeners := make([]func(), 0, len(c.listeners))
	for _, f := range c.listeners {
		listeners = append(listeners, f)
	}
	c.mu.Unlock()
	for _, f := range listeners {
		f()
	}
}

// subscribe calls f after every change until the returned function is called. One clock can drive several simulators.
func (c *Clock) subscribe(f func()) (cancel func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	id := c.nextID
	c.nextID++
	c.listeners[id] = f
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.listeners, id)
	}
}
