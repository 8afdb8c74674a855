package donations

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"github.com/cagnotte/cagnotte/services/access"
	"github.com/cagnotte/cagnotte/services/campaigns"
	"github.com/cagnotte/cagnotte/services/collectives"
	"github.com/cagnotte/cagnotte/services/connect"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/pgtest"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/internal/stripe"
	"github.com/cagnotte/cagnotte/services/internal/stripesim"
	"github.com/cagnotte/cagnotte/services/ledger"
	"github.com/cagnotte/cagnotte/services/money"
	"github.com/cagnotte/cagnotte/services/notices"
	"github.com/cagnotte/cagnotte/services/wall"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

var (
	vallon  = campaigns.Name{Collective: "vallon", Campaign: "avocate"}
	network = netip.MustParsePrefix("192.0.2.0/24")
)

const site = "https://vallon.example"

// env is the service with what it needs, and a simulator.
type env struct {
	t         *testing.T
	pool      *pgxpool.Pool
	clock     *stripesim.Clock
	sim       *stripesim.Sim
	campaigns *campaigns.Service
	groups    *collectives.Service
	notices   *notices.Service
	connect   *connect.Service
	donations *Service
	// meanwhile, if it is set, runs once Stripe has done what a request wants, before the answer arrives.
	meanwhile func(*http.Request)
	// stripeURL is where the simulator answers.
	stripeURL string
}

// newEnv starts the service with the wall's own limits, or those that are given.
func newEnv(t *testing.T, limits ...wall.Limits) *env {
	t.Helper()
	e := &env{t: t, pool: pgtest.New(t), clock: stripesim.NewClock()}
	var err error
	if e.sim, err = stripesim.New(stripesim.Config{Clock: e.clock}); err != nil {
		t.Fatal(err)
	}
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := httptest.NewRecorder()
		e.sim.Handler().ServeHTTP(answer, r)
		if e.meanwhile != nil {
			e.meanwhile(r)
		}
		maps.Copy(w.Header(), answer.Header())
		w.WriteHeader(answer.Code)
		_, _ = w.Write(answer.Body.Bytes())
	}))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := e.sim.Close(ctx); err != nil {
			t.Error(err)
		}
		api.CloseClientConnections()
		api.Close()
	})
	e.stripeURL = api.URL
	client, err := stripe.New(stripe.Config{APIKey: "sk_test_simulated", BaseURL: api.URL, Timeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	logger := slog.New(slog.DiscardHandler)
	jobs, err := river.NewClient(riverpgxv5.New(e.pool), &river.Config{Schema: postgres.RiverSchema, Logger: logger})
	if err != nil {
		t.Fatal(err)
	}
	e.notices = notices.New(notices.Config{Pool: e.pool, Now: e.clock.Now})
	e.groups = collectives.New(collectives.Config{Pool: e.pool, Notices: e.notices, Now: e.clock.Now})
	e.connect = connect.New(connect.Config{Pool: e.pool, Collectives: e.groups, Notices: e.notices, Stripe: client, Now: e.clock.Now})
	e.campaigns = campaigns.New(campaigns.Config{Pool: e.pool, Now: e.clock.Now})
	e.donations = New(Config{
		Pool: e.pool, Campaigns: e.campaigns, Collectives: e.groups, Notices: e.notices, Connect: e.connect, Ledger: ledger.New(ledger.Config{Pool: e.pool}),
		Stripe: client, Jobs: jobs, PublicURL: "https://cagnotte.example/", SecretKey: []byte("secret"), Wall: wall.New(wall.Config{Pool: e.pool, SecretKey: []byte("secret"), Limits: append(limits, wall.Limits{})[0], Now: e.clock.Now}),
		Now: e.clock.Now, Logger: logger,
	})
	ctx := t.Context()
	if _, err := e.groups.Create(ctx, collectives.Collective{ID: "vallon", DisplayName: "Vallon"}); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"one", "two"} {
		e.key(ctx, id)
	}
	if _, err := e.campaigns.Create(ctx, vallon, campaigns.Content{
		Texts:    map[string]campaigns.Text{"fr": {Title: "Une avocate"}, "en": {Title: "A lawyer"}},
		Currency: money.EUR, Goal: money.Amount{Minor: 800_00, Currency: money.EUR},
		Minimum: money.Amount{Minor: 1_00, Currency: money.EUR}, Maximum: money.Amount{Minor: 500_00, Currency: money.EUR},
		AllowedOrigins: []string{site},
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := e.campaigns.Publish(ctx, vallon, ""); err != nil {
		t.Fatal(err)
	}
	return e
}

// key makes a key of the collective; its maker is the caller in ctx.
func (e *env) key(ctx context.Context, id string) (name string) {
	e.t.Helper()
	keys := access.New(access.Config{Pool: e.pool, Now: e.clock.Now, TellTx: e.notices.TellKeyTx})
	k, _, err := keys.Create(ctx, access.Key{Collective: "vallon", ID: id, DisplayName: id, Role: access.RoleOwner})
	if err != nil {
		e.t.Fatal(err)
	}
	return k.Name()
}

// intent is for a donation of 20 €, another one at each call.
func intent() Intent {
	return Intent{
		Campaign: vallon, RequestID: uuid.New(), Amount: money.Amount{Minor: 20_00, Currency: money.EUR},
		Locale: "fr", Origin: site, Address: network.Addr(),
	}
}

func (e *env) create(in Intent) Donation {
	e.t.Helper()
	d, err := e.donations.Create(e.t.Context(), in)
	if err != nil {
		e.t.Fatal(err)
	}
	return d
}

// wantReason fails unless err has the reason.
func wantReason(t *testing.T, err error, reason errs.Reason) *errs.Error {
	t.Helper()
	var classified *errs.Error
	if !errors.As(err, &classified) || classified.Reason != reason {
		t.Fatalf("err = %v, want %s", err, reason)
	}
	return classified
}

// count returns how many donations there are.
func (e *env) count() (n int) {
	e.t.Helper()
	if err := e.pool.QueryRow(e.t.Context(), "SELECT count(*) FROM donations.donations").Scan(&n); err != nil {
		e.t.Fatal(err)
	}
	return n
}

func (e *env) exec(sql string, args ...any) error {
	_, err := e.pool.Exec(e.t.Context(), sql, args...)
	return err
}

// findRefunded finds the donation that a refund at Stripe is of, as who reads the refund does.
func (e *env) findRefunded(refund string) {
	e.t.Helper()
	r, err := e.donations.cfg.Stripe.GetRefund(e.t.Context(), "", refund)
	if err != nil {
		e.t.Fatal(err)
	}
	match, err := e.donations.PaymentOf(e.t.Context(), "", Payment{Intent: r.PaymentIntent, Charge: r.Charge})
	if err != nil || match.Donation == uuid.Nil {
		e.t.Errorf("it is of the donation %v, %v", match.Donation, err)
	}
}
