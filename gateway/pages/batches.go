package pages

import (
	"context"

	"github.com/cagnotte/cagnotte/gateway/text"
	campaignsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
	donationsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/donations/v1"
)

// batchesShown is how many batches of donations the campaign's page shows. The API has all of them.
const batchesShown = 6

// batchView is the donations of some days: when, how many, and how many in each step of amounts.
type batchView struct {
	Days, Count string
	Steps       []batchStepView
}

// batchStepView is one step of amounts, such as "15 to 30 €".
type batchStepView struct{ Amounts, Count string }

// batchesOf is nil where the campaign's members have not chosen to show donations, and where there is no batch yet. The page does
// without what cannot be read.
func (s *site) batchesOf(ctx context.Context, w *text.Words, c *campaignsv1.Campaign) (views []batchView) {
	if !c.GetDonationsShown() {
		return nil
	}
	list, err := s.donations.ListDonationBatches(ctx, &donationsv1.ListDonationBatchesRequest{Parent: c.GetName(), PageSize: batchesShown})
	if err != nil {
		return nil
	}
	for _, b := range list.GetDonationBatches() {
		views = append(views, newBatchView(w, b))
	}
	return views
}

func newBatchView(w *text.Words, b *donationsv1.DonationBatch) batchView {
	v := batchView{Days: w.Day(b.GetStartDate()), Count: w.N("batches.donations", b.GetDonationCount())}
	if b.GetEndDate() != b.GetStartDate() {
		v.Days = w.T("batches.days", "first", w.Day(b.GetStartDate()), "last", w.Day(b.GetEndDate()))
	}
	for _, step := range b.GetSteps() {
		v.Steps = append(v.Steps, batchStepView{stepAmounts(w, step), w.N("batches.donations", step.GetDonationCount())})
	}
	return v
}

// stepAmounts says which amounts a step has.
func stepAmounts(w *text.Words, step *donationsv1.AmountStep) string {
	switch {
	case step.GetMoreThan() == nil:
		return w.T("batches.upTo", "amount", w.Money(step.GetUpTo()))
	case step.GetUpTo() == nil:
		return w.T("batches.moreThan", "amount", w.Money(step.GetMoreThan()))
	}
	return w.T("batches.between", "low", w.Money(step.GetMoreThan()), "high", w.Money(step.GetUpTo()))
}
