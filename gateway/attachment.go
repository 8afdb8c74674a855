package gateway

import (
	"context"
	"log/slog"
	"net/http"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/genproto/googleapis/api/httpbody"
	"google.golang.org/grpc"

	"github.com/cagnotte/cagnotte/gateway/download"
	treasuryv1 "github.com/cagnotte/cagnotte/proto/cagnotte/treasury/v1"
)

// attachmentPath is DownloadExpenseAttachment's annotation.
const attachmentPath = "/v1/{name=collectives/*/expenses/*/attachments/*}:download"

// downloadAttachment streams the content of an attachment as a file to save. It replaces the generated route, as export
// does.
func downloadAttachment(conn grpc.ClientConnInterface, logger *slog.Logger) runtime.HandlerFunc {
	client := treasuryv1.NewTreasuryServiceClient(conn)
	return func(w http.ResponseWriter, r *http.Request, path map[string]string) {
		// A browser that opens the file all the same lets it run and load nothing.
		w.Header().Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; sandbox")
		err := download.Stream(w, r, func(ctx context.Context) (grpc.ServerStreamingClient[httpbody.HttpBody], error) {
			return client.DownloadExpenseAttachment(ctx, &treasuryv1.DownloadExpenseAttachmentRequest{Name: path["name"]})
		}, logger)
		if err != nil {
			writeError(r.Context(), w, err)
		}
	}
}
