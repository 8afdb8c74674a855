// Package apptest starts the whole program for a test: a database of its own, the simulator of Stripe over HTTP, the
// service on free ports with its jobs, and clients for gRPC and REST. A test binary that uses it calls [Main] in TestMain.
//
// Each test also proves two things about Stripe. stripe-mock must accept every request that the service sent; it checks
// them against Stripe's own description of the API. And the simulator's answers and events must have the shapes of that
// description, so that a test cannot pass because of a simulator that differs from Stripe.
//
// The neighbours are pgtest (databases), stripesim (the simulator) and app (the program).
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
	"github.com/cagnotte/cagnotte/services/internal/app"
	"github.com/cagnotte/cagnotte/services/internal/pgtest"
	"github.com/cagnotte/cagnotte/services/internal/rpc"
	"github.com/cagnotte/cagnotte/services/internal/stripesim"
	"github.com/cagnotte/cagnotte/services/wall"
)

// The simulator's credentials, the same in every test.
const (
	APIKey        = "sk_test_simulated"
	WebhookSecret = "whsec_test_platform"
	ConnectSecret = "whsec_test_connect"
)

// stopTimeout limits the shutdown of the program at the end of a test.
const stopTimeout = 30 * time.Second

// Config of [Start]. The zero value starts a program with a published campaign.
type Config struct {
	// FeeDelay is how long after a payment its fee is known, on the simulator's clock. Zero: at once.
	FeeDelay time.Duration
	// Wall is how many payments may be started. Zero: any number.
	Wall wall.Limits
	// WriteLimit is how often one key may change something. Zero: practically unlimited.
	WriteLimit rpc.WriteLimit
	// SyncEvery is the interval of the sync. Zero: so long that a test sees the effect of webhooks alone.
	SyncEvery time.Duration
	// TrustedProxies are the proxies whose report of a client's address is believed. Nil: none.
	TrustedProxies []netip.Prefix
	// SMTPURL is the mail server, such as mailtest's. Empty: no mail is sent.
	SMTPURL string
	// AlertEmails are the operator's addresses. Nil: none.
	AlertEmails []string
	// LogTo receives the service's log. Nil: it goes to the test's log.
	LogTo io.Writer
	// Chart is the chart of accounts of new books. Empty: the default chart.
	Chart string
	// NoContract turns off the comparison of requests and answers with Stripe's description, for a benchmark. False: on.
	NoContract bool
	// DatabaseURL is the owner's address of a migrated database. Empty: a new database of pgtest.
	DatabaseURL string
	// Adjust changes the settings of the program before it starts. Nil: they stay.
	Adjust func(*app.Config)
	// HTTPAddr is the address that the service listens on. Empty: a free port.
	HTTPAddr string
	// Localhost has the public address name this machine, instead of its IP address: browsers allow no passkeys there.
	Localhost bool
}

// Env is a running program with its simulator, database and clients.
type Env struct {
	// Sim is the simulator, SimURL its address, and Clock the clock that it shares with the service.
	Sim    *stripesim.Sim
	SimURL string
	Clock  *stripesim.Clock
	// App is the service, and URL the address of its HTTP.
	App *app.App
	URL string
	// DatabaseURL is the database owner's address.
	DatabaseURL string
	// Conn is a gRPC connection to the service, without a key.
	Conn *grpc.ClientConn
	// OperatorKey is a key of the instance.
	OperatorKey string

	settings app.Config
	t        testing.TB
}

// Start starts simulator and service, and stops both when the test ends. The order matters: the simulator's address is
// known before it serves, the service's before the endpoints are set, and the operator's key exists before the service
// starts. Cleanups stop the service first, then the simulator.
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
	// look wraps the simulator's handler; without the contract it changes nothing.
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
	// Cleanups run in reverse order, so this one runs before the server stops and still has its requests.
	if !cfg.NoContract {
		t.Cleanup(func() { checkContract(t, e.Sim.Requests()) })
	}

	if cfg.HTTPAddr == "" {
		cfg.HTTPAddr = freeAddr(t)
	}
	e.URL = "http://" + cfg.HTTPAddr
	if cfg.Localhost {
		e.URL = strings.Replace(e.URL, "127.0.0.1", "localhost", 1)
	}
	e.settings = settings(t, e, cfg)
	if cfg.Adjust != nil {
		cfg.Adjust(&e.settings)
	}
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

