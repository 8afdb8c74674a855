package ledger

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"

	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

// Proof shows that one transaction stands in a signed book. What it says of the others are hashes
// that nobody can guess the contents of.
type Proof struct {
	// Leaf is the encoding of the transaction with the donor's collective's entries, see [DecodeLeafShare].
	Leaf []byte
	// Number is the transaction's place, from 1.
	Number int64
	// Path is the inclusion proof (RFC 6962, section 2.1.1) in the checkpoint's tree.
	Path [][]byte
	// Checkpoint is the signed note.
	Checkpoint string
}

// proofHeader begins a proof code, and names its version.
const proofHeader = "cagnotte-proof-2."

// maxPath is more than a tree of 2^63 leaves needs.
const maxPath = 64

// Code returns the proof as one word that can be kept, mailed and checked without this service.
func (p *Proof) Code() string {
	b := appendText(nil, string(p.Leaf))
	b = binary.BigEndian.AppendUint64(b, uint64(p.Number))
	b = binary.BigEndian.AppendUint32(b, uint32(len(p.Path)))
	for _, hash := range p.Path {
		b = append(b, hash...)
	}
	b = appendText(b, p.Checkpoint)
	return proofHeader + base64.RawURLEncoding.EncodeToString(b)
}

func parseProof(code string) (*Proof, error) {
	encoded, ok := strings.CutPrefix(strings.TrimSpace(code), proofHeader)
	if !ok {
		return nil, fmt.Errorf("a proof code begins with %s", proofHeader)
	}
	data, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
	if err != nil {
		return nil, errors.New("the proof code is cut off or mistyped")
	}
	d := &decoder{rest: data}
	p := &Proof{Leaf: []byte(d.text()), Number: int64(d.uint64())}
	length := d.uint32()
	if length > maxPath {
		return nil, errors.New("the proof code is longer than any proof")
	}
	for range length {
		p.Path = append(p.Path, d.bytes(rfc6962.DefaultHasher.Size()))
	}
	p.Checkpoint = d.text()
	return p, d.end()
}

// VerifyProof checks a proof code against a verifier key, with nothing but these: that the key signed
// the checkpoint, that the path leads from the transaction to the checkpoint's root, and that the
// transaction is of the key's book and says the same number. It returns what is proven.
func VerifyProof(code, verifierKey string) (*LeafShare, *Checkpoint, error) {
	p, err := parseProof(code)
	if err != nil {
		return nil, nil, err
	}
	checkpoint, err := OpenCheckpoint(p.Checkpoint, verifierKey)
	if err != nil {
		return nil, nil, err
	}
	leaf, err := DecodeLeafShare(p.Leaf)
	if err != nil {
		return nil, nil, fmt.Errorf("the transaction in the proof: %w", err)
	}
	if leaf.Number != p.Number || p.Number < 1 || p.Number > checkpoint.Size || originOf(leaf.Book) != checkpoint.Origin {
		return nil, nil, errors.New("the transaction in the proof has another number or is of another book")
	}
	if err := proof.VerifyInclusion(rfc6962.DefaultHasher, uint64(p.Number-1), uint64(checkpoint.Size),
		leaf.Hash(), p.Path, checkpoint.Root); err != nil {
		return nil, nil, errors.New("the path does not lead to the signed root: this transaction is not in the book")
	}
	return leaf, checkpoint, nil
}

// leafSQL finds a sealed transaction by its id or, when a donation is given, the donation that it is.
const leafSQL = `
SELECT
    t.book,
    s.number,
    t.id,
    t.xid,
    t.reference,
    t.kind,
    t.effective_at,
    t.recorded_at,
    t.fingerprint,
    s.leaf_hash,
    s.salt
FROM ledger.seals AS s
JOIN ledger.transactions AS t ON t.id = s.transaction_id
WHERE s.book = @book
    AND (s.transaction_id = @id OR (s.donation = @donation AND t.kind = 'donation'))
ORDER BY s.number
LIMIT 1`

