package console

import (
	"cmp"
	"strings"
	"time"

	moneyv1 "github.com/cagnotte/cagnotte/proto/cagnotte/money/v1"
	treasuryv1 "github.com/cagnotte/cagnotte/proto/cagnotte/treasury/v1"
)

// bankClearingRow is something that is to be cleared.
type bankClearingRow struct {
	What, Amount, Since, Age, Document, Path string
	// Old marks what has waited for longer than a month.
	Old bool
}

// bankOldDays is how long something may wait before its age is a warning.
const bankOldDays = 30

func bankClearingView(v *visit, c *treasuryv1.ClearingItem) bankClearingRow {
	row := bankClearingRow{
		What: v.T("bank." + c.GetKind().String()), Amount: v.Money(c.GetAmount()), Since: v.Day(c.GetOpenDate()),
		Age: v.N("bank.days", int64(c.GetAgeDays())), Document: c.GetDocument(), Old: c.GetAgeDays() > bankOldDays,
	}
	switch c.GetKind() {
	case treasuryv1.ClearingKind_CLEARING_KIND_CHEQUE:
		row.Path = v.path("/bank/cheques")
	case treasuryv1.ClearingKind_CLEARING_KIND_EXPENSE:
		row.Path = v.path("/expenses/") + lastOf(c.GetResource())
	case treasuryv1.ClearingKind_CLEARING_KIND_UNKNOWN_RECEIPT:
		row.Path = v.path("/bank/lines/") + lastOf(c.GetResource())
	}
	return row
}

type bankClearingPage struct {
	bankPage
	Items []bankClearingRow
	Pager pager
}

func bankClearing(v *visit) error {
	list, err := v.treasury().ListClearingItems(v.ctx(), &treasuryv1.ListClearingItemsRequest{Parent: v.collective, PageToken: v.pageToken()})
	if err != nil {
		return err
	}
	p := bankClearingPage{bankPage: bankTabs(v, "/clearing"), Pager: v.pager(list.GetNextPageToken())}
	for _, c := range list.GetClearingItems() {
		p.Items = append(p.Items, bankClearingView(v, c))
	}
	return v.show("bank/clearing", v.T("bank.clearingTitle"), p)
}

// bankChequesPage lists the cheques in hand, and makes a deposit of those that are chosen.
type bankChequesPage struct {
	bankPage
	Form *form
	None bool
	// Total is what all of them add up to; empty when they are in several currencies.
	Total string
	More  bool
}

// bankChequesInHand asks for the cheques that wait to be banked, at most one slip.
func bankChequesInHand(v *visit) (cheques []*treasuryv1.ClearingItem, more bool, err error) {
	token := ""
	// Cheques stand among other things that are to be cleared, so a few pages are read.
	for range 5 {
		list, err := v.treasury().ListClearingItems(v.ctx(), &treasuryv1.ListClearingItemsRequest{Parent: v.collective, PageSize: 200, PageToken: token})
		if err != nil {
			return nil, false, err
		}
		for _, c := range list.GetClearingItems() {
			if c.GetKind() == treasuryv1.ClearingKind_CLEARING_KIND_CHEQUE {
				cheques = append(cheques, c)
			}
		}
		if token = list.GetNextPageToken(); token == "" || len(cheques) >= 200 {
			break
		}
	}
	return cheques[:min(len(cheques), 200)], token != "" || len(cheques) > 200, nil
}

func bankDepositFields(v *visit, cheques []*treasuryv1.ClearingItem) []field {
	var options []option
	for _, c := range cheques {
		label := v.Money(c.GetAmount())
		if c.GetDocument() != "" {
			label += " · " + c.GetDocument()
		}
		options = append(options, option{Value: c.GetResource(), Label: label, Hint: v.T("bank.receivedOn", "day", v.Day(c.GetOpenDate()))})
	}
	return []field{
		{Name: "cheques", Label: "bank.chooseCheques", Kind: "checkboxes", Required: true, Options: options, Path: "deposit.cheques"},
		{Name: "bank_date", Label: "bank.bankDate", Kind: "day", Required: true, Path: "deposit.bank_date"},
		{Name: "document", Label: "bank.slipNumber", Hint: "bank.slipHint", Path: "deposit.document", Max: 100},
	}
}

