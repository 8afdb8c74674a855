package ledger

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"

	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

// treeCheck grows the tree again and compares what is stored of it; an archive stores nothing.
type treeCheck struct {
	grown  *compact.Range
	size   int64
	stored map[[2]int64][]byte
}

// checkpointChain is the signed checkpoints of a book by size, each with the root of the grown tree.
type checkpointChain struct {
	all    []signedCheckpoint
	bySize map[int64]int
}

type signedCheckpoint struct {
	size, previous int64
	signedAt       time.Time
	root, grown    []byte
	// shares is the root over the collectives that was signed.
	shares            []byte
	consistency       [][]byte
	note, verifierKey string
}

const verifySubtreesSQL = `
SELECT
    n.level,
    n.index,
    n.hash
FROM ledger.subtrees AS n
WHERE n.book = @book
ORDER BY
    n.level,
    n.index`

func (v *verification) loadSubtrees(ctx context.Context, tx pgx.Tx) error {
	v.tree = treeCheck{grown: treeRanges.NewEmptyRange(0), stored: map[[2]int64][]byte{}}
	rows, err := tx.Query(ctx, verifySubtreesSQL, pgx.NamedArgs{"book": v.Book})
	if err != nil {
		return postgres.Error(err)
	}
	var at [2]int64
	var hash []byte
	_, err = pgx.ForEachRow(rows, []any{&at[0], &at[1], &hash}, func() error {
		v.tree.stored[at] = bytes.Clone(hash)
		return nil
	})
	return postgres.Error(err)
}

const verifyCheckpointsSQL = `
SELECT
    c.size,
    c.previous_size,
    c.signed_at,
    c.root,
    c.consistency,
    c.note,
    c.verifier_key
FROM ledger.checkpoints AS c
WHERE c.book = @book
ORDER BY c.size`

func (v *verification) loadCheckpoints(ctx context.Context, tx pgx.Tx) error {
	rows, err := tx.Query(ctx, verifyCheckpointsSQL, pgx.NamedArgs{"book": v.Book})
	if err != nil {
		return postgres.Error(err)
	}
	v.checkpoints.all, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (c signedCheckpoint, err error) {
		err = row.Scan(&c.size, &c.previous, &c.signedAt, &c.root, &c.consistency, &c.note, &c.verifierKey)
		return c, err
	})
	if err != nil {
		return postgres.Error(err)
	}
	v.Checkpoints = int64(len(v.checkpoints.all))
	v.checkpoints.bySize = make(map[int64]int, len(v.checkpoints.all))
	for i, c := range v.checkpoints.all {
		v.checkpoints.bySize[c.size] = i
	}
	return nil
}

// grow appends a leaf's hash, and remembers the root where there is a checkpoint.
func (v *verification) grow(number int64, hash []byte) {
	var kept []subtree
	if err := v.tree.grown.Append(hash, keepSubtrees(&kept)); err != nil {
		v.differ(fmt.Sprintf("number %d", number), "cannot be added to the tree: %v", err)
		return
	}
	v.tree.size = number
	for _, node := range kept {
		if v.tree.stored == nil {
			break
		}
		at := [2]int64{node.level, node.index}
		where := fmt.Sprintf("subtree %d of level %d", node.index, node.level)
		switch stored, ok := v.tree.stored[at]; {
		case !ok:
			v.differ(where, "is missing")
		case !bytes.Equal(stored, node.hash):
			v.differ(where, "has another hash than its leaves give")
		}
		delete(v.tree.stored, at)
	}
	if i, ok := v.checkpoints.bySize[number]; ok {
		root, err := v.tree.grown.GetRootHash(nil)
		if err != nil {
			v.differ(fmt.Sprintf("checkpoint %d", number), "the tree has no root: %v", err)
			return
		}
		v.checkpoints.all[i].grown = root
		v.sharesAt(&v.checkpoints.all[i])
	}
}

func (v *verification) endTree() {
	for at := range v.tree.stored {
		v.differ(fmt.Sprintf("subtree %d of level %d", at[1], at[0]), "is stored, and its leaves are not there")
	}
}

// endCheckpoints checks each checkpoint by itself, against the tree, and against the one before.
func (v *verification) endCheckpoints(secret []byte) error {
	var before *signedCheckpoint
	falsified := false
	for i := range v.checkpoints.all {
		c := &v.checkpoints.all[i]
		where := fmt.Sprintf("checkpoint %d", c.size)
		v.openNote(where, c)
		switch {
		case c.grown == nil:
			v.differ(where, "is larger than the book: its last number is %d", v.tree.size)
		case !bytes.Equal(c.grown, c.root) && !falsified:
			// All later ones differ for the same reason.
			falsified = true
			after := int64(0)
			if before != nil {
				after = before.size
			}
			v.differ(where, "has another root than the seals give: the first that changed is between the numbers %d and %d", after+1, c.size)
		}
		v.chain(where, before, c)
		before = c
	}
	if before == nil {
		if v.tree.size > 0 {
			v.differ("checkpoints", "there is none, and %d numbers", v.tree.size)
		}
		return nil
	}
	if before.size < v.tree.size {
		v.differ(fmt.Sprintf("checkpoint %d", before.size), "is the newest, and the numbers go on to %d", v.tree.size)
	}
	v.VerifierKey, v.SignedAt = before.verifierKey, before.signedAt
	if len(secret) > 0 {
		key, err := newSealKey(secret, v.Book)
		if err != nil {
			return err
		}
		if before.verifierKey != key.verifierKey {
			v.differ(fmt.Sprintf("checkpoint %d", before.size), "is the newest, and not signed by the program's key")
		}
	}
	return nil
}

func (v *verification) openNote(where string, c *signedCheckpoint) {
	opened, err := OpenCheckpoint(c.note, c.verifierKey)
	switch {
	case err != nil:
		v.differ(where, "%v", err)
	case opened.Origin != originOf(v.Book) || opened.Size != c.size || !bytes.Equal(opened.Root, c.root) || !opened.SignedAt.Equal(c.signedAt):
		v.differ(where, "the signed note says another book, size, root or time")
	case c.shares != nil && bytes.Equal(c.grown, c.root) && !bytes.Equal(opened.Shares, c.shares):
		v.differ(where, "other counts of the collectives' transactions were signed than there are")
	}
}

func (v *verification) chain(where string, before, c *signedCheckpoint) {
	if before == nil {
		if c.previous != 0 {
			v.differ(where, "follows the checkpoint %d, which is missing", c.previous)
		}
		return
	}
	if c.previous != before.size {
		v.differ(where, "follows the checkpoint %d, and the one before is %d", c.previous, before.size)
		return
	}
	if err := proof.VerifyConsistency(rfc6962.DefaultHasher, uint64(before.size), uint64(c.size), c.consistency, before.root, c.root); err != nil {
		v.differ(where, "its tree does not begin with the one of the checkpoint %d", before.size)
	}
}
