package overview

import (
	"testing"

	"github.com/google/uuid"

	"github.com/cagnotte/cagnotte/services/campaigns"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

// Two collectives have the platform's account together: a payout of 900.00 holds 150.00 of the one.
func TestAHistoryTellsTheOwnShareOfAPayout(t *testing.T) {
	e := newEnv(t)
	e.collective("other", "Europe/Paris")
	donation := uuid.New()
	e.exec(insertDonation, donation, "vallon", "avocate", 15000, now)
	for _, table := range []string{"ledger.transactions", "ledger.seals"} {
		e.exec("ALTER TABLE " + table + " DISABLE TRIGGER USER")
	}
	e.exec(`INSERT INTO ledger.transactions (effective_at, entry_count, book, reference, kind, fingerprint)
		VALUES ($1, 2, '', 'txn_1', 'donation', sha256('x'))`, now)
	e.exec(`INSERT INTO ledger.seals (number, transaction_id, donation, book, salt, leaf_hash)
		SELECT 1, t.id, $1, '', sha256('x'), sha256('x') FROM ledger.transactions AS t`, donation)
	payout := func(id string) {
		e.exec(`INSERT INTO payouts.payouts (account, id, amount_minor, currency, automatic, created_at, arrival_at, state, listable, own_transaction, failure_transaction)
			VALUES ('', $1, 90000, 'EUR', true, $2, $2, 'paid', true, 'own_' || $1, '')`, id, now)
		e.exec(`INSERT INTO payouts.contents (account, payout, transaction, type, net_minor, fee_minor) VALUES ('', $1, 'txn_1', 'charge', 15000, 0)`, id)
	}
	// A payout that failed holds it too, and its shares are not decided.
	payout("po_undecided")
	payout("po_shared")
	e.exec(`INSERT INTO payouts.shares (account, payout, collective, amount_minor)
		VALUES ('', 'po_shared', 'vallon', 15000), ('', 'po_shared', 'other', 75000)`)

	amounts := func(collective string) map[string]int64 {
		t.Helper()
		ctx := postgres.WithScope(t.Context(), postgres.ScopeOf(collective))
		c := Contribution{ID: donation, Kind: KindDonation, Campaign: campaigns.Name{Collective: collective, Campaign: "avocate"}}
		history, err := e.service.History(ctx, c, false)
		if err != nil {
			t.Fatal(err)
		}
		found := map[string]int64{}
		for _, entry := range history {
			if entry.Kind == EntryPayout {
				found[entry.Resource] = entry.Amount.Minor
			}
		}
		return found
	}
	if found := amounts("vallon"); len(found) != 1 || found["collectives/vallon/payouts/po_shared"] != 15000 {
		t.Errorf("the payouts are %v", found)
	}
	// Alone on the account it has all of what nobody divided.
	e.exec("UPDATE collectives.collectives SET stripe_account = 'acct_other' WHERE id = 'other'")
	if found := amounts("vallon"); len(found) != 2 || found["collectives/vallon/payouts/po_undecided"] != 90000 || found["collectives/vallon/payouts/po_shared"] != 15000 {
		t.Errorf("alone on the account, the payouts are %v", found)
	}
}
