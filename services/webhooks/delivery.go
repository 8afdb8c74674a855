package webhooks

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/internal/stripe"
)

// Receive stores one delivery, once by account and event id, and ensures that a job applies it. When it returns nil the
// event is durable. An event at the wrong endpoint is acknowledged and not stored. A bad or old signature is
// INVALID_ARGUMENT (BAD_SIGNATURE).
func (s *Service) Receive(ctx context.Context, payload []byte, signature string, endpoint Endpoint) error {
	secrets, _ := s.secretsOf(ctx, endpoint, false)
	event, err := stripe.Verify(payload, signature, secrets)
	if err != nil {
		// The secret may have been stored a moment ago, by another copy of the program.
		if again, fresh := s.secretsOf(ctx, endpoint, true); fresh {
			event, err = stripe.Verify(payload, signature, again)
		}
	}
	if err != nil {
		s.metrics.received.WithLabelValues("refused").Inc()
		return err
	}
	// Events of the platform's own account never name an account. One that does was sent to the wrong endpoint by a
	// wrong setting. It is not stored here, so that its delivery to the right endpoint is no duplicate.
	if (event.Account != "") != (endpoint == EndpointConnect) {
		s.metrics.received.WithLabelValues("misdirected").Inc()
		return nil
	}
	step, resource, ignore := classify(event, s.cfg.Stripe.Livemode())
	outcome := "stored"
	if ignore != "" {
		outcome = "ignored"
	}
	s.metrics.delay.Observe(max(s.now().Sub(event.Created).Seconds(), 0))
	stored, err := s.store(ctx, event, step, resource, ignore, false)
	if err != nil {
		return err
	}
	if !stored {
		outcome = "duplicate"
	}
	s.metrics.received.WithLabelValues(outcome).Inc()
	s.delivered.Store(event.Account, s.now())
	return nil
}

// store stores an event, and returns false when it was stored before. backfilled says that no webhook brought it.
func (s *Service) store(ctx context.Context, e stripe.Event, step step, resource stripe.Resource, ignore string, backfilled bool) (stored bool, err error) {
	row := eventRow{
		eventKey: eventKey{e.Account, e.ID}, kind: e.Type, step: step, livemode: e.Livemode, resource: resource,
		state: StateReceived, created: e.Created, received: s.now(), backfilled: backfilled,
	}
	switch {
	case ignore != "":
		row.state, row.reason = StateIgnored, ignore
	case step == stepNone:
		return s.storeConnection(ctx, row)
	}
	d := &delivery{eventRow: row}
	s.intake.put(ctx, d)
	return d.stored, d.err
}

const (
	// intakeBatch is how many deliveries one statement stores at most.
	intakeBatch = 200
	// intakeTimeout is the time limit of a batch. It is independent of the callers' contexts, so that a caller who
	// leaves does not cancel the deliveries of others.
	intakeTimeout = 15 * time.Second
)

// delivery is an event that is to be stored.
type delivery struct {
	eventRow
	// stored is false for a duplicate. err means that the event is not known to be stored. Both are set when put
	// returns.
	stored bool
	err    error
	// turn receives true when the waiting caller has to write the next batch, and false when its delivery was written.
	turn chan bool
}

// errNotWritten is the result of deliveries whose batch was aborted, by a panic for example.
var errNotWritten = errs.Internal(errors.New("webhooks: a batch of deliveries was left in the middle"))

// intake batches deliveries that arrive at the same time: those that arrive while one batch is written form the next.
// It needs no timer and no goroutine. A single caller writes at once; of several that wait, the first writes for all.
// Each caller returns after its own delivery is committed.
type intake struct {
	// write stores a batch, which is not empty, and sets the result of each delivery.
	write func(ctx context.Context, batch []*delivery)

	mu      sync.Mutex
	writing bool
	waiting []*delivery
}

// put returns when d is written, or when ctx ends before its batch has begun; then d is not written. Once its batch has
// begun, put waits for it regardless of ctx, so that its result is known.
func (in *intake) put(ctx context.Context, d *delivery) {
	// The channel has room for the one value that is sent, so that whoever writes the batch never waits for this
	// caller.
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
			// The batch with d has begun, or the turn was passed to d. Either way a value is sent.
			mine = <-d.turn
		}
	}
	if mine {
		in.lead(ctx, d)
	}
}

// enter returns true when nobody is writing, so that the caller writes. Otherwise d waits.
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

// leave takes d out of the queue, and returns whether it was still there.
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

// lead writes first together with the waiting deliveries. The turn is passed on in any case, also after a panic.
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

// pass gives the turn to the delivery that has waited longest, and releases the other callers of the batch.
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
