package console

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"google.golang.org/genproto/googleapis/api/httpbody"
	"google.golang.org/grpc"

	"github.com/cagnotte/cagnotte/gateway/download"
	"github.com/cagnotte/cagnotte/gateway/text"
	bankv1 "github.com/cagnotte/cagnotte/proto/cagnotte/bank/v1"
	campaignsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
	ledgerv1 "github.com/cagnotte/cagnotte/proto/cagnotte/ledger/v1"
	moneyv1 "github.com/cagnotte/cagnotte/proto/cagnotte/money/v1"
	treasuryv1 "github.com/cagnotte/cagnotte/proto/cagnotte/treasury/v1"
)

// maxAttachmentForm holds a file of 8 MiB, and what is around it.
const maxAttachmentForm = 9 << 20

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

// expensesStagesPage tells what each stage of each campaign needs, and what was spent on it.
type expensesStagesPage struct {
	expensesPage
	Campaigns []expensesCampaign
}

type expensesCampaign struct {
	Title, Goal, Spent, Path string
	Stages                   []expensesStage
	// Rest is what was spent on no stage; empty for nothing.
	Rest string
}

type expensesStage struct{ Title, Planned, Spent, Left, Share, Tone string }

func expensesStages(v *visit) error {
	campaigns, err := v.allCampaigns()
	if err != nil {
		return err
	}
	p := expensesStagesPage{expensesPage: expensesTabs(v, "/stages")}
	for _, c := range campaigns {
		shown := expensesCampaign{
			Title: campaignTitle(v, c), Goal: v.Money(c.GetGoal()), Spent: v.Money(zeroOr(c.GetSpent(), c.GetGoal())),
			Path: v.path("/expenses?campaign=") + c.GetName(),
		}
		staged := int64(0)
		for _, s := range c.GetStages() {
			need, spent := s.GetAmount().GetAmountMinor(), s.GetSpent().GetAmountMinor()
			staged += spent
			currency := c.GetGoal().GetCurrencyCode()
			row := expensesStage{
				Title: stageTitle(v, s), Planned: v.Money(&moneyv1.Money{CurrencyCode: currency, AmountMinor: need}),
				Spent: v.Money(&moneyv1.Money{CurrencyCode: currency, AmountMinor: spent}),
				Left:  v.Money(&moneyv1.Money{CurrencyCode: currency, AmountMinor: need - spent}), Share: v.Percent(spent, need),
			}
			if spent > need {
				row.Tone = "warn"
			}
			shown.Stages = append(shown.Stages, row)
		}
		if rest := c.GetSpent().GetAmountMinor() - staged; rest != 0 && len(shown.Stages) > 0 {
			shown.Rest = v.Money(&moneyv1.Money{CurrencyCode: c.GetGoal().GetCurrencyCode(), AmountMinor: rest})
		}
		p.Campaigns = append(p.Campaigns, shown)
	}
	return v.show("expenses/stages", v.T("expenses.stagesTitle"), p)
}

// zeroOr is an amount, or zero of another's currency when it is absent.
func zeroOr(m, like *moneyv1.Money) *moneyv1.Money {
	if m == nil {
		return &moneyv1.Money{CurrencyCode: like.GetCurrencyCode()}
	}
	return m
}

// stageTitle is a stage's title in the reader's language, else in French.
func stageTitle(v *visit, s *campaignsv1.Stage) string {
	for _, lang := range []string{v.Lang, "fr", "en"} {
		if title := s.GetTitles()[lang]; title != "" {
			return title
		}
	}
	return s.GetId()
}

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

// attachmentKinds are the files that a form takes. Phones turn their own kinds of photographs into these.
const attachmentKinds = "image/jpeg,image/png,image/webp,application/pdf"

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

