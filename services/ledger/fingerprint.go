package ledger

import (
	"crypto/sha256"
	"encoding/binary"
)

// encodingVersion comes first, so that a later encoding can never be taken for this one.
const encodingVersion = 1

// fingerprint returns the SHA-256 of the content as the caller asked for it. Roles stay roles, so a posting is the same
// posting after a role moved to another account.
func (t *Transaction) fingerprint() [sha256.Size]byte {
	return sha256.Sum256(t.encode(make([]byte, 0, 512)))
}

// encode appends an injective encoding: each text and list has its length before it, each number its full width. The
// order of the entries counts. A change of this encoding would make every repeat of an earlier posting look like
// another content.
func (t *Transaction) encode(b []byte) []byte {
	b = append(b, encodingVersion)
	b = appendText(b, t.Reference)
	b = appendText(b, t.Kind)
	b = binary.BigEndian.AppendUint64(b, uint64(t.Effective.UnixMicro()))
	b = binary.BigEndian.AppendUint32(b, uint32(len(t.Entries)))
	for _, e := range t.Entries {
		b = appendText(b, string(e.Role))
		b = appendText(b, e.Code)
		b = binary.BigEndian.AppendUint64(b, uint64(e.Amount.Minor))
		b = appendText(b, string(e.Amount.Currency))
		b = appendText(b, e.Collective)
		b = appendText(b, e.Campaign)
		b = append(b, e.Donation[:]...)
	}
	return b
}

func appendText(b []byte, text string) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(text)))
	return append(b, text...)
}
