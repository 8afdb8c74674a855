package donations

import (
	"context"
	"errors"
	"log/slog"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	donationsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/donations/v1"
	moneyv1 "github.com/cagnotte/cagnotte/proto/cagnotte/money/v1"
	"github.com/cagnotte/cagnotte/services/campaigns"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/page"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/internal/rpc"
	"github.com/cagnotte/cagnotte/services/internal/wire"
	"github.com/cagnotte/cagnotte/services/money"
)

type server struct {
	donationsv1.UnimplementedDonationsServiceServer
	service *Service
}

// NewServer returns the gRPC service of donations.
func NewServer(s *Service) donationsv1.DonationsServiceServer { return &server{service: s} }

// CreateDonation takes the origin and the network from package rpc, not from the message, since they decide who may
// donate and how often.
func (s *server) CreateDonation(ctx context.Context, req *donationsv1.CreateDonationRequest) (*donationsv1.Donation, error) {
	campaign, err := campaigns.ParseName(req.GetParent())
	if err != nil {
		return nil, err
	}
	requestID, err := uuid.Parse(req.GetRequestId())
	if err != nil {
		return nil, errs.Invalid("request_id", "must be a UUID")
	}
	caller := rpc.CallerFrom(ctx)
	d, err := s.service.Create(ctx, Intent{
		Campaign:  campaign,
		RequestID: requestID,
		Amount:    wire.Amount(req.GetDonation().GetAmount()),
		CoverFee:  req.GetCoverFee(),
		Monthly:   req.GetRecurrence() == donationsv1.Recurrence_RECURRENCE_MONTHLY,
		Locale:    req.GetDonation().GetLocale(),
		ReturnURL: req.GetDonation().GetReturnUrl(),
		Origin:    caller.Origin,
		Address:   caller.Address,
		Solution:  req.GetChallengeSolution(),
	})
	if err != nil {
		return nil, err
	}
	return s.toProto(d), nil
}

// GetDonation answers what members see. Donors get GetDonationStatus.
func (s *server) GetDonation(ctx context.Context, req *donationsv1.GetDonationRequest) (*donationsv1.Donation, error) {
	d, err := s.get(ctx, req.GetName())
	if err != nil {
		return nil, err
	}
	answer := s.toProto(d)
	return answer, s.withSurplus(ctx, []*donationsv1.Donation{answer}, d)
}

// GetDonationStatus answers what is known now. It has Stripe asked in the background, for the next request.
func (s *server) GetDonationStatus(ctx context.Context, req *donationsv1.GetDonationStatusRequest) (*donationsv1.DonationStatus, error) {
	name, ok := strings.CutSuffix(req.GetName(), "/status")
	if !ok {
		return nil, errs.NotFound(req.GetName())
	}
	d, err := s.get(ctx, name)
	if err != nil {
		return nil, err
	}
	if err := s.service.look(ctx, d); err != nil {
		// The answer is complete without it, and the webhook usually comes.
		s.service.cfg.Logger.WarnContext(ctx, "a job that asks Stripe about a donation cannot be inserted", slog.Any("error", err))
	}
	return s.statusOf(ctx, d), nil
}

// ReopenDonation takes the network from package rpc, as CreateDonation does.
func (s *server) ReopenDonation(ctx context.Context, req *donationsv1.ReopenDonationRequest) (*donationsv1.DonationStatus, error) {
	campaign, id, err := ParseName(req.GetName())
	if err != nil {
		return nil, err
	}
	d, err := s.service.Reopen(ctx, campaign, id, Visit{rpc.CallerFrom(ctx).Address, req.GetChallengeSolution()})
	if err != nil {
		return nil, err
	}
	return s.statusOf(ctx, d), nil
}

// statusOf is the donation as its donor sees it.
func (s *server) statusOf(ctx context.Context, d Donation) *donationsv1.DonationStatus {
	return &donationsv1.DonationStatus{
		Name:              d.Name() + "/status",
		Amount:            wire.Money(d.Amount),
		FeeCover:          feeCover(d),
		Outcome:           outcome(d),
		CheckoutUrl:       d.PayableURL(s.service.now()),
		Reopenable:        s.service.canReopen(ctx, d),
		ReturnUrl:         d.ReturnURL,
		Locale:            d.Locale,
		CreateTime:        wire.Time(d.CreateTime),
		RecurringDonation: recurringOf(d),
		AmountRefunded:    refunded(d),
		Disputed:          d.DisputedMinor > 0,
		AmountDisputed:    disputed(d),
	}
}

