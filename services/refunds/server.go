package refunds

import (
	"context"
	"strings"

	"github.com/google/uuid"

	refundsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/refunds/v1"
	"github.com/cagnotte/cagnotte/services/campaigns"
	"github.com/cagnotte/cagnotte/services/donations"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/page"
	"github.com/cagnotte/cagnotte/services/internal/rpc"
	"github.com/cagnotte/cagnotte/services/internal/wire"
)

type server struct {
	refundsv1.UnimplementedRefundsServiceServer
	service *Service
}

// NewServer returns the gRPC service of refunds.
func NewServer(s *Service) refundsv1.RefundsServiceServer { return &server{service: s} }

// CreateRefund takes the requesting key from the call, so that nobody requests in another member's name.
func (s *server) CreateRefund(ctx context.Context, req *refundsv1.CreateRefundRequest) (*refundsv1.Refund, error) {
	campaign, donation, err := donations.ParseName(req.GetParent())
	if err != nil {
		return nil, err
	}
	requestID, err := uuid.Parse(req.GetRequestId())
	if err != nil {
		return nil, errs.Invalid("request_id", "must be a UUID")
	}
	in := req.GetRefund()
	// An unspecified reason is stored for refunds that were made at Stripe; members must give one.
	reason := reasonsFromProto[in.GetReason()]
	if reason == "" {
		return nil, errs.Invalid("refund.reason", "is required")
	}
	r, err := s.service.Create(ctx, Request{
		Campaign: campaign, Donation: donation, RequestID: requestID, Amount: wire.Amount(in.GetAmount()),
		Reason: reason, Note: in.GetNote(), Key: rpc.CallerFrom(ctx).Principal.Name, AllowDebit: req.GetAllowDebit(),
	})
	return refundToProto(r, err)
}

func (s *server) GetRefund(ctx context.Context, req *refundsv1.GetRefundRequest) (*refundsv1.Refund, error) {
	if parent, last, _ := strings.Cut(req.GetName(), "/refunds/"); !strings.Contains(parent, "/campaigns/") {
		id, err := uuid.Parse(last)
		if err != nil {
			return nil, errs.NotFound(req.GetName())
		}
		return refundToProto(s.service.GetOfCollective(ctx, strings.TrimPrefix(parent, "collectives/"), id))
	}
	campaign, donation, id, err := parseRefundName(req.GetName())
	if err != nil {
		return nil, err
	}
	return refundToProto(s.service.Get(ctx, campaign, donation, id))
}

func (s *server) ApproveRefund(ctx context.Context, req *refundsv1.ApproveRefundRequest) (*refundsv1.Refund, error) {
	return s.change(ctx, req.GetName(), s.service.Approve)
}

func (s *server) RejectRefund(ctx context.Context, req *refundsv1.RejectRefundRequest) (*refundsv1.Refund, error) {
	return s.change(ctx, req.GetName(), s.service.Reject)
}

func (s *server) CancelRefund(ctx context.Context, req *refundsv1.CancelRefundRequest) (*refundsv1.Refund, error) {
	return s.change(ctx, req.GetName(), s.service.Cancel)
}

// change runs one of the verbs by the caller's key, and answers with the refund as it is then.
func (s *server) change(ctx context.Context, name string,
	change func(context.Context, campaigns.Name, uuid.UUID, uuid.UUID, string) (Refund, error),
) (*refundsv1.Refund, error) {
	campaign, donation, id, err := parseRefundName(name)
	if err != nil {
		return nil, err
	}
	return refundToProto(change(ctx, campaign, donation, id, rpc.CallerFrom(ctx).Principal.Name))
}

func (s *server) ListRefunds(ctx context.Context, req *refundsv1.ListRefundsRequest) (*refundsv1.ListRefundsResponse, error) {
	// The parent is a collective, or one of its donations, which must exist.
	collective, _, ofDonation := strings.Cut(strings.TrimPrefix(req.GetParent(), "collectives/"), "/")
	donation := uuid.Nil
	if ofDonation {
		campaign, id, err := donations.ParseName(req.GetParent())
		if err != nil {
			return nil, err
		}
		if _, err := s.service.cfg.Donations.Get(ctx, campaign, id); err != nil {
			return nil, err
		}
		donation = id
	}
	// A list without states has refunds in all of them.
	wanted := make([]State, len(req.GetStates()))
	for i, state := range req.GetStates() {
		wanted[i] = statesFromProto[state]
	}
	// A page token continues the list of the same parent and states only.
	filter := []any{"refunds", req.GetParent(), wanted}
	found, next, err := page.List(req, filter, newest, func(before Position, count int) ([]Refund, error) {
		return s.service.List(ctx, collective, donation, wanted, before, count)
	}, func(r Refund) Position { return Position{r.CreateTime, r.ID} })
	if err != nil {
		return nil, err
	}
	resp := &refundsv1.ListRefundsResponse{NextPageToken: next}
	for _, r := range found {
		p, _ := refundToProto(r, nil)
		resp.Refunds = append(resp.Refunds, p)
	}
	return resp, nil
}

