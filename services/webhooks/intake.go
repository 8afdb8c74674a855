package webhooks

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

const (
	// intakeBatch bounds what one statement stores; what comes beyond it is the next batch.
	intakeBatch = 200
	// intakeTimeout bounds it in time. It is no caller's, since nobody who goes away may take the others with him.
	intakeTimeout = 15 * time.Second
)

// delivery is an event on its way into the table.
type delivery struct {
	eventRow
	// stored is false for an event that was there; err tells that it is not known to be safe. Both are told once
	// put has returned.
	stored bool
	err    error
	// turn tells who waits: true, that it is his to write; false, that his is written.
	turn chan bool
}

var errNotWritten = errs.Internal(errors.New("webhooks: a batch of deliveries was left in the middle"))

// intake gathers the deliveries that come at the same time, so that they are written together: what comes while
// one batch is being written is the next one. There is no timer and no goroutine: who comes alone writes at once,
// and of those who wait the first writes for all. Nobody is answered before his own is committed.
type intake struct {
	// write stores a batch, which is not empty, and tells each delivery what became of it.
	write func(ctx context.Context, batch []*delivery)

	mu      sync.Mutex
	writing bool
	waiting []*delivery
}

// put returns when d is written, or when ctx ends before its batch has begun: then it is not. Once it has begun
// put waits for its end, whatever ctx says, so that nobody tells what is not known.
func (in *intake) put(ctx context.Context, d *delivery) {
	d.err, d.turn = errNotWritten, make(chan bool, 1)
	mine := in.enter(d)
	if !mine {
		select {
		case mine = <-d.turn:
		case <-ctx.Done():
			if in.leave(d) {
				d.err = postgres.Error(ctx.Err())
				return
			}
			mine = <-d.turn
		}
	}
	if mine {
		in.lead(ctx, d)
	}
}

// enter reports whether nobody is writing, so that it is the caller's turn; else d waits.
func (in *intake) enter(d *delivery) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	if !in.writing {
		in.writing = true
		return true
	}
	in.waiting = append(in.waiting, d)
	return false
}

// leave reports whether d still waited, and takes it out.
func (in *intake) leave(d *delivery) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	i := slices.Index(in.waiting, d)
	if i < 0 {
		return false
	}
	in.waiting = slices.Delete(in.waiting, i, i+1)
	return true
}

// lead writes first and what waits with it. Whatever happens, the turn is handed on.
func (in *intake) lead(ctx context.Context, first *delivery) {
	in.mu.Lock()
	n := min(len(in.waiting), intakeBatch-1)
	batch := append([]*delivery{first}, in.waiting[:n]...)
	in.waiting = slices.Delete(in.waiting, 0, n)
	in.mu.Unlock()
	defer in.pass(batch)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), intakeTimeout)
	defer cancel()
	in.write(ctx, batch)
}

// pass gives the turn to who has waited longest, and tells the others of the batch that it is over.
func (in *intake) pass(batch []*delivery) {
	in.mu.Lock()
	if in.writing = len(in.waiting) > 0; in.writing {
		in.waiting[0].turn <- true
		in.waiting = slices.Delete(in.waiting, 0, 1)
	}
	in.mu.Unlock()
	for _, d := range batch[1:] {
		d.turn <- false
	}
}
