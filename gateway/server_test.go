package gateway_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"google.golang.org/genproto/googleapis/api/httpbody"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/protoadapt"

	"github.com/cagnotte/cagnotte/gateway"
	accessv1 "github.com/cagnotte/cagnotte/proto/cagnotte/access/v1"
	campaignsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
	collectivesv1 "github.com/cagnotte/cagnotte/proto/cagnotte/collectives/v1"
	donationsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/donations/v1"
	exportsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/exports/v1"
	ledgerv1 "github.com/cagnotte/cagnotte/proto/cagnotte/ledger/v1"
	moneyv1 "github.com/cagnotte/cagnotte/proto/cagnotte/money/v1"
	recurringv1 "github.com/cagnotte/cagnotte/proto/cagnotte/recurring/v1"
	treasuryv1 "github.com/cagnotte/cagnotte/proto/cagnotte/treasury/v1"
	webhooksv1 "github.com/cagnotte/cagnotte/proto/cagnotte/webhooks/v1"
)

const (
	campaignName = "collectives/vallon/campaigns/cameras"
	donationID   = "01890a5d-ac96-774b-bcce-b302099a8057"
)

// backend is the gRPC side as a test wants it: a nil function answers what a quiet day would.
type backend struct {
	campaignsv1.UnimplementedCampaignsServiceServer
	donationsv1.UnimplementedDonationsServiceServer
	exportsv1.UnimplementedExportsServiceServer
	ledgerv1.UnimplementedLedgerServiceServer
	campaignsv1.UnimplementedNewsServiceServer
	collectivesv1.UnimplementedCollectivesServiceServer
	webhooksv1.UnimplementedWebhooksServiceServer

	getCampaign    func(*campaignsv1.GetCampaignRequest) (*campaignsv1.Campaign, error)
	listCampaigns  func(*campaignsv1.ListCampaignsRequest) (*campaignsv1.ListCampaignsResponse, error)
	listListed     func(*campaignsv1.ListListedCampaignsRequest) (*campaignsv1.ListListedCampaignsResponse, error)
	sitemap        func(*campaignsv1.GetSitemapRequest) (*campaignsv1.Sitemap, error)
	listNews       func(*campaignsv1.ListNewsItemsRequest) (*campaignsv1.ListNewsItemsResponse, error)
	getNews        func(*campaignsv1.GetNewsItemRequest) (*campaignsv1.NewsItem, error)
	profile        func(*collectivesv1.GetCollectiveProfileRequest) (*collectivesv1.CollectiveProfile, error)
	checkpoint     func(*ledgerv1.GetCheckpointRequest) (*ledgerv1.Checkpoint, error)
	checkOrigin    func(*campaignsv1.CheckOriginRequest) (*campaignsv1.CheckOriginResponse, error)
	createDonation func(*donationsv1.CreateDonationRequest) (*donationsv1.Donation, error)
	donationStatus func(*donationsv1.GetDonationStatusRequest) (*donationsv1.DonationStatus, error)
	locateDonation func(*donationsv1.LocateDonationRequest) (*donationsv1.LocateDonationResponse, error)
	batches        func(*donationsv1.ListDonationBatchesRequest) (*donationsv1.ListDonationBatchesResponse, error)
	exportLedger   func(*exportsv1.ExportLedgerRequest, grpc.ServerStreamingServer[httpbody.HttpBody]) error
	donationProof  func(*ledgerv1.GetDonationProofRequest) (*ledgerv1.DonationProof, error)
	receiveEvent   func(*webhooksv1.ReceiveStripeEventRequest) (*webhooksv1.ReceiveStripeEventResponse, error)

	// access, recurring and treasury answer when they are not nil.
	access    accessv1.AccessServiceServer
	recurring recurringv1.RecurringServiceServer
	treasury  treasuryv1.TreasuryServiceServer

	health *health.Server

	mu sync.Mutex
	md []metadata.MD // of each call, in order
}

func (b *backend) GetCampaign(_ context.Context, r *campaignsv1.GetCampaignRequest) (*campaignsv1.Campaign, error) {
	if b.getCampaign != nil {
		return b.getCampaign(r)
	}
	return vallon(), nil
}

