package ledger

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"math"

	"github.com/transparency-dev/merkle/compact"
)

// shareCheck is one run over one collective's share.
type shareCheck struct {
	*verification
	grown  *compact.Range
	signed *Checkpoint
	proof  *shareProof
	// salt is that of the last transaction so far.
	salt []byte
}

func newShareCheck(line *archiveLine) (*shareCheck, error) {
	if line.Version != archiveVersion {
		return nil, fmt.Errorf("this program reads shares of version %d, not %d", archiveVersion, line.Version)
	}
	return &shareCheck{
		verification: &verification{Report: &Report{Book: line.Book, Share: true, Collective: line.Collective}},
		grown:        treeRanges.NewEmptyRange(0),
	}, nil
}

func (v *shareCheck) line(line *archiveLine) error {
	switch line.Type {
	case lineCheckpoint:
		return v.checkpoint(line)
	case lineTransaction:
		return v.transaction(line)
	case lineGap:
		return v.gap(line)
	case lineEnd:
		return nil
	}
	return fmt.Errorf("a share has no line of type %q", line.Type)
}

func (v *shareCheck) checkpoint(line *archiveLine) error {
	switch {
	case v.signed != nil || v.grown.End() > 0:
		return errors.New("a share has one checkpoint, before its transactions")
	case line.PreviousSize != 0 || line.Consistency != nil:
		return errors.New("the checkpoint of a share stands alone")
	}
	v.signed, v.proof = &Checkpoint{}, line.Share
	v.Checkpoints, v.VerifierKey, v.Sealed = 1, line.VerifierKey, line.Size
	where := fmt.Sprintf("checkpoint %d", line.Size)
	opened, err := OpenCheckpoint(line.Note, line.VerifierKey)
	switch {
	case err != nil:
		v.differ(where, "%v", err)
	case opened.Origin != originOf(v.Book):
		v.differ(where, "is of another book")
	case opened.Size != line.Size:
		v.differ(where, "is signed for the size %d", opened.Size)
	default:
		v.signed, v.SignedAt = opened, opened.SignedAt
	}
	return nil
}

func (v *shareCheck) transaction(line *archiveLine) error {
	s, err := line.share(v.Book, v.Collective)
	if err != nil {
		return err
	}
	if v.signed == nil || line.Number != int64(v.grown.End())+1 {
		return fmt.Errorf("the number %d is not the one after %d", line.Number, v.grown.End())
	}
	name := fmt.Sprintf("number %d (%s)", s.Number, s.Reference)
	for i := range line.Entries {
		if line.Entries[i].Collective != v.Collective {
			v.differ(name, "has an entry of another collective")
		}
	}
	v.Own++
	if !bytes.Equal(line.LeafHash, s.Hash()) {
		v.differ(name, "its transaction, an entry or its number is not what was sealed")
	}
	v.balanced(name, s.Entries)
	v.order(name, &s.LeafHead)
	v.salt = s.Salt
	return v.grown.Append(line.LeafHash, nil)
}

func (v *shareCheck) gap(line *archiveLine) error {
	if v.signed == nil || line.Number != int64(v.grown.End())+1 || line.Last < line.Number || line.Last == math.MaxInt64 {
		return fmt.Errorf("the numbers %d to %d do not follow %d", line.Number, line.Last, v.grown.End())
	}
	for _, hash := range line.Hashes {
		if len(hash) != sha256.Size {
			return fmt.Errorf("a hash has %d bytes", sha256.Size)
		}
	}
	hashes, err := treeRanges.NewRange(uint64(line.Number-1), uint64(line.Last), line.Hashes)
	if err != nil {
		return err
	}
	return v.grown.AppendRange(hashes, nil)
}

// end compares the root that the file gives with the one that was signed, and how many transactions there are.
func (v *shareCheck) end() error {
	if v.signed == nil {
		v.differ("checkpoint", "there is none, so nothing is proven")
		return nil
	}
	if len(v.signed.Root) == 0 {
		return nil
	}
	where := fmt.Sprintf("checkpoint %d", v.signed.Size)
	if v.grown.End() != uint64(v.signed.Size) {
		v.differ(where, "the file ends at number %d", v.grown.End())
		return nil
	}
	root, err := v.grown.GetRootHash(nil)
	if err != nil {
		return err
	}
	if !bytes.Equal(root, v.signed.Root) {
		v.differ(where, "another root was signed than the file gives")
	}
	where = "number of transactions"
	switch {
	case v.proof == nil || v.Own == 0:
		v.differ(where, "nothing of the collective's is shown, and so nothing is proven of it")
	case v.Own != v.proof.Count:
		v.differ(where, "the collective has %d, and the file shows %d", v.proof.Count, v.Own)
	}
	if v.proof != nil {
		if err := v.proof.verify(v.Collective, v.salt, v.signed.Shares); err != nil {
			v.differ(where, "%v", err)
		}
	}
	return nil
}
