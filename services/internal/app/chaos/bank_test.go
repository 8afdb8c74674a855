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

	treasuryv1 "github.com/cagnotte/cagnotte/proto/cagnotte/treasury/v1"
	"github.com/cagnotte/cagnotte/services/internal/apptest"
)

// bankAccount is the collective's, as the bank has it.
type bankAccount struct {
	// camt: the bank gives its statements as CAMT.053, and else as CSV; never one for the other's days.
	camt  bool
	lines []*bankLine
	// payouts are the lines of Stripe's, and returned those of the ones that came back, by the payout.
	payouts, returned map[string]*bankLine
	// exports is how many statements were made; takenBack are the lines of which a member took a word back, by name.
	exports   int
	takenBack map[string]bool
}

// bankLine is a movement. Its reference is the bank's own, or empty: then others may be like it.
type bankLine struct {
	day             string
	minor           int64
	reference, text string
	pledge          *pledge
	deposit         bool
	// onTime: the books and the bank are of about the same day.
	onTime bool
	// imported: it was in a file that the program has.
	imported bool
}

// iban is the collective's; openingMinor is what it had before everything.
const (
	iban         = "FR1420041010050500013M02606"
	openingMinor = 1234_56
)

// bankSteps are what donors do by their banks, and the treasurer with a statement.
func (h *history) bankSteps() []step {
	return []step{
		{"somebody promises a transfer", 3, h.promise},
		{"somebody transfers money", 4, h.transfer},
		{"a bank statement is imported", 3, h.importStatement},
		{"a bank statement is imported in another form", 1, h.importOtherForm},
		{"the program is killed amid a bank statement", 1, func() { h.killDuring(h.importStatement, 40) }},
		{"the treasurer says what a bank line is", 3, h.explainLine},
		{"the treasurer takes back what a bank line is", 1, h.takeLineBack},
	}
}

// pledge is one that somebody makes, until answered.
type pledge struct {
	request         *treasuryv1.CreatePledgeRequest
	name, reference string
}

func (p *pledge) minor() int64 { return p.request.GetAmount().GetAmountMinor() }

func (h *history) promise() {
	i := slices.IndexFunc(h.paper.pledges, func(p *pledge) bool { return p.name == "" })
	if i < 0 {
		i = len(h.paper.pledges)
		h.paper.pledges = append(h.paper.pledges, &pledge{request: &treasuryv1.CreatePledgeRequest{
			Parent: h.campaign, RequestId: uuid.NewString(), Amount: apptest.Euros(1_00 + h.dice.Int64N(99_00)), Method: byTransfer,
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

// somePledge draws one that its giver was told of.
func (h *history) somePledge() (*pledge, bool) {
	told := slices.DeleteFunc(slices.Clone(h.paper.pledges), func(p *pledge) bool { return p.name == "" })
	if len(told) == 0 {
		return nil, false
	}
	return told[h.dice.IntN(len(told))], true
}

// transfer books some: most givers write their pledge's reference in one way or another, and some give another amount; others
// write nothing, and two of them are alike.
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

// bankBooks books a line today, or on the day that it has unless the bank has booked later ones.
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

// bankTakesPayouts books what Stripe paid, and what went back.
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

// importStatement imports whole days up to some line, again when it is not answered, often twice, and then under
// another request. Statements overlap.
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

// bringStatement imports the lines of some days, and once more as another request.
func (h *history) bringStatement(from, to string, twice bool) {
	f := h.statement(from, to, h.paper.bank.camt)
	h.wanted(f.bring(h))
	if twice {
		f.request.RequestId = uuid.NewString()
		h.wanted(f.bring(h))
	}
}

// bring asks for the import of a file.
func (f *statementFile) bring(h *history) want {
	req := &treasuryv1.ImportBankStatementRequest{
		Parent: f.request.Parent, RequestId: f.request.RequestId, Content: f.request.Content, Format: f.request.Format,
		OpeningBalance: f.request.OpeningBalance, ClosingBalance: f.request.ClosingBalance,
	}
	return func(ctx context.Context, client treasuryv1.TreasuryServiceClient) error {
		done, err := client.ImportBankStatement(ctx, req)
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

// importOtherForm is refused, since the lines of those days came in the bank's own form: each would be there twice. So
// is one that does not add up.
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
		done, err := client.ImportBankStatement(ctx, f.request)
		if err != nil {
			return h.refused("a wrong statement", err, reason)
		}
		h.t.Errorf("a statement was imported that should have been refused (%s): %v", reason, done)
		return nil
	})
}