// LocateDonation answers a donation's name by its id.
func (s *server) LocateDonation(ctx context.Context, req *donationsv1.LocateDonationRequest) (*donationsv1.LocateDonationResponse, error) {
	id, err := uuid.Parse(strings.TrimPrefix(req.GetName(), "instance/donations/"))
	if err != nil {
		return nil, errs.NotFound(req.GetName())
	}
	d, err := s.service.byID(ctx, id)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, errs.NotFound(req.GetName())
	}
	if err != nil {
		return nil, postgres.Error(err)
	}
	return &donationsv1.LocateDonationResponse{Name: d.Name()}, nil
}

// ListDonations binds its page tokens to the filter, so that a token continues the same list only. The surplus payments
// of the whole page are read by one statement.
func (s *server) ListDonations(ctx context.Context, req *donationsv1.ListDonationsRequest) (*donationsv1.ListDonationsResponse, error) {
	filter, err := newFilter(req, names(states, req.GetStates()))
	if err != nil {
		return nil, err
	}
	found, next, err := page.List(req, []any{"donations", filter}, newest, func(before Position, count int) ([]Donation, error) {
		return s.service.List(ctx, filter, before, count)
	}, func(d Donation) Position { return Position{d.CreateTime, d.ID} })
	if err != nil {
		return nil, err
	}
	resp := &donationsv1.ListDonationsResponse{NextPageToken: next}
	for _, d := range found {
		resp.Donations = append(resp.Donations, s.toProto(d))
	}
	return resp, s.withSurplus(ctx, resp.GetDonations(), found...)
}

// get reads a donation by its resource name. The campaign in the name must be the donation's.
func (s *server) get(ctx context.Context, name string) (Donation, error) {
	campaign, id, err := ParseName(name)
	if err != nil {
		return Donation{}, err
	}
	return s.service.Get(ctx, campaign, id)
}

// ParseName reads `collectives/{collective}/campaigns/{campaign}/donations/{donation}`. Any other text is NOT_FOUND.
func ParseName(name string) (campaigns.Name, uuid.UUID, error) {
	parent, id, _ := strings.Cut(name, "/donations/")
	campaign, err := campaigns.ParseName(parent)
	if err != nil {
		return campaigns.Name{}, uuid.Nil, err
	}
	donation, err := uuid.Parse(id)
	if err != nil {
		return campaigns.Name{}, uuid.Nil, errs.NotFound(name)
	}
	return campaign, donation, nil
}

// toProto is the donation without its surplus payments, which withSurplus adds. The page's address is absent once the
// page has closed.
func (s *server) toProto(d Donation) *donationsv1.Donation {
	return &donationsv1.Donation{
		Name:              d.Name(),
		Amount:            wire.Money(d.Amount),
		FeeCover:          feeCover(d),
		State:             states[d.State],
		CheckoutUrl:       d.PayableURL(s.service.now()),
		Locale:            d.Locale,
		CreateTime:        wire.Time(d.CreateTime),
		UpdateTime:        wire.Time(d.UpdateTime),
		PayTime:           wire.Time(d.PayTime),
		BookTime:          wire.Time(d.BookTime),
		ExpireTime:        wire.Time(d.ExpireTime),
		RecurringDonation: recurringOf(d),
		AmountRefunded:    refunded(d),
		Disputed:          d.DisputedMinor > 0,
		AmountDisputed:    disputed(d),
		FraudWarning:      d.fraudWarning,
		PaymentMethod:     d.PaymentMethod,
	}
}

