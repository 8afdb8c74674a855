package ledger_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/cagnotte/cagnotte/services/internal/pgtest"
	"github.com/cagnotte/cagnotte/services/ledger"
	"github.com/cagnotte/cagnotte/services/money"
)

// bulk writes many donations of one euro in one statement, as PostTx would.
func bulk(t testing.TB, pool *pgxpool.Pool, campaign string, count int) {
	t.Helper()
	if _, err := pgtest.Owner(t, pool).Exec(t.Context(), fmt.Sprintf(`
		WITH t AS (
			INSERT INTO ledger.transactions (effective_at, entry_count, book, reference, kind, fingerprint)
			SELECT '2026-03-01'::timestamptz + n * interval '1 minute', 2, '%[1]s', gen_random_uuid(), 'donation', sha256('x')
			FROM generate_series(1, %[2]d) AS n
			RETURNING id, effective_at
		)
		INSERT INTO ledger.entries (transaction_id, amount, effective_at, account_id, line, nominal, currency, collective, campaign)
		SELECT t.id, v.amount, t.effective_at, a.id, v.line, a.type = 'income', 'EUR', '%[3]s', '%[4]s'
		FROM t
		CROSS JOIN (VALUES (100, 1, 'stripe_balance'), (-100, 2, 'donations')) AS v (amount, line, role)
		JOIN ledger.roles AS r ON r.book = '%[1]s' AND r.role = v.role
		JOIN ledger.accounts AS a ON a.id = r.account_id`, book, count, vallon, campaign)); err != nil {
		t.Fatal(err)
	}
}

// buffers is how many blocks a statement touches, in the cache or not.
func buffers(t testing.TB, pool *pgxpool.Pool, statement string, arguments pgx.NamedArgs) int {
	t.Helper()
	var text []byte
	if err := pool.QueryRow(t.Context(), "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) "+statement, arguments).Scan(&text); err != nil {
		t.Fatal(err)
	}
	var plans []struct {
		Plan struct {
			Hit  int `json:"Shared Hit Blocks"`
			Read int `json:"Shared Read Blocks"`
		}
	}
	if err := json.Unmarshal(text, &plans); err != nil {
		t.Fatal(err)
	}
	return plans[0].Plan.Hit + plans[0].Plan.Read
}

func TestCampaignTotalsTouchOnlyTheirOwn(t *testing.T) {
	s, pool := openSealing(t)
	const quiet = "quiet"
	arguments := pgx.NamedArgs{
		"collectives": []string{vallon}, "campaigns": []string{quiet},
		"roles": []string{string(ledger.RoleDonations), string(ledger.RoleRefunds), string(ledger.RoleDisputes)},
	}
	key := ledger.CampaignKey{Collective: vallon, Campaign: quiet}
	total := func(want int64) {
		t.Helper()
		totals, err := s.CampaignTotals(t.Context(), []ledger.CampaignKey{key})
		if err != nil || !maps.Equal(totals[key], map[money.Currency]int64{"EUR": want}) {
			t.Fatalf("got %v, %v, want %d", totals[key], err, want)
		}
	}
	few := ledger.New(ledger.Config{Pool: pool, SecretKey: secret}).Batches(0, 1)
	sealAll := func() {
		t.Helper()
		if err := few.SealAll(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := pgtest.Owner(t, pool).Exec(t.Context(), "VACUUM ANALYZE ledger.transactions, ledger.entries"); err != nil {
			t.Fatal(err)
		}
	}
	bulk(t, pool, quiet, 100)
	sealAll()
	bulk(t, pool, quiet, 20)
	total(12_000)
	before := buffers(t, pool, ledger.CampaignTotalsSQL, arguments)

	for _, c := range []struct {
		rule string
		grow func()
		want int64
	}{
		{"another campaign's tail costs nothing", func() { bulk(t, pool, "loud", 10_000) }, 12_000},
		{"history costs nothing", func() {
			for range 50 {
				bulk(t, pool, quiet, 100)
			}
			sealAll()
			bulk(t, pool, "loud", 10_000)
			bulk(t, pool, quiet, 20)
		}, 514_000},
	} {
		t.Run(c.rule, func(t *testing.T) {
			c.grow()
			total(c.want)
			// An index may have grown by a level.
			if after := buffers(t, pool, ledger.CampaignTotalsSQL, arguments); after > before+before/2 {
				t.Errorf("it touched %d blocks, and touches %d", before, after)
			}
		})
	}
}

func TestTheTailIsMeasured(t *testing.T) {
	pool := pgtest.New(t)
	registry := prometheus.NewPedanticRegistry()
	s := ledger.New(ledger.Config{Pool: pool, SecretKey: secret, Metrics: registry})
	ensure(t, s, pool, book)
	count := func(want float64) {
		t.Helper()
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, family := range families {
			if family.GetName() == "cagnotte_ledger_unsealed_transactions" {
				if got := family.GetMetric()[0].GetGauge().GetValue(); got != want {
					t.Errorf("%v wait, not %v", got, want)
				}
				return
			}
		}
		t.Errorf("the tail is not among %v", families)
	}
	count(0)
	mustPost(t, s, pool, donations(0, 3)...)
	count(3)
	if _, oldest, err := s.Unsealed(t.Context()); err != nil || oldest <= 0 {
		t.Errorf("the oldest is %v old, %v", oldest, err)
	}
	mustSeal(t, s, 3)
	mustPost(t, s, pool, donations(3, 4)...)
	count(1)
	mustSeal(t, s, 1)
	count(0)
	if _, oldest, err := s.Unsealed(t.Context()); err != nil || oldest != 0 {
		t.Errorf("nothing waits, and the oldest is %v old, %v", oldest, err)
	}
}

func TestBalancesAtANumberTouchNoHistory(t *testing.T) {
	s, pool := openSealing(t)
	few := ledger.New(ledger.Config{Pool: pool, SecretKey: secret}).Batches(100, 100)
	number := int64(0)
	grow := func(times int) {
		t.Helper()
		for range times {
			bulk(t, pool, lawyer, 100)
			number += 100
			if err := few.SealAll(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := pgtest.Owner(t, pool).Exec(t.Context(), "VACUUM ANALYZE ledger.transactions, ledger.entries, ledger.seals, ledger.balances"); err != nil {
			t.Fatal(err)
		}
	}
	touched := func() int {
		t.Helper()
		arguments, err := s.BoundsOf(t.Context(), book, number/2+30)
		if err != nil {
			t.Fatal(err)
		}
		arguments["collective"] = vallon
		return buffers(t, pool, ledger.AccountsNowSQL, arguments)
	}
	grow(5)
	before := touched()
	grow(50)
	if after := touched(); after > 2*before {
		t.Errorf("with ten times the history it touches %d blocks, not %d", after, before)
	}
}
