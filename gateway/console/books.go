package console

import (
	"encoding/hex"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/cagnotte/cagnotte/gateway/download"
	accessv1 "github.com/cagnotte/cagnotte/proto/cagnotte/access/v1"
	campaignsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
	exportsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/exports/v1"
	ledgerv1 "github.com/cagnotte/cagnotte/proto/cagnotte/ledger/v1"
	moneyv1 "github.com/cagnotte/cagnotte/proto/cagnotte/money/v1"
	payoutsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/payouts/v1"
)

var (
	// bookkeepers read the books, and bookers correct and close them.
	bookkeepers = []accessv1.Role{owner, treasurer, auditor, operator}
	bookers     = []accessv1.Role{owner, treasurer, operator}
)

// booksSection has the books: balances, statements, the journal, payouts, exports, closing and proof.
func booksSection() section {
	const books = "/console/c/{collective}/books"
	return section{
		name: "books",
		nav:  []navEntry{{label: "books.nav", icon: "book", path: "/books", roles: bookkeepers}},
		routes: []route{
			{pattern: "GET " + books, serve: booksBalances, roles: bookkeepers},
			{pattern: "GET " + books + "/new-account", serve: booksAccountForm, roles: bookers},
			{pattern: "POST " + books + "/new-account", serve: booksAccountCreate, roles: bookers},
			{pattern: "GET " + books + "/accounts/{account}", serve: booksStatement, roles: bookkeepers},
			{pattern: "GET " + books + "/journal", serve: booksJournal, roles: bookkeepers},
			{pattern: "GET " + books + "/journal/{transaction}", serve: booksTransaction, roles: bookkeepers},
			{pattern: "GET " + books + "/journal/{transaction}/reverse", serve: booksReverseForm, roles: bookers},
			{pattern: "POST " + books + "/journal/{transaction}/reverse", serve: booksReverse, roles: bookers},
			{pattern: "GET " + books + "/journal/{transaction}/reclassify", serve: booksReclassifyForm, roles: bookers},
			{pattern: "POST " + books + "/journal/{transaction}/reclassify", serve: booksReclassify, roles: bookers},
			{pattern: "GET " + books + "/payouts", serve: booksPayouts, roles: bookkeepers},
			{pattern: "GET " + books + "/payouts/{payout}", serve: booksPayout, roles: bookkeepers},
			{pattern: "GET " + books + "/exports", serve: booksExports, roles: bookkeepers},
			{pattern: "GET " + books + "/export", serve: booksExport, roles: bookkeepers},
			{pattern: "GET " + books + "/closing", serve: booksClosingForm, roles: bookers},
			{pattern: "POST " + books + "/closing", serve: booksClose, roles: bookers},
			{pattern: "GET " + books + "/proof", serve: booksProof, roles: bookkeepers},
		},
	}
}

// booksPage is what all pages of the section have.
type booksPage struct {
	Tabs []tab
	// Base is the address of the section.
	Base string
}

type tab struct {
	Label, Path string
	Current     bool
}

// booksTabs are the section's pages; current is the path of one below the section's.
func booksTabs(v *visit, current string) booksPage {
	p := booksPage{Base: v.path("/books")}
	for _, t := range []struct{ label, path string }{
		{"books.balances", ""},
		{"books.journal", "/journal"},
		{"books.payouts", "/payouts"},
		{"books.exports", "/exports"},
		{"books.closing", "/closing"},
		{"books.proof", "/proof"},
	} {
		if t.path == "/closing" && !v.can(bookers...) {
			continue
		}
		p.Tabs = append(p.Tabs, tab{v.T(t.label), p.Base + t.path, t.path == current})
	}
	return p
}

func (v *visit) ledger() ledgerv1.LedgerServiceClient { return ledgerv1.NewLedgerServiceClient(v.Conn) }

// booksOf is the name of the collective's share of its book.
func booksOf(v *visit) string { return v.collective + "/ledger" }

// campaignOptions are the collective's campaigns for a field; a collective has few.
func campaignOptions(v *visit, none string) ([]option, error) {
	list, err := campaignsv1.NewCampaignsServiceClient(v.Conn).ListCampaigns(v.ctx(), &campaignsv1.ListCampaignsRequest{Parent: v.collective, PageSize: 200})
	if err != nil {
		return nil, err
	}
	options := []option{{Value: "", Label: none}}
	for _, c := range list.GetCampaigns() {
		options = append(options, option{Value: c.GetName(), Label: campaignTitle(v, c)})
	}
	return options, nil
}

