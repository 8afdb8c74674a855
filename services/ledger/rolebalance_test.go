package ledger_test

import (
	"maps"
	"testing"

	"github.com/cagnotte/cagnotte/services/ledger"
	"github.com/cagnotte/cagnotte/services/money"
)

// What is stored, what is sealed behind it and what is not sealed yet add up, for everybody together.
func TestRoleBalanceIsThatOfTheWholeBook(t *testing.T) {
	s, pool := openSealing(t)
	few := ledger.New(ledger.Config{Pool: pool, SecretKey: secret}).Batches(0, 1)
	want := func(role ledger.AccountRole, minor map[money.Currency]int64) {
		t.Helper()
		if got, err := s.RoleBalance(t.Context(), book, role); err != nil || !maps.Equal(got, minor) {
			t.Errorf("%s has %v, %v, want %v", role, got, err, minor)
		}
	}
	want(ledger.RoleStripeBalance, map[money.Currency]int64{})
	bulk(t, pool, "one", 7)
	want(ledger.RoleStripeBalance, map[money.Currency]int64{"EUR": 700})
	if err := few.SealAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	bulk(t, pool, "two", 3)
	want(ledger.RoleStripeBalance, map[money.Currency]int64{"EUR": 1000})
	if err := s.SealAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	bulk(t, pool, "one", 1)
	want(ledger.RoleStripeBalance, map[money.Currency]int64{"EUR": 1100})
	want(ledger.RoleDonations, map[money.Currency]int64{"EUR": -1100})
	want(ledger.RoleTransit, map[money.Currency]int64{})
}
