package rpc

import (
	"sync"
	"time"

	"golang.org/x/time/rate"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/access"
	"github.com/cagnotte/cagnotte/services/internal/errs"
)

// WriteLimit is how often one key, or one member by its sessions, may write: Burst times at once, then PerSecond. All keys of a collective together may
// write twice as often.
type WriteLimit struct {
	PerSecond float64
	Burst     int
}

// DefaultWriteLimit is enough for a script that enters a box of receipts, and stops a key that would fill the books.
var DefaultWriteLimit = WriteLimit{PerSecond: 10, Burst: 300}

// rememberedWriters bounds the memory of who has written lately.
const rememberedWriters = 10_000

// writers counts writes by key and by collective. It protects this process and its database. Each copy of the program
// counts for itself, so with three copies a key may write three times as often.
type writers struct {
	limit WriteLimit

	mu   sync.Mutex
	seen map[string]*rate.Limiter
}

func newWriters(limit WriteLimit) *writers {
	if limit == (WriteLimit{}) {
		limit = DefaultWriteLimit
	}
	return &writers{limit: limit, seen: map[string]*rate.Limiter{}}
}

// count counts a write. RESOURCE_EXHAUSTED (TOO_MANY_WRITES), with the time to wait, when there were too many.
func (w *writers) count(p access.Principal, now time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.seen) >= rememberedWriters {
		w.forget(now)
	}
	key := w.of(p.Name, 1).ReserveN(now, 1)
	wait := key.DelayFrom(now)
	if of := soleCollective(p); of != "" && wait == 0 {
		collective := w.of("collectives/"+of, 2).ReserveN(now, 1)
		if wait = collective.DelayFrom(now); wait > 0 {
			collective.CancelAt(now)
		}
	}
	if wait == 0 {
		return nil
	}
	key.CancelAt(now)
	e := errs.New(errorsv1.ErrorReason_TOO_MANY_WRITES, "This key, or its collective, changes too much at once; wait a little.")
	e.RetryAfter = max(wait, time.Second)
	return e
}

func (w *writers) of(whom string, times int) *rate.Limiter {
	if w.seen[whom] == nil {
		w.seen[whom] = rate.NewLimiter(rate.Limit(w.limit.PerSecond*float64(times)), w.limit.Burst*times)
	}
	return w.seen[whom]
}

// forget drops the writers whose whole burst is available again.
func (w *writers) forget(now time.Time) {
	for whom, l := range w.seen {
		if l.TokensAt(now) >= float64(l.Burst()) {
			delete(w.seen, whom)
		}
	}
}
