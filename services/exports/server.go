package exports

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"

	"google.golang.org/genproto/googleapis/api/httpbody"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	exportsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/exports/v1"
	"github.com/cagnotte/cagnotte/services/collectives"
)

type server struct {
	exportsv1.UnimplementedExportsServiceServer
	service *Service
}

// NewServer returns the service as gRPC.
func NewServer(s *Service) exportsv1.ExportsServiceServer { return &server{service: s} }

// ExportLedger tells about the file in header metadata, which the gateway passes on: its name in content-disposition,
// its version in cagnotte-export-version and, when only a part was asked for, the size of the whole in
// cagnotte-export-size.
func (s *server) ExportLedger(req *exportsv1.ExportLedgerRequest, stream grpc.ServerStreamingServer[httpbody.HttpBody]) error {
	var book string
	parent, _ := strings.CutSuffix(req.GetName(), "/ledger")
	collective, ok := collectives.ParseName(parent)
	if !ok {
		// A name that is not a book's either is not found.
		collective, book = "", parent
	}
	return s.service.Export(stream.Context(), Request{
		Collective: collective,
		Book:       book,
		Format:     req.GetFormat(),
		StartDate:  req.GetStartDate(),
		EndDate:    req.GetEndDate(),
		SIREN:      req.GetSiren(),
		Version:    req.GetVersion(),
		Offset:     req.GetOffset(),
	}, func(h Header) (io.Writer, error) {
		// A file's name needs no escaping.
		md := metadata.Pairs(
			"content-disposition", fmt.Sprintf("attachment; filename=%q", h.FileName),
			"cagnotte-export-version", h.Version,
		)
		if h.Size >= 0 {
			md.Set("cagnotte-export-size", strconv.FormatInt(h.Size, 10))
		}
		// gRPC sends this header with the first message.
		return chunkWriter{stream, h.ContentType}, stream.SetHeader(md)
	})
}

// chunkWriter sends each write as a message.
type chunkWriter struct {
	stream      grpc.ServerStreamingServer[httpbody.HttpBody]
	contentType string
}

// Write copies, because gRPC may look at a message after Send has returned.
func (w chunkWriter) Write(b []byte) (int, error) {
	if err := w.stream.Send(&httpbody.HttpBody{ContentType: w.contentType, Data: bytes.Clone(b)}); err != nil {
		return 0, err
	}
	return len(b), nil
}
