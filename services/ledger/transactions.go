package ledger

import (
	"context"
	"math"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/money"
)

// Posted is a transaction as one collective sees it: with the entries of that collective.
type Posted struct {
	// ID is unique among all books. Its order means nothing.
	ID        int64
	Reference string
	Kind      string
	Effective time.Time
	Recorded  time.Time
	// Reverses is the id of the transaction that this one reverses; zero when it is not a reversal.
	Reverses int64
	// Reclassifies is the id of the transaction that this one reclassifies; zero when it is not a reclassification.
	Reclassifies int64
	// Conversion is nil when nothing was converted, or the conversion is not known.
	Conversion *Conversion
	Entries    []PostedEntry
}

// PostedEntry is an entry with its account resolved.
type PostedEntry struct {
	Code        string
	DisplayName string
	Amount      money.Amount
	Campaign    string
	// Donation is uuid.Nil when the entry belongs to none.
	Donation uuid.UUID
}

// TransactionFilter says which transactions of a collective's share to list.
type TransactionFilter struct {
	// Book is required with Kind or Reference, and without a collective.
	Book string
	// Collective is a slug. Empty: what belongs to no collective.
	Collective string
	// Campaign is a slug. Not empty: only transactions with an entry for it.
	Campaign string
	// Account is a code. Not empty: only transactions with an entry on it.
	Account string
	// Kind, when not empty, is the transactions' own.
	Kind string
	// Reference, when not empty, is the whole reference of the one transaction to find.
	Reference string
	// Start and End bound the effective time, Start included and End not. Zero: no bound.
	Start, End time.Time
}

// Position is the key by which transactions are listed. The zero value is before the newest.
type Position struct {
	Effective time.Time
	ID        int64
}

// foundEntryPart is the entry that a transaction needs to be found: one of the collective's that matches the whole
// filter. It begins with the WHERE of a search for entries, and each statement adds its own conditions behind. Empty
// arguments bound nothing. Without a collective the book must be asked for, since entries that belong to none are in
// every book.
const foundEntryPart = `
WHERE e.collective = @collective
		AND e.effective_at >= @start
		AND e.effective_at < @end
		AND (e.effective_at, e.transaction_id) < (@before_at, @before_id)
		AND (@campaign = '' OR e.campaign = @campaign)
		AND (@account = '' OR e.account_id IN (
			SELECT a.id
			FROM ledger.accounts AS a
			WHERE a.code = @account
		))
		AND (@collective <> '' OR e.account_id IN (
			SELECT a.id
			FROM ledger.accounts AS a
			WHERE a.book = @book
		))`

// It reads entries_time_idx backwards until there are enough transactions. A transaction has several entries of a
// collective, so DISTINCT keeps it once. The list stops at @count transactions, not at @count entries.
const transactionsSQL = `
WITH found AS (
	SELECT DISTINCT
		e.effective_at,
		e.transaction_id
	FROM ledger.entries AS e` + foundEntryPart + `
	ORDER BY
		e.effective_at DESC,
		e.transaction_id DESC
	LIMIT @count
)` + listedPart

// As above, with the kind of the transaction. There are enough donations to read on until they come.
const donationsSQL = `
WITH found AS (
	SELECT DISTINCT
		e.effective_at,
		e.transaction_id
	FROM ledger.entries AS e
	JOIN ledger.transactions AS t ON t.id = e.transaction_id AND t.kind = @kind` + foundEntryPart + `
	ORDER BY
		e.effective_at DESC,
		e.transaction_id DESC
	LIMIT @count
)` + listedPart

// It reads transactions_kind_idx backwards until there are enough. The condition that the kind is not 'donation' is
// that of the index, which Postgres must find in the statement to use it. entries_pkey serves the search for an entry
// of the collective.
const kindSQL = `
WITH found AS (
	SELECT
		t.effective_at,
		t.id AS transaction_id
	FROM ledger.transactions AS t
	WHERE t.book = @book
		AND t.kind = @kind
		AND t.kind <> 'donation'
		AND t.effective_at >= @start
		AND t.effective_at < @end
		AND (t.effective_at, t.id) < (@before_at, @before_id)
		AND EXISTS (
			SELECT
			FROM ledger.entries AS e` + foundEntryPart + `
				AND e.transaction_id = t.id
		)
	ORDER BY
		t.effective_at DESC,
		t.id DESC
	LIMIT @count
)` + listedPart

// referenceSQL finds one transaction at most, by transactions_reference_key. The other conditions still count: a
// reference of another collective finds nothing.
const referenceSQL = `
WITH found AS (
	SELECT
		t.effective_at,
		t.id AS transaction_id
	FROM ledger.transactions AS t
	WHERE t.book = @book
		AND t.reference = @reference
		AND (@kind = '' OR t.kind = @kind)
		AND EXISTS (
			SELECT
			FROM ledger.entries AS e` + foundEntryPart + `
				AND e.transaction_id = t.id
		)
	LIMIT @count
)` + listedPart

