package payouts

import (
	"context"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/cagnotte/cagnotte/services/collectives"
	"github.com/cagnotte/cagnotte/services/internal/pgtest"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/internal/stripe"
	"github.com/cagnotte/cagnotte/services/internal/stripesim"
	"github.com/cagnotte/cagnotte/services/ledger"
	"github.com/cagnotte/cagnotte/services/money"
	"github.com/cagnotte/cagnotte/services/notices"
)

func eur(minor int64) money.Amount { return money.Amount{Minor: minor, Currency: money.EUR} }

// env is the service around an empty simulator.
type env struct {
	*Service
	t    *testing.T
	pool *pgxpool.Pool
	sim  *stripesim.Sim
}

func newEnv(t *testing.T) *env {
	t.Helper()
	clock := stripesim.NewClock()
	sim, err := stripesim.New(stripesim.Config{Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	api := httptest.NewServer(sim.Handler())
	t.Cleanup(func() {
		api.Close()
		_ = sim.Close(context.Background())
	})
	client, err := stripe.New(stripe.Config{APIKey: "sk_test_simulated", BaseURL: api.URL})
	if err != nil {
		t.Fatal(err)
	}
	pool := pgtest.New(t)
	groups := collectives.New(collectives.Config{Pool: pool})
	if _, err := groups.Create(t.Context(), collectives.Collective{ID: "vallon", DisplayName: "Vallon"}); err != nil {
		t.Fatal(err)
	}
	books := ledger.New(ledger.Config{Pool: pool, Chart: "en-plain"})
	if err := postgres.InTx(t.Context(), pool, func(ctx context.Context, tx pgx.Tx) error {
		return books.EnsureBookTx(ctx, tx, "")
	}); err != nil {
		t.Fatal(err)
	}
	return &env{t: t, pool: pool, sim: sim, Service: New(Config{
		Pool: pool, Stripe: client, Ledger: books, Collectives: groups, Notices: notices.New(notices.Config{Pool: pool, Now: clock.Now}), Now: clock.Now, Logger: slog.New(slog.DiscardHandler),
	})}
}

// said is a payout of 10 € as Stripe says that it is.
func (e *env) said(id string, status stripe.PayoutStatus) stripe.Payout {
	return stripe.Payout{
		ID: id, Amount: 1000, Currency: "EUR", Status: status, Automatic: true, Created: e.now(), Arrival: e.now(), Transaction: "txn_" + id,
	}
}

func (e *env) state(id string) stripe.PayoutStatus {
	e.t.Helper()
	p, err := e.ReadPayout(e.t.Context(), "", id)
	if err != nil {
		e.t.Fatal(err)
	}
	return p.State
}

func TestPayoutStateNeverGoesBack(t *testing.T) {
	e := newEnv(t)
	for _, c := range []struct{ said, want stripe.PayoutStatus }{
		{stripe.PayoutInTransit, stripe.PayoutInTransit},
		{stripe.PayoutPending, stripe.PayoutInTransit},
		{stripe.PayoutPaid, stripe.PayoutPaid},
		{stripe.PayoutInTransit, stripe.PayoutPaid},
		{stripe.PayoutFailed, stripe.PayoutFailed},
		{stripe.PayoutPaid, stripe.PayoutFailed},
		{stripe.PayoutFailed, stripe.PayoutFailed},
	} {
		if err := e.storePayout(t.Context(), "", e.said("po_1", c.said)); err != nil {
			t.Fatal(err)
		}
		if got := e.state("po_1"); got != c.want {
			t.Errorf("after %s it is %s, want %s", c.said, got, c.want)
		}
	}
	var told int
	if err := e.pool.QueryRow(t.Context(), `SELECT count(*) FROM notices.notices WHERE kind = 'payout_failed'`).Scan(&told); err != nil || told != 2 {
		t.Errorf("%d were told, err = %v", told, err)
	}
}

// TestDatabaseConstraints what would change history, to the service's own role.
func TestDatabaseConstraints(t *testing.T) {
	e := newEnv(t)
	p := e.said("po_1", stripe.PayoutPaid)
	if err := e.storePayout(t.Context(), "", p); err != nil {
		t.Fatal(err)
	}
	stored, err := e.ReadPayout(t.Context(), "", p.ID)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.saveContents(t.Context(), stored, []stripe.BalanceTransaction{{ID: "txn_1", Net: 5}}, true); err != nil {
		t.Fatal(err)
	}
	if err := e.saveShares(t.Context(), stored, []share{{"vallon", 1000}}); err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{
		`UPDATE payouts.contents SET net_minor = 6`,
		`DELETE FROM payouts.contents`,
		`UPDATE payouts.shares SET amount_minor = 6`,
		`DELETE FROM payouts.shares`,
		`UPDATE payouts.payouts SET amount_minor = 6`,
		`UPDATE payouts.payouts SET state = 'pending'`,
		`UPDATE payouts.payouts SET state = 'canceled'`,
		`DELETE FROM payouts.payouts`,
		`DELETE FROM payouts.findings`,
		`INSERT INTO payouts.contents (account, payout, transaction, type, net_minor, fee_minor) VALUES ('', 'po_none', 'txn_1', 'charge', 1, 0)`,
	} {
		if _, err := e.pool.Exec(t.Context(), sql); err == nil {
			t.Errorf("accepted: %s", sql)
		}
	}
	owner := pgtest.Owner(t, e.pool)
	for _, sql := range []string{`UPDATE payouts.contents SET net_minor = 6`, `DELETE FROM payouts.shares`} {
		if _, err := owner.Exec(t.Context(), sql); err == nil {
			t.Errorf("accepted from the owner: %s", sql)
		}
	}
	// What was decided stays.
	if err := e.saveShares(t.Context(), stored, []share{{"", 1000}}); err != nil {
		t.Fatal(err)
	}
	got, err := e.storedShares(t.Context(), stored)
	if diff := cmp.Diff([]share{{"vallon", 1000}}, got, cmp.AllowUnexported(share{})); diff != "" || err != nil {
		t.Error(diff, err)
	}
}

func TestBankLine(t *testing.T) {
	p := Payout{ID: "po_1", Amount: eur(1000)}
	for _, c := range []struct {
		rule   string
		own    ledger.MoneyMovement
		shares []share
		want   map[string]int64
	}{
		{"is one collective's", ledger.MoneyMovement{Collective: "a", Currency: "EUR", Transit: 1000}, []share{{"a", 1000}}, map[string]int64{
			"a transit": -1000, "a bank": 1000,
		}},
		{"is divided", ledger.MoneyMovement{Currency: "EUR", Transit: 1000}, []share{{"a", 1200}, {"b", -300}, {"", 100}}, map[string]int64{
			" transit": -1000, " stripe_balance": 900, " bank": 100,
			"a stripe_balance": -1200, "a bank": 1200, "b stripe_balance": 300, "b bank": -300,
		}},
		{"takes from the bank", ledger.MoneyMovement{Currency: "EUR", Transit: -1000}, []share{{"a", -1000}}, map[string]int64{
			" transit": 1000, " stripe_balance": -1000, "a stripe_balance": 1000, "a bank": -1000,
		}},
		{"is nobody's", ledger.MoneyMovement{Currency: "EUR", Transit: 1000}, []share{{"", 1000}}, map[string]int64{" transit": -1000, " bank": 1000}},
	} {
		t.Run(c.rule, func(t *testing.T) {
			got, balance, bank := map[string]int64{}, map[string]int64{}, int64(0)
			for _, e := range bankLine(p, c.own, c.shares).Entries {
				got[fmt.Sprintf("%s %s", e.Collective, e.Role)] += e.Amount.Minor
				balance[e.Collective] += e.Amount.Minor
				if e.Role == ledger.RoleBank {
					bank += e.Amount.Minor
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
			for collective, sum := range balance {
				if sum != 0 {
					t.Errorf("the share of %q does not balance: %d", collective, sum)
				}
			}
			if bank != c.own.Transit {
				t.Errorf("the bank has %d", bank)
			}
		})
	}
}

// TestKeyWithoutPermissionToReadPayouts holds up nothing: the reading is tried again, later.
func TestKeyWithoutPermissionToReadPayouts(t *testing.T) {
	e := newEnv(t)
	e.sim.AddFault(stripesim.Fault{PathPrefix: "/v1/payouts", Status: 403, Times: 1})
	if err := e.Sync(t.Context(), "", time.Time{}, true, false); err != nil {
		t.Fatal(err)
	}
	asked := len(e.sim.Requests())
	if err := e.Sync(t.Context(), "", time.Time{}, true, false); err != nil || len(e.sim.Requests()) != asked {
		t.Errorf("asked again at once: %v", err)
	}
	if due, err := e.DueAccounts(t.Context(), []string{""}); err != nil || len(due) != 0 {
		t.Errorf("due are %q, %v", due, err)
	}
	if _, err := e.pool.Exec(t.Context(), `UPDATE payouts.accounts SET next_list_at = '-infinity'`); err != nil {
		t.Fatal(err)
	}
	if due, err := e.DueAccounts(t.Context(), []string{"acct_1", ""}); err != nil || len(due) != 1 {
		t.Errorf("due are %q, %v", due, err)
	}
	// Due again, without being asked for.
	if err := e.Sync(t.Context(), "", time.Time{}, false, false); err != nil || len(e.sim.Requests()) != asked+1 {
		t.Errorf("not asked again: %v", err)
	}
	if due, err := e.DueAccounts(t.Context(), []string{""}); err != nil || len(due) != 0 {
		t.Errorf("due are %q, %v", due, err)
	}
}
