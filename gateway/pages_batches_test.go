package gateway_test

import (
	"context"
	"testing"

	"github.com/cagnotte/cagnotte/gateway"
	campaignsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
	donationsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/donations/v1"
)

func (b *backend) ListDonationBatches(_ context.Context, r *donationsv1.ListDonationBatchesRequest) (*donationsv1.ListDonationBatchesResponse, error) {
	if b.batches == nil {
		return &donationsv1.ListDonationBatchesResponse{}, nil
	}
	return b.batches(r)
}

func TestDonationsAreShownWhereMembersChoseSo(t *testing.T) {
	shown, asked := false, 0
	b := &backend{
		getCampaign: func(*campaignsv1.GetCampaignRequest) (*campaignsv1.Campaign, error) {
			c := vallon()
			c.DonationsShown = shown
			return c, nil
		},
		batches: func(r *donationsv1.ListDonationBatchesRequest) (*donationsv1.ListDonationBatchesResponse, error) {
			if asked++; r.GetParent() != campaignName {
				t.Errorf("asked for %s", r.GetParent())
			}
			return &donationsv1.ListDonationBatchesResponse{DonationBatches: []*donationsv1.DonationBatch{
				{StartDate: "2026-03-03", EndDate: "2026-03-03", DonationCount: 5},
				{StartDate: "2026-03-01", EndDate: "2026-03-02", DonationCount: 12, Steps: []*donationsv1.AmountStep{
					{UpTo: euros(1500), DonationCount: 3}, {MoreThan: euros(1500), UpTo: euros(3000), DonationCount: 5}, {MoreThan: euros(3000), DonationCount: 4},
				}},
			}}, nil
		},
	}
	front := serve(t, b, gateway.Options{Uncached: true})
	lacks(t, send(t, "GET", front.URL+campaignPath+"?lang=en", "").body, "Latest donations")
	if asked != 0 {
		t.Error("batches were read that are not shown")
	}
	shown = true
	holds(t, send(t, "GET", front.URL+campaignPath+"?lang=en", "").body, "Latest donations", "3\u00a0March 2026 ", "5\u00a0donations", "1\u00a0March 2026 to 2\u00a0March 2026", "12\u00a0donations",
		"<dt>up to €15</dt><dd>3\u00a0donations</dd>", "<dt>€15 to €30</dt><dd>5\u00a0donations</dd>", "<dt>over €30</dt><dd>4\u00a0donations</dd>")
	holds(t, send(t, "GET", front.URL+campaignPath+"?lang=fr", "").body, "Les derniers dons", "Du 1er\u00a0mars 2026 au 2\u00a0mars 2026", "jusqu’à 15\u00a0€", "de 15\u00a0€ à 30\u00a0€", "plus de 30\u00a0€")
	got := send(t, "GET", front.URL+"/v1/"+campaignName+"/donationBatches?page_size=2", "")
	holds(t, got.body, `"donation_batches"`, `"2026-03-02"`)
	t.Run("a page does without batches that cannot be read", func(t *testing.T) {
		b.batches = func(*donationsv1.ListDonationBatchesRequest) (*donationsv1.ListDonationBatchesResponse, error) {
			return nil, fail(14, "UNAVAILABLE")
		}
		got := send(t, "GET", front.URL+campaignPath+"?lang=en", "")
		lacks(t, got.body, "Latest donations")
		holds(t, got.body, "€800")
	})
}
