package donations

import (
	"context"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	recurringv1 "github.com/cagnotte/cagnotte/proto/cagnotte/recurring/v1"
	"github.com/cagnotte/cagnotte/services/collectives"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/page"
	"github.com/cagnotte/cagnotte/services/internal/rpc"
	"github.com/cagnotte/cagnotte/services/internal/wire"
)

type recurringServer struct {
	recurringv1.UnimplementedRecurringServiceServer
	service *Service
}

// NewRecurringServer returns the service's monthly donations as gRPC.
func NewRecurringServer(s *Service) recurringv1.RecurringServiceServer {
	return &recurringServer{service: s}
}

func (s *recurringServer) GetRecurringDonation(ctx context.Context, req *recurringv1.GetRecurringDonationRequest) (*recurringv1.RecurringDonation, error) {
	campaign, id, err := parseRecurringName(req.GetName())
	if err != nil {
		return nil, err
	}
	r, err := s.service.GetRecurring(ctx, campaign, id)
	return s.answer(ctx, r, err)
}

func (s *recurringServer) ListRecurringDonations(ctx context.Context, req *recurringv1.ListRecurringDonationsRequest) (*recurringv1.ListRecurringDonationsResponse, error) {
	filter, err := newFilter(req, names(recurringStates, req.GetStates()))
	if err != nil {
		return nil, err
	}
	found, next, err := page.List(req, []any{"monthly donations", filter}, newest, func(before Position, count int) ([]Recurring, error) {
		return s.service.ListRecurring(ctx, filter, before, count)
	}, func(r Recurring) Position { return Position{r.CreateTime, r.ID} })
	if err != nil {
		return nil, err
	}
	// All donations of a list are one collective's, so one check is enough.
	disconnected, err := s.service.disconnected(ctx, filter.Collective)
	if err != nil {
		return nil, err
	}
	resp := &recurringv1.ListRecurringDonationsResponse{NextPageToken: next}
	for _, r := range found {
		resp.RecurringDonations = append(resp.RecurringDonations, recurringToProto(r, disconnected))
	}
	return resp, nil
}

// CancelRecurringDonation is the members' way to end a monthly donation. Donors have StopRecurringDonation.
func (s *recurringServer) CancelRecurringDonation(ctx context.Context, req *recurringv1.CancelRecurringDonationRequest) (*recurringv1.RecurringDonation, error) {
	campaign, id, err := parseRecurringName(req.GetName())
	if err != nil {
		return nil, err
	}
	r, err := s.service.EndRecurring(ctx, campaign, id, req.GetAtPeriodEnd(), EndedByCollective)
	return s.answer(ctx, r, err)
}

// RequestManageLink answers the same whether or not the donation exists.
func (s *recurringServer) RequestManageLink(ctx context.Context, req *recurringv1.RequestManageLinkRequest) (*recurringv1.RequestManageLinkResponse, error) {
	campaign, id, err := parseRecurringName(req.GetName())
	if err != nil {
		return nil, err
	}
	if err := s.service.RequestLink(ctx, campaign, id, rpc.CallerFrom(ctx).Network); err != nil {
		return nil, err
	}
	return &recurringv1.RequestManageLinkResponse{}, nil
}

// RequestManageLinks answers the same whether or not the address is known.
func (s *recurringServer) RequestManageLinks(ctx context.Context, req *recurringv1.RequestManageLinksRequest) (*recurringv1.RequestManageLinksResponse, error) {
	collective, ok := collectives.ParseName(req.GetParent())
	if !ok {
		return nil, errs.NotFound(req.GetParent())
	}
	if err := s.service.RequestLinks(ctx, collective, req.GetEmail(), rpc.CallerFrom(ctx).Network); err != nil {
		return nil, err
	}
	return &recurringv1.RequestManageLinksResponse{}, nil
}

func (s *recurringServer) RedeemManageLink(ctx context.Context, req *recurringv1.RedeemManageLinkRequest) (*recurringv1.RedeemManageLinkResponse, error) {
	campaign, id, err := parseRecurringName(req.GetName())
	if err != nil {
		return nil, err
	}
	opened, err := s.service.RedeemLink(ctx, campaign, id, req.GetToken())
	if err != nil {
		return nil, err
	}
	return &recurringv1.RedeemManageLinkResponse{
		RecurringDonation: recurringToProto(opened.Recurring, opened.Disconnected),
		ManageToken:       req.GetToken(), ExpireTime: wire.Time(opened.ExpireTime),
	}, nil
}

func (s *recurringServer) ShowRecurringDonation(ctx context.Context, req *recurringv1.ShowRecurringDonationRequest) (*recurringv1.RecurringDonation, error) {
	campaign, id, err := parseRecurringName(req.GetName())
	if err != nil {
		return nil, err
	}
	r, err := s.service.ShowRecurring(ctx, campaign, id, req.GetManageToken())
	return s.answer(ctx, r, err)
}

