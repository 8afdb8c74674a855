package proof

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

// Head is what everybody who has a share in a transaction may know of it.
type Head struct {
	Book string
	// Number is the transaction's place in its book, from 1, without gaps.
	Number int64
	// ID and XID are the transaction's id and that of the database transaction that wrote it. Numbers
	// follow the order of (XID, ID).
	ID  int64
	XID uint64

	Reference string
	Kind      string
	// Effective is when the fact happened, Recorded when it was written; both to the microsecond.
	Effective, Recorded time.Time
}

// Leaf is a transaction with its number, as it was when it was sealed. Its encoding is what the tree hashes.
type Leaf struct {
	Head
	// Fingerprint is the SHA-256 of what the poster asked for.
	Fingerprint []byte
	// Salt is [SaltSize] random bytes that were made for the seal. They hide each collective's entries from the others.
	Salt    []byte
	Entries []Entry
}

// Entry is an entry of a sealed transaction.
type Entry struct {
	// Line counts from 1.
	Line int16
	// Code is the account's. It never changes, unlike the account's name, which is not hashed.
	Code string
	// Amount is positive for a debit, negative for a credit.
	Amount money.Amount
	// Collective and Campaign are slugs; empty when the entry belongs to none.
	Collective, Campaign string
	// Donation is uuid.Nil when the entry belongs to none.
	Donation uuid.UUID
}

// LeafShare is a leaf as one collective may see it: its own entries, and hashes of everything else. The hash of the
// whole leaf can be computed from it, so the tree proves it too.
type LeafShare struct {
	Head
	Collective string
	// Salt is the share's own, derived from the leaf's.
	Salt []byte
	// Entries are all that the collective has in the transaction.
	Entries []Entry
	// Others are the hashes of the leaf's other parts, sorted: the fingerprint, and each other collective's entries.
	Others [][]byte
}

// Each header names an encoding and its version. Another version has another header.
const (
	leafHeader        = "cagnotte ledger leaf 2\n"
	leafShareHeader   = "cagnotte ledger share of a leaf 2\n"
	entriesHeader     = "cagnotte ledger entries 2\n"
	fingerprintHeader = "cagnotte ledger fingerprint 2\n"
)

// SaltSize is the size in bytes of a leaf's salt and of the salts derived from it.
const SaltSize = sha256.Size

// derivedSalt returns the salt of one part of a leaf. Whoever knows one of them cannot compute another.
func derivedSalt(salt []byte, part string) []byte {
	mac := hmac.New(sha256.New, salt)
	mac.Write([]byte(part))
	return mac.Sum(nil)
}

// shareSalt returns the salt of a collective's entries. No slug begins with a space, so no other part has it.
func shareSalt(salt []byte, collective string) []byte { return derivedSalt(salt, " "+collective) }

// collectives returns those that have entries, sorted; "" is one of them when some entries belong to none.
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

// entriesOf returns the entries of one collective.
func (l *Leaf) entriesOf(collective string) []Entry {
	var own []Entry
	for i := range l.Entries {
		if l.Entries[i].Collective == collective {
			own = append(own, l.Entries[i])
		}
	}
	return own
}

// hashEntries returns the hash of one part of a leaf: the entries of one collective.
func hashEntries(salt []byte, collective string, entries []Entry) []byte {
	b := append(make([]byte, 0, 256), entriesHeader...)
	b = append(b, salt...)
	b = appendText(b, collective)
	sum := sha256.Sum256(appendEntries(b, entries))
	return sum[:]
}

// hashFingerprint returns the hash of the part that binds what the poster asked for, with the entries of all collectives.
func (l *Leaf) hashFingerprint() []byte {
	b := append(make([]byte, 0, 128), fingerprintHeader...)
	b = append(b, derivedSalt(l.Salt, "fingerprint")...)
	sum := sha256.Sum256(appendText(b, string(l.Fingerprint)))
	return sum[:]
}

