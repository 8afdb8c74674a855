package ledger

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/transparency-dev/merkle/rfc6962"

	"github.com/cagnotte/cagnotte/services/money"
)

// LeafHead is what everybody may know who has a share in a transaction.
type LeafHead struct {
	Book string
	// Number is the transaction's place in its book, from 1, without gaps.
	Number int64
	// ID and XID are the transaction's id and that of the database transaction that wrote it;
	// numbers follow the order of (XID, ID).
	ID  int64
	XID uint64

	Reference string
	Kind      string
	// Effective is when it happened, Recorded when it was written; both to the microsecond.
	Effective, Recorded time.Time
}

// Leaf is what a seal is about: a transaction with its number, as it was when it was sealed. Its
// encoding is what the tree hashes.
type Leaf struct {
	LeafHead
	// Fingerprint is the SHA-256 of what the poster asked for.
	Fingerprint []byte
	// Salt is 32 random bytes, made for the seal. They hide each collective's entries from the others.
	Salt    []byte
	Entries []LeafEntry
}

// LeafEntry is an entry of a sealed transaction.
type LeafEntry struct {
	// Line counts from 1.
	Line int16
	// Code is the account's. It does not change, unlike the account's name, which is not hashed.
	Code                 string
	Amount               money.Amount
	Collective, Campaign string
	// Donation is uuid.Nil when the entry belongs to none.
	Donation uuid.UUID
}

// LeafShare is a leaf as one collective may see it: its own entries, and of everything else no more than the tree's leaf
// needs. All of it is proven by the leaf's hash.
type LeafShare struct {
	LeafHead
	Collective string
	// Salt is the share's own, derived from the leaf's.
	Salt []byte
	// Entries are all that the collective has in the transaction.
	Entries []LeafEntry
	// Others are the hashes of the leaf's other parts, sorted: the fingerprint, and each other collective's entries.
	Others [][]byte
}

// The headers name an encoding and its version: another version is another header.
const (
	leafHeader        = "cagnotte ledger leaf 2\n"
	leafShareHeader   = "cagnotte ledger share of a leaf 2\n"
	entriesHeader     = "cagnotte ledger entries 2\n"
	fingerprintHeader = "cagnotte ledger fingerprint 2\n"
)

// saltSize is that of a leaf's salt and of those derived from it, in bytes.
const saltSize = sha256.Size

// derivedSalt is that of one part of a leaf. Who knows one cannot compute another.
func derivedSalt(salt []byte, part string) []byte {
	mac := hmac.New(sha256.New, salt)
	mac.Write([]byte(part))
	return mac.Sum(nil)
}

// shareSalt is that of a collective's entries. No slug begins with a space.
func shareSalt(salt []byte, collective string) []byte { return derivedSalt(salt, " "+collective) }

// collectives are those that have entries, sorted; "" is among them when some belong to none.
func (l *Leaf) collectives() []string {
	var all []string
	for i := range l.Entries {
		if !slices.Contains(all, l.Entries[i].Collective) {
			all = append(all, l.Entries[i].Collective)
		}
	}
	slices.Sort(all)
	return all
}

// entriesOf are one collective's.
func (l *Leaf) entriesOf(collective string) []LeafEntry {
	var own []LeafEntry
	for i := range l.Entries {
		if l.Entries[i].Collective == collective {
			own = append(own, l.Entries[i])
		}
	}
	return own
}

// hashEntries is a part of a leaf: the entries of one collective.
func hashEntries(salt []byte, collective string, entries []LeafEntry) []byte {
	b := append(make([]byte, 0, 256), entriesHeader...)
	b = append(b, salt...)
	b = appendText(b, collective)
	sum := sha256.Sum256(appendEntries(b, entries))
	return sum[:]
}

// hashFingerprint is the part that binds what the poster asked for, all collectives' entries together.
func (l *Leaf) hashFingerprint() []byte {
	b := append(make([]byte, 0, 128), fingerprintHeader...)
	b = append(b, derivedSalt(l.Salt, "fingerprint")...)
	sum := sha256.Sum256(appendText(b, string(l.Fingerprint)))
	return sum[:]
}

// Encode returns what the tree hashes: the head, and the hashes of the parts, sorted: the fingerprint, and each
// collective's entries. It is injective: every text and list with its length, every number in its full width. No two
// heads with their parts share it.
func (l *Leaf) Encode() []byte {
	parts := [][]byte{l.hashFingerprint()}
	for _, collective := range l.collectives() {
		parts = append(parts, hashEntries(shareSalt(l.Salt, collective), collective, l.entriesOf(collective)))
	}
	return l.encode(parts)
}

// Hash is the leaf's in the tree (RFC 6962, section 2.1).
func (l *Leaf) Hash() []byte { return rfc6962.DefaultHasher.HashLeaf(l.Encode()) }

func (h *LeafHead) encode(parts [][]byte) []byte {
	slices.SortFunc(parts, bytes.Compare)
	b := append(make([]byte, 0, 512), leafHeader...)
	return appendHashes(h.append(b), parts)
}

func (h *LeafHead) append(b []byte) []byte {
	b = appendText(b, h.Book)
	b = binary.BigEndian.AppendUint64(b, uint64(h.Number))
	b = binary.BigEndian.AppendUint64(b, uint64(h.ID))
	b = binary.BigEndian.AppendUint64(b, h.XID)
	b = appendText(b, h.Reference)
	b = appendText(b, h.Kind)
	b = binary.BigEndian.AppendUint64(b, uint64(h.Effective.UnixMicro()))
	return binary.BigEndian.AppendUint64(b, uint64(h.Recorded.UnixMicro()))
}

