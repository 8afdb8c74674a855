package collectives

import (
	collectivesv1 "github.com/cagnotte/cagnotte/proto/cagnotte/collectives/v1"
)

type applicationServer struct {
	collectivesv1.UnimplementedApplicationsServiceServer
	service *Service
}

// NewApplicationServer returns the service of applications as gRPC.
func NewApplicationServer(s *Service) collectivesv1.ApplicationsServiceServer {
	return &applicationServer{service: s}
}
