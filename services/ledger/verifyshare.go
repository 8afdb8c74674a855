package ledger

import (
	"bytes"
	"errors"
	"fmt"
	"math"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/rfc6962"
)

// shareCheck is one run over one collective's share.
type shareCheck struct {
	*verification
	grown  *compact.Range
	signed *Checkpoint
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
	return fmt.Errorf("%q is no type of line of a share", line.Type)
}

func (v *shareCheck) checkpoint(line *archiveLine) error {
	if v.signed != nil || v.grown.End() > 0 {
		return errors.New("a share has one checkpoint, before its transactions")
	}
	v.signed = &Checkpoint{}
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
		v.signed = opened
	}
	return nil
}

func (v *shareCheck) transaction(line *archiveLine) error {
	r, err := line.verified(v.Book)
	if err != nil {
		return err
	}
	if v.signed == nil || line.Number != int64(v.grown.End())+1 {
		return fmt.Errorf("the number %d is not the one after %d", line.Number, v.grown.End())
	}
	for i := range line.Entries {
		if line.Entries[i].Collective != v.Collective {
			v.differ(r.name(), "has an entry of another collective")
		}
	}
	if line.Shared {
		v.Shared++
	} else {
		v.Own++
		if !bytes.Equal(r.leafHash, rfc6962.DefaultHasher.HashLeaf(r.leaf.Encode())) {
			v.differ(r.name(), "its transaction, an entry or its number is not what was sealed")
		}
		v.entries(r)
	}
	v.order(r)
	return v.grown.Append(r.leafHash, nil)
}

func (v *shareCheck) gap(line *archiveLine) error {
	if v.signed == nil || line.Number != int64(v.grown.End())+1 || line.Last < line.Number || line.Last == math.MaxInt64 {
		return fmt.Errorf("the numbers %d to %d do not follow %d", line.Number, line.Last, v.grown.End())
	}
	for _, hash := range line.Hashes {
		if len(hash) != rfc6962.DefaultHasher.Size() {
			return errors.New("a hash has 32 bytes")
		}
	}
	hashes, err := treeRanges.NewRange(uint64(line.Number-1), uint64(line.Last), line.Hashes)
	if err != nil {
		return err
	}
	return v.grown.AppendRange(hashes, nil)
}

// end compares the root that the file gives with the one that was signed.
func (v *shareCheck) end() error {
	if v.signed == nil || len(v.signed.Root) == 0 {
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
	return nil
}
