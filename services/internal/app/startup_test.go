package app_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/cagnotte/cagnotte/services/internal/app"
	"github.com/cagnotte/cagnotte/services/internal/apptest"
	"github.com/cagnotte/cagnotte/services/internal/pgembed"
	"github.com/cagnotte/cagnotte/services/internal/stripesim"
)

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

func settings() map[string]string {
	return map[string]string{
		"DATABASE_URL":          "postgres://u:secretpassword@127.0.0.1:1/x",
		"STRIPE_API_KEY":        "rk_test_x",
		"STRIPE_WEBHOOK_SECRET": "whsec_a,whsec_b",
		"CAGNOTTE_PUBLIC_URL":   "https://dons.example.org/",
		"CAGNOTTE_SECRET_KEY":   "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=",
	}
}

func TestSettings(t *testing.T) {
	env := settings()
	cfg, err := app.FromEnv(func(k string) string { return env[k] })
	if err != nil {
		t.Fatal(err)
	}
	if cfg.PublicURL != "https://dons.example.org" || len(cfg.StripeWebhookSecrets) != 2 || cfg.HTTPAddr != "127.0.0.1:8080" || len(cfg.TrustedProxies) != 2 {
		t.Errorf("got %+v", cfg)
	}
	for name, wrong := range map[string][]string{
		"DATABASE_URL":                  {""},
		"STRIPE_API_KEY":                {"", "pk_live_secretvalue"},
		"STRIPE_API_BASE":               {"ftp://secretvalue", "http://stripe.example"},
		"STRIPE_WEBHOOK_SECRET":         {"secretvalue"},
		"STRIPE_CONNECT_WEBHOOK_SECRET": {"secretvalue"},
		"CAGNOTTE_PUBLIC_URL":           {"", "dons.example.org", "http://dons.example.org", "https://dons.example.org/path"},
		"CAGNOTTE_SECRET_KEY":           {"", "secretvalue", "c2VjcmV0dmFsdWU="},
		"CAGNOTTE_HTTP_ADDR":            {"8080"},
		"CAGNOTTE_GRPC_ADDR":            {"nonsense"},
		"CAGNOTTE_ADMIN_ADDR":           {"nonsense"},
		"CAGNOTTE_TRUSTED_PROXIES":      {"10.0.0.1"},
	} {
		for _, value := range wrong {
			t.Run(fmt.Sprintf("%s=%q", name, value), func(t *testing.T) {
				env := settings()
				env[name] = value
				_, err := app.FromEnv(func(k string) string { return env[k] })
				if err == nil || !strings.HasPrefix(err.Error(), name+":") {
					t.Fatalf("got %v, want one line that begins with the variable", err)
				}
				if strings.Contains(err.Error(), "\n") || strings.Contains(name, "SECRET") && strings.Contains(err.Error(), "secretvalue") {
					t.Errorf("got %q", err)
				}
			})
		}
	}
}

func TestATakenPortIsOneLine(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	env := settings()
	env["CAGNOTTE_GRPC_ADDR"] = taken.Addr().String()
	env["CAGNOTTE_HTTP_ADDR"] = "127.0.0.1:0"
	cfg, err := app.FromEnv(func(k string) string { return env[k] })
	if err != nil {
		t.Fatal(err)
	}
	cfg.Logger = slog.New(slog.DiscardHandler)
	_, err = app.Start(t.Context(), cfg)
	if err == nil || !strings.HasPrefix(err.Error(), "CAGNOTTE_GRPC_ADDR: cannot listen on "+taken.Addr().String()) || strings.Contains(err.Error(), "\n") {
		t.Errorf("got %v", err)
	}
}

// httpStatus answers the status of a GET.
func httpStatus(t *testing.T, url string) int {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}

func TestReadiness(t *testing.T) {
	db, err := pgembed.Start(t.Context(), pgembed.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Stop(context.Background()) })
	env := settings()
	env["DATABASE_URL"] = db.URL("postgres")
	for _, name := range []string{"CAGNOTTE_HTTP_ADDR", "CAGNOTTE_GRPC_ADDR", "CAGNOTTE_ADMIN_ADDR"} {
		env[name] = "127.0.0.1:0"
	}
	env["STRIPE_API_BASE"] = "http://127.0.0.1:1"
	cfg, err := app.FromEnv(func(k string) string { return env[k] })
	if err != nil {
		t.Fatal(err)
	}
	cfg.Logger = slog.New(slog.DiscardHandler)
	running, err := app.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := running.Stop(context.Background()); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	base := "http://" + running.HTTPAddr().String()
	conn, err := grpc.NewClient(running.GRPCAddr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	grpcReady := func() bool {
		got, err := healthv1.NewHealthClient(conn).Check(t.Context(), &healthv1.HealthCheckRequest{Service: "cagnotte"})
		return err == nil && got.GetStatus() == healthv1.HealthCheckResponse_SERVING
	}
	ready := func() bool { return httpStatus(t, base+"/readyz") == http.StatusOK && grpcReady() }
	within := func(what string, holds func() bool) {
		t.Helper()
		for deadline := time.Now().Add(time.Minute); !holds(); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("never came true: %s", what)
			}
		}
	}

	if ready() {
		t.Error("ready on a database without a schema")
	}
	if got := httpStatus(t, base+"/healthz"); got != http.StatusOK {
		t.Errorf("alive: HTTP %d", got)
	}
	if err := app.Migrate(t.Context(), db.URL("postgres"), nil); err != nil {
		t.Fatal(err)
	}
	within("ready once migrated", ready)
	if err := db.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	within("not ready without the database", func() bool { return !grpcReady() && httpStatus(t, base+"/readyz") == http.StatusServiceUnavailable })
	if got := httpStatus(t, base+"/v1/collectives/vallon/campaigns/avocate"); got != http.StatusServiceUnavailable {
		t.Errorf("a call without the database: HTTP %d, want 503", got)
	}
	if got := httpStatus(t, base+"/healthz"); got != http.StatusOK {
		t.Errorf("alive without the database: HTTP %d", got)
	}
}