// booksTitles are the titles of the collective's campaigns by name, for lists.
func booksTitles(v *visit) (map[string]string, error) {
	options, err := campaignOptions(v, "")
	if err != nil {
		return nil, err
	}
	titles := map[string]string{}
	for _, o := range options {
		titles[o.Value] = o.Label
	}
	return titles, nil
}

// campaignTitle is a campaign's title in the reader's language, else in French, else the last part of its name.
func campaignTitle(v *visit, c *campaignsv1.Campaign) string {
	for _, lang := range []string{v.Lang, "fr", "en"} {
		if title := c.GetTexts()[lang].GetTitle(); title != "" {
			return title
		}
	}
	return lastOf(c.GetName())
}

// lastOf is the last part of a resource's name.
func lastOf(name string) string { return name[strings.LastIndex(name, "/")+1:] }

// dayStart is the first instant of a day in a zone; absent for no day.
func dayStart(day string, zone *time.Location) *timestamppb.Timestamp {
	t, err := time.ParseInLocation(time.DateOnly, day, zone)
	if err != nil {
		return nil
	}
	return timestamppb.New(t)
}

// dayEnd is the first instant after a day in a zone.
func dayEnd(day string, zone *time.Location) *timestamppb.Timestamp {
	t, err := time.ParseInLocation(time.DateOnly, day, zone)
	if err != nil {
		return nil
	}
	return timestamppb.New(t.AddDate(0, 0, 1))
}

// balancesPage lists the accounts by their type.
type balancesPage struct {
	booksPage
	Filter *form
	Groups []accountGroup
	// Empty says that nothing was posted yet.
	Empty bool
	// CanAdd offers to add an account.
	CanAdd bool
}

type accountGroup struct {
	Title    string
	Accounts []accountRow
}

type accountRow struct {
	Code, Name, Path string
	Balances         []string
}

// accountTypes are in the order of a balance sheet.
var accountTypes = []ledgerv1.AccountType{
	ledgerv1.AccountType_ACCOUNT_TYPE_ASSET, ledgerv1.AccountType_ACCOUNT_TYPE_LIABILITY, ledgerv1.AccountType_ACCOUNT_TYPE_EQUITY,
	ledgerv1.AccountType_ACCOUNT_TYPE_INCOME, ledgerv1.AccountType_ACCOUNT_TYPE_EXPENSE,
}

// natural is an amount in the sense of its account: debts, equity and income are positive when they are a credit.
func natural(kind ledgerv1.AccountType, m *moneyv1.Money) *moneyv1.Money {
	switch kind {
	case ledgerv1.AccountType_ACCOUNT_TYPE_LIABILITY, ledgerv1.AccountType_ACCOUNT_TYPE_EQUITY, ledgerv1.AccountType_ACCOUNT_TYPE_INCOME:
		return &moneyv1.Money{CurrencyCode: m.GetCurrencyCode(), AmountMinor: -m.GetAmountMinor()}
	default:
		return m
	}
}

func booksBalances(v *visit) error {
	campaigns, err := campaignOptions(v, v.T("books.allCampaigns"))
	if err != nil {
		return err
	}
	zone, err := v.zone()
	if err != nil {
		return err
	}
	p := balancesPage{booksPage: booksTabs(v, ""), Empty: true, CanAdd: v.can(bookers...)}
	p.Filter = v.queryForm([]field{
		{Name: "end_date", Label: "books.until", Kind: "day"},
		{Name: "campaign", Label: "books.campaign", Kind: "select", Options: campaigns},
	})
	list, err := v.ledger().ListAccounts(v.ctx(), &ledgerv1.ListAccountsRequest{
		Parent: booksOf(v), EndTime: dayEnd(p.Filter.day("end_date"), zone), Campaign: p.Filter.Value("campaign"),
	})
	if err != nil {
		return err
	}
	for _, kind := range accountTypes {
		group := accountGroup{Title: v.T("books." + kind.String())}
		for _, a := range list.GetAccounts() {
			// An account without an entry says nothing here.
			if a.GetType() != kind || len(a.GetBalances()) == 0 {
				continue
			}
			row := accountRow{Code: a.GetCode(), Name: a.GetDisplayName(), Path: p.Base + "/accounts/" + a.GetCode()}
			for _, b := range a.GetBalances() {
				row.Balances = append(row.Balances, v.Money(natural(kind, b)))
			}
			group.Accounts = append(group.Accounts, row)
			p.Empty = false
		}
		if len(group.Accounts) > 0 {
			p.Groups = append(p.Groups, group)
		}
	}
	return v.show("books/balances", v.T("books.balancesTitle"), p)
}

