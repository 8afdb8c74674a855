package rpc_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/genproto/googleapis/api/httpbody"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	bankv1 "github.com/cagnotte/cagnotte/proto/cagnotte/bank/v1"
	campaignsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
	donationsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/donations/v1"
	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	exportsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/exports/v1"
	treasuryv1 "github.com/cagnotte/cagnotte/proto/cagnotte/treasury/v1"
	webhooksv1 "github.com/cagnotte/cagnotte/proto/cagnotte/webhooks/v1"
	"github.com/cagnotte/cagnotte/services/access"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/rpc"
)

// campaigns answers with whatever the test says.
type campaigns struct {
	campaignsv1.UnimplementedCampaignsServiceServer
	get func(context.Context, *campaignsv1.GetCampaignRequest) (*campaignsv1.Campaign, error)
}

func (s *campaigns) GetCampaign(ctx context.Context, req *campaignsv1.GetCampaignRequest) (*campaignsv1.Campaign, error) {
	return s.get(ctx, req)
}

func (s *campaigns) PublishCampaign(ctx context.Context, req *campaignsv1.PublishCampaignRequest) (*campaignsv1.Campaign, error) {
	return s.get(ctx, &campaignsv1.GetCampaignRequest{Name: req.GetName()})
}

type exports struct {
	exportsv1.UnimplementedExportsServiceServer
	export func(*exportsv1.ExportLedgerRequest, grpc.ServerStreamingServer[httpbody.HttpBody]) error
}

func (s *exports) ExportLedger(req *exportsv1.ExportLedgerRequest, out grpc.ServerStreamingServer[httpbody.HttpBody]) error {
	return s.export(req, out)
}

type webhooks struct {
	webhooksv1.UnimplementedWebhooksServiceServer
}

func (webhooks) ReceiveStripeEvent(context.Context, *webhooksv1.ReceiveStripeEventRequest) (*webhooksv1.ReceiveStripeEventResponse, error) {
	return &webhooksv1.ReceiveStripeEventResponse{}, nil
}

// donations answers with whatever the test says.
type donations struct {
	donationsv1.UnimplementedDonationsServiceServer
	create func(context.Context) (*donationsv1.Donation, error)
}

func (s *donations) CreateDonation(ctx context.Context, _ *donationsv1.CreateDonationRequest) (*donationsv1.Donation, error) {
	return s.create(ctx)
}

type bank struct {
	bankv1.UnimplementedBankServiceServer
}

func (bank) ImportBankStatement(context.Context, *bankv1.ImportBankStatementRequest) (*bankv1.ImportBankStatementResponse, error) {
	return &bankv1.ImportBankStatementResponse{}, nil
}

type door struct {
	campaigns campaigns
	donations donations
	exports   exports
	log       lockedBuffer
	registry  *prometheus.Registry
	tcp       *grpc.ClientConn
	inProcess grpc.ClientConnInterface
	server    *rpc.Server
}

type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

var editor = access.Principal{Name: "collectives/vallon/apiKeys/k1", Grants: []access.Grant{{Collective: "vallon", Role: access.RoleEditor}}}

var treasurer = access.Principal{Name: "collectives/vallon/apiKeys/k2", Grants: []access.Grant{{Collective: "vallon", Role: access.RoleTreasurer}}}

// open serves the real chain on TCP and in process, as app does.
func open(t *testing.T) *door {
	t.Helper()
	return openWith(t, rpc.Config{Timeout: 500 * time.Millisecond})
}

