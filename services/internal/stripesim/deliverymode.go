package stripesim

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"
)

// shuffleWindow is how far apart events of one moment may leave when shuffled.
const shuffleWindow = 20 * time.Millisecond

// Delivery sets how webhooks are delivered. The zero value delivers each event once, at once, and in order for each
// endpoint, except that a retry lets later events pass.
type Delivery struct {
	// Drop loses every event that happens from now on, DropRate this share of them (0 to 1). A lost event is recorded,
	// and sent only by Redeliver.
	Drop     bool
	DropRate float64
	// Twice sends each event that happens from now on twice, TwiceRate this share of them (0 to 1).
	Twice     bool
	TwiceRate float64
	// Delay is the wall time between an event and its first delivery, for events that happen from now on.
	Delay time.Duration
	// Shuffle sends the waiting events in random order, and several at a time.
	Shuffle bool
	// Hold delays all deliveries until it is switched off.
	Hold bool
	// Seed makes the random choices repeatable.
	Seed uint64
}

// SetDelivery changes how webhooks are delivered from now on. It replaces the mode as a whole. Events that wait already
// keep their copies and times; Hold and Shuffle apply to them too.
func (s *Sim) SetDelivery(mode Delivery) {
	d := s.dispatcher
	d.mu.Lock()
	defer d.mu.Unlock()
	d.mode, d.dice = mode, newDice(mode.Seed)
	d.announce()
}

// WaitDelivered returns when no delivery waits or is in progress, retries included, or with ctx's error. Held and
// dropped events do not count, nor does what will happen later on the clock.
func (s *Sim) WaitDelivered(ctx context.Context) error {
	d := s.dispatcher
	for {
		d.mu.Lock()
		// changed is read under the same lock as the queues, so a delivery that ends in between is not missed.
		busy, changed := 0, d.changed
		for _, q := range d.queues {
			busy += q.inFlight
			for _, it := range q.items {
				if !d.mode.Hold || it.forced {
					busy++
				}
			}
		}
		d.mu.Unlock()
		if busy == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("stripesim: %d webhooks are not delivered: %w", busy, ctx.Err())
		case <-changed:
		}
	}
}

// Redeliver sends an event again now to every endpoint that wants it, regardless of SetDelivery. It fails when there is
// no such event.
func (s *Sim) Redeliver(eventID string) error {
	s.lock()
	defer s.unlock()
	for _, w := range s.worlds {
		if e, ok := w.Events.get(eventID); ok {
			s.dispatcher.redeliver(e)
			s.changed = true
			return nil
		}
	}
	return fmt.Errorf("stripesim: no event %s", eventID)
}

// redeliver runs with the world locked.
func (d *dispatcher) redeliver(e *event) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, q := range d.queues {
		if q.endpoint.Connect != e.Connected || !q.endpoint.wants(e.Type) {
			continue
		}
		var to *delivery
		for _, dl := range e.Deliveries {
			if dl.Endpoint == q.name {
				to = dl
			}
		}
		if to == nil { // the endpoint is newer than the event
			to = &delivery{Endpoint: q.name}
			e.Deliveries = append(e.Deliveries, to)
		}
		if to.State != deliveryDelivered {
			to.State = deliveryPending
		}
		d.push(q, &item{event: e, delivery: to, due: time.Now(), forced: true})
	}
}

// dice are repeatable random choices. The dispatcher's lock guards them.
type dice struct{ r *rand.Rand }

func newDice(seed uint64) *dice { return &dice{rand.New(rand.NewPCG(seed, 0))} }

func (d *dice) below(rate float64) bool { return rate > 0 && d.r.Float64() < rate }

func (d *dice) oneIn(n int) bool { return d.r.IntN(n) == 0 }

func (d *dice) upTo(most time.Duration) time.Duration { return time.Duration(d.r.Int64N(int64(most))) }
