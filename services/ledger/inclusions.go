package ledger

import (
	"context"
	"errors"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/ledger/proof"
)

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
    s.salt
FROM ledger.seals AS s
JOIN ledger.transactions AS t ON t.id = s.transaction_id
WHERE s.book = @book
    AND (s.transaction_id = @id OR (s.donation = @donation AND t.kind = 'donation'))
ORDER BY s.number
LIMIT 1`

// sealedLeaf returns a leaf of the book, by one of the two ids.
func sealedLeaf(ctx context.Context, db querier, book, name string, id int64, donation uuid.UUID) (*proof.Leaf, error) {
	args := pgx.NamedArgs{"book": book, "id": id, "donation": nil}
	if donation != uuid.Nil {
		args["donation"] = donation.String()
	}
	rows, err := db.Query(ctx, leafSQL, args)
	if err != nil {
		return nil, postgres.Error(err)
	}
	leaf, err := pgx.CollectOneRow(rows, func(row pgx.CollectableRow) (l proof.Leaf, err error) {
		err = row.Scan(&l.Book, &l.Number, &l.ID, &l.XID, &l.Reference, &l.Kind, &l.Effective, &l.Recorded, &l.Fingerprint, &l.Salt)
		return l, err
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, errs.NotFound(name)
	}
	if err != nil {
		return nil, postgres.Error(err)
	}
	leaves := []proof.Leaf{leaf}
	return &leaves[0], fillEntries(ctx, db, leaves, []int64{leaf.ID})
}

// Checkpoint returns the newest checkpoint of a book. When from is not zero, path proves that the tree begins with the
// one of that earlier size. name is what NOT_FOUND names.
//
// Errors: NOT_FOUND before the first checkpoint; INVALID_ARGUMENT on from_size when the book has never been that large.
func (s *Service) Checkpoint(ctx context.Context, book, name string, from int64) (c *proof.Checkpoint, path [][]byte, err error) {
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

// Inclusion proves a transaction of a collective's share. NOT_FOUND, which names name, when the collective has no entry
// in it, or when it has no number yet.
func (s *Service) Inclusion(ctx context.Context, book, collective, name string, id int64) (*proof.Inclusion, error) {
	leaf, err := sealedLeaf(ctx, s.pool, book, name, id, uuid.Nil)
	if err != nil {
		return nil, err
	}
	own := leaf.Share(collective)
	if own == nil {
		return nil, errs.NotFound(name)
	}
	return s.include(ctx, name, own)
}

// DonationInclusion proves the transaction that a donation became. It is public: the donation's id is known to the donor
// and to the collective. NOT_FOUND, which names name, when the campaign has no such donation in the sealed book, or when
// the transaction has an entry of anything else.
func (s *Service) DonationInclusion(ctx context.Context, book string, campaign CampaignKey, donation uuid.UUID, name string) (*proof.Inclusion, error) {
	leaf, err := sealedLeaf(ctx, s.pool, book, name, 0, donation)
	if err != nil {
		return nil, err
	}
	if slices.ContainsFunc(leaf.Entries, func(e proof.Entry) bool {
		return e.Collective != campaign.Collective || e.Campaign != campaign.Campaign || e.Donation != donation
	}) {
		return nil, errs.NotFound(name)
	}
	return s.include(ctx, name, leaf.Share(campaign.Collective))
}

func (s *Service) include(ctx context.Context, name string, leaf *proof.LeafShare) (*proof.Inclusion, error) {
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
	return &proof.Inclusion{Leaf: leaf, Path: path, Checkpoint: c}, nil
}
