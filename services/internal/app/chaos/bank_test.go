package chaos_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	bankv1 "github.com/cagnotte/cagnotte/proto/cagnotte/bank/v1"
	treasuryv1 "github.com/cagnotte/cagnotte/proto/cagnotte/treasury/v1"
	"github.com/cagnotte/cagnotte/services/internal/apptest"
)

// bankAccount is the collective's account as the bank has it.
type bankAccount struct {
	// camt means that the bank's statements are CAMT.053, and not CSV. A bank never gives both forms for one day.
	camt  bool
	lines []*bankLine
	// payouts has the lines of Stripe's payouts, and returned those of payouts that came back, by the payout's id.
	payouts, returned map[string]*bankLine
	// exports counts the statements. takenBack has the names of the lines that a member unmatched.
	exports   int
	takenBack map[string]bool
}

// bankLine is a movement. Its reference is unique if it is not empty; without one, two lines may be equal.
type bankLine struct {
	day             string
	minor           int64
	reference, text string
	pledge          *pledge
	deposit         bool
	// onTime means that the bank books it on about the same day as the books.
	onTime bool
	// imported means that the program has a file with it.
	imported bool
}

// iban is the account's number, and openingMinor its balance before the history.
const (
	iban         = "FR1420041010050500013M02606"
	openingMinor = 1234_56
)

// bankSteps are the transfers of donors, and what the treasurer does with bank statements.
func (h *history) bankSteps() []step {
	return []step{
		{"somebody promises a transfer", 3, h.promise},
		{"somebody transfers money", 4, h.transfer},
		{"a bank statement is imported", 3, h.importStatement},
		{"a bank statement is imported in another form", 1, h.importOtherForm},
		{"the program is killed amid a bank statement", 1, func() { h.killDuring(h.importStatement, 40) }},
		{"the treasurer matches a bank line", 3, h.matchLine},
		{"the treasurer unmatches a bank line", 1, h.unmatchLine},
	}
}

// pledge is a pledge that a donor asks for until there is an answer.
type pledge struct {
	request         *treasuryv1.CreatePledgeRequest
	name, reference string
}

func (p *pledge) minor() int64 { return p.request.GetPledge().GetAmount().GetAmountMinor() }

func (h *history) promise() {
	i := slices.IndexFunc(h.paper.pledges, func(p *pledge) bool { return p.name == "" })
	if i < 0 {
		i = len(h.paper.pledges)
		h.paper.pledges = append(h.paper.pledges, &pledge{request: &treasuryv1.CreatePledgeRequest{
			Parent: h.campaign, RequestId: uuid.NewString(), Pledge: &treasuryv1.Pledge{Amount: apptest.Euros(1_00 + h.dice.Int64N(99_00)), Method: byTransfer},
		}})
	}
	p := h.paper.pledges[i]
	ctx, cancel := context.WithTimeout(h.t.Context(), 12*time.Second)
	defer cancel()
	made, err := treasuryv1.NewTreasuryServiceClient(h.rest).CreatePledge(ctx, p.request)
	switch {
	case err == nil:
		p.name, p.reference = made.GetName(), made.GetReference()
	case h.unanswered(err), h.closed && status.Code(err) == codes.FailedPrecondition:
		h.note("  … %v", status.Code(err))
	default:
		h.t.Fatalf("a pledge was refused: %v", err)
	}
}

// somePledge draws a pledge whose donor got an answer.
func (h *history) somePledge() (*pledge, bool) {
	told := slices.DeleteFunc(slices.Clone(h.paper.pledges), func(p *pledge) bool { return p.name == "" })
	if len(told) == 0 {
		return nil, false
	}
	return told[h.dice.IntN(len(told))], true
}

// transfer books up to three transfers. Most have the reference of a pledge in some spelling, some of them with another
// amount. Others have no reference, and two of these may be equal.
func (h *history) transfer() {
	for range 1 + h.dice.IntN(3) {
		h.bankBooks(h.someTransfer())
	}
	if last := h.paper.bank.lines[len(h.paper.bank.lines)-1]; last.reference == "" && h.dice.IntN(3) == 0 {
		alike := *last
		h.bankBooks(&alike)
	}
}

func (h *history) someTransfer() *bankLine {
	l := &bankLine{minor: []int64{10_00, 20_00, 50_00}[h.dice.IntN(3)], text: "VIREMENT RECU PAUL MARTIN"}
	if p, ok := h.somePledge(); ok && h.dice.IntN(5) > 0 {
		written := []string{p.reference, strings.ToLower(strings.ReplaceAll(p.reference, "-", "")), strings.ReplaceAll(p.reference, "-", " ")}
		l.pledge, l.text = p, "VIR JEANNE DUPONT "+written[h.dice.IntN(3)]
		if h.dice.IntN(4) > 0 {
			l.minor = p.minor()
		}
	}
	if h.dice.IntN(2) == 0 {
		l.reference = fmt.Sprintf("B%06d", len(h.paper.bank.lines))
	}
	return l
}