// parseRefundName reads a donation's name followed by `/refunds/{refund}`. Any other text is NOT_FOUND.
func parseRefundName(name string) (campaign campaigns.Name, donation, refund uuid.UUID, err error) {
	parent, id, _ := strings.Cut(name, "/refunds/")
	if campaign, donation, err = donations.ParseName(parent); err != nil {
		return campaigns.Name{}, uuid.Nil, uuid.Nil, err
	}
	if refund, err = uuid.Parse(id); err != nil {
		return campaigns.Name{}, uuid.Nil, uuid.Nil, errs.NotFound(name)
	}
	return campaign, donation, refund, nil
}

// refundToProto returns the message of a refund, or the error.
func refundToProto(r Refund, err error) (*refundsv1.Refund, error) {
	if err != nil {
		return nil, err
	}
	origin := refundsv1.RefundOrigin_REFUND_ORIGIN_MEMBER
	if r.AtStripe {
		origin = refundsv1.RefundOrigin_REFUND_ORIGIN_STRIPE
	}
	return &refundsv1.Refund{
		Name:          r.Name(),
		Amount:        wire.Money(r.Amount),
		State:         states[r.State],
		Reason:        reasons[r.Reason],
		Note:          r.Note,
		Origin:        origin,
		Requester:     r.RequestedBy,
		Reviewer:      r.ReviewedBy,
		StripeRefund:  r.StripeRefund,
		FailureReason: r.FailureReason,
		CreateTime:    wire.Time(r.CreateTime),
		UpdateTime:    wire.Time(r.UpdateTime),
		SubmitTime:    wire.Time(r.SubmitTime),
		PaymentIntent: r.paymentIntent,

		BankClaimEndTime:         wire.Time(r.Claim.Any),
		UnauthorizedClaimEndTime: wire.Time(r.Claim.Unauthorized),
	}, nil
}

// states and reasons are read in both directions, so each has one entry for each value.
var states = map[State]refundsv1.RefundState{
	StateAwaitingApproval: refundsv1.RefundState_REFUND_STATE_AWAITING_APPROVAL,
	StateApproved:         refundsv1.RefundState_REFUND_STATE_APPROVED,
	StateSubmitted:        refundsv1.RefundState_REFUND_STATE_SUBMITTED,
	StatePending:          refundsv1.RefundState_REFUND_STATE_PENDING,
	StateSucceeded:        refundsv1.RefundState_REFUND_STATE_SUCCEEDED,
	StateFailed:           refundsv1.RefundState_REFUND_STATE_FAILED,
	StateRejected:         refundsv1.RefundState_REFUND_STATE_REJECTED,
	StateCanceled:         refundsv1.RefundState_REFUND_STATE_CANCELED,
}

var reasons = map[Reason]refundsv1.RefundReason{
	"":                     refundsv1.RefundReason_REFUND_REASON_UNSPECIFIED,
	ReasonRequestedByDonor: refundsv1.RefundReason_REFUND_REASON_REQUESTED_BY_DONOR,
	ReasonDuplicate:        refundsv1.RefundReason_REFUND_REASON_DUPLICATE,
	ReasonFraudulent:       refundsv1.RefundReason_REFUND_REASON_FRAUDULENT,
	ReasonOther:            refundsv1.RefundReason_REFUND_REASON_OTHER,
}

var (
	statesFromProto  = inverted(states)
	reasonsFromProto = inverted(reasons)
)

// inverted returns the map by its values, which must differ.
func inverted[K, V comparable](m map[K]V) map[V]K {
	back := make(map[V]K, len(m))
	for k, v := range m {
		back[v] = k
	}
	return back
}
