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

// monthlySteps are what happens to monthly gifts.
func (h *history) monthlySteps() []step {
	return []step{
		{"somebody gives every month", 4, h.giveMonthly},
		{"a month passes", 2, func() { h.advance(31 * 24 * time.Hour) }},
		{"a donor's card changes", 2, h.changeCard},
		{"a donor ends it at Stripe", 1, h.endInPortal},
		{"the collective ends it", 1, h.endMonthly},
	}
}

func (h *history) giveMonthly() {
	d := &donor{request: &donationsv1.CreateDonationRequest{
		Parent: h.campaign, Amount: apptest.Euros(1_00 + h.dice.Int64N(99_00)), RequestId: uuid.NewString(),
		Recurrence: donationsv1.Recurrence_RECURRENCE_MONTHLY,
	}}
	h.donors = append(h.donors, d)
	h.ask(d)
	if s, ok := h.pageOf(d); ok && h.dice.IntN(2) == 0 {
		if err := h.Sim.Pay(s.ID, stripesim.CardOK); err != nil {
			h.t.Fatalf("pay the first month: %v", err)
		}
	}
}

// someSubscription draws one of the account's.
func (h *history) someSubscription() (stripesim.Subscription, bool) {
	all := h.Sim.Subscriptions(h.account)
	if len(all) == 0 {
		return stripesim.Subscription{}, false
	}
	return all[h.dice.IntN(len(all))], true
}

// changeCard: to one that is refused, or one that is paid.
func (h *history) changeCard() {
	if sub, ok := h.someSubscription(); ok {
		card := []stripesim.Card{stripesim.CardOK, stripesim.CardInsufficientFunds}[h.dice.IntN(2)]
		if err := h.Sim.SetCard(sub.ID, card); err != nil {
			h.note("  … not possible: %v", err)
		}
	}
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
	monthly, err := h.monthlyGifts(ctx)
	if err != nil || len(monthly) == 0 {
		return
	}
	r := monthly[h.dice.IntN(len(monthly))]
	_, err = recurringv1.NewRecurringServiceClient(h.rest).CancelRecurringDonation(ctx, &recurringv1.CancelRecurringDonationRequest{
		Name: r.GetName(), AtPeriodEnd: h.dice.IntN(2) == 0,
	})
	h.note("  … %v", err)
}

func (h *history) monthlyGifts(ctx context.Context) ([]*recurringv1.RecurringDonation, error) {
	page, err := recurringv1.NewRecurringServiceClient(h.rest).ListRecurringDonations(ctx, &recurringv1.ListRecurringDonationsRequest{
		Parent: h.campaign, PageSize: 200,
	})
	return page.GetRecurringDonations(), err
}

// month is a monthly gift as both sides should see it.
type month struct {
	Status    string
	NextMinor int64
	// Paid are the amounts of the months that were, in order of size.
	Paid []int64
}

var monthlyStatus = map[recurringv1.RecurringDonationState]string{
	recurringv1.RecurringDonationState_RECURRING_DONATION_STATE_ACTIVE:   "active",
	recurringv1.RecurringDonationState_RECURRING_DONATION_STATE_PAST_DUE: "past_due",
	recurringv1.RecurringDonationState_RECURRING_DONATION_STATE_CANCELED: "canceled",
}

// compareMonthly: each subscription is known as it is, and each paid invoice is one gift.
func (h *history) compareMonthly(ctx context.Context) string {
	want, got := map[string]*month{}, map[string]*month{}
	for _, sub := range h.Sim.Subscriptions(h.account) {
		if strings.HasPrefix(sub.Status, "incomplete") {
			continue // its first month was never paid
		}
		m := &month{Status: sub.Status, NextMinor: sub.AmountMinor}
		for _, invoice := range h.Sim.Invoices(h.account) {
			if invoice.SubscriptionID == sub.ID && invoice.Status == "paid" {
				m.Paid = append(m.Paid, invoice.AmountMinor)
			}
		}
		if h.closed && sub.Status == "active" && !sub.CancelAtPeriodEnd {
			return "the campaign is closed, and a monthly gift goes on"
		}
		slices.Sort(m.Paid)
		want[sub.Metadata["recurring_donation"]] = m
	}
	monthly, err := h.monthlyGifts(ctx)
	if err != nil {
		return fmt.Sprintf("the monthly gifts cannot be read: %v", err)
	}
	for _, r := range monthly {
		if status, began := monthlyStatus[r.GetState()]; began {
			got[last(r.GetName())] = &month{Status: status, NextMinor: r.GetAmount().GetAmountMinor()}
		}
	}
	gifts, err := h.gifts(ctx)
	if err != nil {
		return fmt.Sprintf("the gifts cannot be read: %v", err)
	}
	for _, d := range gifts {
		if m := got[last(d.GetRecurringDonation())]; m != nil && d.GetBookTime() != nil {
			m.Paid = append(m.Paid, d.GetAmount().GetAmountMinor())
		}
	}
	for _, m := range got {
		slices.Sort(m.Paid)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		return "monthly gifts (-Stripe +ours):\n" + diff
	}
	return ""
}

// last is the last part of a resource name.
func last(name string) string { return name[strings.LastIndexByte(name, '/')+1:] }