// bankBooks books a line today, or on the line's own day if the bank has booked nothing later.
func (h *history) bankBooks(l *bankLine) {
	booked := l.day == ""
	if booked {
		l.day = h.today()
	}
	last := l.day
	if n := len(h.paper.bank.lines); n > 0 {
		last = max(last, h.paper.bank.lines[n-1].day)
	}
	l.onTime = booked || daysAfter(l.day, last) <= 5
	l.day = last
	h.paper.bank.lines = append(h.paper.bank.lines, l)
}

func daysAfter(from, to string) int {
	a, _ := time.Parse(time.DateOnly, from)
	b, _ := time.Parse(time.DateOnly, to)
	return int(b.Sub(a) / (24 * time.Hour))
}

// bankTakesPayouts books the payouts that arrived, and those that came back.
func (h *history) bankTakesPayouts() {
	bank := &h.paper.bank
	for _, p := range h.Sim.Payouts(h.account) {
		switch {
		case p.Status == "paid" && bank.payouts[p.ID] == nil:
			bank.payouts[p.ID] = &bankLine{
				day: p.ArrivalDate.In(paris).Format(time.DateOnly), minor: p.AmountMinor, text: "STRIPE PAYOUT",
				reference: fmt.Sprintf("B%06d", len(bank.lines)),
			}
			h.bankBooks(bank.payouts[p.ID])
		case p.Status == "failed" && bank.payouts[p.ID] != nil && bank.returned[p.ID] == nil:
			bank.returned[p.ID] = &bankLine{minor: -p.AmountMinor, text: "STRIPE RETURN"}
			h.bankBooks(bank.returned[p.ID])
		}
	}
}

// importStatement imports a statement of whole days, which may overlap with others. It repeats the request until there is
// an answer, and often sends the file again under another request id.
func (h *history) importStatement() {
	if !h.answered() {
		return
	}
	h.bankTakesPayouts()
	lines := h.paper.bank.lines
	if len(lines) == 0 {
		return
	}
	from, to := lines[h.dice.IntN(len(lines))].day, lines[len(lines)-1].day
	if h.dice.IntN(4) == 0 {
		to = lines[h.dice.IntN(len(lines))].day
	}
	h.bringStatement(min(from, to), max(from, to), h.dice.IntN(2) == 0)
}

// bringStatement imports the lines of some days, and sometimes once more under another request id.
func (h *history) bringStatement(from, to string, twice bool) {
	f := h.statement(from, to, h.paper.bank.camt)
	h.wanted(f.bring(h))
	if twice {
		f.request.RequestId = uuid.NewString()
		h.wanted(f.bring(h))
	}
}

// bring sends a file to be imported.
func (f *statementFile) bring(h *history) want {
	req := &bankv1.ImportBankStatementRequest{
		Parent: f.request.Parent, RequestId: f.request.RequestId, Content: f.request.Content, Format: f.request.Format,
		OpeningBalance: f.request.OpeningBalance, ClosingBalance: f.request.ClosingBalance,
	}
	return func(ctx context.Context, client treasuryv1.TreasuryServiceClient) error {
		done, err := bankv1.NewBankServiceClient(h.rest).ImportBankStatement(ctx, req)
		if err != nil {
			return h.refused("a bank statement", err)
		}
		if got := done.GetBankStatements(); len(got) != 1 || got[0].GetLineCount() != int32(len(f.lines)) {
			h.t.Errorf("the statement of %d lines is %v", len(f.lines), got)
		}
		for _, l := range f.lines {
			l.imported = true
		}
		return nil
	}
}

// importOtherForm sends a statement in the other form, which must be refused for days that are imported already: each line
// would exist twice. A statement that does not add up must be refused too.
func (h *history) importOtherForm() {
	if !h.answered() {
		return
	}
	bank := &h.paper.bank
	known := slices.DeleteFunc(slices.Clone(bank.lines), func(l *bankLine) bool { return !l.imported })
	if len(known) == 0 {
		return
	}
	day := known[h.dice.IntN(len(known))].day
	f, reason := h.statement(day, day, !bank.camt), "STATEMENT_FORM_CHANGED"
	if h.dice.IntN(2) == 0 {
		f, reason = h.statement(day, day, bank.camt), "STATEMENT_UNBALANCED"
		if bank.camt {
			f.request.Content = bytes.Replace(f.request.Content, []byte(opening(f.openingMinor)), []byte(opening(f.openingMinor+1)), 1)
		} else {
			f.request.OpeningBalance = apptest.Euros(f.openingMinor + 1)
		}
	}
	h.wanted(func(ctx context.Context, client treasuryv1.TreasuryServiceClient) error {
		done, err := bankv1.NewBankServiceClient(h.rest).ImportBankStatement(ctx, f.request)
		if err != nil {
			return h.refused("a wrong statement", err, reason)
		}
		h.t.Errorf("a statement was imported that should have been refused (%s): %v", reason, done)
		return nil
	})
}
