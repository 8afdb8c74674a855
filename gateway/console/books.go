package console

import (
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/cagnotte/cagnotte/gateway/text"
	accessv1 "github.com/cagnotte/cagnotte/proto/cagnotte/access/v1"
	ledgerv1 "github.com/cagnotte/cagnotte/proto/cagnotte/ledger/v1"
	moneyv1 "github.com/cagnotte/cagnotte/proto/cagnotte/money/v1"
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
	end := p.Filter.day("end_date")
	if p.Filter.failed() {
		return v.refuse("books/balances", v.T("books.balancesTitle"), p)
	}
	list, err := v.ledger().ListAccounts(v.ctx(), &ledgerv1.ListAccountsRequest{
		Parent: booksOf(v), EndTime: dayEnd(end, zone), Campaign: p.Filter.Value("campaign"),
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
			row := accountRow{Code: a.GetCode(), Name: text.Apostrophes(a.GetDisplayName()), Path: p.Base + "/accounts/" + a.GetCode()}
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
