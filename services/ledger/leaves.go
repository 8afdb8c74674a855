package ledger

import (
	"context"
	"errors"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/ledger/proof"
)

// What is below xmin has ended, and so has everything older: nothing can come between any more.
// https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-PG-SNAPSHOT
// It returns the head of the next transactions after the last one that is sealed, in the order of writing.
// transactions_seal_idx has them in this order. It locks nothing, so posting goes on. The trigger seals_check refuses
// seals that break this rule.
const unsealedSQL = `
SELECT
	t.id,
	t.xid,
	t.reference,
	t.kind,
	t.effective_at,
	t.recorded_at,
	t.fingerprint
FROM ledger.transactions AS t
WHERE t.book = @book
	AND (t.xid, t.id) > (@xid, @id)
	AND t.xid < pg_snapshot_xmin(pg_current_snapshot())
ORDER BY
	t.xid,
	t.id
LIMIT @count`

// unsealed returns the next transactions to seal, with their numbers.
func unsealed(ctx context.Context, db querier, book string, last sealed, count int) ([]proof.Leaf, error) {
	rows, err := db.Query(ctx, unsealedSQL, pgx.NamedArgs{
		"book": book, "xid": pgtype.Uint64{Uint64: last.xid, Valid: true}, "id": last.id, "count": count,
	})
	if err != nil {
		return nil, postgres.Error(err)
	}
	// The ids stay in the order of the leaves, which fillEntries needs.
	var ids []int64
	// The numbers follow from the order alone; the database checks them again when the seals are inserted.
	number := last.number
	leaves, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (proof.Leaf, error) {
		// Rows come in the order of writing, and so do the numbers.
		number++
		l := proof.Leaf{Head: proof.Head{Book: book, Number: number}}
		err := row.Scan(&l.ID, &l.XID, &l.Reference, &l.Kind, &l.Effective, &l.Recorded, &l.Fingerprint)
		ids = append(ids, l.ID)
		return l, err
	})
	if err != nil || len(leaves) == 0 {
		return nil, postgres.Error(err)
	}
	// Two statements are safe without one snapshot: a transaction is complete when it can be seen, and never changes.
	return leaves, fillEntries(ctx, db, leaves, ids)
}

// The order is that of the transactions asked for. Places are counted from 1 by Postgres and from 0 by Go. entries_pkey
// finds the entries of each transaction, already in the order of their lines.
const leafEntriesSQL = `
SELECT
	w.place - 1,
	e.line,
	a.code,
	e.amount,
	e.currency,
	e.collective,
	e.campaign,
	e.donation
FROM unnest(@ids::bigint[]) WITH ORDINALITY AS w (id, place)
JOIN ledger.entries AS e ON e.transaction_id = w.id
JOIN ledger.accounts AS a ON a.id = e.account_id
ORDER BY
	w.place,
	e.line`

// fillEntries reads the entries of the leaves, whose transactions have these ids.
func fillEntries(ctx context.Context, db querier, leaves []proof.Leaf, ids []int64) error {
	rows, err := db.Query(ctx, leafEntriesSQL, pgx.NamedArgs{"ids": ids})
	if err != nil {
		return postgres.Error(err)
	}
	var (
		place    int64
		e        proof.Entry
		donation pgtype.UUID
	)
	_, err = pgx.ForEachRow(rows, []any{
		&place, &e.Line, &e.Code, &e.Amount.Minor, &e.Amount.Currency, &e.Collective, &e.Campaign, &donation,
	}, func() error {
		// NULL has bytes of zeros, which are uuid.Nil. The row is appended as a value, so it can be scanned into again.
		e.Donation = uuid.UUID(donation.Bytes)
		leaves[place].Entries = append(leaves[place].Entries, e)
		return nil
	})
	return postgres.Error(err)
}

// insertSealsSQL writes a row for each leaf. The sealer inserts all rows of a seal by one statement, since the trigger
// seals_check looks at each statement once: the numbers must follow the last one without a gap, and leave out no older
// transaction.
const insertSealsSQL = `
INSERT INTO ledger.seals (number, transaction_id, donation, book, leaf_hash, salt)
SELECT
	l.number,
	l.transaction_id,
	l.donation,
	@book,
	l.hash,
	l.salt
FROM unnest(
	@numbers::bigint[],
	@ids::bigint[],
	@donations::uuid[],
	@hashes::bytea[],
	@salts::bytea[]
) AS l (number, transaction_id, donation, hash, salt)`

