package webhooks

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

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

func (s *server) ListWebhookEvents(ctx context.Context, req *webhooksv1.ListWebhookEventsRequest) (*webhooksv1.ListWebhookEventsResponse, error) {
	scope, err := s.scope(ctx, req.GetParent())
	if err != nil {
		return nil, err
	}
	state := statesByProto[req.GetState()]
	scope = narrowed(scope, req.GetStripeAccount())
	filter := eventsFilter + req.GetParent() + " " + string(state) + " " + req.GetStripeAccount()
	found, next, err := page.List(req, filter, newest, func(before Position, count int) ([]Event, error) {
		return s.service.List(ctx, scope, state, before, count)
	}, func(e Event) Position { return Position{e.Received, e.Account, e.ID} })
	if err != nil {
		return nil, err
	}
	resp := &webhooksv1.ListWebhookEventsResponse{NextPageToken: next}
	for _, e := range found {
		resp.WebhookEvents = append(resp.WebhookEvents, toProto(req.GetParent(), e))
	}
	return resp, nil
}

func (s *server) GetWebhookEvent(ctx context.Context, req *webhooksv1.GetWebhookEventRequest) (*webhooksv1.WebhookEvent, error) {
	scope, err := s.scope(ctx, req.GetName())
	if err != nil {
		return nil, err
	}
	e, err := s.service.Get(ctx, scope, lastID(req.GetName()))
	if err != nil {
		return nil, err
	}
	return toProto(parentOf(req.GetName()), e), nil
}

// statesByProto has no entry for an unspecified state, which so becomes the empty State: all states.
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

// toProto returns an event under a parent, which is a collective's name or the instance.
func toProto(parent string, e Event) *webhooksv1.WebhookEvent {
	return &webhooksv1.WebhookEvent{
		Name:          parent + "/webhookEvents/" + e.ID,
		Type:          e.Type,
		StripeAccount: e.Account,
		State:         statesToProto[e.State],
		Attempts:      int32(e.Attempts),
		FailureReason: e.Reason,
		EventTime:     wire.Time(e.Created),
		ReceiveTime:   wire.Time(e.Received),
		FinishTime:    wire.Time(e.FinishTime),
		// One that was received and not tried yet is due at once, which says nothing.
		NextAttemptTime: nextAttempt(e),
	}
}

// nextAttempt is absent for an event that has not failed.
func nextAttempt(e Event) *timestamppb.Timestamp {
	if e.State != StateFailed {
		return nil
	}
	return wire.Time(e.NextAttempt)
}

// narrowed is the scope within one account, which only the operator chooses.
func narrowed(in Scope, account string) Scope {
	switch {
	case !in.All || account == "":
		return in
	case account == platform:
		return Scope{}
	}
	return Scope{Account: account}
}

func (s *server) GetWebhookHealth(ctx context.Context, req *webhooksv1.GetWebhookHealthRequest) (*webhooksv1.WebhookHealth, error) {
	if collective := collectiveIn(req.GetName()); collective != "" {
		h, err := s.service.Health(ctx, collective)
		if err != nil {
			return nil, err
		}
		return healthToProto("collectives/"+collective, req.GetName(), h), nil
	}
	// The operator's name has the account itself, or platform for the platform's own.
	account := lastID(req.GetName())
	if account == platform {
		account = ""
	}
	h, err := s.service.AccountHealth(ctx, account)
	if err != nil {
		return nil, err
	}
	return healthToProto(instance, req.GetName(), h), nil
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
		resp.WebhookHealth = append(resp.WebhookHealth, healthToProto(instance, instance+"/webhookHealth/"+cmp.Or(h.Account, platform), h))
	}
	return resp, nil
}

func (s *server) ReplayWebhookEvent(ctx context.Context, req *webhooksv1.ReplayWebhookEventRequest) (*webhooksv1.WebhookEvent, error) {
	scope, err := s.scope(ctx, req.GetName())
	if err != nil {
		return nil, err
	}
	e, err := s.service.ReplayOne(ctx, scope, lastID(req.GetName()))
	if err != nil {
		return nil, err
	}
	return toProto(parentOf(req.GetName()), e), nil
}

func (s *server) ReplayWebhookEvents(ctx context.Context, req *webhooksv1.ReplayWebhookEventsRequest) (*webhooksv1.ReplayWebhookEventsResponse, error) {
	scope, err := s.scope(ctx, req.GetParent())
	if err != nil {
		return nil, err
	}
	count, err := s.service.Replay(ctx, scope)
	return &webhooksv1.ReplayWebhookEventsResponse{ReplayedCount: int32(count)}, err
}

