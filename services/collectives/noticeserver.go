package collectives

import (
	"context"

	noticesv1 "github.com/cagnotte/cagnotte/proto/cagnotte/notices/v1"
	"github.com/cagnotte/cagnotte/services/access"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/page"
	"github.com/cagnotte/cagnotte/services/internal/wire"
)

type noticeServer struct {
	noticesv1.UnimplementedNoticesServiceServer
	service *Service
}

// NewNoticeServer returns the notices as gRPC.
func NewNoticeServer(s *Service) noticesv1.NoticesServiceServer { return &noticeServer{service: s} }

func (s *noticeServer) ListNotices(ctx context.Context, req *noticesv1.ListNoticesRequest) (*noticesv1.ListNoticesResponse, error) {
	filter := NoticeFilter{Unacknowledged: req.GetUnacknowledged(), All: req.GetIncludeCollectives()}
	if parent := req.GetParent(); parent != instance {
		if filter.All {
			return nil, errs.Invalid("include_collectives", "must be false for one collective's notices")
		}
		var ok bool
		if filter.Collective, ok = ParseName(parent); !ok {
			return nil, errs.NotFound(parent)
		}
		// No notices of a collective that is not there would look like one that has none.
		if _, err := s.service.Get(ctx, filter.Collective); err != nil {
			return nil, err
		}
	}
	found, next, err := page.List(req, filter, firstNotices, func(after noticeKey, count int) ([]Notice, error) {
		return s.service.notices(ctx, filter, after, count)
	}, func(n Notice) noticeKey { return noticeKey{n.CreateTime, n.ID} })
	if err != nil {
		return nil, err
	}
	resp := &noticesv1.ListNoticesResponse{NextPageToken: next}
	for _, n := range found {
		resp.Notices = append(resp.Notices, noticeToProto(ctx, n))
	}
	return resp, nil
}

func (s *noticeServer) AcknowledgeNotice(ctx context.Context, req *noticesv1.AcknowledgeNoticeRequest) (*noticesv1.Notice, error) {
	collective, id, ok := parseNoticeName(req.GetName())
	if !ok {
		return nil, errs.NotFound(req.GetName())
	}
	n, err := s.service.Acknowledge(ctx, collective, id, access.PrincipalFrom(ctx))
	if err != nil {
		return nil, err
	}
	return noticeToProto(ctx, n), nil
}

func noticeToProto(ctx context.Context, n Notice) *noticesv1.Notice {
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
	p.Deadline = wire.Time(n.Deadline)
	p.SinceTime = wire.Time(n.Since)
	p.AcknowledgeTime = wire.Time(n.AcknowledgeTime)
	if c := n.Change; c != nil {
		role := access.PrincipalFrom(ctx).Role
		// The instance's keys are for the operator to see, and members' addresses for owners.
		if !c.byOperator() || role == access.RoleOperator {
			p.Actor, p.ActorDisplayName = c.Key, c.DisplayName
		}
		if n.Kind != NoticeAlertEmailsChanged || role == access.RoleOwner || role == access.RoleOperator {
			p.Before, p.After = c.Before, c.After
		}
	}
	return p
}
