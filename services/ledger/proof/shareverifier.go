package proof

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
)

// shareVerifier verifies one collective's share. Sealed is the size of the checkpoint. The tree grows by each
// transaction and each gap, so its size is the last number that the file has reached. signed is nil before the
// checkpoint's line, and has no root when its note could not be opened. last is where the last transaction so far
// stands in the order of writing.
type shareVerifier struct {
	*Report
	tree   *Tree
	signed *Checkpoint
	count  *CountProof
	last   position
	// salt is that of the last transaction so far.
	salt []byte
}

func newShareVerifier(line *archiveLine) *shareVerifier {
	return &shareVerifier{Report: &Report{Book: line.Book, Share: true, Collective: line.Collective}, tree: NewTree()}
}

func (v *shareVerifier) line(line *archiveLine) error {
	switch line.Type {
	case lineCheckpoint:
		return v.checkpoint(line)
	case lineTransaction:
		return v.transaction(line)
	case lineGap:
		return v.gap(line)
	}
	return fmt.Errorf("a share has no line of type %q", line.Type)
}

// checkpoint takes the one signed checkpoint. When it cannot be opened, signed stays without a root, and the file is read
// on for the other differences.
func (v *shareVerifier) checkpoint(line *archiveLine) error {
	switch {
	case v.signed != nil:
		return errors.New("a share must have one checkpoint, before its transactions")
	case line.PreviousSize != 0 || line.Consistency != nil:
		return errors.New("the checkpoint of a share must not follow another one")
	}
	// From here on a second checkpoint is refused, whatever the note says.
	v.signed, v.count = &Checkpoint{}, line.Share
	v.Checkpoints, v.VerifierKey, v.Sealed = 1, line.VerifierKey, line.Size
	where := fmt.Sprintf("checkpoint %d", line.Size)
	// The signature proves only that the holder of this key signed; whose key it is, the caller must know.
	opened, err := OpenCheckpoint(line.Note, line.VerifierKey)
	switch {
	case err != nil:
		v.Differ(where, "%v", err)
	case opened.Origin != OriginOf(v.Book):
		v.Differ(where, "is of another book")
	case opened.Size != line.Size:
		v.Differ(where, "is signed for the size %d", opened.Size)
	default:
		v.signed, v.SignedAt = opened, opened.SignedAt
	}
	return nil
}

// transaction checks one of the collective's. The tree grows by the hash that the file states, so that one wrong transaction
// is one difference and not a wrong root too.
func (v *shareVerifier) transaction(line *archiveLine) error {
	s, err := line.share(v.Book, v.Collective)
	if err != nil {
		return err
	}
	// Numbers are read in order, and gaps fill what lies between: a number that does not follow is no share at all.
	if v.signed == nil || line.Number != v.tree.Size()+1 {
		return fmt.Errorf("the number %d is not the one after %d", line.Number, v.tree.Size())
	}
	name := fmt.Sprintf("number %d (%s)", s.Number, s.Reference)
	// The hash covers the collective of the share only once, not with each entry, so an entry that says another one must
	// be looked for.
	for i := range line.Entries {
		if line.Entries[i].Collective != v.Collective {
			v.Differ(name, "has an entry of another collective")
		}
	}
	v.Own++
	if !bytes.Equal(line.LeafHash, s.Hash()) {
		v.Differ(name, "its transaction, an entry or its number is not what was sealed")
	}
	v.checkBalanced(name, s.Entries)
	if !v.last.before(s.position()) {
		v.Differ(name, "was written before the one with the number before")
	}
	// The count was hashed with the salt of the last transaction, which end needs.
	v.last, v.salt = s.position(), s.Salt
	return v.tree.Append(line.LeafHash)
}

// gap takes the hashes of the subtrees between two transactions. Their number follows from the numbers alone; the tree
// refuses any other.
func (v *shareVerifier) gap(line *archiveLine) error {
	// A last number of math.MaxInt64 would overflow with the next one.
	if v.signed == nil || line.Number != v.tree.Size()+1 || line.Last < line.Number || line.Last == math.MaxInt64 {
		return fmt.Errorf("the numbers %d to %d do not follow %d", line.Number, line.Last, v.tree.Size())
	}
	for _, hash := range line.Hashes {
		if len(hash) != sha256.Size {
			return fmt.Errorf("a hash must have %d bytes", sha256.Size)
		}
	}
	return v.tree.AppendGap(line.Last, line.Hashes)
}

// end compares the root and the number of transactions that the file gives with those that were signed.
func (v *shareVerifier) end() (*Report, error) {
	if v.signed == nil {
		v.Differ("checkpoint", "there is none, so nothing is proven")
		return v.Report, nil
	}
	// The checkpoint could not be opened, and the report says so.
	if len(v.signed.Root) == 0 {
		return v.Report, nil
	}
	where := fmt.Sprintf("checkpoint %d", v.signed.Size)
	if v.tree.Size() != v.signed.Size {
		v.Differ(where, "the file ends at number %d", v.tree.Size())
		return v.Report, nil
	}
	// The root is compared only when the size is right; else it must differ.
	root, err := v.tree.Root()
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(root, v.signed.Root) {
		v.Differ(where, "another root was signed than the file gives")
	}
	where = "number of transactions"
	switch {
	// Without a transaction there is no salt, so no count can be proven.
	case v.count == nil || v.Own == 0:
		v.Differ(where, "the file shows no transaction of the collective, so nothing is proven of it")
	// The count was signed, so a transaction of the collective's that is hidden in a gap shows here.
	case v.Own != v.count.Transactions:
		v.Differ(where, "the collective has %d, and the file shows %d", v.count.Transactions, v.Own)
	}
	if v.count != nil {
		// The count must be in the tree of counts whose root the checkpoint signs.
		if err := v.count.verify(v.Collective, v.salt, v.signed.CountsRoot); err != nil {
			v.Differ(where, "%v", err)
		}
	}
	return v.Report, nil
}