// sealedLeaf returns a leaf of the book with the hash that its seal has.
func sealedLeaf(ctx context.Context, db querier, book, name string, id int64, donation uuid.UUID) (*Leaf, []byte, error) {
	args := pgx.NamedArgs{"book": book, "id": id, "donation": nil}
	if donation != uuid.Nil {
		args["donation"] = donation.String()
	}
	rows, err := db.Query(ctx, leafSQL, args)
	if err != nil {
		return nil, nil, postgres.Error(err)
	}
	var hash []byte
	leaf, err := pgx.CollectOneRow(rows, func(row pgx.CollectableRow) (l Leaf, err error) {
		err = row.Scan(&l.Book, &l.Number, &l.ID, &l.XID, &l.Reference, &l.Kind, &l.Effective, &l.Recorded, &l.Fingerprint, &hash, &l.Salt)
		return l, err
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil, errs.NotFound(name)
	}
	if err != nil {
		return nil, nil, postgres.Error(err)
	}
	leaves := []Leaf{leaf}
	return &leaves[0], hash, fillEntries(ctx, db, leaves, []int64{leaf.ID})
}

// Inclusion is where a transaction stands in the newest checkpoint's tree.
type Inclusion struct {
	Number     int64
	LeafHash   []byte
	Path       [][]byte
	Checkpoint *Checkpoint
	// Leaf is the transaction with the collective's entries.
	Leaf *LeafShare
}

// Checkpoint returns the newest of a book: NOT_FOUND before the first. When from is not zero, path proves
// that the tree begins with the one of that earlier size; INVALID_ARGUMENT when it has never been that large.
func (s *Service) Checkpoint(ctx context.Context, book, name string, from int64) (c *Checkpoint, path [][]byte, err error) {
	if c, err = newestCheckpoint(ctx, s.pool, book); err != nil {
		return nil, nil, err
	}
	if c == nil {
		return nil, nil, errs.NotFound(name)
	}
	if from > c.Size {
		return nil, nil, errs.Invalid("from_size", "must be %d at most, the size of the newest checkpoint", c.Size)
	}
	path, err = consistencyPath(ctx, s.pool, book, from, c.Size)
	return c, path, err
}

// Inclusion proves a transaction of a collective's share: NOT_FOUND when it has no entry there, or
// no number yet.
func (s *Service) Inclusion(ctx context.Context, book, collective, name string, id int64) (*Inclusion, error) {
	leaf, hash, err := sealedLeaf(ctx, s.pool, book, name, id, uuid.Nil)
	if err != nil {
		return nil, err
	}
	own := leaf.Share(collective)
	if own == nil {
		return nil, errs.NotFound(name)
	}
	return s.include(ctx, name, own, hash)
}

// Donation proves the donation that a donation became. It is public: the donation's id is known to the donor
// and to the collective. NOT_FOUND when there is no such donation of the campaign's in the sealed book,
// or when the transaction is about others too. The verifier key is the one of the proof's checkpoint.
func (s *Service) Donation(ctx context.Context, book string, campaign CampaignKey, donation uuid.UUID, name string) (p *Proof, verifierKey string, err error) {
	leaf, hash, err := sealedLeaf(ctx, s.pool, book, name, 0, donation)
	if err != nil {
		return nil, "", err
	}
	_, all := leaf.share(func(e *LeafEntry) bool {
		return e.Collective == campaign.Collective && e.Campaign == campaign.Campaign && e.Donation == donation
	})
	if !all {
		return nil, "", errs.NotFound(name)
	}
	included, err := s.include(ctx, name, leaf.Share(campaign.Collective), hash)
	if err != nil {
		return nil, "", err
	}
	p = &Proof{Leaf: included.Leaf.Encode(), Number: leaf.Number, Path: included.Path, Checkpoint: included.Checkpoint.Note}
	return p, included.Checkpoint.VerifierKey, nil
}

// share reports whether some and whether all entries are somebody's.
func (l *Leaf) share(mine func(*LeafEntry) bool) (some, all bool) {
	all = true
	for i := range l.Entries {
		if mine(&l.Entries[i]) {
			some = true
		} else {
			all = false
		}
	}
	return some, all
}

func (s *Service) include(ctx context.Context, name string, leaf *LeafShare, hash []byte) (*Inclusion, error) {
	c, err := newestCheckpoint(ctx, s.pool, leaf.Book)
	if err != nil {
		return nil, err
	}
	// A checkpoint is written with the seals that it covers.
	if c == nil || c.Size < leaf.Number {
		return nil, errs.NotFound(name)
	}
	path, err := inclusionPath(ctx, s.pool, leaf.Book, leaf.Number, c.Size)
	if err != nil {
		return nil, err
	}
	return &Inclusion{Number: leaf.Number, LeafHash: hash, Path: path, Checkpoint: c, Leaf: leaf}, nil
}
