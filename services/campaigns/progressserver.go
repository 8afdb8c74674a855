package campaigns

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	campaignsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
)

// progressSuffix ends the name of a campaign's progress.
const progressSuffix = "/progress"

// GetProgress answers members as it answers everybody, but for drafts, which are theirs alone.
func (s *server) GetProgress(ctx context.Context, req *campaignsv1.GetProgressRequest) (*campaignsv1.CampaignProgress, error) {
	name, err := ParseName(strings.TrimSuffix(req.GetName(), progressSuffix))
	if err != nil {
		return nil, err
	}
	c, err := s.service.Get(ctx, name)
	if err == nil && c.State == StateDraft && !isMember(ctx, name.Collective) {
		err = errs.NotFound(req.GetName())
	}
	if err != nil {
		return nil, err
	}
	found, err := s.progress(ctx, []Name{name})
	if err != nil {
		return nil, err
	}
	c.fee = s.service.fee
	if c.AcceptsDonations(s.service.now()) == nil {
		if c.cards, err = s.service.takesCards(ctx, name.Collective); err != nil {
			return nil, err
		}
		paused, err := s.service.pausedCards(ctx, []Name{name})
		if err != nil {
			return nil, err
		}
		c.paused = paused[name]
	}
	return campaignProgress(c, found[name], s.service.now()), nil
}

// campaignProgress is the public form's progress.
func campaignProgress(c Campaign, p Progress, now time.Time) *campaignsv1.CampaignProgress {
	public := publicProto(c, p, now)
	return &campaignsv1.CampaignProgress{
		Name:               c.Name.String() + progressSuffix,
		Settled:            public.GetProgress().GetSettled(),
		Pending:            public.GetProgress().GetPending(),
		AcceptingDonations: public.GetAcceptingDonations(),
		Revision:           public.GetRevision(),
	}
}

// revisionOf names the content of a public form, which has no progress yet.
func revisionOf(public *campaignsv1.Campaign) string {
	// The same program writes the same bytes for the same campaign, in whichever order it reads its texts. Only a text that is
	// not UTF-8 is an error, and Postgres stores none.
	content, _ := proto.MarshalOptions{Deterministic: true}.Marshal(public)
	hash := sha256.Sum256(content)
	return base64.RawURLEncoding.EncodeToString(hash[:12])
}
