package console

import (
	"net/http"
	"strconv"

	"github.com/cagnotte/cagnotte/gateway/text"
	ledgerv1 "github.com/cagnotte/cagnotte/proto/cagnotte/ledger/v1"
)

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
	titles, err := campaignTitles(v)
	if err != nil {
		return nil, err
	}
	var entries, targets []option
	for _, i := range movable(t, accounts.GetAccounts()) {
		e := t.GetEntries()[i]
		label := e.GetAccount() + " " + text.Apostrophes(e.GetAccountDisplayName()) + " · " + v.Money(e.GetAmount())
		entries = append(entries, option{Value: strconv.Itoa(i), Label: label, Hint: titleOf(titles, e.GetCampaign())})
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
		targets = append(targets, option{Value: a.GetCode(), Label: a.GetCode() + " " + text.Apostrophes(a.GetDisplayName())})
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