// accountFields are those of a new account.
func accountFields(v *visit) []field {
	types := []option{}
	for _, kind := range accountTypes {
		types = append(types, option{Value: kind.String(), Label: v.T("books." + kind.String())})
	}
	return []field{
		{Name: "account_id", Label: "books.code", Hint: "books.codeHint", Required: true, Max: 32, Mono: true},
		{Name: "display_name", Label: "books.accountName", Required: true, Max: 255, Spellcheck: true},
		{Name: "type", Label: "books.accountType", Hint: "books.accountTypeHint", Kind: "radio", Required: true, Options: types},
	}
}

// accountPage asks for a new account.
type accountPage struct {
	booksPage
	Form *form
}

func booksAccountForm(v *visit) error {
	return v.show("books/account", v.T("books.newAccount"), accountPage{booksTabs(v, "-"), v.newForm(accountFields(v))})
}

func booksAccountCreate(v *visit) error {
	f, err := v.readForm(accountFields(v))
	if err != nil {
		return err
	}
	if !f.failed() {
		// The code is what recognises a repeat.
		made, err := v.ledger().CreateAccount(v.ctx(), &ledgerv1.CreateAccountRequest{
			Parent: booksOf(v), AccountId: f.Value("account_id"),
			Account: &ledgerv1.Account{DisplayName: f.Value("display_name"), Type: ledgerv1.AccountType(ledgerv1.AccountType_value[f.Value("type")])},
		})
		if err == nil {
			return v.done("books.account", v.path("/books/accounts/")+made.GetCode())
		}
		if !f.refused(v, err) {
			return err
		}
	}
	return v.refuse("books/account", v.T("books.newAccount"), accountPage{booksTabs(v, "-"), f})
}

// statementPage lists the entries of an account.
type statementPage struct {
	booksPage
	Code, Name string
	Filter     *form
	// Opening are the balances before the first line.
	Opening []string
	Lines   []statementRow
	Pager   pager
}

type statementRow struct {
	Day, Kind, Reference, Path, Amount, Balance, Campaign string
}

func booksStatement(v *visit) error {
	zone, err := v.zone()
	if err != nil {
		return err
	}
	titles, err := booksTitles(v)
	if err != nil {
		return err
	}
	p := statementPage{booksPage: booksTabs(v, "-"), Code: v.r.PathValue("account")}
	p.Filter = v.queryForm([]field{
		{Name: "start_date", Label: "books.from", Kind: "day"},
		{Name: "end_date", Label: "books.until", Kind: "day"},
	})
	list, err := v.ledger().ListStatementLines(v.ctx(), &ledgerv1.ListStatementLinesRequest{
		Parent: booksOf(v) + "/accounts/" + p.Code, StartTime: dayStart(p.Filter.day("start_date"), zone),
		EndTime: dayEnd(p.Filter.day("end_date"), zone), PageToken: v.pageToken(),
	})
	if err != nil {
		return err
	}
	kind := list.GetAccount().GetType()
	p.Name, p.Pager = list.GetAccount().GetDisplayName(), v.pager(list.GetNextPageToken())
	for _, b := range list.GetAccount().GetBalances() {
		p.Opening = append(p.Opening, v.Money(natural(kind, b)))
	}
	for _, l := range list.GetLines() {
		p.Lines = append(p.Lines, statementRow{
			Day: v.ShortDay(l.GetEffectiveTime().AsTime().In(zone)), Kind: transactionKind(v, l.GetKind()), Reference: l.GetReference(),
			Path: p.Base + "/journal/" + lastOf(l.GetTransaction()), Amount: v.Money(natural(kind, l.GetAmount())), Balance: v.Money(natural(kind, l.GetBalance())),
			Campaign: titles[l.GetCampaign()],
		})
	}
	return v.show("books/statement", v.T("books.statementTitle", "account", p.Code+" "+p.Name), p)
}

// transactionKinds are those that the contract names. It may grow: another one is shown as it is.
var transactionKinds = []string{
	"donation", "refund", "dispute", "payout", "top_up", "fee", "deposit", "expense", "expense_payment", "receipt", "other", "reversal",
	"reclassification",
}

func transactionKind(v *visit, kind string) string {
	if key := "books.kind_" + kind; v.Has(key) {
		return v.T(key)
	}
	return kind
}

// journalPage lists transactions.
type journalPage struct {
	booksPage
	Filter       *form
	Transactions []transactionRow
	Pager        pager
}

type transactionRow struct {
	Day, Kind, Reference, Path string
	Entries                    []entryRow
}

