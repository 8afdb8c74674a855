package pages

import (
	"context"

	"github.com/cagnotte/cagnotte/gateway/text"
	campaignsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
	moneyv1 "github.com/cagnotte/cagnotte/proto/cagnotte/money/v1"
	treasuryv1 "github.com/cagnotte/cagnotte/proto/cagnotte/treasury/v1"
)

// expensesShown is how many expenses the campaign's page shows.
const expensesShown = 50

// accountsView is what a campaign planned, raised and spent, by stage, and its expenses.
type accountsView struct {
	Rows     []accountRow
	Expenses []expenseView
	// Older says that there are more expenses than are shown.
	Older bool
}

// accountRow is a stage, what belongs to none, or the whole. Planned is empty where nothing was.
type accountRow struct {
	Title, TextLang              string
	Planned, Raised, Spent, Left string
	Total                        bool
}

// expenseView is one expense: what for, for which stage, when, and how much. Nobody is named.
type expenseView struct {
	What, Stage, StageLang, Day, Amount string
	Owed                                bool
}

// expenseWords are the words for each kind.
var expenseWords = map[treasuryv1.ExpenseKind]func(*text.Words) string{
	treasuryv1.ExpenseKind_EXPENSE_KIND_LAWYER:     func(w *text.Words) string { return w.T("expenses.lawyer") },
	treasuryv1.ExpenseKind_EXPENSE_KIND_LITIGATION: func(w *text.Words) string { return w.T("expenses.litigation") },
}

// accountsOf is nil where the campaign's members have not chosen to show them. The page does without what cannot be read.
func (s *site) accountsOf(ctx context.Context, w *text.Words, c *campaignsv1.Campaign) *accountsView {
	if !c.GetExpensesShown() {
		return nil
	}
	list, err := s.treasury.ListPublicExpenses(ctx, &treasuryv1.ListPublicExpensesRequest{Parent: c.GetName(), PageSize: expensesShown})
	if err != nil {
		return nil
	}
	return newAccountsView(w, c, list)
}

func newAccountsView(w *text.Words, c *campaignsv1.Campaign, list *treasuryv1.ListPublicExpensesResponse) *accountsView {
	v := &accountsView{Rows: newAccountRows(w, c), Older: list.GetNextPageToken() != ""}
	stages := map[string]stageView{}
	for i, stage := range newStageViews(w, c) {
		stages[c.GetStages()[i].GetId()] = stage
	}
	for _, e := range list.GetExpenses() {
		words, ok := expenseWords[e.GetKind()]
		if !ok {
			words = func(w *text.Words) string { return w.T("expenses.other") }
		}
		v.Expenses = append(v.Expenses, expenseView{
			What: words(w), Stage: stages[e.GetStage()].Title, StageLang: stages[e.GetStage()].TextLang,
			Day: w.Day(e.GetDocumentDate()), Amount: w.Money(e.GetAmount()), Owed: !e.GetPaid(),
		})
	}
	return v
}

// newAccountRows is what was planned, raised and spent. What came in is spent on the stages in their order, as the page says
// elsewhere; what is beyond them, and what was spent on none, is a row of its own. The columns sum up to the last row.
func newAccountRows(w *text.Words, c *campaignsv1.Campaign) []accountRow {
	print := func(minor int64) string {
		return w.Money(&moneyv1.Money{CurrencyCode: c.GetGoal().GetCurrencyCode(), AmountMinor: minor})
	}
	settled, spent := c.GetProgress().GetSettled().GetAmountMinor(), c.GetSpent().GetAmountMinor()
	restRaised, restSpent := settled, spent
	var rows []accountRow
	for i, stage := range newStageViews(w, c) {
		planned, gone := c.GetStages()[i].GetAmount().GetAmountMinor(), c.GetStages()[i].GetSpent().GetAmountMinor()
		raised := min(max(restRaised, 0), planned)
		restRaised, restSpent = restRaised-raised, restSpent-gone
		rows = append(rows, accountRow{
			Title: stage.Title, TextLang: stage.TextLang, Planned: print(planned), Raised: print(raised), Spent: print(gone), Left: print(raised - gone),
		})
	}
	if len(rows) > 0 && (restRaised != 0 || restSpent != 0) {
		rows = append(rows, accountRow{
			Title: w.T("expenses.beyond"), TextLang: w.Lang, Raised: print(restRaised), Spent: print(restSpent), Left: print(restRaised - restSpent),
		})
	}
	return append(rows, accountRow{
		Title: w.T("expenses.whole"), TextLang: w.Lang, Total: true,
		Planned: print(c.GetGoal().GetAmountMinor()), Raised: print(settled), Spent: print(spent), Left: print(settled - spent),
	})
}
