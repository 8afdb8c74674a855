package refunds

import (
	"context"
	"strings"

	disputesv1 "github.com/cagnotte/cagnotte/proto/cagnotte/disputes/v1"
	moneyv1 "github.com/cagnotte/cagnotte/proto/cagnotte/money/v1"
	"github.com/cagnotte/cagnotte/services/donations"
	"github.com/cagnotte/cagnotte/services/internal/page"
	"github.com/cagnotte/cagnotte/services/internal/stripe"
	"github.com/cagnotte/cagnotte/services/internal/wire"
	"github.com/cagnotte/cagnotte/services/money"
)

type disputeServer struct {
	disputesv1.UnimplementedDisputesServiceServer
	service *Service
}

// NewDisputeServer returns the gRPC service of disputes and fraud warnings.
func NewDisputeServer(s *Service) disputesv1.DisputesServiceServer { return &disputeServer{service: s} }

func (s *disputeServer) GetDispute(ctx context.Context, req *disputesv1.GetDisputeRequest) (*disputesv1.Dispute, error) {
	collective, id, _ := strings.Cut(strings.TrimPrefix(req.GetName(), "collectives/"), "/disputes/")
	d, err := s.service.GetDispute(ctx, collective, id)
	if err != nil {
		return nil, err
	}
	return s.toProto(d), nil
}

func (s *disputeServer) ListDisputes(ctx context.Context, req *disputesv1.ListDisputesRequest) (*disputesv1.ListDisputesResponse, error) {
	resp := &disputesv1.ListDisputesResponse{}
	found, next, err := listOfStripe(ctx, "disputes of ", req, s.service.ListDisputes,
		func(d Dispute) StripePosition { return StripePosition{d.CreateTime, d.ID} })
	for _, d := range found {
		resp.Disputes = append(resp.Disputes, s.toProto(d))
	}
	resp.NextPageToken = next
	return resp, err
}

func (s *disputeServer) GetFraudWarning(ctx context.Context, req *disputesv1.GetFraudWarningRequest) (*disputesv1.FraudWarning, error) {
	collective, id, _ := strings.Cut(strings.TrimPrefix(req.GetName(), "collectives/"), "/fraudWarnings/")
	w, err := s.service.GetFraudWarning(ctx, collective, id)
	if err != nil {
		return nil, err
	}
	return fraudWarningToProto(w), nil
}

func (s *disputeServer) ListFraudWarnings(ctx context.Context, req *disputesv1.ListFraudWarningsRequest) (*disputesv1.ListFraudWarningsResponse, error) {
	resp := &disputesv1.ListFraudWarningsResponse{}
	found, next, err := listOfStripe(ctx, "fraud warnings of ", req, s.service.ListFraudWarnings,
		func(w FraudWarning) StripePosition { return StripePosition{w.CreateTime, w.ID} })
	for _, w := range found {
		resp.FraudWarnings = append(resp.FraudWarnings, fraudWarningToProto(w))
	}
	resp.NextPageToken = next
	return resp, err
}

func fraudWarningToProto(w FraudWarning) *disputesv1.FraudWarning {
	return &disputesv1.FraudWarning{
		Name:       w.Name(),
		Donation:   donations.Donation{Campaign: w.Campaign, ID: w.Donation}.Name(),
		FraudType:  w.FraudType,
		Actionable: w.Actionable,
		CreateTime: wire.Time(w.CreateTime),
	}
}

// listRequest is a request for a page of a collective's list.
type listRequest interface {
	page.Request
	GetParent() string
}

// listOfStripe reads a page of objects that have Stripe's ids, and the token of the next page.
func listOfStripe[T any](ctx context.Context, what string, req listRequest,
	list func(context.Context, string, StripePosition, int) ([]T, error), position func(T) StripePosition,
) (found []T, next string, err error) {
	filter := what + req.GetParent()
	// The first position has no id: its time is after all others.
	return page.List(req, filter, StripePosition{CreateTime: newest.CreateTime}, func(before StripePosition, count int) ([]T, error) {
		return list(ctx, strings.TrimPrefix(req.GetParent(), "collectives/"), before, count)
	}, position)
}

func (s *disputeServer) toProto(d Dispute) *disputesv1.Dispute {
	return &disputesv1.Dispute{
		Name:            d.Name(),
		Donation:        donations.Donation{Campaign: d.Campaign, ID: d.Donation}.Name(),
		Amount:          wire.Money(d.Amount),
		State:           disputeStates[d.Status],
		Reason:          d.Reason,
		EvidenceDueTime: wire.Time(d.DueTime),
		Withdrawn:       movedToProto(d.Withdrawn, d.Withdrawn.Minor != 0),
		Reinstated:      movedToProto(d.Reinstated, d.Reinstated.Minor != 0),
		// The fee is shown with the withdrawal, also when it is zero.
		Fee:          movedToProto(d.Fee, d.Withdrawn.Minor != 0),
		DashboardUrl: d.DashboardURL(s.service.cfg.Stripe.Livemode()),
		CreateTime:   wire.Time(d.CreateTime),
		UpdateTime:   wire.Time(d.UpdateTime),
	}
}

// movedToProto is absent unless the money moved.
func movedToProto(a money.Amount, happened bool) *moneyv1.Money {
	if !happened {
		return nil
	}
	return wire.Money(a)
}

// disputeStates has Stripe's statuses. One that is not in it is unspecified in the contract.
var disputeStates = map[stripe.DisputeStatus]disputesv1.DisputeState{
	stripe.InquiryNeedsResponse: disputesv1.DisputeState_DISPUTE_STATE_INQUIRY_NEEDS_RESPONSE,
	stripe.InquiryUnderReview:   disputesv1.DisputeState_DISPUTE_STATE_INQUIRY_UNDER_REVIEW,
	stripe.InquiryClosed:        disputesv1.DisputeState_DISPUTE_STATE_INQUIRY_CLOSED,
	stripe.DisputeNeedsResponse: disputesv1.DisputeState_DISPUTE_STATE_NEEDS_RESPONSE,
	stripe.DisputeUnderReview:   disputesv1.DisputeState_DISPUTE_STATE_UNDER_REVIEW,
	stripe.DisputeWon:           disputesv1.DisputeState_DISPUTE_STATE_WON,
	stripe.DisputeLost:          disputesv1.DisputeState_DISPUTE_STATE_LOST,
	stripe.DisputePrevented:     disputesv1.DisputeState_DISPUTE_STATE_PREVENTED,
}
