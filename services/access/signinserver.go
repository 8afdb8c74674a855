package access

import accessv1 "github.com/cagnotte/cagnotte/proto/cagnotte/access/v1"

type signInServer struct {
	accessv1.UnimplementedSignInServiceServer
	service *Service
}

// NewSignInServer returns the gRPC server of the ways in.
func NewSignInServer(s *Service) accessv1.SignInServiceServer { return &signInServer{service: s} }
