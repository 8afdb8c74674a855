package ledger_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/cagnotte/cagnotte/services/internal/pgtest"
)

// TestDatabaseRefusesSeals speaks SQL, as the service's role and as the owner: whoever seals, numbers
// have no gap and no other order, and what is written stays.
func TestDatabaseRefusesSeals(t *testing.T) {
	s, service := openSealing(t)
	owner := pgtest.Owner(t, service)
	ensure(t, s, service, "acct_other")
	mustPost(t, s, service, donations(0, 4)...)
	mustSeal(t, s, 4)
	// Two that could be sealed, and one that could not yet.
	mustPost(t, s, service, donations(4, 6)...)
	if _, err := s.ClosePeriod(t.Context(), book, vallon, day(1)); err != nil {
		t.Fatal(err)
	}
	held, err := service.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer held.Rollback(context.WithoutCancel(t.Context()))
	if _, err := s.PostTx(t.Context(), held, "acct_other", donations(0, 1)); err != nil {
		t.Fatal(err)
	}
	mustPost(t, s, service, donations(6, 7)...)

	seal := func(book string, number int, reference string) string {
		return fmt.Sprintf(`INSERT INTO ledger.seals (number, transaction_id, book, leaf_hash, salt)
			SELECT %d, id, '%s', sha256('x'), sha256('y') FROM ledger.transactions WHERE reference = '%s'`, number, book, reference)
	}
	checkpoint := func(size, previous int) string {
		return fmt.Sprintf(`INSERT INTO ledger.checkpoints (size, previous_size, signed_at, book, root, consistency, note, verifier_key)
			VALUES (%d, %d, now(), 'acct_vallon', sha256('x'), '{}', '', '')`, size, previous)
	}
	closing := func(end string) string {
		return fmt.Sprintf(`INSERT INTO ledger.closings (ends_at, book, collective) VALUES (%s, 'acct_vallon', 'c')`, end)
	}
	type refused struct {
		rule, sql, constraint string
		privilege             bool
	}
	cases := []refused{
		{rule: "a number that leaves a gap", constraint: "seals_gapless", sql: seal(book, 6, "txn_004")},
		{rule: "a number twice", constraint: "seals_pkey", sql: seal(book, 4, "txn_004")},
		{rule: "the number zero", constraint: "seals_number_positive", sql: seal(book, 0, "txn_004")},
		{rule: "a transaction twice", constraint: "seals_transaction_key", sql: seal(book, 5, "txn_003")},
		{rule: "a transaction left out", constraint: "seals_complete", sql: seal(book, 5, "txn_005")},
		{rule: "a transaction of another book", constraint: "seals_transaction_known", sql: seal("acct_other", 1, "txn_004")},
		{
			rule: "a transaction that is not", constraint: "seals_transaction_known",
			sql: `INSERT INTO ledger.seals (number, transaction_id, book, leaf_hash, salt) VALUES (5, 999999, 'acct_vallon', sha256('x'), sha256('y'))`,
		},
		{
			rule: "two in another order", constraint: "seals_complete",
			sql: `INSERT INTO ledger.seals (number, transaction_id, book, leaf_hash, salt)
				SELECT 4 + row_number() OVER (ORDER BY id DESC), id, 'acct_vallon', sha256('x'), sha256('y')
				FROM ledger.transactions WHERE reference IN ('txn_004', 'txn_005') AND book = 'acct_vallon'`,
		},
		{
			rule: "one that a running posting may come before", constraint: "seals_settled",
			sql: `INSERT INTO ledger.seals (number, transaction_id, book, leaf_hash, salt)
				SELECT 4 + row_number() OVER (ORDER BY id), id, 'acct_vallon', sha256('x'), sha256('y')
				FROM ledger.transactions WHERE reference IN ('txn_004', 'txn_005', 'txn_006') AND book = 'acct_vallon'`,
		},
		{
			rule: "a hash that is none", constraint: "seals_leaf_hash_length",
			sql: `INSERT INTO ledger.seals (number, transaction_id, book, leaf_hash, salt) SELECT 5, id, book, 'x', sha256('y') FROM ledger.transactions WHERE reference = 'txn_004'`,
		},
		{
			rule: "a salt that is none", constraint: "seals_salt_length",
			sql: `INSERT INTO ledger.seals (number, transaction_id, book, leaf_hash, salt)
				SELECT 5, id, book, sha256('x'), '' FROM ledger.transactions WHERE reference = 'txn_004'`,
		},
		{
			rule: "a count of what is not sealed", constraint: "shares_sealed",
			sql: `INSERT INTO ledger.shares (number, count, book, collective, hash) VALUES (9, 1, 'acct_vallon', 'c', sha256('x'))`,
		},
		{
			rule: "a count of more than there are", constraint: "shares_count_range",
			sql: `INSERT INTO ledger.shares (number, count, book, collective, hash) VALUES (4, 5, 'acct_vallon', 'c', sha256('x'))`,
		},
		{
			rule: "a time of sealing", constraint: "seals_pkey", privilege: true,
			sql: `INSERT INTO ledger.seals (number, transaction_id, book, leaf_hash, salt, sealed_at) VALUES (4, 999999, 'acct_vallon', sha256('x'), sha256('y'), 'epoch')`,
		},
		{rule: "a checkpoint of what is not sealed", constraint: "checkpoints_sealed", sql: checkpoint(9, 4)},
		{rule: "a checkpoint that goes back", constraint: "checkpoints_chained", sql: checkpoint(3, 0)},
		{rule: "a checkpoint that follows itself", constraint: "checkpoints_previous", sql: checkpoint(3, 3)},
		{rule: "a checkpoint twice", constraint: "checkpoints_pkey", sql: checkpoint(4, 0)},
		{
			rule: "a balance checkpoint of what is not sealed", constraint: "balance_checkpoints_sealed",
			sql: `INSERT INTO ledger.balance_checkpoints (number, book) VALUES (9, 'acct_vallon')`,
		},
		{
			rule: "a span that does not begin with itself", constraint: "balance_keys_starts_on_span",
			sql: `INSERT INTO ledger.balance_keys (account_id, starts_on, span, currency, collective, campaign)
				SELECT min(id), '2026-01-02', 'month', 'EUR', '', '' FROM ledger.accounts`,
		},
		{
			rule: "a subtree of the leaves' level", constraint: "subtrees_position",
			sql: `INSERT INTO ledger.subtrees (index, level, book, hash) VALUES (0, 0, 'acct_vallon', sha256('x'))`,
		},
		{rule: "a period that is not over", constraint: "closings_over", sql: closing("now() + interval '1 hour'")},
		{rule: "an endless period", constraint: "closings_over", sql: closing("'-infinity'")},
		{
			rule: "a closing of a book that is not", constraint: "closings_book_fkey",
			sql: `INSERT INTO ledger.closings (ends_at, book, collective) VALUES ('2020-01-01', 'acct_nobody', '')`,
		},
		{
			rule: "a closing with an older xid", constraint: "closings_over", privilege: true,
			sql: `INSERT INTO ledger.closings (ends_at, book, collective, xid) VALUES ('infinity', 'acct_vallon', '', '1')`,
		},
		{
			rule: "an entry dated in a closed period", constraint: "transactions_period_open",
			sql: rawIn("2025-12-31", vallon),
		},
	}
	refuse := func(c refused) {
		t.Run("refuses "+c.rule, func(t *testing.T) {
			_, err := service.Exec(t.Context(), c.sql)
			if got := refusedBy(err); c.privilege && got != insufficientPrivilege || !c.privilege && got != c.constraint {
				t.Errorf("the service: %v", err)
			}
			_, err = owner.Exec(t.Context(), c.sql)
			if got := refusedBy(err); got != c.constraint {
				t.Errorf("the owner: %v", err)
			}
		})
	}
	for _, c := range cases {
		refuse(c)
	}
	if err := held.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	for table, column := range map[string]string{
		"seals": "number", "subtrees": "level", "checkpoints": "size", "balance_keys": "id", "balances": "balance",
		"balance_checkpoints": "number", "closings": "ends_at", "shares": "count",
	} {
		update := fmt.Sprintf("UPDATE ledger.%s SET %s = %s", table, column, column)
		if table == "balance_keys" {
			update = "UPDATE ledger.balance_keys SET campaign = ''"
		}
		for _, c := range []refused{
			{"UPDATE of " + table, update, table + "_append_only", true},
			{"DELETE of " + table, "DELETE FROM ledger." + table, table + "_append_only", true},
			{"TRUNCATE of " + table, "TRUNCATE ledger." + table + " CASCADE", table + "_append_only", true},
		} {
			refuse(c)
		}
	}
	t.Run("takes what is right, by the same SQL", func(t *testing.T) {
		if _, err := service.Exec(t.Context(), rawIn("2026-01-02", vallon)); err != nil {
			t.Error(err)
		}
		if _, err := service.Exec(t.Context(), seal(book, 5, "txn_004")); err != nil {
			t.Error(err)
		}
	})
}

// rawIn is a posting by hand on a day, of a collective.
func rawIn(date, collective string) string {
	return fmt.Sprintf(`
		WITH t AS (
			INSERT INTO ledger.transactions (effective_at, entry_count, book, reference, kind, fingerprint)
			VALUES ('%s', 2, 'acct_vallon', 'raw', 'donation', sha256('x'))
			RETURNING id, effective_at
		)
		INSERT INTO ledger.entries (transaction_id, amount, effective_at, account_id, line, nominal, currency, collective, campaign)
		SELECT t.id, v.amount, t.effective_at, a.id, v.line, false, 'EUR', '%s', ''
		FROM t
		CROSS JOIN (VALUES (100, 1), (-100, 2)) AS v (amount, line)
		JOIN ledger.accounts AS a ON a.code = '51212' AND a.book = 'acct_vallon'`, date, collective)
}