// bankDuplicate is asked for once a deposit was refused because a line seems to show it.
var bankDuplicate = field{Name: "allow_duplicate", Label: "bank.allowDuplicate", Hint: "bank.allowDuplicateHint", Kind: "checkbox", Path: "deposit.allow_duplicate"}

// today is the day that it is where the collective is.
func (v *visit) today() (string, error) {
	zone, err := v.zone()
	if err != nil {
		return "", err
	}
	return v.Now().In(zone).Format(time.DateOnly), nil
}

func bankCheques(v *visit) error {
	cheques, more, err := bankChequesInHand(v)
	if err != nil {
		return err
	}
	today, err := v.today()
	if err != nil {
		return err
	}
	f := v.newForm(bankDepositFields(v, cheques), "bank_date", today)
	for _, c := range cheques {
		f.values.Add("cheques", c.GetResource())
	}
	return bankShowCheques(v, f, cheques, more)
}

func bankShowCheques(v *visit, f *form, cheques []*treasuryv1.ClearingItem, more bool) error {
	p := bankChequesPage{bankPage: bankTabs(v, "/cheques"), Form: f, None: len(cheques) == 0, More: more, Total: bankTotalOf(v, cheques)}
	if f.failed() {
		if p.None {
			// None of what is wrong can be changed here: there is no form.
			f.fields, f.Message = nil, v.T("bank.chequesGone")
		}
		return v.refuse("bank/cheques", v.T("bank.chequesTitle"), p)
	}
	return v.show("bank/cheques", v.T("bank.chequesTitle"), p)
}

// bankTotalOf adds amounts up; empty when they are in several currencies.
func bankTotalOf(v *visit, items []*treasuryv1.ClearingItem) string {
	if len(items) == 0 {
		return ""
	}
	total := &moneyv1.Money{CurrencyCode: items[0].GetAmount().GetCurrencyCode()}
	for _, c := range items {
		if c.GetAmount().GetCurrencyCode() != total.GetCurrencyCode() {
			return ""
		}
		total.AmountMinor += c.GetAmount().GetAmountMinor()
	}
	return v.Money(total)
}

func bankDeposit(v *visit) error {
	cheques, more, err := bankChequesInHand(v)
	if err != nil {
		return err
	}
	f, err := v.readForm(bankDepositFields(v, cheques))
	if err != nil {
		return err
	}
	day := f.day("bank_date")
	if !f.failed() {
		made, err := v.treasury().CreateDeposit(v.ctx(), &treasuryv1.CreateDepositRequest{
			Parent: v.collective, RequestId: f.RequestID, Deposit: &treasuryv1.Deposit{
				Cheques: f.Values("cheques"), BankDate: day, Document: f.Value("document"), AllowDuplicate: f.Checked("allow_duplicate"),
			},
		})
		if err == nil {
			return v.done("bank.deposited", v.path("/bank/deposits/")+lastOf(made.GetName()))
		}
		if !f.refused(v, err) {
			return err
		}
		if reasonOf(err) == "BANK_LINE_BOOKED" {
			f.fields = append(f.fields, bankDuplicate)
		}
	}
	return bankShowCheques(v, f, cheques, more)
}

type bankDepositRow struct{ Path, Day, Total, Document, Count string }

func bankDepositView(v *visit, d *treasuryv1.Deposit) bankDepositRow {
	return bankDepositRow{
		Path: v.path("/bank/deposits/") + lastOf(d.GetName()), Day: v.Day(d.GetBankDate()), Total: v.Money(d.GetTotal()), Document: d.GetDocument(),
		Count: v.N("bank.chequeCount", int64(len(d.GetCheques()))),
	}
}

type bankDepositsPage struct {
	bankPage
	Deposits []bankDepositRow
	Pager    pager
}

func bankDeposits(v *visit) error {
	list, err := v.treasury().ListDeposits(v.ctx(), &treasuryv1.ListDepositsRequest{Parent: v.collective, PageToken: v.pageToken()})
	if err != nil {
		return err
	}
	p := bankDepositsPage{bankPage: bankTabs(v, "/deposits"), Pager: v.pager(list.GetNextPageToken())}
	for _, d := range list.GetDeposits() {
		p.Deposits = append(p.Deposits, bankDepositView(v, d))
	}
	return v.show("bank/deposits", v.T("bank.depositsTitle"), p)
}

