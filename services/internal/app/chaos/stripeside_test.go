package chaos_test

import (
	"context"
	"fmt"
	"time"

	campaignsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
	donationsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/donations/v1"
	"github.com/cagnotte/cagnotte/services/internal/stripesim"
)

// stripeSteps are what donors' banks do, and what members do in Stripe's dashboard.
func (h *history) stripeSteps() []step {
	return []step{
		{"somebody pays by debit", 4, h.payByDebit},
		{"a bank answers a debit at once", 2, h.settleDebit},
		{"days pass", 2, func() { h.advance(time.Duration(1+h.dice.IntN(9)) * 24 * time.Hour) }},
		{"fees come at another pace", 5, h.changeFeeDelay},
		{"newer money comes first", 2, h.newerFirst},
		{"a donation is refunded in the dashboard", 3, h.refundInDashboard},
		{"a refund fails", 1, h.failRefund},
		{"Stripe's balance runs low, or not any more", 1, h.turnBalance},
		{"a bank disputes", 3, h.dispute},
		{"a dispute goes on", 3, h.goOnWithDispute},
		{"a card network warns of fraud", 1, h.warn},
		{"a closed page is opened again", 2, h.reopen},
		{"money is paid out by hand", 2, h.payOut},
		{"a payout fails", 1, h.failPayout},
	}
}

// changeFeeDelay lets fees be known at once, soon, or so late that the sync has passed the payment.
func (h *history) changeFeeDelay() {
	h.Sim.SetFeeDelay([]time.Duration{0, 20 * time.Second, 3 * time.Hour, 40 * time.Hour}[h.dice.IntN(4)])
}

// newerFirst makes a balance transaction visible long after that of a later donation.
func (h *history) newerFirst() {
	h.Sim.SetFeeDelay(40 * time.Hour)
	h.give()
	h.pay()
	h.advance(time.Duration(1+h.dice.IntN(20)) * time.Hour)
	h.Sim.SetFeeDelay(0)
	h.give()
	h.pay()
	h.breathe()
}

// ibans are the accounts of donors, whose banks answer debits differently.
var ibans = []stripesim.IBAN{
	stripesim.IBANPaid, stripesim.IBANPaidLate, stripesim.IBANRefused, stripesim.IBANRefusedLate, stripesim.IBANNoFunds,
	stripesim.IBANDisputed,
}

func (h *history) someIBAN() stripesim.IBAN { return ibans[h.dice.IntN(len(ibans))] }

func (h *history) payByDebit() {
	if s, ok := h.somePage(); ok {
		if err := h.Sim.PayByDebit(s.ID, h.someIBAN()); err != nil {
			h.note("  … not in pounds: %v", err)
		}
	}
}

// reopen opens the page of an expired donation again, which may be refused.
func (h *history) reopen() {
	if len(h.donors) == 0 {
		return
	}
	d := h.donors[h.dice.IntN(len(h.donors))]
	if d.donation == "" {
		return
	}
	ctx, cancel := context.WithTimeout(h.t.Context(), 12*time.Second)
	defer cancel()
	answer, err := donationsv1.NewDonationsServiceClient(h.rest).ReopenDonation(ctx, &donationsv1.ReopenDonationRequest{Name: d.donation})
	if err != nil {
		h.note("  … not possible: %v", err)
		return
	}
	url := answer.GetCheckoutUrl()
	if url == "" {
		return
	}
	d.page = url
	if told, open := h.pageOf(d); open {
		d.session = told.ID
		if h.dice.IntN(3) > 0 {
			h.must(h.Sim.Pay(told.ID, stripesim.CardOK))
		}
	}
}

// turnConnection disconnects the collective's account, or connects it again.
func (h *history) turnConnection() {
	h.disconnected, h.wasDisconnected = !h.disconnected, true
	if h.disconnected {
		h.must(h.Sim.Deauthorize(h.account))
	} else {
		h.must(h.Sim.Authorize(h.account))
	}
}

// settleDebit makes a bank answer a pending debit, if there is one.
func (h *history) settleDebit() {
	for _, s := range h.Sim.Sessions(h.account) {
		if s.Status == "complete" && s.PaymentStatus == "unpaid" {
			_ = h.Sim.SettleDebit(s.ID, h.dice.IntN(3) > 0) // an error means that the bank has answered already
			return
		}
	}
}

// someCharge draws a charge that was paid.
func (h *history) someCharge() (id string, amountMinor int64, ok bool) {
	var paid []stripesim.BalanceTransaction
	for _, b := range h.Sim.BalanceTransactions(h.account) {
		if b.Type == "charge" || b.Type == "payment" {
			paid = append(paid, b)
		}
	}
	if len(paid) == 0 {
		return "", 0, false
	}
	b := paid[h.dice.IntN(len(paid))]
	return b.SourceID, b.AmountMinor, true
}

