package connect

import (
	"context"
	"strings"

	"github.com/google/uuid"

	connectv1 "github.com/cagnotte/cagnotte/proto/cagnotte/connect/v1"
	"github.com/cagnotte/cagnotte/services/access"
	"github.com/cagnotte/cagnotte/services/collectives"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/wire"
)

type server struct {
	connectv1.UnimplementedConnectServiceServer
	service *Service
}

// NewServer returns the service as gRPC.
func NewServer(s *Service) connectv1.ConnectServiceServer { return &server{service: s} }

const connectionSuffix = "/connection"

// parseConnectionName returns the collective in `collectives/{collective}/connection`.
func parseConnectionName(name string) (collective string, err error) {
	parent, ok := strings.CutSuffix(name, connectionSuffix)
	collective, valid := collectives.ParseName(parent)
	if !ok || !valid {
		return "", errs.NotFound(name)
	}
	return collective, nil
}

// StartOnboarding needs a request id, since a link works once: a repeat of a request whose answer was lost gets the
// same link.
func (s *server) StartOnboarding(ctx context.Context, req *connectv1.StartOnboardingRequest) (*connectv1.OnboardingLink, error) {
	collective, err := parseConnectionName(req.GetName())
	if err != nil {
		return nil, err
	}
	requestID, err := uuid.Parse(req.GetRequestId())
	if err != nil {
		return nil, errs.Invalid("request_id", "must be a UUID")
	}
	// A link into a shared account would let one collective set where the money of all is paid out.
	if !access.PrincipalFrom(ctx).IsOperator() {
		if err := s.service.checkOwnAccount(ctx, collective); err != nil {
			return nil, err
		}
	}
	link, err := s.service.StartOnboarding(ctx, collective, requestID)
	if err != nil {
		return nil, err
	}
	return &connectv1.OnboardingLink{Url: link.URL, ExpireTime: wire.Time(link.ExpiresAt)}, nil
}

// GetConnection answers what is stored, and may have the account read in the background for the next request.
func (s *server) GetConnection(ctx context.Context, req *connectv1.GetConnectionRequest) (*connectv1.Connection, error) {
	collective, err := parseConnectionName(req.GetName())
	if err != nil {
		return nil, err
	}
	k, err := s.service.Connection(ctx, collective)
	if err != nil {
		return nil, err
	}
	p := &connectv1.Connection{
		Name:             req.GetName(),
		StripeAccount:    k.Account,
		Connected:        k.Connected,
		ChargesEnabled:   k.ChargesEnabled,
		PayoutsEnabled:   k.PayoutsEnabled,
		DetailsSubmitted: k.DetailsSubmitted,
		RequirementsDue:  k.RequirementsDue,
		DisabledReason:   k.DisabledReason,
		Livemode:         s.service.cfg.Stripe.Livemode(),
	}
	p.RequirementsDeadline = wire.Time(k.Deadline)
	// Before the first reading the time is absent, and the three flags are false.
	if k.Read {
		p.ReadTime = wire.Time(k.ReadTime)
	}
	return p, nil
}
