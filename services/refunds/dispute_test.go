package refunds

import (
	"context"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/donations"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/internal/stripe"
)

// Stripe may add statuses.
func TestADisputeOfAnUnknownStatus(t *testing.T) {
	e := newEnv(t)
	d, _ := e.paid()
	for _, c := range []struct{ said, want stripe.DisputeStatus }{
		{stripe.DisputeNeedsResponse, stripe.DisputeNeedsResponse},
		{"arbitrated", "arbitrated"},
		{stripe.DisputeNeedsResponse, "arbitrated"},
		{stripe.DisputeWon, stripe.DisputeWon},
		{"arbitrated", stripe.DisputeWon},
	} {
		err := postgres.InTx(t.Context(), e.pool, func(ctx context.Context, tx pgx.Tx) error {
			return e.refunds.applyDisputeTx(ctx, tx, donations.Match{Donation: d.ID}, "", stripe.Dispute{
				ID: "dp_1", Status: c.said, AmountMinor: 20_00, Currency: "EUR", Created: e.clock.Now(),
			})
		})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := e.refunds.GetDispute(t.Context(), vallon.Collective, "dp_1"); err != nil || got.Status != c.want {
			t.Errorf("after %s it is %s, want %s: %v", c.said, got.Status, c.want, err)
		}
	}
}

func TestReadingsOfADisputeInAnyOrder(t *testing.T) {
	e := newEnv(t)
	d, _ := e.paid()
	life := []stripe.Dispute{
		{Status: stripe.InquiryNeedsResponse, Refundable: true},
		{Status: stripe.InquiryUnderReview, Refundable: true},
		{Status: stripe.DisputeNeedsResponse, WithdrawnMinor: 20_00, FeeMinor: 15_00, BalanceCurrency: "EUR"},
		{Status: stripe.DisputeUnderReview, WithdrawnMinor: 20_00, FeeMinor: 15_00, BalanceCurrency: "EUR"},
		{Status: stripe.DisputeWon, Refundable: true, WithdrawnMinor: 20_00, ReinstatedMinor: 20_00, BalanceCurrency: "EUR"},
	}
	if rankOf(stripe.DisputePrevented) <= rankOf(stripe.InquiryClosed) || disputeOpen(stripe.DisputePrevented) {
		t.Error("a dispute that was prevented goes on")
	}
	for i, order := range [][]int{{0, 1, 2, 3, 4}, {4, 3, 2, 1, 0}, {2, 4, 0, 4, 3}, {4, 4, 1}, {3, 0, 2, 4, 2}} {
		id := fmt.Sprintf("dp_%d", i)
		for _, n := range order {
			is := life[n]
			is.ID, is.AmountMinor, is.Currency, is.Created = id, 20_00, "EUR", e.clock.Now()
			err := postgres.InTx(t.Context(), e.pool, func(ctx context.Context, tx pgx.Tx) error {
				return e.refunds.applyDisputeTx(ctx, tx, donations.Match{Donation: d.ID}, "", is)
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		got, err := e.refunds.GetDispute(t.Context(), vallon.Collective, id)
		if err != nil || got.Status != stripe.DisputeWon || got.Reinstated.Minor != 20_00 || got.Fee.Minor != 0 || !got.DueTime.IsZero() {
			t.Errorf("read in the order %v it is %+v, %v", order, got, err)
		}
	}
	var told int
	if err := e.pool.QueryRow(t.Context(), "SELECT count(*) FROM notices.notices WHERE kind = 'dispute_won'").Scan(&told); err != nil || told != 5 {
		t.Errorf("told of the end of %d, %v", told, err)
	}
	// A dispute that is won bars nothing.
	if _, err := e.refunds.Create(t.Context(), requestFor(d, 5_00)); err != nil {
		t.Error(err)
	}
	t.Run("money that came back tells which reading is the later one", func(t *testing.T) {
		lost := stripe.Dispute{Status: stripe.DisputeLost, WithdrawnMinor: 20_00, BalanceCurrency: "EUR"}
		again := stripe.Dispute{Status: stripe.DisputeUnderReview, WithdrawnMinor: 20_00, ReinstatedMinor: 20_00, BalanceCurrency: "EUR"}
		for i, order := range [][]stripe.Dispute{{lost, again}, {again, lost}, {lost, again, again, lost}} {
			id := fmt.Sprintf("dp_reinstated_%d", i)
			for _, is := range order {
				is.ID, is.AmountMinor, is.Currency, is.Created = id, 20_00, "EUR", e.clock.Now()
				err := postgres.InTx(t.Context(), e.pool, func(ctx context.Context, tx pgx.Tx) error {
					return e.refunds.applyDisputeTx(ctx, tx, donations.Match{Donation: d.ID}, "", is)
				})
				if err != nil {
					t.Fatal(err)
				}
			}
			got, err := e.refunds.GetDispute(t.Context(), vallon.Collective, id)
			if err != nil || got.Status != stripe.DisputeUnderReview || got.Reinstated.Minor != 20_00 {
				t.Errorf("it is %+v, %v", got, err)
			}
		}
		var reinstated int
		if err := e.pool.QueryRow(t.Context(), "SELECT count(*) FROM notices.notices WHERE kind = 'dispute_reinstated'").Scan(&reinstated); err != nil || reinstated != 3 {
			t.Errorf("told of it %d times, %v", reinstated, err)
		}
	})
	t.Run("money that goes once more after it was won is news", func(t *testing.T) {
		won := life[len(life)-1]
		lost := stripe.Dispute{Status: stripe.DisputeLost, WithdrawnMinor: 40_00, ReinstatedMinor: 20_00, BalanceCurrency: "EUR"}
		for _, is := range []stripe.Dispute{won, lost, won} { // the last of them was read before
			is.ID, is.AmountMinor, is.Currency, is.Created = "dp_0", 20_00, "EUR", e.clock.Now()
			err := postgres.InTx(t.Context(), e.pool, func(ctx context.Context, tx pgx.Tx) error {
				return e.refunds.applyDisputeTx(ctx, tx, donations.Match{Donation: d.ID}, "", is)
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		got, err := e.refunds.GetDispute(t.Context(), vallon.Collective, "dp_0")
		if err != nil || got.Status != stripe.DisputeLost || got.Withdrawn.Minor != 40_00 {
			t.Errorf("it is %+v, %v", got, err)
		}
		if err := e.pool.QueryRow(t.Context(), "SELECT count(*) FROM notices.notices WHERE kind = 'dispute_lost' AND key = 'dp_0'").Scan(&told); err != nil || told != 1 {
			t.Errorf("told of it %d times, %v", told, err)
		}
	})
}
