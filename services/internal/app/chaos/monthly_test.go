package chaos_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	donationsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/donations/v1"
	recurringv1 "github.com/cagnotte/cagnotte/proto/cagnotte/recurring/v1"
	"github.com/cagnotte/cagnotte/services/internal/apptest"
	"github.com/cagnotte/cagnotte/services/internal/stripesim"
)

// monthlySteps are the events of monthly donations.
func (h *history) monthlySteps() []step {
	return []step{
		{"somebody gives every month", 4, h.giveMonthly},
		{"somebody elsewhere gives every month", 2, h.giveMonthlyElsewhere},
		{"a month passes", 2, func() { h.advance(31 * 24 * time.Hour) }},
		{"a donor's card or bank account changes", 2, h.changeMethod},
		{"a bank answers a month's debit at once", 2, h.settleMonth},
		{"a member closes a month's invoice", 1, h.closeInvoice},
		{"a donor ends it at Stripe", 1, h.endInPortal},
		{"the collective ends it", 1, h.endMonthly},
	}
}

func (h *history) giveMonthly() {
	if s, ok := h.beginMonthly(); ok {
		switch h.dice.IntN(4) {
		case 0:
			h.must(h.Sim.Pay(s.ID, stripesim.CardOK))
		case 1:
			h.must(h.Sim.PayByDebit(s.ID, h.someIBAN()))
		}
	}
}

// giveMonthlyElsewhere is a monthly donation for which Stripe shows and collects a price in another currency.
func (h *history) giveMonthlyElsewhere() {
	if s, ok := h.beginMonthly(); ok {
		h.must(h.Sim.Localize(s.ID, "gbp", elsewhereRate))
		if h.dice.IntN(4) > 0 {
			h.must(h.Sim.Pay(s.ID, stripesim.CardInternational))
		}
	}
}

// elsewhereRate is the number of pounds for a euro.
const elsewhereRate = 0.8637

// beginMonthly starts a monthly donation that is not paid.
func (h *history) beginMonthly() (page stripesim.Session, open bool) {
	d := &donor{request: &donationsv1.CreateDonationRequest{
		Parent: h.campaign, Donation: &donationsv1.Donation{Amount: apptest.Euros(1_00 + h.dice.Int64N(99_00))}, RequestId: uuid.NewString(),
		Recurrence: donationsv1.Recurrence_RECURRENCE_MONTHLY,
	}}
	h.donors = append(h.donors, d)
	h.ask(d)
	return h.pageOf(d)
}

// someSubscription draws a subscription of the account.
func (h *history) someSubscription() (stripesim.Subscription, bool) {
	all := h.Sim.Subscriptions(h.account)
	if len(all) == 0 {
		return stripesim.Subscription{}, false
	}
	return all[h.dice.IntN(len(all))], true
}

// changeMethod changes the payment method: to a card that is declined, one that works, or a bank account.
func (h *history) changeMethod() {
	if sub, ok := h.someSubscription(); ok {
		var err error
		switch h.dice.IntN(4) {
		case 0:
			err = h.Sim.SetCard(sub.ID, stripesim.CardOK)
		case 1:
			err = h.Sim.SetCard(sub.ID, stripesim.CardInsufficientFunds)
		default:
			err = h.Sim.SetIBAN(sub.ID, h.someIBAN())
		}
		if err != nil {
			h.note("  … not possible: %v", err)
		}
	}
}

// openInvoice draws an open invoice, except that of a first month whose debit is held.
func (h *history) openInvoice() (stripesim.Invoice, bool) {
	began := map[string]bool{}
	for _, sub := range h.Sim.Subscriptions(h.account) {
		began[sub.ID] = !strings.HasPrefix(sub.Status, "incomplete")
	}
	var open []stripesim.Invoice
	for _, inv := range h.Sim.Invoices(h.account) {
		if inv.Status == "open" && began[inv.SubscriptionID] {
			open = append(open, inv)
		}
	}
	if len(open) == 0 {
		return stripesim.Invoice{}, false
	}
	return open[h.dice.IntN(len(open))], true
}

func (h *history) settleMonth() {
	if inv, ok := h.openInvoice(); ok {
		if err := h.Sim.SettleInvoice(inv.ID, h.dice.IntN(3) > 0); err != nil {
			h.note("  … not possible: %v", err)
		}
	}
}

// closeInvoice voids an open invoice, or marks it as uncollectible, perhaps while its debit is at the bank.
func (h *history) closeInvoice() {
	if inv, ok := h.openInvoice(); ok {
		end := []func(string) error{h.Sim.VoidInvoice, h.Sim.GiveInvoiceUp}[h.dice.IntN(2)]
		h.must(end(inv.ID))
	}
}

