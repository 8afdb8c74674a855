package chaos_test

import (
	"context"
	"fmt"
	"strings"

	"github.com/google/go-cmp/cmp"

	payoutsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/payouts/v1"
)

// The accounts of the default chart that payouts are booked to.
const (
	transit = "580"
	bank    = "51211"
)

// comparePayouts checks that the program has each payout's state, that the contents agree with the books, that the bank
// account has what was paid out and what was entered, and that the transit account has the payouts on their way.
func (h *history) comparePayouts(ctx context.Context) string {
	want, got := map[string]went{}, map[string]went{}
	var onItsWay int64
	atBank := h.paper.balances()[bank]
	for _, p := range h.Sim.Payouts(h.account) {
		want[p.ID] = went{p.AmountMinor, p.Status}
		switch p.Status {
		case "paid":
			atBank += p.AmountMinor
		case "pending", "in_transit":
			onItsWay += p.AmountMinor
		}
	}
	req := &payoutsv1.ListPayoutsRequest{Parent: "collectives/" + h.slug, PageSize: 200}
	for {
		page, err := payoutsv1.NewPayoutsServiceClient(h.rest).ListPayouts(ctx, req)
		if err != nil {
			return fmt.Sprintf("the payouts cannot be read: %v", err)
		}
		for _, p := range page.GetPayouts() {
			status := strings.ToLower(strings.TrimPrefix(p.GetState().String(), "PAYOUT_STATE_"))
			got[last(p.GetName())] = went{p.GetAmount().GetAmountMinor(), status}
			if p.GetReconciliation() == payoutsv1.Reconciliation_RECONCILIATION_DIFFERS {
				return fmt.Sprintf("%s differs from the books", p.GetName())
			}
		}
		if req.PageToken = page.GetNextPageToken(); req.PageToken == "" {
			break
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		return "payouts (-Stripe +ours):\n" + diff
	}
	transactions, err := h.transactions(ctx)
	if err != nil {
		return fmt.Sprintf("the books cannot be read: %v", err)
	}
	balances := map[string]int64{}
	for _, tx := range transactions {
		for _, e := range tx.GetEntries() {
			balances[e.GetAccount()] += e.GetAmount().GetAmountMinor()
		}
	}
	if balances[bank] != atBank || balances[transit] != onItsWay {
		return fmt.Sprintf("the bank has %d and %d are in transit; paid out were %d, and %d are on their way",
			balances[bank], balances[transit], atBank, onItsWay)
	}
	return ""
}
