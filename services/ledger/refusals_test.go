package ledger_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"google.golang.org/grpc/codes"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/pgtest"
	"github.com/cagnotte/cagnotte/services/ledger"
	"github.com/cagnotte/cagnotte/services/money"
)

const insufficientPrivilege = "42501"

// raw is a posting by hand: values are lists of amount, account code, line, currency, collective,
// campaign and what is added to the effective time, or else 'wrong' for a wrong nominal.
func raw(count int, values ...string) string {
	return fmt.Sprintf(`
		WITH t AS (
			INSERT INTO ledger.transactions (effective_at, entry_count, book, reference, kind, fingerprint)
			VALUES ('2026-01-01', %d, 'acct_vallon', 'raw', 'donation', sha256('x'))
			RETURNING id, effective_at
		)
		INSERT INTO ledger.entries (transaction_id, amount, effective_at, account_id, line, nominal, currency, collective, campaign)
		SELECT t.id, v.amount, t.effective_at + COALESCE(NULLIF(v.later, 'wrong'), '0s')::interval, COALESCE(a.id, 0), v.line, COALESCE(a.type IN ('income', 'expense'), false) <> (v.later = 'wrong'), v.currency, v.collective, v.campaign
		FROM t
		CROSS JOIN (VALUES %s) AS v (amount, code, line, currency, collective, campaign, later)
		LEFT JOIN ledger.accounts AS a ON a.code = v.code AND a.book = 'acct_vallon'`,
		count, strings.Join(values, ", "))
}

const (
	debit  = `(100, '51212', 1, 'EUR', 'c', '', '0s')`
	credit = `(-100, '75411', 2, 'EUR', 'c', '', '0s')`
)

