package bank

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/ledger"
	"github.com/cagnotte/cagnotte/services/treasury"
)

// A receipt whose origin was found out later is undone in the order in which it was booked.
func TestAClassifiedReceiptIsNotUndone(t *testing.T) {
	s, pool := open(t)
	s.read(t, "02/03/2026;VIR INCONNU;;50,00")
	l, err := s.MatchLine(t.Context(), ask(), "vallon", s.line(t, 50_00).ID, Target{Kind: TargetUnknownReceipt})
	if err != nil {
		t.Fatal(err)
	}
	move := ledger.Reclassification{
		Original: l.receiptReference(), Reference: "reclassification:" + uuid.NewString(), Collective: "vallon", Amount: eur(-50_00),
		FromCode: "4718", ToCode: "75411", ToCampaign: "avocate",
	}
	tx := func(do func(ctx context.Context, tx pgx.Tx) (bool, error)) {
		t.Helper()
		if err := postgres.InTx(t.Context(), pool, func(ctx context.Context, tx pgx.Tx) error { _, err := do(ctx, tx); return err }); err != nil {
			t.Fatal(err)
		}
	}
	tx(func(ctx context.Context, tx pgx.Tx) (bool, error) {
		return s.cfg.Ledger.ReclassifyTx(ctx, tx, "", move)
	})

	_, err = s.UnmatchLine(t.Context(), ask(), "vallon", l.ID, "wrong", time.Time{})
	wantReason(t, err, errorsv1.ErrorReason_RECLASSIFIED_SINCE)
	if bank, unknown := s.balance(t, "51211"), s.balance(t, "4718"); bank != 50_00 || unknown != 0 {
		t.Errorf("the bank stands at %d, unknown receipts at %d", bank, unknown)
	}

	tx(func(ctx context.Context, tx pgx.Tx) (bool, error) {
		return s.cfg.Ledger.ReverseTx(ctx, tx, "", ledger.Reversal{Original: move.Reference, Reference: move.Reference + ":reversed"})
	})
	// A line is opened as it was read, and sent twice it is opened once.
	_, err = s.UnmatchLine(t.Context(), ask(), "vallon", l.ID, "wrong", l.UpdateTime.Add(-time.Second))
	wantReason(t, err, errorsv1.ErrorReason_ETAG_MISMATCH)
	again, read := ask(), l.UpdateTime
	if l, err = s.UnmatchLine(t.Context(), again, "vallon", l.ID, "wrong", read); err != nil || l.State != LineUnmatched {
		t.Fatalf("%s, err = %v", l.State, err)
	}
	if l, err = s.UnmatchLine(t.Context(), again, "vallon", l.ID, "wrong", read); err != nil || l.State != LineUnmatched {
		t.Fatalf("%s, err = %v", l.State, err)
	}
	for _, code := range []string{"51211", "4718", "75411"} {
		if got := s.balance(t, code); got != 0 {
			t.Errorf("%s stands at %d", code, got)
		}
	}
}

// What is classified is no longer to be cleared, as the account of unknown receipts tells.
func TestAClassifiedReceiptIsCleared(t *testing.T) {
	s, pool := open(t)
	s.read(t, "02/03/2026;VIR INCONNU;;50,00")
	l, err := s.MatchLine(t.Context(), ask(), "vallon", s.line(t, 50_00).ID, Target{Kind: TargetUnknownReceipt})
	if err != nil {
		t.Fatal(err)
	}
	want := func(minor int64) {
		t.Helper()
		items, err := s.treasury.ClearingItems(t.Context(), "vallon", treasury.Position{}, 10)
		if err != nil {
			t.Fatal(err)
		}
		var sum int64
		for _, item := range items {
			sum += item.Amount.Minor
		}
		if sum != minor || (len(items) == 1) != (minor != 0) || s.balance(t, "4718") != -minor {
			t.Errorf("%d items of %d are to be cleared, want %d; the account stands at %d", len(items), sum, minor, s.balance(t, "4718"))
		}
		item, err := s.treasury.ClearingItem(t.Context(), "vallon", l.ID)
		if (err == nil) != (minor != 0) || item.Amount.Minor != minor {
			t.Errorf("the item is %v, err = %v", item, err)
		}
	}
	correct := func(do func(ctx context.Context, tx pgx.Tx) (bool, error)) {
		t.Helper()
		if err := postgres.InTx(t.Context(), pool, func(ctx context.Context, tx pgx.Tx) error { _, err := do(ctx, tx); return err }); err != nil {
			t.Fatal(err)
		}
	}
	move := func(reference string, minor int64) {
		t.Helper()
		correct(func(ctx context.Context, tx pgx.Tx) (bool, error) {
			return s.cfg.Ledger.ReclassifyTx(ctx, tx, "", ledger.Reclassification{
				Original: l.receiptReference(), Reference: reference, Collective: "vallon", Amount: eur(-minor),
				FromCode: "4718", ToCode: "75411", ToCampaign: "avocate",
			})
		})
	}
	want(50_00)
	move("reclassification:1", 20_00)
	want(30_00)
	move("reclassification:2", 30_00)
	want(0)
	correct(func(ctx context.Context, tx pgx.Tx) (bool, error) {
		return s.cfg.Ledger.ReverseTx(ctx, tx, "", ledger.Reversal{Original: "reclassification:2", Reference: "reversal:2"})
	})
	want(30_00)
}
