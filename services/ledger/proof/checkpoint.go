package proof

import (
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
)

// Checkpoint is a signed position of a book: its first Size transactions, in order.
type Checkpoint struct {
	// Origin names the book without saying whose it is. It is the name of the key too.
	Origin string
	Size   int64
	// Root is the root of the Merkle tree (RFC 6962, section 2.1) over the leaves 1 to Size.
	Root []byte
	// CountsRoot is the root of the tree over [Counts]: how many of these transactions each collective has.
	CountsRoot []byte
	SignedAt   time.Time
	// Note is the signed text (https://c2sp.org/signed-note) that says all this.
	Note string
	// VerifierKey is the public key that the note is opened with.
	VerifierKey string
}

// ChainedCheckpoint is a checkpoint with what ties it to the one before.
type ChainedCheckpoint struct {
	Checkpoint
	// PreviousSize is the size of the checkpoint before; zero for the first.
	PreviousSize int64
	// Consistency is the proof (RFC 6962, section 2.1.2) that the tree begins with the previous one.
	Consistency [][]byte
}

// OriginOf returns the public name of a book. The id of a Stripe account says whose it is; the hash of it does not.
func OriginOf(book string) string {
	sum := sha256.Sum256([]byte("cagnotte ledger book\n" + book))
	return "cagnotte-ledger-" + hex.EncodeToString(sum[:16])
}

// ed25519Algorithm is the signature type of Ed25519 in notes.
const ed25519Algorithm = 1

// Key is the key pair that signs the checkpoints of one book.
type Key struct {
	signer note.Signer
	// VerifierKey is the public half.
	VerifierKey string
}

// NewKey derives the key of a book from the program's secret (HKDF, RFC 5869). So there is no second secret to
// keep, and the secret itself signs nothing.
func NewKey(secret []byte, book string) (*Key, error) {
	origin := OriginOf(book)
	seed, err := hkdf.Key(sha256.New, secret, nil, "cagnotte ledger checkpoint ed25519 1\n"+origin, ed25519.SeedSize)
	if err != nil {
		return nil, fmt.Errorf("derive the key of a book: %w", err)
	}
	public, ok := ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey)
	if !ok {
		return nil, errors.New("derive the key of a book: not an ed25519 key")
	}
	verifierKey, err := note.NewEd25519VerifierKey(origin, public)
	if err != nil {
		return nil, fmt.Errorf("derive the key of a book: %w", err)
	}
	// A verifier key is NAME+HASH+KEY; a signer's differs by its prefix and its key.
	hash := strings.Split(verifierKey, "+")[1]
	signer, err := note.NewSigner("PRIVATE+KEY+" + origin + "+" + hash + "+" +
		base64.StdEncoding.EncodeToString(append([]byte{ed25519Algorithm}, seed...)))
	if err != nil {
		return nil, fmt.Errorf("derive the key of a book: %w", err)
	}
	return &Key{signer, verifierKey}, nil
}

// Sign fills Note and VerifierKey. The text is that of https://c2sp.org/tlog-checkpoint: origin, size and root, and in
// extension lines the time and CountsRoot.
func (k *Key) Sign(c *Checkpoint) error {
	text := fmt.Sprintf("%s\n%d\n%s\nsigned %s\nshares %s\n",
		c.Origin, c.Size, base64.StdEncoding.EncodeToString(c.Root), c.SignedAt.UTC().Format(time.RFC3339Nano),
		base64.StdEncoding.EncodeToString(c.CountsRoot))
	signed, err := note.Sign(&note.Note{Text: text}, k.signer)
	if err != nil {
		return fmt.Errorf("sign a checkpoint: %w", err)
	}
	c.Note, c.VerifierKey = string(signed), k.VerifierKey
	return nil
}

// OpenCheckpoint checks the signature of a note under a verifier key, and returns what the note says.
func OpenCheckpoint(signed, verifierKey string) (*Checkpoint, error) {
	verifier, err := note.NewVerifier(verifierKey)
	if err != nil {
		return nil, fmt.Errorf("the verifier key: %w", err)
	}
	opened, err := note.Open([]byte(signed), note.VerifierList(verifier))
	if err != nil {
		return nil, fmt.Errorf("the signature of the checkpoint: %w", err)
	}
	// The last character has bits that say nothing, which note.Open leaves unread.
	if _, err := base64.StdEncoding.Strict().DecodeString(opened.Sigs[0].Base64); err != nil {
		return nil, errors.New("the signature of the checkpoint is not in its canonical form")
	}
	wrong := errors.New("the text of the checkpoint is not origin, size, root, time and shares")
	lines := strings.Split(opened.Text, "\n")
	// Five lines end with a newline each, so the sixth part is empty.
	if len(lines) != 6 || lines[0] != verifier.Name() {
		return nil, wrong
	}
	// A number has one spelling here, so a size with a sign or a zero in front is refused.
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || size < 1 || strconv.FormatInt(size, 10) != lines[1] {
		return nil, wrong
	}
	root, err := base64.StdEncoding.Strict().DecodeString(lines[2])
	if err != nil || len(root) != sha256.Size {
		return nil, wrong
	}
	signedAt, err := time.Parse("signed "+time.RFC3339Nano, lines[3])
	if err != nil {
		return nil, wrong
	}
	encoded, ok := strings.CutPrefix(lines[4], "shares ")
	shares, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if !ok || err != nil || len(shares) != sha256.Size {
		return nil, wrong
	}
	return &Checkpoint{
		Origin: lines[0], Size: size, Root: root, CountsRoot: shares, SignedAt: signedAt, Note: signed, VerifierKey: verifierKey,
	}, nil
}
