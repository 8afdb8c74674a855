package ledger

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/money"
)

// StatementFilter says which entries a statement lists.
type StatementFilter struct {
	Book, Collective string
	// Account is a code.
	Account string
	// Start and End bound the effective time, Start included and End not. Zero: no bound.
	Start, End time.Time
	// Number is the last of the book's transactions to list. Zero: the last that is sealed.
	Number int64
}

// LinePosition is the key that lines are listed by. The zero value is before the first. The id of a transaction breaks
// ties of time, and the line those of a transaction.
type LinePosition struct {
	Effective     time.Time
	TransactionID int64
	Line          int16
}

// Statement is a page of an account's entries, in the order in which they happened.
type Statement struct {
	// Account has the balances before the page's first line.
	Account Account
	// Number is the last of the book's transactions that is listed. The next page keeps to it.
	Number int64
	Lines  []StatementLine
}

// StatementLine is an entry with the balance after it.
type StatementLine struct {
	TransactionID int64
	// Number is the transaction's in the book.
	Number    int64
	Reference string
	Kind      string
	Effective time.Time
	Line      int16
	Amount    money.Amount
	// Balance is the account's in the line's currency.
	Balance  money.Amount
	Campaign string
	// Donation is uuid.Nil when the entry belongs to none.
	Donation uuid.UUID
}

const statementAccountSQL = `
SELECT
	a.code,
	a.display_name,
	a.type
FROM ledger.accounts AS a
WHERE a.book = @book
	AND a.code = @account`

// atPositionSQL sums what happened at the very time of the last line, up to it. Balances before a time leave out
// everything of that very time. So the entries of that time that earlier pages listed are added here. entries_time_idx
// finds them.
const atPositionSQL = `
SELECT
	e.currency,
	sum(e.amount)::bigint
FROM ledger.entries AS e
JOIN ledger.seals AS s ON s.transaction_id = e.transaction_id AND s.number <= @number
JOIN ledger.accounts AS a ON a.id = e.account_id AND a.book = @book AND a.code = @account
WHERE e.collective = @collective
	AND e.effective_at = @after_at
	AND (e.transaction_id, e.line) <= (@after_id, @after_line)
GROUP BY e.currency
ORDER BY e.currency`

// The stored sums tell on which days the account has entries. One day more than the lines wanted is enough, since the
// first day may have none after the position. So a page reads neither the entries of other accounts nor a whole day's
// when that has many. It returns at most @count lines after the position, in the order of time, transaction and line.
// The days come from two places: the keys of stored sums, which balance_keys_key finds, and the tail, whose entries
// have no sum yet. entries_time_idx then finds the entries of each day. Only transactions with a number up to @number
// are listed, which seals_transaction_key tells.
const statementSQL = positionPart + tailPart + tailEndPart + `,
account AS (
	SELECT a.id
	FROM ledger.accounts AS a
	WHERE a.book = @book
		AND a.code = @account
),
days AS (
	SELECT d.day
	FROM (
		SELECT k.starts_on AS day
		FROM ledger.balance_keys AS k
		WHERE k.collective = @collective
			AND k.span = 'day'
			AND k.starts_on >= (@from::timestamptz AT TIME ZONE 'UTC')::date
			AND k.starts_on <= (@end::timestamptz AT TIME ZONE 'UTC')::date
			AND k.account_id = (SELECT a.id FROM account AS a)
			AND EXISTS (
				SELECT
				FROM ledger.balances AS b
				WHERE b.key_id = k.id
					AND b.number <= @stored
			)
		UNION
		SELECT (t.effective_at AT TIME ZONE 'UTC')::date
		FROM tail AS t
		WHERE t.account_id = (SELECT a.id FROM account AS a)
			AND t.effective_at >= @from::timestamptz
			AND t.effective_at < @end::timestamptz
	) AS d
	ORDER BY d.day
	LIMIT @count::bigint + 1
)
SELECT
	e.transaction_id,
	e.number,
	t.reference,
	t.kind,
	e.effective_at,
	e.line,
	e.amount,
	e.currency,
	e.campaign,
	e.donation
FROM days AS d
CROSS JOIN LATERAL (
	SELECT
		e.transaction_id,
		s.number,
		e.effective_at,
		e.line,
		e.amount,
		e.currency,
		e.campaign,
		e.donation
	FROM ledger.entries AS e
	CROSS JOIN LATERAL (
		SELECT s.number
		FROM ledger.seals AS s
		WHERE s.transaction_id = e.transaction_id
			AND s.number <= @number
		OFFSET 0
	) AS s
	WHERE e.collective = @collective
		AND e.effective_at >= greatest(d.day::timestamp AT TIME ZONE 'UTC', @from::timestamptz)
		AND e.effective_at < least((d.day + 1)::timestamp AT TIME ZONE 'UTC', @end::timestamptz)
		AND e.account_id = (SELECT a.id FROM account AS a)
		AND (e.effective_at, e.transaction_id, e.line) > (@after_at, @after_id, @after_line)
	ORDER BY
		e.effective_at,
		e.transaction_id,
		e.line
	LIMIT @count
) AS e
JOIN ledger.transactions AS t ON t.id = e.transaction_id
ORDER BY
	e.effective_at,
	e.transaction_id,
	e.line
LIMIT @count`

