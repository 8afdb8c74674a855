package chaos_test

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	bankv1 "github.com/cagnotte/cagnotte/proto/cagnotte/bank/v1"
	treasuryv1 "github.com/cagnotte/cagnotte/proto/cagnotte/treasury/v1"
	"github.com/cagnotte/cagnotte/services/internal/apptest"
)

// Short for the proto's.
const (
	lineUnmatched = bankv1.BankLineState_BANK_LINE_STATE_UNMATCHED
	lineSuggested = bankv1.BankLineState_BANK_LINE_STATE_SUGGESTED
	lineMatched   = bankv1.BankLineState_BANK_LINE_STATE_MATCHED
	lineIgnored   = bankv1.BankLineState_BANK_LINE_STATE_IGNORED
)

func isOpen(l *bankv1.BankLine) bool {
	return l.GetState() == lineUnmatched || l.GetState() == lineSuggested
}

// bankLines reads all lines of the program, and notes the donations that it made of some without a member.
func (h *history) bankLines(ctx context.Context) (all []*bankv1.BankLine, err error) {
	req := &bankv1.ListBankLinesRequest{Parent: "collectives/" + h.slug, PageSize: 200}
	for {
		page, err := bankv1.NewBankServiceClient(h.rest).ListBankLines(ctx, req)
		if err != nil {
			return nil, err
		}
		all = append(all, page.GetBankLines()...)
		if req.PageToken = page.GetNextPageToken(); req.PageToken == "" {
			break
		}
	}
	for _, l := range all {
		if l.GetState() == lineMatched && l.GetTarget().GetPledge() != "" && len(h.paper.wants) == 0 {
			if err := h.noteBooked(l); err != nil {
				return nil, err
			}
		}
	}
	return all, nil
}

// noteBooked notes the donation that a line became. Without a member this may happen only if the line has the pledge's
// reference and amount, the pledge has no other donation, and no member unmatched the line before.
func (h *history) noteBooked(l *bankv1.BankLine) error {
	name := l.GetTarget().GetOfflineDonation()
	if slices.ContainsFunc(h.paper.donations, func(g *paperDonation) bool { return g.name == name }) {
		return nil
	}
	p := h.pledgeNamed(l.GetTarget().GetPledge())
	switch {
	case p == nil, l.GetPledge() != p.name, l.GetAmount().GetAmountMinor() != p.minor():
		return fmt.Errorf("%v became a donation by itself", l)
	case h.paper.bank.takenBack[l.GetName()]:
		return fmt.Errorf("%v became a donation again, after a member took that back", l)
	case h.fulfilled(p):
		return fmt.Errorf("%v became a second donation of its pledge", l)
	}
	h.paper.donations = append(h.paper.donations, &paperDonation{name: name, minor: p.minor(), method: byTransfer, state: donationReceived, pledge: p})
	return nil
}

func (h *history) pledgeNamed(name string) *pledge {
	for _, p := range h.paper.pledges {
		if name != "" && p.name == name {
			return p
		}
	}
	return nil
}

// fulfilled reports whether the pledge has a donation.
func (h *history) fulfilled(p *pledge) bool {
	return slices.ContainsFunc(h.paper.donations, func(g *paperDonation) bool { return g.pledge == p && g.counts() })
}

// someLine draws one of the program's lines for which a condition holds.
func (h *history) someLine(is func(*bankv1.BankLine) bool) (*bankv1.BankLine, bool) {
	if !h.answered() {
		return nil, false
	}
	ctx, cancel := context.WithTimeout(apptest.WithKey(h.t.Context(), h.treasurer), 12*time.Second)
	defer cancel()
	lines, err := h.bankLines(ctx)
	if err != nil {
		if !h.unanswered(err) {
			h.t.Errorf("the bank lines cannot be read: %v", err)
		}
		return nil, false
	}
	lines = slices.DeleteFunc(lines, func(l *bankv1.BankLine) bool { return !is(l) })
	if len(lines) == 0 {
		return nil, false
	}
	return lines[h.dice.IntN(len(lines))], true
}

