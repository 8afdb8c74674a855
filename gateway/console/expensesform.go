package console

import (
	"strings"

	"github.com/cagnotte/cagnotte/gateway/text"
	bankv1 "github.com/cagnotte/cagnotte/proto/cagnotte/bank/v1"
	campaignsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
	ledgerv1 "github.com/cagnotte/cagnotte/proto/cagnotte/ledger/v1"
	moneyv1 "github.com/cagnotte/cagnotte/proto/cagnotte/money/v1"
	treasuryv1 "github.com/cagnotte/cagnotte/proto/cagnotte/treasury/v1"
)

// expensesFields ask for an expense. A stage is chosen together with its campaign, as "campaign stage".
func expensesFields(v *visit) ([]field, error) {
	campaigns, err := v.allCampaigns()
	if err != nil {
		return nil, err
	}
	purposes := []option{{Value: "", Label: v.T("expenses.noCampaign")}}
	for _, c := range campaigns {
		if c.GetState() == campaignsv1.CampaignState_CAMPAIGN_STATE_DRAFT {
			continue
		}
		title := campaignTitle(v, c)
		purposes = append(purposes, option{Value: c.GetName(), Label: title})
		for _, s := range c.GetStages() {
			purposes = append(purposes, option{Value: c.GetName() + " " + s.GetId(), Label: title + " · " + stageTitle(v, s)})
		}
	}
	kinds := []option{
		{Value: "1", Label: v.T("expenses.EXPENSE_KIND_LAWYER")},
		{Value: "2", Label: v.T("expenses.EXPENSE_KIND_LITIGATION")},
	}
	accounts, err := ledgerv1.NewLedgerServiceClient(v.Conn).ListAccounts(v.ctx(), &ledgerv1.ListAccountsRequest{Parent: booksOf(v)})
	// A collective without a booking has no book yet, and no accounts to choose from.
	if err != nil && !isNotFound(err) && reasonOf(err) != "BOOK_MISSING" {
		return nil, err
	}
	for _, a := range accounts.GetAccounts() {
		if a.GetType() == ledgerv1.AccountType_ACCOUNT_TYPE_EXPENSE {
			kinds = append(kinds, option{Value: "3 " + a.GetCode(), Label: a.GetCode() + " " + text.Apostrophes(a.GetDisplayName())})
		}
	}
	return []field{
		{Name: "photo", Label: "expenses.photo", Hint: "expenses.photoHint", Kind: "file", Path: "expense_attachment.photo"},
		{Name: "file", Label: "expenses.file", Hint: "expenses.fileHint", Kind: "file", Accept: attachmentKinds, Path: "expense_attachment"},
		{Name: "payee", Label: "expenses.payee", Hint: "expenses.payeeHint", Required: true, Max: 120, Path: "expense.payee"},
		{Name: "document", Label: "expenses.document", Hint: "expenses.documentHint", Required: true, Max: 100, Path: "expense.document"},
		{Name: "document_date", Label: "expenses.documentDate", Kind: "day", Required: true, Path: "expense.document_date"},
		{Name: "amount", Label: "expenses.amount", Hint: "expenses.amountHint", Kind: "money", Suffix: currencySymbol(v), Required: true, Path: "expense.amount"},
		{Name: "kind", Label: "expenses.kind", Kind: "select", Required: true, Options: kinds, Path: "expense.account"},
		{Name: "purpose", Label: "expenses.purpose", Kind: "select", Options: purposes, Path: "expense.stage"},
		{Name: "paid", Label: "expenses.paid", Kind: "radio", Required: true, Options: []option{
			{Value: "no", Label: v.T("expenses.paidNo"), Hint: v.T("expenses.paidNoHint")},
			{Value: "bank", Label: v.T("expenses.paidBank")},
			{Value: "cash", Label: v.T("expenses.paidCash")},
		}, Path: "expense.source"},
		{Name: "pay_date", Label: "expenses.payDate", Hint: "expenses.payDateHint", Kind: "day", Path: "expense.pay_date"},
	}, nil
}

type expensesNewPage struct {
	expensesPage
	Form *form
	// Fields are those after the files.
	Fields      []*fieldView
	File, Photo *fieldView
}

