package ledger

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/transparency-dev/merkle/compact"
	merkle "github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"

	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/ledger/proof"
)

// querier is a pool or a database transaction. Rows of the tree never change, so both read the same. The sealer reads
// within its database transaction, where it sees the seals that it has just inserted.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// loadTree returns the tree of the book's first size leaves, to which the next leaf is appended.
func loadTree(ctx context.Context, db querier, book string, size int64) (*proof.Tree, error) {
	// RangeNodes names the complete subtrees that together cover the first leaves, from left to right: at most one for
	// each level.
	hashes, err := nodeHashes(ctx, db, book, compact.RangeNodes(0, uint64(size), nil))
	if err != nil {
		return nil, err
	}
	return proof.LoadTree(size, hashes)
}

// inclusionPath proves that the leaf of a number is in the tree of the first size leaves.
func inclusionPath(ctx context.Context, db querier, book string, number, size int64) ([][]byte, error) {
	nodes, err := merkle.Inclusion(uint64(number-1), uint64(size))
	if err != nil {
		return nil, fmt.Errorf("prove an inclusion: %w", err)
	}
	return proofPath(ctx, db, book, nodes)
}

// consistencyPath proves that the tree of size leaves begins with the tree of an earlier size. The proof is empty from
// the empty tree, and from the tree itself.
func consistencyPath(ctx context.Context, db querier, book string, from, size int64) ([][]byte, error) {
	if from == 0 || from == size {
		// It is empty and not nil, since a checkpoint's row must have a proof.
		return [][]byte{}, nil
	}
	nodes, err := merkle.Consistency(uint64(from), uint64(size))
	if err != nil {
		return nil, fmt.Errorf("prove a consistency: %w", err)
	}
	return proofPath(ctx, db, book, nodes)
}

// proofPath reads the hashes of the nodes and folds those that the proof has as one.
func proofPath(ctx context.Context, db querier, book string, nodes merkle.Nodes) ([][]byte, error) {
	hashes, err := nodeHashes(ctx, db, book, nodes.IDs)
	if err != nil {
		return nil, err
	}
	path, err := nodes.Rehash(hashes, rfc6962.DefaultHasher.HashChildren)
	if err != nil {
		return nil, fmt.Errorf("fold a proof: %w", err)
	}
	return path, nil
}

// The OFFSET makes Postgres use the index: it estimates each span of a join as a ninth of the table. It returns the
// hashes of the leaves under each node, from left to right. A span is that of leaf indexes, which count from 0, while
// numbers count from 1: index i is number i+1. seals_pkey serves it.
const leafHashesSQL = `
SELECT
	n.node,
	l.leaf_hash
FROM unnest(
	@nodes::bigint[],
	@firsts::bigint[],
	@ends::bigint[]
) AS n (node, first, "end")
CROSS JOIN LATERAL (
	SELECT
		s.number,
		s.leaf_hash
	FROM ledger.seals AS s
	WHERE s.book = @book
		AND s.number > n.first
		AND s.number <= n."end"
	ORDER BY s.number
	OFFSET 0
) AS l
ORDER BY
	n.node,
	l.number`

// subtreeHashesSQL returns the stored subtrees under each node, from left to right. Here the span is that of the
// indexes of subtrees on one stored level. subtrees_pkey serves it.
const subtreeHashesSQL = `
SELECT
	n.node,
	s.hash
FROM unnest(
	@nodes::bigint[],
	@levels::smallint[],
	@firsts::bigint[],
	@ends::bigint[]
) AS n (node, level, first, "end")
JOIN ledger.subtrees AS s
	ON s.book = @book
	AND s.level = n.level
	AND s.index >= n.first
	AND s.index < n."end"
ORDER BY
	n.node,
	s.index`

// nodeHashes returns the hashes of complete subtrees. Each is computed from the 2^r stored hashes below it, r < 8: 128
// rows at most, whatever it covers. The hashes come in the order of the ids. A node of level l is computed from hashes
// of the stored level l / [proof.Stride], rounded down; r is the remainder.
func nodeHashes(ctx context.Context, db querier, book string, ids []compact.NodeID) ([][]byte, error) {
	// below are the stored hashes under each node.
	below := make([][][]byte, len(ids))
	// read fills below for the nodes of a level, from the leaves or from the stored subtrees.
	read := func(sql string, wanted func(level uint) bool) error {
		var nodes, firsts, ends []int64
		var levels []int16
		for i, id := range ids {
			if level := id.Level / proof.Stride; wanted(level) {
				shift := id.Level % proof.Stride
				nodes, levels = append(nodes, int64(i)), append(levels, int16(level))
				// A node of level l covers 2^(l mod Stride) places of the stored level, from the first to before the end.
				firsts, ends = append(firsts, int64(id.Index<<shift)), append(ends, int64((id.Index+1)<<shift))
			}
		}
		if len(nodes) == 0 {
			return nil
		}
		rows, err := db.Query(ctx, sql, pgx.NamedArgs{
			"book": book, "nodes": nodes, "levels": levels, "firsts": firsts, "ends": ends,
		})
		if err != nil {
			return postgres.Error(err)
		}
		var node int64
		var hash []byte
		_, err = pgx.ForEachRow(rows, []any{&node, &hash}, func() error {
			below[node] = append(below[node], hash)
			hash = nil
			return nil
		})
		return postgres.Error(err)
	}
	// Level 0 is stored with the seals, the others in subtrees.
	if err := read(leafHashesSQL, func(level uint) bool { return level == 0 }); err != nil {
		return nil, err
	}
	if err := read(subtreeHashesSQL, func(level uint) bool { return level > 0 }); err != nil {
		return nil, err
	}
	hashes := make([][]byte, len(ids))
	for i, id := range ids {
		// All hashes below a node must be there: a complete subtree has exactly 2^r of them.
		row := below[i]
		// A hash that is missing would give a proof that nobody can verify.
		if len(row) != 1<<(id.Level%proof.Stride) {
			return nil, fmt.Errorf("the tree of a book lacks hashes under node %d of level %d: run `cagnotte ledger verify`", id.Index, id.Level)
		}
		// Each round halves the row, up to the node itself.
		for len(row) > 1 {
			for j := range len(row) / 2 {
				row[j] = rfc6962.DefaultHasher.HashChildren(row[2*j], row[2*j+1])
			}
			row = row[:len(row)/2]
		}
		hashes[i] = row[0]
	}
	return hashes, nil
}
