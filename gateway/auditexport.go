package gateway

import (
	"context"
	"log/slog"
	"net/http"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"github.com/grpc-ecosystem/grpc-gateway/v2/utilities"
	"google.golang.org/genproto/googleapis/api/httpbody"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/cagnotte/cagnotte/gateway/download"
	auditv1 "github.com/cagnotte/cagnotte/proto/cagnotte/audit/v1"
)

// auditExportPath and instanceAuditExportPath are ExportAuditEntries's annotations.
const (
	auditExportPath         = "/v1/{parent=collectives/*}/auditEntries:export"
	instanceAuditExportPath = "/v1/{parent=instance}/auditEntries:export"
)

// auditExportFilter keeps the parent, which is in the path, out of the query.
var auditExportFilter = utilities.NewDoubleArray([][]string{{"parent"}})

// exportAudit streams the chunks of ExportAuditEntries as they come, as export does: it replaces the generated route, which
// puts a delimiter between chunks. An audit log has no version, so a file that broke off is asked for again as a whole.
func exportAudit(conn grpc.ClientConnInterface, logger *slog.Logger) runtime.HandlerFunc {
	client := auditv1.NewAuditServiceClient(conn)
	return func(w http.ResponseWriter, r *http.Request, path map[string]string) {
		request := &auditv1.ExportAuditEntriesRequest{Parent: path["parent"]}
		if err := runtime.PopulateQueryParameters(request, r.URL.Query(), auditExportFilter); err != nil {
			writeError(r.Context(), w, status.Error(codes.InvalidArgument, err.Error()))
			return
		}
		err := download.Stream(w, r, func(ctx context.Context) (grpc.ServerStreamingClient[httpbody.HttpBody], error) {
			return client.ExportAuditEntries(ctx, request)
		}, logger)
		if err != nil {
			writeError(r.Context(), w, err)
		}
	}
}
