package campaigns

import (
	campaignsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
)

type newsServer struct {
	campaignsv1.UnimplementedNewsServiceServer
	service *Service
}

// NewNewsServer returns the service of news as gRPC.
func NewNewsServer(s *Service) campaignsv1.NewsServiceServer { return &newsServer{service: s} }
