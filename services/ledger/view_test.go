package ledger_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/ledger"
	"github.com/cagnotte/cagnotte/services/money"
)

// seen is the references that a view shows of Vallon's share, once each.
func seen(t *testing.T, s *ledger.Service, watermark ledger.Watermark, inSealOrder bool) (references []string, at ledger.Watermark) {
	t.Helper()
	if err := s.View(t.Context(), watermark, func(v *ledger.View) error {
		at = v.Watermark()
		filter := ledger.Filter{Collective: vallon, InSealOrder: inSealOrder}
		return v.StreamEntries(t.Context(), filter, func(row *ledger.EntryRow) error {
			if n := len(references); n == 0 || references[n-1] != row.Reference {
				references = append(references, row.Reference)
			}
			return nil
		})
	}); err != nil {
		t.Fatal(err)
	}
	return references, at
}

// TestViewInSealOrder begins database transactions in one order, posts in another, commits in a third and dates in a
// fourth; after each commit and sealing the view's order is what is sealed, and a beginning of what is in the end.
func TestViewInSealOrder(t *testing.T) {
	s, pool := openSealing(t)
	const count = 5
	var running [count]pgx.Tx
	for i := range running {
		tx, err := pool.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) }()
		if _, err := tx.Exec(t.Context(), `SELECT pg_current_xact_id()`); err != nil {
			t.Fatal(err)
		}
		running[i] = tx
	}
	for _, i := range []int{3, 0, 4, 2, 1} {
		if _, err := s.PostTx(t.Context(), running[i], book, []ledger.Transaction{donation(fmt.Sprint("txn_", i), day(20-i), 1000)}); err != nil {
			t.Fatal(err)
		}
	}
	var orders [][]string
	pinned, pinnedOrders := map[ledger.Watermark][]string{}, map[ledger.Watermark][]string{}
	for n, i := range []int{1, 4, 0, 2, 3} {
		if err := running[i].Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
		unsealed, _ := seen(t, s, "", true)
		if n > 0 && !slices.Equal(unsealed, orders[n-1]) {
			t.Errorf("what is not sealed is in %v", unsealed)
		}
		if err := s.SealAll(t.Context()); err != nil {
			t.Fatal(err)
		}
		order, at := seen(t, s, "", true)
		orders, pinnedOrders[at] = append(orders, order), order
		if sealed := numbered(t, pool, book); !slices.Equal(order, sealed) {
			t.Errorf("the order is %v, and the books are sealed as %v", order, sealed)
		}
		all, watermark := seen(t, s, "", false)
		if len(all) != n+1 {
			t.Errorf("after %d commits a view shows %v", n+1, all)
		}
		pinned[watermark] = all
	}
	want := numbered(t, pool, book)
	for i, order := range orders {
		if !slices.Equal(order, want[:len(order)]) {
			t.Errorf("after %d commits the order was %v, and the books are sealed as %v", i+1, order, want)
		}
	}
	if last := orders[count-1]; len(last) != count {
		t.Errorf("nothing runs, and the order is %v", last)
	}
	for watermark, before := range pinnedOrders {
		if after, _ := seen(t, s, watermark, true); !slices.Equal(after, before) {
			t.Errorf("at %s the order was %v, and is %v", watermark, before, after)
		}
	}
	for watermark, before := range pinned {
		if after, at := seen(t, s, watermark, false); !slices.Equal(after, before) || at != watermark {
			t.Errorf("at %s there were %v, and are %v", watermark, before, after)
		}
	}
}

func TestViewOpenings(t *testing.T) {
	s, pool := open(t)
	yen := donation("txn_yen", day(5), 0)
	yen.Entries = yen.Entries[:2]
	for i, minor := range []int64{700, -700} {
		yen.Entries[i].Amount = money.Amount{Minor: minor, Currency: "JPY"}
	}
	mustPost(t, s, pool, donation("txn_1", day(1), 1000), donation("txn_9", day(9), 2000), donation("txn_20", day(20), 4000), yen)
	type line struct {
		Code     string
		Currency money.Currency
		Before   int64
		Entries  int64
	}
	var got []line
	if err := s.View(t.Context(), "", func(v *ledger.View) error {
		filter := ledger.Filter{Collective: vallon, Start: day(9), End: day(20)}
		movements, err := v.Openings(t.Context(), filter)
		for _, m := range movements {
			got = append(got, line{m.Code, m.Before.Currency, m.Before.Minor, m.Entries})
		}
		if count, err := v.CountEntries(t.Context(), filter); err != nil || count != 4 {
			t.Errorf("there are %d entries, err = %v", count, err)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	want := []line{
		{"51212", "EUR", 970, 2}, {"51212", "JPY", 700, 0}, {"627", "EUR", 30, 1}, {"75411", "EUR", -1000, 1}, {"75411", "JPY", -700, 0},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestViewOfTheChart(t *testing.T) {
	s, _ := open(t)
	if err := s.View(t.Context(), "", func(v *ledger.View) error {
		surplus, err := v.Role(t.Context(), book, ledger.RoleSurplus)
		if err != nil || surplus.Code != "120" || surplus.Type != ledger.TypeEquity {
			t.Errorf("the surplus is on %+v, err = %v", surplus, err)
		}
		if nobody, err := v.Role(t.Context(), "acct_nobody", ledger.RoleSurplus); err != nil || nobody.Code != "" {
			t.Errorf("a book that is none has %+v, err = %v", nobody, err)
		}
		chart, err := v.Chart(t.Context(), book)
		if err != nil || len(chart) < 40 || chart[0].Code != "102" {
			t.Errorf("the chart is %v, err = %v", chart, err)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}
