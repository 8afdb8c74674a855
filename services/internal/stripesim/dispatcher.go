package stripesim

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	deliveryTimeout = 20 * time.Second
	retryCap        = 64 // times Config.RetryBase
	maxAttempts     = 100
	giveUpAfter     = 3 * 24 * time.Hour // of the clock

	// While shuffled, several deliveries are in progress at once, as at Stripe.
	shuffledInFlight = 8
)

// dispatcher delivers events to endpoints. Its lock may be taken while the world's lock is held, but not the other way
// round. mode, dice, queues, configured, seq, changed and closed, and the fields of the queues, are guarded by mu. ctx
// is canceled only after everything in flight has ended or Close has run out of time.
type dispatcher struct {
	sim    *Sim
	client *http.Client
	ctx    context.Context // ends what is in flight, when Close loses patience
	cancel context.CancelFunc

	mu     sync.Mutex
	mode   Delivery
	dice   *dice
	queues []*queue
	// configured are the endpoints that New and SetEndpoints were given; the others are made through the API.
	configured []Endpoint
	seq        int
	changed    chan struct{} // closed and replaced when a delivery ends or the mode changes
	closed     bool
	running    sync.WaitGroup
}

// queue has the waiting deliveries of one endpoint. Its name survives a change of URL: "platform 0", "connect 0".
// Without Shuffle it has one delivery in flight at most, so events arrive in order, except that a retry lets later ones
// pass. wake has room for one signal, which is enough, since the queue is read anew after each. Closing stop ends the
// queue's goroutine; its items remain pending in the state.
type queue struct {
	name     string
	endpoint Endpoint
	items    []*item
	inFlight int
	wake     chan struct{}
	stop     chan struct{}
}

// item is one delivery to make. An event that is sent twice has two items with the same delivery. attempt counts this
// item's attempts, and seq is the order of queueing.
type item struct {
	event    *event
	delivery *delivery
	attempt  int
	due      time.Time // wall time
	seq      int
	forced   bool // by Redeliver: not held
}

// newDispatcher delivers nothing until start, because load may still replace the state.
func newDispatcher(s *Sim, endpoints []Endpoint) *dispatcher {
	d := &dispatcher{
		sim: s,
		client: &http.Client{
			Timeout:       deliveryTimeout,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // a redirect is a failure
			Transport:     &http.Transport{MaxIdleConnsPerHost: shuffledInFlight, IdleConnTimeout: time.Minute},
		},
		dice:    newDice(0),
		changed: make(chan struct{}),
	}
	d.ctx, d.cancel = context.WithCancel(context.Background())
	d.configured = endpoints
	return d
}

// named makes a queue for each endpoint. Those that were created through the API are named by their ids.
func named(endpoints []Endpoint, made map[string]Endpoint) []*queue {
	var queues []*queue
	// They come in the order of their ids, so that two runs have the same order of queues.
	for _, id := range slices.Sorted(maps.Keys(made)) {
		queues = append(queues, &queue{name: id, endpoint: made[id], wake: make(chan struct{}, 1), stop: make(chan struct{})})
	}
	// Platform and Connect endpoints are numbered separately, each from zero.
	count := map[bool]int{}
	for _, e := range endpoints {
		kind := "platform"
		if e.Connect {
			kind = "connect"
		}
		queues = append(queues, &queue{
			name: fmt.Sprintf("%s %d", kind, count[e.Connect]), endpoint: e,
			wake: make(chan struct{}, 1), stop: make(chan struct{}),
		})
		count[e.Connect]++
	}
	return queues
}

// start resumes deliveries that an earlier simulator with the same state did not finish.
func (d *dispatcher) start() {
	d.sim.mu.Lock()
	defer d.sim.mu.Unlock()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.queues = named(d.configured, d.sim.platform.enabledWebhookEndpoints())
	for _, q := range d.queues {
		d.open(q)
	}
}

// open gives a queue the deliveries that wait for its name, and starts it. Both locks are held.
func (d *dispatcher) open(q *queue) {
	// The state has no item, only pending deliveries; each gets one item, which is due at once.
	for _, w := range d.sim.worlds {
		for _, e := range w.Events.rows {
			for _, dl := range e.Deliveries {
				if dl.Endpoint == q.name && dl.State == deliveryPending {
					d.push(q, &item{event: e, delivery: dl, attempt: dl.Attempts, due: time.Now()})
				}
			}
		}
	}
	d.running.Go(func() { d.run(q) })
}

