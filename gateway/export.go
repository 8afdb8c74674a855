package gateway

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"github.com/grpc-ecosystem/grpc-gateway/v2/utilities"
	"google.golang.org/genproto/googleapis/api/httpbody"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	exportsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/exports/v1"
)

const (
	// exportPath and bookExportPath are ExportLedger's annotations.
	exportPath     = "/v1/{name=collectives/*/ledger}:export"
	bookExportPath = "/v1/{name=instance/books/*/ledger}:export"
	// chunkTimeout is how long one chunk may take to be read by the client; a long
	// export takes as long as it must.
	chunkTimeout = time.Minute
	// dispositionKey is the header metadata in which the service names the file.
	dispositionKey = "content-disposition"
)

// exportFilter keeps fields out of the query: the name is in the path, and a part of the file is asked for by Range, so that
// an answer without Content-Range is always the whole file.
var exportFilter = utilities.NewDoubleArray([][]string{{"name"}, {"offset"}})

// export streams the chunks of ExportLedger as they come.
//
// It replaces the generated route, which puts a delimiter between chunks, and ends a broken stream with JSON after the last
// row. Here an error before the first byte is answered like any other. A later one breaks the connection, so that no
// client takes a part of the file for the whole.
func export(conn grpc.ClientConnInterface, logger *slog.Logger) runtime.HandlerFunc {
	client := exportsv1.NewExportsServiceClient(conn)
	return func(w http.ResponseWriter, r *http.Request, path map[string]string) {
		request := &exportsv1.ExportLedgerRequest{Name: path["name"]}
		if err := runtime.PopulateQueryParameters(request, r.URL.Query(), exportFilter); err != nil {
			writeError(r.Context(), w, status.Error(codes.InvalidArgument, err.Error()))
			return
		}
		// A client that continues a file names the version that it has. When that cannot be continued, it gets the
		// whole file.
		conditional := setRange(request, r.Header)
		stream, chunk, err := firstChunk(r.Context(), client, request)
		if conditional && cannotContinue(err) {
			request.Version, request.Offset = "", 0
			stream, chunk, err = firstChunk(r.Context(), client, request)
		}
		if err != nil && !errors.Is(err, io.EOF) {
			writeError(r.Context(), w, err)
			return
		}
		header, _ := stream.Header() // there was an answer, so there is a header
		setExportHeaders(w.Header(), header, chunk.GetContentType())
		// From here on an error can only break the connection.
		w.WriteHeader(setVersionHeaders(w.Header(), header, request.GetOffset()))

		sendChunks(w, r, stream, chunk, err, logger)
	}
}

// sendChunks sends the first chunk and those that follow. It panics with http.ErrAbortHandler, which breaks the connection,
// when the stream or the client ends too early. err is that of the first chunk: io.EOF for an empty file.
func sendChunks(w http.ResponseWriter, r *http.Request, stream grpc.ServerStreamingClient[httpbody.HttpBody], chunk *httpbody.HttpBody, err error,
	logger *slog.Logger,
) {
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
		logger.WarnContext(r.Context(), "an export broke off", "request_id", requestIDFrom(r.Context()), "code", status.Code(err).String())
		panic(http.ErrAbortHandler)
	}
}

// firstChunk asks for an export and waits for its first bytes; the error is io.EOF for an empty file.
func firstChunk(ctx context.Context, client exportsv1.ExportsServiceClient, request *exportsv1.ExportLedgerRequest) (
	stream grpc.ServerStreamingClient[httpbody.HttpBody], chunk *httpbody.HttpBody, err error,
) {
	if stream, err = client.ExportLedger(ctx, request); err != nil {
		return nil, nil, err
	}
	chunk, err = stream.Recv()
	return stream, chunk, err
}

func setExportHeaders(h http.Header, md metadata.MD, contentType string) {
	if contentType == "" {
		contentType = "application/octet-stream" // an empty file
	}
	h.Set("Content-Type", contentType)
	if names := md.Get(dispositionKey); len(names) == 1 {
		h.Set("Content-Disposition", names[0])
	}
}
