package exports

import (
	"bytes"
	"fmt"

	"google.golang.org/genproto/googleapis/api/httpbody"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	exportsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/exports/v1"
	"github.com/cagnotte/cagnotte/services/collectives"
	"github.com/cagnotte/cagnotte/services/internal/errs"
)

const contentType = "text/csv; charset=utf-8; header=present"

type server struct {
	exportsv1.UnimplementedExportsServiceServer
	service *Service
}

// NewServer returns the service as gRPC.
func NewServer(s *Service) exportsv1.ExportsServiceServer { return &server{service: s} }

// ExportLedger suggests a name for the file in the header content-disposition, which the gateway
// passes on.
func (s *server) ExportLedger(req *exportsv1.ExportLedgerRequest, stream grpc.ServerStreamingServer[httpbody.HttpBody]) error {
	collective, ok := collectives.ParseName(req.GetName())
	if !ok {
		return errs.NotFound(req.GetName())
	}
	x, err := s.service.prepare(stream.Context(), Request{
		Collective: collective, Format: req.GetFormat(), From: req.GetFrom(), To: req.GetTo(),
	})
	if err != nil {
		return err
	}
	// The name is made of slugs and days, so it needs no escaping.
	disposition := fmt.Sprintf("attachment; filename=%q", x.fileName)
	if err := stream.SetHeader(metadata.Pairs("content-disposition", disposition)); err != nil {
		return err
	}
	return x.write(stream.Context(), chunkWriter{stream})
}

// chunkWriter sends each write as a message.
type chunkWriter struct {
	stream grpc.ServerStreamingServer[httpbody.HttpBody]
}

// Write copies, because gRPC may look at a message after Send has returned.
func (w chunkWriter) Write(b []byte) (int, error) {
	if err := w.stream.Send(&httpbody.HttpBody{ContentType: contentType, Data: bytes.Clone(b)}); err != nil {
		return 0, err
	}
	return len(b), nil
}
