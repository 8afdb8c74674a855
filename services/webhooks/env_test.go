package webhooks

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

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
	"github.com/cagnotte/cagnotte/services/payouts"
	"github.com/cagnotte/cagnotte/services/refunds"
	"github.com/cagnotte/cagnotte/services/wall"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

const (
	platformSecret = "whsec_platform"
	connectSecret  = "whsec_connect"
	connected      = "acct_connected1"
)

// env is the services around a simulator, without the door and without jobs that run by themselves.
type env struct {
	t         testing.TB
	pool      *pgxpool.Pool
	clock     *stripesim.Clock
	sim       *stripesim.Sim
	ledger    *ledger.Service
	donations *donations.Service
	refunds   *refunds.Service
	payouts   *payouts.Service
	webhooks  *Service
	jobs      *river.Client[pgx.Tx]
	// balance, when set, answers for the simulator what its balance cannot show yet.
	balance *fakeBalance
	// refuse, when set, says which requests are answered 403; asked, when set, is called after an answer.
	refuse func(*http.Request) bool
	asked  func(*http.Request)
}

// vallon takes donations on the platform's account, festival on a connected one.
var (
	vallon   = campaigns.Name{Collective: "vallon", Campaign: "avocate"}
	festival = campaigns.Name{Collective: "festival", Campaign: "prix-libre"}
)

func newEnv(t testing.TB, sim stripesim.Config) *env {
	t.Helper()
	e := &env{t: t, pool: pgtest.New(t), clock: stripesim.NewClock()}
	sim.Clock, sim.RetryBase = e.clock, 10*time.Millisecond
	var err error
	if e.sim, err = stripesim.New(sim); err != nil {
		t.Fatal(err)
	}
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if e.refuse != nil && e.refuse(r) {
			w.WriteHeader(http.StatusForbidden)
		} else if e.balance == nil || !e.balance.answer(w, r) {
			e.sim.Handler().ServeHTTP(w, r)
		}
		if e.asked != nil {
			e.asked(r)
		}
	}))
	e.sim.AddAccount(connected)

	client, err := stripe.New(stripe.Config{APIKey: "sk_test_simulated", BaseURL: api.URL, Timeout: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	e.build(client)
	receiver := httptest.NewServer(http.HandlerFunc(e.receive))
	e.sim.SetEndpoints([]stripesim.Endpoint{
		{URL: receiver.URL + "/platform", Secret: platformSecret},
		{URL: receiver.URL + "/connect", Secret: connectSecret, Connect: true},
	})
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := e.sim.Close(ctx); err != nil {
			t.Error(err)
		}
		receiver.Close()
		api.CloseClientConnections()
		api.Close()
	})
	return e
}

// build makes the services around a client of Stripe's, with the two campaigns.
func (e *env) build(client *stripe.Client) {
	t, ctx := e.t, e.t.Context()
	logger := slog.New(slog.DiscardHandler)
	told := notices.New(notices.Config{Pool: e.pool, Now: e.clock.Now})
	groups := collectives.New(collectives.Config{Pool: e.pool, Notices: told, Now: e.clock.Now})
	accounts := connect.New(connect.Config{Pool: e.pool, Collectives: groups, Notices: told, Stripe: client, Now: e.clock.Now})
	causes := campaigns.New(campaigns.Config{Pool: e.pool, Now: e.clock.Now})
	var err error
	e.ledger = ledger.New(ledger.Config{Pool: e.pool, Chart: "en-plain"}) // in which each role has an account of its own
	if e.jobs, err = river.NewClient(riverpgxv5.New(e.pool), &river.Config{Schema: postgres.RiverSchema, Logger: logger}); err != nil {
		t.Fatal(err)
	}
	e.donations = donations.New(donations.Config{
		Pool: e.pool, Campaigns: causes, Collectives: groups, Notices: told, Connect: accounts, Ledger: e.ledger, Stripe: client, Jobs: e.jobs,
		PublicURL: "https://cagnotte.example", SecretKey: []byte("secret"), Wall: wall.New(wall.Config{Limits: wall.Limits{Off: true}}), Now: e.clock.Now, Logger: logger,
	})
	e.refunds = refunds.New(refunds.Config{
		Pool: e.pool, Donations: e.donations, Collectives: groups, Notices: told, Connect: accounts, Stripe: client, Jobs: e.jobs, Now: e.clock.Now,
	})
	e.payouts = payouts.New(payouts.Config{
		Pool: e.pool, Stripe: client, Ledger: e.ledger, Collectives: groups, Notices: told, Now: e.clock.Now, Logger: logger,
	})
	e.webhooks = New(Config{
		Pool: e.pool, Stripe: client, Donations: e.donations, Refunds: e.refunds, Ledger: e.ledger, Collectives: groups, Notices: told, Connect: accounts, Jobs: e.jobs, Payouts: e.payouts,
		Secrets: []string{"whsec_old", platformSecret}, ConnectSecrets: []string{connectSecret},
		Now: e.clock.Now, Logger: logger,
	})
	for _, name := range []campaigns.Name{vallon, festival} {
		account := ""
		if name == festival {
			account = connected
		}
		if _, err := groups.Create(ctx, collectives.Collective{ID: name.Collective, DisplayName: name.Collective, StripeAccount: account}); err != nil {
			t.Fatal(err)
		}
		if _, err := causes.Create(ctx, name, campaigns.Content{
			Texts:    map[string]campaigns.Text{"fr": {Title: "Une avocate"}, "en": {Title: "A lawyer"}},
			Currency: money.EUR, Goal: money.Amount{Minor: 800_00, Currency: money.EUR},
		}); err != nil {
			t.Fatal(err)
		}
		if _, err := causes.Publish(ctx, name, ""); err != nil {
			t.Fatal(err)
		}
	}
}