type entryRow struct {
	Account, Name, Path, Debit, Credit, Campaign, Donation string
}

func booksJournal(v *visit) error {
	zone, err := v.zone()
	if err != nil {
		return err
	}
	campaigns, err := campaignOptions(v, v.T("books.allCampaigns"))
	if err != nil {
		return err
	}
	kinds := []option{{Value: "", Label: v.T("books.allKinds")}}
	for _, kind := range transactionKinds {
		kinds = append(kinds, option{Value: kind, Label: transactionKind(v, kind)})
	}
	p := journalPage{booksPage: booksTabs(v, "/journal")}
	p.Filter = v.queryForm([]field{
		{Name: "start_date", Label: "books.from", Kind: "day"},
		{Name: "end_date", Label: "books.until", Kind: "day"},
		{Name: "kind", Label: "books.kind", Kind: "select", Options: kinds},
		{Name: "campaign", Label: "books.campaign", Kind: "select", Options: campaigns},
		{Name: "account", Label: "books.account", Max: 32},
		{Name: "reference", Label: "books.reference", Max: 255},
	})
	list, err := v.ledger().ListTransactions(v.ctx(), &ledgerv1.ListTransactionsRequest{
		Parent: booksOf(v), StartTime: dayStart(p.Filter.day("start_date"), zone), EndTime: dayEnd(p.Filter.day("end_date"), zone),
		Kind: p.Filter.Value("kind"), Campaign: p.Filter.Value("campaign"), Account: p.Filter.Value("account"),
		Reference: p.Filter.Value("reference"), PageToken: v.pageToken(),
	})
	if err != nil {
		// A code or reference that cannot be one is a filter that finds nothing.
		if !p.Filter.refused(v, err) {
			return err
		}
		return v.refuse("books/journal", v.T("books.journalTitle"), p)
	}
	p.Pager = v.pager(list.GetNextPageToken())
	for _, t := range list.GetTransactions() {
		p.Transactions = append(p.Transactions, transactionView(v, t, zone, nil))
	}
	return v.show("books/journal", v.T("books.journalTitle"), p)
}

func transactionView(v *visit, t *ledgerv1.Transaction, zone *time.Location, titles map[string]string) transactionRow {
	row := transactionRow{
		Day: v.ShortDay(t.GetEffectiveTime().AsTime().In(zone)), Kind: transactionKind(v, t.GetKind()), Reference: t.GetReference(),
		Path: v.path("/books/journal/") + lastOf(t.GetName()),
	}
	for _, e := range t.GetEntries() {
		entry := entryRow{
			Account: e.GetAccount(), Name: e.GetAccountDisplayName(), Path: v.path("/books/accounts/") + e.GetAccount(),
			Campaign: titles[e.GetCampaign()], Donation: lastOf(e.GetDonation()),
		}
		// Debit is positive, credit negative; each column shows amounts without a sign.
		amount := &moneyv1.Money{CurrencyCode: e.GetAmount().GetCurrencyCode(), AmountMinor: e.GetAmount().GetAmountMinor()}
		if amount.AmountMinor >= 0 {
			entry.Debit = v.Money(amount)
		} else {
			amount.AmountMinor = -amount.AmountMinor
			entry.Credit = v.Money(amount)
		}
		row.Entries = append(row.Entries, entry)
	}
	return row
}

// transactionPage is one transaction, with what it is linked to.
type transactionPage struct {
	booksPage
	transactionRow
	When, Recorded            string
	ExchangeRate, Original    string
	Reverses, Reclassifies    string
	CanReverse, CanReclassify bool
	// Number is its place in the sealed book; empty until it has one.
	Number string
}

