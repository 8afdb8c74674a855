package webhooks

import (
	"context"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	webhooksv1 "github.com/cagnotte/cagnotte/proto/cagnotte/webhooks/v1"
	"github.com/cagnotte/cagnotte/services/internal/page"
	"github.com/cagnotte/cagnotte/services/internal/wire"
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
	found, next, err := page.List(req, filter, newest, func(before Position, count int) ([]Event, error) {
		return s.service.List(ctx, state, before, count)
	}, func(e Event) Position { return Position{e.Received, e.Account, e.ID} })
	if err != nil {
		return nil, err
	}
	resp := &webhooksv1.ListEventsResponse{NextPageToken: next}
	for _, e := range found {
		resp.Events = append(resp.Events, toProto(e))
	}
	return resp, nil
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
		Name:          "instance/webhookEvents/" + e.ID,
		Type:          e.Type,
		StripeAccount: e.Account,
		State:         statesToProto[e.State],
		Attempts:      int32(e.Attempts),
		FailureReason: e.Reason,
		EventTime:     wire.Time(e.Created),
		ReceiveTime:   wire.Time(e.Received),
	}
	p.FinishTime = wire.Time(e.FinishTime)
	return p
}

func (s *server) GetWebhookHealth(ctx context.Context, req *webhooksv1.GetWebhookHealthRequest) (*webhooksv1.WebhookHealth, error) {
	h, err := s.service.Health(ctx, collectiveIn(req.GetName()))
	if err != nil {
		return nil, err
	}
	p := healthToProto(h)
	p.Name = req.GetName()
	for _, e := range p.GetFailures() {
		e.Name = strings.TrimSuffix(req.GetName(), "webhookHealth") + "webhookEvents/" + eventIn(e.GetName())
	}
	return p, nil
}

func (s *server) ListWebhookHealth(ctx context.Context, req *webhooksv1.ListWebhookHealthRequest) (*webhooksv1.ListWebhookHealthResponse, error) {
	accounts, err := s.service.cfg.Connect.StripeAccounts(ctx)
	if err != nil {
		return nil, err
	}
	accounts, next, err := page.List(req, healthFilter, nil, func(after *string, _ int) ([]string, error) {
		// The platform's own account, which comes first, has the empty name: no account is after nil.
		return slices.DeleteFunc(accounts, func(a string) bool { return after != nil && a <= *after }), nil
	}, func(account string) *string { return &account })
	if err != nil {
		return nil, err
	}
	resp := &webhooksv1.ListWebhookHealthResponse{NextPageToken: next}
	found, err := s.service.Healths(ctx, accounts)
	if err != nil {
		return nil, err
	}
	for _, h := range found {
		resp.Accounts = append(resp.Accounts, healthToProto(h))
	}
	return resp, nil
}

func (s *server) ReplayEvent(ctx context.Context, req *webhooksv1.ReplayEventRequest) (*webhooksv1.Event, error) {
	scope, err := s.scope(ctx, req.GetName())
	if err != nil {
		return nil, err
	}
	e, err := s.service.ReplayOne(ctx, scope, eventIn(req.GetName()))
	if err != nil {
		return nil, err
	}
	p := toProto(e)
	p.Name = req.GetName()
	return p, nil
}

func (s *server) ReplayEvents(ctx context.Context, req *webhooksv1.ReplayEventsRequest) (*webhooksv1.ReplayEventsResponse, error) {
	scope, err := s.scope(ctx, req.GetParent())
	if err != nil {
		return nil, err
	}
	count, err := s.service.Replay(ctx, scope)
	return &webhooksv1.ReplayEventsResponse{ReplayedCount: int32(count)}, err
}

func (s *server) ListParkedTransactions(ctx context.Context, req *webhooksv1.ListParkedTransactionsRequest) (*webhooksv1.ListParkedTransactionsResponse, error) {
	scope, err := s.scope(ctx, req.GetParent())
	if err != nil {
		return nil, err
	}
	filter := parkedFilter + req.GetParent()
	found, next, err := page.List(req, filter, ParkedPosition{Since: time.Unix(0, 0)}, func(after ParkedPosition, count int) ([]Parked, error) {
		return s.service.ListParked(ctx, scope, after, count)
	}, func(p Parked) ParkedPosition { return ParkedPosition{p.Since, p.Account, p.ID} })
	if err != nil {
		return nil, err
	}
	resp := &webhooksv1.ListParkedTransactionsResponse{NextPageToken: next}
	for _, p := range found {
		resp.Transactions = append(resp.Transactions, &webhooksv1.ParkedTransaction{
			BalanceTransaction: p.ID, StripeAccount: p.Account, Reason: p.Reason, Attempts: int32(p.Attempts),
			ParkTime: wire.Time(p.Since), NextAttemptTime: wire.Time(p.Next),
		})
	}
	return resp, nil
}

func (s *server) RetryParkedTransactions(ctx context.Context, req *webhooksv1.RetryParkedTransactionsRequest) (*webhooksv1.RetryParkedTransactionsResponse, error) {
	scope, err := s.scope(ctx, req.GetParent())
	if err != nil {
		return nil, err
	}
	count, err := s.service.RetryParked(ctx, scope)
	return &webhooksv1.RetryParkedTransactionsResponse{RetriedCount: int32(count)}, err
}

// healthFilter and parkedFilter keep the tokens of other lists out.
const (
	// healthFilter and parkedFilter keep page tokens of other lists out.
	healthFilter = "webhook health"
	parkedFilter = "parked "
)

// scope is what a resource name gives access to. The access table has decided who may use the name.
func (s *server) scope(ctx context.Context, name string) (Scope, error) {
	collective := collectiveIn(name)
	if collective == "" {
		return Scope{All: true}, nil
	}
	account, err := s.service.soleAccount(ctx, collective)
	return Scope{Account: account}, err
}

// collectiveIn returns the collective's id in a validated name; empty in the operator's names.
func collectiveIn(name string) string {
	rest, _ := strings.CutPrefix(name, "collectives/")
	if rest == name {
		return ""
	}
	id, _, _ := strings.Cut(rest, "/")
	return id
}

func eventIn(name string) string { return name[strings.LastIndex(name, "/")+1:] }

func healthToProto(h Health) *webhooksv1.WebhookHealth {
	p := &webhooksv1.WebhookHealth{
		StripeAccount:     h.Account,
		LastEventTime:     wire.Time(h.LastEvent),
		LastReceiveTime:   wire.Time(h.LastReceived),
		ReceivedCount:     h.Received,
		MissedCount:       h.Missed,
		WaitingCount:      h.Waiting,
		WaitingSince:      wire.Time(h.WaitingSince),
		FailedCount:       h.Failed,
		DeadCount:         h.Dead,
		ParkedCount:       h.Parked,
		LastSyncTime:      wire.Time(h.LastSync),
		SyncFailures:      int32(h.SyncFailures),
		SyncFailureReason: h.SyncFailureReason,
		HeardUntilTime:    wire.Time(h.BackfilledUntil),
	}
	if h.Received > 0 {
		p.DelayP50, p.DelayP99 = durationpb.New(h.DelayP50), durationpb.New(h.DelayP99)
	}
	for _, e := range h.Failures {
		p.Failures = append(p.Failures, toProto(e))
	}
	return p
}

// listFilter keeps page tokens of other lists out.
const listFilter = "events "
