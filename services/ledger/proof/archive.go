package proof

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/google/uuid"

	"github.com/cagnotte/cagnotte/services/money"
)

// archiveVersion is in the first line of an archive.
const archiveVersion = 2

// The types of an archive's lines, in their order in the file.
const (
	lineBook        = "book"
	lineCheckpoint  = "checkpoint"
	lineBalance     = "balance"
	lineTransaction = "transaction"
	lineEnd         = "end"
	// A share begins with its own line instead of the book's, and has gaps.
	lineShare = "share"
	lineGap   = "gap"
)

// archiveLine is a line of an archive, a JSON object; which members it has depends on its type. Numbers are strings, as
// everywhere in the API. Times are UTC, hashes base64. A member that a type does not have is left out, and parseLine
// refuses a line that has it all the same.
type archiveLine struct {
	Type string `json:"type"`

	Version int    `json:"version,omitempty"`
	Book    string `json:"book,omitempty"`

	// Size of a checkpoint, and of the one before.
	Size         int64    `json:"size,string,omitempty"`
	PreviousSize int64    `json:"previous_size,string,omitempty"`
	Consistency  [][]byte `json:"consistency,omitempty"`
	Note         string   `json:"note,omitempty"`
	VerifierKey  string   `json:"verifier_key,omitempty"`

	// Number of a transaction, or the one that a balance was stored at.
	Number      int64          `json:"number,string,omitempty"`
	Transaction int64          `json:"transaction,string,omitempty"`
	XID         uint64         `json:"xid,string,omitempty"`
	Reference   string         `json:"reference,omitempty"`
	Kind        string         `json:"kind,omitempty"`
	Effective   *time.Time     `json:"effective_time,omitempty"`
	Recorded    *time.Time     `json:"recorded_time,omitempty"`
	Fingerprint []byte         `json:"fingerprint,omitempty"`
	Salt        []byte         `json:"salt,omitempty"`
	LeafHash    []byte         `json:"leaf_hash,omitempty"`
	Entries     []archiveEntry `json:"entries,omitempty"`

	Balance *archiveEntry `json:"balance,omitempty"`

	// Collective is whose share it is. Share, beside its checkpoint, proves how many transactions it has. Others are
	// the hashes of what others have in a transaction.
	Collective string      `json:"collective,omitempty"`
	Share      *CountProof `json:"share,omitempty"`
	Others     [][]byte    `json:"others,omitempty"`
	// Last is the last number of a gap, and Hashes those of the subtrees that make it up.
	Last   int64    `json:"last,string,omitempty"`
	Hashes [][]byte `json:"hashes,omitempty"`
}

// archiveEntry is an entry, or a stored balance: then without line and donation.
type archiveEntry struct {
	Line        int16          `json:"line,omitempty"`
	Account     string         `json:"account"`
	AmountMinor int64          `json:"amount_minor,string"`
	Currency    money.Currency `json:"currency_code"`
	Collective  string         `json:"collective,omitempty"`
	Campaign    string         `json:"campaign,omitempty"`
	Donation    *uuid.UUID     `json:"donation,omitempty"`
}

// Writer writes what [VerifyArchive] reads: the archive of a whole book, or the share of one collective. Call its
// methods in this order:
//
//	archive: Book, Checkpoint for each, Balance for each, Transaction for each, End
//	share:   Share, ShareCheckpoint, ShareTransaction and Gap by their numbers, End
//
// An archive or share without a checkpoint has only its first and its last line. An error of the underlying writer
// comes back as it is.
type Writer struct{ lines *json.Encoder }

// NewWriter returns a writer to w. It does not buffer.
func NewWriter(w io.Writer) *Writer {
	lines := json.NewEncoder(w)
	// The encoder ends each line with a newline. parseLine writes a line again by the same encoder, so the setting is a
	// part of the format.
	lines.SetEscapeHTML(false)
	return &Writer{lines}
}

func (w *Writer) write(line *archiveLine) error { return w.lines.Encode(line) }