// setEndpoints takes both locks, the world's first.
func (d *dispatcher) setEndpoints(endpoints []Endpoint) {
	d.sim.mu.Lock()
	defer d.sim.mu.Unlock()
	d.replace(endpoints, d.sim.platform.enabledWebhookEndpoints())
}

// replace sets the configured endpoints and those created through the API. The world is locked.
func (d *dispatcher) replace(endpoints []Endpoint, made map[string]Endpoint) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.configured = endpoints
	// Close has ended the queues, and new ones would never be waited for.
	if d.closed {
		return
	}
	old := map[string]*queue{}
	for _, q := range d.queues {
		old[q.name] = q
	}
	d.queues = nil
	for _, q := range named(endpoints, made) {
		// A queue of the same name goes on with its items; only the target of its next delivery changes.
		if same := old[q.name]; same != nil {
			same.endpoint = q.endpoint
			d.queues = append(d.queues, same)
			delete(old, q.name)
			continue
		}
		d.queues = append(d.queues, q)
		d.open(q)
	}
	// What is left has no endpoint any more. Its pending deliveries wait in the state for an endpoint of that name.
	for _, q := range old {
		close(q.stop)
	}
	d.announce()
}

// enqueue takes the events of one locked section of the world. The world is locked. An event gets one delivery for each
// endpoint that wants it, also when it is lost on purpose, so that its state can be read.
func (d *dispatcher) enqueue(events []*event) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, e := range events {
		for _, q := range d.queues {
			// An endpoint gets either the platform's events or those of connected accounts.
			if q.endpoint.Connect != e.Connected || !q.endpoint.wants(e.Type) {
				continue
			}
			dl := &delivery{Endpoint: q.name, State: deliveryPending}
			e.Deliveries = append(e.Deliveries, dl)
			if d.mode.Drop || d.dice.below(d.mode.DropRate) {
				dl.State = deliveryDropped
				continue
			}
			// Both copies share the delivery and can overtake each other when shuffled.
			copies := 1
			if d.mode.Twice || d.dice.below(d.mode.TwiceRate) {
				copies = 2
			}
			for range copies {
				due := time.Now().Add(d.mode.Delay)
				if d.mode.Shuffle {
					due = due.Add(d.dice.upTo(shuffleWindow))
				}
				d.push(q, &item{event: e, delivery: dl, due: due})
			}
		}
	}
}

// push is called with the dispatcher's lock held.
func (d *dispatcher) push(q *queue, it *item) {
	it.seq = d.seq
	d.seq++
	q.items = append(q.items, it)
	signal(q.wake)
}

// announce wakes those who wait for deliveries. announce is called with the dispatcher's lock held. It wakes the queues
// too, since a new mode may make an item ready.
func (d *dispatcher) announce() {
	close(d.changed)
	d.changed = make(chan struct{})
	for _, q := range d.queues {
		signal(q.wake)
	}
}

// run delivers the queue's items as they become due.
func (d *dispatcher) run(q *queue) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		d.mu.Lock()
		// The delivery runs outside of the lock. inFlight is raised before, so that the next turn of the loop counts
		// it.
		it, wait := d.next(q, time.Now())
		if it != nil && !d.closed {
			q.inFlight++
			target := q.endpoint
			d.running.Go(func() { d.deliver(q, target, it) })
			d.mu.Unlock()
			continue
		}
		closed := d.closed
		d.mu.Unlock()
		if closed {
			return
		}
		timer.Reset(wait)
		select {
		case <-q.stop:
			return
		case <-q.wake:
		case <-timer.C:
		}
	}
}

// next removes and returns the item to deliver now, or returns how long nothing is due. It is called with the
// dispatcher's lock held. Held and early items are passed over. Among those that are due the oldest is chosen, or any
// of them while shuffled.
func (d *dispatcher) next(q *queue, now time.Time) (*item, time.Duration) {
	const longWait = time.Hour // a wake comes sooner
	limit := 1
	if d.mode.Shuffle {
		limit = shuffledInFlight
	}
	if q.inFlight >= limit {
		return nil, longWait
	}
	wait, best, ready := longWait, -1, 0
	for i, it := range q.items {
		if d.mode.Hold && !it.forced {
			continue
		}
		// The earliest of those that are not due tells how long to wait.
		if left := it.due.Sub(now); left > 0 {
			wait = min(wait, left)
			continue
		}
		ready++
		switch {
		case best < 0:
			best = i
		case d.mode.Shuffle:
			if d.dice.oneIn(ready) { // every ready item is equally likely
				best = i
			}
		case it.seq < q.items[best].seq:
			best = i
		}
	}
	if best < 0 {
		return nil, wait
	}
	it := q.items[best]
	q.items = append(q.items[:best], q.items[best+1:]...)
	return it, 0
}