func booksTransaction(v *visit) error {
	t, err := transactionOf(v)
	if err != nil {
		return err
	}
	zone, err := v.zone()
	if err != nil {
		return err
	}
	titles, err := booksTitles(v)
	if err != nil {
		return err
	}
	p := transactionPage{
		booksPage: booksTabs(v, "-"), transactionRow: transactionView(v, t, zone, titles),
		When:     v.DateTime(t.GetEffectiveTime().AsTime(), zone),
		Recorded: v.DateTime(t.GetRecordTime().AsTime(), zone), ExchangeRate: t.GetExchangeRate(),
	}
	if t.GetOriginalAmount() != nil {
		p.Original = v.Money(t.GetOriginalAmount())
	}
	link := func(name string) string {
		if name == "" {
			return ""
		}
		return p.Base + "/journal/" + lastOf(name)
	}
	p.Reverses, p.Reclassifies = link(t.GetReverses()), link(t.GetReclassifies())
	p.CanReverse = v.can(bookers...) && t.GetReclassifies() != ""
	if v.can(bookers...) && t.GetReclassifies() == "" && t.GetReverses() == "" {
		accounts, err := v.ledger().ListAccounts(v.ctx(), &ledgerv1.ListAccountsRequest{Parent: booksOf(v)})
		if err != nil {
			return err
		}
		p.CanReclassify = len(movable(t, accounts.GetAccounts())) > 0
	}
	proof, err := v.ledger().GetInclusionProof(v.ctx(), &ledgerv1.GetInclusionProofRequest{Name: t.GetName() + "/inclusionProof"})
	// A transaction of some seconds ago is not sealed yet; the page does without.
	if err == nil {
		p.Number = v.Number(proof.GetNumber())
	}
	return v.show("books/transaction", v.T("books.transactionTitle", "kind", p.Kind, "day", p.Day), p)
}

func transactionOf(v *visit) (*ledgerv1.Transaction, error) {
	return v.ledger().GetTransaction(v.ctx(), &ledgerv1.GetTransactionRequest{Name: booksOf(v) + "/transactions/" + v.r.PathValue("transaction")})
}

// movable are the places of the entries that may be moved to another account or campaign: those of no donation, on accounts
// of no money. The service decides.
func movable(t *ledgerv1.Transaction, accounts []*ledgerv1.Account) (places []int) {
	holdsMoney := map[string]bool{}
	for _, a := range accounts {
		holdsMoney[a.GetCode()] = a.GetType() == ledgerv1.AccountType_ACCOUNT_TYPE_ASSET
	}
	for i, e := range t.GetEntries() {
		if e.GetDonation() == "" && !holdsMoney[e.GetAccount()] {
			places = append(places, i)
		}
	}
	return places
}

func booksReverseForm(v *visit) error { return booksReversal(v, v.newForm(nil)) }

// booksReversal renders what a reversal does.
func booksReversal(v *visit, f *form) error {
	t, err := transactionOf(v)
	if err != nil {
		return err
	}
	zone, err := v.zone()
	if err != nil {
		return err
	}
	row := transactionView(v, t, zone, nil)
	c := confirmation{
		Lead: v.T("books.reverseLead", "kind", row.Kind, "day", row.Day), Form: f,
		Points: []string{v.T("books.reversePoint1"), v.T("books.reversePoint2"), v.T("books.reversePoint3")},
		Button: v.T("books.reverse"), Back: row.Path,
	}
	return v.confirm(v.T("books.reverseTitle"), c)
}

func booksReverse(v *visit) error {
	f, err := v.readForm(nil)
	if err != nil {
		return err
	}
	name := booksOf(v) + "/transactions/" + v.r.PathValue("transaction")
	made, err := v.ledger().ReverseTransaction(v.ctx(), &ledgerv1.ReverseTransactionRequest{Name: name, RequestId: f.RequestID})
	if err == nil {
		return v.done("books.reversed", v.path("/books/journal/")+lastOf(made.GetName()))
	}
	if !f.refused(v, err) {
		return err
	}
	return booksReversal(v, f)
}

// reclassifyPage asks where to move an amount.
type reclassifyPage struct {
	booksPage
	Form        *form
	Transaction transactionRow
}

// reclassifyFields are those of a reclassification of one transaction.
func reclassifyFields(v *visit, t *ledgerv1.Transaction) ([]field, error) {
	accounts, err := v.ledger().ListAccounts(v.ctx(), &ledgerv1.ListAccountsRequest{Parent: booksOf(v)})
	if err != nil {
		return nil, err
	}
	campaigns, err := campaignOptions(v, v.T("books.noCampaign"))
	if err != nil {
		return nil, err
	}
	var entries, targets []option
	for _, i := range movable(t, accounts.GetAccounts()) {
		e := t.GetEntries()[i]
		label := e.GetAccount() + " " + e.GetAccountDisplayName() + " · " + v.Money(e.GetAmount())
		entries = append(entries, option{Value: strconv.Itoa(i), Label: label, Hint: lastOf(e.GetCampaign())})
	}
	if len(entries) == 0 {
		return nil, errNoPage
	}
	targets = append(targets, option{Value: "", Label: v.T("books.chooseAccount")})
	for _, a := range accounts.GetAccounts() {
		// No money moves, so it goes to no account that holds some.
		if a.GetType() == ledgerv1.AccountType_ACCOUNT_TYPE_ASSET {
			continue
		}
		targets = append(targets, option{Value: a.GetCode(), Label: a.GetCode() + " " + a.GetDisplayName()})
	}
	return []field{
		{Name: "entry", Label: "books.moveEntry", Kind: "radio", Required: true, Options: entries, Path: "from"},
		{Name: "amount", Label: "books.moveAmount", Hint: "books.moveAmountHint", Kind: "money", Path: "from.amount"},
		{Name: "to_account", Label: "books.moveAccount", Hint: "books.moveAccountHint", Kind: "select", Required: true, Options: targets},
		{Name: "to_campaign", Label: "books.moveCampaign", Kind: "select", Options: campaigns},
	}, nil
}

