package console

import (
	"time"

	"github.com/cagnotte/cagnotte/gateway/text"
	ledgerv1 "github.com/cagnotte/cagnotte/proto/cagnotte/ledger/v1"
	moneyv1 "github.com/cagnotte/cagnotte/proto/cagnotte/money/v1"
)

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
	// Origin leads to what it books; nil where that has no page.
	Origin  *link
	Entries []entryRow
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
	start, end := p.Filter.day("start_date"), p.Filter.day("end_date")
	if p.Filter.failed() {
		return v.refuse("books/journal", v.T("books.journalTitle"), p)
	}
	list, err := v.ledger().ListTransactions(v.ctx(), &ledgerv1.ListTransactionsRequest{
		Parent: booksOf(v), StartTime: dayStart(start, zone), EndTime: dayEnd(end, zone),
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
	origins := &payoutOrigins{v: v}
	for _, t := range list.GetTransactions() {
		row := transactionView(v, t, zone, nil)
		if row.Origin, err = origins.of(t.GetKind(), t.GetReference(), donationOf(t)); err != nil {
			return err
		}
		p.Transactions = append(p.Transactions, row)
	}
	return v.show("books/journal", v.T("books.journalTitle"), p)
}

// donationOf is the one donation that the entries of a transaction name; empty for none or several.
func donationOf(t *ledgerv1.Transaction) (donation string) {
	for _, e := range t.GetEntries() {
		switch name := e.GetDonation(); {
		case name == "" || name == donation:
		case donation != "":
			return ""
		default:
			donation = name
		}
	}
	return donation
}

func transactionView(v *visit, t *ledgerv1.Transaction, zone *time.Location, titles map[string]string) transactionRow {
	row := transactionRow{
		Day: v.ShortDay(t.GetEffectiveTime().AsTime().In(zone)), Kind: transactionKind(v, t.GetKind()), Reference: t.GetReference(),
		Path: v.path("/books/journal/") + lastOf(t.GetName()),
	}
	for _, e := range t.GetEntries() {
		entry := entryRow{
			Account: e.GetAccount(), Name: text.Apostrophes(e.GetAccountDisplayName()), Path: v.path("/books/accounts/") + e.GetAccount(),
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
	titles, err := campaignTitles(v)
	if err != nil {
		return err
	}
	p := transactionPage{
		booksPage: booksTabs(v, "-"), transactionRow: transactionView(v, t, zone, titles),
		When:     v.DateTime(t.GetEffectiveTime().AsTime(), zone),
		Recorded: v.DateTime(t.GetRecordTime().AsTime(), zone), ExchangeRate: t.GetExchangeRate(),
	}
	origins := &payoutOrigins{v: v}
	if p.Origin, err = origins.of(t.GetKind(), t.GetReference(), donationOf(t)); err != nil {
		return err
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
