package stripe

import (
	"context"
	"encoding/json"
	"time"

	stripego "github.com/stripe/stripe-go/v76"
)

// MaxEventTypes is how many types one request for events may name.
const MaxEventTypes = 20

// EventRetention is how long Stripe stores events.
const EventRetention = 30 * 24 * time.Hour

// EventQuery asks for a page of events.
type EventQuery struct {
	// Since and Before bound Created: from Since on, and before Before. A zero Before is no bound.
	Since, Before time.Time
	// Types are up to MaxEventTypes event types.
	Types []string
	// After is the id after which the list continues, towards older ones. Empty: from the newest.
	After string
}

// ListEvents returns up to 100 events of an account, newest first. more tells whether older ones are left in the query.
// Stripe renders them in the API version of their creation, so only ids and times of their resources are read.
func (c *Client) ListEvents(ctx context.Context, account string, q EventQuery) (page []Event, more bool, err error) {
	values := query("limit", decimal(pageSize), "created[gte]", decimal(max(q.Since.Unix(), 0)))
	if !q.Before.IsZero() {
		values.Add("created[lt]", decimal(q.Before.Unix()))
	}
	for i, kind := range q.Types {
		values.Add("types["+decimal(int64(i))+"]", kind)
	}
	if q.After != "" {
		values.Add("starting_after", q.After)
	}
	var answer struct {
		stripego.APIResource
		Data    []json.RawMessage `json:"data"`
		HasMore bool              `json:"has_more"`
	}
	if err := c.get(ctx, account, "/v1/events", values, &answer); err != nil {
		return nil, false, err
	}
	for _, raw := range answer.Data {
		event, err := parseEvent(raw)
		if err != nil {
			continue // not an event
		}
		// The event is about the account whose list this is, also when it does not name one.
		event.Account = account
		// No known version: of a session only its id and time are read.
		event.version = ""
		page = append(page, event)
	}
	return page, answer.HasMore, nil
}
