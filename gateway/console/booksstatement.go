package console

import (
	"github.com/cagnotte/cagnotte/gateway/text"
	ledgerv1 "github.com/cagnotte/cagnotte/proto/cagnotte/ledger/v1"
)

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
	Day, Kind, Path, Amount, Balance, Campaign string
	// Origin leads to what is booked; nil where that has no page.
	Origin *link
}

func booksStatement(v *visit) error {
	zone, err := v.zone()
	if err != nil {
		return err
	}
	titles, err := campaignTitles(v)
	if err != nil {
		return err
	}
	p := statementPage{booksPage: booksTabs(v, "-"), Code: v.r.PathValue("account")}
	p.Filter = v.queryForm([]field{
		{Name: "start_date", Label: "books.from", Kind: "day"},
		{Name: "end_date", Label: "books.until", Kind: "day"},
	})
	start, end := p.Filter.day("start_date"), p.Filter.day("end_date")
	if p.Filter.failed() {
		return v.refuse("books/statement", v.T("books.statementTitle", "account", p.Code), p)
	}
	list, err := v.ledger().ListStatementLines(v.ctx(), &ledgerv1.ListStatementLinesRequest{
		Parent: booksOf(v) + "/accounts/" + p.Code, StartTime: dayStart(start, zone), EndTime: dayEnd(end, zone), PageToken: v.pageToken(),
	})
	if err != nil {
		return err
	}
	kind := list.GetAccount().GetType()
	p.Name, p.Pager = text.Apostrophes(list.GetAccount().GetDisplayName()), v.pager(list.GetNextPageToken())
	for _, b := range list.GetAccount().GetBalances() {
		p.Opening = append(p.Opening, v.Money(natural(kind, b)))
	}
	origins := &payoutOrigins{v: v}
	for _, l := range list.GetLines() {
		origin, err := origins.of(l.GetKind(), l.GetReference(), l.GetDonation())
		if err != nil {
			return err
		}
		p.Lines = append(p.Lines, statementRow{
			Day: v.ShortDay(l.GetEffectiveTime().AsTime().In(zone)), Kind: transactionKind(v, l.GetKind()), Origin: origin,
			Path: p.Base + "/journal/" + lastOf(l.GetTransaction()), Amount: v.Money(natural(kind, l.GetAmount())), Balance: v.Money(natural(kind, l.GetBalance())),
			Campaign: titles[l.GetCampaign()],
		})
	}
	return v.show("books/statement", v.T("books.statementTitle", "account", p.Code+" "+p.Name), p)
}