// bankSlipPage is a deposit as its slip is printed.
type bankSlipPage struct {
	bankPage
	bankDepositRow
	Holder, Account string
	Cheques         []bankSlipRow
}

type bankSlipRow struct{ Number, Amount, Document, State, Bounce string }

func bankSlip(v *visit) error {
	d, err := v.treasury().GetDeposit(v.ctx(), &treasuryv1.GetDepositRequest{Name: v.collective + "/deposits/" + v.r.PathValue("deposit")})
	if err != nil {
		return err
	}
	group, err := v.settings()
	if err != nil {
		return err
	}
	p := bankSlipPage{
		bankPage: bankTabs(v, "-"), bankDepositRow: bankDepositView(v, d), Account: spacedIBAN(group.GetBankAccount().GetIban()),
		Holder: cmp.Or(group.GetBankAccount().GetHolder(), group.GetDisplayName()),
	}
	for i, c := range d.GetItems() {
		row := bankSlipRow{Number: v.Number(int64(i + 1)), Amount: v.Money(c.GetAmount()), Document: c.GetDocument()}
		switch c.GetState() {
		case treasuryv1.OfflineDonationState_OFFLINE_DONATION_STATE_BANKED:
			campaign := lastOf(bankCampaign(c.GetCheque()))
			row.Bounce = v.path("/bank/cheques/") + campaign + "/" + lastOf(c.GetCheque()) + "/bounce"
		default:
			row.State = v.T("bank." + c.GetState().String())
		}
		p.Cheques = append(p.Cheques, row)
	}
	return v.show("bank/slip", v.T("bank.slipTitle", "day", p.Day), p)
}

var bankBounceFields = []field{{Name: "bounce_date", Label: "bank.bounceDate", Kind: "day", Required: true, Path: "bounce_date"}}

// bankChequeOf reads the cheque that a page is about.
func bankChequeOf(v *visit) (*treasuryv1.OfflineDonation, error) {
	name := v.collective + "/campaigns/" + v.r.PathValue("campaign") + "/offlineDonations/" + v.r.PathValue("cheque")
	return v.treasury().GetOfflineDonation(v.ctx(), &treasuryv1.GetOfflineDonationRequest{Name: name})
}

func bankBounceConfirmation(v *visit, d *treasuryv1.OfflineDonation, f *form) error {
	back := v.path("/bank/deposits")
	if d.GetDeposit() != "" {
		back += "/" + lastOf(d.GetDeposit())
	}
	return v.confirm(v.T("bank.bounceTitle"), confirmation{
		Lead:   v.T("bank.bounceLead", "amount", v.Money(d.GetAmount()), "document", strings.TrimSpace(d.GetDocument()+" "), "day", v.Day(d.GetBankDate())),
		Points: []string{v.T("bank.bouncePoint1"), v.T("bank.bouncePoint2"), v.T("bank.bouncePoint3")},
		Form:   f, Button: v.T("bank.bounce"), Danger: true, Back: back,
	})
}

func bankBounceForm(v *visit) error {
	d, err := bankChequeOf(v)
	if err != nil {
		return err
	}
	today, err := v.today()
	if err != nil {
		return err
	}
	return bankBounceConfirmation(v, d, v.newForm(bankBounceFields, "bounce_date", today))
}

func bankBounce(v *visit) error {
	d, err := bankChequeOf(v)
	if err != nil {
		return err
	}
	f, err := v.readForm(bankBounceFields)
	if err != nil {
		return err
	}
	day := f.day("bounce_date")
	if !f.failed() {
		_, err = v.treasury().BounceCheque(v.ctx(), &treasuryv1.BounceChequeRequest{Name: d.GetName(), RequestId: f.RequestID, BounceDate: day})
		if err == nil {
			return v.done("bank.bounced", v.path("/bank/deposits/")+lastOf(d.GetDeposit()))
		}
		if !f.refused(v, err) {
			return err
		}
	}
	return bankBounceConfirmation(v, d, f)
}
