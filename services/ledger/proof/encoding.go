package proof

import (
	"encoding/binary"
	"errors"
)

// appendText writes a text with its length before it.
func appendText(b []byte, text string) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(text)))
	return append(b, text...)
}

// appendHashes writes hashes, which all have one length, with their number before them.
func appendHashes(b []byte, hashes [][]byte) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(hashes)))
	for _, hash := range hashes {
		b = append(b, hash...)
	}
	return b
}

// decoder reads numbers and texts until the data is too short; from then on it gives zeros.
type decoder struct {
	rest   []byte
	failed bool
}

// bytes returns the next n bytes, which share memory with the data.
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

// text reads what appendText wrote.
func (d *decoder) text() string { return string(d.bytes(int(d.uint32()))) }

// end is an error unless exactly the data was read.
func (d *decoder) end() error {
	if d.failed || len(d.rest) > 0 {
		return errors.New("the encoding is cut off, or something follows it")
	}
	return nil
}
