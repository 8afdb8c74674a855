package ledger

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/money"
)

// Filter says which entries of a [View] to read.
type Filter struct {
	// Collective is a slug. Empty: what belongs to no collective.
	Collective string
	// Book is required without a collective, and not read with one.
	Book string
	// Start and End bound the effective time, Start included and End not. Zero: no bound.
	Start, End time.Time
	// InSealOrder gives only what is sealed, in the order of sealing instead of that of effective time. So every later
	// reading begins with the same entries, and new ones come at the end.
	InSealOrder bool
}

// EntryRow is an entry with what it needs of its transaction.
type EntryRow struct {
	TransactionID int64
	Reference     string
	Kind          string
	Effective     time.Time
	Recorded      time.Time
	// Sealed is when the first checkpoint was signed that has the transaction; zero unless the order is that of sealing.
	Sealed time.Time
	// Corrects is the reference of the transaction that this one reverses or reclassifies; empty for others, and unless the
	// order is that of sealing.
	Corrects string
	// Line counts the entries of the transaction from 1. Lines of other collectives are missing.
	Line int16
	// Type is the account's.
	Type AccountType
	PostedEntry
}

const streamColumns = `
SELECT
	t.id,
	t.reference,
	t.kind,
	t.effective_at,
	t.recorded_at,
	e.line,
	a.type,
	a.code,
	a.display_name,
	e.amount,
	e.currency,
	e.campaign,
	e.donation`

const fromPart = `
FROM ledger.entries AS e
JOIN ledger.transactions AS t ON t.id = e.transaction_id
JOIN ledger.accounts AS a ON a.id = e.account_id`

// ofSharePart bounds the entries to a share, a span of time and a watermark. Without a collective the entries that
// belong to none are in every book, so the book counts; with one it does not, since a collective that has changed its
// Stripe account has entries in two books. entries_time_idx serves the collective and the span.
const ofSharePart = `
WHERE e.collective = @collective
	AND e.effective_at >= @start
	AND e.effective_at < @end
	AND (@collective <> '' OR t.book = @book)
	AND pg_visible_in_snapshot(t.xid, @watermark)`

const fromShare = fromPart + ofSharePart

const streamSQL = streamColumns + `,
	NULL::timestamptz,
	''` + fromShare + `
ORDER BY
	e.effective_at,
	e.transaction_id,
	e.line`

// sealPart finds the first checkpoint of the watermark's that has the transaction in it. Several transactions that are
// sealed together have one checkpoint, so the smallest one that reaches the number is theirs. A transaction whose
// checkpoint is younger than the watermark has no row, and the join leaves it out.
const sealPart = `
	SELECT c.signed_at
	FROM ledger.seals AS s
	JOIN ledger.checkpoints AS c
		ON c.book = s.book
		AND c.size >= s.number
		AND pg_visible_in_snapshot(c.xid, @watermark)
	WHERE s.transaction_id = t.id
	ORDER BY c.size
	LIMIT 1`

// A correction of a correction names the first original. It has CASE where coalesce would be shorter: under row-level
// security a condition with coalesce is none of an index.
const streamInSealOrderSQL = streamColumns + `,
	k.signed_at,
	coalesce(oo.reference, o.reference, '')` + fromPart + `
CROSS JOIN LATERAL (` + sealPart + `
) AS k
LEFT JOIN ledger.reversals AS r ON r.transaction_id = t.id
LEFT JOIN ledger.reclassifications AS m ON m.transaction_id = t.id
LEFT JOIN ledger.transactions AS o ON o.id = CASE WHEN r.original_id IS NULL THEN m.original_id ELSE r.original_id END
LEFT JOIN ledger.reclassifications AS mm ON mm.transaction_id = o.id
LEFT JOIN ledger.transactions AS oo ON oo.id = mm.original_id` + ofSharePart + `
ORDER BY
	t.xid,
	t.id,
	e.line`