// Encode returns what the tree hashes: the head and the sorted hashes of the parts, which are the fingerprint and
// each collective's entries. The encoding is injective: each text and list has its length before it, each number its
// full width.
func (l *Leaf) Encode() []byte {
	parts := [][]byte{l.hashFingerprint()}
	for _, collective := range l.collectives() {
		parts = append(parts, hashEntries(shareSalt(l.Salt, collective), collective, l.entriesOf(collective)))
	}
	return l.encode(parts)
}

// Hash returns the leaf's hash in the tree (RFC 6962, section 2.1).
func (l *Leaf) Hash() []byte { return rfc6962.DefaultHasher.HashLeaf(l.Encode()) }

// encode returns the leaf's encoding from the hashes of its parts. Sorted hashes do not tell which collective a part is
// of. It sorts parts in place.
func (h *Head) encode(parts [][]byte) []byte {
	slices.SortFunc(parts, bytes.Compare)
	b := append(make([]byte, 0, 512), leafHeader...)
	return appendHashes(h.append(b), parts)
}

// append writes the fields of the head, times in microseconds since 1970, which is as exact as the database is.
func (h *Head) append(b []byte) []byte {
	b = appendText(b, h.Book)
	b = binary.BigEndian.AppendUint64(b, uint64(h.Number))
	b = binary.BigEndian.AppendUint64(b, uint64(h.ID))
	b = binary.BigEndian.AppendUint64(b, h.XID)
	b = appendText(b, h.Reference)
	b = appendText(b, h.Kind)
	b = binary.BigEndian.AppendUint64(b, uint64(h.Effective.UnixMicro()))
	return binary.BigEndian.AppendUint64(b, uint64(h.Recorded.UnixMicro()))
}

// appendEntries leaves out the collective, which is one for all of them.
func appendEntries(b []byte, entries []Entry) []byte {
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

// Share returns what one collective may see of the leaf, or nil when it has no entries in it.
func (l *Leaf) Share(collective string) *LeafShare {
	// The fingerprint is about the entries of all collectives, so a share has only its hash.
	s := &LeafShare{Head: l.Head, Collective: collective, Salt: shareSalt(l.Salt, collective), Others: [][]byte{l.hashFingerprint()}}
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

// Hash returns the hash of the whole leaf in the tree: the tree proves that the share is what was sealed.
func (s *LeafShare) Hash() []byte {
	// The parts are sorted when they are encoded, so the place of the share's own does not matter.
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

// check refuses a share that no leaf gives, whatever its hash. The hashes must be in order and differ, so that one
// share has one encoding.
func (s *LeafShare) check() error {
	switch {
	case len(s.Salt) != SaltSize:
		return fmt.Errorf("a salt must have %d bytes", SaltSize)
	case len(s.Entries) == 0:
		return errors.New("a share must have entries")
	case len(s.Others) == 0:
		return errors.New("the fingerprint is missing")
	}
	for i, hash := range s.Others {
		if len(hash) != sha256.Size {
			return fmt.Errorf("a hash must have %d bytes", sha256.Size)
		}
		if i > 0 && bytes.Compare(s.Others[i-1], hash) >= 0 {
			return errors.New("the hashes of the others are not in order")
		}
	}
	return nil
}

// DecodeLeafShare reads what [LeafShare.Encode] wrote. All other data is an error.
func DecodeLeafShare(data []byte) (*LeafShare, error) {
	d := &decoder{rest: data}
	if string(d.bytes(len(leafShareHeader))) != leafShareHeader {
		return nil, errors.New("this is not a share of a leaf in version 2")
	}
	s := &LeafShare{
		Head: Head{
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
		Salt:       d.bytes(SaltSize),
	}
	// The count comes from the data and may be as large as four bytes allow, so the loop ends with the data.
	for range d.uint32() {
		if d.failed {
			break
		}
		s.Entries = append(s.Entries, Entry{
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

// Donation returns the one donation that the transaction is about, or uuid.Nil when there is none or more than one.
func (l *Leaf) Donation() uuid.UUID {
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
