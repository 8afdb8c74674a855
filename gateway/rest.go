package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"reflect"
	"strings"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	accessv1 "github.com/cagnotte/cagnotte/proto/cagnotte/access/v1"
	approvalsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/approvals/v1"
	auditv1 "github.com/cagnotte/cagnotte/proto/cagnotte/audit/v1"
	bankv1 "github.com/cagnotte/cagnotte/proto/cagnotte/bank/v1"
	campaignsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
	collectivesv1 "github.com/cagnotte/cagnotte/proto/cagnotte/collectives/v1"
	connectv1 "github.com/cagnotte/cagnotte/proto/cagnotte/connect/v1"
	disputesv1 "github.com/cagnotte/cagnotte/proto/cagnotte/disputes/v1"
	donationsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/donations/v1"
	imagesv1 "github.com/cagnotte/cagnotte/proto/cagnotte/images/v1"
	instancev1 "github.com/cagnotte/cagnotte/proto/cagnotte/instance/v1"
	ledgerv1 "github.com/cagnotte/cagnotte/proto/cagnotte/ledger/v1"
	noticesv1 "github.com/cagnotte/cagnotte/proto/cagnotte/notices/v1"
	overviewv1 "github.com/cagnotte/cagnotte/proto/cagnotte/overview/v1"
	payoutsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/payouts/v1"
	receiptsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/receipts/v1"
	recurringv1 "github.com/cagnotte/cagnotte/proto/cagnotte/recurring/v1"
	refundsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/refunds/v1"
	treasuryv1 "github.com/cagnotte/cagnotte/proto/cagnotte/treasury/v1"
	webhooksv1 "github.com/cagnotte/cagnotte/proto/cagnotte/webhooks/v1"
)

// marshalOptions write the protos' own field names, with empty strings, zeros and
// empty lists said, and absent messages left out.
var marshalOptions = protojson.MarshalOptions{UseProtoNames: true, EmitDefaultValues: true}

// newREST returns the routes of all annotated methods. They call the services over the connection. (The generated in-process
// servers would skip the interceptors.)
func newREST(conn grpc.ClientConnInterface, b *bodies, logger *slog.Logger) (http.Handler, error) {
	// none lets no header pass.
	none := func(string) (string, bool) { return "", false }
	parameters, err := newParameters()
	if err != nil {
		return nil, err
	}
	mux := runtime.NewServeMux(
		runtime.WithMarshalerOption(runtime.MIMEWildcard, jsonMarshaler{&runtime.JSONPb{MarshalOptions: marshalOptions}}),
		// No header of a client's becomes metadata: the other side believes metadata.
		runtime.WithIncomingHeaderMatcher(none),
		runtime.WithOutgoingHeaderMatcher(none),
		runtime.WithOutgoingTrailerMatcher(none),
		// The metadata that withCaller made goes on to the service.
		runtime.WithMetadata(func(ctx context.Context, _ *http.Request) metadata.MD {
			md, _ := metadata.FromOutgoingContext(ctx)
			return md
		}),
		runtime.WithErrorHandler(func(ctx context.Context, _ *runtime.ServeMux, _ runtime.Marshaler, w http.ResponseWriter, _ *http.Request, err error) {
			writeError(ctx, w, err)
		}),
		// These errors come from the router, before any handler: an unknown address or method, or a path that cannot be
		// read.
		runtime.WithRoutingErrorHandler(func(ctx context.Context, _ *runtime.ServeMux, _ runtime.Marshaler, w http.ResponseWriter, r *http.Request, status int) {
			if status == http.StatusMethodNotAllowed {
				w.Header().Set("Allow", strings.Join(parameters.methods(r.URL.Path), ", "))
			}
			writeError(ctx, w, routingError(status))
		}),
		runtime.WithMiddlewares(parameters.refuseUnknown),
		// A method is what it says: no form post becomes a GET, no header makes a POST a PATCH.
		runtime.WithDisablePathLengthFallback(),
		runtime.WithDisableHTTPMethodOverride(),
		runtime.WithWriteContentLength(),
	)
	ctx := context.Background()
	// Exports are no generated routes: see export.
	err = errors.Join(
		accessv1.RegisterAccessServiceHandlerClient(ctx, mux, accessv1.NewAccessServiceClient(conn)),
		approvalsv1.RegisterApprovalsServiceHandlerClient(ctx, mux, approvalsv1.NewApprovalsServiceClient(conn)),
		auditv1.RegisterAuditServiceHandlerClient(ctx, mux, auditv1.NewAuditServiceClient(conn)),
		accessv1.RegisterSignInServiceHandlerClient(ctx, mux, accessv1.NewSignInServiceClient(conn)),
		accessv1.RegisterMembersServiceHandlerClient(ctx, mux, accessv1.NewMembersServiceClient(conn)),
		bankv1.RegisterBankServiceHandlerClient(ctx, mux, bankv1.NewBankServiceClient(conn)),
		campaignsv1.RegisterCampaignsServiceHandlerClient(ctx, mux, campaignsv1.NewCampaignsServiceClient(conn)),
		campaignsv1.RegisterNewsServiceHandlerClient(ctx, mux, campaignsv1.NewNewsServiceClient(conn)),
		collectivesv1.RegisterCollectivesServiceHandlerClient(ctx, mux, collectivesv1.NewCollectivesServiceClient(conn)),
		collectivesv1.RegisterApplicationsServiceHandlerClient(ctx, mux, collectivesv1.NewApplicationsServiceClient(conn)),
		connectv1.RegisterConnectServiceHandlerClient(ctx, mux, connectv1.NewConnectServiceClient(conn)),
		donationsv1.RegisterDonationsServiceHandlerClient(ctx, mux, donationsv1.NewDonationsServiceClient(conn)),
		receiptsv1.RegisterReceiptsServiceHandlerClient(ctx, mux, receiptsv1.NewReceiptsServiceClient(conn)),
		refundsv1.RegisterRefundsServiceHandlerClient(ctx, mux, refundsv1.NewRefundsServiceClient(conn)),
		disputesv1.RegisterDisputesServiceHandlerClient(ctx, mux, disputesv1.NewDisputesServiceClient(conn)),
		instancev1.RegisterInstanceServiceHandlerClient(ctx, mux, instancev1.NewInstanceServiceClient(conn)),
		imagesv1.RegisterImagesServiceHandlerClient(ctx, mux, imagesv1.NewImagesServiceClient(conn)),
		ledgerv1.RegisterLedgerServiceHandlerClient(ctx, mux, ledgerv1.NewLedgerServiceClient(conn)),
		overviewv1.RegisterOverviewServiceHandlerClient(ctx, mux, overviewv1.NewOverviewServiceClient(conn)),
		payoutsv1.RegisterPayoutsServiceHandlerClient(ctx, mux, payoutsv1.NewPayoutsServiceClient(conn)),
		noticesv1.RegisterNoticesServiceHandlerClient(ctx, mux, noticesv1.NewNoticesServiceClient(conn)),
		recurringv1.RegisterRecurringServiceHandlerClient(ctx, mux, recurringv1.NewRecurringServiceClient(conn)),
		treasuryv1.RegisterTreasuryServiceHandlerClient(ctx, mux, treasuryv1.NewTreasuryServiceClient(conn)),
		webhooksv1.RegisterWebhooksServiceHandlerClient(ctx, mux, webhooksv1.NewWebhooksServiceClient(conn)),
		mux.HandlePath(http.MethodGet, exportPath, export(conn, logger)),
		mux.HandlePath(http.MethodGet, bookExportPath, export(conn, logger)),
		mux.HandlePath(http.MethodGet, auditExportPath, exportAudit(conn, logger)),
		mux.HandlePath(http.MethodGet, attachmentPath, downloadAttachment(conn, logger)),
		mux.HandlePath(http.MethodGet, instanceAuditExportPath, exportAudit(conn, logger)),
	)
	if err != nil {
		return nil, err
	}
	return b.whole(mux), nil
}

