package chaos_test

import (
	"context"
	"time"

	"google.golang.org/grpc/status"

	campaignsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
	"github.com/cagnotte/cagnotte/services/internal/apptest"
)

// memberSteps are the changes that members make to the campaign.
func (h *history) memberSteps() []step {
	return []step{
		{"the campaign is closed", 1, h.closeCampaign},
	}
}

func (h *history) closeCampaign() {
	if h.dice.IntN(4) > 0 {
		return // rarely, since a closed campaign leaves few steps
	}
	ctx, cancel := context.WithTimeout(apptest.WithKey(h.t.Context(), h.owner), 12*time.Second)
	defer cancel()
	_, err := campaignsv1.NewCampaignsServiceClient(h.rest).CloseCampaign(ctx, &campaignsv1.CloseCampaignRequest{Name: h.campaign})
	h.note("  … %v", status.Code(err))
	if err == nil || h.unanswered(err) {
		c, err := campaignsv1.NewCampaignsServiceClient(h.rest).GetCampaign(ctx, &campaignsv1.GetCampaignRequest{Name: h.campaign})
		h.must(err)
		h.closed = c.GetState() == campaignsv1.CampaignState_CAMPAIGN_STATE_CLOSED
	}
}
