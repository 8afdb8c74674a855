package console

import (
	"strings"

	payoutsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/payouts/v1"
)

// bookedBy leads from a transaction to the page of what it books, such as a donation or a payout; nil where there is none. Its
// reference says which, in the form that the service that posted it gives it; donation is one that its entries name.
func bookedBy(v *visit, reference, donation string) *link {
	if donation != "" {
		return &link{v.path("/donations/") + lastOf(donation), v.T("books.toDonation")}
	}
	prefix, id, _ := strings.Cut(reference, ":")
	// A number follows where something is posted several times.
	id, _, _ = strings.Cut(id, ":")
	switch {
	case id == "":
		return nil
	case prefix == "payout":
		return payoutLink(v, strings.TrimSuffix(id, "-returned"))
	case prefix == "offline-donation":
		return &link{v.path("/donations/") + id, v.T("books.toDonation")}
	case prefix == "expense" || prefix == "expense-payment":
		return &link{v.path("/expenses/") + id, v.T("books.toExpense")}
	case prefix == "deposit":
		return &link{v.path("/bank/deposits/") + id, v.T("books.toDeposit")}
	case prefix == "bank-line":
		return &link{v.path("/bank/lines/") + id, v.T("books.toBankLine")}
	}
	return nil
}

func payoutLink(v *visit, id string) *link {
	return &link{v.path("/books/payouts/") + id, v.T("books.toPayout")}
}

// payoutOrigins finds the payouts by Stripe's ids of their transactions, which do not name them. It reads the newest 200, and
// nothing before it is asked: older transactions have no link.
type payoutOrigins struct {
	v     *visit
	known map[string]string
}

func (o *payoutOrigins) of(kind, reference, donation string) (*link, error) {
	if l := bookedBy(o.v, reference, donation); l != nil || kind != "payout" {
		return l, nil
	}
	if o.known == nil {
		list, err := o.v.payouts().ListPayouts(o.v.ctx(), &payoutsv1.ListPayoutsRequest{Parent: o.v.collective, PageSize: 200})
		if err != nil {
			return nil, err
		}
		o.known = map[string]string{}
		for _, p := range list.GetPayouts() {
			for _, reference := range []string{p.GetTransaction(), p.GetFailureTransaction()} {
				o.known[reference] = lastOf(p.GetName())
			}
		}
	}
	if id := o.known[reference]; id != "" {
		return payoutLink(o.v, id), nil
	}
	return nil, nil
}
