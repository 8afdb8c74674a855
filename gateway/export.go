package gateway

import (
	"log/slog"
	"net/http"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"github.com/grpc-ecosystem/grpc-gateway/v2/utilities"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/cagnotte/cagnotte/gateway/download"
	exportsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/exports/v1"
)

const (
	// exportPath and bookExportPath are ExportLedger's annotations.
	exportPath     = "/v1/{name=collectives/*/ledger}:export"
	bookExportPath = "/v1/{name=instance/books/*/ledger}:export"
)

// exportFilter keeps fields out of the query: the name is in the path, and a part of the file is asked for by Range, so that
// an answer without Content-Range is always the whole file.
var exportFilter = utilities.NewDoubleArray([][]string{{"name"}, {"offset"}})

// export streams the chunks of ExportLedger as they come.
//
// It replaces the generated route, which puts a delimiter between chunks, and ends a broken stream with JSON after the last
// row. Here an error before the first byte is answered like any other, and a later one breaks the connection.
func export(conn grpc.ClientConnInterface, logger *slog.Logger) runtime.HandlerFunc {
	client := exportsv1.NewExportsServiceClient(conn)
	return func(w http.ResponseWriter, r *http.Request, path map[string]string) {
		request := &exportsv1.ExportLedgerRequest{Name: path["name"]}
		if err := runtime.PopulateQueryParameters(request, r.URL.Query(), exportFilter); err != nil {
			writeError(r.Context(), w, status.Error(codes.InvalidArgument, err.Error()))
			return
		}
		if err := download.Ledger(w, r, client, request, logger); err != nil {
			writeError(r.Context(), w, err)
		}
	}
}
