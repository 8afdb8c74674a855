package refunds

import (
	"testing"

	"github.com/google/uuid"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	moneyv1 "github.com/cagnotte/cagnotte/proto/cagnotte/money/v1"
	refundsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/refunds/v1"
	"github.com/cagnotte/cagnotte/services/access"
	"github.com/cagnotte/cagnotte/services/collectives"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/rpc"
	"github.com/cagnotte/cagnotte/services/money"
)

// A member who sets the fields of the service in a new refund evades no second member, and makes no other request of it.
func TestCreateRefundIgnoresTheFieldsOfTheService(t *testing.T) {
	e := newEnv(t)
	if _, err := e.groups.Update(t.Context(), "vallon", "", func(c *collectives.Collective) error {
		c.RefundApproval = money.Amount{Minor: 1_00, Currency: money.EUR}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	d, _ := e.paid()
	ctx := rpc.WithCaller(t.Context(), rpc.Caller{Principal: access.Principal{Name: treasurerKey, Grants: []access.Grant{{Collective: "vallon", Role: access.RoleTreasurer}}}})
	server := NewServer(e.refunds)
	req := &refundsv1.CreateRefundRequest{Parent: d.Name(), RequestId: uuid.NewString(), Refund: &refundsv1.Refund{
		Amount: &moneyv1.Money{CurrencyCode: "EUR", AmountMinor: 4_00}, Reason: refundsv1.RefundReason_REFUND_REASON_DUPLICATE, Note: "n",
		Name: d.Name() + "/refunds/" + uuid.Nil.String(), State: refundsv1.RefundState_REFUND_STATE_APPROVED,
		Origin: refundsv1.RefundOrigin_REFUND_ORIGIN_STRIPE, Requester: "collectives/vallon/apiKeys/other", Reviewer: "collectives/vallon/apiKeys/other",
		StripeRefund: "re_1", FailureReason: "a", PaymentIntent: "pi_other",
	}}
	made, err := server.CreateRefund(ctx, req)
	if err != nil {
		t.Fatal(err)
	}
	if made.GetName() == req.GetRefund().GetName() || made.GetState() != refundsv1.RefundState_REFUND_STATE_AWAITING_APPROVAL ||
		made.GetOrigin() != refundsv1.RefundOrigin_REFUND_ORIGIN_MEMBER || made.GetRequester() != treasurerKey ||
		made.GetReviewer()+made.GetStripeRefund()+made.GetFailureReason() != "" || made.GetPaymentIntent() == "pi_other" {
		t.Errorf("the caller set a field of the service: %v", made)
	}
	req.Refund = &refundsv1.Refund{Amount: req.GetRefund().GetAmount(), Reason: req.GetRefund().GetReason(), Note: "n"}
	if again, err := server.CreateRefund(ctx, req); err != nil || again.GetName() != made.GetName() {
		t.Errorf("the same request without them is %v, %v", again, err)
	}
	req.Refund.Note = "m"
	if _, err := server.CreateRefund(ctx, req); errs.As(err) == nil || errs.As(err).Reason != errorsv1.ErrorReason_REQUEST_ID_REUSED {
		t.Errorf("the same request with another note: %v", err)
	}
}
