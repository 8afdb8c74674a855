package campaigns

import (
	"context"
	"strings"

	"google.golang.org/grpc/codes"

	campaignsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/fieldmask"
	"github.com/cagnotte/cagnotte/services/internal/page"
	"github.com/cagnotte/cagnotte/services/internal/rpc"
)

type server struct {
	campaignsv1.UnimplementedCampaignsServiceServer
	service  *Service
	progress ProgressFunc
}

// NewServer returns the service as gRPC. It calls progress once for each answer.
func NewServer(s *Service, progress ProgressFunc) campaignsv1.CampaignsServiceServer {
	return &server{service: s, progress: progress}
}

// CreateCampaign ignores the output-only fields of the request's campaign.
func (s *server) CreateCampaign(ctx context.Context, req *campaignsv1.CreateCampaignRequest) (*campaignsv1.Campaign, error) {
	name := Name{Collective: collectiveOf(req.GetParent()), Campaign: req.GetCampaignId()}
	c, err := s.service.Create(ctx, name, contentFromProto(req.GetCampaign()))
	return s.answer(ctx, c, err)
}

func (s *server) GetCampaign(ctx context.Context, req *campaignsv1.GetCampaignRequest) (*campaignsv1.Campaign, error) {
	name, err := ParseName(req.GetName())
	if err != nil {
		return nil, err
	}
	c, err := s.service.Get(ctx, name)
	if err == nil && c.State == StateDraft && !isMember(ctx, name.Collective) {
		err = errs.NotFound(name.String())
	}
	return s.answer(ctx, c, err)
}

// listFilter is what a page token is bound to. A member's token does not continue a public list, because its position could
// be a draft's.
type listFilter struct {
	Parent string
	Drafts bool
}

func (s *server) ListCampaigns(ctx context.Context, req *campaignsv1.ListCampaignsRequest) (*campaignsv1.ListCampaignsResponse, error) {
	q := query{collective: collectiveOf(req.GetParent())}
	q.drafts = isMember(ctx, q.collective)
	filter := listFilter{Parent: req.GetParent(), Drafts: q.drafts}
	found, next, err := page.List(req, filter, newest, func(before position, count int) ([]Campaign, error) {
		q.before, q.count = before, count
		return s.service.list(ctx, q)
	}, func(c Campaign) position { return position{c.CreateTime, c.Name.Campaign} })
	if err != nil {
		return nil, err
	}
	resp := &campaignsv1.ListCampaignsResponse{NextPageToken: next}
	resp.Campaigns, err = s.present(ctx, found)
	return resp, err
}

func (s *server) UpdateCampaign(ctx context.Context, req *campaignsv1.UpdateCampaignRequest) (*campaignsv1.Campaign, error) {
	sent := req.GetCampaign()
	name, err := ParseName(sent.GetName())
	if err != nil {
		return nil, err
	}
	c, err := s.service.Update(ctx, name, sent.GetEtag(), func(content *Content) error {
		merged := contentToProto(*content)
		if err := fieldmask.Apply(merged, sent, req.GetUpdateMask(), writable...); err != nil {
			return err
		}
		*content = contentFromProto(merged)
		return nil
	})
	return s.answer(ctx, c, err)
}

func (s *server) PublishCampaign(ctx context.Context, req *campaignsv1.PublishCampaignRequest) (*campaignsv1.Campaign, error) {
	return s.apply(ctx, req.GetName(), s.service.Publish)
}

func (s *server) PauseCampaign(ctx context.Context, req *campaignsv1.PauseCampaignRequest) (*campaignsv1.Campaign, error) {
	return s.apply(ctx, req.GetName(), s.service.Pause)
}

func (s *server) ResumeCampaign(ctx context.Context, req *campaignsv1.ResumeCampaignRequest) (*campaignsv1.Campaign, error) {
	return s.apply(ctx, req.GetName(), s.service.Resume)
}

func (s *server) CloseCampaign(ctx context.Context, req *campaignsv1.CloseCampaignRequest) (*campaignsv1.Campaign, error) {
	return s.apply(ctx, req.GetName(), s.service.Close)
}

func (s *server) apply(ctx context.Context, rawName string, verb func(context.Context, Name) (Campaign, error)) (*campaignsv1.Campaign, error) {
	name, err := ParseName(rawName)
	if err != nil {
		return nil, err
	}
	c, err := verb(ctx, name)
	return s.answer(ctx, c, err)
}

// CheckOrigin answers false, and no error, for missing campaigns and for drafts: the gateway asks it about any path that a
// browser sends.
func (s *server) CheckOrigin(ctx context.Context, req *campaignsv1.CheckOriginRequest) (*campaignsv1.CheckOriginResponse, error) {
	name, err := ParseName(req.GetName())
	if err != nil {
		return &campaignsv1.CheckOriginResponse{}, nil
	}
	c, err := s.service.Get(ctx, name)
	switch {
	case errs.Code(err) == codes.NotFound:
		return &campaignsv1.CheckOriginResponse{}, nil
	case err != nil:
		return nil, err
	}
	return &campaignsv1.CheckOriginResponse{Allowed: c.State != StateDraft && c.AllowsOrigin(req.GetOrigin())}, nil
}

// answer returns one campaign as the caller may see it, or the error as it is.
func (s *server) answer(ctx context.Context, c Campaign, err error) (*campaignsv1.Campaign, error) {
	if err != nil {
		return nil, err
	}
	presented, err := s.present(ctx, []Campaign{c})
	if err != nil {
		return nil, err
	}
	return presented[0], nil
}

// present returns each campaign as the caller may see it, with its progress.
func (s *server) present(ctx context.Context, list []Campaign) ([]*campaignsv1.Campaign, error) {
	if len(list) == 0 {
		return nil, nil
	}
	names := make([]Name, len(list))
	for i, c := range list {
		names[i] = c.Name
	}
	progress, err := s.progress(ctx, names)
	if err != nil {
		return nil, err
	}
	now := s.service.now()
	presented := make([]*campaignsv1.Campaign, len(list))
	for i, c := range list {
		form := publicProto
		if isMember(ctx, c.Name.Collective) {
			form = memberProto
		}
		c.fee = s.service.fee
		presented[i] = form(c, progress[c.Name], now)
	}
	return presented, nil
}

// isMember reports whether the caller sees the fields that are not public.
func isMember(ctx context.Context, collective string) bool {
	return rpc.CallerFrom(ctx).Principal.Sees(collective)
}

func collectiveOf(parent string) string { return strings.TrimPrefix(parent, "collectives/") }
