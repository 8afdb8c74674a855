package chaos_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"

	bankv1 "github.com/cagnotte/cagnotte/proto/cagnotte/bank/v1"
	treasuryv1 "github.com/cagnotte/cagnotte/proto/cagnotte/treasury/v1"
)

// finishPaper repeats all requests until they are answered, and imports the whole bank statement.
func (h *history) finishPaper() {
	h.t.Helper()
	deadline := time.Now().Add(settleTime)
	all := func() {
		for !h.answered() {
			if time.Now().After(deadline) {
				h.t.Fatal("the treasurer is not answered")
			}
			time.Sleep(settlePause)
		}
	}
	all()
	h.bankTakesPayouts()
	if lines := h.paper.bank.lines; len(lines) > 0 {
		h.bringStatement(lines[0].day, lines[len(lines)-1].day, false)
		all()
	}
}

// The accounts of the default chart that offline donations, expenses and bank lines are booked to.
const (
	cash      = "530"
	cheques   = "5112"
	donated   = "75411"
	suppliers = "401"
	lawyer    = "6226"
	court     = "6227"
	unknown   = "4718"
)

// enteredReferences has the prefixes of the references of what the treasurer books.
var enteredReferences = []string{"offline-donation:", "deposit:", "expense:", "expense-payment:", "bank-line:"}

// balances returns the balances of the record, by account.
func (p *paper) balances() map[string]int64 {
	b := map[string]int64{}
	move := func(debit, credit string, minor int64) {
		b[debit] += minor
		b[credit] -= minor
	}
	for _, g := range p.donations {
		switch {
		case !g.counts():
		case g.state == donationBanked || g.method == byTransfer:
			move(bank, donated, g.minor)
		case g.method == byCash:
			move(cash, donated, g.minor)
		case g.method == byCheque:
			move(cheques, donated, g.minor)
		case g.method == byPayeeCheque:
			move(lawyer, donated, g.minor)
		}
	}
	for _, e := range p.invoices {
		if e.state == invoiceReversed {
			continue
		}
		spent := lawyer
		if e.expense.GetKind() == treasuryv1.ExpenseKind_EXPENSE_KIND_LITIGATION {
			spent = court
		}
		move(spent, suppliers, e.left())
		move(spent, cash, e.entered[fromCash])
		move(spent, bank, e.entered[fromBank]+e.fromLines())
	}
	for _, minor := range p.receipts {
		move(bank, unknown, minor)
	}
	return b
}

// spent returns what the campaign has spent.
func (p *paper) spent() (minor int64) {
	for _, e := range p.invoices {
		if e.state != invoiceReversed && e.expense.GetCampaign() != "" {
			minor += e.minor()
		}
	}
	for _, g := range p.donations {
		if g.method == byPayeeCheque && g.counts() {
			minor += g.minor
		}
	}
	return minor
}

// comparePaper checks that each entry is listed once with its present state, and booked to the cent.
func (h *history) comparePaper(ctx context.Context) string {
	// What lines became without a member is noted first.
	if diff := h.compareBank(ctx); diff != "" {
		return diff
	}
	transactions, err := h.transactions(ctx)
	if err != nil {
		return fmt.Sprintf("the books cannot be read: %v", err)
	}
	booked := map[string]int64{}
	for _, tx := range transactions {
		if slices.ContainsFunc(enteredReferences, func(prefix string) bool { return strings.HasPrefix(tx.GetReference(), prefix) }) {
			for _, e := range tx.GetEntries() {
				booked[e.GetAccount()] += e.GetAmount().GetAmountMinor()
			}
		}
	}
	noted := h.paper.balances()
	for _, b := range []map[string]int64{noted, booked} {
		for account, minor := range b {
			if minor == 0 {
				delete(b, account)
			}
		}
	}
	if diff := cmp.Diff(noted, booked); diff != "" {
		return "offline donations (-noted +books):\n" + diff
	}
	if diff := h.comparePaperDonations(ctx); diff != "" {
		return diff
	}
	return h.compareInvoices(ctx)
}

// entered is an entry of the treasurer's as the record and the program must both have it.
type entered struct {
	AmountMinor        int64
	State, How, Pledge string
}

