package console

import (
	"slices"

	campaignsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
	treasuryv1 "github.com/cagnotte/cagnotte/proto/cagnotte/treasury/v1"
)

// expensesSection has the expenses with their documents, and what the stages of campaigns planned and spent.
func expensesSection() section {
	const expenses = "/console/c/{collective}/expenses"
	return section{
		name: "expenses",
		nav:  []navEntry{{label: "expenses.nav", icon: "receipt", path: "/expenses", roles: bookkeepers}},
		routes: []route{
			{pattern: "GET " + expenses, serve: expensesList, roles: bookkeepers},
			{pattern: "GET " + expenses + "/stages", serve: expensesStages, roles: bookkeepers},
			{pattern: "GET " + expenses + "/new", serve: expensesNew, roles: bankers},
			{pattern: "POST " + expenses + "/new", serve: expensesCreate, roles: bankers, body: maxAttachmentForm},
			{pattern: "GET " + expenses + "/{expense}", serve: expensesShow, roles: bookkeepers},
			{pattern: "POST " + expenses + "/{expense}/attachments", serve: expensesAttach, roles: bankers, body: maxAttachmentForm},
			{pattern: "GET " + expenses + "/{expense}/attachments/{attachment}", serve: expensesDownload, roles: bookkeepers},
			{pattern: "GET " + expenses + "/{expense}/pay", serve: expensesPayForm, roles: bankers},
			{pattern: "POST " + expenses + "/{expense}/pay", serve: expensesPay, roles: bankers},
			{pattern: "GET " + expenses + "/{expense}/reverse", serve: expensesReverseForm, roles: bankers},
			{pattern: "POST " + expenses + "/{expense}/reverse", serve: expensesReverse, roles: bankers},
		},
	}
}

// expensesPage is what all pages of the section have.
type expensesPage struct {
	Tabs   []tab
	Base   string
	Banker bool
}

func expensesTabs(v *visit, current string) expensesPage {
	p := expensesPage{Base: v.path("/expenses"), Banker: v.can(bankers...)}
	for _, t := range []struct{ label, path string }{{"expenses.list", ""}, {"expenses.stages", "/stages"}} {
		p.Tabs = append(p.Tabs, tab{v.T(t.label), p.Base + t.path, t.path == current})
	}
	return p
}

type expensesRow struct {
	Path, Payee, Document, Day, Amount, State, Tone, Campaign, Remaining string
	// Files is how many attachments it has, in words.
	Files string
	// NoFile marks an expense without one.
	NoFile bool
}

var expensesTones = map[treasuryv1.ExpenseState]string{
	treasuryv1.ExpenseState_EXPENSE_STATE_OWED: "warn",
	treasuryv1.ExpenseState_EXPENSE_STATE_PAID: "good",
}

func expensesView(v *visit, e *treasuryv1.Expense, titles map[string]string) expensesRow {
	row := expensesRow{
		Path: v.path("/expenses/") + lastOf(e.GetName()), Payee: e.GetPayee(), Document: e.GetDocument(), Day: v.Day(e.GetDocumentDate()),
		Amount: v.Money(e.GetAmount()), State: v.T("expenses." + e.GetState().String()), Tone: expensesTones[e.GetState()], Campaign: titles[e.GetCampaign()],
		Files: v.N("expenses.files", int64(len(e.GetAttachments()))), NoFile: len(e.GetAttachments()) == 0,
	}
	if e.GetState() == treasuryv1.ExpenseState_EXPENSE_STATE_OWED && e.GetRemainingAmount().GetAmountMinor() != e.GetAmount().GetAmountMinor() {
		row.Remaining = v.Money(e.GetRemainingAmount())
	}
	return row
}

type expensesListPage struct {
	expensesPage
	Filter   *form
	Expenses []expensesRow
	Pager    pager
}