// deliver makes one attempt, records it, and queues the item again when it must be retried. The world's lock and the
// dispatcher's are taken one after the other, and none during the request. An attempt that Close interrupted is not
// counted: the delivery stays pending, and the next simulator with the same state repeats it.
func (d *dispatcher) deliver(q *queue, target Endpoint, it *item) {
	s := d.sim
	s.mu.Lock()
	// The body tells how many webhooks are pending at this moment, so it is rendered anew for each attempt.
	body := it.event.payload()
	s.mu.Unlock()

	status, err := d.post(target, body)
	it.attempt++
	accepted := err == nil && status >= 200 && status < 300
	interrupted := d.ctx.Err() != nil
	retry := !accepted && !interrupted

	s.mu.Lock()
	if !interrupted || accepted {
		// The limits of the retries: attempts, and the age of the event on the clock. A delivery that another item of
		// the same event has made remains delivered.
		if retry && (it.attempt >= maxAttempts || s.clock.Now().Unix()-it.event.Created > int64(giveUpAfter/time.Second)) {
			retry = false
			if it.delivery.State != deliveryDelivered {
				it.delivery.State = deliveryGivenUp
			}
		}
		it.delivery.Attempts++
		it.delivery.Status = status
		if accepted {
			it.delivery.State = deliveryDelivered
		}
		s.changed = true
	}
	s.unlock()
	if !accepted {
		s.log.Warn("stripesim: webhook not accepted", "event", it.event.ID, "type", it.event.Type,
			"attempt", it.attempt, "status", status, "error", err, "again", retry)
	}

	d.mu.Lock()
	defer d.mu.Unlock()
	q.inFlight--
	if retry {
		// The pause doubles with each attempt, up to 64 times RetryBase.
		it.due = time.Now().Add(s.cfg.RetryBase << min(it.attempt-1, 6))
		d.push(q, it)
	}
	d.announce()
	signal(q.wake) // q may no longer be among the queues
}

// post sends one request. Each attempt is signed anew, since a receiver refuses an old timestamp. The body of the
// answer is not read.
func (d *dispatcher) post(target Endpoint, body []byte) (status int, err error) {
	r, err := http.NewRequestWithContext(d.ctx, http.MethodPost, target.URL, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	r.Header.Set("Content-Type", "application/json; charset=utf-8")
	r.Header.Set("User-Agent", "Stripe/1.0 (+https://stripe.com/docs/webhooks)")
	r.Header.Set("Stripe-Signature", sign(time.Now(), body, target.Secret))
	resp, err := d.client.Do(r)
	if err != nil {
		return 0, err
	}
	return resp.StatusCode, resp.Body.Close()
}

// sign is Stripe's scheme v1, https://docs.stripe.com/webhooks#verify-manually. The time is wall time, because
// the receiver compares it with its own.
func sign(at time.Time, body []byte, secrets string) string {
	header := fmt.Sprintf("t=%d", at.Unix())
	for secret := range strings.SplitSeq(secrets, ",") {
		mac := hmac.New(sha256.New, []byte(strings.TrimSpace(secret)))
		fmt.Fprintf(mac, "%d.%s", at.Unix(), body)
		header += ",v1=" + hex.EncodeToString(mac.Sum(nil))
	}
	return header
}

// close stops handing out, waits for what is in flight until ctx ends, then interrupts it.
func (d *dispatcher) close(ctx context.Context) error {
	// closed is set under the lock, so no queue begins a delivery afterwards, and running only falls.
	d.mu.Lock()
	d.closed = true
	d.announce()
	d.mu.Unlock()
	done := make(chan struct{})
	go func() {
		d.running.Wait()
		close(done)
	}()
	defer d.client.CloseIdleConnections()
	defer d.cancel()
	select {
	case <-done:
		return nil
	// The requests in flight end with an error now, so the wait is short.
	case <-ctx.Done():
		d.cancel()
		<-done
		return fmt.Errorf("stripesim: webhooks were in flight: %w", ctx.Err())
	}
}
