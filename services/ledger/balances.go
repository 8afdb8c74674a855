package ledger

import (
	"context"
	"math"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/money"
)

// tailPart reads the entries of a book after the balance checkpoint, up to a bound or to the end, sealed or not. The
// order and the OFFSET make Postgres use the two indexes: it cannot know how short the tail is. It is one of the parts
// that the statements below are put together from. It stays open at its end, so that a condition on the campaign can
// follow; tailEndPart closes it. transactions_seal_idx has the transactions in their order, entries_pkey the entries of
// each. A bound is the largest position there is when nothing bounds the tail.
const tailPart = `
tail AS (
	SELECT
		e.account_id,
		e.currency,
		e.amount,
		e.effective_at
	FROM (
		SELECT t.id
		FROM ledger.transactions AS t
		WHERE t.book = @book
			AND (t.xid, t.id) > (
				(SELECT p.xid FROM position AS p),
				(SELECT p.id FROM position AS p)
			)
			AND (t.xid, t.id) <= (@upto_xid, @upto_id)
		ORDER BY
			t.book,
			t.xid,
			t.id
		OFFSET 0
	) AS t
	CROSS JOIN LATERAL (
		SELECT
			e.account_id,
			e.currency,
			e.amount,
			e.effective_at
		FROM ledger.entries AS e
		WHERE e.transaction_id = t.id
			AND e.collective = @collective`

const tailEndPart = `
		OFFSET 0
	) AS e
)`

// The condition on the campaign, for entries and for keys.
const (
	entryOfCampaignPart = `
			AND e.campaign = @campaign`
	keyOfCampaignPart = `
		AND k.campaign = @campaign`
)

// positionPart is one row: where the balance checkpoint stands, or a place before every transaction when there is none.
// seals_pkey finds the seal by the book and the number. It begins the statement, and tailPart follows it. It has the coalesce
// that tailPart must do without: under row-level security a condition with coalesce is none of an index.
const positionPart = `
WITH position AS (
	SELECT
		coalesce(n.xid, '0') AS xid,
		coalesce(n.id, 0) AS id
	FROM (VALUES (1)) AS one (row)
	LEFT JOIN (
		SELECT
			t.xid,
			t.id
		FROM ledger.seals AS s
		JOIN ledger.transactions AS t ON t.id = s.transaction_id
		WHERE s.book = @book
			AND s.number = @stored
	) AS n ON true
),`

// A chart has some dozens of accounts. Every account of the book is returned, sorted by code, with a row for each
// currency. An account without entries has one row with an empty currency and the sum 0. A collective that has changed
// its Stripe account has keys and entries in other books too. The join leaves them out, since their accounts are not of
// this book.
const sumAccountsPart = `
SELECT
	a.code,
	a.display_name,
	a.type,
	coalesce(b.currency, ''),
	coalesce(b.balance, 0)
FROM ledger.accounts AS a
LEFT JOIN (
	SELECT
		p.account_id,
		p.currency,
		sum(p.amount)::bigint AS balance
	FROM parts AS p
	GROUP BY
		p.account_id,
		p.currency
) AS b ON b.account_id = a.id
WHERE a.book = @book
ORDER BY
	a.code COLLATE "C",
	b.currency`

// allKeysPart begins the keys whose stored sums are added up: those of all of time. It stays open for a condition on
// the campaign; storedPart closes it.
const allKeysPart = `,
keys AS (
	SELECT
		k.id,
		k.account_id,
		k.currency
	FROM ledger.balance_keys AS k
	WHERE k.collective = @collective
		AND k.span = 'all'`

// yearKeysPart begins the keys for a time in the past. It takes the whole years before the year of that time,
// monthKeysPart the whole months of that year before its month, dayKeysPart the whole days of that month before its
// day. The three spans do not overlap and leave only a part of one day. balance_keys_key serves each, since it begins
// with the collective, the span and the first day.
const yearKeysPart = `,
keys AS (
	SELECT
		k.id,
		k.account_id,
		k.currency
	FROM ledger.balance_keys AS k
	WHERE k.collective = @collective
		AND k.span = 'year'
		AND k.starts_on < @year::date`