// TestDatabaseRefuses speaks SQL, as the service's role and as the owner: neither can write what
// must never be in the books.
func TestDatabaseRefuses(t *testing.T) {
	s, service := open(t)
	owner := pgtest.Owner(t, service)
	ensure(t, s, service, "acct_other")
	mustPost(t, s, service, donation("txn_1", day(1), 2000))

	lateEntry := `
		INSERT INTO ledger.entries (transaction_id, amount, effective_at, account_id, line, nominal, currency, collective, campaign)
		SELECT e.transaction_id, e.amount, e.effective_at, e.account_id, %s, e.nominal, e.currency, e.collective, e.campaign
		FROM ledger.entries AS e`
	// Where the service has not even the right, it is told so; else both meet the constraint.
	for _, c := range []struct {
		rule, sql, constraint string
		privilege             bool
	}{
		{
			rule: "an unbalanced transaction", constraint: "entries_balanced",
			sql: raw(2, debit, `(-99, '75411', 2, 'EUR', 'c', '', '0s')`),
		},
		{
			rule: "a balance across currencies", constraint: "entries_balanced",
			sql: raw(2, debit, `(-100, '75411', 2, 'USD', 'c', '', '0s')`),
		},
		{
			rule: "a balance across collectives", constraint: "entries_balanced",
			sql: raw(2, debit, `(-100, '75411', 2, 'EUR', 'd', '', '0s')`),
		},
		{
			rule: "a transaction without entries", constraint: "transactions_not_empty",
			sql: `INSERT INTO ledger.transactions (effective_at, entry_count, book, reference, kind, fingerprint)
				VALUES ('2026-01-01', 2, 'acct_vallon', 'empty', 'donation', sha256('x'))`,
		},
		{rule: "a transaction of no entries", constraint: "transactions_not_empty", sql: raw(0, debit, credit)},
		{rule: "fewer entries than announced", constraint: "entries_complete", sql: raw(3, debit, credit)},
		{rule: "more entries than announced", constraint: "entries_complete", sql: raw(1, debit, credit)},
		{
			rule: "lines with a gap", constraint: "entries_complete",
			sql: raw(2, debit, `(-100, '75411', 3, 'EUR', 'c', '', '0s')`),
		},
		{
			rule: "a line twice", constraint: "entries_pkey",
			sql: raw(2, debit, `(-100, '75411', 1, 'EUR', 'c', '', '0s')`),
		},
		{
			rule: "a zero entry", constraint: "entries_amount_not_zero",
			sql: raw(2, `(0, '51212', 1, 'EUR', 'c', '', '0s')`, `(0, '75411', 2, 'EUR', 'c', '', '0s')`),
		},
		{
			rule: "an account that does not exist", constraint: "entries_account_known",
			sql: raw(2, debit, `(-100, '99999', 2, 'EUR', 'c', '', '0s')`),
		},
		{
			rule: "an account of another book", constraint: "entries_account_known",
			sql: strings.ReplaceAll(raw(2, debit, credit), "VALUES ('2026-01-01', 2, 'acct_vallon'", "VALUES ('2026-01-01', 2, 'acct_other'"),
		},
		{
			rule: "a book that does not exist", constraint: "entries_account_known",
			sql: strings.ReplaceAll(raw(2, debit, credit), "VALUES ('2026-01-01', 2, 'acct_vallon'", "VALUES ('2026-01-01', 2, 'acct_nobody'"),
		},
		{
			rule: "another time in the entries", constraint: "entries_effective_at_same",
			sql: raw(2, debit, `(-100, '75411', 2, 'EUR', 'c', '', '1s')`),
		},
		{
			rule: "another nature of the account in the entries", constraint: "entries_nominal_same",
			sql: raw(2, debit, `(-100, '75411', 2, 'EUR', 'c', '', 'wrong')`),
		},
		{
			rule: "a currency that is no code", constraint: "entries_currency_code",
			sql: raw(2, `(100, '51212', 1, 'eur', 'c', '', '0s')`, `(-100, '75411', 2, 'eur', 'c', '', '0s')`),
		},
		{
			rule: "a campaign of no collective", constraint: "entries_campaign_of_collective",
			sql: raw(2, `(100, '51212', 1, 'EUR', '', 'x', '0s')`, `(-100, '75411', 2, 'EUR', '', 'x', '0s')`),
		},
		{
			rule: "entries of no transaction", constraint: "entries_transaction_known",
			sql: `INSERT INTO ledger.entries (transaction_id, amount, effective_at, account_id, line, nominal, currency, collective, campaign)
				SELECT 999999, v.amount, '2026-01-01', a.id, v.line, false, 'EUR', 'c', ''
				FROM ledger.accounts AS a CROSS JOIN (VALUES (1, 1), (-1, 2)) AS v (amount, line)
				WHERE a.code = '580' AND a.book = 'acct_vallon'`,
		},
		{rule: "entries added later, on new lines", constraint: "entries_complete", sql: fmt.Sprintf(lateEntry, "e.line + 4")},
		{rule: "entries added later, on the same lines", constraint: "entries_pkey", sql: fmt.Sprintf(lateEntry, "e.line")},
		{
			rule: "a reference again", constraint: "transactions_reference_key",
			sql: strings.ReplaceAll(raw(2, debit, credit), "'raw'", "'txn_1'"),
		},
		{
			rule: "an infinite time", constraint: "transactions_effective_at_finite",
			sql: strings.ReplaceAll(raw(2, debit, credit), "'2026-01-01'", "'infinity'"),
		},
		{
			rule: "the id of another database transaction", constraint: "transactions_xid_own", privilege: true,
			sql: `WITH t AS (
					INSERT INTO ledger.transactions (xid, effective_at, entry_count, book, reference, kind, fingerprint)
					VALUES ('1', '2026-01-01', 2, 'acct_vallon', 'old', 'donation', sha256('x')) RETURNING id, effective_at
				)
				INSERT INTO ledger.entries (transaction_id, amount, effective_at, account_id, line, nominal, currency, collective, campaign)
				SELECT t.id, v.amount, t.effective_at, a.id, v.line, false, 'EUR', 'c', ''
				FROM t JOIN ledger.accounts AS a ON a.code = '580' AND a.book = 'acct_vallon'
				CROSS JOIN (VALUES (1, 1), (-1, 2)) AS v (amount, line)`,
		},
		{
			rule: "entries of another database transaction", constraint: "entries_xid_own", privilege: true,
			sql: strings.NewReplacer("nominal, currency, collective, campaign)", "nominal, currency, collective, campaign, xid)",
				"v.collective, v.campaign", "v.collective, v.campaign, '1'").Replace(raw(2, debit, credit)),
		},
		{
			rule: "UPDATE of transactions", constraint: "transactions_append_only", privilege: true,
			sql: `UPDATE ledger.transactions SET kind = 'refund'`,
		},
		{
			rule: "UPDATE of entries", constraint: "entries_append_only", privilege: true,
			sql: `UPDATE ledger.entries SET amount = -amount`,
		},
		{
			rule: "UPDATE that meets no row", constraint: "entries_append_only", privilege: true,
			sql: `UPDATE ledger.entries SET amount = 1 WHERE false`,
		},
		{
			rule: "DELETE of transactions", constraint: "transactions_append_only", privilege: true,
			sql: `DELETE FROM ledger.transactions`,
		},
		{
			rule: "DELETE of entries", constraint: "entries_append_only", privilege: true,
			sql: `DELETE FROM ledger.entries`,
		},
		{
			rule: "TRUNCATE of transactions", constraint: "transactions_append_only", privilege: true,
			sql: `TRUNCATE ledger.transactions`,
		},
		{
			rule: "TRUNCATE of entries", constraint: "entries_append_only", privilege: true,
			sql: `TRUNCATE ledger.entries`,
		},
		{
			rule: "ON CONFLICT DO UPDATE", constraint: "transactions_append_only", privilege: true,
			sql: `INSERT INTO ledger.transactions (effective_at, entry_count, book, reference, kind, fingerprint)
				VALUES ('2026-01-01', 4, 'acct_vallon', 'txn_1', 'donation', sha256('x'))
				ON CONFLICT (book, reference) DO UPDATE SET kind = 'other'`,
		},
		{
			rule: "a renumbered account", constraint: "accounts_append_only", privilege: true,
			sql: `UPDATE ledger.accounts SET code = '1' WHERE code = '75411'`,
		},
		{
			rule: "a removed account", constraint: "accounts_append_only", privilege: true,
			sql: `DELETE FROM ledger.accounts WHERE code = '486'`,
		},
		{
			rule: "a book in another currency", constraint: "books_append_only", privilege: true,
			sql: `UPDATE ledger.books SET currency = 'USD'`,
		},
	} {
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
	t.Run("takes what is right, by the same SQL", func(t *testing.T) {
		if _, err := service.Exec(t.Context(), raw(2, debit, credit)); err != nil {
			t.Error(err)
		}
	})
	t.Run("keeps what was there", func(t *testing.T) { total(t, s, 2000) })
}

// refusedBy is the constraint that an error names, or its SQLSTATE.
func refusedBy(err error) string {
	var pgErr *pgconn.PgError
	if !errors.As(err, &pgErr) {
		return ""
	}
	if pgErr.ConstraintName != "" {
		return pgErr.ConstraintName
	}
	return pgErr.Code
}

// TestPostRefuses says how the refusals look to whoever posts.
func TestPostRefuses(t *testing.T) {
	s, pool := open(t)
	for _, c := range []struct {
		reason errs.Reason
		change func(*ledger.Transaction)
	}{
		{errorsv1.ErrorReason_UNBALANCED, func(t *ledger.Transaction) { t.Entries[0].Amount.Minor++ }},
		{errorsv1.ErrorReason_UNBALANCED, func(t *ledger.Transaction) { t.Entries[0].Amount.Currency = "USD" }},
		{errorsv1.ErrorReason_UNBALANCED, func(t *ledger.Transaction) { t.Entries[0].Collective = marseille }},
		{errorsv1.ErrorReason_TRANSACTION_EMPTY, func(t *ledger.Transaction) { t.Entries = nil }},
		{errorsv1.ErrorReason_TRANSACTION_TOO_LARGE, func(t *ledger.Transaction) { t.Entries = make([]ledger.Entry, 1<<15) }},
		{errorsv1.ErrorReason_ENTRY_ZERO, func(t *ledger.Transaction) { t.Entries[0].Amount.Minor = 0 }},
		{errorsv1.ErrorReason_ACCOUNT_UNKNOWN, func(t *ledger.Transaction) { t.Entries[0].Role = "treasure" }},
		{errorsv1.ErrorReason_ACCOUNT_UNKNOWN, func(t *ledger.Transaction) { t.Entries[0].Role, t.Entries[0].Code = "", "99" }},
		{errorsv1.ErrorReason_CURRENCY_INVALID, func(t *ledger.Transaction) {
			for i := range t.Entries {
				t.Entries[i].Amount.Currency = "euro"
			}
		}},
		{errorsv1.ErrorReason_REFERENCE_INVALID, func(t *ledger.Transaction) { t.Reference = "" }},
		{errorsv1.ErrorReason_REFERENCE_INVALID, func(t *ledger.Transaction) { t.Reference = strings.Repeat("x", 256) }},
		{errorsv1.ErrorReason_KIND_INVALID, func(t *ledger.Transaction) { t.Kind = "Donation to Marie" }},
		{errorsv1.ErrorReason_DIMENSIONS_INVALID, func(t *ledger.Transaction) { t.Entries[0].Campaign = "" }},
		{errorsv1.ErrorReason_DIMENSIONS_INVALID, func(t *ledger.Transaction) {
			for i := range t.Entries {
				t.Entries[i].Campaign = strings.Repeat("x", 65)
			}
		}},
		{errorsv1.ErrorReason_INVALID_VALUE, func(t *ledger.Transaction) { t.Reference = "a\x00b" }},
	} {
		wrong := donation("wrong", day(1), 100)
		c.change(&wrong)
		_, err := post(t.Context(), s, pool, donation("right", day(1), 100), wrong)
		if e := errs.As(err); e == nil || e.Code != codes.InvalidArgument || e.Reason != c.reason {
			t.Errorf("%s: %v", c.reason, err)
		}
	}
	t.Run("keeps nothing of a refused batch", func(t *testing.T) {
		if posted := mustPost(t, s, pool, donation("right", day(1), 100)); !posted[0] {
			t.Error("the reference was used up")
		}
	})
	t.Run("takes an account by its code", func(t *testing.T) {
		byCode := donation("by code", day(1), 100)
		byCode.Entries[0].Role, byCode.Entries[0].Code = "", "530"
		mustPost(t, s, pool, byCode)
		accounts, err := s.Accounts(t.Context(), book, vallon, day(2))
		if err != nil {
			t.Fatal(err)
		}
		if got := balances(accounts)["530"][money.EUR]; got != 100 {
			t.Errorf("the account has %d", got)
		}
	})
}

func balances(accounts []ledger.Account) map[string]map[money.Currency]int64 {
	all := map[string]map[money.Currency]int64{}
	for _, a := range accounts {
		for _, b := range a.Balances {
			if all[a.Code] == nil {
				all[a.Code] = map[money.Currency]int64{}
			}
			all[a.Code][b.Currency] = b.Minor
		}
	}
	return all
}