func (b *backend) ListCampaigns(_ context.Context, r *campaignsv1.ListCampaignsRequest) (*campaignsv1.ListCampaignsResponse, error) {
	if b.listCampaigns != nil {
		return b.listCampaigns(r)
	}
	return &campaignsv1.ListCampaignsResponse{Campaigns: []*campaignsv1.Campaign{vallon()}}, nil
}

func (b *backend) GetSitemap(_ context.Context, r *campaignsv1.GetSitemapRequest) (*campaignsv1.Sitemap, error) {
	if b.sitemap != nil {
		return b.sitemap(r)
	}
	return &campaignsv1.Sitemap{}, nil
}

func (b *backend) ListListedCampaigns(_ context.Context, r *campaignsv1.ListListedCampaignsRequest) (*campaignsv1.ListListedCampaignsResponse, error) {
	if b.listListed != nil {
		return b.listListed(r)
	}
	return &campaignsv1.ListListedCampaignsResponse{Campaigns: []*campaignsv1.Campaign{vallon()}}, nil
}

func (b *backend) ListNewsItems(_ context.Context, r *campaignsv1.ListNewsItemsRequest) (*campaignsv1.ListNewsItemsResponse, error) {
	if b.listNews != nil {
		return b.listNews(r)
	}
	return &campaignsv1.ListNewsItemsResponse{}, nil
}

func (b *backend) GetNewsItem(_ context.Context, r *campaignsv1.GetNewsItemRequest) (*campaignsv1.NewsItem, error) {
	if b.getNews != nil {
		return b.getNews(r)
	}
	return nil, status.Error(codes.NotFound, "withdrawn")
}

func (b *backend) GetCollectiveProfile(_ context.Context, r *collectivesv1.GetCollectiveProfileRequest) (*collectivesv1.CollectiveProfile, error) {
	if b.profile != nil {
		return b.profile(r)
	}
	return nil, status.Error(codes.NotFound, "no profile")
}

func (b *backend) GetCheckpoint(_ context.Context, r *ledgerv1.GetCheckpointRequest) (*ledgerv1.Checkpoint, error) {
	if b.checkpoint != nil {
		return b.checkpoint(r)
	}
	return nil, status.Error(codes.NotFound, "not sealed")
}

func (b *backend) CheckOrigin(_ context.Context, r *campaignsv1.CheckOriginRequest) (*campaignsv1.CheckOriginResponse, error) {
	if b.checkOrigin != nil {
		return b.checkOrigin(r)
	}
	return &campaignsv1.CheckOriginResponse{Allowed: r.GetOrigin() == "https://vallon.example"}, nil
}

func (b *backend) CreateDonation(_ context.Context, r *donationsv1.CreateDonationRequest) (*donationsv1.Donation, error) {
	if b.createDonation != nil {
		return b.createDonation(r)
	}
	return &donationsv1.Donation{Name: r.GetParent() + "/donations/" + donationID, CheckoutUrl: "https://checkout.stripe.com/c/pay/cs_1"}, nil
}

func (b *backend) GetDonationStatus(_ context.Context, r *donationsv1.GetDonationStatusRequest) (*donationsv1.DonationStatus, error) {
	if b.donationStatus != nil {
		return b.donationStatus(r)
	}
	return &donationsv1.DonationStatus{Name: r.GetName(), Amount: euros(2000), Outcome: donationsv1.DonationOutcome_DONATION_OUTCOME_RECEIVED}, nil
}

func (b *backend) LocateDonation(_ context.Context, r *donationsv1.LocateDonationRequest) (*donationsv1.LocateDonationResponse, error) {
	return b.locateDonation(r)
}

func (b *backend) GetDonationProof(_ context.Context, r *ledgerv1.GetDonationProofRequest) (*ledgerv1.DonationProof, error) {
	if b.donationProof != nil {
		return b.donationProof(r)
	}
	return nil, status.Error(codes.NotFound, "not sealed")
}

func (b *backend) ExportLedger(r *exportsv1.ExportLedgerRequest, s grpc.ServerStreamingServer[httpbody.HttpBody]) error {
	return b.exportLedger(r, s)
}

func (b *backend) ReceiveStripeEvent(_ context.Context, r *webhooksv1.ReceiveStripeEventRequest) (*webhooksv1.ReceiveStripeEventResponse, error) {
	return b.receiveEvent(r)
}

func (b *backend) remember(ctx context.Context) {
	md, _ := metadata.FromIncomingContext(ctx)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.md = append(b.md, md)
}

