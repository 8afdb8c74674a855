package donations

import (
	"context"

	donationsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/donations/v1"
	"github.com/cagnotte/cagnotte/services/campaigns"
	"github.com/cagnotte/cagnotte/services/internal/calendar"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/page"
	"github.com/cagnotte/cagnotte/services/internal/wire"
	"github.com/cagnotte/cagnotte/services/money"
)

// ListDonationBatches is empty for a campaign that shows none. Members get the same answer as everybody.
func (s *server) ListDonationBatches(ctx context.Context, req *donationsv1.ListDonationBatchesRequest) (*donationsv1.ListDonationBatchesResponse, error) {
	name, err := campaigns.ParseName(req.GetParent())
	if err != nil {
		return nil, err
	}
	c, err := s.service.cfg.Campaigns.Get(ctx, name)
	switch {
	case err != nil:
		return nil, err
	case c.State == campaigns.StateDraft:
		return nil, errs.NotFound(req.GetParent())
	case !c.DonationsShown:
		return &donationsv1.ListDonationBatchesResponse{}, nil
	}
	found, next, err := page.List(req, "donation batches of "+name.String(), calendar.Day("9999-12-31"), func(before calendar.Day, count int) ([]Batch, error) {
		// A token names a day; another text is none that we gave.
		if !before.Valid() {
			return nil, errs.Invalid("page_token", "must be the next_page_token of the page before, with the same filter")
		}
		return s.service.listBatches(ctx, name, before, count)
	}, func(b Batch) calendar.Day { return b.Last })
	if err != nil {
		return nil, err
	}
	resp := &donationsv1.ListDonationBatchesResponse{NextPageToken: next}
	for _, b := range found {
		resp.DonationBatches = append(resp.DonationBatches, batchToProto(b))
	}
	return resp, nil
}

func batchToProto(b Batch) *donationsv1.DonationBatch {
	p := &donationsv1.DonationBatch{StartDate: string(b.First), EndDate: string(b.Last), DonationCount: b.Count}
	for _, step := range b.Steps {
		one := &donationsv1.AmountStep{DonationCount: step.Count}
		if step.MoreThan > 0 {
			one.MoreThan = wire.Money(money.Amount{Minor: step.MoreThan, Currency: b.Currency})
		}
		if step.UpTo > 0 {
			one.UpTo = wire.Money(money.Amount{Minor: step.UpTo, Currency: b.Currency})
		}
		p.Steps = append(p.Steps, one)
	}
	return p
}
