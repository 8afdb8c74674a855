package proof

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
)

// Inclusion proves that one transaction stands in a signed book. Of the other transactions it has only hashes,
// whose contents cannot be guessed.
type Inclusion struct {
	// Leaf is the transaction with one collective's entries.
	Leaf *LeafShare
	// Path is the inclusion proof (RFC 6962, section 2.1.1) in the checkpoint's tree.
	Path       [][]byte
	Checkpoint *Checkpoint
}

// codeHeader begins a proof code, and names its version.
const codeHeader = "cagnotte-proof-2."

// maxPath is more than a tree of 2^63 leaves needs.
const maxPath = 64

// Code returns the proof as one word, which can be kept, mailed and verified without this service. The number stands
// beside the leaf too, and [VerifyCode] requires both to be the same.
func (i *Inclusion) Code() string {
	b := appendText(nil, string(i.Leaf.Encode()))
	b = binary.BigEndian.AppendUint64(b, uint64(i.Leaf.Number))
	b = appendHashes(b, i.Path)
	b = appendText(b, i.Checkpoint.Note)
	return codeHeader + base64.RawURLEncoding.EncodeToString(b)
}

// parsedCode is what a code says, unverified.
type parsedCode struct {
	leaf   []byte
	number int64
	path   [][]byte
	note   string
}

// parseCode reads a code without verifying it. Strict decoding refuses a last character that has bits beside the
// data's.
func parseCode(code string) (*parsedCode, error) {
	encoded, ok := strings.CutPrefix(strings.TrimSpace(code), codeHeader)
	if !ok {
		return nil, fmt.Errorf("a proof code must begin with %s", codeHeader)
	}
	data, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
	if err != nil {
		return nil, errors.New("the proof code is cut off or mistyped")
	}
	// The decoder gives zeros after the end of the data, and d.end tells of it.
	d := &decoder{rest: data}
	p := &parsedCode{leaf: []byte(d.text()), number: int64(d.uint64())}
	length := d.uint32()
	if length > maxPath {
		return nil, errors.New("the proof code is longer than any proof")
	}
	for range length {
		p.path = append(p.path, d.bytes(rfc6962.DefaultHasher.Size()))
	}
	p.note = d.text()
	return p, d.end()
}

// VerifyCode verifies a proof code against a verifier key, with nothing but these two. It checks that the key signed the
// checkpoint, that the path leads from the transaction to the checkpoint's root, and that the transaction is of the key's
// book and says the same number. It returns what is proven.
func VerifyCode(code, verifierKey string) (*LeafShare, *Checkpoint, error) {
	p, err := parseCode(code)
	if err != nil {
		return nil, nil, err
	}
	checkpoint, err := OpenCheckpoint(p.note, verifierKey)
	if err != nil {
		return nil, nil, err
	}
	// The leaf is hashed from what was decoded, and that encoding is injective: what is returned is what was signed.
	leaf, err := DecodeLeafShare(p.leaf)
	if err != nil {
		return nil, nil, fmt.Errorf("the transaction in the proof: %w", err)
	}
	if leaf.Number != p.number || p.number < 1 || p.number > checkpoint.Size || OriginOf(leaf.Book) != checkpoint.Origin {
		return nil, nil, errors.New("the transaction in the proof has another number or is of another book")
	}
	if err := proof.VerifyInclusion(rfc6962.DefaultHasher, uint64(p.number-1), uint64(checkpoint.Size),
		leaf.Hash(), p.path, checkpoint.Root); err != nil {
		return nil, nil, errors.New("the path does not lead to the signed root: this transaction is not in the book")
	}
	return leaf, checkpoint, nil
}
