package instance

import (
	instancev1 "github.com/cagnotte/cagnotte/proto/cagnotte/instance/v1"
)

type server struct {
	instancev1.UnimplementedInstanceServiceServer
}

// NewServer returns the service as gRPC.
func NewServer() instancev1.InstanceServiceServer { return &server{} }