const monthKeysPart = `
	UNION ALL
	SELECT
		k.id,
		k.account_id,
		k.currency
	FROM ledger.balance_keys AS k
	WHERE k.collective = @collective
		AND k.span = 'month'
		AND k.starts_on >= @year::date
		AND k.starts_on < @month::date`

const dayKeysPart = `
	UNION ALL
	SELECT
		k.id,
		k.account_id,
		k.currency
	FROM ledger.balance_keys AS k
	WHERE k.collective = @collective
		AND k.span = 'day'
		AND k.starts_on >= @month::date
		AND k.starts_on < @day::date`

// storedPart takes the newest stored sum of each key up to the balance checkpoint, and the tail. balances_pkey serves
// the look-up of one sum, and has the balance in it. A sum that was stored after the bound, or by a sealer since the
// bound was read, has a larger number and is not taken.
const storedPart = `
),
parts AS (
	SELECT
		k.account_id,
		k.currency,
		n.balance AS amount
	FROM keys AS k
	CROSS JOIN LATERAL (
		SELECT b.balance
		FROM ledger.balances AS b
		WHERE b.key_id = k.id
			AND b.number <= @stored
		ORDER BY b.number DESC
		LIMIT 1
	) AS n
	UNION ALL
	SELECT
		t.account_id,
		t.currency,
		t.amount
	FROM tail AS t`

// partOfDayPart reads the entries of the last, incomplete day. Without a bound the index alone is enough. The tail
// counts only what happened before that day, and here everything of the day is read, sealed or not, so no entry counts
// twice. entries_time_idx finds the entries of the collective in the part of the day.
const partOfDayPart = `
	WHERE t.effective_at < @day_start::timestamptz
	UNION ALL
	SELECT
		e.account_id,
		e.currency,
		e.amount
	FROM ledger.entries AS e
	WHERE e.collective = @collective
		AND e.effective_at >= @day_start::timestamptz
		AND e.effective_at < @end::timestamptz
		AND (NOT @bounded OR EXISTS (
			SELECT
			FROM ledger.transactions AS t
			WHERE t.id = e.transaction_id
				AND (t.xid, t.id) <= (@upto_xid, @upto_id)
		))`

const partsEndPart = `
)`

// accountsNowSQL adds up all of time: one stored sum for each key and the tail. campaignNowSQL is the same for one
// campaign.
const accountsNowSQL = positionPart + tailPart + tailEndPart + allKeysPart + storedPart + partsEndPart + sumAccountsPart

const campaignNowSQL = positionPart + tailPart + entryOfCampaignPart + tailEndPart +
	allKeysPart + keyOfCampaignPart + storedPart + partsEndPart + sumAccountsPart

// accountsBeforeSQL adds up whole years, months and days before the time, the entries of its own day, and of the tail
// what happened before that day.
const accountsBeforeSQL = positionPart + tailPart + tailEndPart + yearKeysPart + monthKeysPart + dayKeysPart +
	storedPart + partOfDayPart + partsEndPart + sumAccountsPart

// campaignBeforeSQL is the same for one campaign: each of the three kinds of keys, the tail and the part of the day
// have the condition.
const campaignBeforeSQL = positionPart + tailPart + entryOfCampaignPart + tailEndPart +
	yearKeysPart + keyOfCampaignPart + monthKeysPart + keyOfCampaignPart + dayKeysPart + keyOfCampaignPart +
	storedPart + partOfDayPart + entryOfCampaignPart + partsEndPart + sumAccountsPart

// AccountsFilter says which balances to read.
type AccountsFilter struct {
	Book string
	// Collective is a slug. Empty: what belongs to no collective.
	Collective string
	// Campaign is a slug. Empty: the whole share.
	Campaign string
	// End bounds the effective time: only entries from before it count. Zero: no bound.
	End time.Time
	// Number bounds the order of sealing: only the book's first so many transactions count. Zero: all, including those that
	// have no number yet.
	Number int64
}

// It is the last row of seals_pkey for the book.
const lastNumberSQL = `
SELECT coalesce(max(s.number), 0)
FROM ledger.seals AS s
WHERE s.book = @book`

// lastNumber returns how many transactions of the book are sealed.
func (s *Service) lastNumber(ctx context.Context, book string) (n int64, err error) {
	err = s.pool.QueryRow(ctx, lastNumberSQL, pgx.NamedArgs{"book": book}).Scan(&n)
	return n, postgres.Error(err)
}

