package access

import accessv1 "github.com/cagnotte/cagnotte/proto/cagnotte/access/v1"

type membersServer struct {
	accessv1.UnimplementedMembersServiceServer
	service *Service
}

// NewMembersServer returns the gRPC server of members and what is theirs. It reads the caller with [PrincipalFrom].
func NewMembersServer(s *Service) accessv1.MembersServiceServer { return &membersServer{service: s} }
