package stripe

import (
	"context"
	"encoding/json"
	"time"

	stripego "github.com/stripe/stripe-go/v76"
)

// MaxEventTypes is how many types one question for events may name.
const MaxEventTypes = 20

// EventRetention is how long Stripe can be asked for an event.
const EventRetention = 30 * 24 * time.Hour

// EventQuery asks for a page of events.
type EventQuery struct {
	// Since and Before bound Created: at or after the one, before the other. Before may be zero: no bound.
	Since, Before time.Time
	// Types are up to MaxEventTypes of Stripe's words.
	Types []string
	// After continues behind this id, towards older ones.
	After string
}

// ListEvents returns up to 100 events of an account, newest first; more tells whether older ones are left in the
// query. Stripe renders them in the version of their creation, so of their objects only the ids are read, and where to look
// for them.
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
			continue // what has no id and no type is no event
		}
		// Whose list it is, is whose event it is, whether or not the event says so.
		event.Account = account
		// In no version of ours: only who it is, is read of a session.
		event.version = ""
		page = append(page, event)
	}
	return page, answer.HasMore, nil
}