// ChangeRecurringDonation is for donors, who prove themselves by the token of their page. The token is checked first,
// so that nobody else uses up the limit.
func (s *recurringServer) ChangeRecurringDonation(ctx context.Context, req *recurringv1.ChangeRecurringDonationRequest) (*recurringv1.RecurringDonation, error) {
	campaign, id, err := parseRecurringName(req.GetName())
	if err != nil {
		return nil, err
	}
	if err := s.service.checkManageToken(ctx, id, req.GetManageToken()); err != nil {
		return nil, err
	}
	if err := s.service.limitPage(ctx, id); err != nil {
		return nil, err
	}
	r, err := s.service.ChangeRecurring(ctx, campaign, id, wire.Amount(req.GetAmount()), Visit{rpc.CallerFrom(ctx).Address, req.GetChallengeSolution()})
	return s.answer(ctx, r, err)
}

// StopRecurringDonation needs no limit: a pending end is stored once, and applied at Stripe only when it is due.
func (s *recurringServer) StopRecurringDonation(ctx context.Context, req *recurringv1.StopRecurringDonationRequest) (*recurringv1.RecurringDonation, error) {
	campaign, id, err := parseRecurringName(req.GetName())
	if err != nil {
		return nil, err
	}
	if err := s.service.checkManageToken(ctx, id, req.GetManageToken()); err != nil {
		return nil, err
	}
	r, err := s.service.EndRecurring(ctx, campaign, id, false, EndedByDonor)
	return s.answer(ctx, r, err)
}

func (s *recurringServer) CreatePortalSession(ctx context.Context, req *recurringv1.CreatePortalSessionRequest) (*recurringv1.CreatePortalSessionResponse, error) {
	campaign, id, err := parseRecurringName(req.GetName())
	if err != nil {
		return nil, err
	}
	if err := s.service.checkManageToken(ctx, id, req.GetManageToken()); err != nil {
		return nil, err
	}
	if err := s.service.limitPage(ctx, id); err != nil {
		return nil, err
	}
	url, err := s.service.PortalURL(ctx, campaign, id, Visit{rpc.CallerFrom(ctx).Address, req.GetChallengeSolution()})
	if err != nil {
		return nil, err
	}
	return &recurringv1.CreatePortalSessionResponse{Url: url}, nil
}

// disconnected reports whether the collective's Stripe account is disconnected.
func (s *Service) disconnected(ctx context.Context, collective string) (bool, error) {
	err := s.cfg.Connect.CheckConnected(ctx, collective)
	if err != nil && errs.As(err).Reason == errorsv1.ErrorReason_STRIPE_ACCOUNT_DISCONNECTED {
		return true, nil
	}
	return false, err
}

// answer returns the monthly donation as a message, or the error as it is.
func (s *recurringServer) answer(ctx context.Context, r Recurring, err error) (*recurringv1.RecurringDonation, error) {
	if err != nil {
		return nil, err
	}
	disconnected, err := s.service.disconnected(ctx, r.Campaign.Collective)
	if err != nil {
		return nil, err
	}
	return recurringToProto(r, disconnected), nil
}

// recurringToProto is the message of a monthly donation. It has nothing about the donor but the language.
func recurringToProto(r Recurring, disconnected bool) *recurringv1.RecurringDonation {
	return &recurringv1.RecurringDonation{
		Name:                r.Name(),
		Amount:              wire.Money(r.Amount),
		State:               recurringStates[r.State],
		Locale:              r.Locale,
		CancelAtPeriodEnd:   r.CancelAtPeriodEnd,
		PeriodEndTime:       wire.Time(r.PeriodEnd),
		EndTime:             wire.Time(r.EndTime),
		EndReason:           endReasons[r.EndReason],
		CreateTime:          wire.Time(r.CreateTime),
		UpdateTime:          wire.Time(r.UpdateTime),
		ChangePending:       r.Pending(),
		AccountDisconnected: disconnected,
		DebitPending:        r.DebitPending,
		CancelTime:          wire.Time(r.CancelTime),
		Paused:              r.Paused,
		ResumeTime:          wire.Time(r.ResumeTime),
		NextDebitTime:       wire.Time(r.NextDebit),
	}
}

// recurringStates has every state: a list that names no states reads those of this map.
var recurringStates = map[RecurringState]recurringv1.RecurringDonationState{
	RecurringCreated:  recurringv1.RecurringDonationState_RECURRING_DONATION_STATE_CREATED,
	RecurringActive:   recurringv1.RecurringDonationState_RECURRING_DONATION_STATE_ACTIVE,
	RecurringPastDue:  recurringv1.RecurringDonationState_RECURRING_DONATION_STATE_PAST_DUE,
	RecurringCanceled: recurringv1.RecurringDonationState_RECURRING_DONATION_STATE_CANCELED,
	RecurringExpired:  recurringv1.RecurringDonationState_RECURRING_DONATION_STATE_EXPIRED,
}

var endReasons = map[EndReason]recurringv1.RecurringDonationEndReason{
	EndedByDonor:      recurringv1.RecurringDonationEndReason_RECURRING_DONATION_END_REASON_DONOR,
	EndedByCollective: recurringv1.RecurringDonationEndReason_RECURRING_DONATION_END_REASON_COLLECTIVE,
	EndedByCampaign:   recurringv1.RecurringDonationEndReason_RECURRING_DONATION_END_REASON_CAMPAIGN_CLOSED,
	EndedByFailure:    recurringv1.RecurringDonationEndReason_RECURRING_DONATION_END_REASON_PAYMENT_FAILED,
	EndedAtStripe:     recurringv1.RecurringDonationEndReason_RECURRING_DONATION_END_REASON_AT_STRIPE,
}
