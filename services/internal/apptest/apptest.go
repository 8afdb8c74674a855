// Package apptest starts the whole program for a test: its own cloned database, the simulator of
// Stripe over HTTP, the service on free ports with its jobs, and clients for gRPC and REST.
//
// A binary that uses it calls [Main] from its TestMain.
package apptest

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	accessv1 "github.com/cagnotte/cagnotte/proto/cagnotte/access/v1"
	campaignsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
	collectivesv1 "github.com/cagnotte/cagnotte/proto/cagnotte/collectives/v1"
	"github.com/cagnotte/cagnotte/services/campaigns"
	"github.com/cagnotte/cagnotte/services/donations"
	"github.com/cagnotte/cagnotte/services/internal/app"
	"github.com/cagnotte/cagnotte/services/internal/pgtest"
	"github.com/cagnotte/cagnotte/services/internal/rpc"
	"github.com/cagnotte/cagnotte/services/internal/stripesim"
)

// The simulator's credentials, the same in every test.
const (
	APIKey        = "sk_test_simulated"
	WebhookSecret = "whsec_test_platform"
	ConnectSecret = "whsec_test_connect"
)

// stopTimeout bounds taking the program down at the end of a test.
const stopTimeout = 30 * time.Second

// Config changes what Start starts. The zero value is a program with an open campaign.
type Config struct {
	// FeeDelay is how late Stripe's fees arrive, on the simulator's clock.
	FeeDelay time.Duration
	// Limit is how often one network may start a donation; practically unlimited when zero.
	Limit donations.Limit
	// WriteLimit is how often one key may change something; practically unlimited when zero.
	WriteLimit rpc.WriteLimit
	// SyncEvery is the timer of the sync; far away when zero, so that a test sees what webhooks do.
	SyncEvery time.Duration
	// TrustedProxies are believed when they tell a client's address.
	TrustedProxies []netip.Prefix
	// SMTPURL is where mails go, such as those of mailtest; none are sent when empty.
	SMTPURL string
	// AlertEmails are the operator's.
	AlertEmails []string
	// LogTo receives the service's log; the test's own log when nil.
	LogTo io.Writer
	// Chart is the chart of accounts that books begin with; the default one when empty.
	Chart string
	// NoContract spares a benchmark the comparison of its many requests and answers with Stripe's description.
	NoContract bool
	// DatabaseURL is the owner's address of a database with the schema; a new one of the tests' server, which
	// keeps nothing, when empty.
	DatabaseURL string
	// HTTPAddr is where the service listens; a free port when empty.
	HTTPAddr string
}

// Env is a running program and what drives it.
type Env struct {
	// Sim is the simulator, SimURL where it listens, and Clock the time that it and the service share.
	Sim    *stripesim.Sim
	SimURL string
	Clock  *stripesim.Clock
	// App is the service, URL where its HTTP is reached.
	App *app.App
	URL string
	// DatabaseURL is the owner's address of its database.
	DatabaseURL string
	// Conn speaks gRPC to it without a key.
	Conn *grpc.ClientConn
	// OperatorKey is a key of the instance.
	OperatorKey string

	settings app.Config
	t        testing.TB
}

// Start starts all of it and stops it when the test ends.
func Start(t testing.TB, cfg Config) *Env {
	t.Helper()
	e := &Env{t: t, Clock: stripesim.NewClock(), DatabaseURL: cfg.DatabaseURL}
	if e.DatabaseURL == "" {
		e.DatabaseURL = pgtest.NewURL(t)
	}
	simulator := httptest.NewUnstartedServer(nil)
	e.SimURL = "http://" + simulator.Listener.Addr().String()
	sim := stripesim.Config{
		APIKeys:   []string{APIKey},
		Clock:     e.Clock,
		BaseURL:   e.SimURL,
		FeeDelay:  cfg.FeeDelay,
		RetryBase: 20 * time.Millisecond,
	}
	look := func(api http.Handler) http.Handler { return api }
	if !cfg.NoContract {
		answers := watchAnswers(t)
		sim.OnEvent, look = answers.checkEvent, answers.before
	}
	var err error
	if e.Sim, err = stripesim.New(sim); err != nil {
		t.Fatalf("apptest: start the simulator: %v", err)
	}
	simulator.Config.Handler = look(e.Sim.Handler())
	simulator.Start()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
		defer cancel()
		if err := e.Sim.Close(ctx); err != nil {
			t.Errorf("apptest: stop the simulator: %v", err)
		}
		simulator.CloseClientConnections()
		simulator.Close()
	})
	// Registered after the server, so it runs before: what was asked is still there.
	if !cfg.NoContract {
		t.Cleanup(func() { checkContract(t, e.Sim.Requests()) })
	}

	if cfg.HTTPAddr == "" {
		cfg.HTTPAddr = freeAddr(t)
	}
	e.URL = "http://" + cfg.HTTPAddr
	e.settings = settings(t, e, cfg)
	e.Sim.SetEndpoints(e.endpoints())
	e.OperatorKey, err = app.CreateOperatorKey(t.Context(), e.DatabaseURL, "test")
	if err != nil {
		t.Fatalf("apptest: create an operator key: %v", err)
	}
	e.StartApp()
	t.Cleanup(func() {
		if e.App != nil {
			e.StopApp()
		}
	})
	return e
}