// firstMonthsUnderWay returns the donations whose first month Stripe still collects: the bank has not answered the debit,
// or Stripe will try it again.
func (h *history) firstMonthsUnderWay() map[string]bool {
	donation, seen, under := map[string]string{}, map[string]bool{}, map[string]bool{}
	for _, s := range h.Sim.Subscriptions(h.account) {
		donation[s.ID] = s.Metadata["recurring_donation"]
	}
	completed := map[string]bool{} // a card that was declined on an open page is tried by the donor
	for _, s := range h.Sim.Sessions(h.account) {
		completed[s.ClientReferenceID] = completed[s.ClientReferenceID] || s.Status == "complete"
	}
	for _, inv := range h.Sim.Invoices(h.account) {
		if id := donation[inv.SubscriptionID]; !seen[inv.SubscriptionID] {
			seen[inv.SubscriptionID] = true
			if inv.Collecting && !inv.Charged && completed[id] {
				under[id] = true
			}
		}
	}
	return under
}

func (h *history) endInPortal() {
	if sub, ok := h.someSubscription(); ok {
		if err := h.Sim.CancelInPortal(sub.ID); err != nil {
			h.note("  … not possible: %v", err)
		}
	}
}

func (h *history) endMonthly() {
	ctx, cancel := context.WithTimeout(apptest.WithKey(h.t.Context(), h.owner), 12*time.Second)
	defer cancel()
	monthly, err := h.monthlyDonations(ctx)
	if err != nil || len(monthly) == 0 {
		return
	}
	r := monthly[h.dice.IntN(len(monthly))]
	_, err = recurringv1.NewRecurringServiceClient(h.rest).CancelRecurringDonation(ctx, &recurringv1.CancelRecurringDonationRequest{
		Name: r.GetName(), AtPeriodEnd: h.dice.IntN(2) == 0,
	})
	h.note("  … %v", err)
}

func (h *history) monthlyDonations(ctx context.Context) ([]*recurringv1.RecurringDonation, error) {
	page, err := recurringv1.NewRecurringServiceClient(h.rest).ListRecurringDonations(ctx, &recurringv1.ListRecurringDonationsRequest{
		Parent: h.campaign, PageSize: 200,
	})
	return page.GetRecurringDonations(), err
}

// month is a monthly donation as Stripe and the program must both have it.
type month struct {
	Status    string
	NextMinor int64
	// Paid has the amounts of the paid months, sorted.
	Paid []int64
}

var monthlyStatus = map[recurringv1.RecurringDonationState]string{
	recurringv1.RecurringDonationState_RECURRING_DONATION_STATE_ACTIVE:   "active",
	recurringv1.RecurringDonationState_RECURRING_DONATION_STATE_PAST_DUE: "past_due",
	recurringv1.RecurringDonationState_RECURRING_DONATION_STATE_CANCELED: "canceled",
}

// compareMonthly checks that the program has each subscription's state, and one donation for each month that was charged.
func (h *history) compareMonthly(ctx context.Context) string {
	want, got := map[string]*month{}, map[string]*month{}
	for _, sub := range h.Sim.Subscriptions(h.account) {
		if strings.HasPrefix(sub.Status, "incomplete") {
			continue // its first month was never paid
		}
		m := &month{Status: sub.Status, NextMinor: sub.AmountMinor}
		for _, invoice := range h.Sim.Invoices(h.account) {
			if invoice.SubscriptionID == sub.ID && invoice.Charged {
				m.Paid = append(m.Paid, invoice.PriceMinor)
			}
		}
		if h.closed && sub.Status == "active" && !sub.CancelAtPeriodEnd {
			return "the campaign is closed, and a monthly donation goes on"
		}
		slices.Sort(m.Paid)
		want[sub.Metadata["recurring_donation"]] = m
	}
	monthly, err := h.monthlyDonations(ctx)
	if err != nil {
		return fmt.Sprintf("the monthly donations cannot be read: %v", err)
	}
	for _, r := range monthly {
		if status, began := monthlyStatus[r.GetState()]; began {
			got[last(r.GetName())] = &month{Status: status, NextMinor: r.GetAmount().GetAmountMinor()}
		}
	}
	donations, err := h.donations(ctx)
	if err != nil {
		return fmt.Sprintf("the donations cannot be read: %v", err)
	}
	for _, d := range donations {
		if m := got[last(d.GetRecurringDonation())]; m != nil && d.GetBookTime() != nil {
			m.Paid = append(m.Paid, d.GetAmount().GetAmountMinor())
		}
	}
	for _, m := range got {
		slices.Sort(m.Paid)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		return "monthly donations (-Stripe +ours):\n" + diff
	}
	return ""
}

// last returns the last segment of a resource name.
func last(name string) string { return name[strings.LastIndexByte(name, '/')+1:] }