// Statement lists at most count entries of an account in one collective's share, oldest first, from after the position
// on, each with the balance after it. It lists what is sealed, up to a number. So whatever arrives between two pages,
// including back-dated entries, the second begins where the first ended. Its cost does not grow with the history.
//
// Errors: NOT_FOUND when the book has no such account; INVALID_ARGUMENT on at_number when the book has fewer
// transactions.
func (s *Service) Statement(ctx context.Context, f StatementFilter, after LinePosition, count int) (*Statement, error) {
	last, err := s.lastNumber(ctx, f.Book)
	if err != nil {
		return nil, err
	}
	if f.Number > last {
		return nil, errs.Invalid("at_number", "must be %d at most, the last number of the book", last)
	}
	st := &Statement{Number: cmp.Or(f.Number, last)}
	// The first page begins before every entry: -infinity stands for no position and for no start.
	args := pgx.NamedArgs{
		"book": f.Book, "collective": f.Collective, "account": f.Account, "number": st.Number, "end": endOf(f.End), "count": count,
		"from": startOf(f.Start), "after_at": startOf(time.Time{}), "after_id": after.TransactionID, "after_line": after.Line,
	}
	// The days before the position are not read again. A position is never before the filter's start.
	if after != (LinePosition{}) {
		args["from"], args["after_at"] = startOf(after.Effective), startOf(after.Effective)
	}
	account := &st.Account
	// An account without lines is an empty page, one that does not exist is NOT_FOUND.
	if err := s.pool.QueryRow(ctx, statementAccountSQL, args).Scan(&account.Code, &account.DisplayName, &account.Type); err != nil {
		if errors.Is(err, pgx.ErrNoRows) {
			return nil, errs.NotFound(accountName("collectives/"+f.Collective, f.Account))
		}
		return nil, postgres.Error(err)
	}
	// Number zero would be no bound; a book without numbers has nothing to list.
	if st.Number == 0 {
		return st, nil
	}
	bounds, err := s.boundsOf(ctx, f.Book, st.Number)
	if err != nil {
		return nil, err
	}
	// The bounds are those of the number, which pages after this one keep to.
	maps.Copy(args, bounds)
	if account.Balances, err = s.opening(ctx, f, st.Number, after, args); err != nil {
		return nil, err
	}
	st.Lines, err = s.statementLines(ctx, account.Balances, args)
	return st, err
}

// opening returns the balance of the account before the first line of a page.
func (s *Service) opening(ctx context.Context, f StatementFilter, number int64, after LinePosition, args pgx.NamedArgs) ([]money.Amount, error) {
	// The first page opens with the balance before the filter's start, a later one with that before its position.
	before := f.Start
	if after != (LinePosition{}) {
		before = after.Effective
	}
	// Without a start the first page begins with the first entry, and opens with no balance.
	if before.IsZero() {
		return nil, nil
	}
	accounts, err := s.AccountsAt(ctx, AccountsFilter{Book: f.Book, Collective: f.Collective, End: before, Number: number})
	if err != nil {
		return nil, err
	}
	var balances []money.Amount
	for _, a := range accounts {
		if a.Code == f.Account {
			balances = a.Balances
		}
	}
	if after == (LinePosition{}) {
		return balances, nil
	}
	// Balances at the position's time are still without what happened at that time.
	rows, err := s.pool.Query(ctx, atPositionSQL, args)
	if err != nil {
		return nil, postgres.Error(err)
	}
	var amount money.Amount
	_, err = pgx.ForEachRow(rows, []any{&amount.Currency, &amount.Minor}, func() error {
		_, balances = addTo(balances, amount)
		return nil
	})
	return balances, postgres.Error(err)
}

// statementLines reads the lines of a page and adds each to the balance of its currency, beginning with the opening
// balances.
func (s *Service) statementLines(ctx context.Context, opening []money.Amount, args pgx.NamedArgs) ([]StatementLine, error) {
	rows, err := s.pool.Query(ctx, statementSQL, args)
	if err != nil {
		return nil, postgres.Error(err)
	}
	// The caller's opening balances stay as they are. The running balance has a place for each currency.
	running := append([]money.Amount(nil), opening...)
	var lines []StatementLine
	var l StatementLine
	var donation pgtype.UUID
	_, err = pgx.ForEachRow(rows, []any{
		&l.TransactionID, &l.Number, &l.Reference, &l.Kind, &l.Effective, &l.Line,
		&l.Amount.Minor, &l.Amount.Currency, &l.Campaign, &donation,
	}, func() error {
		l.Donation = uuid.UUID(donation.Bytes)
		l.Balance, running = addTo(running, l.Amount)
		lines = append(lines, l)
		return nil
	})
	return lines, postgres.Error(err)
}

// addTo adds to the balance of the same currency. Sums of bigint that the database could make do not overflow.
func addTo(balances []money.Amount, amount money.Amount) (money.Amount, []money.Amount) {
	// An account has few currencies, so a list is enough.
	for i := range balances {
		if balances[i].Currency == amount.Currency {
			balances[i].Minor += amount.Minor
			return balances[i], balances
		}
	}
	return amount, append(balances, amount)
}
