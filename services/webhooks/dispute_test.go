package webhooks

import (
	"testing"

	"github.com/cagnotte/cagnotte/services/donations"
	"github.com/cagnotte/cagnotte/services/internal/stripe"
)

func TestADisputeThatIsWonIsTakenOffAgain(t *testing.T) {
	for amount, want := range map[int64]int{-20_00: 1, 20_00: -1, 0: 0} {
		moved := stripe.BalanceTransaction{Type: "adjustment", Category: "dispute", Amount: amount, Currency: "EUR"}
		m, _ := meaningOf(moved)
		if got := movement(moved, m, donations.Match{}).Disputes; got != want {
			t.Errorf("%d: %d, want %d", amount, got, want)
		}
	}
}