// insertSubtreesSQL writes the subtrees that the new leaves completed. A complete subtree never changes, so no row is
// written twice.
const insertSubtreesSQL = `
INSERT INTO ledger.subtrees (index, level, book, hash)
SELECT
	n.index,
	n.level,
	@book,
	n.hash
FROM unnest(
	@indexes::bigint[],
	@levels::smallint[],
	@hashes::bytea[]
) AS n (index, level, hash)`

// insertSealsTx stores the numbers, hashes and salts of the leaves, and the subtrees that they completed. A seal has the
// donation of its transaction too, so that the proof of a donation is found by one index.
func insertSealsTx(ctx context.Context, tx pgx.Tx, book string, leaves []proof.Leaf, hashes [][]byte, completed []proof.Subtree) error {
	var numbers, ids []int64
	var donations []pgtype.UUID
	var salts [][]byte
	for i := range leaves {
		// It is NULL for a transaction about no donation or about several.
		donation := leaves[i].Donation()
		numbers, ids, salts = append(numbers, leaves[i].Number), append(ids, leaves[i].ID), append(salts, leaves[i].Salt)
		donations = append(donations, pgtype.UUID{Bytes: donation, Valid: donation != uuid.Nil})
	}
	if _, err := tx.Exec(ctx, insertSealsSQL, pgx.NamedArgs{
		"book": book, "numbers": numbers, "ids": ids, "donations": donations, "hashes": hashes, "salts": salts,
	}); err != nil {
		return postgres.Error(err)
	}
	// Most seals of a few transactions complete no subtree of 2^[proof.Stride] leaves.
	if len(completed) == 0 {
		return nil
	}
	var indexes, levels []int64
	var subtreeHashes [][]byte
	for _, node := range completed {
		indexes, levels = append(indexes, node.Index), append(levels, node.Level)
		subtreeHashes = append(subtreeHashes, node.Hash)
	}
	// A subtree is stored in the database transaction of the seals that completed it.
	_, err := tx.Exec(ctx, insertSubtreesSQL, pgx.NamedArgs{
		"book": book, "indexes": indexes, "levels": levels, "hashes": subtreeHashes,
	})
	return postgres.Error(err)
}

// leafSQL finds a sealed transaction by its id or, when a donation is given, the one that booked the donation.
// seals_transaction_key serves the first way, seals_donation_idx the second. Other transactions that are about the
// donation alone have it in their seals too, so the kind picks the one that booked it.
const leafSQL = `
SELECT
	t.book,
	s.number,
	t.id,
	t.xid,
	t.reference,
	t.kind,
	t.effective_at,
	t.recorded_at,
	t.fingerprint,
	s.salt
FROM ledger.seals AS s
JOIN ledger.transactions AS t ON t.id = s.transaction_id
WHERE s.book = @book
	AND (s.transaction_id = @id OR (s.donation = @donation AND t.kind = 'donation'))
ORDER BY s.number
LIMIT 1`

// sealedLeaf returns a leaf of the book by one of the two ids. NOT_FOUND, which names name, when there is none.
func sealedLeaf(ctx context.Context, db querier, book, name string, id int64, donation uuid.UUID) (*proof.Leaf, error) {
	// A NULL equals no donation, so without one the id decides alone.
	args := pgx.NamedArgs{"book": book, "id": id, "donation": nil}
	if donation != uuid.Nil {
		// With a donation the id is 0, which no transaction has.
		args["donation"] = donation.String()
	}
	rows, err := db.Query(ctx, leafSQL, args)
	if err != nil {
		return nil, postgres.Error(err)
	}
	leaf, err := pgx.CollectOneRow(rows, func(row pgx.CollectableRow) (l proof.Leaf, err error) {
		err = row.Scan(&l.Book, &l.Number, &l.ID, &l.XID, &l.Reference, &l.Kind, &l.Effective, &l.Recorded, &l.Fingerprint, &l.Salt)
		return l, err
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, errs.NotFound(name)
	}
	if err != nil {
		return nil, postgres.Error(err)
	}
	// fillEntries works on a list.
	leaves := []proof.Leaf{leaf}
	return &leaves[0], fillEntries(ctx, db, leaves, []int64{leaf.ID})
}