// lastMetadata is what the last call carried.
func (b *backend) lastMetadata(t *testing.T) metadata.MD {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.md) == 0 {
		t.Fatal("nothing was called")
	}
	return b.md[len(b.md)-1]
}

// serve starts the backend, and the gateway in front of it on a real HTTP server.
func serve(t *testing.T, b *backend, o gateway.Options) *httptest.Server {
	t.Helper()
	listener := bufconn.Listen(1 << 20)
	server := grpc.NewServer(
		grpc.UnaryInterceptor(func(ctx context.Context, r any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
			b.remember(ctx)
			return next(ctx, r)
		}),
		grpc.StreamInterceptor(func(s any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) error {
			b.remember(stream.Context())
			return next(s, stream)
		}),
	)
	b.health = health.NewServer()
	campaignsv1.RegisterCampaignsServiceServer(server, b)
	campaignsv1.RegisterNewsServiceServer(server, b)
	collectivesv1.RegisterCollectivesServiceServer(server, b)
	donationsv1.RegisterDonationsServiceServer(server, b)
	exportsv1.RegisterExportsServiceServer(server, b)
	ledgerv1.RegisterLedgerServiceServer(server, b)
	webhooksv1.RegisterWebhooksServiceServer(server, b)
	if b.access != nil {
		accessv1.RegisterAccessServiceServer(server, b.access)
	}
	if b.recurring != nil {
		recurringv1.RegisterRecurringServiceServer(server, b.recurring)
	}
	if b.treasury != nil {
		treasuryv1.RegisterTreasuryServiceServer(server, b.treasury)
	}
	grpc_health_v1.RegisterHealthServer(server, b.health)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	conn, err := grpc.NewClient("passthrough:///backend",
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	handler, err := gateway.New(conn, o)
	if err != nil {
		t.Fatal(err)
	}
	front := httptest.NewUnstartedServer(handler)
	front.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	front.Start()
	t.Cleanup(func() {
		front.Close()
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
		server.Stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return front
}

// answer is a whole HTTP answer.
type answer struct {
	*http.Response
	body string
}

// send sends a request with headers given as name, value pairs, and follows no redirect.
func send(t *testing.T, method, url, body string, header ...string) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if cookies := response.Cookies(); len(cookies) > 0 {
		t.Errorf("%s %s set the cookies %v", method, url, cookies)
	}
	return answer{response, string(content)}
}

// fail builds a classified error as the services' interceptor sends it.
func fail(code codes.Code, reason string, details ...protoadapt.MessageV1) error {
	details = append(details, &errdetails.ErrorInfo{Reason: reason, Domain: "cagnotte"})
	st, err := status.New(code, "A sentence for a developer.").WithDetails(details...)
	if err != nil {
		panic(err)
	}
	return st.Err()
}

func euros(minor int64) *moneyv1.Money {
	return &moneyv1.Money{CurrencyCode: "EUR", AmountMinor: minor}
}

// vallon is the campaign that the tests show.
func vallon() *campaignsv1.Campaign {
	return &campaignsv1.Campaign{
		Name: campaignName,
		Texts: map[string]*campaignsv1.CampaignText{
			"fr": {Title: "Contre les caméras, au tribunal", Story: "La mairie veut **23 caméras**."},
			"en": {Title: "Against the cameras, in court", Story: "The town hall wants **23 cameras**."},
		},
		Goal:    euros(80000),
		Presets: []*moneyv1.Money{euros(500), euros(2000), euros(5000)},
		Minimum: euros(100),
		Maximum: euros(500000),
		Stages: []*campaignsv1.Stage{
			{Titles: map[string]string{"fr": "Mise en demeure", "en": "Formal notice"}, Amount: euros(15000)},
			{Titles: map[string]string{"fr": "Première instance"}, Amount: euros(35000)},
			{Titles: map[string]string{"fr": "Appel", "en": "Appeal"}, Amount: euros(30000)},
		},
		State:                 campaignsv1.CampaignState_CAMPAIGN_STATE_PUBLISHED,
		AcceptingDonations:    true,
		AcceptingCards:        true,
		Progress:              &campaignsv1.Progress{Settled: euros(31250), Pending: euros(4000)},
		CollectiveDisplayName: "Vallon contre caméras",
	}
}
