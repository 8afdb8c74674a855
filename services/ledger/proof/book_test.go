package proof_test

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/merkle/testonly"

	"github.com/cagnotte/cagnotte/services/ledger/proof"
	"github.com/cagnotte/cagnotte/services/money"
)

const (
	book      = "acct_vallon"
	vallon    = "vallon-contre-cameras"
	marseille = "technopolice-marseille"
	lawyer    = "avocate"
)

var secret = bytes.Repeat([]byte{7}, 32)

// sealedBook is a book in memory, sealed without a database.
type sealedBook struct {
	leaves      []proof.Leaf
	tree        *testonly.Tree
	checkpoints []proof.ChainedCheckpoint
	counts      proof.Counts
	verifierKey string
}

// donation is the leaf of a donation of some cents to Vallon's lawyer, with a fee of 30.
func donation(number, cents int64) proof.Leaf {
	reference := fmt.Sprintf("txn_%03d", number-1)
	entry := func(line int16, code string, minor int64) proof.Entry {
		return proof.Entry{
			Line: line, Code: code, Amount: money.Amount{Minor: minor, Currency: money.EUR},
			Collective: vallon, Campaign: lawyer, Donation: uuid.NewSHA1(uuid.Nil, []byte(reference)),
		}
	}
	fingerprint, salt := sha256.Sum256([]byte("fingerprint "+reference)), sha256.Sum256([]byte("salt "+reference))
	at := time.Date(2026, 1, 1, 10, 30, 0, 0, time.UTC).Add(time.Duration(number) * time.Minute)
	return proof.Leaf{
		Head: proof.Head{
			Book: book, Number: number, ID: 1000 + number, XID: 700 + uint64(number/3), Reference: reference, Kind: "donation",
			Effective: at, Recorded: at.Add(time.Second),
		},
		Fingerprint: fingerprint[:], Salt: salt[:],
		Entries: []proof.Entry{
			entry(1, "5171", cents), entry(2, "75411", -cents), entry(3, "6272", 30), entry(4, "5171", -30),
		},
	}
}

// single is a book of one collective, sealed in batches.
func single(t *testing.T, count, batch int64) *sealedBook {
	t.Helper()
	var leaves []proof.Leaf
	for i := range count {
		leaves = append(leaves, donation(i+1, 100+i))
	}
	return seal(t, secret, leaves, batch)
}

// hosted is a book of two collectives: one donation in four is vallon's, and every fortieth transaction is for both.
func hosted(t *testing.T, count int64) *sealedBook {
	t.Helper()
	var leaves []proof.Leaf
	for i := range count {
		leaf := donation(i+1, 1000+i)
		first := 4
		switch {
		case i%4 > 0:
			first = 0
		case i%40 == 0:
			first = 2
		}
		for line := first; line < 4; line++ {
			leaf.Entries[line].Collective, leaf.Entries[line].Campaign = marseille, "port"
		}
		leaves = append(leaves, leaf)
	}
	return seal(t, secret, leaves, 5)
}

// seal does what the sealer of package ledger does: it grows the tree and signs a checkpoint after each batch.
func seal(t *testing.T, secret []byte, leaves []proof.Leaf, batch int64) *sealedBook {
	t.Helper()
	key, err := proof.NewKey(secret, book)
	if err != nil {
		t.Fatal(err)
	}
	b := &sealedBook{leaves: leaves, tree: testonly.New(rfc6962.DefaultHasher), verifierKey: key.VerifierKey}
	previous := int64(0)
	for i := range leaves {
		b.tree.Append(leaves[i].Hash())
		b.counts.Add(&leaves[i])
		size := int64(i) + 1
		if size%batch != 0 && i+1 < len(leaves) {
			continue
		}
		b.counts.Settle()
		countsRoot, err := b.counts.Root()
		if err != nil {
			t.Fatal(err)
		}
		c := proof.ChainedCheckpoint{
			Checkpoint: proof.Checkpoint{
				Origin: proof.OriginOf(book), Size: size, Root: b.tree.Hash(), CountsRoot: countsRoot,
				SignedAt: time.Date(2026, 2, 1, 0, 0, i, 0, time.UTC),
			},
			PreviousSize: previous,
		}
		if err := key.Sign(&c.Checkpoint); err != nil {
			t.Fatal(err)
		}
		if previous > 0 {
			if c.Consistency, err = b.tree.ConsistencyProof(uint64(previous), uint64(size)); err != nil {
				t.Fatal(err)
			}
		}
		b.checkpoints = append(b.checkpoints, c)
		previous = size
	}
	return b
}