func settings(t testing.TB, e *Env, cfg Config) app.Config {
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // never fails: https://pkg.go.dev/crypto/rand#Read
	if cfg.Limit == (donations.Limit{}) {
		cfg.Limit = donations.Limit{Burst: 100_000, Interval: time.Millisecond}
	}
	if cfg.WriteLimit == (rpc.WriteLimit{}) {
		cfg.WriteLimit = rpc.WriteLimit{PerSecond: 100_000, Burst: 100_000}
	}
	if cfg.SyncEvery == 0 {
		cfg.SyncEvery = 24 * time.Hour
	}
	if cfg.LogTo == nil {
		cfg.LogTo = &testLog{t: t}
	}
	return app.Config{
		DatabaseURL:                 e.DatabaseURL,
		StripeAPIKey:                APIKey,
		StripeAPIBase:               e.SimURL,
		StripeWebhookSecrets:        []string{WebhookSecret},
		StripeConnectWebhookSecrets: []string{ConnectSecret},
		PublicURL:                   e.URL,
		HTTPAddr:                    cfg.HTTPAddr,
		GRPCAddr:                    "127.0.0.1:0",
		AdminAddr:                   "127.0.0.1:0",
		SecretKey:                   secret,
		TrustedProxies:              cfg.TrustedProxies,
		FeeEstimate:                 campaigns.DefaultFeeEstimate,
		Chart:                       cfg.Chart,
		Logger:                      slog.New(slog.NewTextHandler(cfg.LogTo, nil)),
		Now:                         e.Clock.Now,
		DonationLimit:               cfg.Limit,
		WriteLimit:                  cfg.WriteLimit,
		SyncEvery:                   cfg.SyncEvery,
		SMTPURL:                     cfg.SMTPURL,
		AlertEmails:                 cfg.AlertEmails,
	}
}

func (e *Env) endpoints() []stripesim.Endpoint {
	return []stripesim.Endpoint{
		{URL: e.URL + "/v1/webhooks/stripe", Secret: WebhookSecret},
		{URL: e.URL + "/v1/webhooks/stripe/connect", Secret: ConnectSecret, Connect: true},
	}
}

// Context is the test's.
func (e *Env) Context() context.Context { return e.t.Context() }