// Book begins the archive of a book.
func (w *Writer) Book(book string) error {
	return w.write(&archiveLine{Type: lineBook, Version: archiveVersion, Book: book})
}

// Share begins the share of one collective.
func (w *Writer) Share(book, collective string) error {
	return w.write(&archiveLine{Type: lineShare, Version: archiveVersion, Book: book, Collective: collective})
}

// Checkpoint writes a checkpoint of an archive; they go up by size.
func (w *Writer) Checkpoint(c *ChainedCheckpoint) error {
	return w.write(&archiveLine{
		Type: lineCheckpoint, Size: c.Size, PreviousSize: c.PreviousSize, Consistency: c.Consistency, Note: c.Note, VerifierKey: c.VerifierKey,
	})
}

// ShareCheckpoint writes the one checkpoint of a share, with the proof of how many transactions the share has; nil when
// it has none.
func (w *Writer) ShareCheckpoint(c *Checkpoint, count *CountProof) error {
	return w.write(&archiveLine{Type: lineCheckpoint, Size: c.Size, Note: c.Note, VerifierKey: c.VerifierKey, Share: count})
}

// Balance writes a balance of all of time that was stored at a number. They go up by account, collective, campaign and
// currency.
func (w *Writer) Balance(number int64, balance *Entry) error {
	return w.write(&archiveLine{Type: lineBalance, Number: number, Balance: &archiveEntry{
		Account: balance.Code, AmountMinor: balance.Amount.Minor, Currency: balance.Amount.Currency,
		Collective: balance.Collective, Campaign: balance.Campaign,
	}})
}

// Transaction writes a transaction of an archive, with the hash that it was sealed with.
func (w *Writer) Transaction(l *Leaf, hash []byte) error {
	line := archiveHead(&l.Head, l.Entries)
	line.Fingerprint, line.Salt, line.LeafHash = l.Fingerprint, l.Salt, hash
	return w.write(line)
}

// ShareTransaction writes a transaction of a share, with the hash that it was sealed with.
func (w *Writer) ShareTransaction(s *LeafShare, hash []byte) error {
	line := archiveHead(&s.Head, s.Entries)
	line.Salt, line.LeafHash, line.Others = s.Salt, hash, s.Others
	return w.write(line)
}

// Gap writes the hashes of the subtrees that make up the numbers first to last, which the share does not have.
func (w *Writer) Gap(first, last int64, hashes [][]byte) error {
	return w.write(&archiveLine{Type: lineGap, Number: first, Last: last, Hashes: hashes})
}

// End writes the last line.
func (w *Writer) End() error { return w.write(&archiveLine{Type: lineEnd}) }

// archiveHead returns the members that the transactions of an archive and of a share have in common. Times are UTC, so
// the same instant has one spelling.
func archiveHead(h *Head, entries []Entry) *archiveLine {
	effective, recorded := h.Effective.UTC(), h.Recorded.UTC()
	line := &archiveLine{
		Type: lineTransaction, Number: h.Number, Transaction: h.ID, XID: h.XID, Reference: h.Reference,
		Kind: h.Kind, Effective: &effective, Recorded: &recorded,
	}
	for _, e := range entries {
		entry := archiveEntry{
			Line: e.Line, Account: e.Code, AmountMinor: e.Amount.Minor, Currency: e.Amount.Currency, Collective: e.Collective, Campaign: e.Campaign,
		}
		if e.Donation != uuid.Nil {
			donation := e.Donation
			entry.Donation = &donation
		}
		line.Entries = append(line.Entries, entry)
	}
	return line
}

