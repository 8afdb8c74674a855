package treasury

import (
	"context"
	"time"

	treasuryv1 "github.com/cagnotte/cagnotte/proto/cagnotte/treasury/v1"
	"github.com/cagnotte/cagnotte/services/campaigns"
	"github.com/cagnotte/cagnotte/services/internal/calendar"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/page"
	"github.com/cagnotte/cagnotte/services/internal/wire"
)

// ListPublicExpenses is empty for a campaign that shows none. A draft is not found, like a missing campaign, so nobody finds
// one by asking. Members get the same answer.
func (s *server) ListPublicExpenses(ctx context.Context, req *treasuryv1.ListPublicExpensesRequest) (*treasuryv1.ListPublicExpensesResponse, error) {
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
	case !c.ExpensesShown:
		return &treasuryv1.ListPublicExpensesResponse{}, nil
	}
	// No day of a document is later: see localDays.
	first := publicPosition{Day: calendar.Day(time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC).Format(time.DateOnly))}
	found, next, err := page.List(req, "public expenses of "+name.String(), first, func(before publicPosition, count int) ([]publicExpense, error) {
		return s.service.publicExpenses(ctx, name, before, count)
	}, func(e publicExpense) publicPosition { return publicPosition{e.documentDate, e.id} })
	return &treasuryv1.ListPublicExpensesResponse{Expenses: each(found, publicExpenseToProto), NextPageToken: next}, err
}

func publicExpenseToProto(e publicExpense) *treasuryv1.PublicExpense {
	return &treasuryv1.PublicExpense{
		Kind: expenseKinds[e.kind], Amount: wire.Money(e.amount), DocumentDate: string(e.documentDate), Stage: e.stage, Paid: e.paid,
	}
}
