package campaigns

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/cagnotte/cagnotte/services/money"
)

func TestFeeEstimate(t *testing.T) {
	euros := func(minor int64) money.Amount { return money.Amount{Minor: minor, Currency: "EUR"} }
	t.Run("10 € want 10,41 €", func(t *testing.T) {
		if got := DefaultFeeEstimate.Whole(euros(1000)); got != euros(1041) {
			t.Errorf("got %v", got)
		}
	})
	t.Run("the wanted sum is left, and by one cent less it would not be", func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			f := FeeEstimate{BasisPoints: rapid.Int64Range(0, 9_999).Draw(t, "share"), Fixed: euros(rapid.Int64Range(0, 500).Draw(t, "fixed"))}
			wanted := rapid.Int64Range(1, 99_999_999).Draw(t, "wanted")
			// What is left of a sum, in hundredths of hundredths of a minor unit, so that nothing is rounded.
			left := func(whole int64) int64 { return whole*(10_000-f.BasisPoints) - f.Fixed.Minor*10_000 }
			whole := f.Whole(euros(wanted)).Minor
			if left(whole) < wanted*10_000 {
				t.Fatalf("of %d too little is left of %d", whole, wanted)
			}
			if left(whole-1) >= wanted*10_000 {
				t.Fatalf("%d is more than it takes for %d", whole, wanted)
			}
			// As Stripe rounds: half up.
			if fee := (whole*f.BasisPoints+5_000)/10_000 + f.Fixed.Minor; whole-fee < wanted {
				t.Fatalf("rounded as Stripe does, %d leaves %d of %d", whole, whole-fee, wanted)
			}
		})
	})
	t.Run("holds for its currency alone", func(t *testing.T) {
		if DefaultFeeEstimate.Holds("USD") || !DefaultFeeEstimate.Holds("EUR") || (FeeEstimate{}).Holds("EUR") {
			t.Error("it does not")
		}
	})
}