// only returns the line with nothing but the members that a line of its type has.
func (line *archiveLine) only() (*archiveLine, error) {
	l := &archiveLine{Type: line.Type}
	switch line.Type {
	case lineBook:
		l.Version, l.Book = line.Version, line.Book
	case lineShare:
		l.Version, l.Book, l.Collective = line.Version, line.Book, line.Collective
	case lineCheckpoint:
		l.Size, l.PreviousSize, l.Consistency = line.Size, line.PreviousSize, line.Consistency
		l.Note, l.VerifierKey, l.Share = line.Note, line.VerifierKey, line.Share
	case lineBalance:
		l.Number = line.Number
		// A balance has no line and no donation.
		if b := line.Balance; b != nil {
			l.Balance = &archiveEntry{Account: b.Account, AmountMinor: b.AmountMinor, Currency: b.Currency, Collective: b.Collective, Campaign: b.Campaign}
		}
	case lineTransaction:
		l.Number, l.Transaction, l.XID, l.Reference, l.Kind = line.Number, line.Transaction, line.XID, line.Reference, line.Kind
		l.Effective, l.Recorded, l.Fingerprint, l.Salt = line.Effective, line.Recorded, line.Fingerprint, line.Salt
		l.LeafHash, l.Entries, l.Others = line.LeafHash, line.Entries, line.Others
	case lineGap:
		l.Number, l.Last, l.Hashes = line.Number, line.Last, line.Hashes
	case lineEnd:
	default:
		return nil, fmt.Errorf("%q is not a type of line", line.Type)
	}
	return l, nil
}

// parseLine reads a line that is written as [Writer] writes it, to the byte. JSON has many ways to say one thing, and
// some that two readers understand differently, such as a member that comes twice.
func parseLine(data []byte) (*archiveLine, error) {
	var line archiveLine
	if err := json.Unmarshal(data, &line); err != nil {
		return nil, err
	}
	only, err := line.only()
	if err != nil {
		return nil, err
	}
	var again bytes.Buffer
	if err := NewWriter(&again).write(only); err != nil {
		return nil, err
	}
	if !bytes.Equal(again.Bytes(), data) {
		return nil, errors.New("the line is not written as the program writes it")
	}
	return &line, nil
}

// head reads what a line says of a transaction beside its entries.
func (line *archiveLine) head(book string) (Head, error) {
	if line.Effective == nil || line.Recorded == nil || len(line.LeafHash) != sha256.Size {
		return Head{}, errors.New("a transaction must have its times and its hash")
	}
	return Head{
		Book: book, Number: line.Number, ID: line.Transaction, XID: line.XID, Reference: line.Reference, Kind: line.Kind,
		Effective: *line.Effective, Recorded: *line.Recorded,
	}, nil
}

// entries returns the entries of a line as they are hashed, an absent donation as uuid.Nil.
func (line *archiveLine) entries() []Entry {
	entries := make([]Entry, 0, len(line.Entries))
	for i := range line.Entries {
		e := &line.Entries[i]
		entry := Entry{
			Line: e.Line, Code: e.Account, Amount: money.Amount{Minor: e.AmountMinor, Currency: e.Currency},
			Collective: e.Collective, Campaign: e.Campaign,
		}
		if e.Donation != nil {
			entry.Donation = *e.Donation
		}
		entries = append(entries, entry)
	}
	return entries
}

// sealed reads the transaction of an archive's line.
func (line *archiveLine) sealed(book string) (*Sealed, error) {
	head, err := line.head(book)
	if err != nil {
		return nil, err
	}
	if len(line.Salt) != SaltSize || len(line.Others) > 0 {
		return nil, errors.New("a transaction of an archive must be whole and have its salt")
	}
	// A file does not say how many entries a transaction must have; the leaf's hash covers them all.
	return &Sealed{
		Leaf:     Leaf{Head: head, Fingerprint: line.Fingerprint, Salt: line.Salt, Entries: line.entries()},
		LeafHash: line.LeafHash, EntryCount: len(line.Entries),
	}, nil
}

// share reads the transaction of a share's line.
func (line *archiveLine) share(book, collective string) (*LeafShare, error) {
	head, err := line.head(book)
	if err != nil {
		return nil, err
	}
	if line.Fingerprint != nil {
		return nil, errors.New("a transaction of a share has no fingerprint, since that is about all entries")
	}
	s := &LeafShare{Head: head, Collective: collective, Salt: line.Salt, Entries: line.entries(), Others: line.Others}
	return s, s.check()
}
