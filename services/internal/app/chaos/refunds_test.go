package chaos_test

import (
	"context"
	"fmt"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	disputesv1 "github.com/cagnotte/cagnotte/proto/cagnotte/disputes/v1"
	refundsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/refunds/v1"
	"github.com/cagnotte/cagnotte/services/internal/apptest"
)

// refundSteps are the refunds of members.
func (h *history) refundSteps() []step {
	return []step{
		{"the treasurer gives a donation back", 4, h.refund},
		{"the treasurer asks again", 2, h.refundAgain},
		{"another member looks at refunds", 3, h.reviewRefunds},
	}
}

// refund asks for a refund, perhaps of a donation that is not paid, or of more than is left. A refusal is an answer too.
func (h *history) refund() {
	if len(h.donors) == 0 {
		return
	}
	d := h.donors[h.dice.IntN(len(h.donors))]
	if d.donation == "" {
		return
	}
	req := &refundsv1.CreateRefundRequest{
		Parent: d.donation, RequestId: uuid.NewString(),
		Refund:     &refundsv1.Refund{Reason: refundsv1.RefundReason_REFUND_REASON_REQUESTED_BY_DONOR},
		AllowDebit: true,
	}
	if h.dice.IntN(2) == 0 {
		req.Refund.Amount = apptest.Euros(1 + h.dice.Int64N(d.request.GetDonation().GetAmount().GetAmountMinor()))
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
	case h.unanswered(err), status.Code(err) == codes.FailedPrecondition:
		h.note("  … not now: %v", status.Code(err))
	case reasonOf(err) == "CURRENCY_MISMATCH" && req.GetRefund().GetAmount() != nil:
		h.note("  … it was paid in another currency")
	default:
		h.t.Fatalf("a refund was refused: %v", err)
	}
}

// reviewRefunds approves or rejects the refunds that wait for a second member.
func (h *history) reviewRefunds() {
	ctx, cancel := context.WithTimeout(apptest.WithKey(h.t.Context(), h.treasurer), 12*time.Second)
	defer cancel()
	client := refundsv1.NewRefundsServiceClient(h.rest)
	waiting, err := client.ListRefunds(ctx, &refundsv1.ListRefundsRequest{
		Parent: "collectives/" + h.slug, States: []refundsv1.RefundState{refundsv1.RefundState_REFUND_STATE_AWAITING_APPROVAL},
	})
	if err != nil {
		h.note("  … %v", status.Code(err))
		return
	}
	for _, r := range waiting.GetRefunds() {
		if h.dice.IntN(4) == 0 {
			_, err = client.RejectRefund(ctx, &refundsv1.RejectRefundRequest{Name: r.GetName()})
		} else {
			_, err = client.ApproveRefund(ctx, &refundsv1.ApproveRefundRequest{Name: r.GetName()})
		}
		h.note("  … %v", status.Code(err))
	}
}

// went is a refund as Stripe and the program must both have it.
type went struct {
	AmountMinor int64
	Status      string
}

var refundStatus = map[refundsv1.RefundState]string{
	refundsv1.RefundState_REFUND_STATE_PENDING:           "pending",
	refundsv1.RefundState_REFUND_STATE_SUCCEEDED:         "succeeded",
	refundsv1.RefundState_REFUND_STATE_FAILED:            "failed",
	refundsv1.RefundState_REFUND_STATE_CANCELED:          "canceled",
	refundsv1.RefundState_REFUND_STATE_REJECTED:          "rejected",
	refundsv1.RefundState_REFUND_STATE_AWAITING_APPROVAL: "awaiting approval",
}

// compareRefunds checks that the program has the state of each refund at Stripe, whoever made it, and that no refund is
// submitted that Stripe does not have.
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

// compareDisputes checks that the program has the state of each dispute at Stripe.
func (h *history) compareDisputes(ctx context.Context) string {
	want, got := map[string]went{}, map[string]went{}
	for _, d := range h.Sim.Disputes(h.account) {
		want[d.ID] = went{d.AmountMinor, d.Status}
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

var disputeStatus = map[disputesv1.DisputeState]string{
	disputesv1.DisputeState_DISPUTE_STATE_INQUIRY_NEEDS_RESPONSE: "warning_needs_response",
	disputesv1.DisputeState_DISPUTE_STATE_INQUIRY_UNDER_REVIEW:   "warning_under_review",
	disputesv1.DisputeState_DISPUTE_STATE_INQUIRY_CLOSED:         "warning_closed",
	disputesv1.DisputeState_DISPUTE_STATE_NEEDS_RESPONSE:         "needs_response",
	disputesv1.DisputeState_DISPUTE_STATE_UNDER_REVIEW:           "under_review",
	disputesv1.DisputeState_DISPUTE_STATE_WON:                    "won",
	disputesv1.DisputeState_DISPUTE_STATE_LOST:                   "lost",
	disputesv1.DisputeState_DISPUTE_STATE_PREVENTED:              "prevented",
}
