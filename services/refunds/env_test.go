package refunds

import (
	"context"
	"errors"
	"log/slog"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"github.com/cagnotte/cagnotte/services/access"
	"github.com/cagnotte/cagnotte/services/campaigns"
	"github.com/cagnotte/cagnotte/services/collectives"
	"github.com/cagnotte/cagnotte/services/connect"
	"github.com/cagnotte/cagnotte/services/donations"
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
	donations *donations.Service
	refunds   *Service
}

func newEnv(t *testing.T) *env {
	t.Helper()
	e := &env{t: t, pool: pgtest.New(t), clock: stripesim.NewClock()}
	var err error
	if e.sim, err = stripesim.New(stripesim.Config{Clock: e.clock}); err != nil {
		t.Fatal(err)
	}
	api := httptest.NewServer(e.sim.Handler())
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := e.sim.Close(ctx); err != nil {
			t.Error(err)
		}
		api.CloseClientConnections()
		api.Close()
	})
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
	e.donations = donations.New(donations.Config{
		Pool: e.pool, Campaigns: e.campaigns, Collectives: e.groups, Notices: e.notices, Connect: e.connect, Ledger: ledger.New(ledger.Config{Pool: e.pool}),
		Stripe: client, Jobs: jobs, PublicURL: "https://cagnotte.example/", SecretKey: []byte("secret"), Wall: wall.New(wall.Config{Limits: wall.Limits{Off: true}}),
		Now: e.clock.Now, Logger: logger,
	})
	e.refunds = New(Config{
		Pool: e.pool, Donations: e.donations, Collectives: e.groups, Notices: e.notices, Connect: e.connect, Stripe: client, Jobs: jobs, Now: e.clock.Now,
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
func intent() donations.Intent {
	return donations.Intent{
		Campaign: vallon, RequestID: uuid.New(), Amount: money.Amount{Minor: 20_00, Currency: money.EUR},
		Locale: "fr", Origin: site, Address: network.Addr(),
	}
}

func (e *env) create(in donations.Intent) donations.Donation {
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

func (e *env) reload(d donations.Donation) donations.Donation {
	e.t.Helper()
	d, err := e.donations.Get(e.t.Context(), d.Campaign, d.ID)
	if err != nil {
		e.t.Fatal(err)
	}
	return d
}

// book notes each movement in a transaction of its own.
func (e *env) book(d donations.Donation, movements ...donations.Movement) {
	e.t.Helper()
	for _, m := range movements {
		m.Donation, m.At = d.ID, e.clock.Now()
		if err := postgres.InTx(e.t.Context(), e.pool, func(ctx context.Context, tx pgx.Tx) error {
			if err := e.donations.BookTx(ctx, tx, []donations.Movement{m}); err != nil {
				return err
			}
			return e.refunds.FollowTx(ctx, tx, []donations.Movement{m})
		}); err != nil {
			e.t.Fatal(err)
		}
	}
}

const (
	treasurerKey = "collectives/vallon/apiKeys/one"
	ownerKey     = "collectives/vallon/apiKeys/two"
)

// paid is a donation of 20 € that was paid, with its charge at Stripe.
func (e *env) paid() (d donations.Donation, charge string) {
	e.t.Helper()
	d = e.create(intent())
	if err := e.sim.Pay(d.CheckoutSession, stripesim.CardOK); err != nil {
		e.t.Fatal(err)
	}
	if err := e.donations.Refresh(e.t.Context(), d.ID); err != nil {
		e.t.Fatal(err)
	}
	for _, s := range e.sim.Sessions("") {
		if s.ID == d.CheckoutSession {
			charge = s.ChargeID
		}
	}
	d = e.reload(d)
	if d.State != donations.StateSucceeded || charge == "" {
		e.t.Fatalf("%+v, charge %q", d, charge)
	}
	return d, charge
}

// requestFor is a request for so many cents of a donation.
func requestFor(d donations.Donation, minor int64) Request {
	return Request{
		Campaign: d.Campaign, Donation: d.ID, RequestID: uuid.New(), Amount: money.Amount{Minor: minor, Currency: money.EUR},
		Reason: ReasonRequestedByDonor, Key: treasurerKey,
	}
}

func (e *env) refund(in Request) Refund {
	e.t.Helper()
	r, err := e.refunds.Create(e.t.Context(), in)
	if err != nil {
		e.t.Fatal(err)
	}
	return r
}

func (e *env) refundIs(id uuid.UUID, want State) Refund {
	e.t.Helper()
	r, err := collectRefund(e.pool.Query(e.t.Context(), refundByIDSQL, pgx.NamedArgs{"id": id}))
	if err != nil || r.State != want {
		e.t.Fatalf("the refund is %s, want %s: %v", r.State, want, err)
	}
	return r
}

func (e *env) refundsOf(d donations.Donation) []Refund {
	e.t.Helper()
	all, err := e.refunds.List(e.t.Context(), vallon.Collective, d.ID, nil, newest, 100)
	if err != nil {
		e.t.Fatal(err)
	}
	return all
}

func (e *env) exec(sql string, args ...any) error {
	_, err := e.pool.Exec(e.t.Context(), sql, args...)
	return err
}

// lastCharge is the charge that succeeded last at Stripe.
func (e *env) lastCharge() (charge string) {
	e.t.Helper()
	for _, event := range e.sim.Events("") {
		if event.Type == "charge.succeeded" {
			charge = event.ObjectID
		}
	}
	if charge == "" {
		e.t.Fatal("nothing was charged")
	}
	return charge
}
