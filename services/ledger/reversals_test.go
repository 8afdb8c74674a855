package ledger_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"google.golang.org/grpc/codes"
	"pgregory.net/rapid"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/pgtest"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/ledger"
)

func reverse(ctx context.Context, s *ledger.Service, pool *pgxpool.Pool, r ledger.Reversal) (fresh bool, err error) {
	err = postgres.InTx(ctx, pool, func(ctx context.Context, tx pgx.Tx) error {
		fresh, err = s.ReverseTx(ctx, tx, book, r)
		return err
	})
	return fresh, err
}

func mustReverse(t testing.TB, s *ledger.Service, pool *pgxpool.Pool, r ledger.Reversal, want bool) {
	t.Helper()
	fresh, err := reverse(t.Context(), s, pool, r)
	if err != nil {
		t.Fatal(err)
	}
	if fresh != want {
		t.Errorf("fresh is %v", fresh)
	}
}

// back takes some cents of a donation back.
func back(original string, cents int64) []ledger.Entry {
	entries := donation(original, day(1), cents).Entries[:2]
	for i := range entries {
		entries[i].Amount.Minor = -entries[i].Amount.Minor
	}
	return entries
}

func reasonOf(err error) errs.Reason {
	if e := errs.As(err); err != nil && e != nil {
		return e.Reason
	}
	return 0
}

