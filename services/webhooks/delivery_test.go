package webhooks

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/cagnotte/cagnotte/services/internal/errs"
)

// Many callers at once, some of whom go away at any time: each delivery is written once or not at all, its caller
// is told which, and nobody is told before the end of the write.
func TestIntake(t *testing.T) {
	const callers, each = 64, 50
	var mu sync.Mutex
	written := map[eventKey]int{}
	var writing atomic.Int32
	batches := 0
	in := intake{write: func(ctx context.Context, batch []*delivery) {
		if writing.Add(1) != 1 {
			t.Error("two batches at once")
		}
		if n := len(batch); n == 0 || n > intakeBatch {
			t.Errorf("a batch of %d", n)
		}
		if ctx.Err() != nil {
			t.Error("who went away ended the write of others")
		}
		runtime.Gosched() // as a database would, it lets others come
		mu.Lock()
		batches++
		for _, d := range batch {
			written[d.eventKey]++
		}
		mu.Unlock()
		for _, d := range batch {
			d.stored, d.err = true, nil
		}
		writing.Add(-1)
	}}
	var running sync.WaitGroup
	for caller := range callers {
		running.Go(func() {
			for i := range each {
				ctx, cancel := context.WithCancel(t.Context())
				if rand.N(4) == 0 {
					go cancel()
				}
				d := &delivery{eventRow: eventRow{eventKey: eventKey{id: fmt.Sprint(caller, "_", i)}}}
				in.put(ctx, d)
				cancel()
				mu.Lock()
				times := written[d.eventKey]
				mu.Unlock()
				switch {
				case d.err == nil && (times != 1 || !d.stored):
					t.Errorf("told to be stored, and was written %d times", times)
				case d.err != nil && (times != 0 || errs.Code(d.err) != codes.Canceled):
					t.Errorf("told %v, and was written %d times", d.err, times)
				}
			}
		})
	}
	running.Wait()
	if in.writing || len(in.waiting) != 0 {
		t.Error("somebody still waits")
	}
	if batches == callers*each {
		t.Error("nothing was gathered")
	}
}

// held is an intake whose first write has begun and waits for release.
func held(t *testing.T, write func(ctx context.Context, batch []*delivery)) (in *intake, release func()) {
	t.Helper()
	begun, end := make(chan struct{}), make(chan struct{})
	var first sync.Once
	in = &intake{write: func(ctx context.Context, batch []*delivery) {
		first.Do(func() { close(begun); <-end })
		write(ctx, batch)
	}}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		in.put(context.Background(), &delivery{})
	}()
	<-begun
	return in, func() { close(end); <-ended }
}

// queued begins puts that wait, in their order.
func queued(in *intake, ctxs ...context.Context) (waiting []*delivery, wait func()) {
	var running sync.WaitGroup
	for i, ctx := range ctxs {
		d := &delivery{}
		waiting = append(waiting, d)
		running.Go(func() {
			defer func() { _ = recover() }()
			in.put(ctx, d)
		})
		for n := 0; n <= i; {
			in.mu.Lock()
			n = len(in.waiting)
			in.mu.Unlock()
		}
	}
	return waiting, running.Wait
}

func TestIntakeGathersWhileItWrites(t *testing.T) {
	var sizes []int
	in, release := held(t, func(_ context.Context, batch []*delivery) {
		sizes = append(sizes, len(batch))
		for _, d := range batch {
			d.err = nil
		}
	})
	ctxs := make([]context.Context, intakeBatch+10)
	for i := range ctxs {
		ctxs[i] = t.Context()
	}
	waiting, wait := queued(in, ctxs...)
	release()
	wait()
	if fmt.Sprint(sizes) != fmt.Sprint([]int{1, intakeBatch, 10}) {
		t.Errorf("batches of %d", sizes)
	}
	for _, d := range waiting {
		if d.err != nil {
			t.Fatal(d.err)
		}
	}
}

func TestIntakeContinuesWithoutCancelledCallers(t *testing.T) {
	count := 0
	in, release := held(t, func(_ context.Context, batch []*delivery) {
		count += len(batch)
		for _, d := range batch {
			d.err = nil
		}
	})
	gone, cancel := context.WithCancel(t.Context())
	waiting, wait := queued(in, gone, t.Context())
	cancel()
	for left := 2; left > 1; {
		in.mu.Lock()
		left = len(in.waiting)
		in.mu.Unlock()
	}
	release()
	wait()
	if errs.Code(waiting[0].err) != codes.Canceled || waiting[1].err != nil || count != 2 {
		t.Errorf("%v, %v, %d written", waiting[0].err, waiting[1].err, count)
	}
}

func TestIntakeSurvivesAPanic(t *testing.T) {
	calls := 0
	in, release := held(t, func(_ context.Context, batch []*delivery) {
		if calls++; calls == 2 {
			panic("a bug")
		}
		for _, d := range batch {
			d.err = nil
		}
	})
	waiting, wait := queued(in, t.Context(), t.Context())
	release()
	wait()
	for _, d := range waiting {
		if errs.Code(d.err) != codes.Internal {
			t.Errorf("told %v of what was not written", d.err)
		}
	}
	after := &delivery{}
	in.put(t.Context(), after)
	if after.err != nil {
		t.Errorf("the next one: %v", after.err)
	}
}
