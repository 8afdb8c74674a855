package treasury

import (
	"context"
	"strings"

	"github.com/google/uuid"

	treasuryv1 "github.com/cagnotte/cagnotte/proto/cagnotte/treasury/v1"
	"github.com/cagnotte/cagnotte/services/campaigns"
	"github.com/cagnotte/cagnotte/services/collectives"
	"github.com/cagnotte/cagnotte/services/internal/errs"
)

// server turns messages into calls of the Service and back. Rules that need more than the message are the Service's;
// what is wrong with a name or an enum is refused here.
type server struct {
	treasuryv1.UnimplementedTreasuryServiceServer
	service *Service
}

// NewServer returns the service as gRPC.
func NewServer(s *Service) treasuryv1.TreasuryServiceServer { return &server{service: s} }

// collectiveID reads `collectives/{collective}`.
func collectiveID(name string) (string, error) {
	id, ok := collectives.ParseName(name)
	if !ok {
		return "", errs.NotFound(name)
	}
	return id, nil
}

// ofCollective reads `collectives/{collective}/{kind}/{id}`.
// A name that cannot be one is NOT_FOUND, like one that names nothing.
func ofCollective(name, kind string) (collective string, id uuid.UUID, err error) {
	parent, last, ok := strings.Cut(name, "/"+kind+"/")
	if !ok {
		return "", uuid.Nil, errs.NotFound(name)
	}
	if collective, err = collectiveID(parent); err != nil {
		return "", uuid.Nil, errs.NotFound(name)
	}
	if id, err = uuid.Parse(last); err != nil {
		return "", uuid.Nil, errs.NotFound(name)
	}
	return collective, id, nil
}

// ofCampaign reads `collectives/{collective}/campaigns/{campaign}/{kind}/{id}`.
func ofCampaign(name, kind string) (campaign campaigns.Name, id uuid.UUID, err error) {
	parent, last, ok := strings.Cut(name, "/"+kind+"/")
	if !ok {
		return campaign, uuid.Nil, errs.NotFound(name)
	}
	if campaign, err = campaigns.ParseName(parent); err != nil {
		return campaign, uuid.Nil, errs.NotFound(name)
	}
	if id, err = uuid.Parse(last); err != nil {
		return campaign, uuid.Nil, errs.NotFound(name)
	}
	return campaign, id, nil
}

// ParsePledgeName reads `collectives/{collective}/campaigns/{campaign}/pledges/{pledge}`.
//
// Errors: NOT_FOUND.
func ParsePledgeName(name string) (campaigns.Name, uuid.UUID, error) {
	return ofCampaign(name, "pledges")
}

// ParseExpenseName reads `collectives/{collective}/expenses/{expense}`.
//
// Errors: NOT_FOUND.
func ParseExpenseName(name string) (collective string, id uuid.UUID, err error) {
	return ofCollective(name, "expenses")
}

// change is a request that changes one resource.
// The names and the request ids of all such requests have the same fields.
type change interface {
	GetName() string
	GetRequestId() string
}

// ofCollectiveChanged reads the collective's resource that a request changes, and the request itself.
func ofCollectiveChanged(ctx context.Context, req change, kind string) (collective string, id uuid.UUID, r Request, err error) {
	if collective, id, err = ofCollective(req.GetName(), kind); err != nil {
		return collective, id, r, err
	}
	r, err = NewRequest(ctx, req.GetRequestId())
	return collective, id, r, err
}

// ofCampaignChanged reads the campaign's resource that a request changes, and the request itself.
func ofCampaignChanged(ctx context.Context, req change, kind string) (campaign campaigns.Name, id uuid.UUID, r Request, err error) {
	if campaign, id, err = ofCampaign(req.GetName(), kind); err != nil {
		return campaign, id, r, err
	}
	r, err = NewRequest(ctx, req.GetRequestId())
	return campaign, id, r, err
}

// each converts a list.
func each[T, P any](list []T, convert func(T) P) []P {
	converted := make([]P, len(list))
	for i, item := range list {
		converted[i] = convert(item)
	}
	return converted
}

// answer makes a function that converts what a call of the service returns.
func answer[T, P any](convert func(T) *P) func(T, error) (*P, error) {
	return func(item T, err error) (*P, error) {
		if err != nil {
			return nil, err
		}
		return convert(item), nil
	}
}

// nameOr is the name, or an empty text for no id.
func nameOr(id uuid.UUID, name string) string {
	if id == uuid.Nil {
		return ""
	}
	return name
}

// known returns the key of a value in a table of enums.
// The unspecified value of an enum is in no table unless the field may be empty.
func known[K, V comparable](table map[K]V, value V) (key K, ok bool) {
	for k, v := range table {
		if v == value {
			return k, true
		}
	}
	return key, false
}
