package treasury

import (
	"context"

	treasuryv1 "github.com/cagnotte/cagnotte/proto/cagnotte/treasury/v1"
	"github.com/cagnotte/cagnotte/services/campaigns"
	"github.com/cagnotte/cagnotte/services/internal/calendar"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/page"
	"github.com/cagnotte/cagnotte/services/internal/wire"
)

var methods = map[Method]treasuryv1.OfflineMethod{
	MethodCash:        treasuryv1.OfflineMethod_OFFLINE_METHOD_CASH,
	MethodTransfer:    treasuryv1.OfflineMethod_OFFLINE_METHOD_TRANSFER,
	MethodCheque:      treasuryv1.OfflineMethod_OFFLINE_METHOD_CHEQUE,
	MethodPayeeCheque: treasuryv1.OfflineMethod_OFFLINE_METHOD_PAYEE_CHEQUE,
}

var donationStates = map[DonationState]treasuryv1.OfflineDonationState{
	DonationReceived: treasuryv1.OfflineDonationState_OFFLINE_DONATION_STATE_RECEIVED,
	DonationBanked:   treasuryv1.OfflineDonationState_OFFLINE_DONATION_STATE_BANKED,
	DonationBounced:  treasuryv1.OfflineDonationState_OFFLINE_DONATION_STATE_BOUNCED,
	DonationReversed: treasuryv1.OfflineDonationState_OFFLINE_DONATION_STATE_REVERSED,
}

func (s *server) CreateOfflineDonation(ctx context.Context, req *treasuryv1.CreateOfflineDonationRequest) (*treasuryv1.OfflineDonation, error) {
	campaign, err := campaigns.ParseName(req.GetParent())
	if err != nil {
		return nil, err
	}
	r, err := NewRequest(ctx, req.GetRequestId())
	if err != nil {
		return nil, err
	}
	sent := req.GetOfflineDonation()
	method, ok := known(methods, sent.GetMethod())
	if !ok {
		return nil, errs.Invalid("offline_donation.method", "is required")
	}
	d := OfflineDonation{
		Campaign: campaign, Amount: wire.Amount(sent.GetAmount()), Method: method, ReceivedOn: calendar.Day(sent.GetReceiveDate()),
		Document: sent.GetDocument(), OutsideBooks: sent.GetOutsideBooks(), Stage: sent.GetStage(), AllowDuplicate: sent.GetAllowDuplicate(),
	}
	// A pledge of another campaign is refused here. Whether there is one of this id is for the Service.
	if sent.GetPledge() != "" {
		of, id, err := ParsePledgeName(sent.GetPledge())
		if err != nil || of != campaign {
			return nil, errs.Invalid("offline_donation.pledge", "must be a pledge of the campaign")
		}
		d.Pledge = id
	}
	return donationAnswer(s.service.CreateOfflineDonation(ctx, r, d))
}

var donationAnswer = answer(donationToProto)

func (s *server) GetOfflineDonation(ctx context.Context, req *treasuryv1.GetOfflineDonationRequest) (*treasuryv1.OfflineDonation, error) {
	campaign, id, err := ofCampaign(req.GetName(), "offlineDonations")
	if err != nil {
		return nil, err
	}
	return donationAnswer(s.service.OfflineDonation(ctx, campaign, id))
}

func (s *server) ListOfflineDonations(ctx context.Context, req *treasuryv1.ListOfflineDonationsRequest) (*treasuryv1.ListOfflineDonationsResponse, error) {
	campaign, err := campaigns.ParseName(req.GetParent())
	if err != nil {
		return nil, err
	}
	// The text tells this list from others: a page token that was made for another list is refused. The key of a row is
	// the time of its creation and its id.
	found, next, err := page.List(req, "offline donations of "+campaign.String(), newest, func(after Position, limit int) ([]OfflineDonation, error) {
		return s.service.OfflineDonations(ctx, campaign, after, limit)
	}, func(d OfflineDonation) Position { return Position{d.CreateTime, d.ID} })
	return &treasuryv1.ListOfflineDonationsResponse{OfflineDonations: each(found, donationToProto), NextPageToken: next}, err
}

func (s *server) BounceCheque(ctx context.Context, req *treasuryv1.BounceChequeRequest) (*treasuryv1.OfflineDonation, error) {
	campaign, id, r, err := ofCampaignChanged(ctx, req, "offlineDonations")
	if err != nil {
		return nil, err
	}
	return donationAnswer(s.service.BounceCheque(ctx, r, campaign, id, calendar.Day(req.GetBounceDate())))
}

func (s *server) ReverseOfflineDonation(ctx context.Context, req *treasuryv1.ReverseOfflineDonationRequest) (*treasuryv1.OfflineDonation, error) {
	campaign, id, r, err := ofCampaignChanged(ctx, req, "offlineDonations")
	if err != nil {
		return nil, err
	}
	return donationAnswer(s.service.ReverseOfflineDonation(ctx, r, campaign, id, req.GetReason()))
}

// donationToProto leaves out what only a request has: AllowDuplicate is not stored.
func donationToProto(d OfflineDonation) *treasuryv1.OfflineDonation {
	collective := d.Campaign.Collective
	return &treasuryv1.OfflineDonation{
		Name:          d.Name(),
		Amount:        wire.Money(d.Amount),
		Method:        methods[d.Method],
		ReceiveDate:   string(d.ReceivedOn),
		Document:      d.Document,
		Pledge:        nameOr(d.Pledge, pledgeName(d.Campaign, d.Pledge)),
		OutsideBooks:  d.OutsideBooks,
		Stage:         d.Stage,
		State:         donationStates[d.State],
		Deposit:       nameOr(d.Deposit, depositName(collective, d.Deposit)),
		BankDate:      string(d.BankedOn),
		BounceDate:    string(d.BouncedOn),
		ReverseReason: d.ReverseReason,
		BankLine:      nameOr(d.BankLine, bankLineName(collective, d.BankLine)),
		Creator:       d.CreatedBy,
		CreateTime:    wire.Time(d.CreateTime),
		UpdateTime:    wire.Time(d.UpdateTime),
	}
}
