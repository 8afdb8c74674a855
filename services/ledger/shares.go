package ledger

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"

	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

// shareCount is how many of a book's first transactions a collective has entries in. Its hash is a leaf in a second tree,
// over the collectives by name, whose root each checkpoint signs: so a share can be shown to be whole.
type shareCount struct {
	collective string
	count      int64
	hash       []byte
	// newest is the salt of the collective's last transaction since the hash was made; nil when there is none.
	newest []byte
}

const shareCountHeader = "cagnotte ledger share count 2\n"

// hashShareCount takes the salt of the collective's last transaction, which the other collectives do not know: else they
// could try names and counts until a hash is right.
func hashShareCount(collective string, count int64, salt []byte) []byte {
	b := append(make([]byte, 0, 128), shareCountHeader...)
	b = append(b, salt...)
	b = appendText(b, collective)
	return rfc6962.DefaultHasher.HashLeaf(binary.BigEndian.AppendUint64(b, uint64(count)))
}

// shareCounts are those of a book, by name.
type shareCounts []shareCount

func (c shareCounts) find(collective string) (int, bool) {
	return slices.BinarySearchFunc(c, collective, func(s shareCount, name string) int {
		switch {
		case s.collective < name:
			return -1
		case s.collective > name:
			return 1
		}
		return 0
	})
}

// add counts the next transaction.
func (c *shareCounts) add(l *Leaf) {
	for _, collective := range l.collectives() {
		i, known := c.find(collective)
		if !known {
			*c = slices.Insert(*c, i, shareCount{collective: collective})
		}
		(*c)[i].count++
		(*c)[i].newest = l.Salt
	}
}

// settle makes the hashes of what has changed since the last time, and returns it.
func (c shareCounts) settle() (changed []shareCount) {
	for i := range c {
		if s := &c[i]; s.newest != nil {
			s.hash = hashShareCount(s.collective, s.count, shareSalt(s.newest, s.collective))
			s.newest = nil
			changed = append(changed, *s)
		}
	}
	return changed
}

// root is that of the tree over the collectives.
func (c shareCounts) root() ([]byte, error) {
	grown := treeRanges.NewEmptyRange(0)
	for i := range c {
		if err := grown.Append(c[i].hash, nil); err != nil {
			return nil, fmt.Errorf("grow the tree of shares: %w", err)
		}
	}
	return grown.GetRootHash(nil)
}

// path proves a collective's count in the tree.
func (c shareCounts) path(place int) ([][]byte, error) {
	nodes, err := proof.Inclusion(uint64(place), uint64(len(c)))
	if err != nil {
		return nil, fmt.Errorf("prove a share: %w", err)
	}
	hashes := make([][]byte, 0, len(nodes.IDs))
	for _, id := range nodes.IDs {
		hash, err := c.node(id)
		if err != nil {
			return nil, err
		}
		hashes = append(hashes, hash)
	}
	return nodes.Rehash(hashes, rfc6962.DefaultHasher.HashChildren)
}

// node is the hash of a complete subtree.
func (c shareCounts) node(id compact.NodeID) ([]byte, error) {
	return c[id.Index<<id.Level : (id.Index+1)<<id.Level].root()
}

// The names come one after the other from the index: a book's rows are many, its collectives are few.
const shareCountsSQL = `
WITH RECURSIVE names AS (
    (
        SELECT s.collective
        FROM ledger.shares AS s
        WHERE s.book = @book
        ORDER BY s.collective
        LIMIT 1
    )
    UNION ALL
    SELECT (
        SELECT s.collective
        FROM ledger.shares AS s
        WHERE s.book = @book
            AND s.collective > n.collective
        ORDER BY s.collective
        LIMIT 1
    )
    FROM names AS n
    WHERE n.collective IS NOT NULL
)
SELECT
    n.collective,
    l.count,
    l.hash
FROM names AS n
CROSS JOIN LATERAL (
    SELECT
        s.count,
        s.hash
    FROM ledger.shares AS s
    WHERE s.book = @book
        AND s.collective = n.collective
        AND s.number <= @number
    ORDER BY s.number DESC
    LIMIT 1
) AS l
ORDER BY n.collective`

// loadShareCounts returns those of a book's first transactions, up to the number of a checkpoint.
func loadShareCounts(ctx context.Context, db querier, book string, number int64) (shareCounts, error) {
	rows, err := db.Query(ctx, shareCountsSQL, pgx.NamedArgs{"book": book, "number": number})
	if err != nil {
		return nil, postgres.Error(err)
	}
	counts, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (s shareCount, err error) {
		err = row.Scan(&s.collective, &s.count, &s.hash)
		return s, err
	})
	return counts, postgres.Error(err)
}

const insertShareCountsSQL = `
INSERT INTO ledger.shares (number, count, book, collective, hash)
SELECT
    @number,
    s.count,
    @book,
    s.collective,
    s.hash
FROM unnest(
    @counts::bigint[],
    @collectives::text[],
    @hashes::bytea[]
) AS s (count, collective, hash)`

// countShares adds the leaves, which are being sealed, to their collectives' counts, and returns the root to sign.
func countShares(ctx context.Context, tx pgx.Tx, book string, leaves []Leaf) ([]byte, error) {
	counts, err := loadShareCounts(ctx, tx, book, leaves[0].Number-1)
	if err != nil {
		return nil, err
	}
	for i := range leaves {
		counts.add(&leaves[i])
	}
	var numbers []int64
	var collectives []string
	var hashes [][]byte
	for _, s := range counts.settle() {
		numbers, collectives, hashes = append(numbers, s.count), append(collectives, s.collective), append(hashes, s.hash)
	}
	if _, err := tx.Exec(ctx, insertShareCountsSQL, pgx.NamedArgs{
		"number": leaves[len(leaves)-1].Number, "book": book, "counts": numbers, "collectives": collectives, "hashes": hashes,
	}); err != nil {
		return nil, postgres.Error(err)
	}
	return counts.root()
}

// shareProof shows in a file of a share how many transactions the collective has in the book.
type shareProof struct {
	// Count is how many, Place the collective's among Places in the tree of shares, from 1.
	Count  int64 `json:"transactions,string"`
	Place  int64 `json:"place,string"`
	Places int64 `json:"places,string"`
	// Path is the inclusion proof (RFC 6962, section 2.1.1).
	Path [][]byte `json:"path"`
}

// proveShare returns nil when the collective has no transaction in the book.
func proveShare(ctx context.Context, db querier, book, collective string, size int64) (*shareProof, error) {
	counts, err := loadShareCounts(ctx, db, book, size)
	if err != nil {
		return nil, err
	}
	place, known := counts.find(collective)
	if !known {
		return nil, nil
	}
	path, err := counts.path(place)
	if err != nil {
		return nil, err
	}
	return &shareProof{Count: counts[place].count, Place: int64(place) + 1, Places: int64(len(counts)), Path: path}, nil
}

// verify checks the count against the signed root, with the salt of the collective's last transaction.
func (p *shareProof) verify(collective string, salt, root []byte) error {
	if p.Place < 1 || p.Places < p.Place || p.Count < 1 {
		return errors.New("the count is not one that was signed")
	}
	for _, hash := range p.Path {
		if len(hash) != sha256.Size {
			return fmt.Errorf("a hash has %d bytes", sha256.Size)
		}
	}
	if err := proof.VerifyInclusion(rfc6962.DefaultHasher, uint64(p.Place-1), uint64(p.Places),
		hashShareCount(collective, p.Count, salt), p.Path, root); err != nil {
		return errors.New("the count is not one that was signed, or the last of the collective's transactions is not in the file")
	}
	return nil
}