// withSurplus adds the surplus payments of donations to their answers.
func (s *server) withSurplus(ctx context.Context, answers []*donationsv1.Donation, donations ...Donation) error {
	surplus, err := s.service.SurplusPayments(ctx, donations...)
	for i, d := range donations {
		for _, p := range surplus[d.ID] {
			payment := &donationsv1.SurplusPayment{PaymentIntent: p.PaymentIntent, Amount: wire.Money(p.Paid)}
			// Absent for nothing, as in the donation itself.
			if p.Refunded.Minor != 0 {
				payment.AmountRefunded = wire.Money(p.Refunded)
			}
			answers[i].SurplusPayments = append(answers[i].SurplusPayments, payment)
		}
	}
	return err
}

// states has every state: a list that names no states reads those of this map.
var states = map[State]donationsv1.DonationState{
	StateCreated:           donationsv1.DonationState_DONATION_STATE_CREATED,
	StatePending:           donationsv1.DonationState_DONATION_STATE_PENDING,
	StateSucceeded:         donationsv1.DonationState_DONATION_STATE_SUCCEEDED,
	StateExpired:           donationsv1.DonationState_DONATION_STATE_EXPIRED,
	StateFailed:            donationsv1.DonationState_DONATION_STATE_FAILED,
	StateCanceled:          donationsv1.DonationState_DONATION_STATE_CANCELED,
	StatePartiallyRefunded: donationsv1.DonationState_DONATION_STATE_PARTIALLY_REFUNDED,
	StateRefunded:          donationsv1.DonationState_DONATION_STATE_REFUNDED,
	StateDisputed:          donationsv1.DonationState_DONATION_STATE_DISPUTED,
}

// outcome is the state in a donor's terms. A donation of which only a part went back is received.
func outcome(d Donation) donationsv1.DonationOutcome {
	if said := outcomes[d.State]; said != donationsv1.DonationOutcome_DONATION_OUTCOME_REFUNDED || d.FullyReturned() {
		return said
	}
	return donationsv1.DonationOutcome_DONATION_OUTCOME_RECEIVED
}

// outcomes are the outcomes of the states, for a donation that wholly went back where that matters.
var outcomes = map[State]donationsv1.DonationOutcome{
	StateCreated:           donationsv1.DonationOutcome_DONATION_OUTCOME_OPEN,
	StatePending:           donationsv1.DonationOutcome_DONATION_OUTCOME_CONFIRMING,
	StateSucceeded:         donationsv1.DonationOutcome_DONATION_OUTCOME_RECEIVED,
	StateExpired:           donationsv1.DonationOutcome_DONATION_OUTCOME_NOT_PAID,
	StateFailed:            donationsv1.DonationOutcome_DONATION_OUTCOME_NOT_PAID,
	StateCanceled:          donationsv1.DonationOutcome_DONATION_OUTCOME_NOT_PAID,
	StatePartiallyRefunded: donationsv1.DonationOutcome_DONATION_OUTCOME_RECEIVED,
	StateRefunded:          donationsv1.DonationOutcome_DONATION_OUTCOME_REFUNDED,
	StateDisputed:          donationsv1.DonationOutcome_DONATION_OUTCOME_REFUNDED,
}

// recurringOf is the name of the monthly donation; empty for a single one.
func recurringOf(d Donation) string {
	if d.Recurring == uuid.Nil {
		return ""
	}
	return recurringName(d.Campaign, d.Recurring)
}

// feeCover is absent when the donor added nothing for the fee.
func feeCover(d Donation) *moneyv1.Money {
	if d.FeeCover.Minor == 0 {
		return nil
	}
	return wire.Money(d.FeeCover)
}

// disputed is what banks took of the donation; absent for nothing. A donation that was paid twice has a negative RefundedMinor,
// and a dispute counts only beyond the surplus payment.
func disputed(d Donation) *moneyv1.Money {
	minor := d.DisputedMinor + min(0, d.RefundedMinor)
	if minor <= 0 {
		return nil
	}
	return wire.Money(money.Amount{Minor: minor, Currency: d.Amount.Currency})
}

// refunded is what refunds took of the donation; absent for nothing.
func refunded(d Donation) *moneyv1.Money {
	if d.RefundedMinor <= 0 {
		return nil
	}
	return wire.Money(money.Amount{Minor: d.RefundedMinor, Currency: d.Amount.Currency})
}
