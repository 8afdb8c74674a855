package ledger

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/cagnotte/cagnotte/services/money"
)

// Leaf is what a seal is about: a transaction with its number, as it was when it was sealed. Its
// encoding is what the tree hashes.
type Leaf struct {
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
	// Fingerprint is the SHA-256 of what the poster asked for.
	Fingerprint []byte
	Entries     []LeafEntry
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

// leafHeader names the encoding and its version: another version is another header.
const leafHeader = "cagnotte ledger leaf 1\n"

// Encode returns the injective encoding: every text and list with its length, every number in its
// full width. No two leaves share it, and DecodeLeaf reads it back.
func (l *Leaf) Encode() []byte {
	b := make([]byte, 0, 512)
	b = append(b, leafHeader...)
	b = appendText(b, l.Book)
	b = binary.BigEndian.AppendUint64(b, uint64(l.Number))
	b = binary.BigEndian.AppendUint64(b, uint64(l.ID))
	b = binary.BigEndian.AppendUint64(b, l.XID)
	b = appendText(b, l.Reference)
	b = appendText(b, l.Kind)
	b = binary.BigEndian.AppendUint64(b, uint64(l.Effective.UnixMicro()))
	b = binary.BigEndian.AppendUint64(b, uint64(l.Recorded.UnixMicro()))
	b = appendText(b, string(l.Fingerprint))
	b = binary.BigEndian.AppendUint32(b, uint32(len(l.Entries)))
	for _, e := range l.Entries {
		b = binary.BigEndian.AppendUint16(b, uint16(e.Line))
		b = appendText(b, e.Code)
		b = binary.BigEndian.AppendUint64(b, uint64(e.Amount.Minor))
		b = appendText(b, string(e.Amount.Currency))
		b = appendText(b, e.Collective)
		b = appendText(b, e.Campaign)
		b = append(b, e.Donation[:]...)
	}
	return b
}

// DecodeLeaf reads what [Leaf.Encode] wrote. Anything else is an error.
func DecodeLeaf(data []byte) (*Leaf, error) {
	d := &decoder{rest: data}
	if string(d.bytes(len(leafHeader))) != leafHeader {
		return nil, errors.New("not a leaf of version 1")
	}
	l := &Leaf{
		Book:        d.text(),
		Number:      int64(d.uint64()),
		ID:          int64(d.uint64()),
		XID:         d.uint64(),
		Reference:   d.text(),
		Kind:        d.text(),
		Effective:   time.UnixMicro(int64(d.uint64())).UTC(),
		Recorded:    time.UnixMicro(int64(d.uint64())).UTC(),
		Fingerprint: []byte(d.text()),
	}
	for range d.uint32() {
		if d.failed {
			break
		}
		l.Entries = append(l.Entries, LeafEntry{
			Line:       int16(d.uint16()),
			Code:       d.text(),
			Amount:     money.Amount{Minor: int64(d.uint64()), Currency: money.Currency(d.text())},
			Collective: d.text(),
			Campaign:   d.text(),
			Donation:   uuid.UUID(d.array16()),
		})
	}
	return l, d.end()
}

// donation is the one gift that the transaction is about, or uuid.Nil if there are none or several.
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