// refundInDashboard refunds a charge at Stripe, which refuses if more would go back than was paid.
func (h *history) refundInDashboard() {
	if charge, amount, ok := h.someCharge(); ok {
		part := int64(0)
		if h.dice.IntN(2) == 0 {
			part = 1 + h.dice.Int64N(amount)
		}
		if _, err := h.Sim.Refund(charge, part); err != nil {
			h.note("  … refused: %v", err)
		}
	}
}

func (h *history) failRefund() {
	if refunds := h.Sim.Refunds(h.account); len(refunds) > 0 {
		if err := h.Sim.FailRefund(refunds[h.dice.IntN(len(refunds))].ID, "expired_or_canceled_card"); err != nil {
			h.note("  … not any more: %v", err)
		}
	}
}

func (h *history) turnBalance() {
	h.lowBalance = !h.lowBalance
	h.must(h.Sim.SetLowBalance(h.account, h.lowBalance))
}

func (h *history) dispute() {
	charge, amount, ok := h.someCharge()
	if !ok {
		return
	}
	how := stripesim.Disputed{Inquiry: h.dice.IntN(4) == 0}
	how.Prevented = !how.Inquiry && h.dice.IntN(5) == 0
	if h.dice.IntN(4) == 0 {
		how.AmountMinor = 1 + h.dice.Int64N(amount)
	}
	id, err := h.Sim.Dispute(charge, how)
	if err != nil {
		h.note("  … not possible: %v", err)
		return
	}
	h.disputes = append(h.disputes, id)
}

func (h *history) goOnWithDispute() {
	if len(h.disputes) == 0 {
		return
	}
	id := h.disputes[h.dice.IntN(len(h.disputes))]
	if err := []func() error{
		func() error { return h.Sim.EscalateDispute(id) },
		func() error { return h.Sim.SubmitEvidence(id, "The donor wrote to us.") },
		func() error { return h.Sim.CloseDispute(id, true, h.dice.IntN(2) == 0) },
		func() error { return h.Sim.CloseDispute(id, false, false) },
		func() error { return h.Sim.CloseInquiry(id) },
		func() error { return h.Sim.ReinstateDispute(id) },
	}[h.dice.IntN(6)](); err != nil {
		h.note("  … not possible: %v", err)
	}
}

func (h *history) warn() {
	if charge, _, ok := h.someCharge(); ok {
		_, err := h.Sim.WarnOfFraud(charge, "")
		h.must(err)
	}
}

func (h *history) payOut() {
	if _, err := h.Sim.CreatePayout(h.account, 1+h.dice.Int64N(50_00), "eur"); err != nil {
		h.note("  … refused: %v", err)
	}
}

func (h *history) failPayout() {
	if payouts := h.Sim.Payouts(h.account); len(payouts) > 0 {
		id := payouts[h.dice.IntN(len(payouts))].ID
		err := h.Sim.FailPayout(id, "account_closed")
		if h.dice.IntN(3) == 0 {
			err = h.Sim.CancelPayout(id)
		}
		if err != nil {
			h.note("  … not any more: %v", err)
		}
	}
}

func (h *history) must(err error) {
	if err != nil {
		h.t.Fatal(err)
	}
}

// compareProgress checks that the campaign's settled sum is what donations brought, less refunds and disputes. A donation of
// which more went back than was paid counts as zero.
func (h *history) compareProgress(ctx context.Context) string {
	var want int64
	for _, b := range h.Sim.BalanceTransactions(h.account) {
		switch b.Type {
		case "charge", "payment", "refund", "payment_refund", "refund_failure", "payment_failure_refund", "adjustment":
			want += b.AmountMinor
		}
	}
	c, err := campaignsv1.NewCampaignsServiceClient(h.rest).GetCampaign(ctx, &campaignsv1.GetCampaignRequest{Name: h.campaign})
	if err != nil {
		return fmt.Sprintf("the campaign cannot be read: %v", err)
	}
	for _, g := range h.paper.donations {
		if g.counts() {
			want += g.minor
		}
	}
	donations, err := h.donations(ctx)
	if err != nil {
		return fmt.Sprintf("the donations cannot be read: %v", err)
	}
	for _, d := range donations {
		want += max(0, d.GetAmountRefunded().GetAmountMinor()+d.GetAmountDisputed().GetAmountMinor()-d.GetAmount().GetAmountMinor())
	}
	if got := c.GetProgress().GetSettled().GetAmountMinor(); got != want {
		return fmt.Sprintf("settled is %d, donations brought %d", got, want)
	}
	if got, spent := c.GetSpent().GetAmountMinor(), h.paper.spent(); got != spent {
		return fmt.Sprintf("spent is %d, on paper it is %d", got, spent)
	}
	collected := h.firstMonthsUnderWay()
	var pending int64
	for id := range collected {
		pending += donations[id].GetAmount().GetAmountMinor()
	}
	if got := c.GetProgress().GetPending().GetAmountMinor(); got != pending {
		return fmt.Sprintf("%d are pending after weeks, want %d of first months", got, pending)
	}
	return ""
}
