package ledger_test

import (
	"context"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	ledgerv1 "github.com/cagnotte/cagnotte/proto/cagnotte/ledger/v1"
	"github.com/cagnotte/cagnotte/services/internal/pgtest"
	"github.com/cagnotte/cagnotte/services/ledger"
	"github.com/cagnotte/cagnotte/services/money"
)

type recording struct {
	Reference string
	Recorded  time.Time
}

// recordings are a book's transactions in the order of their times of writing.
func recordings(ctx context.Context, pool *pgxpool.Pool, book string) ([]recording, error) {
	rows, err := pool.Query(ctx, `
		SELECT reference, recorded_at
		FROM ledger.transactions
		WHERE book = $1
		ORDER BY recorded_at`, book)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[recording])
}

// checkRecorded compares balances as of a time of writing, alone and with the other bounds, with a sum over
// the rows.
func (m *sealModel) checkRecorded(rt *rapid.T) {
	all, err := recordings(m.t.Context(), m.pool, m.book)
	if err != nil {
		rt.Fatal(err)
	}
	if len(all) == 0 {
		rt.Skip("nothing is posted yet")
	}
	recorded := rapid.SampledFrom(all).Draw(rt, "written").Recorded.Add(time.Duration(rapid.IntRange(0, 1).Draw(rt, "after")) * time.Microsecond)
	numbers := numbered(m.t, m.pool, m.book)
	number := rapid.IntRange(0, len(numbers)).Draw(rt, "number")
	within := map[string]bool{}
	for _, reference := range numbers[:number] {
		within[reference] = true
	}
	cut := time.Time{}
	if rapid.Bool().Draw(rt, "of some time") {
		cut = m.drawTime(rt)
	}
	f := ledger.AccountsFilter{
		Book: m.book, Collective: rapid.SampledFrom(m.collectives).Draw(rt, "share"),
		Campaign: rapid.SampledFrom([]string{"", "appel"}).Draw(rt, "campaign"),
		AsOf:     cut, Number: int64(number), Recorded: recorded,
	}
	want := map[string]map[money.Currency]int64{}
	for _, r := range all {
		tx := m.posted[r.Reference]
		if !r.Recorded.Before(recorded) || number > 0 && !within[r.Reference] || !cut.IsZero() && !tx.Effective.Before(cut) {
			continue
		}
		for _, e := range tx.Entries {
			if e.Collective == f.Collective && (f.Campaign == "" || e.Campaign == f.Campaign) {
				code := m.codes[e.Role]
				if want[code] == nil {
					want[code] = map[money.Currency]int64{}
				}
				want[code][e.Amount.Currency] += e.Amount.Minor
			}
		}
	}
	accounts, err := m.service.AccountsAt(m.t.Context(), f)
	if err != nil {
		rt.Fatal(err)
	}
	if diff := gocmp.Diff(want, balances(accounts)); diff != "" {
		rt.Fatalf("%+v (-want +got):\n%s", f, diff)
	}
}

func TestBalancesAsRecorded(t *testing.T) {
	s, pool := openSealing(t)
	parent := "collectives/" + vallon
	held, err := pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = held.Rollback(context.WithoutCancel(t.Context())) }()
	mustPost(t, s, pool, gift("txn_1", day(1), 2000))
	if _, err := s.PostTx(t.Context(), held, book, []ledger.Transaction{gift("txn_held", day(1), 300)}); err != nil {
		t.Fatal(err)
	}
	mustPost(t, s, pool, gift("txn_2", day(-100), 500))
	if err := held.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	all, err := recordings(t.Context(), pool, book)
	if err != nil || len(all) != 3 || all[1].Reference != "txn_held" {
		t.Fatalf("%v, %v", all, err)
	}
	gifts := func(recorded time.Time) int64 {
		t.Helper()
		resp, err := serverOf(s).ListAccounts(t.Context(), &ledgerv1.ListAccountsRequest{Parent: parent, RecordedAsOf: timestamppb.New(recorded)})
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range resp.GetAccounts() {
			if a.GetCode() == "75411" && len(a.GetBalances()) == 1 {
				return -a.GetBalances()[0].GetAmountMinor()
			}
		}
		return 0
	}
	check := func(t *testing.T) {
		for i, want := range []int64{0, 2000, 2300} {
			if got := gifts(all[i].Recorded); got != want {
				t.Errorf("before %s was written there were %d, want %d", all[i].Reference, got, want)
			}
		}
		if got := gifts(time.Now().Add(time.Hour)); got != 2800 {
			t.Errorf("in all %d", got)
		}
	}
	t.Run("before anything is sealed", check)
	mustSeal(t, s, 3)
	t.Run("when all is sealed", check)
}

func TestBalancesAsRecordedTouchNoHistory(t *testing.T) {
	s, pool := openSealing(t)
	few := ledger.New(ledger.Config{Pool: pool, SecretKey: secret, SealBatch: 100, TailLength: 100})
	grow := func(times int) {
		t.Helper()
		for range times {
			bulk(t, pool, lawyer, 100)
			if err := few.SealAll(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := pgtest.Owner(t, pool).Exec(t.Context(), "VACUUM ANALYZE ledger.transactions, ledger.entries, ledger.seals, ledger.balances"); err != nil {
			t.Fatal(err)
		}
	}
	touched := func(recorded time.Time) int {
		t.Helper()
		arguments, err := s.BoundsOf(t.Context(), book, 0, recorded)
		if err != nil {
			t.Fatal(err)
		}
		arguments["collective"] = vallon
		return buffers(t, pool, ledger.AccountsNowSQL, arguments)
	}
	middle := func() time.Time {
		t.Helper()
		all, err := recordings(t.Context(), pool, book)
		if err != nil {
			t.Fatal(err)
		}
		return all[len(all)/2].Recorded
	}
	grow(5)
	before := touched(middle())
	grow(50)
	if after := touched(middle()); after > 2*before {
		t.Errorf("with ten times the history it touches %d blocks, not %d", after, before)
	}
}
