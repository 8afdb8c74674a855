package ledger_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/cagnotte/cagnotte/services/ledger"
)

// sound fails when a book is not what it must be.
func sound(t failer, s *ledger.Service, book string) {
	report, err := s.Verify(ctxOf(t), book)
	if err != nil {
		t.Fatal(err)
	}
	if len(report.Differences) > 0 {
		t.Fatalf("%d differences, the first: %s", len(report.Differences), report.Differences[0])
	}
}

// filled has 300 donations in three sealings, two that wait, and a closed period.
func filled(t *testing.T) (*ledger.Service, *pgxpool.Pool) {
	t.Helper()
	_, pool := open(t)
	s := ledger.New(ledger.Config{Pool: pool, SecretKey: secret}).Batches(0, 50)
	for from := 0; from < 300; from += 100 {
		mustPost(t, s, pool, donations(from, from+100)...)
		mustSeal(t, s, 100)
	}
	if _, err := s.ClosePeriod(t.Context(), book, vallon, day(1)); err != nil {
		t.Fatal(err)
	}
	mustPost(t, s, pool, donations(300, 302)...)
	return s, pool
}

func TestVerify(t *testing.T) {
	t.Run("finds nothing in sound books", func(t *testing.T) {
		s, _ := filled(t)
		report, err := s.Verify(t.Context(), book)
		if err != nil {
			t.Fatal(err)
		}
		if len(report.Differences) > 0 {
			t.Errorf("found %v", report.Differences)
		}
		if report.Sealed != 300 || report.Unsealed != 2 || report.Checkpoints != 3 || !strings.HasPrefix(report.VerifierKey, "cagnotte-ledger-") {
			t.Errorf("report %+v", report)
		}
		sound(t, s, "acct_nobody")
	})
	t.Run("takes an older key, and not the wrong one for the newest", func(t *testing.T) {
		s, pool := filled(t)
		other := ledger.New(ledger.Config{Pool: pool, SecretKey: bytes.Repeat([]byte{8}, 32)}).Batches(0, 50)
		if n, err := other.Seal(t.Context(), book); n != 2 || err != nil {
			t.Fatalf("sealed %d, err = %v", n, err)
		}
		sound(t, other, book)
		report, err := s.Verify(t.Context(), book)
		if err != nil {
			t.Fatal(err)
		}
		if len(report.Differences) != 1 || !strings.Contains(report.Differences[0].What, "not signed by the program's key") {
			t.Errorf("found %v", report.Differences)
		}
	})
	// byNumber is the transaction of a number.
	byNumber := func(n int) string {
		return fmt.Sprintf("(SELECT transaction_id FROM ledger.seals WHERE book = 'acct_vallon' AND number = %d)", n)
	}
	past := func(id int) []string {
		return []string{
			fmt.Sprintf(`INSERT INTO ledger.transactions (id, effective_at, xid, entry_count, book, reference, kind, fingerprint)
				OVERRIDING SYSTEM VALUE
				SELECT %d, effective_at, xid, 2, book, 'txn_past', kind, fingerprint FROM ledger.transactions WHERE id = %s`, id, byNumber(40)),
			fmt.Sprintf(`INSERT INTO ledger.entries (transaction_id, amount, effective_at, account_id, line, nominal, donation, currency, collective, campaign, xid)
				SELECT %d, amount, effective_at, account_id, line, nominal, donation, currency, collective, campaign, xid
				FROM ledger.entries WHERE transaction_id = %s AND line <= 2`, id, byNumber(40)),
		}
	}
	for _, c := range []struct {
		rule string
		sql  []string
		// wants are parts of differences, each of another one.
		wants []string
	}{
		{"a changed amount", []string{
			"UPDATE ledger.entries SET amount = amount * 2 WHERE transaction_id = " + byNumber(7),
		}, []string{"number 7 (txn_006): its transaction, an entry or its number is not what was sealed", "stored balance of account 75411"}},
		{"an unbalanced transaction", []string{
			"UPDATE ledger.entries SET amount = amount + 1 WHERE line = 1 AND transaction_id = " + byNumber(7),
		}, []string{"number 7 (txn_006): sums to 1 EUR"}},
		{"a changed reference", []string{
			"UPDATE ledger.transactions SET reference = 'other' WHERE id = " + byNumber(8),
		}, []string{"number 8 (other): its transaction"}},
		{"a changed time of writing", []string{
			"UPDATE ledger.transactions SET recorded_at = recorded_at + interval '1 microsecond' WHERE id = " + byNumber(8),
		}, []string{"number 8 (txn_007): its transaction"}},
		{"another account", []string{
			"UPDATE ledger.entries SET account_id = (SELECT id FROM ledger.accounts WHERE book = 'acct_vallon' AND code = '530') WHERE line = 1 AND transaction_id = " + byNumber(9),
		}, []string{"number 9 (txn_008): its transaction"}},
		{"a donation moved to another campaign", []string{
			"UPDATE ledger.entries SET campaign = 'other' WHERE transaction_id = " + byNumber(9),
		}, []string{"number 9 (txn_008): its transaction", `campaign "other", EUR, all at number 100: is missing`}},
		{"a row changed with its hash", []string{
			"UPDATE ledger.seals SET leaf_hash = sha256('forged') WHERE number = 150",
		}, []string{"number 150 (txn_149): its transaction", "checkpoint 200: has another root than the seals give: the first that changed is between the numbers 101 and 200"}},
		{"a changed salt", []string{
			"UPDATE ledger.seals SET salt = sha256('forged') WHERE number = 150",
		}, []string{"number 150 (txn_149): its transaction"}},
		{"a changed fingerprint", []string{
			"UPDATE ledger.transactions SET fingerprint = sha256('forged') WHERE id = " + byNumber(8),
		}, []string{"number 8 (txn_007): its transaction"}},
		{"a changed count of a collective", []string{
			"UPDATE ledger.shares SET count = count - 1 WHERE number = 200",
		}, []string{`count of the collective "vallon-contre-cameras" at number 200: is 199; there are 200 transactions`}},
		{"a changed hash of a count", []string{
			"UPDATE ledger.shares SET hash = sha256('forged') WHERE number = 200",
		}, []string{`at number 200: has another hash than its transactions give`}},
		{"a removed count", []string{
			"DELETE FROM ledger.shares WHERE number = 200",
		}, []string{`at number 200: is missing; there are 200 transactions`}},
		{"added counts", []string{
			"INSERT INTO ledger.shares VALUES (200, 3, 'acct_vallon', 'other', sha256('x')), (250, 3, 'acct_vallon', 'other', sha256('x'))",
		}, []string{`"other" at number 200: is stored, and no`, `"other" at number 250: is stored where no`}},
		{"a removed transaction", []string{
			"DELETE FROM ledger.entries WHERE transaction_id = " + byNumber(10), "DELETE FROM ledger.transactions WHERE id = " + byNumber(10),
		}, []string{"number 10: its transaction"}},
		{"a removed entry", []string{
			"DELETE FROM ledger.entries WHERE line = 4 AND transaction_id = " + byNumber(10),
		}, []string{"number 10 (txn_009): has 3 of 4 entries"}},
		{"entries left behind", []string{
			"DELETE FROM ledger.transactions WHERE reference = 'txn_301'",
		}, []string{"is missing, and its entries are there"}},
		{"a removed transaction with its seal", []string{
			"DELETE FROM ledger.entries WHERE transaction_id = " + byNumber(11), "DELETE FROM ledger.transactions WHERE id = " + byNumber(11),
			"DELETE FROM ledger.seals WHERE number = 11",
		}, []string{"number 11: is missing", "checkpoint 100: has another root"}},
		{
			"seals cut off at the end",
			[]string{"DELETE FROM ledger.seals WHERE number > 290"},
			[]string{"checkpoint 300: is larger than the book: its last number is 290", "balance checkpoint 300"},
		},
		{
			"a transaction inserted in the past", past(9_000_000),
			[]string{"transaction 9000000 (txn_past): was inserted in the past"},
		},
		{
			"one inserted in the past and numbered", append(past(9_000_000),
				"INSERT INTO ledger.seals (number, transaction_id, book, leaf_hash, salt) VALUES (301, 9000000, 'acct_vallon', sha256('x'), sha256('y'))"),
			[]string{"number 301 (txn_past): was written before", "checkpoint 300: is the newest, and the numbers go on to 301"},
		},
		{"two that changed places", []string{
			"CREATE TEMPORARY TABLE t ON COMMIT DROP AS SELECT number, transaction_id FROM ledger.seals WHERE number IN (20, 21)",
			"DELETE FROM ledger.seals WHERE number IN (20, 21)",
			"INSERT INTO ledger.seals (number, transaction_id, book, leaf_hash, salt) SELECT 41 - number, transaction_id, 'acct_vallon', sha256('x'), sha256('y') FROM t",
		}, []string{"number 21 (txn_019): was written before the one with the number before"}},
		{"a posting to a closed period", []string{
			"UPDATE ledger.transactions SET effective_at = '2025-12-31' WHERE reference = 'txn_300'",
			"UPDATE ledger.entries SET effective_at = '2025-12-31' WHERE transaction_id = (SELECT id FROM ledger.transactions WHERE reference = 'txn_300')",
		}, []string{"(txn_300): was posted to the period that was closed until 2026-01-01"}},
		{"a changed stored balance", []string{
			"UPDATE ledger.balances SET balance = balance + 1 WHERE number = 200 AND key_id = (SELECT min(key_id) FROM ledger.balances WHERE number = 200)",
		}, []string{"at number 200: is "}},
		{"a removed stored balance", []string{
			"DELETE FROM ledger.balances WHERE number = 200 AND key_id = (SELECT min(key_id) FROM ledger.balances WHERE number = 200)",
		}, []string{"at number 200: is missing; the entries sum to"}},
		{"an added stored balance", []string{
			"INSERT INTO ledger.balances (key_id, number, balance) SELECT min(id), 250, 1 FROM ledger.balance_keys",
		}, []string{"at number 250: is stored where no balance checkpoint is"}},
		{
			"a removed balance checkpoint",
			[]string{"DELETE FROM ledger.balance_checkpoints WHERE number = 300"},
			[]string{"at number 300: is stored where no balance checkpoint is"},
		},
		{
			"a changed subtree",
			[]string{"UPDATE ledger.subtrees SET hash = sha256('x')"},
			[]string{"subtree 0 of level 1: has another hash"},
		},
		{"a removed subtree", []string{"DELETE FROM ledger.subtrees"}, []string{"subtree 0 of level 1: is missing"}},
		{
			"an added subtree",
			[]string{"INSERT INTO ledger.subtrees VALUES (7, 2, 'acct_vallon', sha256('x'))"},
			[]string{"subtree 7 of level 2: is stored"},
		},
		{
			"a changed root",
			[]string{"UPDATE ledger.checkpoints SET root = sha256('x') WHERE size = 200"},
			[]string{"checkpoint 200: the signed note says", "checkpoint 200: has another root", "checkpoint 300: its tree does not begin"},
		},
		{
			"a changed note",
			[]string{"UPDATE ledger.checkpoints SET note = replace(note, 'signed', 'Signed') WHERE size = 200"},
			[]string{"checkpoint 200: the signature"},
		},
		{
			"a removed checkpoint",
			[]string{"DELETE FROM ledger.checkpoints WHERE size = 200"},
			[]string{"checkpoint 300: follows the checkpoint 200, and the one before is 100"},
		},
		{"all checkpoints removed", []string{"DELETE FROM ledger.checkpoints"}, []string{"checkpoints: there is none, and 300 numbers"}},
	} {
		t.Run("finds "+c.rule, func(t *testing.T) {
			s, pool := filled(t)
			tamper(t, pool, c.sql...)
			report, err := s.Verify(t.Context(), book)
			if err != nil {
				t.Fatal(err)
			}
			var text strings.Builder
			for _, d := range report.Differences {
				fmt.Fprintln(&text, d)
			}
			for _, want := range c.wants {
				if !strings.Contains(text.String(), want) {
					t.Errorf("%q is not in:\n%s", want, text.String())
				}
			}
		})
	}
}
