// Package download answers a file that a service streams, such as an export of the ledger: chunk by chunk, and continued where
// it broke off. The REST API and the console use it.
//
// An error before the first byte is the caller's to answer. A later one breaks the connection, so that no client takes a part
// of the file for the whole.
package download

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"time"

	"google.golang.org/genproto/googleapis/api/httpbody"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	exportsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/exports/v1"
)

const (
	// chunkTimeout is how long one chunk may take to be read by the client; a long export takes as long as it must.
	chunkTimeout = time.Minute
	// dispositionKey is the header metadata in which the service names the file.
	dispositionKey = "content-disposition"
)

// Ledger answers an export of the ledger, or the part of it that Range asks for. An error that it returns is to be answered:
// nothing was written.
func Ledger(w http.ResponseWriter, r *http.Request, client exportsv1.ExportsServiceClient, request *exportsv1.ExportLedgerRequest, logger *slog.Logger) error {
	// A client that continues a file names the version that it has. When that cannot be continued, it gets the whole file.
	conditional := setRange(request, r.Header)
	open := func(ctx context.Context) (grpc.ServerStreamingClient[httpbody.HttpBody], error) {
		return client.ExportLedger(ctx, request)
	}
	stream, chunk, err := firstChunk(r.Context(), open)
	if conditional && cannotContinue(err) {
		request.Version, request.Offset = "", 0
		stream, chunk, err = firstChunk(r.Context(), open)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	write(w, r, stream, chunk, err, request.GetOffset(), logger)
	return nil
}

// Stream answers a file that cannot be continued. An error that it returns is to be answered: nothing was written.
func Stream(w http.ResponseWriter, r *http.Request, open func(context.Context) (grpc.ServerStreamingClient[httpbody.HttpBody], error), logger *slog.Logger) error {
	stream, chunk, err := firstChunk(r.Context(), open)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	write(w, r, stream, chunk, err, 0, logger)
	return nil
}

// firstChunk asks for a file and waits for its first bytes; the error is io.EOF for an empty file.
func firstChunk(ctx context.Context, open func(context.Context) (grpc.ServerStreamingClient[httpbody.HttpBody], error)) (
	stream grpc.ServerStreamingClient[httpbody.HttpBody], chunk *httpbody.HttpBody, err error,
) {
	if stream, err = open(ctx); err != nil {
		return nil, nil, err
	}
	chunk, err = stream.Recv()
	return stream, chunk, err
}

// write answers the stream, whose first chunk and error are given. From here on an error can only break the connection.
func write(w http.ResponseWriter, r *http.Request, stream grpc.ServerStreamingClient[httpbody.HttpBody], chunk *httpbody.HttpBody, err error, offset int64, logger *slog.Logger) {
	header, _ := stream.Header() // there was an answer, so there is a header
	setHeaders(w.Header(), header, chunk.GetContentType())
	w.WriteHeader(setVersionHeaders(w.Header(), header, offset))

	out := http.NewResponseController(w)
	for ; err == nil; chunk, err = stream.Recv() {
		// A server without deadlines needs none here.
		if derr := out.SetWriteDeadline(time.Now().Add(chunkTimeout)); derr != nil && !errors.Is(derr, http.ErrNotSupported) {
			panic(http.ErrAbortHandler)
		}
		if _, werr := w.Write(chunk.GetData()); werr != nil {
			panic(http.ErrAbortHandler)
		}
	}
	if !errors.Is(err, io.EOF) {
		md, _ := metadata.FromOutgoingContext(r.Context())
		logger.WarnContext(r.Context(), "an export broke off", "request_id", first(md.Get("cagnotte-request-id")), "code", status.Code(err).String())
		panic(http.ErrAbortHandler)
	}
}

// first is the first of the values; empty for none.
func first(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}

func setHeaders(h http.Header, md metadata.MD, contentType string) {
	if contentType == "" {
		contentType = "application/octet-stream" // an empty file
	}
	h.Set("Content-Type", contentType)
	h.Set("Cache-Control", "no-store")
	if names := md.Get(dispositionKey); len(names) == 1 {
		h.Set("Content-Disposition", names[0])
	}
}
