package ledger

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

// Links are not hashed, but the kind of a transaction is. So a link that is gone or added shows, and so does one that
// leads to a transaction that cannot be meant. A FULL JOIN gives a row for each reversal and each link, also where one
// of the two is missing. Only rows that break a rule are returned. A link belongs to this book when its transaction
// does; one whose transaction is in no book is reported whichever book is verified, and one of another book is left to
// that book. The CASE names the first rule that is broken.
//
// ledger.left_of gives what is left of the original, negated. An amount with the sign of the original entry means that
// more was reversed than there was. The trigger reversals_check refuses this at the time of writing by the same
// comparison, so such an excess was written past the trigger. reversals_original_idx serves left_of.
const verifyReversalsSQL = `
SELECT
	coalesce(r.transaction_id, t.id),
	CASE
		WHEN t.id IS NULL THEN 'is a reversal, and is missing'
		WHEN t.kind <> 'reversal' THEN 'is linked as a reversal, and is none'
		WHEN r.original_id IS NULL THEN 'is a reversal, and does not say of what'
		WHEN o.id IS NULL THEN 'reverses a transaction that is missing'
		WHEN o.book <> t.book THEN 'reverses a transaction of another book'
		WHEN o.kind = 'reversal' THEN 'reverses a reversal'
		ELSE 'takes back, with other reversals, more than its original has'
	END
FROM (
	SELECT
		x.id,
		x.book,
		x.kind
	FROM ledger.transactions AS x
	WHERE x.book = @book
) AS t
FULL JOIN ledger.reversals AS r ON r.transaction_id = t.id
LEFT JOIN ledger.transactions AS o ON o.id = r.original_id
WHERE (t.kind = 'reversal' OR r.transaction_id IS NOT NULL)
	AND (t.id IS NOT NULL OR NOT EXISTS (
		SELECT
		FROM ledger.transactions AS y
		WHERE y.id = r.transaction_id
	))
	AND (
		t.id IS NULL
		OR t.kind <> 'reversal'
		OR o.id IS NULL
		OR o.book <> t.book
		OR o.kind = 'reversal'
		OR EXISTS (
			SELECT
			FROM ledger.left_of(o.id, 9223372036854775807) AS l
			WHERE (l.amount > 0) = l.debit
		)
	)
ORDER BY 1`

// verifyReclassificationsSQL returns the transactions of the book whose link as a reclassification is missing, is on a
// transaction of another kind, or leads to nothing in this book. How much was moved is not checked here: the entries
// are hashed.
const verifyReclassificationsSQL = `
SELECT
	t.id,
	CASE
		WHEN r.original_id IS NULL THEN 'is a reclassification, and does not say of what'
		WHEN t.kind <> 'reclassification' THEN 'is linked as a reclassification, and is none'
		ELSE 'reclassifies a transaction that is missing, or of another book'
	END
FROM ledger.transactions AS t
LEFT JOIN ledger.reclassifications AS r ON r.transaction_id = t.id
LEFT JOIN ledger.transactions AS o ON o.id = r.original_id
WHERE t.book = @book
	AND (t.kind = 'reclassification' OR r.transaction_id IS NOT NULL)
	AND (t.kind <> 'reclassification' OR o.id IS NULL OR o.book <> t.book)
ORDER BY t.id`

// checkLinksTx checks the links of both kinds of corrections. Both statements return an id and a text for the report.
func (v *verification) checkLinksTx(ctx context.Context, tx pgx.Tx) error {
	for _, statement := range []string{verifyReversalsSQL, verifyReclassificationsSQL} {
		// Each row is one difference.
		rows, err := tx.Query(ctx, statement, pgx.NamedArgs{"book": v.Book})
		if err != nil {
			return postgres.Error(err)
		}
		var id int64
		var what string
		if _, err = pgx.ForEachRow(rows, []any{&id, &what}, func() error {
			v.Differ(fmt.Sprintf("transaction %d", id), "%s", what)
			return nil
		}); err != nil {
			return postgres.Error(err)
		}
	}
	return nil
}