func TestAdminAddress(t *testing.T) {
	e := apptest.Start(t, apptest.Config{})
	resp, err := http.Get("http://" + e.App.AdminAddr().String() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || !strings.Contains(string(body), "cagnotte_rpc_calls_total") {
		t.Errorf("metrics: %v\n%s", err, body)
	}
	if got := httpStatus(t, e.URL+"/metrics"); got != http.StatusNotFound {
		t.Errorf("metrics on the public address: HTTP %d", got)
	}
	if got := httpStatus(t, e.URL+"/debug/pprof/"); got != http.StatusNotFound {
		t.Errorf("profiles on the public address: HTTP %d", got)
	}
}

func TestReflectionAndOpenAPI(t *testing.T) {
	e := apptest.Start(t, apptest.Config{})
	stream, err := reflectionv1.NewServerReflectionClient(e.Conn).ServerReflectionInfo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	err = stream.Send(&reflectionv1.ServerReflectionRequest{MessageRequest: &reflectionv1.ServerReflectionRequest_ListServices{}})
	if err != nil {
		t.Fatal(err)
	}
	answer, err := stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	ours := 0
	protoregistry.GlobalFiles.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		if strings.HasPrefix(string(file.Package()), "cagnotte.") {
			ours += file.Services().Len()
		}
		return true
	})
	// With health, and two versions of reflection.
	if n := len(answer.GetListServicesResponse().GetService()); ours == 0 || n != ours+3 {
		t.Errorf("reflection lists %d services beside %d of ours: %v", n, ours, answer)
	}
	if got := httpStatus(t, e.URL+"/openapi.json"); got != http.StatusOK {
		t.Errorf("openapi.json: HTTP %d", got)
	}
}

func TestStopLetsCallsEnd(t *testing.T) {
	e := apptest.Start(t, apptest.Config{})
	campaign, _ := e.Campaign("vallon")
	before := len(e.Sim.Sessions(""))
	e.Sim.AddFault(stripesim.Fault{Method: "POST", PathPrefix: "/v1/checkout/sessions", Times: 1, Delay: 500 * time.Millisecond})
	answer := make(chan error, 1)
	go func() {
		resp, err := http.Post(e.URL+"/v1/"+campaign+"/donations", "application/json",
			strings.NewReader(`{"donation":{"amount":{"currency_code":"EUR","amount_minor":2000}},"request_id":"0b0a6a2e-5d2f-4f6e-8d43-0f8f3ab1c2d3"}`))
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode != http.StatusOK {
				err = fmt.Errorf("HTTP %d", resp.StatusCode)
			}
		}
		answer <- err
	}()
	e.Eventually("the call is under way", func() bool {
		return slices.ContainsFunc(e.Sim.Requests(), func(r stripesim.Request) bool { return r.Method == http.MethodPost })
	})
	e.StopApp()
	if err := <-answer; err != nil {
		t.Errorf("a call was cut off by the stop: %v", err)
	}
	if n := len(e.Sim.Sessions("")) - before; n != 1 {
		t.Errorf("%d sessions, want 1", n)
	}
	e.StartApp()
	if err := e.Conn.Invoke(t.Context(), "/cagnotte.none.v1.NoService/None", &healthv1.HealthCheckRequest{}, &healthv1.HealthCheckResponse{}); status.Code(err) != codes.Unimplemented {
		t.Errorf("a method that is not there: %v", err)
	}
}

// A dump that was restored into another cluster: what would be posted there before its counter is raised could never
// be sealed.
func TestAClusterThatCountsFromLessStopsTheProgram(t *testing.T) {
	e := apptest.Start(t, apptest.Config{})
	newDesk(t, e, "vallon").paid(t, 20_00)
	e.StopApp()
	owner, err := pgx.Connect(t.Context(), e.DatabaseURL)
	if err != nil {
		t.Fatal(err)
	}
	defer owner.Close(t.Context())
	for _, statement := range []string{
		`SET session_replication_role = replica`,
		`UPDATE ledger.transactions SET xid = '99999999999'`,
	} {
		if _, err := owner.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	env := map[string]string{}
	for _, setting := range e.Environ() {
		name, value, _ := strings.Cut(setting, "=")
		env[name] = value
	}
	cfg, err := app.FromEnv(func(name string) string { return env[name] })
	if err != nil {
		t.Fatal(err)
	}
	cfg.Logger = slog.New(slog.DiscardHandler)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err = app.Run(ctx, cfg, func(*app.App) {})
	if err == nil || !strings.Contains(err.Error(), "pg_resetwal") {
		t.Errorf("the program ended with %v", err)
	}
}
