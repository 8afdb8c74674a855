package bank

import (
	"context"
	"strconv"

	bankv1 "github.com/cagnotte/cagnotte/proto/cagnotte/bank/v1"
	"github.com/cagnotte/cagnotte/services/campaigns"
	"github.com/cagnotte/cagnotte/services/internal/wire"
	"github.com/cagnotte/cagnotte/services/treasury"
)

func (s *server) SuggestBankLineMatches(ctx context.Context, req *bankv1.SuggestBankLineMatchesRequest) (*bankv1.SuggestBankLineMatchesResponse, error) {
	collective, id, err := ofCollective(req.GetName(), "bankLines")
	if err != nil {
		return nil, err
	}
	found, err := s.service.Suggestions(ctx, collective, id)
	if err != nil {
		return nil, err
	}
	answer := &bankv1.SuggestBankLineMatchesResponse{}
	for _, g := range found {
		p := &bankv1.BankLineSuggestion{
			Target: suggestedTarget(collective, g.Target), Kind: suggestionKinds[g.Kind], Amount: wire.Money(g.Amount),
			Date: string(g.On), DaysLater: int32(g.DaysLater), Document: g.Document, Payee: g.Payee, WholeLine: g.WholeLine,
		}
		if g.Campaign != (campaigns.Name{}) {
			p.Campaign = g.Campaign.String()
		}
		for _, r := range g.Reasons {
			p.Reasons = append(p.Reasons, reasons[r])
		}
		answer.Suggestions = append(answer.Suggestions, p)
	}
	return answer, nil
}

// suggestedTarget is a target as MatchBankLine takes it.
func suggestedTarget(collective string, t Target) *bankv1.BankLineTarget {
	switch t.Kind {
	case TargetPledge:
		return &bankv1.BankLineTarget{Target: &bankv1.BankLineTarget_Pledge{Pledge: pledgeName(collective, t.Campaign.Campaign, t.ID)}}
	case TargetExpense:
		return &bankv1.BankLineTarget{Target: &bankv1.BankLineTarget_Expense{Expense: treasury.Expense{Collective: collective, ID: t.ID}.Name()}}
	}
	return &bankv1.BankLineTarget{Target: &bankv1.BankLineTarget_Transaction{Transaction: transactionPrefix(collective) + strconv.FormatInt(t.Transaction, 10)}}
}
