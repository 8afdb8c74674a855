package bank

import (
	"strings"

	"github.com/google/uuid"

	bankv1 "github.com/cagnotte/cagnotte/proto/cagnotte/bank/v1"
	"github.com/cagnotte/cagnotte/services/collectives"
	"github.com/cagnotte/cagnotte/services/internal/errs"
)

// server turns messages into calls of the Service and back, and refuses names and enums that cannot be right.
type server struct {
	bankv1.UnimplementedBankServiceServer
	service *Service
}

// NewServer returns the service as gRPC.
func NewServer(s *Service) bankv1.BankServiceServer { return &server{service: s} }

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