// settings turns the zero values of Config into limits that no test reaches, and keeps the addresses of the Env.
func settings(t testing.TB, e *Env, cfg Config) app.Config {
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // never fails: https://pkg.go.dev/crypto/rand#Read
	if cfg.Wall == (wall.Limits{}) {
		cfg.Wall = wall.Limits{Off: true}
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
		Wall:                        cfg.Wall,
		WriteLimit:                  cfg.WriteLimit,
		SyncEvery:                   cfg.SyncEvery,
		SMTPURL:                     cfg.SMTPURL,
		AlertEmails:                 cfg.AlertEmails,
	}
}

// endpoints are the service's two webhooks: of the platform, and of connected accounts.
func (e *Env) endpoints() []stripesim.Endpoint {
	return []stripesim.Endpoint{
		{URL: e.URL + "/v1/webhooks/stripe", Secret: WebhookSecret},
		{URL: e.URL + "/v1/webhooks/stripe/connect", Secret: ConnectSecret, Connect: true},
	}
}

// Context returns the test's context.
func (e *Env) Context() context.Context { return e.t.Context() }

// StartApp starts the service again after StopApp, with the same database, simulator and address.
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

// SetSecrets sets the service's signing secrets from its next start on. Each may be several, separated by commas.
func (e *Env) SetSecrets(platform, connect string) {
	split := func(secrets string) []string {
		if secrets == "" {
			return nil
		}
		return strings.Split(secrets, ",")
	}
	e.settings.StripeWebhookSecrets, e.settings.StripeConnectWebhookSecrets = split(platform), split(connect)
}

// SetDatabaseURL sets the service's database address from its next start on. Until then it is the owner's.
func (e *Env) SetDatabaseURL(address string) { e.settings.DatabaseURL = address }

// SetAPIKey sets the service's key at Stripe from its next start on. It may be several, separated by commas.
func (e *Env) SetAPIKey(key string) { e.settings.StripeAPIKey = key }

// SetStripeRate limits how many calls a second the service makes to the simulator, from its next start on. Until then
// there is no limit.
func (e *Env) SetStripeRate(perSecond float64) { e.settings.StripeRate = perSecond }

// StopApp shuts the service down as SIGTERM does. Simulator and database continue.
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

// Campaign creates a collective with a published campaign, `collectives/{slug}/campaigns/avocate`, for donations of 1 to
// 800 €, which origins may embed. It returns the campaign's name and the key of an owner.
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
	// An operator may not write campaigns, so an owner does.
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

// Eventually waits until the condition holds, and fails the test after a minute, since the machine may be busy.
func (e *Env) Eventually(what string, holds func() bool) {
	e.t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !holds() {
		if time.Now().After(deadline) {
			e.t.Fatalf("this did not happen within a minute: %s", what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// freeAddr picks a port before the service listens on it, because the simulator's webhooks and the service's public
// address need it.
func freeAddr(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("apptest: find a free port: %v", err)
	}
	defer l.Close()
	return l.Addr().String()
}

// testLog writes the service's log to the test's until the test has ended.
type testLog struct {
	mu sync.Mutex
	t  testing.TB
}

// Write drops what comes after the test has ended, since logging to it would panic then.
func (l *testLog) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.t.Context().Err() == nil {
		l.t.Logf("%s", line[:len(line)-1])
	}
	return len(line), nil
}

// Environ returns the program's settings as the environment that `cagnotte serve` reads, to run it as a process of its
// own with the same addresses, database and simulator. Ports of gRPC and of the administration are free ones, so that
// the process can run beside the App.
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