// openWith is open with other bounds.
func openWith(t *testing.T, cfg rpc.Config) *door {
	t.Helper()
	d := &door{registry: prometheus.NewRegistry()}
	cfg.Authenticate = func(_ context.Context, key string) (access.Principal, error) {
		switch key {
		case "editor-key":
			return editor, nil
		case "treasurer-key":
			return treasurer, nil
		case "other-key":
			return access.Principal{Name: "collectives/autre/apiKeys/k1", Grants: []access.Grant{{Collective: "autre", Role: access.RoleEditor}}}, nil
		}
		return access.Principal{}, errs.New(errorsv1.ErrorReason_INVALID_KEY, "The key is not valid.")
	}
	cfg.Logger, cfg.Metrics = slog.New(slog.NewJSONHandler(&d.log, nil)), d.registry
	server, err := rpc.NewServer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	campaignsv1.RegisterCampaignsServiceServer(server, &d.campaigns)
	exportsv1.RegisterExportsServiceServer(server, &d.exports)
	webhooksv1.RegisterWebhooksServiceServer(server, webhooks{})
	donationsv1.RegisterDonationsServiceServer(server, &d.donations)
	bankv1.RegisterBankServiceServer(server, bank{})
	treasuryv1.RegisterTreasuryServiceServer(server, treasuryv1.UnimplementedTreasuryServiceServer{})
	healthv1.RegisterHealthServer(server, health.NewServer())
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(tcp) })
	t.Cleanup(func() { server.Stop(); serving.Wait() })
	d.tcp = dial(t, tcp.Addr().String())
	d.server, d.inProcess = server, server.Conn()
	return d
}

