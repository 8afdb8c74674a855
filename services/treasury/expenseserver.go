package treasury

import (
	"context"

	"github.com/google/uuid"

	treasuryv1 "github.com/cagnotte/cagnotte/proto/cagnotte/treasury/v1"
	"github.com/cagnotte/cagnotte/services/campaigns"
	"github.com/cagnotte/cagnotte/services/internal/calendar"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/page"
	"github.com/cagnotte/cagnotte/services/internal/wire"
)

var expenseKinds = map[ExpenseKind]treasuryv1.ExpenseKind{
	ExpenseLawyer:     treasuryv1.ExpenseKind_EXPENSE_KIND_LAWYER,
	ExpenseLitigation: treasuryv1.ExpenseKind_EXPENSE_KIND_LITIGATION,
	ExpenseOther:      treasuryv1.ExpenseKind_EXPENSE_KIND_OTHER,
}

var expenseStates = map[ExpenseState]treasuryv1.ExpenseState{
	ExpenseOwed:     treasuryv1.ExpenseState_EXPENSE_STATE_OWED,
	ExpensePaid:     treasuryv1.ExpenseState_EXPENSE_STATE_PAID,
	ExpenseReversed: treasuryv1.ExpenseState_EXPENSE_STATE_REVERSED,
}

// The empty source is that of an expense that is owed.
var sources = map[Source]treasuryv1.PaymentSource{
	"":         treasuryv1.PaymentSource_PAYMENT_SOURCE_UNSPECIFIED,
	SourceBank: treasuryv1.PaymentSource_PAYMENT_SOURCE_BANK,
	SourceCash: treasuryv1.PaymentSource_PAYMENT_SOURCE_CASH,
}

func (s *server) CreateExpense(ctx context.Context, req *treasuryv1.CreateExpenseRequest) (*treasuryv1.Expense, error) {
	collective, err := collectiveID(req.GetParent())
	if err != nil {
		return nil, err
	}
	r, err := NewRequest(ctx, req.GetRequestId())
	if err != nil {
		return nil, err
	}
	sent := req.GetExpense()
	kind, ok := known(expenseKinds, sent.GetKind())
	if !ok {
		return nil, errs.Invalid("expense.kind", "is required")
	}
	// A source that is not known is read as none; the check of the expense sets the default.
	source, _ := known(sources, sent.GetSource())
	slug, err := ownCampaign("expense.campaign", collective, sent.GetCampaign())
	if err != nil {
		return nil, err
	}
	return expenseAnswer(s.service.CreateExpense(ctx, r, Expense{
		Collective: collective, Campaign: slug, Stage: sent.GetStage(), Kind: kind, Account: sent.GetAccount(),
		Payee: sent.GetPayee(), Document: sent.GetDocument(), DocumentDate: calendar.Day(sent.GetDocumentDate()),
		Amount: wire.Amount(sent.GetAmount()), PaidOn: calendar.Day(sent.GetPayDate()), Source: source,
	}))
}

// ownCampaign reads the slug of a campaign of the collective; empty for none.
// Field is the request's field, for the error.
func ownCampaign(field, collective, name string) (slug string, err error) {
	if name == "" {
		return "", nil
	}
	campaign, err := campaigns.ParseName(name)
	if err != nil || campaign.Collective != collective {
		return "", errs.Invalid(field, "must be a campaign of the collective")
	}
	return campaign.Campaign, nil
}

var expenseAnswer = answer(expenseToProto)

func (s *server) GetExpense(ctx context.Context, req *treasuryv1.GetExpenseRequest) (*treasuryv1.Expense, error) {
	collective, id, err := ParseExpenseName(req.GetName())
	if err != nil {
		return nil, err
	}
	return expenseAnswer(s.service.Expense(ctx, collective, id))
}

func (s *server) ListExpenses(ctx context.Context, req *treasuryv1.ListExpensesRequest) (*treasuryv1.ListExpensesResponse, error) {
	collective, err := collectiveID(req.GetParent())
	if err != nil {
		return nil, err
	}
	slug, err := ownCampaign("campaign", collective, req.GetCampaign())
	if err != nil {
		return nil, err
	}
	found, next, err := page.List(req, "expenses of "+collective+"/"+slug, newest, func(after Position, limit int) ([]Expense, error) {
		return s.service.Expenses(ctx, collective, slug, after, limit)
	}, func(e Expense) Position { return Position{e.CreateTime, e.ID} })
	return &treasuryv1.ListExpensesResponse{Expenses: each(found, expenseToProto), NextPageToken: next}, err
}

func (s *server) PayExpense(ctx context.Context, req *treasuryv1.PayExpenseRequest) (*treasuryv1.Expense, error) {
	collective, id, r, err := ofCollectiveChanged(ctx, req, "expenses")
	if err != nil {
		return nil, err
	}
	// A payment without a source is one from the bank account.
	source, _ := known(sources, req.GetSource())
	if source == "" {
		source = SourceBank
	}
	return expenseAnswer(s.service.PayExpense(ctx, r, collective, id, calendar.Day(req.GetPayDate()), source, wire.Amount(req.GetExpectedAmount())))
}

func (s *server) ReverseExpense(ctx context.Context, req *treasuryv1.ReverseExpenseRequest) (*treasuryv1.Expense, error) {
	collective, id, r, err := ofCollectiveChanged(ctx, req, "expenses")
	if err != nil {
		return nil, err
	}
	return expenseAnswer(s.service.ReverseExpense(ctx, r, collective, id, req.GetReason()))
}

func expenseToProto(e Expense) *treasuryv1.Expense {
	lines := each(e.BankLines, func(id uuid.UUID) string { return bankLineName(e.Collective, id) })
	campaign := ""
	if e.Campaign != "" {
		campaign = campaigns.Name{Collective: e.Collective, Campaign: e.Campaign}.String()
	}
	return &treasuryv1.Expense{
		Name:            e.Name(),
		Kind:            expenseKinds[e.Kind],
		Account:         e.Account,
		Payee:           e.Payee,
		Document:        e.Document,
		DocumentDate:    string(e.DocumentDate),
		Amount:          wire.Money(e.Amount),
		Campaign:        campaign,
		Stage:           e.Stage,
		State:           expenseStates[e.State],
		PayDate:         string(e.PaidOn),
		Source:          sources[e.Source],
		RemainingAmount: wire.Money(e.Remaining),
		BankLines:       lines,
		ReverseReason:   e.ReverseReason,
		Creator:         e.CreatedBy,
		CreateTime:      wire.Time(e.CreateTime),
		UpdateTime:      wire.Time(e.UpdateTime),
		Attachments:     each(e.Attachments, attachmentToProto),
	}
}
