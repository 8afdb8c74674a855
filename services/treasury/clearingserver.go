package treasury

import (
	"context"

	treasuryv1 "github.com/cagnotte/cagnotte/proto/cagnotte/treasury/v1"
	"github.com/cagnotte/cagnotte/services/campaigns"
	"github.com/cagnotte/cagnotte/services/internal/page"
	"github.com/cagnotte/cagnotte/services/internal/wire"
)

var clearingKinds = map[ClearingKind]treasuryv1.ClearingKind{
	ClearingCheque:         treasuryv1.ClearingKind_CLEARING_KIND_CHEQUE,
	ClearingUnknownReceipt: treasuryv1.ClearingKind_CLEARING_KIND_UNKNOWN_RECEIPT,
	ClearingExpense:        treasuryv1.ClearingKind_CLEARING_KIND_EXPENSE,
}

func (s *server) GetClearingItem(ctx context.Context, req *treasuryv1.GetClearingItemRequest) (*treasuryv1.ClearingItem, error) {
	collective, id, err := ofCollective(req.GetName(), "clearingItems")
	if err != nil {
		return nil, err
	}
	return clearingAnswer(s.service.ClearingItem(ctx, collective, id))
}

var clearingAnswer = answer(clearingToProto)

func (s *server) ListClearingItems(ctx context.Context, req *treasuryv1.ListClearingItemsRequest) (*treasuryv1.ListClearingItemsResponse, error) {
	collective, err := collectiveID(req.GetParent())
	if err != nil {
		return nil, err
	}
	// This list begins with the oldest, so it begins at the zero time. The key of an item is the day since which it is
	// open, as a time in UTC.
	found, next, err := page.List(req, "clearing of "+collective, Position{}, func(after Position, limit int) ([]ClearingItem, error) {
		return s.service.ClearingItems(ctx, collective, after, limit)
	}, func(c ClearingItem) Position { return Position{c.OpenSince.UTC(), c.ID} })
	return &treasuryv1.ListClearingItemsResponse{ClearingItems: each(found, clearingToProto), NextPageToken: next}, err
}

// An item has a name of its own, and the name of what it is about: a donation, an expense, or a line of the bank.
func clearingToProto(c ClearingItem) *treasuryv1.ClearingItem {
	resource := bankLineName(c.Collective, c.ID)
	switch c.Kind {
	case ClearingCheque:
		resource = donationName(campaigns.Name{Collective: c.Collective, Campaign: c.Campaign}, c.ID)
	case ClearingExpense:
		resource = expenseName(c.Collective, c.ID)
	}
	return &treasuryv1.ClearingItem{
		Name: c.Name(), Kind: clearingKinds[c.Kind], Resource: resource, Amount: wire.Money(c.Amount), OpenDate: string(c.OpenSince),
		AgeDays: int32(c.AgeDays), Document: c.Document,
	}
}
