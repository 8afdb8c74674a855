package collectives

import (
	"context"
	"strings"

	"github.com/google/uuid"

	collectivesv1 "github.com/cagnotte/cagnotte/proto/cagnotte/collectives/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/fieldmask"
	"github.com/cagnotte/cagnotte/services/internal/page"
	"github.com/cagnotte/cagnotte/services/internal/rpc"
	"github.com/cagnotte/cagnotte/services/internal/wire"
)

type applicationServer struct {
	collectivesv1.UnimplementedApplicationsServiceServer
	service *Service
}

// NewApplicationServer returns the service of applications as gRPC.
func NewApplicationServer(s *Service) collectivesv1.ApplicationsServiceServer {
	return &applicationServer{service: s}
}

func (s *applicationServer) GetOpening(ctx context.Context, _ *collectivesv1.GetOpeningRequest) (*collectivesv1.Opening, error) {
	o, err := s.service.Opening(ctx)
	if err != nil {
		return nil, err
	}
	return openingToProto(o), nil
}

func (s *applicationServer) UpdateOpening(ctx context.Context, req *collectivesv1.UpdateOpeningRequest) (*collectivesv1.Opening, error) {
	stored, err := s.service.Opening(ctx)
	if err != nil {
		return nil, err
	}
	merged := openingToProto(stored)
	if err := fieldmask.Apply(merged, req.GetOpening(), req.GetUpdateMask(), "mode"); err != nil {
		return nil, err
	}
	var mode Mode
	for m, proto := range modesToProto {
		if proto == merged.GetMode() {
			mode = m
		}
	}
	o, err := s.service.SetOpening(ctx, mode)
	if err != nil {
		return nil, err
	}
	return openingToProto(o), nil
}

// CreateApplication ignores the output-only fields of the application that is sent.
func (s *applicationServer) CreateApplication(ctx context.Context, req *collectivesv1.CreateApplicationRequest) (*collectivesv1.Application, error) {
	request, err := uuid.Parse(req.GetRequestId())
	if err != nil {
		return nil, errs.Invalid("request_id", "must be a UUID")
	}
	sent := req.GetApplication()
	a, err := s.service.Apply(ctx, request, Application{
		DisplayName: sent.GetDisplayName(), Slug: sent.GetCollectiveId(), Purpose: sent.GetPurpose(), Applicant: sent.GetApplicant(),
		Email: sent.GetEmail(), Language: sent.GetLanguage(),
	}, rpc.CallerFrom(ctx).Network)
	if err != nil {
		return nil, err
	}
	p := applicationToProto(a)
	// Who decides is not for the applicant to know, also when the request is repeated later.
	p.Decider = ""
	return p, nil
}

func (s *applicationServer) GetApplication(ctx context.Context, req *collectivesv1.GetApplicationRequest) (*collectivesv1.Application, error) {
	id, err := applicationID(req.GetName())
	if err != nil {
		return nil, err
	}
	a, err := s.service.GetApplication(ctx, id)
	return applicationAnswer(a, err)
}

// applicationsFilter keeps page tokens of other lists out.
const applicationsFilter = "applications "

func (s *applicationServer) ListApplications(ctx context.Context, req *collectivesv1.ListApplicationsRequest) (*collectivesv1.ListApplicationsResponse, error) {
	var state ApplicationState
	for st, proto := range applicationStatesToProto {
		if proto == req.GetState() {
			state = st
		}
	}
	found, next, err := page.List(req, applicationsFilter+string(state), newestApplication, func(before applicationPosition, count int) ([]Application, error) {
		return s.service.listApplications(ctx, state, before, count)
	}, func(a Application) applicationPosition { return applicationPosition{a.CreateTime, a.ID} })
	if err != nil {
		return nil, err
	}
	resp := &collectivesv1.ListApplicationsResponse{NextPageToken: next}
	for _, a := range found {
		resp.Applications = append(resp.Applications, applicationToProto(a))
	}
	return resp, nil
}

func (s *applicationServer) ApproveApplication(ctx context.Context, req *collectivesv1.ApproveApplicationRequest) (*collectivesv1.Application, error) {
	id, err := applicationID(req.GetName())
	if err != nil {
		return nil, err
	}
	a, err := s.service.Approve(ctx, id, req.GetCollectiveId())
	return applicationAnswer(a, err)
}

func (s *applicationServer) RejectApplication(ctx context.Context, req *collectivesv1.RejectApplicationRequest) (*collectivesv1.Application, error) {
	id, err := applicationID(req.GetName())
	if err != nil {
		return nil, err
	}
	a, err := s.service.Reject(ctx, id, req.GetReason())
	return applicationAnswer(a, err)
}

// applicationID reads a resource name. A name of another form is NOT_FOUND.
func applicationID(name string) (uuid.UUID, error) {
	id, err := uuid.Parse(strings.TrimPrefix(name, applicationsPrefix))
	if err != nil {
		return uuid.Nil, errs.NotFound(name)
	}
	return id, nil
}

func applicationAnswer(a Application, err error) (*collectivesv1.Application, error) {
	if err != nil {
		return nil, err
	}
	return applicationToProto(a), nil
}

var modesToProto = map[Mode]collectivesv1.OpeningMode{
	ByInvitation: collectivesv1.OpeningMode_OPENING_MODE_INVITATION,
	OnRequest:    collectivesv1.OpeningMode_OPENING_MODE_REQUEST,
	OpenToAll:    collectivesv1.OpeningMode_OPENING_MODE_ALL,
}

func openingToProto(o Opening) *collectivesv1.Opening {
	return &collectivesv1.Opening{Name: "instance/opening", Mode: modesToProto[o.Mode], UpdateTime: wire.Time(o.UpdateTime)}
}

var applicationStatesToProto = map[ApplicationState]collectivesv1.ApplicationState{
	ApplicationWaiting:  collectivesv1.ApplicationState_APPLICATION_STATE_WAITING,
	ApplicationApproved: collectivesv1.ApplicationState_APPLICATION_STATE_APPROVED,
	ApplicationRejected: collectivesv1.ApplicationState_APPLICATION_STATE_REJECTED,
}

func applicationToProto(a Application) *collectivesv1.Application {
	p := &collectivesv1.Application{
		Name: a.Name(), DisplayName: a.DisplayName, CollectiveId: a.Slug, Purpose: a.Purpose, Applicant: a.Applicant, Email: a.Email,
		Language: a.Language, State: applicationStatesToProto[a.State], CreateTime: wire.Time(a.CreateTime),
		DecideTime: wire.Time(a.DecideTime), Decider: a.Decider, RejectReason: a.RejectReason,
	}
	if a.Collective != "" {
		p.Collective, p.CollectiveId = namePrefix+a.Collective, a.Collective
	}
	return p
}
