package proof

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
)

// Count is how many of a book's first transactions a collective has entries in. Its hash is a leaf of a second tree,
// over the collectives by name. Each checkpoint signs the root of that tree, so a share can be shown to be complete.
type Count struct {
	Collective   string
	Transactions int64
	Hash         []byte
	// salt is that of the collective's newest transaction since the hash was made; nil when there is none.
	salt []byte
}

const countHeader = "cagnotte ledger share count 2\n"

// hashCount takes the salt of the collective's last transaction. The other collectives do not know it; else they could
// try names and counts until a hash is right.
func hashCount(collective string, transactions int64, salt []byte) []byte {
	b := append(make([]byte, 0, 128), countHeader...)
	b = append(b, salt...)
	b = appendText(b, collective)
	return rfc6962.DefaultHasher.HashLeaf(binary.BigEndian.AppendUint64(b, uint64(transactions)))
}

// Counts are the counts of a book's collectives, sorted by name.
type Counts []Count

// find returns where a collective is, or where it would be inserted.
func (c Counts) find(collective string) (place int, found bool) {
	return slices.BinarySearchFunc(c, collective, func(count Count, name string) int { return cmp.Compare(count.Collective, name) })
}

// Add counts the next transaction. The hashes change with [Counts.Settle].
func (c *Counts) Add(l *Leaf) {
	for _, collective := range l.collectives() {
		i, known := c.find(collective)
		if !known {
			*c = slices.Insert(*c, i, Count{Collective: collective})
		}
		(*c)[i].Transactions++
		// Each transaction replaces the salt, so the hash is made with that of the last one.
		(*c)[i].salt = l.Salt
	}
}

// Settle makes the hashes of the counts that have changed since it was last called, and returns these counts.
func (c Counts) Settle() (changed []Count) {
	for i := range c {
		if count := &c[i]; count.salt != nil {
			count.Hash = hashCount(count.Collective, count.Transactions, shareSalt(count.salt, count.Collective))
			count.salt = nil
			changed = append(changed, *count)
		}
	}
	return changed
}

// Root returns the root of the tree over the counts, as they were last settled. Without counts, as in a log whose leaves have
// no entries, it is that of the empty tree.
func (c Counts) Root() ([]byte, error) {
	if len(c) == 0 {
		return rfc6962.DefaultHasher.EmptyRoot(), nil
	}
	// The tree is built anew each time: it has as many leaves as the book has collectives.
	tree := NewTree()
	for i := range c {
		if err := tree.Append(c[i].Hash); err != nil {
			return nil, fmt.Errorf("the tree of counts: %w", err)
		}
	}
	return tree.Root()
}

// CountProof proves in a file of a share how many transactions the collective has in the book.
type CountProof struct {
	Transactions int64 `json:"transactions,string"`
	// Place is the collective's among Places in the tree of counts, from 1.
	Place  int64 `json:"place,string"`
	Places int64 `json:"places,string"`
	// Path is the inclusion proof (RFC 6962, section 2.1.1).
	Path [][]byte `json:"path"`
}

// Prove returns the proof of a collective's count, or nil when it has no transaction in the book.
func (c Counts) Prove(collective string) (*CountProof, error) {
	place, found := c.find(collective)
	if !found {
		return nil, nil
	}
	// There are as many leaves as collectives, so the nodes are computed anew from the hashes of the counts.
	nodes, err := proof.Inclusion(uint64(place), uint64(len(c)))
	if err != nil {
		return nil, fmt.Errorf("prove a count: %w", err)
	}
	hashes := make([][]byte, 0, len(nodes.IDs))
	for _, id := range nodes.IDs {
		hash, err := c.node(id)
		if err != nil {
			return nil, err
		}
		hashes = append(hashes, hash)
	}
	path, err := nodes.Rehash(hashes, rfc6962.DefaultHasher.HashChildren)
	if err != nil {
		return nil, fmt.Errorf("prove a count: %w", err)
	}
	return &CountProof{Transactions: c[place].Transactions, Place: int64(place) + 1, Places: int64(len(c)), Path: path}, nil
}

// node returns the hash of a complete subtree. A subtree of level l at index i covers the counts from i*2^l on.
func (c Counts) node(id compact.NodeID) ([]byte, error) {
	return c[id.Index<<id.Level : (id.Index+1)<<id.Level].Root()
}

// verify checks the count against the signed root, with the salt of the collective's last transaction.
func (p *CountProof) verify(collective string, salt, root []byte) error {
	// The numbers come from a file, and VerifyInclusion takes them as unsigned: a negative one must not become large.
	if p.Place < 1 || p.Places < p.Place || p.Transactions < 1 {
		return errors.New("the count is not one that was signed")
	}
	for _, hash := range p.Path {
		if len(hash) != sha256.Size {
			return fmt.Errorf("a hash must have %d bytes", sha256.Size)
		}
	}
	if err := proof.VerifyInclusion(rfc6962.DefaultHasher, uint64(p.Place-1), uint64(p.Places),
		hashCount(collective, p.Transactions, salt), p.Path, root); err != nil {
		return errors.New("the count is not one that was signed, or the last of the collective's transactions is not in the file")
	}
	return nil
}