func showExpenseForm(v *visit, f *form) error {
	p := expensesNewPage{expensesPage: expensesTabs(v, "-"), Form: f}
	for _, d := range f.Fields() {
		switch d.Name {
		case "file":
			p.File = d
		case "photo":
			p.Photo = d
		default:
			p.Fields = append(p.Fields, d)
		}
	}
	if f.failed() {
		return v.refuse("expenses/new", v.T("expenses.newTitle"), p)
	}
	return v.show("expenses/new", v.T("expenses.newTitle"), p)
}

func expensesNew(v *visit) error {
	fields, err := expensesFields(v)
	if err != nil {
		return err
	}
	today, err := v.today()
	if err != nil {
		return err
	}
	f := v.newForm(fields, "kind", "1", "paid", "no", "document_date", today)
	line, err := expensesLine(v)
	if err != nil {
		return err
	}
	if line != nil {
		f.set("document_date", line.GetBookDate())
		f.set("document", v.T("expenses.statementDocument", "day", v.Day(line.GetBookDate())))
		f.set("amount", v.FieldMoney(&moneyv1.Money{
			CurrencyCode: line.GetAmount().GetCurrencyCode(), AmountMinor: -line.GetAmount().GetAmountMinor(),
		}))
	}
	return showExpenseForm(v, f)
}

// expensesLine is the line of the bank that the expense is entered for; nil for none.
func expensesLine(v *visit) (*bankv1.BankLine, error) {
	id := v.r.URL.Query().Get("line")
	if id == "" {
		return nil, nil
	}
	return v.bank().GetBankLine(v.ctx(), &bankv1.GetBankLineRequest{Name: v.collective + "/bankLines/" + id})
}

// expenseSources are what an expense is paid from, by the value of the field.
var expenseSources = map[string]treasuryv1.PaymentSource{
	"bank": treasuryv1.PaymentSource_PAYMENT_SOURCE_BANK, "cash": treasuryv1.PaymentSource_PAYMENT_SOURCE_CASH,
}

func expensesCreate(v *visit) error {
	fields, err := expensesFields(v)
	if err != nil {
		return err
	}
	f, err := v.readForm(fields)
	if err != nil {
		return err
	}
	e := &treasuryv1.Expense{Payee: f.Value("payee"), Document: f.Value("document"), DocumentDate: f.day("document_date")}
	e.Campaign, e.Stage, _ = strings.Cut(f.Value("purpose"), " ")
	e.Amount = f.money("amount", currencyOf(v, e.Campaign))
	switch kind, account, _ := strings.Cut(f.Value("kind"), " "); kind {
	case "1":
		e.Kind = treasuryv1.ExpenseKind_EXPENSE_KIND_LAWYER
	case "2":
		e.Kind = treasuryv1.ExpenseKind_EXPENSE_KIND_LITIGATION
	default:
		e.Kind, e.Account = treasuryv1.ExpenseKind_EXPENSE_KIND_OTHER, account
	}
	if source, paid := expenseSources[f.Value("paid")]; paid {
		e.Source, e.PayDate = source, f.day("pay_date")
		if e.PayDate == "" {
			f.fail("pay_date", v.T("shell.required"))
		}
	}
	if f.failed() {
		return showExpenseForm(v, f)
	}
	// Before anything is booked: an address with a wrong line must not be an error about an expense that is there.
	line, err := expensesLine(v)
	if err != nil {
		return err
	}
	made, err := v.treasury().CreateExpense(v.ctx(), &treasuryv1.CreateExpenseRequest{Parent: v.collective, Expense: e, RequestId: f.RequestID})
	if err != nil {
		if f.refused(v, err) {
			return showExpenseForm(v, f)
		}
		return err
	}
	to := v.path("/expenses/") + lastOf(made.GetName())
	// Who came from a line of the bank goes on there: the line can be matched now.
	if line != nil {
		to = v.path("/bank/lines/") + lastOf(line.GetName())
	}
	// The expense is there; a file that is refused can be attached on its page.
	switch attached, err := attachFiles(v, f, made.GetName()); {
	case err != nil && f.refused(v, err):
		return v.done("expenses.without-file", to)
	case err != nil:
		return err
	case attached == 0:
		return v.done("expenses.no-file", to)
	}
	return v.done("expenses.created", to)
}