// receive is the gateway's part: the raw body to Receive.
func (e *env) receive(w http.ResponseWriter, r *http.Request) {
	endpoint := EndpointPlatform
	if r.URL.Path == "/connect" {
		endpoint = EndpointConnect
	}
	body, err := io.ReadAll(r.Body)
	if err == nil {
		err = e.webhooks.Receive(r.Context(), body, r.Header.Get("Stripe-Signature"), endpoint)
	}
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
	}
}

// give starts a donation of 20 €.
func (e *env) give(name campaigns.Name) donations.Donation {
	e.t.Helper()
	d, err := e.donations.Create(e.t.Context(), donations.Intent{
		Campaign: name, RequestID: uuid.New(), Amount: money.Amount{Minor: 20_00, Currency: money.EUR},
	})
	if err != nil {
		e.t.Fatal(err)
	}
	return d
}

func (e *env) pay(d donations.Donation) {
	e.t.Helper()
	if err := e.sim.Pay(d.CheckoutSession, stripesim.CardOK); err != nil {
		e.t.Fatal(err)
	}
}

// paidDonation is one to the collective with an account of its own, paid and booked; charge is Stripe's.
func (e *env) paidDonation() (charge string) {
	e.t.Helper()
	d := e.give(festival)
	e.pay(d)
	e.delivered()
	e.run(connected)
	e.want(d, donations.StateSucceeded, true)
	sessions := e.sim.Sessions(connected)
	return sessions[len(sessions)-1].ChargeID
}

// delivered waits until all webhooks have come.
func (e *env) delivered() {
	e.t.Helper()
	ctx, cancel := context.WithTimeout(e.t.Context(), 20*time.Second)
	defer cancel()
	if err := e.sim.WaitDelivered(ctx); err != nil {
		e.t.Fatal(err)
	}
}

func (e *env) run(account string) {
	e.t.Helper()
	if err := e.webhooks.Run(e.t.Context(), account); err != nil {
		e.t.Fatal(err)
	}
}

func (e *env) donation(d donations.Donation) donations.Donation {
	e.t.Helper()
	got, err := e.donations.Get(e.t.Context(), d.Campaign, d.ID)
	if err != nil {
		e.t.Fatal(err)
	}
	return got
}

// want checks a donation's state, and whether its money is booked.
func (e *env) want(d donations.Donation, state donations.State, booked bool) {
	e.t.Helper()
	got := e.donation(d)
	if got.State != state || got.BookTime.IsZero() == booked {
		e.t.Errorf("donation is %s, booked at %v; want %s, booked %v", got.State, got.BookTime, state, booked)
	}
}

// progress returns a campaign's settled and pending sums.
func (e *env) progress(name campaigns.Name) (settled, pending int64) {
	e.t.Helper()
	p, err := e.donations.Progress(e.t.Context(), []campaigns.Name{name})
	if err != nil {
		e.t.Fatal(err)
	}
	return p[name].Settled.Minor, p[name].Pending.Minor
}