// boundsSQL finds the newest balance checkpoint up to the number, and where the transaction of that number stands. It
// always returns one row: the position is NULL when no transaction has the number, as without a bound.
// balance_checkpoints_pkey and seals_pkey serve the two look-ups.
const boundsSQL = `
SELECT
	coalesce((
		SELECT max(b.number)
		FROM ledger.balance_checkpoints AS b
		WHERE b.book = @book
			AND b.number <= @number
	), 0),
	n.xid,
	n.id
FROM (VALUES (1)) AS one (row)
LEFT JOIN (
	SELECT
		t.xid,
		t.id
	FROM ledger.seals AS s
	JOIN ledger.transactions AS t ON t.id = s.transaction_id
	WHERE s.book = @book
		AND s.number = @number
) AS n ON true`

// boundsOf returns the arguments that bound what a statement adds up: the number of the balance checkpoint to begin
// with, and where the tail ends.
func (s *Service) boundsOf(ctx context.Context, book string, number int64) (pgx.NamedArgs, error) {
	// Without a bound the newest balance checkpoint is taken.
	args := pgx.NamedArgs{"book": book, "number": int64(math.MaxInt64), "bounded": number > 0}
	if number > 0 {
		last, err := s.lastNumber(ctx, book)
		if err != nil {
			return nil, err
		}
		if number > last {
			return nil, errs.Invalid("at_number", "must be %d at most, the last number of the book", last)
		}
		args["number"] = number
	}
	var stored int64
	var xid pgtype.Uint64
	var id pgtype.Int8
	if err := s.pool.QueryRow(ctx, boundsSQL, args).Scan(&stored, &xid, &id); err != nil {
		return nil, postgres.Error(err)
	}
	// No transaction has the largest number, so nothing bounds the tail: its end is the largest position.
	if !xid.Valid {
		xid, id = pgtype.Uint64{Uint64: math.MaxUint64, Valid: true}, pgtype.Int8{Int64: math.MaxInt64, Valid: true}
	}
	// A sealer may store balances before the caller's statement runs. The caller still reads the sums up to this number
	// and the tail after it, so nothing counts twice and nothing is left out.
	args["stored"], args["upto_xid"], args["upto_id"] = stored, xid, id
	return args, nil
}

// Accounts is [Service.AccountsAt] for the whole share of a collective, with everything that was written.
func (s *Service) Accounts(ctx context.Context, book, collective string, end time.Time) ([]Account, error) {
	return s.AccountsAt(ctx, AccountsFilter{Book: book, Collective: collective, End: end})
}

// AccountsAt returns the accounts of a book by code, with the balances of one collective's share. Currencies are never
// summed together. A book that does not exist has no accounts.
//
// It adds up stored balances and the tail after them. So its cost does not grow with the history, but with the
// accounts, the campaigns and, for a time in the past, the entries of that one day.
//
// Errors: INVALID_ARGUMENT on at_number when the book has fewer transactions.
func (s *Service) AccountsAt(ctx context.Context, f AccountsFilter) ([]Account, error) {
	args, err := s.boundsOf(ctx, f.Book, f.Number)
	if err != nil {
		return nil, err
	}
	// There are four statements: with and without a campaign, for now and for a time in the past.
	args["collective"], args["campaign"] = f.Collective, f.Campaign
	statement := accountsNowSQL
	if f.Campaign != "" {
		statement = campaignNowSQL
	}
	if !f.End.IsZero() {
		if statement = accountsBeforeSQL; f.Campaign != "" {
			statement = campaignBeforeSQL
		}
		// The spans of stored sums are cut in UTC, whatever the collective's time zone.
		year, month, day := f.End.UTC().Date()
		args["end"] = f.End
		args["year"] = time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC)
		args["month"] = time.Date(year, month, 1, 0, 0, 0, 0, time.UTC)
		args["day"] = time.Date(year, month, day, 0, 0, 0, 0, time.UTC)
		// It is the same day under a second name: the statement needs it as a date and as an instant, and an argument has one
		// type.
		args["day_start"] = args["day"]
	}
	rows, err := s.pool.Query(ctx, statement, args)
	if err != nil {
		return nil, postgres.Error(err)
	}
	var (
		accounts []Account
		a        Account
		currency string
		minor    int64
	)
	if _, err := pgx.ForEachRow(rows, []any{&a.Code, &a.DisplayName, &a.Type, &currency, &minor}, func() error {
		// The rows of one account follow one another, one for each currency.
		if n := len(accounts); n == 0 || accounts[n-1].Code != a.Code {
			accounts = append(accounts, a)
		}
		if currency != "" {
			last := &accounts[len(accounts)-1]
			last.Balances = append(last.Balances, money.Amount{Minor: minor, Currency: money.Currency(currency)})
		}
		return nil
	}); err != nil {
		return nil, postgres.Error(err)
	}
	return accounts, nil
}

