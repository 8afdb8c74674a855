package ledger

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/google/uuid"
	"github.com/transparency-dev/merkle/rfc6962"

	"github.com/cagnotte/cagnotte/services/money"
)

// maxGap is how many numbers may be missing in a row before a file is no archive.
const maxGap = 1 << 20

// archiveCheck is one run over one archive.
type archiveCheck struct {
	*verification
	// keptAt is the number that the balances were kept at; zero when there are none.
	keptAt     int64
	kept, sums map[keptKey]int64
}

// VerifyArchive checks what [Service.WriteArchive] wrote, with nothing but the file: that numbers have no
// gap and follow the order of writing, that transactions are balanced and are what was hashed, the tree, the
// checkpoints with their signatures and their chain, and the kept balances. With a verifier key the newest
// checkpoint must be signed by it; without one, compare the report's with one that was kept elsewhere.
//
// Of a share, as [View.WriteShare] wrote it, it checks as much as a share can show: that each transaction in it is
// balanced, is what was hashed and stands in the signed tree at its number. It cannot show that nothing of the
// collective's was left to the hashes.
//
// What differs is in the report; the error is for a file that is no archive, or not a whole one.
func VerifyArchive(r io.Reader, verifierKey string) (*Report, error) {
	decoder := json.NewDecoder(r)
	decoder.DisallowUnknownFields()
	var check interface {
		line(line *archiveLine) error
		end() error
	}
	var report *verification
	for n, ended := 1, false; ; n++ {
		var line archiveLine
		if err := decoder.Decode(&line); errors.Is(err, io.EOF) && ended {
			break
		} else if errors.Is(err, io.EOF) {
			return nil, errors.New("the file is cut off: its last line is missing")
		} else if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		if ended || (n == 1) != (line.Type == lineBook || line.Type == lineShare) {
			return nil, fmt.Errorf("line %d: a %q is not expected here", n, line.Type)
		}
		ended = line.Type == lineEnd
		var err error
		switch line.Type {
		case lineBook:
			v := newArchiveCheck()
			check, report = v, v.verification
			err = v.line(&line)
		case lineShare:
			var v *shareCheck
			if v, err = newShareCheck(&line); err == nil {
				check, report = v, v.verification
			}
		default:
			err = check.line(&line)
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
	}
	if err := check.end(); err != nil {
		return nil, err
	}
	if verifierKey != "" && report.VerifierKey != verifierKey {
		report.differ("checkpoints", "the newest is not signed by the key %s", verifierKey)
	}
	return report.Report, nil
}

func newArchiveCheck() *archiveCheck {
	return &archiveCheck{
		verification: &verification{
			Report: &Report{}, tree: treeCheck{grown: treeRanges.NewEmptyRange(0)}, checkpoints: checkpointChain{bySize: map[int64]int{}},
		},
		kept: map[keptKey]int64{}, sums: map[keptKey]int64{},
	}
}

func (v *archiveCheck) end() error {
	if v.keptAt > v.tree.size {
		v.differ("kept balances", "are at number %d, which is missing", v.keptAt)
	}
	return v.endCheckpoints(nil)
}

func (v *archiveCheck) line(line *archiveLine) error {
	switch line.Type {
	case lineBook:
		if line.Version != archiveVersion {
			return fmt.Errorf("this program reads archives of version %d, not %d", archiveVersion, line.Version)
		}
		v.Book = line.Book
	case lineCheckpoint:
		return v.checkpoint(line)
	case lineBalance:
		if line.Balance == nil || v.Sealed > 0 {
			return errors.New("balances come before transactions")
		}
		v.keptAt = line.Number
		v.kept[keyOf(line.Balance)] = line.Balance.AmountMinor
	case lineTransaction:
		return v.transaction(line)
	case lineEnd:
	default:
		return fmt.Errorf("%q is no type of line", line.Type)
	}
	return nil
}

func keyOf(e *archiveEntry) keptKey {
	return keptKey{code: e.Account, collective: e.Collective, campaign: e.Campaign, currency: e.Currency, span: "all"}
}

// checkpoint takes root and time from the note, which openNote checks again.
func (v *archiveCheck) checkpoint(line *archiveLine) error {
	if v.Sealed > 0 {
		return errors.New("checkpoints come before transactions")
	}
	c := signedCheckpoint{
		size: line.Size, previous: line.PreviousSize, consistency: line.Consistency, note: line.Note, verifierKey: line.VerifierKey,
	}
	if opened, err := OpenCheckpoint(c.note, c.verifierKey); err == nil {
		c.root, c.signedAt = opened.Root, opened.SignedAt
	}
	v.checkpoints.bySize[c.size] = len(v.checkpoints.all)
	v.checkpoints.all = append(v.checkpoints.all, c)
	v.Checkpoints++
	return nil
}

func (v *archiveCheck) transaction(line *archiveLine) error {
	r, err := line.verified(v.Book)
	if err != nil {
		return err
	}
	if line.Number > v.tree.size+maxGap {
		return fmt.Errorf("the number %d is far from the one before", line.Number)
	}
	for i := range line.Entries {
		v.sums[keyOf(&line.Entries[i])] += line.Entries[i].AmountMinor
	}
	v.numbered(r)
	v.entries(r)
	v.grow(r.number, r.leafHash)
	if r.number == v.keptAt {
		v.compareKept()
	}
	return nil
}

// verified is the transaction that a line tells, to be checked.
func (line *archiveLine) verified(book string) (*verified, error) {
	if line.Effective == nil || line.Recorded == nil || len(line.LeafHash) != rfc6962.DefaultHasher.Size() {
		return nil, errors.New("a transaction has its times and its hash")
	}
	r := &verified{
		number: line.Number, transactionID: line.Transaction, leafHash: line.LeafHash, found: true,
		entryCount: int16(min(len(line.Entries), maxEntries)),
		leaf: Leaf{
			Book: book, Number: line.Number, ID: line.Transaction, XID: line.XID, Reference: line.Reference, Kind: line.Kind,
			Effective: *line.Effective, Recorded: *line.Recorded, Fingerprint: line.Fingerprint,
		},
	}
	for i := range line.Entries {
		e := &line.Entries[i]
		entry := LeafEntry{
			Line: e.Line, Code: e.Account, Amount: money.Amount{Minor: e.AmountMinor, Currency: e.Currency},
			Collective: e.Collective, Campaign: e.Campaign,
		}
		if e.Donation != nil {
			entry.Donation = uuid.UUID(*e.Donation)
		}
		r.leaf.Entries = append(r.leaf.Entries, entry)
	}
	return r, nil
}

// compareKept compares what was kept with what the entries so far sum to.
func (v *archiveCheck) compareKept() {
	for k, sum := range v.sums {
		if balance, ok := v.kept[k]; !ok || balance != sum {
			v.differ(k.String(), "is %d; the entries sum to %d", balance, sum)
		}
	}
	for k, balance := range v.kept {
		if _, ok := v.sums[k]; !ok {
			v.differ(k.String(), "is %d, and no entry is of it", balance)
		}
	}
}