func expensesList(v *visit) error {
	options, err := campaignOptions(v, v.T("expenses.allCampaigns"))
	if err != nil {
		return err
	}
	p := expensesListPage{expensesPage: expensesTabs(v, ""), Filter: v.queryForm([]field{{Name: "campaign", Label: "expenses.campaign", Kind: "select", Options: options}})}
	list, err := v.treasury().ListExpenses(v.ctx(), &treasuryv1.ListExpensesRequest{Parent: v.collective, PageToken: v.pageToken(), Campaign: p.Filter.Value("campaign")})
	if err != nil {
		return err
	}
	titles, err := campaignTitles(v)
	if err != nil {
		return err
	}
	for _, e := range list.GetExpenses() {
		p.Expenses = append(p.Expenses, expensesView(v, e, titles))
	}
	p.Pager = v.pager(list.GetNextPageToken())
	return v.show("expenses/list", v.T("expenses.listTitle"), p)
}

type expensesShowPage struct {
	expensesPage
	expensesRow
	Kind, Account, Stage, Paid, Reason, Created string
	Owed, CanReverse                            bool
	Attachments                                 []expensesFile
	Lines                                       []link
	Form                                        *form
	File, Photo                                 *fieldView
}

func expenseOf(v *visit) (*treasuryv1.Expense, error) {
	return v.treasury().GetExpense(v.ctx(), &treasuryv1.GetExpenseRequest{Name: v.collective + "/expenses/" + v.r.PathValue("expense")})
}

func expensesShow(v *visit) error {
	e, err := expenseOf(v)
	if err != nil {
		return err
	}
	return showExpense(v, e, v.newForm(attachFields))
}

func showExpense(v *visit, e *treasuryv1.Expense, f *form) error {
	campaigns, err := v.allCampaigns()
	if err != nil {
		return err
	}
	zone, err := v.zone()
	if err != nil {
		return err
	}
	titles := map[string]string{}
	p := expensesShowPage{
		expensesPage: expensesTabs(v, "-"), Kind: v.T("expenses." + e.GetKind().String()), Account: e.GetAccount(), Reason: e.GetReverseReason(),
		Created: v.DateTime(e.GetCreateTime().AsTime(), zone), Form: f,
	}
	for _, c := range campaigns {
		titles[c.GetName()] = campaignTitle(v, c)
		if at := slices.IndexFunc(c.GetStages(), func(s *campaignsv1.Stage) bool { return s.GetId() == e.GetStage() }); c.GetName() == e.GetCampaign() && at >= 0 {
			p.Stage = stageTitle(v, c.GetStages()[at])
		}
	}
	p.expensesRow = expensesView(v, e, titles)
	if e.GetState() == treasuryv1.ExpenseState_EXPENSE_STATE_PAID {
		p.Paid = v.T("expenses."+e.GetSource().String(), "day", v.Day(e.GetPayDate()))
	}
	p.Owed = p.Banker && e.GetState() == treasuryv1.ExpenseState_EXPENSE_STATE_OWED
	p.CanReverse = p.Banker && e.GetState() != treasuryv1.ExpenseState_EXPENSE_STATE_REVERSED
	for _, a := range e.GetAttachments() {
		p.Attachments = append(p.Attachments, expensesFile{
			Path: p.Path + "/attachments/" + lastOf(a.GetName()), Kind: v.T("expenses.type-" + lastOf(a.GetContentType())),
			Size: v.T("expenses.kilobytes", "n", v.Number(int64(a.GetSizeBytes()+1023)/1024)), Added: v.DateTime(a.GetCreateTime().AsTime(), zone), Hash: a.GetSha256(),
		})
	}
	for _, l := range e.GetBankLines() {
		p.Lines = append(p.Lines, link{v.path("/bank/lines/") + lastOf(l), v.T("expenses.bankLine")})
	}
	if p.File, err = f.Field("file"); err != nil {
		return err
	}
	if p.Photo, err = f.Field("photo"); err != nil {
		return err
	}
	title := v.T("expenses.showTitle", "payee", e.GetPayee(), "amount", v.Money(e.GetAmount()))
	if f.failed() {
		return v.refuse("expenses/show", title, p)
	}
	return v.show("expenses/show", title, p)
}