// matchLine matches an open line. If the program has matched it meanwhile, it refuses.
func (h *history) matchLine() {
	l, ok := h.someLine(isOpen)
	if !ok {
		h.transfer()
		h.importStatement()
		if l, ok = h.someLine(isOpen); !ok {
			return
		}
	}
	if h.dice.IntN(6) == 0 {
		req := &bankv1.IgnoreBankLineRequest{Name: l.GetName(), RequestId: uuid.NewString(), Reason: "another's"}
		h.wanted(func(ctx context.Context, client treasuryv1.TreasuryServiceClient) error {
			_, err := bankv1.NewBankServiceClient(h.rest).IgnoreBankLine(ctx, req)
			if err != nil {
				return h.refused("to ignore a line", err, "BANK_LINE_NOT_OPEN")
			}
			return nil
		})
		return
	}
	target, note := h.targetFor(l)
	if target == nil {
		return
	}
	req := &bankv1.MatchBankLineRequest{Name: l.GetName(), RequestId: uuid.NewString(), Target: target}
	h.wanted(func(ctx context.Context, client treasuryv1.TreasuryServiceClient) error {
		matched, err := bankv1.NewBankServiceClient(h.rest).MatchBankLine(ctx, req)
		if err != nil {
			return h.refused("a match", err, "BANK_LINE_NOT_OPEN", "PLEDGE_FULFILLED", "TRANSACTION_MATCHED", "BANK_LINE_DIFFERS")
		}
		note(matched)
		return nil
	})
}

// targetFor draws a target for a line, and returns how it is noted once the program has accepted it; nil for none.
func (h *history) targetFor(l *bankv1.BankLine) (*bankv1.BankLineTarget, func(*bankv1.BankLine)) {
	minor, nothing := l.GetAmount().GetAmountMinor(), func(*bankv1.BankLine) {}
	suggested := l.GetTarget().GetTransaction()
	switch {
	case suggested != "" && h.dice.IntN(3) > 0:
		return &bankv1.BankLineTarget{Target: &bankv1.BankLineTarget_Transaction{Transaction: suggested}}, nothing
	case minor < 0:
		e, ok := h.someInvoice(func(e *invoice) bool { return e.state == invoiceOwed && e.left() >= -minor })
		if !ok {
			return nil, nil
		}
		return &bankv1.BankLineTarget{Target: &bankv1.BankLineTarget_Expense{Expense: e.name}},
			func(l *bankv1.BankLine) {
				if e.lines[l.GetName()] = -minor; e.left() == 0 {
					e.state, e.source = invoicePaid, fromBank
				}
			}
	case h.dice.IntN(3) == 0:
		return &bankv1.BankLineTarget{Target: &bankv1.BankLineTarget_UnknownReceipt{UnknownReceipt: true}},
			func(l *bankv1.BankLine) { h.paper.receipts[l.GetName()] = minor }
	}
	g := &paperDonation{minor: minor, method: byTransfer}
	booked := func(l *bankv1.BankLine) {
		if g.name == "" {
			g.name, g.state = l.GetTarget().GetOfflineDonation(), donationReceived
			h.paper.donations = append(h.paper.donations, g)
		}
	}
	if p := h.pledgeNamed(l.GetPledge()); p != nil && !h.fulfilled(p) {
		g.pledge = p
		return &bankv1.BankLineTarget{Target: &bankv1.BankLineTarget_Pledge{Pledge: p.name}}, booked
	}
	return &bankv1.BankLineTarget{Target: &bankv1.BankLineTarget_Campaign{Campaign: h.campaign}}, booked
}

// unmatchLine unmatches a line, and so reverses what was booked for it.
func (h *history) unmatchLine() {
	settled := func(l *bankv1.BankLine) bool { return !isOpen(l) }
	l, ok := h.someLine(settled)
	if !ok {
		h.matchLine()
		if l, ok = h.someLine(settled); !ok {
			return
		}
	}
	req := &bankv1.UnmatchBankLineRequest{Name: l.GetName(), RequestId: uuid.NewString(), Reason: "another's"}
	h.wanted(func(ctx context.Context, client treasuryv1.TreasuryServiceClient) error {
		if _, err := bankv1.NewBankServiceClient(h.rest).UnmatchBankLine(ctx, req); err != nil {
			return h.refused("to take a match back", err)
		}
		h.paper.bank.takenBack[l.GetName()] = true
		delete(h.paper.receipts, l.GetName())
		target := l.GetTarget()
		for _, g := range h.paper.donations {
			if (target.GetPledge() != "" || target.GetCampaign() != "") && g.name == target.GetOfflineDonation() {
				g.state = donationReversed
			}
		}
		for _, e := range h.paper.invoices {
			if e.name == target.GetExpense() {
				e.state = invoiceOwed
				delete(e.lines, l.GetName())
			}
		}
		return nil
	})
}
