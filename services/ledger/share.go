package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"io"

	"github.com/jackc/pgx/v5"
	"github.com/transparency-dev/merkle/compact"

	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

// shareSpan is how many numbers of a book are looked at together.
const shareSpan = 250

// The xid tells what the view shows, and a later view of the same; signing times are not in that order.
const shareCheckpointSQL = `
SELECT
    c.size,
    c.note,
    c.verifier_key
FROM ledger.checkpoints AS c
WHERE c.book = @book
    AND pg_visible_in_snapshot(c.xid, @watermark)
ORDER BY c.size DESC
LIMIT 1`

// The span is read whole, so Postgres need not guess how many of a book are whose.
const shareSQL = `
SELECT
    s.number,
    s.leaf_hash,
    s.salt,
    t.id,
    t.xid,
    t.reference,
    t.kind,
    t.effective_at,
    t.recorded_at,
    t.fingerprint
FROM ledger.seals AS s
CROSS JOIN LATERAL (
    SELECT
        t.id,
        t.xid,
        t.reference,
        t.kind,
        t.effective_at,
        t.recorded_at,
        t.fingerprint
    FROM ledger.transactions AS t
    WHERE t.id = s.transaction_id
    OFFSET 0
) AS t
CROSS JOIN LATERAL (
    SELECT bool_or(e.collective = @collective) AS own
    FROM ledger.entries AS e
    WHERE e.transaction_id = t.id
) AS e
WHERE s.book = @book
    AND s.number > @after
    AND s.number <= @upto
    AND e.own
ORDER BY s.number`

// WriteShare writes a collective's share of what is sealed of a book, as JSON Lines that [VerifyArchive] checks
// without a database: the newest signed checkpoint, how many transactions the collective has in it, every one of them as
// it was hashed, and for what lies between them nothing but hashes of subtrees, as few as there can be. With them the tree's
// root can be computed from the file alone, and it must be the one that was signed.
//
// A transaction in which others have entries too is told with the collective's own; what the others have is in it as
// hashes, which are salted, so that nobody can guess it. Nothing in the file names a donor. It is always the whole share: of a
// part nobody could tell what was left out of it from what was hidden.
//
// It holds a span of numbers at a time, whatever the size. An error of w comes back as it is.
func (v *View) WriteShare(ctx context.Context, book, collective string, w io.Writer) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(archiveLine{Type: lineShare, Version: archiveVersion, Book: book, Collective: collective}); err != nil {
		return err
	}
	args := pgx.NamedArgs{"book": book, "collective": collective, "watermark": string(v.watermark)}
	checkpoint := archiveLine{Type: lineCheckpoint}
	err := v.tx.QueryRow(ctx, shareCheckpointSQL, args).Scan(&checkpoint.Size, &checkpoint.Note, &checkpoint.VerifierKey)
	if errors.Is(err, pgx.ErrNoRows) {
		return encoder.Encode(archiveLine{Type: lineEnd})
	}
	if err != nil {
		return postgres.Error(err)
	}
	if checkpoint.Share, err = proveShare(ctx, v.tx, book, collective, checkpoint.Size); err != nil {
		return err
	}
	if err := encoder.Encode(checkpoint); err != nil {
		return err
	}
	// written is the last number that is in the file: a gap can be longer than a span.
	var written int64
	for after := int64(0); after < checkpoint.Size; after += shareSpan {
		upto := min(after+shareSpan, checkpoint.Size)
		args["after"], args["upto"] = after, upto
		own, err := v.shareSpan(ctx, args)
		if err != nil {
			return err
		}
		last := upto == checkpoint.Size
		if len(own) == 0 && !last {
			continue
		}
		end := upto
		if !last {
			end = own[len(own)-1].Number
		}
		lines, err := v.withGaps(ctx, book, own, written, end)
		if err != nil {
			return err
		}
		for i := range lines {
			if err := encoder.Encode(lines[i]); err != nil {
				return err
			}
		}
		written = end
	}
	return encoder.Encode(archiveLine{Type: lineEnd})
}

// shareSpan returns the transactions of a share in a span of numbers.
func (v *View) shareSpan(ctx context.Context, args pgx.NamedArgs) ([]archiveLine, error) {
	rows, err := v.tx.Query(ctx, shareSQL, args)
	if err != nil {
		return nil, postgres.Error(err)
	}
	var ids []int64
	var leaves []Leaf
	found, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (r verified, err error) {
		var l Leaf
		err = row.Scan(&r.number, &r.leafHash, &l.Salt, &l.ID, &l.XID, &l.Reference, &l.Kind, &l.Effective, &l.Recorded, &l.Fingerprint)
		ids, leaves = append(ids, l.ID), append(leaves, l)
		return r, err
	})
	if err != nil {
		return nil, postgres.Error(err)
	}
	if err := fillEntries(ctx, v.tx, leaves, ids); err != nil {
		return nil, err
	}
	lines := make([]archiveLine, len(found))
	for i := range found {
		leaf := &leaves[i]
		leaf.Book, leaf.Number = args["book"].(string), found[i].number
		lines[i] = archiveShare(leaf.Share(args["collective"].(string)), found[i].leafHash)
	}
	return lines, nil
}

// withGaps puts lines of hashes where numbers after one and up to another are missing.
func (v *View) withGaps(ctx context.Context, book string, own []archiveLine, after, end int64) ([]archiveLine, error) {
	var lines []archiveLine
	var nodes []compact.NodeID
	gap := func(last int64) {
		if last > after {
			line := archiveLine{Type: lineGap, Number: after + 1, Last: last}
			nodes = compact.RangeNodes(uint64(after), uint64(last), nodes)
			// Filled below: all are read at once.
			line.Hashes = make([][]byte, len(compact.RangeNodes(uint64(after), uint64(last), nil)))
			lines = append(lines, line)
		}
	}
	for i := range own {
		gap(own[i].Number - 1)
		lines = append(lines, own[i])
		after = own[i].Number
	}
	gap(end)
	if len(nodes) == 0 {
		return lines, nil
	}
	hashes, err := nodeHashes(ctx, v.tx, book, nodes)
	if err != nil {
		return nil, err
	}
	for i := range lines {
		n := copy(lines[i].Hashes, hashes)
		hashes = hashes[n:]
	}
	return lines, nil
}