func (s *server) ListParkedTransactions(ctx context.Context, req *webhooksv1.ListParkedTransactionsRequest) (*webhooksv1.ListParkedTransactionsResponse, error) {
	scope, err := s.scope(ctx, req.GetParent())
	if err != nil {
		return nil, err
	}
	scope = narrowed(scope, req.GetStripeAccount())
	filter := parkedFilter + req.GetParent() + " " + req.GetStripeAccount()
	found, next, err := page.List(req, filter, ParkedPosition{Since: time.Unix(0, 0)}, func(after ParkedPosition, count int) ([]Parked, error) {
		return s.service.ListParked(ctx, scope, after, count)
	}, func(p Parked) ParkedPosition { return ParkedPosition{p.Since, p.Account, p.ID} })
	if err != nil {
		return nil, err
	}
	resp := &webhooksv1.ListParkedTransactionsResponse{NextPageToken: next}
	for _, p := range found {
		resp.ParkedTransactions = append(resp.ParkedTransactions, parkedToProto(req.GetParent(), p))
	}
	return resp, nil
}

func (s *server) GetParkedTransaction(ctx context.Context, req *webhooksv1.GetParkedTransactionRequest) (*webhooksv1.ParkedTransaction, error) {
	scope, err := s.scope(ctx, req.GetName())
	if err != nil {
		return nil, err
	}
	p, err := s.service.GetParked(ctx, scope, lastID(req.GetName()))
	if err != nil {
		return nil, err
	}
	return parkedToProto(parentOf(req.GetName()), p), nil
}

func parkedToProto(parent string, p Parked) *webhooksv1.ParkedTransaction {
	return &webhooksv1.ParkedTransaction{
		Name:               parent + "/parkedTransactions/" + p.ID,
		BalanceTransaction: p.ID,
		StripeAccount:      p.Account,
		Reason:             p.Reason,
		Attempts:           int32(p.Attempts),
		ParkTime:           wire.Time(p.Since),
		NextAttemptTime:    wire.Time(p.Next),
	}
}

func (s *server) RetryParkedTransactions(ctx context.Context, req *webhooksv1.RetryParkedTransactionsRequest) (*webhooksv1.RetryParkedTransactionsResponse, error) {
	scope, err := s.scope(ctx, req.GetParent())
	if err != nil {
		return nil, err
	}
	count, err := s.service.RetryParked(ctx, scope)
	return &webhooksv1.RetryParkedTransactionsResponse{RetriedCount: int32(count)}, err
}

const (
	// instance is the parent of what belongs to no collective.
	instance = "instance"
	// platform stands for the platform's own account in names. No account of Stripe's has this id.
	platform = "platform"
	// The filters keep page tokens of other lists out.
	eventsFilter = "events "
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
	return Scope{Account: account, Collective: collective}, err
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

// lastID returns the last id in a name, and parentOf the parent of the collection that it is in.
func lastID(name string) string { return name[strings.LastIndex(name, "/")+1:] }

func parentOf(name string) string {
	collection := name[:strings.LastIndex(name, "/")]
	return collection[:strings.LastIndex(collection, "/")]
}

// healthToProto returns a health under its name. parent is that of its failures.
func healthToProto(parent, name string, h Health) *webhooksv1.WebhookHealth {
	p := &webhooksv1.WebhookHealth{
		Name:                name,
		StripeAccount:       h.Account,
		LastEventTime:       wire.Time(h.LastEvent),
		LastReceiveTime:     wire.Time(h.LastReceived),
		ReceivedCount:       h.Received,
		MissedCount:         h.Missed,
		WaitingCount:        h.Waiting,
		OldestWaitingTime:   wire.Time(h.WaitingSince),
		FailedCount:         h.Failed,
		DeadCount:           h.Dead,
		ParkedCount:         h.Parked,
		LastSyncTime:        wire.Time(h.LastSync),
		SyncFailures:        int32(h.SyncFailures),
		SyncFailureReason:   h.SyncFailureReason,
		BackfilledUntilTime: wire.Time(h.BackfilledUntil),
	}
	if h.Received > 0 {
		p.DelayP50, p.DelayP99 = durationpb.New(h.DelayP50), durationpb.New(h.DelayP99)
	}
	for _, e := range h.Failures {
		p.Failures = append(p.Failures, toProto(parent, e))
	}
	return p
}