func TestReverse(t *testing.T) {
	s, pool := openSealing(t)
	mustPost(t, s, pool, donation("txn_1", day(1), 2000), donation("txn_2", day(2), 500))

	t.Run("a part, once", func(t *testing.T) {
		part := ledger.Reversal{Original: "txn_1", Reference: "r1", Entries: back("txn_1", 1500)}
		mustReverse(t, s, pool, part, true)
		total(t, s, 1000)
		mustReverse(t, s, pool, part, false)
		total(t, s, 1000)
	})
	t.Run("never more than is left, and the refused uses nothing up", func(t *testing.T) {
		over := ledger.Reversal{Original: "txn_1", Reference: "r2", Entries: back("txn_1", 501)}
		if _, err := reverse(t.Context(), s, pool, over); reasonOf(err) != errorsv1.ErrorReason_OVER_REVERSED {
			t.Errorf("err = %v", err)
		}
		total(t, s, 1000)
	})
	t.Run("whatever is left, once, its fee too", func(t *testing.T) {
		rest := ledger.Reversal{Original: "txn_1", Reference: "r2"}
		mustReverse(t, s, pool, rest, true)
		total(t, s, 500)
		mustReverse(t, s, pool, rest, false)
		total(t, s, 500)
		if _, err := reverse(t.Context(), s, pool, ledger.Reversal{Original: "txn_1", Reference: "r3"}); reasonOf(err) != errorsv1.ErrorReason_NOTHING_TO_REVERSE {
			t.Errorf("err = %v", err)
		}
		got, err := s.Accounts(t.Context(), book, vallon, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		if fees := balances(got)["627"]["EUR"]; fees != 30 {
			t.Errorf("the fees are %d, those of the other donation are 30", fees)
		}
	})
	for _, c := range []struct {
		rule   string
		r      ledger.Reversal
		reason errs.Reason
	}{
		{"refuses another amount under a reference", ledger.Reversal{Original: "txn_1", Reference: "r1", Entries: back("txn_1", 100)}, errorsv1.ErrorReason_REFERENCE_REUSED},
		{"refuses another original under a reference", ledger.Reversal{Original: "txn_2", Reference: "r1"}, errorsv1.ErrorReason_REFERENCE_REUSED},
		{"refuses another time under a reference", ledger.Reversal{Original: "txn_1", Reference: "r2", Effective: day(9)}, errorsv1.ErrorReason_REFERENCE_REUSED},
		{"refuses the reference of what is no reversal", ledger.Reversal{Original: "txn_1", Reference: "txn_2"}, errorsv1.ErrorReason_REFERENCE_REUSED},
		{"refuses a reversal's reversal", ledger.Reversal{Original: "r1", Reference: "r4"}, errorsv1.ErrorReason_REVERSAL_OF_REVERSAL},
		{"refuses another donation's entries", ledger.Reversal{Original: "txn_2", Reference: "r5", Entries: back("txn_1", 100)}, errorsv1.ErrorReason_OVER_REVERSED},
		{"refuses more of the same instead of back", ledger.Reversal{Original: "txn_2", Reference: "r6", Entries: donation("txn_2", day(1), 100).Entries[:2]}, errorsv1.ErrorReason_OVER_REVERSED},
		{"does not find what is not there", ledger.Reversal{Original: "txn_9", Reference: "r7"}, errorsv1.ErrorReason_NOT_FOUND},
	} {
		t.Run(c.rule, func(t *testing.T) {
			if _, err := reverse(t.Context(), s, pool, c.r); reasonOf(err) != c.reason {
				t.Errorf("err = %v", err)
			}
			total(t, s, 500)
		})
	}
	t.Run("of a closed period in the open one", func(t *testing.T) {
		if _, err := s.ClosePeriod(t.Context(), book, vallon, day(3)); err != nil {
			t.Fatal(err)
		}
		if _, err := reverse(t.Context(), s, pool, ledger.Reversal{Original: "txn_2", Reference: "r8", Effective: day(2)}); errs.Code(err) != codes.FailedPrecondition || reasonOf(err) != errorsv1.ErrorReason_PERIOD_CLOSED {
			t.Errorf("err = %v", err)
		}
		// A clock that is behind: the first instant that is open.
		late := ledger.New(ledger.Config{Pool: pool, Now: func() time.Time { return day(1) }})
		mustReverse(t, late, pool, ledger.Reversal{Original: "txn_2", Reference: "r8"}, true)
		mustReverse(t, s, pool, ledger.Reversal{Original: "txn_2", Reference: "r8"}, false)
		total(t, s, 0)
		found, err := s.Transactions(t.Context(), ledger.TransactionFilter{Collective: vallon, Start: day(3), End: day(3).Add(time.Second)}, ledger.Position{}, 5)
		if err != nil || len(found) != 1 || found[0].Kind != ledger.KindReversal || found[0].Reverses == 0 {
			t.Errorf("found %+v, err = %v", found, err)
		}
	})
	mustSeal(t, s, 5)
	sound(t, s, book)
}

// TestReverseShare has one collective of a host take its share back, and no more.
func TestReverseShare(t *testing.T) {
	s, pool := open(t)
	both := donation("txn_1", day(1), 2000)
	other := donation("txn_1", day(1), 700)
	for i := range other.Entries {
		other.Entries[i].Collective, other.Entries[i].Campaign = marseille, "recours"
	}
	both.Entries = append(both.Entries, other.Entries...)
	mustPost(t, s, pool, both)
	mustReverse(t, s, pool, ledger.Reversal{Original: "txn_1", Reference: "r1", Collective: marseille}, true)
	total(t, s, 2000)
	mustReverse(t, s, pool, ledger.Reversal{Original: "txn_1", Reference: "r2"}, true)
	total(t, s, 0)
}

// TestReverseAtOnce has many take the same donation back: together never more than it was.
func TestReverseAtOnce(t *testing.T) {
	s, pool := openSealing(t)
	mustPost(t, s, pool, donation("txn_1", day(1), 1000))
	var group sync.WaitGroup
	var done atomic.Int64
	for i := range 12 {
		group.Go(func() {
			r := ledger.Reversal{Original: "txn_1", Reference: fmt.Sprintf("r%d", i/2), Entries: back("txn_1", 300)}
			switch fresh, err := reverse(t.Context(), s, pool, r); {
			case err == nil && fresh:
				done.Add(1)
			case err != nil && reasonOf(err) != errorsv1.ErrorReason_OVER_REVERSED && reasonOf(err) != errorsv1.ErrorReason_REFERENCE_REUSED:
				t.Error(err)
			}
		})
	}
	group.Wait()
	if done.Load() != 3 {
		t.Errorf("%d reversals of 300 were taken from 1000", done.Load())
	}
	total(t, s, 100)
	sound(t, s, book)
}

// TestReverseAgainstModel takes donations back at random and compares with what is left by a plain count.
func TestReverseAgainstModel(t *testing.T) {
	s, pool := openSealing(t)
	round, balance := 0, int64(0)
	rapid.Check(t, func(rt *rapid.T) {
		round++
		original := fmt.Sprintf("txn_%d", round)
		left := rapid.Int64Range(1, 5000).Draw(rt, "donation")
		feeLeft := true
		mustPost(t, s, pool, donation(original, day(1), left))
		for i := range rapid.IntRange(1, 6).Draw(rt, "reversals") {
			r := ledger.Reversal{Original: original, Reference: fmt.Sprintf("%s/%d", original, i)}
			cents := rapid.Int64Range(0, 3000).Draw(rt, "cents, 0 for the rest")
			var want errs.Reason
			switch {
			case cents > left:
				want = errorsv1.ErrorReason_OVER_REVERSED
			case cents > 0:
				left -= cents
			case left == 0 && !feeLeft:
				want = errorsv1.ErrorReason_NOTHING_TO_REVERSE
			default:
				left, feeLeft = 0, false
			}
			if cents > 0 {
				r.Entries = back(original, cents)
			}
			if fresh, err := reverse(t.Context(), s, pool, r); reasonOf(err) != want || fresh != (want == 0) {
				rt.Fatalf("fresh is %v, err = %v, want %q", fresh, err, want)
			}
			if again, err := reverse(t.Context(), s, pool, r); reasonOf(err) != want || again {
				rt.Fatalf("again: fresh is %v, err = %v, want %q", again, err, want)
			}
		}
		key := ledger.CampaignKey{Collective: vallon, Campaign: lawyer}
		balance += left
		totals, err := s.CampaignTotals(t.Context(), []ledger.CampaignKey{key})
		if err != nil || totals[key]["EUR"] != balance {
			rt.Fatalf("totals %v, want %d, err = %v", totals, balance, err)
		}
	})
	sound(t, s, book)
}

// TestDatabaseRefusesReversals writes links by hand, as the service's role.
func TestDatabaseRefusesReversals(t *testing.T) {
	s, pool := open(t)
	mustPost(t, s, pool, donation("txn_1", day(1), 2000), donation("txn_2", day(1), 500))
	loose := donation("loose", day(1), 100)
	loose.Kind = ledger.KindReversal
	link := `INSERT INTO ledger.reversals (transaction_id, original_id)
		SELECT t.id, o.id FROM ledger.transactions AS t, ledger.transactions AS o WHERE t.reference = $1 AND o.reference = $2`
	in := func(level pgx.TxIsoLevel, post *ledger.Transaction, reference, original string) error {
		tx, err := pool.BeginTx(t.Context(), pgx.TxOptions{IsoLevel: level})
		if err != nil {
			t.Fatal(err)
		}
		defer tx.Rollback(t.Context())
		if post != nil {
			if _, err := s.PostTx(t.Context(), tx, book, []ledger.Transaction{*post}); err != nil {
				t.Fatal(err)
			}
		}
		_, err = tx.Exec(t.Context(), link, reference, original)
		return err
	}
	for _, c := range []struct {
		rule, constraint string
		err              error
	}{
		{"a link of what is no reversal", "reversals_kind", in(pgx.ReadCommitted, nil, "txn_2", "txn_1")},
		{"a link to more than there is", "reversals_within_original", in(pgx.ReadCommitted, &loose, "loose", "txn_1")},
		{"a link in a snapshot that may be old", "reversals_read_committed", in(pgx.RepeatableRead, &loose, "loose", "txn_1")},
	} {
		t.Run(c.rule, func(t *testing.T) {
			if !postgres.Constraint(c.err, c.constraint) {
				t.Errorf("err = %v", c.err)
			}
		})
	}
	if _, err := pool.Exec(t.Context(), "INSERT INTO ledger.reversals (transaction_id, original_id) VALUES (-1, -2)"); !postgres.Constraint(err, "reversals_known") {
		t.Errorf("a link of nothing: %v", err)
	}
	mustReverse(t, s, pool, ledger.Reversal{Original: "txn_1", Reference: "r1"}, true)
	for _, sql := range []string{
		"UPDATE ledger.reversals SET original_id = original_id", "DELETE FROM ledger.reversals", "TRUNCATE ledger.reversals",
	} {
		if _, err := pool.Exec(t.Context(), sql); err == nil {
			t.Errorf("%s is allowed to the service", sql)
		}
		if _, err := pgtest.Owner(t, pool).Exec(t.Context(), sql); !postgres.Constraint(err, "reversals_append_only") {
			t.Errorf("%s by the owner: %v", sql, err)
		}
	}
	t.Run("verify finds a link that was moved", func(t *testing.T) {
		owner := pgtest.Owner(t, pool)
		if _, err := owner.Exec(t.Context(), `
			SET session_replication_role = replica;
			UPDATE ledger.reversals SET original_id = (SELECT id FROM ledger.transactions WHERE reference = 'txn_2');
			SET session_replication_role = origin`); err != nil {
			t.Fatal(err)
		}
		report, err := s.Verify(t.Context(), book)
		if err != nil || len(report.Differences) != 1 {
			t.Errorf("found %v, err = %v", report.Differences, err)
		}
	})
}
