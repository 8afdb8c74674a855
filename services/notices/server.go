package notices

import (
	"context"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	noticesv1 "github.com/cagnotte/cagnotte/proto/cagnotte/notices/v1"
	"github.com/cagnotte/cagnotte/services/access"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/page"
	"github.com/cagnotte/cagnotte/services/internal/rpc"
	"github.com/cagnotte/cagnotte/services/internal/wire"
	"github.com/cagnotte/cagnotte/services/money"
)

type server struct {
	noticesv1.UnimplementedNoticesServiceServer
	service *Service
}

// NewServer returns the notices as gRPC.
func NewServer(s *Service) noticesv1.NoticesServiceServer { return &server{service: s} }

func (s *server) GetNotice(ctx context.Context, req *noticesv1.GetNoticeRequest) (*noticesv1.Notice, error) {
	collective, id, ok := parseName(req.GetName())
	if !ok {
		return nil, errs.NotFound(req.GetName())
	}
	n, err := s.service.get(ctx, collective, id)
	if err != nil {
		return nil, err
	}
	return toProto(ctx, n), nil
}

func (s *server) ListNotices(ctx context.Context, req *noticesv1.ListNoticesRequest) (*noticesv1.ListNoticesResponse, error) {
	f := filter{Unacknowledged: req.GetUnacknowledged(), All: req.GetIncludeCollectives()}
	var ok bool
	if f.Collective, ok = parseParent(req.GetParent()); !ok {
		return nil, errs.NotFound(req.GetParent())
	}
	if f.Collective != "" {
		if f.All {
			return nil, errs.Invalid("include_collectives", "must be false for one collective's notices")
		}
		// No notices of a collective that is not there would look like one that has none.
		if _, err := s.service.readers(ctx, s.service.cfg.Pool, f.Collective); err != nil {
			return nil, err
		}
	}
	found, next, err := page.List(req, f, newest, func(after position, count int) ([]Notice, error) {
		return s.service.list(ctx, f, after, count)
	}, func(n Notice) position { return position{n.CreateTime, n.ID} })
	if err != nil {
		return nil, err
	}
	resp := &noticesv1.ListNoticesResponse{NextPageToken: next}
	for _, n := range found {
		resp.Notices = append(resp.Notices, toProto(ctx, n))
	}
	return resp, nil
}

func (s *server) AcknowledgeNotice(ctx context.Context, req *noticesv1.AcknowledgeNoticeRequest) (*noticesv1.Notice, error) {
	collective, id, ok := parseName(req.GetName())
	if !ok {
		return nil, errs.NotFound(req.GetName())
	}
	n, err := s.service.Acknowledge(ctx, collective, id, access.PrincipalFrom(ctx))
	if err != nil {
		return nil, err
	}
	return toProto(ctx, n), nil
}

func toProto(ctx context.Context, n Notice) *noticesv1.Notice {
	p := &noticesv1.Notice{
		Name:           n.Name(),
		Kind:           string(n.Kind),
		Subject:        n.Subject,
		Transactions:   n.Transactions,
		CreateTime:     wire.Time(n.CreateTime),
		AcknowledgedBy: n.AcknowledgedBy,
	}
	if n.Amount.Currency != "" {
		p.Amount = wire.Money(n.Amount)
	}
	p.Title, p.Text = n.said(money.Language(errorsv1.Language(rpc.CallerFrom(ctx).AcceptLanguage)))
	p.Deadline = wire.Time(n.Deadline)
	p.StartTime = wire.Time(n.Since)
	p.AcknowledgeTime = wire.Time(n.AcknowledgeTime)
	if c := n.Change; c != nil {
		reader := access.PrincipalFrom(ctx)
		// The instance's keys are for the operator to see, and members' addresses for owners.
		if !c.Operator || reader.IsOperator() {
			p.Actor, p.ActorDisplayName = c.Actor, c.DisplayName
		}
		if n.Kind != AlertEmailsChanged && n.Kind != MemberInvited || reader.Role(n.Collective) == access.RoleOwner || reader.IsOperator() {
			p.Before, p.After = c.Before, c.After
		}
	}
	return p
}
