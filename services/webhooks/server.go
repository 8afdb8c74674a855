package webhooks

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/types/known/timestamppb"

	webhooksv1 "github.com/cagnotte/cagnotte/proto/cagnotte/webhooks/v1"
	"github.com/cagnotte/cagnotte/services/internal/page"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

type server struct {
	webhooksv1.UnimplementedWebhooksServiceServer
	service *Service
}

// NewServer returns the service as gRPC.
func NewServer(s *Service) webhooksv1.WebhooksServiceServer { return &server{service: s} }

func (s *server) ReceiveStripeEvent(ctx context.Context, req *webhooksv1.ReceiveStripeEventRequest) (*webhooksv1.ReceiveStripeEventResponse, error) {
	endpoint := EndpointPlatform
	if req.GetEndpoint() == webhooksv1.Endpoint_ENDPOINT_CONNECT {
		endpoint = EndpointConnect
	}
	if err := s.service.Receive(ctx, req.GetPayload(), req.GetSignature(), endpoint); err != nil {
		return nil, err
	}
	return &webhooksv1.ReceiveStripeEventResponse{}, nil
}

func (s *server) ListEvents(ctx context.Context, req *webhooksv1.ListEventsRequest) (*webhooksv1.ListEventsResponse, error) {
	state := statesByProto[req.GetState()]
	filter := listFilter + string(state)
	before := newest
	if token := req.GetPageToken(); token != "" {
		if err := page.Decode(token, filter, &before.Received, &before.Account, &before.ID); err != nil {
			return nil, err
		}
	}
	size := page.Size(req.GetPageSize())
	// One more than asked tells whether there is another page.
	found, err := s.service.List(ctx, state, before, size+1)
	if err != nil {
		return nil, err
	}
	resp := &webhooksv1.ListEventsResponse{}
	if len(found) > size {
		found = found[:size]
		last := found[size-1]
		resp.NextPageToken = page.Encode(filter, last.Received, last.Account, last.ID)
	}
	for _, e := range found {
		resp.Events = append(resp.Events, toProto(e))
	}
	return resp, nil
}

// listFilter keeps the tokens of other lists out.
const listFilter = "events "

// Position is an event's place in a list.
type Position struct {
	Received    time.Time
	Account, ID string
}

// newest is before every event.
var newest = Position{Received: time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)}

// eventColumns is what scanEvent reads.
const eventColumns = `
	e.id,
	e.account,
	e.type,
	e.state,
	e.attempts,
	e.failure_reason,
	e.created_at,
	e.received_at,
	e.finished_at`

const selectEventsSQL = `
SELECT` + eventColumns + `
FROM webhooks.events AS e
WHERE (e.received_at, e.account, e.id) < (@received_at, @account, @id)`

const newestEvents = `
ORDER BY
	e.received_at DESC,
	e.account DESC,
	e.id DESC
LIMIT @count`

const listEventsSQL = selectEventsSQL + `
	AND (@state = '' OR e.state = @state)` + newestEvents

// listFailedSQL is what an operator looks for first. The state is in its text, and not an argument, so that
// every plan of it can use the index of failed events.
const listFailedSQL = selectEventsSQL + `
	AND e.state = 'failed'` + newestEvents

// List returns up to count events, newest first, those before the given one; of one state when it is not
// empty.
func (s *Service) List(ctx context.Context, state State, before Position, count int) ([]Event, error) {
	sql := listEventsSQL
	if state == StateFailed {
		sql = listFailedSQL
	}
	rows, err := s.cfg.Pool.Query(ctx, sql, pgx.NamedArgs{
		"state": string(state), "received_at": before.Received, "account": before.Account, "id": before.ID, "count": count,
	})
	if err != nil {
		return nil, postgres.Error(err)
	}
	found, err := pgx.CollectRows(rows, scanEvent)
	return found, postgres.Error(err)
}

func scanEvent(r pgx.CollectableRow) (Event, error) {
	var e Event
	var finished *time.Time
	err := r.Scan(&e.ID, &e.Account, &e.Type, &e.State, &e.Attempts, &e.Reason, &e.Created, &e.Received, &finished)
	e.FinishTime = orZero(finished)
	return e, err
}

var statesByProto = map[webhooksv1.EventState]State{
	webhooksv1.EventState_EVENT_STATE_RECEIVED: StateReceived,
	webhooksv1.EventState_EVENT_STATE_APPLIED:  StateApplied,
	webhooksv1.EventState_EVENT_STATE_IGNORED:  StateIgnored,
	webhooksv1.EventState_EVENT_STATE_FAILED:   StateFailed,
}

var statesToProto = map[State]webhooksv1.EventState{
	StateReceived: webhooksv1.EventState_EVENT_STATE_RECEIVED,
	StateApplied:  webhooksv1.EventState_EVENT_STATE_APPLIED,
	StateIgnored:  webhooksv1.EventState_EVENT_STATE_IGNORED,
	StateFailed:   webhooksv1.EventState_EVENT_STATE_FAILED,
}

func toProto(e Event) *webhooksv1.Event {
	p := &webhooksv1.Event{
		Name:          "webhooks/stripe/events/" + e.ID,
		Type:          e.Type,
		StripeAccount: e.Account,
		State:         statesToProto[e.State],
		Attempts:      int32(e.Attempts),
		FailureReason: e.Reason,
		EventTime:     timestamppb.New(e.Created),
		ReceiveTime:   timestamppb.New(e.Received),
	}
	if !e.FinishTime.IsZero() {
		p.FinishTime = timestamppb.New(e.FinishTime)
	}
	return p
}