func appendHashes(b []byte, hashes [][]byte) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(hashes)))
	for _, hash := range hashes {
		b = append(b, hash...)
	}
	return b
}

// appendEntries leaves out the collective, which is one for all of them.
func appendEntries(b []byte, entries []LeafEntry) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(entries)))
	for _, e := range entries {
		b = binary.BigEndian.AppendUint16(b, uint16(e.Line))
		b = appendText(b, e.Code)
		b = binary.BigEndian.AppendUint64(b, uint64(e.Amount.Minor))
		b = appendText(b, string(e.Amount.Currency))
		b = appendText(b, e.Campaign)
		b = append(b, e.Donation[:]...)
	}
	return b
}

// Share returns what one collective may see of the leaf; nil when it has no entries in it.
func (l *Leaf) Share(collective string) *LeafShare {
	s := &LeafShare{LeafHead: l.LeafHead, Collective: collective, Salt: shareSalt(l.Salt, collective), Others: [][]byte{l.hashFingerprint()}}
	for _, other := range l.collectives() {
		entries := l.entriesOf(other)
		if other == collective {
			s.Entries = entries
		} else {
			s.Others = append(s.Others, hashEntries(shareSalt(l.Salt, other), other, entries))
		}
	}
	if s.Entries == nil {
		return nil
	}
	slices.SortFunc(s.Others, bytes.Compare)
	return s
}

// Hash is that of the whole leaf in the tree, so what it proves is that the share is what was sealed.
func (s *LeafShare) Hash() []byte {
	parts := append([][]byte{hashEntries(s.Salt, s.Collective, s.Entries)}, s.Others...)
	return rfc6962.DefaultHasher.HashLeaf(s.encode(parts))
}

// Encode returns the share in an injective encoding, which [DecodeLeafShare] reads back.
func (s *LeafShare) Encode() []byte {
	b := s.append(append(make([]byte, 0, 512), leafShareHeader...))
	b = appendText(b, s.Collective)
	b = append(b, s.Salt...)
	return appendHashes(appendEntries(b, s.Entries), s.Others)
}

// check refuses what no leaf gives, whatever its hash.
func (s *LeafShare) check() error {
	switch {
	case len(s.Salt) != saltSize:
		return fmt.Errorf("a salt has %d bytes", saltSize)
	case len(s.Entries) == 0:
		return errors.New("a share has entries")
	case len(s.Others) == 0:
		return errors.New("the fingerprint is missing")
	}
	for i, hash := range s.Others {
		if len(hash) != sha256.Size {
			return fmt.Errorf("a hash has %d bytes", sha256.Size)
		}
		if i > 0 && bytes.Compare(s.Others[i-1], hash) >= 0 {
			return errors.New("the hashes of the others are not in order")
		}
	}
	return nil
}

// DecodeLeafShare reads what [LeafShare.Encode] wrote. Anything else is an error.
func DecodeLeafShare(data []byte) (*LeafShare, error) {
	d := &decoder{rest: data}
	if string(d.bytes(len(leafShareHeader))) != leafShareHeader {
		return nil, errors.New("not a share of a leaf of version 2")
	}
	s := &LeafShare{
		LeafHead: LeafHead{
			Book:      d.text(),
			Number:    int64(d.uint64()),
			ID:        int64(d.uint64()),
			XID:       d.uint64(),
			Reference: d.text(),
			Kind:      d.text(),
			Effective: time.UnixMicro(int64(d.uint64())).UTC(),
			Recorded:  time.UnixMicro(int64(d.uint64())).UTC(),
		},
		Collective: d.text(),
		Salt:       d.bytes(saltSize),
	}
	for range d.uint32() {
		if d.failed {
			break
		}
		s.Entries = append(s.Entries, LeafEntry{
			Line:       int16(d.uint16()),
			Code:       d.text(),
			Amount:     money.Amount{Minor: int64(d.uint64()), Currency: money.Currency(d.text())},
			Collective: s.Collective,
			Campaign:   d.text(),
			Donation:   uuid.UUID(d.array16()),
		})
	}
	for range d.uint32() {
		if d.failed {
			break
		}
		s.Others = append(s.Others, d.bytes(sha256.Size))
	}
	if err := d.end(); err != nil {
		return nil, err
	}
	return s, s.check()
}

// donation is the one donation that the transaction is about, or uuid.Nil if there are none or several.
func (l *Leaf) donation() uuid.UUID {
	var one uuid.UUID
	for _, e := range l.Entries {
		switch {
		case e.Donation == uuid.Nil || e.Donation == one:
		case one != uuid.Nil:
			return uuid.Nil
		default:
			one = e.Donation
		}
	}
	return one
}

// decoder reads numbers and texts until the data is too short; then it gives zeros.
type decoder struct {
	rest   []byte
	failed bool
}

func (d *decoder) bytes(n int) []byte {
	if d.failed || n < 0 || n > len(d.rest) {
		d.failed = true
		return nil
	}
	taken := d.rest[:n]
	d.rest = d.rest[n:]
	return taken
}

func (d *decoder) uint16() uint16 {
	if b := d.bytes(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (d *decoder) uint32() uint32 {
	if b := d.bytes(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (d *decoder) uint64() uint64 {
	if b := d.bytes(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

func (d *decoder) array16() (a [16]byte) {
	copy(a[:], d.bytes(16))
	return a
}

func (d *decoder) text() string { return string(d.bytes(int(d.uint32()))) }

// end reports whether exactly the data was read.
func (d *decoder) end() error {
	if d.failed || len(d.rest) > 0 {
		return errors.New("the encoding is cut off or followed by something else")
	}
	return nil
}
