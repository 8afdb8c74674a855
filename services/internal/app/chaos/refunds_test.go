package chaos_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	disputesv1 "github.com/cagnotte/cagnotte/proto/cagnotte/disputes/v1"
	refundsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/refunds/v1"
	"github.com/cagnotte/cagnotte/services/internal/apptest"
)

// refundSteps are what members do to give money back.
func (h *history) refundSteps() []step {
	return []step{
		{"the treasurer gives a gift back", 4, h.refund},
		{"the treasurer asks again", 2, h.refundAgain},
	}
}

// refund asks for one of a gift that may not be paid, and for more than there may be: a refusal is an answer.
func (h *history) refund() {
	if len(h.donors) == 0 {
		return
	}
	d := h.donors[h.dice.IntN(len(h.donors))]
	if d.gift == "" {
		return
	}
	req := &refundsv1.CreateRefundRequest{
		Parent: d.gift, Reason: refundsv1.RefundReason_REFUND_REASON_REQUESTED_BY_DONOR, RequestId: uuid.NewString(),
	}
	if h.dice.IntN(2) == 0 {
		req.Amount = apptest.Euros(1 + h.dice.Int64N(d.request.GetAmount().GetAmountMinor()))
	}
	h.refunds = append(h.refunds, req)
	h.askRefund(req)
}

func (h *history) refundAgain() {
	if len(h.refunds) > 0 {
		h.askRefund(h.refunds[h.dice.IntN(len(h.refunds))])
	}
}

func (h *history) askRefund(req *refundsv1.CreateRefundRequest) {
	ctx, cancel := context.WithTimeout(apptest.WithKey(h.t.Context(), h.owner), 12*time.Second)
	defer cancel()
	_, err := refundsv1.NewRefundsServiceClient(h.rest).CreateRefund(ctx, req)
	switch {
	case err == nil:
	case unanswered(err), status.Code(err) == codes.FailedPrecondition:
		h.note("  … not now: %v", status.Code(err))
	default:
		h.t.Fatalf("a refund was refused: %v", err)
	}
}

// went is a refund as both sides should see it.
type went struct {
	AmountMinor int64
	Status      string
}

var refundStatus = map[refundsv1.RefundState]string{
	refundsv1.RefundState_REFUND_STATE_PENDING:   "pending",
	refundsv1.RefundState_REFUND_STATE_SUCCEEDED: "succeeded",
	refundsv1.RefundState_REFUND_STATE_FAILED:    "failed",
	refundsv1.RefundState_REFUND_STATE_CANCELED:  "canceled",
}

// compareRefunds: whoever made it, each refund of Stripe's is known as it is there, and none is on its way that
// Stripe has not.
func (h *history) compareRefunds(ctx context.Context) string {
	want, got := map[string]went{}, map[string]went{}
	for _, r := range h.Sim.Refunds(h.account) {
		want[r.ID] = went{r.AmountMinor, r.Status}
	}
	req := &refundsv1.ListRefundsRequest{Parent: "collectives/" + h.slug, PageSize: 200}
	for {
		page, err := refundsv1.NewRefundsServiceClient(h.rest).ListRefunds(ctx, req)
		if err != nil {
			return fmt.Sprintf("the refunds cannot be read: %v", err)
		}
		for _, r := range page.GetRefunds() {
			state, ends := refundStatus[r.GetState()]
			switch {
			case r.GetStripeRefund() != "":
				got[r.GetStripeRefund()] = went{r.GetAmount().GetAmountMinor(), state}
			case !ends || state == "pending" || state == "succeeded":
				return fmt.Sprintf("%s is %s, and Stripe knows of none", r.GetName(), r.GetState())
			}
		}
		if req.PageToken = page.GetNextPageToken(); req.PageToken == "" {
			break
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		return "refunds (-Stripe +ours):\n" + diff
	}
	return ""
}

// compareDisputes: each is known as it is at Stripe.
func (h *history) compareDisputes(ctx context.Context) string {
	want, got := map[string]went{}, map[string]went{}
	for _, d := range h.atStripe("/v1/disputes?limit=100") {
		want[d.ID] = went{d.Amount, d.Status}
	}
	page, err := disputesv1.NewDisputesServiceClient(h.rest).ListDisputes(ctx, &disputesv1.ListDisputesRequest{
		Parent: "collectives/" + h.slug, PageSize: 200,
	})
	if err != nil {
		return fmt.Sprintf("the disputes cannot be read: %v", err)
	}
	for _, d := range page.GetDisputes() {
		got[d.GetName()[len("collectives/"+h.slug+"/disputes/"):]] = went{d.GetAmount().GetAmountMinor(), disputeStatus[d.GetState()]}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		return "disputes (-Stripe +ours):\n" + diff
	}
	return ""
}

// stripeObject is what most of Stripe's objects have.
type stripeObject struct {
	ID, Status string
	Amount     int64
	Paid       int64 `json:"amount_paid"` // of an invoice
}

// atStripe lists objects of the history's account; it has less than a page of each.
func (h *history) atStripe(path string) []stripeObject {
	h.t.Helper()
	req, err := http.NewRequestWithContext(h.t.Context(), http.MethodGet, h.SimURL+path, nil)
	h.must(err)
	req.SetBasicAuth(apptest.APIKey, "")
	req.Header.Set("Stripe-Account", h.account)
	req.Header.Set("Stripe-Version", "2023-10-16")
	resp, err := http.DefaultClient.Do(req)
	h.must(err)
	defer resp.Body.Close()
	var list struct {
		Data    []stripeObject
		HasMore bool `json:"has_more"`
	}
	h.must(json.NewDecoder(resp.Body).Decode(&list))
	if resp.StatusCode != http.StatusOK || list.HasMore {
		h.t.Fatalf("%s: HTTP %d, more: %t", path, resp.StatusCode, list.HasMore)
	}
	return list.Data
}

var disputeStatus = map[disputesv1.DisputeState]string{
	disputesv1.DisputeState_DISPUTE_STATE_INQUIRY_NEEDS_RESPONSE: "warning_needs_response",
	disputesv1.DisputeState_DISPUTE_STATE_INQUIRY_UNDER_REVIEW:   "warning_under_review",
	disputesv1.DisputeState_DISPUTE_STATE_INQUIRY_CLOSED:         "warning_closed",
	disputesv1.DisputeState_DISPUTE_STATE_NEEDS_RESPONSE:         "needs_response",
	disputesv1.DisputeState_DISPUTE_STATE_UNDER_REVIEW:           "under_review",
	disputesv1.DisputeState_DISPUTE_STATE_WON:                    "won",
	disputesv1.DisputeState_DISPUTE_STATE_LOST:                   "lost",
}
