package proof

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"

	"github.com/cagnotte/cagnotte/services/money"
)

// maxGap is how many numbers may be missing in a row before a file is no archive.
const maxGap = 1 << 20

// maxLine is more than the line of a transaction with the most entries takes, in bytes.
const maxLine = 64 << 20

// wholeLines splits like [bufio.ScanLines] and keeps the end of each line, so that a line without one is refused.
func wholeLines(data []byte, atEOF bool) (advance int, token []byte, err error) {
	if end := bytes.IndexByte(data, '\n'); end >= 0 {
		return end + 1, data[:end+1], nil
	}
	if atEOF && len(data) > 0 {
		return len(data), data, nil
	}
	return 0, nil, nil
}

// fileVerifier verifies one kind of file, line by line. A line that cannot stand where it stands is an error. A line
// that differs from what was signed goes to the report.
type fileVerifier interface {
	line(line *archiveLine) error
	// end finishes the report when the file is whole.
	end() (*Report, error)
}

// VerifyArchive verifies a file that a [Writer] wrote, with nothing but the file. It holds the stored balances and the
// checkpoints in memory.
//
// Of an archive it checks that numbers have no gap and follow the order of writing, that transactions are balanced and
// are what was hashed, the tree, the checkpoints with their signatures and their chain, and the stored balances.
//
// Of a share it checks that each transaction in it is balanced, is what was hashed and stands in the signed tree at its
// number, and that there are as many as were signed. So no transaction of the collective's is hidden behind a hash.
//
// With a verifier key the newest checkpoint must be signed by it. Without one the caller must compare the report's key
// with one that was kept elsewhere: whoever makes a file can sign it with a key of their own. Nothing is proven without
// a signed checkpoint. An older file of the same book passes too; [Report.SignedAt] says how old it is.
//
// What differs is in the report. The error is for a file that is no archive, not a whole one, or not written as
// [Writer] writes it.
func VerifyArchive(r io.Reader, verifierKey string) (*Report, error) {
	// The buffer grows from 64 KiB up to maxLine only for lines that need it.
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 64<<10), maxLine)
	lines.Split(wholeLines)
	var verifier fileVerifier
	for n, ended := 1, false; ; n++ {
		// The file must end with a line of type end: one that was cut off at the end of a line shows in nothing else.
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
		// The first line is a book or a share, no other line is, and nothing follows the end.
		if ended || (n == 1) != (line.Type == lineBook || line.Type == lineShare) {
			return nil, fmt.Errorf("line %d: a line of type %q is not expected here", n, line.Type)
		}
		ended = line.Type == lineEnd
		switch {
		case line.Type == lineEnd:
		case n > 1:
			err = verifier.line(line)
		// Only the first line reaches the cases from here on.
		case line.Version != archiveVersion:
			err = fmt.Errorf("this program reads version %d, not %d", archiveVersion, line.Version)
		case line.Type == lineBook:
			verifier = newArchiveVerifier(line)
		default:
			verifier = newShareVerifier(line)
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
	}
	report, err := verifier.end()
	if err != nil {
		return nil, err
	}
	// Older checkpoints may have been signed by a former key, and are tied to the newest by their consistency proofs.
	if verifierKey != "" && report.VerifierKey != verifierKey {
		report.Differ("checkpoints", "the newest is not signed by the key %s", verifierKey)
	}
	return report, nil
}

// balanceKey is what a balance of all of time is of.
type balanceKey struct {
	code, collective, campaign string
	currency                   money.Currency
}

func keyOf(e *archiveEntry) balanceKey {
	return balanceKey{e.Account, e.Collective, e.Campaign, e.Currency}
}

func (k balanceKey) String() string {
	return fmt.Sprintf("stored balance of account %s, collective %q, campaign %q, %s", k.code, k.collective, k.campaign, k.currency)
}

// compare orders keys as the file must have them, byte by byte.
func (k *balanceKey) compare(other *balanceKey) int {
	return cmp.Or(cmp.Compare(k.code, other.code), cmp.Compare(k.collective, other.collective),
		cmp.Compare(k.campaign, other.campaign), cmp.Compare(k.currency, other.currency))
}

