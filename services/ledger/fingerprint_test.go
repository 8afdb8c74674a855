package ledger

import (
	"encoding/hex"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/cagnotte/cagnotte/services/money"
)

func sample() Transaction {
	return Transaction{
		Reference: "txn_1",
		Kind:      KindDonation,
		Effective: time.Date(2026, 1, 2, 3, 4, 5, 678_000, time.UTC),
		Entries: []Entry{
			{Role: RoleStripeBalance, Amount: money.Amount{Minor: 100, Currency: money.EUR}, Collective: "ab", Campaign: "c"},
			{Code: "75411", Amount: money.Amount{Minor: -100, Currency: money.EUR}, Collective: "ab", Campaign: "c", Donation: uuid.UUID{1}},
		},
	}
}

// TestFingerprintIsForEver guards what is stored: another encoding needs another version, and
// must still recognise the references that stand in the books.
func TestFingerprintIsForEver(t *testing.T) {
	tx := sample()
	sum := tx.fingerprint()
	const want = "b1a9db48c766321405e1b3e5c36053a8bccbc54ab899b51fec084205d73ebcea"
	if got := hex.EncodeToString(sum[:]); got != want {
		t.Errorf("fingerprint = %s, want %s", got, want)
	}
}

func TestFingerprintTellsApart(t *testing.T) {
	seen := map[[32]byte]string{}
	for rule, change := range map[string]func(*Transaction){
		"nothing":                     func(*Transaction) {},
		"reference and kind":          func(t *Transaction) { t.Reference, t.Kind = "txn_", "1donation" },
		"microsecond":                 func(t *Transaction) { t.Effective = t.Effective.Add(time.Microsecond) },
		"order of entries":            func(t *Transaction) { t.Entries[0], t.Entries[1] = t.Entries[1], t.Entries[0] },
		"entry less":                  func(t *Transaction) { t.Entries = t.Entries[:1] },
		"role into code":              func(t *Transaction) { e := &t.Entries[0]; e.Code, e.Role = string(e.Role), "" },
		"amount":                      func(t *Transaction) { t.Entries[0].Amount.Minor = -100 },
		"currency":                    func(t *Transaction) { t.Entries[0].Amount.Currency = "USD" },
		"collective and campaign":     func(t *Transaction) { e := &t.Entries[0]; e.Collective, e.Campaign = "a", "bc" },
		"donation":                    func(t *Transaction) { t.Entries[1].Donation = uuid.Nil },
		"currency into collective":    func(t *Transaction) { e := &t.Entries[0]; e.Amount.Currency, e.Collective = "EU", "Rab" },
		"account into no text at all": func(t *Transaction) { t.Entries[1].Code = "" },
	} {
		tx := sample()
		change(&tx)
		sum := tx.fingerprint()
		if other, clash := seen[sum]; clash {
			t.Errorf("a change of %q has the fingerprint of %q", rule, other)
		}
		seen[sum] = rule
	}
	t.Run("and not what the database does not keep", func(t *testing.T) {
		tx, finer := sample(), sample()
		finer.Effective = finer.Effective.Add(999).In(time.FixedZone("", 3600))
		if tx.fingerprint() != finer.fingerprint() {
			t.Error("nanoseconds or the zone count")
		}
	})
}