func (h *history) comparePaperDonations(ctx context.Context) string {
	want, got := map[string]entered{}, map[string]entered{}
	for _, g := range h.paper.donations {
		want[g.name] = entered{AmountMinor: g.minor, State: g.state.String(), How: g.method.String()}
		if g.pledge != nil {
			want[g.name] = entered{AmountMinor: g.minor, State: g.state.String(), How: g.method.String(), Pledge: g.pledge.name}
		}
	}
	req := &treasuryv1.ListOfflineDonationsRequest{Parent: h.campaign, PageSize: 200}
	for {
		page, err := treasuryv1.NewTreasuryServiceClient(h.rest).ListOfflineDonations(ctx, req)
		if err != nil {
			return fmt.Sprintf("the donations on paper cannot be read: %v", err)
		}
		for _, g := range page.GetOfflineDonations() {
			got[g.GetName()] = entered{g.GetAmount().GetAmountMinor(), g.GetState().String(), g.GetMethod().String(), g.GetPledge()}
		}
		if req.PageToken = page.GetNextPageToken(); req.PageToken == "" {
			break
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		return "donations on paper (-noted +ours):\n" + diff
	}
	return ""
}

func (h *history) compareInvoices(ctx context.Context) string {
	want, got := map[string]entered{}, map[string]entered{}
	for _, e := range h.paper.invoices {
		want[e.name] = entered{AmountMinor: e.minor(), State: e.state.String()}
		if e.state == invoicePaid {
			want[e.name] = entered{AmountMinor: e.minor(), State: e.state.String(), How: e.source.String()}
		}
	}
	req := &treasuryv1.ListExpensesRequest{Parent: "collectives/" + h.slug, PageSize: 200}
	for {
		page, err := treasuryv1.NewTreasuryServiceClient(h.rest).ListExpenses(ctx, req)
		if err != nil {
			return fmt.Sprintf("the expenses cannot be read: %v", err)
		}
		for _, e := range page.GetExpenses() {
			got[e.GetName()] = entered{AmountMinor: e.GetAmount().GetAmountMinor(), State: e.GetState().String()}
			if e.GetState() == invoicePaid {
				got[e.GetName()] = entered{AmountMinor: e.GetAmount().GetAmountMinor(), State: e.GetState().String(), How: e.GetSource().String()}
			}
		}
		if req.PageToken = page.GetNextPageToken(); req.PageToken == "" {
			break
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		return "expenses (-noted +ours):\n" + diff
	}
	return ""
}

// atBank is a bank line as the bank and the program must both have it.
type atBank struct {
	Day         string
	AmountMinor int64
	Reference   string
	Pledge      string
}

// compareBank checks that each line of the bank exists once, whatever files it was in, that a line with the reference and
// amount of an open pledge is its donation, that payouts are recognised, and that the bank position is right.
func (h *history) compareBank(ctx context.Context) string {
	lines, err := h.bankLines(ctx)
	if err != nil {
		return fmt.Sprintf("the bank lines: %v", err)
	}
	want, got := map[atBank]int{}, map[atBank]int{}
	var atTheBank int64 = openingMinor
	for _, l := range h.paper.bank.lines {
		if !l.imported {
			continue
		}
		atTheBank += l.minor
		line := atBank{Day: l.day, AmountMinor: l.minor, Reference: l.reference}
		if l.pledge != nil {
			line.Pledge = l.pledge.name
		}
		want[line]++
	}
	shown := map[string]bool{}
	var open int64
	for _, l := range lines {
		got[atBank{l.GetBookDate(), l.GetAmount().GetAmountMinor(), l.GetBankReference(), l.GetPledge()}]++
		if transaction := l.GetTarget().GetTransaction(); transaction != "" && l.GetState() == lineMatched {
			if shown[transaction] {
				return transaction + " is shown by two lines of the bank's"
			}
			shown[transaction] = true
		}
		if !isOpen(l) {
			continue
		}
		open += l.GetAmount().GetAmountMinor()
		if p := h.pledgeNamed(l.GetPledge()); p != nil && p.minor() == l.GetAmount().GetAmountMinor() && !h.fulfilled(p) && !h.paper.bank.takenBack[l.GetName()] {
			return fmt.Sprintf("%v names an open pledge, and is no donation", l)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		return "lines of the bank's (-bank +ours):\n" + diff
	}
	if diff := h.compareRecognised(lines); diff != "" {
		return diff
	}
	position, err := bankv1.NewBankServiceClient(h.rest).GetBankPosition(ctx, &bankv1.GetBankPositionRequest{
		Name: "collectives/" + h.slug + "/bankPosition",
	})
	if err != nil {
		return fmt.Sprintf("the position at the bank cannot be read: %v", err)
	}
	if len(lines) > 0 && (position.GetStatementBalance().GetAmountMinor() != atTheBank || position.GetOpenLines().GetAmountMinor() != open) {
		return fmt.Sprintf("the bank has %d, and %d is in open lines; the position is %v", atTheBank, open, position)
	}
	return ""
}

// compareRecognised checks that a payout is recognised if the bank books it in time and no other movement equals it.
func (h *history) compareRecognised(lines []*bankv1.BankLine) string {
	amounts := map[int64]int{}
	for _, l := range h.paper.bank.lines {
		amounts[l.minor]++
	}
	for _, g := range h.paper.donations {
		amounts[g.minor]++
	}
	payouts := h.Sim.Payouts(h.account)
	for _, p := range payouts {
		if h.paper.bank.payouts[p.ID] == nil {
			amounts[p.AmountMinor]++
		}
	}
	for _, p := range payouts {
		line := h.paper.bank.payouts[p.ID]
		if p.Status != "paid" || line == nil || !line.onTime || amounts[p.AmountMinor] > 1 {
			continue
		}
		for _, l := range lines {
			if l.GetBankReference() == line.reference && isOpen(l) && !h.paper.bank.takenBack[l.GetName()] {
				return fmt.Sprintf("%v is not known as %s", l, p.ID)
			}
		}
	}
	return ""
}
