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

// Receive stores one delivery, once by its account and id, and sees to it that a job will apply it. When it
// returns nil the event is safe. A bad or stale signature is INVALID_ARGUMENT (BAD_SIGNATURE).
func (s *Service) Receive(ctx context.Context, payload []byte, signature string, endpoint Endpoint) error {
	secrets := s.cfg.Secrets
	if endpoint == EndpointConnect {
		secrets = s.cfg.ConnectSecrets
	}
	event, err := stripe.Verify(payload, signature, secrets)
	if err != nil {
		s.metrics.received.WithLabelValues("refused").Inc()
		return err
	}
	// The platform's own events never name an account. One that does was sent here by a wrong setting; it comes
	// to the other endpoint too, where it must be no duplicate, or is found by the sync.
	if (event.Account != "") != (endpoint == EndpointConnect) {
		s.metrics.received.WithLabelValues("misdirected").Inc()
		return nil
	}
	step, object, ignore := classify(event, s.cfg.Stripe.Livemode())
	outcome := "stored"
	if ignore != "" {
		outcome = "ignored"
	}
	s.metrics.delay.Observe(max(s.now().Sub(event.Created).Seconds(), 0))
	stored, err := s.store(ctx, event, step, object, ignore, false)
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

// store reports false for an event that was there. heard: no webhook brought it.
func (s *Service) store(ctx context.Context, e stripe.Event, step step, object stripe.Resource, ignore string, heard bool) (stored bool, err error) {
	row := eventRow{
		eventKey: eventKey{e.Account, e.ID}, kind: e.Type, step: step, livemode: e.Livemode, resource: object,
		state: StateReceived, created: e.Created, received: s.now(), backfilled: heard,
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