// StartApp starts the service on the same database, simulator and address, after StopApp.
func (e *Env) StartApp() {
	e.t.Helper()
	running, err := app.Start(e.t.Context(), e.settings)
	if err != nil {
		e.t.Fatalf("apptest: start the service: %v", err)
	}
	e.App = running
	e.Conn, err = grpc.NewClient(running.GRPCAddr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		e.t.Fatalf("apptest: connect: %v", err)
	}
	e.Eventually("the service is ready", func() bool {
		resp, err := http.Get(e.URL + "/readyz")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
}

// SetSecrets gives the service other signing secrets, from its next start on; each may be several, separated by
// commas.
func (e *Env) SetSecrets(platform, connect string) {
	e.settings.StripeWebhookSecrets = strings.Split(platform, ",")
	e.settings.StripeConnectWebhookSecrets = strings.Split(connect, ",")
}

// SetDatabaseURL has the service log in by another address, from its next start on; by the owner's until then.
func (e *Env) SetDatabaseURL(address string) { e.settings.DatabaseURL = address }

// SetAPIKey gives the service another key, from its next start on, or several, separated by commas.
func (e *Env) SetAPIKey(key string) { e.settings.StripeAPIKey = key }

// SetStripeRate bounds how many calls a second the service makes to the simulator, from its next start on; any
// number until then.
func (e *Env) SetStripeRate(perSecond float64) { e.settings.StripeRate = perSecond }

// StopApp takes the service down as SIGTERM does. Simulator and database stay.
func (e *Env) StopApp() {
	e.t.Helper()
	e.Conn.Close()
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	if err := e.App.Stop(ctx); err != nil {
		e.t.Errorf("apptest: stop the service: %v", err)
	}
	e.App = nil
}

// Campaign creates a collective with a published campaign, `collectives/{slug}/campaigns/avocate`,
// that takes from 1 to 800 € and may be embedded by origins. It answers the campaign's name and an
// owner's key.
func (e *Env) Campaign(slug string, origins ...string) (name, ownerKey string) {
	e.t.Helper()
	ctx := WithKey(e.t.Context(), e.OperatorKey)
	_, err := collectivesv1.NewCollectivesServiceClient(e.Conn).CreateCollective(ctx, &collectivesv1.CreateCollectiveRequest{
		CollectiveId: slug,
		Collective:   &collectivesv1.Collective{DisplayName: "Vallon contre caméras"},
	})
	if err != nil {
		e.t.Fatalf("apptest: create the collective: %v", err)
	}
	// The operator runs the instance and writes no campaign: its owner does.
	ownerKey = e.Key("collectives/"+slug, accessv1.Role_ROLE_OWNER)
	ctx = WithKey(e.t.Context(), ownerKey)
	client := campaignsv1.NewCampaignsServiceClient(e.Conn)
	created, err := client.CreateCampaign(ctx, &campaignsv1.CreateCampaignRequest{
		Parent:     "collectives/" + slug,
		CampaignId: "avocate",
		Campaign: &campaignsv1.Campaign{
			Texts: map[string]*campaignsv1.CampaignText{
				"fr": {Title: "Une avocate contre les caméras", Story: "Notre village a besoin de **800 €**."},
				"en": {Title: "A lawyer against the cameras", Story: "Our village needs **€800**."},
			},
			Goal:           Euros(800_00),
			Presets:        []*Money{Euros(5_00), Euros(20_00), Euros(50_00)},
			Minimum:        Euros(1_00),
			Maximum:        Euros(800_00),
			AllowedOrigins: origins,
			Stages: []*campaignsv1.Stage{
				{Titles: map[string]string{"fr": "Mise en demeure", "en": "Formal notice"}, Amount: Euros(150_00)},
				{Titles: map[string]string{"fr": "Première instance", "en": "First instance"}, Amount: Euros(400_00)},
				{Titles: map[string]string{"fr": "Appel", "en": "Appeal"}, Amount: Euros(250_00)},
			},
		},
	})
	if err != nil {
		e.t.Fatalf("apptest: create the campaign: %v", err)
	}
	if _, err := client.PublishCampaign(ctx, &campaignsv1.PublishCampaignRequest{Name: created.GetName()}); err != nil {
		e.t.Fatalf("apptest: publish the campaign: %v", err)
	}
	return created.GetName(), ownerKey
}

// Key creates a key of a collective, or of the instance when parent is empty.
func (e *Env) Key(parent string, role accessv1.Role) string {
	e.t.Helper()
	key, err := accessv1.NewAccessServiceClient(e.Conn).CreateApiKey(WithKey(e.t.Context(), e.OperatorKey), &accessv1.CreateApiKeyRequest{
		Parent: parent,
		ApiKey: &accessv1.ApiKey{DisplayName: role.String(), Role: role},
	})
	if err != nil {
		e.t.Fatalf("apptest: create a key: %v", err)
	}
	return key.GetSecret()
}

// Eventually waits until the condition holds, and fails the test when it does not within a minute: a machine may have
// much else to do.
func (e *Env) Eventually(what string, holds func() bool) {
	e.t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !holds() {
		if time.Now().After(deadline) {
			e.t.Fatalf("never came true: %s", what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// freeAddr picks a port before the service listens on it, because the simulator's webhooks and
// the service's own public address must know it.
func freeAddr(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("apptest: find a free port: %v", err)
	}
	defer l.Close()
	return l.Addr().String()
}

// testLog shows the service's log in the test's, until the test has ended.
type testLog struct {
	mu sync.Mutex
	t  testing.TB
}

func (l *testLog) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.t.Context().Err() == nil {
		l.t.Logf("%s", line[:len(line)-1])
	}
	return len(line), nil
}

// Environ is the settings of this program as `cagnotte serve` reads them, to run it as a process
// of its own on the same addresses, database and simulator.
func (e *Env) Environ() []string {
	return []string{
		"DATABASE_URL=" + e.settings.DatabaseURL,
		"STRIPE_API_KEY=" + e.settings.StripeAPIKey,
		"STRIPE_API_BASE=" + e.settings.StripeAPIBase,
		"STRIPE_WEBHOOK_SECRET=" + strings.Join(e.settings.StripeWebhookSecrets, ","),
		"STRIPE_CONNECT_WEBHOOK_SECRET=" + strings.Join(e.settings.StripeConnectWebhookSecrets, ","),
		"CAGNOTTE_PUBLIC_URL=" + e.settings.PublicURL,
		"CAGNOTTE_HTTP_ADDR=" + e.settings.HTTPAddr,
		"CAGNOTTE_GRPC_ADDR=127.0.0.1:0",
		"CAGNOTTE_ADMIN_ADDR=127.0.0.1:0",
		"CAGNOTTE_SECRET_KEY=" + base64.StdEncoding.EncodeToString(e.settings.SecretKey),
		"SMTP_URL=" + e.settings.SMTPURL,
	}
}
