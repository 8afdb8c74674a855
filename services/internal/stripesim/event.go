package stripesim

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"
)

// eventRetention is how long Stripe keeps events, https://docs.stripe.com/api/events.
const eventRetention = 30 * 24 * time.Hour

// event is something that happened, with the object as it was at that time. Object and Previous are encoded when the
// event happens, so later changes of the object do not show in it. By is the API request that caused it; zero for what
// happens by itself, such as a renewal.
type event struct {
	ID         string          `json:"id"`
	Created    int64           `json:"created"`
	Account    string          `json:"account"` // the world it belongs to
	Connected  bool            `json:"connected"`
	Type       string          `json:"type"`
	ObjectID   string          `json:"object_id"`
	Object     json.RawMessage `json:"object"`
	Previous   json.RawMessage `json:"previous,omitempty"`
	By         request         `json:"by"`
	Deliveries []*delivery     `json:"deliveries"` // one for each endpoint of its kind
}

// delivery is the state of an event at one endpoint. State is pending until an endpoint accepts the event, or until the
// retries are over. The world's lock guards it.
type delivery struct {
	Endpoint string `json:"endpoint"` // its name, see queue
	State    string `json:"state"`
	Attempts int    `json:"attempts"`
	Status   int    `json:"status"` // HTTP status of the last attempt, 0 for none or no answer
}

// States of a delivery.
const (
	deliveryPending   = "pending"
	deliveryDelivered = "delivered"
	deliveryDropped   = "dropped" // lost on purpose
	deliveryGivenUp   = "given_up"
)

func (e *event) key() (string, int64) { return e.ID, e.Created }

// emit records an event. The dispatcher gets it when the world's lock is released. The world is locked, and o must be
// rendered after the change. previous has the members that an update changed, with their values before; nil for other
// events.
func (s *Sim) emit(w *world, kind string, o, previous document, by request, now time.Time) {
	e := &event{
		ID: newID("evt_3", 23), Created: now.Unix(), Account: w.ID, Connected: w.Connected, Type: kind, By: by,
		ObjectID: o["id"].(string), Object: mustJSON(o),
	}
	if previous != nil {
		e.Previous = mustJSON(previous)
	}
	w.Events.add(e)
	s.outbox = append(s.outbox, e)
	s.changed = true
}

// mustJSON encodes what this package built itself out of maps and plain values.
func mustJSON(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		panic("stripesim: " + err.Error())
	}
	return b
}

// undelivered counts the endpoints that have not accepted the event. An event that no endpoint wanted counts as
// delivered.
func (e *event) undelivered() (n int) {
	for _, d := range e.Deliveries {
		if d.State != deliveryDelivered {
			n++
		}
	}
	return n
}

// render is the event as it is now: pending_webhooks falls with each endpoint that accepts it. A dropped delivery
// counts as pending.
func (e *event) render() document {
	data := document{"object": e.Object}
	if e.Previous != nil {
		data["previous_attributes"] = e.Previous
	}
	o := document{
		"id":               e.ID,
		"object":           "event",
		"api_version":      Version,
		"created":          e.Created,
		"data":             data,
		"livemode":         false,
		"pending_webhooks": e.undelivered(),
		"request":          document{"id": orNull(e.By.ID), "idempotency_key": orNull(e.By.Key)},
		"type":             e.Type,
	}
	// Only the events of connected accounts name their account.
	if e.Connected {
		o["account"] = e.Account
	}
	return o
}

// payload is the body of a webhook. It is indented as Stripe's is, so that a receiver that verifies a re-encoded body
// is found out.
func (e *event) payload() []byte {
	var b bytes.Buffer
	if err := json.Indent(&b, mustJSON(e.render()), "", "  "); err != nil {
		panic("stripesim: " + err.Error())
	}
	return b.Bytes()
}

func (s *Sim) getEvent(c *call) (document, *apiError) {
	id := c.http.PathValue("id")
	e, ok := c.world.Events.get(id)
	if !ok {
		return nil, noSuch(http.StatusNotFound, "event", id, "id")
	}
	return e.render(), nil
}

var eventListParams = listParams(schema{
	"delivery_success": opt(boolean),
	"type":             opt(text(0)),
	"types":            opt(list(text(0), 20)),
})

func (s *Sim) listEvents(c *call) (document, *apiError) {
	p := c.params
	// One type and a list of types are two forms of the same filter.
	if p.has("type") && p.has("types") {
		return nil, invalid("", "type", "You may only specify one of these parameters: type, types.")
	}
	wanted := p.strs("types")
	if p.has("type") {
		wanted = []string{p.str("type")}
	}
	return listPage(&c.world.Events, p, "/v1/events", "event", func(e *event) bool {
		// delivery_success compares with the state of now, over all endpoints that want the event.
		if p.has("delivery_success") && p.flag("delivery_success") != (e.undelivered() == 0) {
			return false
		}
		return len(wanted) == 0 || slices.ContainsFunc(wanted, func(pattern string) bool { return matchesType(pattern, e.Type) })
	}, (*event).render)
}

// matchesType supports the wildcard at the end: charge.* .
func matchesType(pattern, kind string) bool {
	if prefix, ok := strings.CutSuffix(pattern, "*"); ok {
		return strings.HasPrefix(kind, prefix)
	}
	return pattern == kind
}

// Event is a read-only copy of an event.
type Event struct {
	ID         string          `json:"id"`
	Type       string          `json:"type"`
	ObjectID   string          `json:"object_id"`
	Created    time.Time       `json:"created"`
	Payload    json.RawMessage `json:"payload"`     // the body that a webhook sent now would have
	Delivered  bool            `json:"delivered"`   // every endpoint of its kind accepted it
	Attempts   int             `json:"attempts"`    // over all endpoints
	LastStatus int             `json:"last_status"` // HTTP status of the last attempt, 0 for none or no answer
}

// Events returns the account's events ("" for the platform) of the last 30 days, oldest first; nil for an
// unknown account.
func (s *Sim) Events(account string) []Event {
	s.lock()
	defer s.unlock()
	w := s.world(account)
	if w == nil {
		return nil
	}
	out := make([]Event, 0, len(w.Events.rows))
	for _, e := range w.Events.rows {
		c := Event{
			ID: e.ID, Type: e.Type, ObjectID: e.ObjectID, Created: time.Unix(e.Created, 0).UTC(), Payload: e.payload(),
			Delivered: e.undelivered() == 0,
		}
		// LastStatus is that of the endpoint which comes last.
		for _, d := range e.Deliveries {
			c.Attempts += d.Attempts
			c.LastStatus = d.Status
		}
		out = append(out, c)
	}
	return out
}
