package ledger

import (
	"context"
	"strconv"
	"strings"

	"github.com/google/uuid"

	ledgerv1 "github.com/cagnotte/cagnotte/proto/cagnotte/ledger/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/wire"
	"github.com/cagnotte/cagnotte/services/ledger/proof"
)

// GetCheckpoint is public, so it answers NOT_FOUND for a collective that the caller may not know of.
func (s *server) GetCheckpoint(ctx context.Context, req *ledgerv1.GetCheckpointRequest) (*ledgerv1.Checkpoint, error) {
	name := req.GetName()
	_, book, err := s.findPublic(ctx, strings.TrimSuffix(name, "/ledger/checkpoint"), name)
	if err != nil {
		return nil, err
	}
	c, path, err := s.service.Checkpoint(ctx, book, name, req.GetFromSize())
	if err != nil {
		return nil, err
	}
	checkpoint := checkpointToProto(c)
	checkpoint.ConsistencyProof = path
	return checkpoint, nil
}

func (s *server) GetInclusionProof(ctx context.Context, req *ledgerv1.GetInclusionProofRequest) (*ledgerv1.InclusionProof, error) {
	ledger, last, ok := strings.Cut(req.GetName(), "/transactions/")
	id, err := strconv.ParseInt(strings.TrimSuffix(last, "/inclusionProof"), 10, 64)
	if !ok || err != nil {
		return nil, errs.NotFound(req.GetName())
	}
	// The leaf shows the entries of this collective, and of all others only hashes.
	_, collective, book, err := s.find(ctx, ledger)
	if err != nil {
		return nil, err
	}
	included, err := s.service.Inclusion(ctx, book, collective, req.GetName(), id)
	if err != nil {
		return nil, err
	}
	return &ledgerv1.InclusionProof{
		Name:       req.GetName(),
		Number:     included.Leaf.Number,
		LeafHash:   included.Leaf.Hash(),
		Leaf:       included.Leaf.Encode(),
		Path:       included.Path,
		Checkpoint: checkpointToProto(included.Checkpoint),
	}, nil
}

// GetDonationProof is public: whoever knows the donation's id gets the proof as a code, which can be verified without
// this service.
func (s *server) GetDonationProof(ctx context.Context, req *ledgerv1.GetDonationProofRequest) (*ledgerv1.DonationProof, error) {
	// collectives/C/campaigns/K/donations/D/proof, which the request's rule made sure of.
	parts := strings.Split(req.GetName(), "/")
	if len(parts) != 7 {
		return nil, errs.NotFound(req.GetName())
	}
	donation, err := uuid.Parse(parts[5])
	// Nil would find transactions of no donation.
	if err != nil || donation == uuid.Nil {
		return nil, errs.NotFound(req.GetName())
	}
	collective, book, err := s.findPublic(ctx, parts[0]+"/"+parts[1], req.GetName())
	if err != nil {
		return nil, err
	}
	campaign := CampaignKey{Collective: collective, Campaign: parts[3]}
	included, err := s.service.DonationInclusion(ctx, book, campaign, donation, req.GetName())
	if err != nil {
		return nil, err
	}
	return &ledgerv1.DonationProof{Name: req.GetName(), Code: included.Code(), VerifierKey: included.Checkpoint.VerifierKey}, nil
}

// checkpointToProto leaves out the proof of consistency, which only [server.GetCheckpoint] answers.
func checkpointToProto(c *proof.Checkpoint) *ledgerv1.Checkpoint {
	return &ledgerv1.Checkpoint{
		Origin:      c.Origin,
		Size:        c.Size,
		Root:        c.Root,
		SignTime:    wire.Time(c.SignedAt),
		Note:        c.Note,
		VerifierKey: c.VerifierKey,
	}
}
