package ledger

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"github.com/google/uuid"

	"github.com/cagnotte/cagnotte/services/money"
)

// maxGap is how many numbers may be missing in a row before a file is no archive.
const maxGap = 1 << 20

// maxLine is more than a transaction of as many entries as there can be takes, in bytes.
const maxLine = 64 << 20

// wholeLines splits like [bufio.ScanLines] and keeps the end of each line, so that none without one passes.
func wholeLines(data []byte, atEOF bool) (advance int, token []byte, err error) {
	if end := bytes.IndexByte(data, '\n'); end >= 0 {
		return end + 1, data[:end+1], nil
	}
	if atEOF && len(data) > 0 {
		return len(data), data, nil
	}
	return 0, nil, nil
}

// archiveCheck is one run over one archive.
type archiveCheck struct {
	*verification
	// keptAt is the number that the balances were kept at; zero when there are none.
	keptAt     int64
	keptLast   keptKey
	kept, sums map[keptKey]int64
}

// VerifyArchive checks what [Service.WriteArchive] wrote, with nothing but the file: that numbers have no
// gap and follow the order of writing, that transactions are balanced and are what was hashed, the tree, the
// checkpoints with their signatures and their chain, and the kept balances. With a verifier key the newest
// checkpoint must be signed by it; without one, compare the report's with one that was kept elsewhere.
//
// Of a share, as [View.WriteShare] wrote it, it checks that each transaction in it is balanced, is what was hashed and
// stands in the signed tree at its number, and that there are as many as were signed: so nothing of the
// collective's was left to the hashes of what is others'.
//
// Nothing is proven without a signed checkpoint. An older file of the same book is proven too: the report says when its
// checkpoint was signed. What differs is in the report; the error is for a file that is no archive, not a whole one, or not
// written as this program writes it.
func VerifyArchive(r io.Reader, verifierKey string) (*Report, error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 64<<10), maxLine)
	lines.Split(wholeLines)
	var check interface {
		line(line *archiveLine) error
		end() error
	}
	var report *verification
	for n, ended := 1, false; ; n++ {
		if !lines.Scan() {
			if err := lines.Err(); err != nil {
				return nil, fmt.Errorf("line %d: %w", n, err)
			}
			if !ended {
				return nil, errors.New("the file is cut off: its last line is missing")
			}
			break
		}
		line, err := parseLine(lines.Bytes())
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		if ended || (n == 1) != (line.Type == lineBook || line.Type == lineShare) {
			return nil, fmt.Errorf("line %d: a %q is not expected here", n, line.Type)
		}
		ended = line.Type == lineEnd
		switch line.Type {
		case lineBook:
			v := newArchiveCheck()
			check, report = v, v.verification
			err = v.line(line)
		case lineShare:
			var v *shareCheck
			if v, err = newShareCheck(line); err == nil {
				check, report = v, v.verification
			}
		default:
			err = check.line(line)
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
	if len(v.checkpoints.all) == 0 {
		v.differ("checkpoints", "there is none, so nothing is proven")
		return nil
	}
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
		return v.balance(line)
	case lineTransaction:
		return v.transaction(line)
	case lineEnd:
	default:
		return fmt.Errorf("an archive has no line of type %q", line.Type)
	}
	return nil
}

// balance takes one that was kept. All are of one number, each of another key, in their order.
func (v *archiveCheck) balance(line *archiveLine) error {
	if line.Balance == nil || v.Sealed > 0 {
		return errors.New("balances come before transactions")
	}
	key := keyOf(line.Balance)
	if line.Number < 1 || len(v.kept) > 0 && (line.Number != v.keptAt || key.compare(&v.keptLast) <= 0) {
		return errors.New("the balances are not those of one number, each once, in their order")
	}
	v.keptAt, v.keptLast, v.kept[key] = line.Number, key, line.Balance.AmountMinor
	return nil
}

func keyOf(e *archiveEntry) keptKey {
	return keptKey{code: e.Account, collective: e.Collective, campaign: e.Campaign, currency: e.Currency, span: "all"}
}

// checkpoint takes root and time from the note, which openNote checks again.
func (v *archiveCheck) checkpoint(line *archiveLine) error {
	if v.Sealed > 0 || len(v.kept) > 0 || line.Share != nil {
		return errors.New("checkpoints come before balances and transactions, and tell no share")
	}
	c := signedCheckpoint{
		size: line.Size, previous: line.PreviousSize, consistency: line.Consistency, note: line.Note, verifierKey: line.VerifierKey,
	}
	if _, twice := v.checkpoints.bySize[c.size]; twice {
		return fmt.Errorf("the checkpoint %d comes twice", c.size)
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
	v.shares.count(&r.leaf)
	v.grow(r.number, r.leafHash)
	if r.number == v.keptAt {
		v.compareKept()
	}
	return nil
}

// head is what a line tells of a transaction beside its entries.
func (line *archiveLine) head(book string) (LeafHead, error) {
	if line.Effective == nil || line.Recorded == nil || len(line.LeafHash) != sha256.Size {
		return LeafHead{}, errors.New("a transaction has its times and its hash")
	}
	return LeafHead{
		Book: book, Number: line.Number, ID: line.Transaction, XID: line.XID, Reference: line.Reference, Kind: line.Kind,
		Effective: *line.Effective, Recorded: *line.Recorded,
	}, nil
}

func (line *archiveLine) leafEntries() []LeafEntry {
	entries := make([]LeafEntry, 0, len(line.Entries))
	for i := range line.Entries {
		e := &line.Entries[i]
		entry := LeafEntry{
			Line: e.Line, Code: e.Account, Amount: money.Amount{Minor: e.AmountMinor, Currency: e.Currency},
			Collective: e.Collective, Campaign: e.Campaign,
		}
		if e.Donation != nil {
			entry.Donation = uuid.UUID(*e.Donation)
		}
		entries = append(entries, entry)
	}
	return entries
}

// verified is the transaction that a line of an archive tells, to be checked.
func (line *archiveLine) verified(book string) (*verified, error) {
	head, err := line.head(book)
	if err != nil {
		return nil, err
	}
	if len(line.Salt) != saltSize || len(line.Others) > 0 {
		return nil, errors.New("a transaction of an archive is whole, and has its salt")
	}
	return &verified{
		number: line.Number, transactionID: line.Transaction, leafHash: line.LeafHash, found: true,
		entryCount: int16(min(len(line.Entries), maxEntries)),
		leaf:       Leaf{LeafHead: head, Fingerprint: line.Fingerprint, Salt: line.Salt, Entries: line.leafEntries()},
	}, nil
}

// share is the transaction that a line of a share tells, to be checked.
func (line *archiveLine) share(book, collective string) (*LeafShare, error) {
	head, err := line.head(book)
	if err != nil {
		return nil, err
	}
	if line.Fingerprint != nil {
		return nil, errors.New("the fingerprint is of all entries, and no part of a share")
	}
	s := &LeafShare{LeafHead: head, Collective: collective, Salt: line.Salt, Entries: line.leafEntries(), Others: line.Others}
	return s, s.check()
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