// events returns the stored events by type, in one state.
func (e *env) events(state State) map[string][]Event {
	e.t.Helper()
	list, err := e.webhooks.List(e.t.Context(), Scope{All: true}, state, newest, 1000)
	if err != nil {
		e.t.Fatal(err)
	}
	byType := map[string][]Event{}
	for _, ev := range list {
		byType[ev.Type] = append(byType[ev.Type], ev)
	}
	return byType
}

// balances returns the sums by role over a book, and fails when it does not equal Stripe's balance.
func (e *env) balances(account string) map[ledger.AccountRole]int64 {
	e.t.Helper()
	rows, err := e.pool.Query(e.t.Context(), `
		SELECT r.role, coalesce(sum(e.amount), 0)::bigint
		FROM ledger.roles AS r
		LEFT JOIN ledger.entries AS e ON e.account_id = r.account_id
		WHERE r.book = $1
		GROUP BY r.role`, account)
	if err != nil {
		e.t.Fatal(err)
	}
	sums := map[ledger.AccountRole]int64{}
	var role ledger.AccountRole
	var sum int64
	if _, err := pgx.ForEachRow(rows, []any{&role, &sum}, func() error { sums[role] = sum; return nil }); err != nil {
		e.t.Fatal(err)
	}
	return sums
}

// wantBooks checks that a book has each balance transaction of the simulator's once, to the cent.
func (e *env) wantBooks(account string) {
	e.t.Helper()
	var net, fees int64
	all := e.sim.BalanceTransactions(account)
	for _, t := range all {
		net += t.NetMinor
		fees += t.FeeMinor
	}
	sums := e.balances(account)
	var count int
	if err := e.pool.QueryRow(e.t.Context(), "SELECT count(*) FROM ledger.transactions WHERE book = $1", account).Scan(&count); err != nil {
		e.t.Fatal(err)
	}
	if sums[ledger.RoleStripeBalance] != net || sums[ledger.RoleStripeFees] != fees || count != len(all) {
		e.t.Errorf("book %q: balance %d, fees %d, %d transactions; Stripe has %d, %d, %d",
			account, sums[ledger.RoleStripeBalance], sums[ledger.RoleStripeFees], count, net, fees, len(all))
	}
}

// sign makes a Stripe-Signature header.
func sign(payload []byte, secret string, at time.Time) string {
	mac := hmac.New(sha256.New, []byte(secret))
	fmt.Fprintf(mac, "%d.%s", at.Unix(), payload)
	return fmt.Sprintf("t=%d,v1=%s", at.Unix(), hex.EncodeToString(mac.Sum(nil)))
}

// deliver signs a body and hands it to Receive.
func (e *env) deliver(endpoint Endpoint, payload string) {
	e.t.Helper()
	secret := platformSecret
	if endpoint == EndpointConnect {
		secret = connectSecret
	}
	if err := e.webhooks.Receive(e.t.Context(), []byte(payload), sign([]byte(payload), secret, time.Now()), endpoint); err != nil {
		e.t.Fatal(err)
	}
}

func reason(err error) string {
	var classified *errs.Error
	if errors.As(err, &classified) {
		return classified.Reason.String()
	}
	return ""
}

// later lets time pass for Stripe, and for what waits here by the database's clock.
func (e *env) later(d time.Duration) {
	e.t.Helper()
	e.clock.Advance(d)
	for _, sql := range []string{
		`UPDATE webhooks.events SET next_attempt_at = next_attempt_at - $1::interval WHERE next_attempt_at IS NOT NULL`,
		`UPDATE webhooks.parked SET next_attempt_at = next_attempt_at - $1::interval`,
		`UPDATE webhooks.accounts SET next_sync_at = next_sync_at - $1::interval,
			next_backfill_at = next_backfill_at - $1::interval,
			next_compare_at = next_compare_at - $1::interval,
			last_regular_at = last_regular_at - $1::interval, last_back_at = last_back_at - $1::interval`,
		`UPDATE webhooks.balances SET compared_at = compared_at - $1::interval`,
	} {
		if _, err := e.pool.Exec(e.t.Context(), sql, d); err != nil {
			e.t.Fatal(err)
		}
	}
}

// one reads one value from the database.
func one[T any](e *env, sql string, args ...any) (value T) {
	e.t.Helper()
	if err := e.pool.QueryRow(e.t.Context(), sql, args...).Scan(&value); err != nil {
		e.t.Fatal(err)
	}
	return value
}

// eventually polls until ok, or fails.
func (e *env) eventually(what string, ok func() bool) {
	e.t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !ok() {
		if time.Now().After(deadline) {
			e.t.Fatalf("never: %s", what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}