func booksReclassifyForm(v *visit) error {
	t, err := transactionOf(v)
	if err != nil {
		return err
	}
	fields, err := reclassifyFields(v, t)
	if err != nil {
		return err
	}
	return booksReclassification(v, t, v.newForm(fields), http.StatusOK)
}

func booksReclassification(v *visit, t *ledgerv1.Transaction, f *form, code int) error {
	zone, err := v.zone()
	if err != nil {
		return err
	}
	p := reclassifyPage{booksPage: booksTabs(v, "-"), Form: f, Transaction: transactionView(v, t, zone, nil)}
	return v.render(code, "books/reclassify", v.T("books.reclassifyTitle"), p)
}

func booksReclassify(v *visit) error {
	t, err := transactionOf(v)
	if err != nil {
		return err
	}
	fields, err := reclassifyFields(v, t)
	if err != nil {
		return err
	}
	f, err := v.readForm(fields)
	if err != nil {
		return err
	}
	var from *ledgerv1.Entry
	if at, err := strconv.Atoi(f.Value("entry")); err == nil && at >= 0 && at < len(t.GetEntries()) {
		e := t.GetEntries()[at]
		from = &ledgerv1.Entry{Account: e.GetAccount(), Amount: e.GetAmount(), Campaign: e.GetCampaign()}
		// A part is typed without a sign, and has that of the entry.
		if part := f.money("amount", e.GetAmount().GetCurrencyCode()); part != nil {
			if e.GetAmount().GetAmountMinor() < 0 {
				part.AmountMinor = -part.AmountMinor
			}
			from.Amount = part
		}
	}
	if !f.failed() {
		made, err := v.ledger().ReclassifyTransaction(v.ctx(), &ledgerv1.ReclassifyTransactionRequest{
			Name: t.GetName(), RequestId: f.RequestID, From: from, ToAccount: f.Value("to_account"), ToCampaign: f.Value("to_campaign"),
		})
		if err == nil {
			return v.done("books.reclassified", v.path("/books/journal/")+lastOf(made.GetName()))
		}
		if !f.refused(v, err) {
			return err
		}
	}
	return booksReclassification(v, t, f, http.StatusUnprocessableEntity)
}

// payoutsPage lists payouts.
type payoutsPage struct {
	booksPage
	Payouts []payoutRow
	Pager   pager
}

type payoutRow struct {
	ID, Path, Amount, Arrival, State, Tone, Match, MatchTone string
}

func payoutView(v *visit, p *payoutsv1.Payout) payoutRow {
	row := payoutRow{
		ID: lastOf(p.GetName()), Path: v.path("/books/payouts/") + lastOf(p.GetName()), Amount: v.Money(p.GetShareAmount()),
		// The day is at midnight UTC.
		Arrival: v.Date(p.GetArrivalTime().AsTime()), State: v.T("books." + p.GetState().String()),
		Match: v.T("books." + p.GetReconciliation().String()),
	}
	switch p.GetState() {
	case payoutsv1.PayoutState_PAYOUT_STATE_PAID:
		row.Tone = "good"
	case payoutsv1.PayoutState_PAYOUT_STATE_FAILED, payoutsv1.PayoutState_PAYOUT_STATE_CANCELED:
		row.Tone = "bad"
	}
	switch p.GetReconciliation() {
	case payoutsv1.Reconciliation_RECONCILIATION_MATCHED:
		row.MatchTone = "good"
	case payoutsv1.Reconciliation_RECONCILIATION_DIFFERS:
		row.MatchTone = "bad"
	}
	return row
}

func (v *visit) payouts() payoutsv1.PayoutsServiceClient {
	return payoutsv1.NewPayoutsServiceClient(v.Conn)
}

