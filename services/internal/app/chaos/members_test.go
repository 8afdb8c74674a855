package chaos_test

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	campaignsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
	treasuryv1 "github.com/cagnotte/cagnotte/proto/cagnotte/treasury/v1"
	"github.com/cagnotte/cagnotte/services/internal/apptest"
)

// memberSteps are what members do beside refunds.
func (h *history) memberSteps() []step {
	return []step{
		{"somebody gives cash", 2, h.giveOffline},
		{"the treasurer enters it again", 1, h.enterAgain},
		{"the treasurer takes an entry back", 1, h.reverseOffline},
		{"the campaign is closed", 1, h.closeCampaign},
	}
}

// offlineGift is one that the treasurer enters, until answered.
type offlineGift struct {
	request *treasuryv1.CreateOfflineGiftRequest
	name    string
	reverse *treasuryv1.ReverseOfflineGiftRequest
}

func (h *history) giveOffline() {
	g := &offlineGift{request: &treasuryv1.CreateOfflineGiftRequest{
		Parent: h.campaign, RequestId: uuid.NewString(), Amount: apptest.Euros(1 + h.dice.Int64N(200_00)),
		Method:      []treasuryv1.OfflineMethod{treasuryv1.OfflineMethod_OFFLINE_METHOD_CASH, treasuryv1.OfflineMethod_OFFLINE_METHOD_CHEQUE}[h.dice.IntN(2)],
		ReceiveDate: h.Clock.Now().Format(time.DateOnly),
	}}
	h.offline = append(h.offline, g)
	h.enter(g)
}

func (h *history) enterAgain() {
	if len(h.offline) > 0 {
		h.enter(h.offline[h.dice.IntN(len(h.offline))])
	}
}

func (h *history) enter(g *offlineGift) {
	ctx, cancel := context.WithTimeout(apptest.WithKey(h.t.Context(), h.treasurer), 12*time.Second)
	defer cancel()
	entered, err := treasuryv1.NewTreasuryServiceClient(h.rest).CreateOfflineGift(ctx, g.request)
	switch {
	case err == nil && g.name != "" && g.name != entered.GetName():
		h.t.Errorf("one request made two gifts: %s and %s", g.name, entered.GetName())
	case err == nil:
		g.name = entered.GetName()
	case unanswered(err), h.closed && status.Code(err) == codes.FailedPrecondition:
		h.note("  … %v", status.Code(err))
	default:
		h.t.Fatalf("an offline gift was refused: %v", err)
	}
}

func (h *history) reverseOffline() {
	entered := slices.DeleteFunc(slices.Clone(h.offline), func(g *offlineGift) bool { return g.name == "" })
	if len(entered) == 0 {
		return
	}
	g := entered[h.dice.IntN(len(entered))]
	if g.reverse == nil {
		g.reverse = &treasuryv1.ReverseOfflineGiftRequest{Name: g.name, RequestId: uuid.NewString(), Reason: "entered twice"}
	}
	ctx, cancel := context.WithTimeout(apptest.WithKey(h.t.Context(), h.treasurer), 12*time.Second)
	defer cancel()
	if _, err := treasuryv1.NewTreasuryServiceClient(h.rest).ReverseOfflineGift(ctx, g.reverse); err != nil && !unanswered(err) {
		h.t.Fatalf("a reversal was refused: %v", err)
	}
}

func (h *history) closeCampaign() {
	if h.dice.IntN(4) > 0 {
		return // it ends most of what a history can do
	}
	ctx, cancel := context.WithTimeout(apptest.WithKey(h.t.Context(), h.owner), 12*time.Second)
	defer cancel()
	_, err := campaignsv1.NewCampaignsServiceClient(h.rest).CloseCampaign(ctx, &campaignsv1.CloseCampaignRequest{Name: h.campaign})
	h.note("  … %v", status.Code(err))
	if err == nil || unanswered(err) {
		c, err := campaignsv1.NewCampaignsServiceClient(h.rest).GetCampaign(ctx, &campaignsv1.GetCampaignRequest{Name: h.campaign})
		h.must(err)
		h.closed = c.GetState() == campaignsv1.CampaignState_CAMPAIGN_STATE_CLOSED
	}
}

// offlineGifts reads all of the campaign's.
func (h *history) offlineGifts(ctx context.Context) (all []*treasuryv1.OfflineGift, err error) {
	req := &treasuryv1.ListOfflineGiftsRequest{Parent: h.campaign, PageSize: 200}
	for {
		page, err := treasuryv1.NewTreasuryServiceClient(h.rest).ListOfflineGifts(ctx, req)
		if err != nil {
			return nil, err
		}
		all = append(all, page.GetOfflineGifts()...)
		if req.PageToken = page.GetNextPageToken(); req.PageToken == "" {
			return all, nil
		}
	}
}

// counts reports whether the collective has the gift.
func counts(g *treasuryv1.OfflineGift) bool {
	return g.GetState() == treasuryv1.OfflineGiftState_OFFLINE_GIFT_STATE_RECEIVED
}

// compareOffline: what was entered and answered is there once, and no more than was entered.
func (h *history) compareOffline(ctx context.Context) string {
	gifts, err := h.offlineGifts(ctx)
	if err != nil {
		return fmt.Sprintf("the offline gifts cannot be read: %v", err)
	}
	if len(gifts) > len(h.offline) {
		return fmt.Sprintf("%d offline gifts, entered were %d", len(gifts), len(h.offline))
	}
	times := map[string]int{}
	for _, g := range gifts {
		times[g.GetName()]++
	}
	for _, g := range h.offline {
		if g.name != "" && times[g.name] != 1 {
			return fmt.Sprintf("%s stands in the list %d times", g.name, times[g.name])
		}
	}
	return ""
}