// routingError is the error for a status of the router. Any other status than these is answered like a body that broke
// off.
func routingError(status int) error {
	switch status {
	case http.StatusMethodNotAllowed:
		return errMethod
	case http.StatusNotFound:
		return errNotFound
	default:
		return errBodyCut
	}
}

// jsonMarshaler is grpc-gateway's JSON with two differences: an unknown field is
// an error, and so is whatever follows the first value.
type jsonMarshaler struct{ *runtime.JSONPb }

var errTrailing = errors.New("the body holds more than one JSON value")

// unmarshalWhole decodes one JSON value into a message, or into a pointer to one that it makes.
func (m jsonMarshaler) unmarshalWhole(data []byte, v any) error {
	if message, ok := v.(proto.Message); ok {
		return m.UnmarshalOptions.Unmarshal(data, message)
	}
	if field := reflect.ValueOf(v); field.Kind() == reflect.Pointer && field.Elem().Kind() == reflect.Pointer {
		made := reflect.New(field.Elem().Type().Elem())
		if message, ok := made.Interface().(proto.Message); ok {
			field.Elem().Set(made)
			return m.UnmarshalOptions.Unmarshal(data, message)
		}
	}
	return m.Unmarshal(data, v)
}

func (m jsonMarshaler) NewDecoder(r io.Reader) runtime.Decoder {
	// A decoder of a stream would copy a large body twice. The handler of the call runs while the body's bytes are free.
	if whole, ok := r.(*wholeBody); ok && whole.Len() > maxPublicBytes && json.Valid(whole.data) {
		return runtime.DecoderFunc(func(v any) error { return m.unmarshalWhole(whole.take(), v) })
	}
	decoder := m.JSONPb.NewDecoder(r)
	return runtime.DecoderFunc(func(v any) error {
		if err := decoder.Decode(v); err != nil {
			return err
		}
		// The end of the body must follow the value.
		var rest any
		if err := decoder.Decode(&rest); !errors.Is(err, io.EOF) {
			return errTrailing
		}
		return nil
	})
}