func booksPayouts(v *visit) error {
	list, err := v.payouts().ListPayouts(v.ctx(), &payoutsv1.ListPayoutsRequest{Parent: v.collective, PageToken: v.pageToken()})
	if err != nil {
		return err
	}
	p := payoutsPage{booksPage: booksTabs(v, "/payouts"), Pager: v.pager(list.GetNextPageToken())}
	for _, payout := range list.GetPayouts() {
		p.Payouts = append(p.Payouts, payoutView(v, payout))
	}
	return v.show("books/payouts", v.T("books.payoutsTitle"), p)
}

// payoutPage is one payout with what is in it.
type payoutPage struct {
	booksPage
	payoutRow
	// Whole is the amount at the bank where the collective has a share of it alone.
	Whole string
	// Left, Bank and Returned are the references of its transactions in the books; empty where there is none.
	Left, Bank, Returned string
	Findings             []findingRow
	Lines                []payoutLineRow
	Pager                pager
}

type findingRow struct{ Problem, Reference, Expected, Found string }

type payoutLineRow struct{ Day, Kind, Reference, Campaign, Donation, Gross, Fee, Net string }

func booksPayout(v *visit) error {
	name := v.collective + "/payouts/" + v.r.PathValue("payout")
	payout, err := v.payouts().GetPayout(v.ctx(), &payoutsv1.GetPayoutRequest{Name: name})
	if err != nil {
		return err
	}
	lines, err := v.payouts().ListPayoutLines(v.ctx(), &payoutsv1.ListPayoutLinesRequest{Parent: name, PageSize: 100, PageToken: v.pageToken()})
	if err != nil {
		return err
	}
	zone, err := v.zone()
	if err != nil {
		return err
	}
	titles, err := booksTitles(v)
	if err != nil {
		return err
	}
	p := payoutPage{
		booksPage: booksTabs(v, "-"), payoutRow: payoutView(v, payout), Left: payout.GetTransaction(), Bank: payout.GetBankTransaction(),
		Returned: payout.GetFailureTransaction(), Pager: v.pager(lines.GetNextPageToken()),
	}
	if whole := payout.GetAmount(); whole != nil && whole.GetAmountMinor() != payout.GetShareAmount().GetAmountMinor() {
		p.Whole = v.Money(whole)
	}
	for _, f := range payout.GetFindings() {
		row := findingRow{Problem: v.T("books." + f.GetProblem().String()), Reference: f.GetTransaction()}
		if f.GetExpected() != nil {
			row.Expected = v.Money(f.GetExpected())
		}
		if f.GetFound() != nil {
			row.Found = v.Money(f.GetFound())
		}
		p.Findings = append(p.Findings, row)
	}
	for _, l := range lines.GetLines() {
		row := payoutLineRow{
			Kind: v.T("books." + l.GetKind().String()), Reference: l.GetTransaction(), Campaign: titles[l.GetCampaign()],
			Donation: lastOf(l.GetDonation()), Gross: v.Money(l.GetGross()), Fee: v.Money(l.GetFee()), Net: v.Money(l.GetNet()),
		}
		if l.GetEffectiveTime() != nil {
			row.Day = v.ShortDay(l.GetEffectiveTime().AsTime().In(zone))
		}
		p.Lines = append(p.Lines, row)
	}
	return v.show("books/payout", v.T("books.payoutTitle", "day", p.Arrival), p)
}

// exportFormats are those of ExportLedger, the ones that most people want first.
var exportFormats = []string{"XLSX", "CSV", "PAYOUTS", "FEC", "FEC_NOTICE", "HLEDGER", "BEANCOUNT", "JSONL", "PROOF"}

func exportFields(v *visit) []field {
	var formats []option
	for _, f := range exportFormats {
		formats = append(formats, option{Value: f, Label: v.T("books.format_" + f), Hint: v.T("books.formatHint_" + f)})
	}
	return []field{
		{Name: "format", Label: "books.format", Kind: "radio", Required: true, Options: formats},
		{Name: "start_date", Label: "books.from", Hint: "books.fromHint", Kind: "day"},
		{Name: "end_date", Label: "books.until", Hint: "books.untilHint", Kind: "day"},
		{Name: "siren", Label: "books.siren", Hint: "books.sirenHint", Max: 11, Mono: true},
	}
}

// exportsPage asks what to export.
type exportsPage struct {
	booksPage
	Form *form
	// Years are links that fill in a whole year.
	Years []link
}

func booksExports(v *visit) error {
	f := v.queryForm(exportFields(v))
	if f.Value("format") == "" {
		f.set("format", "XLSX")
	}
	return booksExportPage(v, f)
}