func (v *View) arguments(f Filter) pgx.NamedArgs {
	return pgx.NamedArgs{
		"collective": f.Collective, "book": f.Book, "start": startOf(f.Start), "end": endOf(f.End), "watermark": string(v.watermark),
	}
}

// StreamEntries calls fn for each entry of a collective's share, oldest first by effective time,
// then by transaction and line, or in the order of sealing. It holds one row at a time, whatever
// the size. The row is reused: fn copies what it keeps. An error of fn ends the stream and comes back
// as it is.
//
// It is no position to go on from: a transaction that was not committed yet, or one that is
// back-dated, can appear in a later view before rows that were read. Read a span again, as a whole.
func (v *View) StreamEntries(ctx context.Context, f Filter, fn func(*EntryRow) error) error {
	statement := streamSQL
	if f.InSealOrder {
		statement = streamInSealOrderSQL
	}
	rows, err := v.tx.Query(ctx, statement, v.arguments(f))
	if err != nil {
		return postgres.Error(err)
	}
	defer rows.Close()
	var (
		row    EntryRow
		e      rawEntry
		sealed pgtype.Timestamptz
	)
	targets := []any{
		&row.TransactionID, &row.Reference, &row.Kind, &row.Effective, &row.Recorded, &row.Line, &row.Type,
		&e.code, &e.displayName, &e.minor, &e.currency, &e.campaign, &e.donation, &sealed, &row.Corrects,
	}
	for rows.Next() {
		if err := rows.Scan(targets...); err != nil {
			return postgres.Error(err)
		}
		row.Sealed, row.PostedEntry = sealed.Time, e.entry()
		if err := fn(&row); err != nil {
			return err
		}
	}
	return postgres.Error(rows.Err())
}

// It reads the index alone. So it also counts what the watermark would leave out, and what belongs to no collective in
// every book.
const countSQL = `
SELECT count(*)
FROM ledger.entries AS e
WHERE e.collective = @collective
	AND e.effective_at >= @start
	AND e.effective_at < @end`

// CountEntries returns about how many entries StreamEntries will give, for a progress bar.
func (v *View) CountEntries(ctx context.Context, f Filter) (n int64, err error) {
	arguments := v.arguments(f)
	delete(arguments, "watermark")
	err = v.tx.QueryRow(ctx, countSQL, arguments).Scan(&n)
	return n, postgres.Error(err)
}

// Opening is the balance of one account in one currency before a span of time, and how many entries the span has.
type Opening struct {
	Account
	// Before is the sum of the entries before the filter's start.
	Before money.Amount
	// Entries is how many there are from the filter's start to its end.
	Entries int64
}

// openingsSQL adds up, for each account and currency, what happened before a day, and counts what happened from that
// day on. @start is -infinity here, so the sum has all of the past. With @sealed only what is sealed counts.
const openingsSQL = `
SELECT
	a.code,
	a.display_name,
	a.type,
	e.currency,
	coalesce(sum(e.amount) FILTER (WHERE e.effective_at < @from), 0)::bigint,
	count(*) FILTER (WHERE e.effective_at >= @from)` + fromShare + `
	AND (NOT @sealed OR EXISTS (` + sealPart + `
	))
GROUP BY
	a.id,
	e.currency
ORDER BY
	a.code,
	a.id,
	e.currency`

// Openings sums the entries up to the filter's end by account and currency, in the order of the accounts' codes. It
// reads them all, once. The Balances of the accounts are empty.
func (v *View) Openings(ctx context.Context, f Filter) ([]Opening, error) {
	arguments := v.arguments(f)
	arguments["from"], arguments["start"], arguments["sealed"] = startOf(f.Start), startOf(time.Time{}), f.InSealOrder
	rows, err := v.tx.Query(ctx, openingsSQL, arguments)
	if err != nil {
		return nil, postgres.Error(err)
	}
	openings, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (m Opening, err error) {
		err = row.Scan(&m.Code, &m.DisplayName, &m.Type, &m.Before.Currency, &m.Before.Minor, &m.Entries)
		return m, err
	})
	return openings, postgres.Error(err)
}