// archive is the file of the whole book, with balances at its last number.
func (b *sealedBook) archive(t *testing.T) string {
	t.Helper()
	var out bytes.Buffer
	w := proof.NewWriter(&out)
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	check(w.Book(book))
	for i := range b.checkpoints {
		check(w.Checkpoint(&b.checkpoints[i]))
	}
	var balances []proof.Entry
	for _, l := range b.leaves {
		for _, e := range l.Entries {
			i, found := slices.BinarySearchFunc(balances, e, func(x, y proof.Entry) int {
				return cmp.Or(cmp.Compare(x.Code, y.Code), cmp.Compare(x.Collective, y.Collective), cmp.Compare(x.Campaign, y.Campaign))
			})
			if !found {
				balances = slices.Insert(balances, i, proof.Entry{
					Code: e.Code, Collective: e.Collective, Campaign: e.Campaign, Amount: money.Amount{Currency: e.Amount.Currency},
				})
			}
			balances[i].Amount.Minor += e.Amount.Minor
		}
	}
	for i := range balances {
		check(w.Balance(int64(len(b.leaves)), &balances[i]))
	}
	for i := range b.leaves {
		check(w.Transaction(&b.leaves[i], b.leaves[i].Hash()))
	}
	check(w.End())
	return out.String()
}

// share is the file of one collective.
func (b *sealedBook) share(t *testing.T, collective string) string {
	t.Helper()
	var out bytes.Buffer
	w := proof.NewWriter(&out)
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	check(w.Share(book, collective))
	if len(b.checkpoints) > 0 {
		count, err := b.counts.Prove(collective)
		check(err)
		check(w.ShareCheckpoint(&b.checkpoints[len(b.checkpoints)-1].Checkpoint, count))
	}
	after := int64(0)
	gap := func(last int64) {
		if last > after {
			check(w.Gap(after+1, last, b.subtrees(after, last)))
		}
	}
	for i := range b.leaves {
		own := b.leaves[i].Share(collective)
		if own == nil {
			continue
		}
		gap(own.Number - 1)
		check(w.ShareTransaction(own, b.leaves[i].Hash()))
		after = own.Number
	}
	gap(int64(len(b.leaves)))
	check(w.End())
	return out.String()
}

// subtrees are the hashes of those that make up the leaves after one number and up to another.
func (b *sealedBook) subtrees(after, last int64) (hashes [][]byte) {
	for _, id := range compact.RangeNodes(uint64(after), uint64(last), nil) {
		subtree := testonly.New(rfc6962.DefaultHasher)
		for i := id.Index << id.Level; i < (id.Index+1)<<id.Level; i++ {
			subtree.Append(b.tree.LeafHash(i))
		}
		hashes = append(hashes, subtree.Hash())
	}
	return hashes
}

// inclusion is the proof of one number in the newest checkpoint.
func (b *sealedBook) inclusion(t *testing.T, number int64) *proof.Inclusion {
	t.Helper()
	newest := &b.checkpoints[len(b.checkpoints)-1].Checkpoint
	path, err := b.tree.InclusionProof(uint64(number-1), uint64(newest.Size))
	if err != nil {
		t.Fatal(err)
	}
	return &proof.Inclusion{Leaf: b.leaves[number-1].Share(vallon), Path: path, Checkpoint: newest}
}
