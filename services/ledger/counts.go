package ledger

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/ledger/proof"
)

// The names come one after the other from the index: a book has many rows and few collectives. It returns, for each
// collective of the book, the newest count up to a number. The recursion takes the next larger name each time, and ends
// with a row whose name is NULL; that row finds no count and is dropped. shares_pkey, which begins with the book, the
// collective and the number, serves all three look-ups.
const shareCountsSQL = `
WITH RECURSIVE names AS (
	(
		SELECT s.collective
		FROM ledger.shares AS s
		WHERE s.book = @book
		ORDER BY s.collective
		LIMIT 1
	)
	UNION ALL
	SELECT (
		SELECT s.collective
		FROM ledger.shares AS s
		WHERE s.book = @book
			AND s.collective > n.collective
		ORDER BY s.collective
		LIMIT 1
	)
	FROM names AS n
	WHERE n.collective IS NOT NULL
)
SELECT
	n.collective,
	l.count,
	l.hash
FROM names AS n
CROSS JOIN LATERAL (
	SELECT
		s.count,
		s.hash
	FROM ledger.shares AS s
	WHERE s.book = @book
		AND s.collective = n.collective
		AND s.number <= @number
	ORDER BY s.number DESC
	LIMIT 1
) AS l
ORDER BY n.collective`

// loadCounts returns the counts of a book's first transactions, up to the number of a checkpoint. They come sorted by
// name, as [proof.Counts] must be.
func loadCounts(ctx context.Context, db querier, book string, number int64) (proof.Counts, error) {
	rows, err := db.Query(ctx, shareCountsSQL, pgx.NamedArgs{"book": book, "number": number})
	if err != nil {
		return nil, postgres.Error(err)
	}
	// The hashes are read too: those of collectives without a change go into the root as they are.
	counts, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (c proof.Count, err error) {
		err = row.Scan(&c.Collective, &c.Transactions, &c.Hash)
		return c, err
	})
	return counts, postgres.Error(err)
}

// insertShareCountsSQL writes a row for each collective whose count has changed, at the number of the checkpoint that
// signs it. The others keep their older rows, which stay true.
const insertShareCountsSQL = `
INSERT INTO ledger.shares (number, count, book, collective, hash)
SELECT
	@number,
	s.count,
	@book,
	s.collective,
	s.hash
FROM unnest(
	@counts::bigint[],
	@collectives::text[],
	@hashes::bytea[]
) AS s (count, collective, hash)`

// countTransactionsTx adds the leaves, which are being sealed, to the counts of their collectives. It returns the root
// to sign.
func countTransactionsTx(ctx context.Context, tx pgx.Tx, book string, leaves []proof.Leaf) ([]byte, error) {
	// These are the counts of the checkpoint before: every seal ends with one, so its size is the number before the first
	// leaf.
	counts, err := loadCounts(ctx, tx, book, leaves[0].Number-1)
	if err != nil {
		return nil, err
	}
	// A transaction with entries of several collectives counts for each of them.
	for i := range leaves {
		counts.Add(&leaves[i])
	}
	var numbers []int64
	var collectives []string
	var hashes [][]byte
	// Only counts that changed have a new hash.
	for _, c := range counts.Settle() {
		numbers, collectives, hashes = append(numbers, c.Transactions), append(collectives, c.Collective), append(hashes, c.Hash)
	}
	if _, err := tx.Exec(ctx, insertShareCountsSQL, pgx.NamedArgs{
		"number": leaves[len(leaves)-1].Number, "book": book, "counts": numbers, "collectives": collectives, "hashes": hashes,
	}); err != nil {
		return nil, postgres.Error(err)
	}
	// The root covers all collectives, those without a change too.
	return counts.Root()
}