// startOf and endOf turn a bound that is not given into one that excludes nothing.
func startOf(t time.Time) pgtype.Timestamptz { return bound(t, pgtype.NegativeInfinity) }

func endOf(t time.Time) pgtype.Timestamptz { return bound(t, pgtype.Infinity) }

func bound(t time.Time, open pgtype.InfinityModifier) pgtype.Timestamptz {
	if t.IsZero() {
		return pgtype.Timestamptz{InfinityModifier: open, Valid: true}
	}
	return pgtype.Timestamptz{Time: t, Valid: true}
}

// roleBalanceSQL adds up the stored sums and the tail after them in one statement. One statement sees one snapshot, so
// the newest balance checkpoint, the sums and the tail fit together. balance_keys_all_idx finds the keys of the
// account, whatever the collective. transactions_seal_idx finds the tail, after a position as in positionPart.
const roleBalanceSQL = `
WITH role AS (
	SELECT r.account_id
	FROM ledger.roles AS r
	WHERE r.book = @book
		AND r.role = @role
),
stored AS (
	SELECT
		coalesce(n.number, 0) AS number,
		coalesce(n.xid, '0') AS xid,
		coalesce(n.id, 0) AS id
	FROM (VALUES (1)) AS one (row)
	LEFT JOIN (
		SELECT
			b.number,
			t.xid,
			t.id
		FROM ledger.balance_checkpoints AS b
		JOIN ledger.seals AS s ON s.book = b.book AND s.number = b.number
		JOIN ledger.transactions AS t ON t.id = s.transaction_id
		WHERE b.book = @book
		ORDER BY b.number DESC
		LIMIT 1
	) AS n ON true
),
parts AS (
	SELECT
		k.currency,
		n.balance AS amount
	FROM role AS r
	JOIN ledger.balance_keys AS k ON k.account_id = r.account_id AND k.span = 'all'
	CROSS JOIN LATERAL (
		SELECT b.balance
		FROM ledger.balances AS b
		WHERE b.key_id = k.id
			AND b.number <= (SELECT p.number FROM stored AS p)
		ORDER BY b.number DESC
		LIMIT 1
	) AS n
	UNION ALL
	SELECT
		e.currency,
		e.amount
	FROM ledger.transactions AS t
	JOIN ledger.entries AS e ON e.transaction_id = t.id
	JOIN role AS r ON r.account_id = e.account_id
	WHERE t.book = @book
		AND (t.xid, t.id) > (
			(SELECT p.xid FROM stored AS p),
			(SELECT p.id FROM stored AS p)
		)
)
SELECT
	p.currency,
	sum(p.amount)::bigint
FROM parts AS p
GROUP BY p.currency`

// RoleBalance returns what the account of a role has in a whole book, of all collectives and of none, by currency and
// in minor units. It adds up stored balances and the tail, as [Service.AccountsAt] does.
func (s *Service) RoleBalance(ctx context.Context, book string, role AccountRole) (map[money.Currency]int64, error) {
	// A role that the book does not have gives no row, and so an empty map.
	rows, err := s.pool.Query(ctx, roleBalanceSQL, pgx.NamedArgs{"book": book, "role": string(role)})
	if err != nil {
		return nil, postgres.Error(err)
	}
	balance := map[money.Currency]int64{}
	var currency money.Currency
	var minor int64
	_, err = pgx.ForEachRow(rows, []any{&currency, &minor}, func() error {
		balance[currency] = minor
		return nil
	})
	return balance, postgres.Error(err)
}
