package console

import (
	"github.com/cagnotte/cagnotte/gateway/text"
	ledgerv1 "github.com/cagnotte/cagnotte/proto/cagnotte/ledger/v1"
	payoutsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/payouts/v1"
)

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
	// Left, Bank and Returned are its transactions in the books.
	Left, Bank, Returned payoutTransaction
	Findings             []findingRow
	Lines                []payoutLineRow
	Pager                pager
}

// payoutTransaction is a transaction of a payout; without a reference it has not happened.
type payoutTransaction struct {
	*text.Words
	Reference string
	// Path leads to it; empty where the books of this collective have no part of it, as when several share a Stripe account.
	Path string
}

func payoutTransactionOf(v *visit, reference string) (payoutTransaction, error) {
	t := payoutTransaction{Words: v.Words, Reference: reference}
	if reference == "" {
		return t, nil
	}
	list, err := v.ledger().ListTransactions(v.ctx(), &ledgerv1.ListTransactionsRequest{Parent: booksOf(v), Reference: reference, PageSize: 1})
	if err != nil && reasonOf(err) != "BOOK_MISSING" {
		return t, err
	}
	if found := list.GetTransactions(); len(found) == 1 {
		t.Path = v.path("/books/journal/") + lastOf(found[0].GetName())
	}
	return t, nil
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
	titles, err := campaignTitles(v)
	if err != nil {
		return err
	}
	p := payoutPage{
		booksPage: booksTabs(v, "-"), payoutRow: payoutView(v, payout), Pager: v.pager(lines.GetNextPageToken()),
	}
	for reference, t := range map[string]*payoutTransaction{
		payout.GetTransaction(): &p.Left, payout.GetBankTransaction(): &p.Bank, payout.GetFailureTransaction(): &p.Returned,
	} {
		if *t, err = payoutTransactionOf(v, reference); err != nil {
			return err
		}
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