// attachFiles attaches the files of a form to an expense, and returns how many they were. Sent again, it attaches nothing
// twice: each file has an id that is made of the form's.
func attachFiles(v *visit, f *form, expense string) (attached int, err error) {
	for _, name := range []string{"photo", "file"} {
		u, ok := f.file(name)
		if !ok {
			continue
		}
		id := uuid.NewSHA1(uuid.MustParse(f.RequestID), []byte(name)).String()
		if _, err := v.treasury().CreateExpenseAttachment(v.ctx(), &treasuryv1.CreateExpenseAttachmentRequest{
			Parent: expense, RequestId: id, ExpenseAttachment: &treasuryv1.ExpenseAttachment{Content: u.Body},
		}); err != nil {
			return attached, err
		}
		attached++
	}
	return attached, nil
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

type expensesFile struct{ Path, Kind, Size, Added, Hash string }

var attachFields = []field{
	{Name: "photo", Label: "expenses.photo", Hint: "expenses.photoHint", Kind: "file"},
	{Name: "file", Label: "expenses.file", Hint: "expenses.fileHint", Kind: "file", Accept: attachmentKinds, Path: "expense_attachment"},
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

func expensesAttach(v *visit) error {
	e, err := expenseOf(v)
	if err != nil {
		return err
	}
	f, err := v.readForm(attachFields)
	if err != nil {
		return err
	}
	switch attached, err := attachFiles(v, f, e.GetName()); {
	case err != nil:
		if !f.refused(v, err) {
			return err
		}
		// What may be attached is said in the member's language, whatever the service says of the bytes.
		if reasonOf(err) == "ATTACHMENT_TYPE" || reasonOf(err) == "INVALID_FIELD" {
			f.errors = map[string]string{"file": v.T("expenses.wrongFile")}
		}
	case attached == 0:
		f.fail("file", v.T("expenses.noFileChosen"))
	default:
		return v.done("expenses.attached", v.path("/expenses/")+lastOf(e.GetName()))
	}
	if e, err = expenseOf(v); err != nil {
		return err
	}
	return showExpense(v, e, f)
}

// expensesDownload answers a file to save. A browser that opens it all the same lets it run and load nothing.
func expensesDownload(v *visit) error {
	name := v.collective + "/expenses/" + v.r.PathValue("expense") + "/attachments/" + v.r.PathValue("attachment")
	v.w.Header().Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; sandbox")
	return download.Stream(v.w, v.r, func(ctx context.Context) (grpc.ServerStreamingClient[httpbody.HttpBody], error) {
		return v.treasury().DownloadExpenseAttachment(ctx, &treasuryv1.DownloadExpenseAttachmentRequest{Name: name})
	}, v.Logger)
}

func expensePayFields(v *visit) []field {
	return []field{
		{Name: "pay_date", Label: "expenses.payDate", Kind: "day", Required: true, Path: "pay_date"},
		{Name: "source", Label: "expenses.source", Kind: "radio", Required: true, Path: "source", Options: []option{
			{Value: "bank", Label: v.T("expenses.fromBank"), Hint: v.T("expenses.fromBankHint")},
			{Value: "cash", Label: v.T("expenses.fromCash")},
		}},
		{Name: "remaining", Kind: "hidden"},
	}
}

// payConfirmation says how much is paid, and has the form say so too: see expensesPay.
func payConfirmation(v *visit, e *treasuryv1.Expense, f *form) error {
	f.set("remaining", remainingOf(e))
	return v.confirm(v.T("expenses.payTitle"), confirmation{
		Lead:   v.T("expenses.payLead", "amount", v.Money(e.GetRemainingAmount()), "payee", e.GetPayee(), "document", e.GetDocument()),
		Points: []string{v.T("expenses.payPoint1"), v.T("expenses.payPoint2")},
		Form:   f, Button: v.T("expenses.pay"), Back: v.path("/expenses/") + lastOf(e.GetName()),
	})
}

// remainingOf is what is left to be paid, for a field.
func remainingOf(e *treasuryv1.Expense) string {
	return strconv.FormatInt(e.GetRemainingAmount().GetAmountMinor(), 10)
}

// remainingFrom is what a form says is left to be paid; a line of the bank may have paid a part since.
func remainingFrom(f *form, e *treasuryv1.Expense) *moneyv1.Money {
	minor, err := strconv.ParseInt(f.Value("remaining"), 10, 64)
	if err != nil {
		return nil
	}
	return &moneyv1.Money{CurrencyCode: e.GetRemainingAmount().GetCurrencyCode(), AmountMinor: minor}
}

func expensesPayForm(v *visit) error {
	e, err := expenseOf(v)
	if err != nil {
		return err
	}
	today, err := v.today()
	if err != nil {
		return err
	}
	return payConfirmation(v, e, v.newForm(expensePayFields(v), "pay_date", today, "source", "bank"))
}

func expensesPay(v *visit) error {
	e, err := expenseOf(v)
	if err != nil {
		return err
	}
	f, err := v.readForm(expensePayFields(v))
	if err != nil {
		return err
	}
	day := f.day("pay_date")
	if !f.failed() {
		_, err = v.treasury().PayExpense(v.ctx(), &treasuryv1.PayExpenseRequest{
			Name: e.GetName(), RequestId: f.RequestID, PayDate: day, Source: expenseSources[f.Value("source")], ExpectedAmount: remainingFrom(f, e),
		})
		if err == nil {
			return v.done("expenses.paid", v.path("/expenses/")+lastOf(e.GetName()))
		}
		if !f.refused(v, err) {
			return err
		}
		if changed(err) {
			f.Message = v.T("expenses.payChanged")
			if e, err = expenseOf(v); err != nil {
				return err
			}
		}
	}
	return payConfirmation(v, e, f)
}

var expenseReverseFields = []field{{Name: "reason", Label: "expenses.reason", Hint: "bank.noNames", Required: true, Spellcheck: true}}

func reverseConfirmation(v *visit, e *treasuryv1.Expense, f *form) error {
	points := []string{v.T("expenses.reversePoint1"), v.T("expenses.reversePoint2"), v.T("expenses.reversePoint3")}
	if len(e.GetBankLines()) > 0 {
		points = append(points, v.T("expenses.reverseLines"))
	}
	return v.confirm(v.T("expenses.reverseTitle"), confirmation{
		Lead:   v.T("expenses.reverseLead", "amount", v.Money(e.GetAmount()), "payee", e.GetPayee(), "document", e.GetDocument()),
		Points: points, Form: f, Button: v.T("expenses.reverse"), Danger: true, Back: v.path("/expenses/") + lastOf(e.GetName()),
	})
}

func expensesReverseForm(v *visit) error {
	e, err := expenseOf(v)
	if err != nil {
		return err
	}
	return reverseConfirmation(v, e, v.newForm(expenseReverseFields))
}

func expensesReverse(v *visit) error {
	e, err := expenseOf(v)
	if err != nil {
		return err
	}
	f, err := v.readForm(expenseReverseFields)
	if err != nil {
		return err
	}
	if !f.failed() {
		_, err = v.treasury().ReverseExpense(v.ctx(), &treasuryv1.ReverseExpenseRequest{Name: e.GetName(), RequestId: f.RequestID, Reason: f.Value("reason")})
		if err == nil {
			return v.done("expenses.reversed", v.path("/expenses/")+lastOf(e.GetName()))
		}
		if !f.refused(v, err) {
			return err
		}
	}
	return reverseConfirmation(v, e, f)
}
