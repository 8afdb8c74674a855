package ledger

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/ledger/proof"
)

const booksSQL = `
SELECT id
FROM ledger.books
ORDER BY id`

// Books returns the names of all books, sorted. The platform's own is empty.
func (s *Service) Books(ctx context.Context) ([]string, error) {
	rows, err := s.pool.Query(ctx, booksSQL)
	if err != nil {
		return nil, postgres.Error(err)
	}
	books, err := pgx.CollectRows(rows, pgx.RowTo[string])
	return books, postgres.Error(err)
}

const newestXIDSQL = `
SELECT
    newest.xid,
    pg_snapshot_xmax(pg_current_snapshot())
FROM ledger.books AS b
CROSS JOIN LATERAL (
    SELECT t.xid
    FROM ledger.transactions AS t
    WHERE t.book = b.id
    ORDER BY
        t.xid DESC,
        t.id DESC
    LIMIT 1
) AS newest
ORDER BY
    newest.xid DESC,
    b.id
LIMIT 1`

// CheckCounter refuses a cluster that counts its transactions from a smaller number than the books know, as after a
// dump was restored into another one. What is posted there would stand before what is sealed, and never be numbered
// nor counted: so ask before the first posting.
//
// Errors: FAILED_PRECONDITION SEAL_POSITION_AHEAD.
func (s *Service) CheckCounter(ctx context.Context) error {
	var newest, next uint64
	err := s.pool.QueryRow(ctx, newestXIDSQL).Scan(&newest, &next)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err == nil && newest >= next {
		return errPositionAhead(newest, next)
	}
	return postgres.Error(err)
}

// The lock ends with the database transaction, after its commit can be seen: so the next sealer starts
// where this one ended, and a sealer that died holds nothing.
const lockBookSQL = `
SELECT pg_try_advisory_xact_lock(hashtextextended('cagnotte ledger seal ' || @book, 0))`

func tryLock(ctx context.Context, tx pgx.Tx, book string) (alone bool, err error) {
	err = tx.QueryRow(ctx, lockBookSQL, pgx.NamedArgs{"book": book}).Scan(&alone)
	return alone, postgres.Error(err)
}

const lastSealedSQL = `
SELECT
    s.number,
    t.xid,
    t.id,
    pg_snapshot_xmax(pg_current_snapshot()),
    coalesce((
        SELECT max(b.number)
        FROM ledger.balance_checkpoints AS b
        WHERE b.book = @book
    ), 0),
    coalesce((
        SELECT max(c.size)
        FROM ledger.checkpoints AS c
        WHERE c.book = @book
    ), 0)
FROM ledger.seals AS s
JOIN ledger.transactions AS t ON t.id = s.transaction_id
WHERE s.book = @book
    AND s.number = (
        SELECT max(m.number)
        FROM ledger.seals AS m
        WHERE m.book = @book
    )`

func lastSealed(ctx context.Context, db querier, book string) (last sealed, err error) {
	rows, err := db.Query(ctx, lastSealedSQL, pgx.NamedArgs{"book": book})
	if err != nil {
		return last, postgres.Error(err)
	}
	last, err = pgx.CollectOneRow(rows, func(row pgx.CollectableRow) (l sealed, err error) {
		err = row.Scan(&l.number, &l.xid, &l.id, &l.nextXID, &l.balances, &l.checkpoint)
		return l, err
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return sealed{nextXID: 1}, nil
	}
	return last, postgres.Error(err)
}

// What is below xmin has ended, and so has everything older; nothing can come between any more.
// https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-PG-SNAPSHOT
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

// The order is the one of the transactions asked for.
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

// unsealed returns the next transactions to seal, numbered.
func unsealed(ctx context.Context, db querier, book string, last sealed, count int) ([]proof.Leaf, error) {
	rows, err := db.Query(ctx, unsealedSQL, pgx.NamedArgs{
		"book": book, "xid": pgtype.Uint64{Uint64: last.xid, Valid: true}, "id": last.id, "count": count,
	})
	if err != nil {
		return nil, postgres.Error(err)
	}
	var ids []int64
	number := last.number
	leaves, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (proof.Leaf, error) {
		number++
		l := proof.Leaf{Head: proof.Head{Book: book, Number: number}}
		err := row.Scan(&l.ID, &l.XID, &l.Reference, &l.Kind, &l.Effective, &l.Recorded, &l.Fingerprint)
		ids = append(ids, l.ID)
		return l, err
	})
	if err != nil || len(leaves) == 0 {
		return nil, postgres.Error(err)
	}
	return leaves, fillEntries(ctx, db, leaves, ids)
}

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
		e.Donation = uuid.UUID(donation.Bytes)
		leaves[place].Entries = append(leaves[place].Entries, e)
		return nil
	})
	return postgres.Error(err)
}

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

