package console

import (
	bankv1 "github.com/cagnotte/cagnotte/proto/cagnotte/bank/v1"
)

// bankPositionPage compares the books with the bank.
type bankPositionPage struct {
	bankPage
	Book, Statement, Difference, Open, Ignored, Day, OpenWords string
	// Known tells that there is a balance of the bank, and Equal that it is that of the books.
	Known, Equal bool
}

func bankPosition(v *visit) error {
	b, err := v.bank().GetBankPosition(v.ctx(), &bankv1.GetBankPositionRequest{Name: v.collective + "/bankPosition"})
	if err != nil {
		return err
	}
	p := bankPositionPage{
		bankPage: bankTabs(v, "/position"), Book: v.Money(b.GetBookBalance()), Open: signed(v, b.GetOpenLines()), Ignored: signed(v, b.GetIgnoredLines()),
		OpenWords: v.N("bank.openCount", int64(b.GetOpenLineCount())), Known: b.GetStatementBalance() != nil,
	}
	if p.Known {
		p.Statement, p.Difference, p.Day = v.Money(b.GetStatementBalance()), signed(v, b.GetDifference()), v.Day(b.GetStatementDate())
		p.Equal = b.GetDifference().GetAmountMinor() == 0
	}
	return v.show("bank/position", v.T("bank.positionTitle"), p)
}