func booksExportPage(v *visit, f *form) error {
	zone, err := v.zone()
	if err != nil {
		return err
	}
	p := exportsPage{booksPage: booksTabs(v, "/exports"), Form: f}
	for year := v.Now().In(zone).Year(); len(p.Years) < 3; year-- {
		query := url.Values{"start_date": {strconv.Itoa(year) + "-01-01"}, "end_date": {strconv.Itoa(year) + "-12-31"}, "format": {f.Value("format")}}
		p.Years = append(p.Years, link{"?" + query.Encode(), strconv.Itoa(year)})
	}
	code := http.StatusOK
	if f.failed() {
		code = http.StatusUnprocessableEntity
	}
	return v.render(code, "books/exports", v.T("books.exportsTitle"), p)
}

// booksExport streams the file. A download that broke off continues by Range and If-Range, as over REST.
func booksExport(v *visit) error {
	f := v.queryForm(exportFields(v))
	request := &exportsv1.ExportLedgerRequest{
		Name: booksOf(v), Format: f.Value("format"), StartDate: f.day("start_date"), EndDate: f.day("end_date"),
		Siren: strings.ReplaceAll(f.Value("siren"), " ", ""), Version: v.r.URL.Query().Get("version"),
	}
	if request.GetFormat() == "PROOF" {
		// It is always of all time.
		request.StartDate, request.EndDate = "", ""
	}
	if !f.failed() {
		err := download.Ledger(v.w, v.r, exportsv1.NewExportsServiceClient(v.Conn), request, v.Logger)
		if err == nil || !f.refused(v, err) {
			return err
		}
	}
	return booksExportPage(v, f)
}

var closingFields = []field{
	{Name: "end_date", Label: "books.closeUntil", Hint: "books.closeUntilHint", Kind: "day", Required: true, Path: "end_time"},
	{Name: "sure", Label: "books.closeSure", Kind: "checkbox", Required: true},
}

// booksClosingForm shows what closing does. It needs a fresh proof.
func booksClosingForm(v *visit) error {
	if !v.fresh() {
		return nil
	}
	zone, err := v.zone()
	if err != nil {
		return err
	}
	// Most people close the month or year that is over.
	now := v.Now().In(zone)
	last := time.Date(now.Year(), now.Month(), 0, 0, 0, 0, 0, zone)
	return booksClosing(v, v.newForm(closingFields, "end_date", last.Format(time.DateOnly)))
}

func booksClosing(v *visit, f *form) error {
	return v.confirm(v.T("books.closingTitle"), confirmation{
		Lead:   v.T("books.closingLead"),
		Points: []string{v.T("books.closingPoint1"), v.T("books.closingPoint2"), v.T("books.closingPoint3"), v.T("books.closingPoint4")},
		Form:   f, Button: v.T("books.close"), Danger: true, Back: v.path("/books"),
	})
}

func booksClose(v *visit) error {
	f, err := v.readForm(closingFields)
	if err != nil {
		return err
	}
	zone, err := v.zone()
	if err != nil {
		return err
	}
	day := f.day("end_date")
	if !f.failed() {
		_, err = v.ledger().ClosePeriod(v.ctx(), &ledgerv1.ClosePeriodRequest{Name: booksOf(v), EndTime: dayEnd(day, zone)})
		if err == nil {
			return v.done("books.closed", v.path("/books?end_date="+day))
		}
		if !f.refused(v, err) {
			return err
		}
	}
	return booksClosing(v, f)
}

// proofPage says what the seal proves.
type proofPage struct {
	booksPage
	// Sealed says that there is a checkpoint.
	Sealed bool
	Size   string
	Signed string
	// Root is the fingerprint, in hexadecimal; Note the signed text, Key what verifies it, Command how.
	Root, Note, Key, Command string
}

func booksProof(v *visit) error {
	p := proofPage{booksPage: booksTabs(v, "/proof")}
	c, err := v.ledger().GetCheckpoint(v.ctx(), &ledgerv1.GetCheckpointRequest{Name: booksOf(v) + "/checkpoint"})
	switch {
	case isNotFound(err):
	case err != nil:
		return err
	default:
		zone, err := v.zone()
		if err != nil {
			return err
		}
		p.Sealed, p.Size, p.Signed = true, v.N("books.sealedCount", c.GetSize()), v.DateTime(c.GetSignTime().AsTime(), zone)
		p.Root, p.Note, p.Key = hex.EncodeToString(c.GetRoot()), c.GetNote(), c.GetVerifierKey()
		p.Command = "cagnotte ledger verify -key " + c.GetVerifierKey() + " -from-export FILE"
	}
	return v.show("books/proof", v.T("books.proofTitle"), p)
}