func insertSeals(ctx context.Context, tx pgx.Tx, book string, leaves []proof.Leaf, hashes [][]byte, completed []proof.Subtree) error {
	var numbers, ids []int64
	var donations []pgtype.UUID
	var salts [][]byte
	for i := range leaves {
		donation := leaves[i].Donation()
		numbers, ids, salts = append(numbers, leaves[i].Number), append(ids, leaves[i].ID), append(salts, leaves[i].Salt)
		donations = append(donations, pgtype.UUID{Bytes: donation, Valid: donation != uuid.Nil})
	}
	if _, err := tx.Exec(ctx, insertSealsSQL, pgx.NamedArgs{
		"book": book, "numbers": numbers, "ids": ids, "donations": donations, "hashes": hashes, "salts": salts,
	}); err != nil {
		return postgres.Error(err)
	}
	if len(completed) == 0 {
		return nil
	}
	var indexes, levels []int64
	var subtreeHashes [][]byte
	for _, node := range completed {
		indexes, levels = append(indexes, node.Index), append(levels, node.Level)
		subtreeHashes = append(subtreeHashes, node.Hash)
	}
	_, err := tx.Exec(ctx, insertSubtreesSQL, pgx.NamedArgs{
		"book": book, "indexes": indexes, "levels": levels, "hashes": subtreeHashes,
	})
	return postgres.Error(err)
}

const insertCheckpointSQL = `
INSERT INTO ledger.checkpoints (size, previous_size, signed_at, book, root, consistency, note, verifier_key)
VALUES (@size, @previous_size, @signed_at, @book, @root, @consistency, @note, @verifier_key)`

func insertCheckpoint(ctx context.Context, tx pgx.Tx, book string, c *proof.Checkpoint, previous int64, consistency [][]byte) error {
	_, err := tx.Exec(ctx, insertCheckpointSQL, pgx.NamedArgs{
		"size": c.Size, "previous_size": previous, "signed_at": c.SignedAt, "book": book, "root": c.Root,
		"consistency": consistency, "note": c.Note, "verifier_key": c.VerifierKey,
	})
	return postgres.Error(err)
}

const newestCheckpointSQL = `
SELECT
    c.size,
    c.root,
    c.signed_at,
    c.note,
    c.verifier_key
FROM ledger.checkpoints AS c
WHERE c.book = @book
ORDER BY c.size DESC
LIMIT 1`

// newestCheckpoint returns the last one signed, or nil when the book has none yet.
func newestCheckpoint(ctx context.Context, db querier, book string) (*proof.Checkpoint, error) {
	rows, err := db.Query(ctx, newestCheckpointSQL, pgx.NamedArgs{"book": book})
	if err != nil {
		return nil, postgres.Error(err)
	}
	c := proof.Checkpoint{Origin: proof.OriginOf(book)}
	var signedAt time.Time
	found := false
	_, err = pgx.ForEachRow(rows, []any{&c.Size, &c.Root, &signedAt, &c.Note, &c.VerifierKey}, func() error {
		found, c.SignedAt = true, signedAt.UTC()
		return nil
	})
	if err != nil || !found {
		return nil, postgres.Error(err)
	}
	return &c, nil
}