// listedPart returns the transactions that were found, with the entries of the collective alone and what links and
// conversions say. The joins of links and conversions are by their primary keys and add no rows.
const listedPart = `
SELECT
	t.id,
	t.reference,
	t.kind,
	t.effective_at,
	t.recorded_at,
	coalesce(r.original_id, 0),
	coalesce(m.original_id, 0),
	coalesce(c.rate::text, ''),
	coalesce(c.original_minor, 0),
	coalesce(c.original_currency, ''),
	a.code,
	a.display_name,
	e.amount,
	e.currency,
	e.campaign,
	e.donation
FROM found AS f
JOIN ledger.transactions AS t ON t.id = f.transaction_id
JOIN ledger.entries AS e ON e.transaction_id = f.transaction_id AND e.collective = @collective
JOIN ledger.accounts AS a ON a.id = e.account_id
LEFT JOIN ledger.reversals AS r ON r.transaction_id = t.id
LEFT JOIN ledger.reclassifications AS m ON m.transaction_id = t.id
LEFT JOIN ledger.conversions AS c ON c.transaction_id = t.id
ORDER BY
	f.effective_at DESC,
	f.transaction_id DESC,
	e.line`

// Transactions lists at most count transactions with entries of the collective, newest first by effective time and then
// by id, from after the position on. A page stays right while new transactions arrive: what is newer than the position
// does not shift it.
func (s *Service) Transactions(ctx context.Context, f TransactionFilter, after Position, count int) ([]Posted, error) {
	// Lists go backwards in time, so the position is an upper bound. The first page has none: infinity and the largest id.
	before := pgtype.Timestamptz{Time: after.Effective, Valid: true}
	if after == (Position{}) {
		before, after.ID = endOf(time.Time{}), math.MaxInt64
	}
	// Each kind of filter has a statement of its own, so that Postgres can choose the index that fits.
	statement := transactionsSQL
	switch {
	case f.Reference != "":
		statement = referenceSQL
	case f.Kind == KindDonation:
		statement = donationsSQL
	case f.Kind != "":
		statement = kindSQL
	}
	rows, err := s.pool.Query(ctx, statement, pgx.NamedArgs{
		"book": f.Book, "collective": f.Collective, "campaign": f.Campaign, "account": f.Account,
		"kind": f.Kind, "reference": f.Reference, "start": startOf(f.Start), "end": endOf(f.End),
		"before_at": before, "before_id": after.ID, "count": count,
	})
	if err != nil {
		return nil, postgres.Error(err)
	}
	var (
		found []Posted
		t     Posted
		c     Conversion
		e     rawEntry
	)
	if _, err := pgx.ForEachRow(rows, []any{
		&t.ID, &t.Reference, &t.Kind, &t.Effective, &t.Recorded, &t.Reverses, &t.Reclassifies, &c.Rate, &c.Original.Minor, &c.Original.Currency,
		&e.code, &e.displayName, &e.minor, &e.currency, &e.campaign, &e.donation,
	}, func() error {
		// The entries of one transaction follow one another.
		if n := len(found); n == 0 || found[n-1].ID != t.ID {
			found = append(found, t)
			// It is a copy, since the next row is scanned into c.
			if c.Rate != "" {
				known := c
				known.Reference = t.Reference
				found[n].Conversion = &known
			}
		}
		last := &found[len(found)-1]
		last.Entries = append(last.Entries, e.entry())
		return nil
	}); err != nil {
		return nil, postgres.Error(err)
	}
	return found, nil
}

// rawEntry is an entry as the database gives it.
type rawEntry struct {
	code, displayName string
	minor             int64
	currency          money.Currency
	campaign          string
	donation          pgtype.UUID
}

// entry returns uuid.Nil, which is all zeros, where the database has NULL.
func (e *rawEntry) entry() PostedEntry {
	return PostedEntry{
		Code:        e.code,
		DisplayName: e.displayName,
		Amount:      money.Amount{Minor: e.minor, Currency: e.currency},
		Campaign:    e.campaign,
		Donation:    uuid.UUID(e.donation.Bytes),
	}
}

// transactions_reference_key serves it. It locks nothing.
const knownReferencesSQL = `
SELECT t.reference
FROM ledger.transactions AS t
WHERE t.book = @book
	AND t.reference = ANY(@references::text[])`

// KnownReferences returns which of the references the book has. It is for callers that would have to ask Stripe before
// they know the content of a transaction: what is known needs no second look. Another poster may add one right after;
// PostTx notices that.
func (s *Service) KnownReferences(ctx context.Context, book string, references []string) (map[string]bool, error) {
	rows, err := s.pool.Query(ctx, knownReferencesSQL, pgx.NamedArgs{"book": book, "references": references})
	if err != nil {
		return nil, postgres.Error(err)
	}
	known := make(map[string]bool, len(references))
	var reference string
	_, err = pgx.ForEachRow(rows, []any{&reference}, func() error {
		known[reference] = true
		return nil
	})
	return known, postgres.Error(err)
}

// referenceOfSQL finds a transaction of the book by its id, when the collective has an entry in it. entries_pkey has
// the entries of the transaction.
const referenceOfSQL = `
SELECT t.reference
FROM ledger.transactions AS t
WHERE t.id = @id
	AND t.book = @book
	AND EXISTS (
		SELECT
		FROM ledger.entries AS e
		WHERE e.transaction_id = t.id
			AND e.collective = @collective
	)`

// referenceOf returns pgx.ErrNoRows when the collective has no entry in the transaction.
func (s *Service) referenceOf(ctx context.Context, book, collective string, id int64) (reference string, err error) {
	err = s.pool.QueryRow(ctx, referenceOfSQL, pgx.NamedArgs{"id": id, "book": book, "collective": collective}).Scan(&reference)
	return reference, err
}