func dial(t *testing.T, target string) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(target, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

var get = &campaignsv1.GetCampaignRequest{Name: "collectives/vallon/campaigns/avocate"}

func TestErrorsEndAtTheDoor(t *testing.T) {
	d := open(t)
	for way, conn := range map[string]grpc.ClientConnInterface{"TCP": d.tcp, "in process": d.inProcess} {
		t.Run(way, func(t *testing.T) { errorsEnd(t, d, conn) })
	}
}

func errorsEnd(t *testing.T, d *door, conn grpc.ClientConnInterface) {
	client := campaignsv1.NewCampaignsServiceClient(conn)
	fails := func(err error) *status.Status {
		d.campaigns.get = func(context.Context, *campaignsv1.GetCampaignRequest) (*campaignsv1.Campaign, error) {
			return nil, err
		}
		_, got := client.GetCampaign(t.Context(), get)
		return status.Convert(got)
	}

	t.Run("a classified error sends its own words, not its cause's", func(t *testing.T) {
		s := fails(fmt.Errorf("load: %w", &errs.Error{
			Code: codes.FailedPrecondition, Reason: errorsv1.ErrorReason_CAMPAIGN_NOT_OPEN, Message: "The campaign is closed.",
			Fields: []errs.Field{{Field: "parent", Description: "is closed"}}, RetryAfter: 3 * time.Second,
			Cause: errors.New("secret cause"),
		}))
		if s.Code() != codes.FailedPrecondition || s.Message() != "The campaign is closed." {
			t.Errorf("got %v %q", s.Code(), s.Message())
		}
		var reason, field, requestID string
		var retry time.Duration
		for _, detail := range s.Details() {
			switch v := detail.(type) {
			case *errdetails.ErrorInfo:
				reason = v.GetReason()
			case *errdetails.BadRequest:
				field = v.GetFieldViolations()[0].GetField()
			case *errdetails.RetryInfo:
				retry = v.GetRetryDelay().AsDuration()
			case *errdetails.RequestInfo:
				requestID = v.GetRequestId()
			}
		}
		if reason != "CAMPAIGN_NOT_OPEN" || field != "parent" || retry != 3*time.Second || requestID == "" {
			t.Errorf("details: %q %q %v %q", reason, field, retry, requestID)
		}
		if strings.Contains(s.String(), "secret cause") {
			t.Error("the cause left the process")
		}
		if !strings.Contains(d.log.String(), "secret cause") {
			t.Error("the cause is not in the log")
		}
	})
	t.Run("a text for people is in the caller's language", func(t *testing.T) {
		d.campaigns.get = func(context.Context, *campaignsv1.GetCampaignRequest) (*campaignsv1.Campaign, error) {
			return nil, errs.NotFound("collectives/vallon")
		}
		for header, want := range map[string]string{
			"":                "en: This doesn’t exist, or you don’t have access to it.",
			"fr-CA, en;q=0.5": "fr: Cet élément n’existe pas, ou vous n’y avez pas accès.",
		} {
			_, err := client.GetCampaign(metadata.AppendToOutgoingContext(t.Context(), "accept-language", header), get)
			got := ""
			for _, detail := range status.Convert(err).Details() {
				if v, ok := detail.(*errdetails.LocalizedMessage); ok {
					got += v.GetLocale() + ": " + v.GetMessage()
				}
			}
			if got != want {
				t.Errorf("%q: got %q, want %q", header, got, want)
			}
		}
	})
	t.Run("an unclassified error is INTERNAL without its text", func(t *testing.T) {
		if s := fails(errors.New("pq: secret detail")); s.Code() != codes.Internal || strings.Contains(s.String(), "secret") {
			t.Errorf("got %v", s)
		}
	})
	t.Run("a status wrapped by a service does not pass", func(t *testing.T) {
		err := fmt.Errorf("call: %w", status.Error(codes.NotFound, "secret of another system"))
		if s := fails(err); s.Code() != codes.Internal || strings.Contains(s.String(), "secret") {
			t.Errorf("got %v", s)
		}
	})
	t.Run("a panic is INTERNAL, and the server lives on", func(t *testing.T) {
		d.campaigns.get = func(context.Context, *campaignsv1.GetCampaignRequest) (*campaignsv1.Campaign, error) {
			panic("secret panic")
		}
		for range 2 {
			_, err := client.GetCampaign(t.Context(), get)
			if s := status.Convert(err); s.Code() != codes.Internal || strings.Contains(s.String(), "secret") {
				t.Errorf("got %v", s)
			}
		}
	})
	t.Run("a call that takes too long is DEADLINE_EXCEEDED", func(t *testing.T) {
		d.campaigns.get = func(ctx context.Context, _ *campaignsv1.GetCampaignRequest) (*campaignsv1.Campaign, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		if _, err := client.GetCampaign(t.Context(), get); status.Code(err) != codes.DeadlineExceeded {
			t.Errorf("got %v", err)
		}
	})
}

func TestWhoCalls(t *testing.T) {
	d := open(t)
	var seen rpc.Caller
	d.campaigns.get = func(ctx context.Context, _ *campaignsv1.GetCampaignRequest) (*campaignsv1.Campaign, error) {
		seen = rpc.CallerFrom(ctx)
		return &campaignsv1.Campaign{}, nil
	}
	told := metadata.Pairs(
		"cagnotte-client-address", "203.0.113.77",
		"cagnotte-origin", "https://vallon.example",
		"cagnotte-request-id", "request-from-gateway",
	)
	call := func(conn grpc.ClientConnInterface, md metadata.MD) (header metadata.MD, err error) {
		_, err = campaignsv1.NewCampaignsServiceClient(conn).GetCampaign(metadata.NewOutgoingContext(t.Context(), md), get, grpc.Header(&header))
		return header, err
	}

	t.Run("the gateway's word counts in process", func(t *testing.T) {
		header, err := call(d.inProcess, told)
		if err != nil {
			t.Fatal(err)
		}
		want := rpc.Caller{
			Address: netip.MustParseAddr("203.0.113.77"), Network: netip.MustParsePrefix("203.0.113.0/24"), Origin: "https://vallon.example", RequestID: "request-from-gateway",
			Method: campaignsv1.CampaignsService_GetCampaign_FullMethodName,
		}
		if diff := cmp.Diff(want, seen, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
			t.Error(diff)
		}
		if got := header.Get("x-request-id"); len(got) != 1 || got[0] != "request-from-gateway" {
			t.Errorf("x-request-id is %v", got)
		}
	})
	t.Run("nobody on the network can say it", func(t *testing.T) {
		if _, err := call(d.tcp, told); err != nil {
			t.Fatal(err)
		}
		if seen.Network != netip.MustParsePrefix("127.0.0.0/24") || seen.Origin != "" || seen.RequestID == "request-from-gateway" {
			t.Errorf("got %+v", seen)
		}
	})
	t.Run("an IPv6 network is a /48, a mapped IPv4 one a /24", func(t *testing.T) {
		for addr, want := range map[string]string{"2001:db8:1:2::3": "2001:db8:1::/48", "::ffff:203.0.113.9": "203.0.113.0/24"} {
			if _, err := call(d.inProcess, metadata.Pairs("cagnotte-client-address", addr)); err != nil {
				t.Fatal(err)
			}
			if seen.Network.String() != want {
				t.Errorf("%s: got %v, want %s", addr, seen.Network, want)
			}
		}
	})
	t.Run("a request id that is not well-formed is replaced", func(t *testing.T) {
		if _, err := call(d.inProcess, metadata.Pairs("cagnotte-request-id", "bad id\" x")); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(seen.RequestID, " ") || seen.RequestID == "" {
			t.Errorf("got %q", seen.RequestID)
		}
	})
	t.Run("a key names its holder, in the call and in the log", func(t *testing.T) {
		if _, err := call(d.tcp, metadata.Pairs("authorization", "Bearer editor-key")); err != nil {
			t.Fatal(err)
		}
		if seen.Principal.Name != editor.Name || seen.Principal.Role("vallon") != access.RoleEditor {
			t.Errorf("got %+v", seen.Principal)
		}
		if log := d.log.String(); !strings.Contains(log, editor.Name) || strings.Contains(log, "editor-key") {
			t.Error("the log must hold the key's name, and never the key")
		}
	})
	t.Run("a wrong key is refused even where none is needed", func(t *testing.T) {
		for _, header := range []string{"Bearer other", "Basic editor-key", "editor-key"} {
			if _, err := call(d.tcp, metadata.Pairs("authorization", header)); status.Code(err) != codes.Unauthenticated {
				t.Errorf("%q: got %v", header, err)
			}
		}
		if _, err := call(d.tcp, metadata.Pairs("authorization", "Bearer editor-key", "authorization", "Bearer editor-key")); status.Code(err) != codes.Unauthenticated {
			t.Errorf("two keys: got %v", err)
		}
	})
}

func TestAuthoriseComesBeforeValidate(t *testing.T) {
	d := open(t)
	d.campaigns.get = func(context.Context, *campaignsv1.GetCampaignRequest) (*campaignsv1.Campaign, error) {
		return &campaignsv1.Campaign{}, nil
	}
	client := campaignsv1.NewCampaignsServiceClient(d.tcp)
	bad := &campaignsv1.PublishCampaignRequest{Name: "collectives/vallon/campaigns/NOT A SLUG"}

	if _, err := client.PublishCampaign(t.Context(), bad); status.Code(err) != codes.Unauthenticated {
		t.Errorf("nobody with a bad request: got %v", err)
	}
	ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer editor-key")
	_, err := client.PublishCampaign(ctx, bad)
	s := status.Convert(err)
	if s.Code() != codes.InvalidArgument {
		t.Fatalf("an editor with a bad request: got %v", err)
	}
	var fields []string
	for _, detail := range s.Details() {
		if v, ok := detail.(*errdetails.BadRequest); ok {
			fields = append(fields, v.GetFieldViolations()[0].GetField())
		}
	}
	if diff := cmp.Diff([]string{"name"}, fields); diff != "" {
		t.Error(diff)
	}
	other := &campaignsv1.PublishCampaignRequest{Name: "collectives/other/campaigns/avocate"}
	if _, err := client.PublishCampaign(ctx, other); status.Code(err) != codes.NotFound {
		t.Errorf("another collective's campaign: got %v", err)
	}
}

func TestStreamsPassTheSameDoor(t *testing.T) {
	d := open(t)
	reached := false
	d.exports.export = func(*exportsv1.ExportLedgerRequest, grpc.ServerStreamingServer[httpbody.HttpBody]) error {
		reached = true
		return errors.New("secret")
	}
	export := func(ctx context.Context, name string) error {
		stream, err := exportsv1.NewExportsServiceClient(d.tcp).ExportLedger(ctx, &exportsv1.ExportLedgerRequest{Name: name + "/ledger"})
		if err != nil {
			return err
		}
		_, err = stream.Recv()
		return err
	}
	if err := export(t.Context(), "collectives/vallon"); status.Code(err) != codes.Unauthenticated {
		t.Errorf("nobody: got %v", err)
	}
	ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer editor-key")
	if err := export(ctx, "collectives/vallon"); status.Code(err) != codes.NotFound {
		t.Errorf("an editor, who may not see money: got %v", err)
	}
	if reached {
		t.Error("the handler ran for a caller without rights")
	}
}

func TestStreamsInProcess(t *testing.T) {
	d := open(t)
	client := exportsv1.NewExportsServiceClient(d.inProcess)

	t.Run("one refused before it was asked for anything says why", func(t *testing.T) {
		ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer other")
		desc := &exportsv1.ExportsService_ServiceDesc.Streams[0]
		for range 20 {
			stream, err := d.inProcess.NewStream(ctx, desc, exportsv1.ExportsService_ExportLedger_FullMethodName)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := stream.Header(); err != nil { // the chain has ended
				t.Fatal(err)
			}
			if err := stream.SendMsg(&exportsv1.ExportLedgerRequest{}); err != nil {
				t.Fatalf("the request cannot be sent: %v", err)
			}
			if err := stream.RecvMsg(&httpbody.HttpBody{}); status.Code(err) != codes.Unauthenticated {
				t.Errorf("got %v", err)
			}
		}
	})
	t.Run("one whose reader goes away ends", func(t *testing.T) {
		sent, ended := 0, make(chan error)
		d.exports.export = func(_ *exportsv1.ExportLedgerRequest, out grpc.ServerStreamingServer[httpbody.HttpBody]) error {
			var err error
			for ; err == nil; sent++ {
				err = out.Send(&httpbody.HttpBody{Data: []byte("row")})
			}
			ended <- err
			return err
		}
		ctx, leave := context.WithCancel(metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer treasurer-key"))
		stream, err := client.ExportLedger(ctx, &exportsv1.ExportLedgerRequest{Name: "collectives/vallon/ledger"})
		if err != nil {
			t.Fatal(err)
		}
		const read = 10
		for range read {
			if chunk, err := stream.Recv(); err != nil || string(chunk.GetData()) != "row" {
				t.Fatalf("got %v, %v", chunk, err)
			}
		}
		leave()
		<-ended
		if sent > read+3 {
			t.Errorf("%d chunks were made for a reader of %d", sent, read)
		}
	})
}

func TestCallsInProcessAreWaitedFor(t *testing.T) {
	d := open(t)
	client := campaignsv1.NewCampaignsServiceClient(d.inProcess)
	begun, release := make(chan struct{}), make(chan struct{})
	d.campaigns.get = func(context.Context, *campaignsv1.GetCampaignRequest) (*campaignsv1.Campaign, error) {
		close(begun)
		<-release
		return &campaignsv1.Campaign{}, nil
	}
	left, leave := context.WithCancel(t.Context())
	var calling sync.WaitGroup
	calling.Go(func() { _, _ = client.GetCampaign(left, get) })
	<-begun
	leave()
	if err := d.server.Wait(left); err == nil {
		t.Error("a call whose caller has left is not waited for")
	}
	close(release)
	calling.Wait()
	if err := d.server.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := client.GetCampaign(left, get); status.Code(err) != codes.Canceled {
		t.Errorf("after the end a call ends with %v", err)
	}
}

func TestMetricsCountEveryCall(t *testing.T) {
	d := open(t)
	d.campaigns.get = func(context.Context, *campaignsv1.GetCampaignRequest) (*campaignsv1.Campaign, error) {
		return nil, errs.NotFound("it")
	}
	_, _ = campaignsv1.NewCampaignsServiceClient(d.tcp).GetCampaign(t.Context(), get)
	families, err := d.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]float64{}
	for _, f := range families {
		if f.GetName() != "cagnotte_rpc_calls_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			if labels["method"] == "/cagnotte.campaigns.v1.CampaignsService/GetCampaign" {
				counts[labels["code"]] = m.GetCounter().GetValue()
			}
		}
	}
	// Failures of ours are told before the first.
	want := map[string]float64{"NotFound": 1, "OK": 0, "Unavailable": 0, "DeadlineExceeded": 0, "Internal": 0, "Unknown": 0, "DataLoss": 0}
	if diff := cmp.Diff(want, counts); diff != "" {
		t.Error(diff)
	}
}
