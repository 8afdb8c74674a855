package ledger

import (
	"context"
	"slices"

	"github.com/google/uuid"

	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/ledger/proof"
)

// Inclusion proves a transaction of a collective's share. NOT_FOUND, which names name, when the collective has no entry
// in it, or when it has no number yet.
func (s *Service) Inclusion(ctx context.Context, book, collective, name string, id int64) (*proof.Inclusion, error) {
	// The whole leaf is needed: its other parts become the hashes that complete the share.
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
	// The call is public, so a transaction with an entry of anybody else is not shown at all.
	if slices.ContainsFunc(leaf.Entries, func(e proof.Entry) bool {
		return e.Collective != campaign.Collective || e.Campaign != campaign.Campaign || e.Donation != donation
	}) {
		return nil, errs.NotFound(name)
	}
	return s.include(ctx, name, leaf.Share(campaign.Collective))
}

// include adds to a share of a leaf what proves it: the newest checkpoint of the book, and the path to its root.
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
