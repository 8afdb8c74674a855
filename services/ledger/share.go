package ledger

import (
	"context"
	"errors"
	"io"

	"github.com/jackc/pgx/v5"
	"github.com/transparency-dev/merkle/compact"

	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/ledger/proof"
)

// shareSpan is how many numbers of a book are read together.
const shareSpan = 250

// The xid tells what the view shows, and a later view of the same; signing times are not in that order.
// shareCheckpointSQL returns the newest checkpoint that the view shows; no row when it shows none. checkpoints_pkey has
// them by size.
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

// The span is read whole, so Postgres need not guess how many transactions of a book belong to whom. seals_pkey gives
// the numbers, the primary keys the transaction and its entries. OFFSET 0 keeps Postgres from turning the look-up into
// a join that reads the table.
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

// WriteShare writes a collective's share of what is sealed of a book as JSON Lines, which [proof.VerifyArchive] verifies
// without a database. It has the newest signed checkpoint, how many transactions the collective has in it, each of these
// transactions as it was hashed, and for what lies between them as few hashes of subtrees as possible. The tree's root can
// be computed from the file alone, and it must be the one that was signed.
//
// Of a transaction in which others have entries too, the file has the collective's own entries and salted hashes of the
// others', which nobody can guess. It names no donor. It is always the whole share: of a part nobody could tell what was
// left out.
//
// It holds a span of numbers at a time, whatever the size. An error of w comes back as it is.
func (v *View) WriteShare(ctx context.Context, book, collective string, w io.Writer) error {
	out := proof.NewWriter(w)
	if err := out.Share(book, collective); err != nil {
		return err
	}
	args := pgx.NamedArgs{"book": book, "collective": collective, "watermark": string(v.watermark)}
	var checkpoint proof.Checkpoint
	err := v.tx.QueryRow(ctx, shareCheckpointSQL, args).Scan(&checkpoint.Size, &checkpoint.Note, &checkpoint.VerifierKey)
	// Without a checkpoint nothing is sealed, and the file has its first and its last line only.
	if errors.Is(err, pgx.ErrNoRows) {
		return out.End()
	}
	if err != nil {
		return postgres.Error(err)
	}
	counts, err := loadCounts(ctx, v.tx, book, checkpoint.Size)
	if err != nil {
		return err
	}
	count, err := counts.Prove(collective)
	if err != nil {
		return err
	}
	if err := out.ShareCheckpoint(&checkpoint, count); err != nil {
		return err
	}
	// written is the last number that is in the file: a gap can be longer than a span.
	var written int64
	// after is where the reading stands, written where the file stands.
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
		// What follows the last transaction of the span is left for the next one, so that a gap is not cut at the border and
		// needs as few hashes as possible.
		end := upto
		if !last {
			end = own[len(own)-1].Number
		}
		if err := v.writeSpan(ctx, out, own, book, written, end); err != nil {
			return err
		}
		written = end
	}
	return out.End()
}

// sealedShare is a transaction of a share with the hash that it was sealed with.
type sealedShare struct {
	*proof.LeafShare
	hash []byte
}

// shareSpan returns the transactions of a share in a span of numbers.
func (v *View) shareSpan(ctx context.Context, args pgx.NamedArgs) ([]sealedShare, error) {
	rows, err := v.tx.Query(ctx, shareSQL, args)
	if err != nil {
		return nil, postgres.Error(err)
	}
	// The whole leaf is read; Leaf.Share then replaces the entries of others by their hashes.
	book, collective := args["book"].(string), args["collective"].(string)
	var ids []int64
	var hashes [][]byte
	leaves, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (proof.Leaf, error) {
		l := proof.Leaf{Head: proof.Head{Book: book}}
		var hash []byte
		err := row.Scan(&l.Number, &hash, &l.Salt, &l.ID, &l.XID, &l.Reference, &l.Kind, &l.Effective, &l.Recorded, &l.Fingerprint)
		ids, hashes = append(ids, l.ID), append(hashes, hash)
		return l, err
	})
	if err != nil {
		return nil, postgres.Error(err)
	}
	if err := fillEntries(ctx, v.tx, leaves, ids); err != nil {
		return nil, err
	}
	own := make([]sealedShare, len(leaves))
	for i := range leaves {
		own[i] = sealedShare{leaves[i].Share(collective), hashes[i]}
	}
	return own, nil
}

// gap is a span of numbers without a transaction of the share.
type gap struct {
	first, last int64
	// nodes is how many subtrees it is made of.
	nodes int
}

// writeSpan writes transactions, and gaps where numbers after one and up to another are missing.
func (v *View) writeSpan(ctx context.Context, out *proof.Writer, own []sealedShare, book string, after, end int64) error {
	// A gap stands before each transaction, and one behind the last; those without nodes are not written.
	var gaps []gap
	var nodes []compact.NodeID
	// Gaps that are empty have no nodes. The nodes of all gaps are read by one call.
	add := func(last int64) {
		before := len(nodes)
		nodes = compact.RangeNodes(uint64(after), uint64(last), nodes)
		gaps = append(gaps, gap{after + 1, last, len(nodes) - before})
	}
	for i := range own {
		add(own[i].Number - 1)
		after = own[i].Number
	}
	add(end)
	hashes, err := nodeHashes(ctx, v.tx, book, nodes)
	if err != nil {
		return err
	}
	// The hashes come in the order of the nodes, so each gap takes its own from the front.
	for i, g := range gaps {
		if g.nodes > 0 {
			if err := out.Gap(g.first, g.last, hashes[:g.nodes]); err != nil {
				return err
			}
			hashes = hashes[g.nodes:]
		}
		if i < len(own) {
			if err := out.ShareTransaction(own[i].LeafShare, own[i].hash); err != nil {
				return err
			}
		}
	}
	return nil
}