// archiveVerifier verifies the archive of a whole book. Balances and checkpoints come before the transactions, so that
// they can be compared when the tree and the sums have reached their number. The field balances has those of the file,
// computed the sums of the entries so far.
type archiveVerifier struct {
	*Verifier
	// storedAt is the number that the balances were stored at; zero when there are none.
	storedAt int64
	lastKey  balanceKey
	balances map[balanceKey]int64
	computed map[balanceKey]int64
}

func newArchiveVerifier(line *archiveLine) *archiveVerifier {
	return &archiveVerifier{Verifier: NewVerifier(line.Book, nil), balances: map[balanceKey]int64{}, computed: map[balanceKey]int64{}}
}

func (v *archiveVerifier) line(line *archiveLine) error {
	switch line.Type {
	case lineCheckpoint:
		return v.checkpoint(line)
	case lineBalance:
		return v.balance(line)
	case lineTransaction:
		return v.transaction(line)
	}
	return fmt.Errorf("an archive has no line of type %q", line.Type)
}

func (v *archiveVerifier) end() (*Report, error) {
	if v.Checkpoints == 0 {
		v.Differ("checkpoints", "there is none, so nothing is proven")
		return v.Report, nil
	}
	// Balances at a number that the file does not reach were never compared.
	if v.storedAt > v.number {
		v.Differ("stored balances", "are at number %d, which is missing", v.storedAt)
	}
	return v.Finish(), nil
}

// checkpoint takes root and time from the note, which [Verifier.Finish] checks again.
func (v *archiveVerifier) checkpoint(line *archiveLine) error {
	if v.Sealed > 0 || len(v.balances) > 0 || line.Share != nil {
		return errors.New("checkpoints must come before balances and transactions, and have no share")
	}
	c := ChainedCheckpoint{
		Checkpoint:   Checkpoint{Size: line.Size, Note: line.Note, VerifierKey: line.VerifierKey},
		PreviousSize: line.PreviousSize, Consistency: line.Consistency,
	}
	// Root and time are not written beside the note. A note that cannot be opened leaves both empty.
	if opened, err := OpenCheckpoint(c.Note, c.VerifierKey); err == nil {
		c.Root, c.SignedAt = opened.Root, opened.SignedAt
	}
	if !v.AddCheckpoint(&c) {
		return fmt.Errorf("the checkpoint %d comes twice", c.Size)
	}
	return nil
}

// balance takes a stored balance. All are of one number, each of another key, in the order of the keys.
func (v *archiveVerifier) balance(line *archiveLine) error {
	if line.Balance == nil || v.Sealed > 0 {
		return errors.New("balances must come before transactions")
	}
	key := keyOf(line.Balance)
	if line.Number < 1 || len(v.balances) > 0 && (line.Number != v.storedAt || key.compare(&v.lastKey) <= 0) {
		return errors.New("balances must be of one number and in their order")
	}
	v.storedAt, v.lastKey, v.balances[key] = line.Number, key, line.Balance.AmountMinor
	return nil
}

func (v *archiveVerifier) transaction(line *archiveLine) error {
	s, err := line.sealed(v.Book)
	if err != nil {
		return err
	}
	// Each missing number is a leaf of the tree and a difference, so the bound keeps a wrong number from filling the
	// report and the time.
	if line.Number > v.number+maxGap {
		return fmt.Errorf("the number %d is too far from the one before", line.Number)
	}
	for i := range line.Entries {
		v.computed[keyOf(&line.Entries[i])] += line.Entries[i].AmountMinor
	}
	v.AddSealed(s)
	// The sums are those of the numbers up to this one, as they were when the balances were stored.
	if s.Number == v.storedAt {
		v.compareBalances()
	}
	return nil
}

// compareBalances compares what was stored with what the entries so far sum to.
func (v *archiveVerifier) compareBalances() {
	// A sum that is zero must be stored too, since entries changed it.
	for k, sum := range v.computed {
		if balance, ok := v.balances[k]; !ok || balance != sum {
			v.Differ(k.String(), "is %d; the entries sum to %d", balance, sum)
		}
	}
	for k, balance := range v.balances {
		if _, ok := v.computed[k]; !ok {
			v.Differ(k.String(), "is %d, and no entry is of it", balance)
		}
	}
}
