package proof

import (
	"fmt"
	"slices"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/rfc6962"
)

// Stride is how many levels of the tree lie between two that a database stores. It stores the hashes of the
// leaves, and those of the complete subtrees of 2^Stride leaves, of 2^(2*Stride) leaves, and so on.
const Stride = 8

// SubtreeID names a complete subtree of 2^(Stride*Level) leaves. Level counts from 1, Index from 0.
type SubtreeID struct{ Level, Index int64 }

// Subtree is a complete subtree that a database stores.
type Subtree struct {
	SubtreeID
	Hash []byte
}

var ranges = compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}

// Tree is the Merkle tree (RFC 6962, section 2.1) of a book, as far as it is needed to append leaves: the hashes
// on its right edge. It is not safe for concurrent use.
type Tree struct {
	edge      *compact.Range
	completed []Subtree
}

// NewTree returns the tree without leaves.
func NewTree() *Tree { return &Tree{edge: ranges.NewEmptyRange(0)} }

// LoadTree returns the tree of size leaves. The hashes are those of its complete subtrees from left to right, as
// [compact.RangeNodes] names them.
func LoadTree(size int64, hashes [][]byte) (*Tree, error) {
	edge, err := ranges.NewRange(0, uint64(size), hashes)
	if err != nil {
		return nil, fmt.Errorf("load the tree: %w", err)
	}
	return &Tree{edge: edge}, nil
}

// Append adds the hash of the next leaf.
func (t *Tree) Append(leafHash []byte) error {
	if err := t.edge.Append(leafHash, func(id compact.NodeID, hash []byte) {
		if id.Level > 0 && id.Level%Stride == 0 {
			t.completed = append(t.completed, Subtree{SubtreeID{int64(id.Level / Stride), int64(id.Index)}, hash})
		}
	}); err != nil {
		return fmt.Errorf("append to the tree: %w", err)
	}
	return nil
}

// AppendGap adds the leaves up to the number last, of which only the hashes of complete subtrees are known.
func (t *Tree) AppendGap(last int64, hashes [][]byte) error {
	gap, err := ranges.NewRange(t.edge.End(), uint64(last), hashes)
	if err != nil {
		return err
	}
	return t.edge.AppendRange(gap, nil)
}

// Size is the number of leaves.
func (t *Tree) Size() int64 { return int64(t.edge.End()) }

// Edge returns the hashes that [LoadTree] takes: those of the complete subtrees, from left to right.
func (t *Tree) Edge() [][]byte { return slices.Clone(t.edge.Hashes()) }

// Root returns the root's hash.
func (t *Tree) Root() ([]byte, error) { return t.edge.GetRootHash(nil) }

// TakeCompleted returns the subtrees that were completed by [Tree.Append] since it was last called.
func (t *Tree) TakeCompleted() []Subtree {
	completed := t.completed
	t.completed = nil
	return completed
}
