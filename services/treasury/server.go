package treasury

import (
	"context"
	"strings"
	"time"

	"github.com/google/uuid"

	treasuryv1 "github.com/cagnotte/cagnotte/proto/cagnotte/treasury/v1"
	"github.com/cagnotte/cagnotte/services/campaigns"
	"github.com/cagnotte/cagnotte/services/collectives"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/page"
	"github.com/cagnotte/cagnotte/services/internal/rpc"
	"github.com/cagnotte/cagnotte/services/internal/wire"
)

type server struct {
	treasuryv1.UnimplementedTreasuryServiceServer
	service *Service
}

// NewServer returns the service as gRPC.
func NewServer(s *Service) treasuryv1.TreasuryServiceServer { return &server{service: s} }

// request reads who asks, and the id of what is asked.
func request(ctx context.Context, id string) (Request, error) {
	parsed, err := uuid.Parse(id)
	if err != nil {
		return Request{}, errs.Invalid("request_id", "must be a UUID")
	}
	return Request{ID: parsed, By: rpc.CallerFrom(ctx).Principal.Key}, nil
}

// collectiveID reads `collectives/{collective}`.
func collectiveID(name string) (string, error) {
	id, ok := collectives.ParseName(name)
	if !ok {
		return "", errs.NotFound(name)
	}
	return id, nil
}

// ofCollective reads `collectives/{collective}/{kind}/{id}`.
func ofCollective(name, kind string) (collective string, id uuid.UUID, err error) {
	parent, last, ok := strings.Cut(name, "/"+kind+"/")
	if !ok {
		return "", uuid.Nil, errs.NotFound(name)
	}
	if collective, err = collectiveID(parent); err != nil {
		return "", uuid.Nil, errs.NotFound(name)
	}
	if id, err = uuid.Parse(last); err != nil {
		return "", uuid.Nil, errs.NotFound(name)
	}
	return collective, id, nil
}

// ofCampaign reads `collectives/{collective}/campaigns/{campaign}/{kind}/{id}`.
func ofCampaign(name, kind string) (campaign campaigns.Name, id uuid.UUID, err error) {
	parent, last, ok := strings.Cut(name, "/"+kind+"/")
	if !ok {
		return campaign, uuid.Nil, errs.NotFound(name)
	}
	if campaign, err = campaigns.ParseName(parent); err != nil {
		return campaign, uuid.Nil, errs.NotFound(name)
	}
	if id, err = uuid.Parse(last); err != nil {
		return campaign, uuid.Nil, errs.NotFound(name)
	}
	return campaign, id, nil
}

// change is a request that changes one thing.
type change interface {
	GetName() string
	GetRequestId() string
}

// ofCollectiveChanged reads what of a collective's a request changes, and the request's own id.
func ofCollectiveChanged(ctx context.Context, req change, kind string) (collective string, id uuid.UUID, r Request, err error) {
	if collective, id, err = ofCollective(req.GetName(), kind); err != nil {
		return collective, id, r, err
	}
	r, err = request(ctx, req.GetRequestId())
	return collective, id, r, err
}

// ofCampaignChanged reads what of a campaign's a request changes, and the request's own id.
func ofCampaignChanged(ctx context.Context, req change, kind string) (campaign campaigns.Name, id uuid.UUID, r Request, err error) {
	if campaign, id, err = ofCampaign(req.GetName(), kind); err != nil {
		return campaign, id, r, err
	}
	r, err = request(ctx, req.GetRequestId())
	return campaign, id, r, err
}

// each converts a list.
func each[T, P any](list []T, convert func(T) P) []P {
	converted := make([]P, len(list))
	for i, item := range list {
		converted[i] = convert(item)
	}
	return converted
}

// answer converts what a call of the service returns.
func answer[T, P any](convert func(T) *P) func(T, error) (*P, error) {
	return func(item T, err error) (*P, error) {
		if err != nil {
			return nil, err
		}
		return convert(item), nil
	}
}

func (d Day) time() time.Time {
	t, _ := time.Parse(time.DateOnly, string(d))
	return t
}

// nameOr is the name of what has an id; empty for none.
func nameOr(id uuid.UUID, name string) string {
	if id == uuid.Nil {
		return ""
	}
	return name
}

// known returns the key of a value in a table of enums.
func known[K, V comparable](table map[K]V, value V) (key K, ok bool) {
	for k, v := range table {
		if v == value {
			return k, true
		}
	}
	return key, false
}

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
	r, err := request(ctx, req.GetRequestId())
	if err != nil {
		return nil, err
	}
	method, ok := known(methods, req.GetMethod())
	if !ok {
		return nil, errs.Invalid("method", "must be said")
	}
	g := Donation{
		Campaign: campaign, Amount: wire.Amount(req.GetAmount()), Method: method, ReceivedOn: Day(req.GetReceiveDate()),
		Document: req.GetDocument(), OutsideBooks: req.GetOutsideBooks(), Stage: req.GetStage(), Another: req.GetAnother(),
	}
	if req.GetPledge() != "" {
		of, id, err := ofCampaign(req.GetPledge(), "pledges")
		if err != nil || of != campaign {
			return nil, errs.Invalid("pledge", "must be a pledge of the campaign")
		}
		g.Pledge = id
	}
	return donationAnswer(s.service.CreateDonation(ctx, r, g))
}

var donationAnswer = answer(donationToProto)

func (s *server) GetOfflineDonation(ctx context.Context, req *treasuryv1.GetOfflineDonationRequest) (*treasuryv1.OfflineDonation, error) {
	campaign, id, err := ofCampaign(req.GetName(), "offlineDonations")
	if err != nil {
		return nil, err
	}
	return donationAnswer(s.service.Donation(ctx, campaign, id))
}

func (s *server) ListOfflineDonations(ctx context.Context, req *treasuryv1.ListOfflineDonationsRequest) (*treasuryv1.ListOfflineDonationsResponse, error) {
	campaign, err := campaigns.ParseName(req.GetParent())
	if err != nil {
		return nil, err
	}
	found, next, err := page.List(req, "offline donations of "+campaign.String(), newest, func(at Position, count int) ([]Donation, error) {
		return s.service.Donations(ctx, campaign, at, count)
	}, func(g Donation) Position { return Position{g.CreateTime, g.ID} })
	return &treasuryv1.ListOfflineDonationsResponse{OfflineDonations: each(found, donationToProto), NextPageToken: next}, err
}

func (s *server) BankCheques(ctx context.Context, req *treasuryv1.BankChequesRequest) (*treasuryv1.Deposit, error) {
	collective, err := collectiveID(req.GetParent())
	if err != nil {
		return nil, err
	}
	r, err := request(ctx, req.GetRequestId())
	if err != nil {
		return nil, err
	}
	var cheques []cheque
	for _, name := range req.GetCheques() {
		campaign, id, err := ofCampaign(name, "offlineDonations")
		if err != nil || campaign.Collective != collective {
			return nil, errNotHeld(name)
		}
		cheques = append(cheques, cheque{campaign: campaign, id: id})
	}
	d, err := s.service.BankCheques(ctx, r, Deposit{
		Collective: collective, BankedOn: Day(req.GetBankDate()), Document: req.GetDocument(), Another: req.GetAnother(),
	}, cheques)
	if err != nil {
		return nil, err
	}
	return &treasuryv1.Deposit{
		Name: d.Name(), Total: wire.Money(d.Total), BankDate: string(d.BankedOn), Document: d.Document, Cheques: d.Cheques,
		CreateTime: wire.Time(d.CreateTime),
	}, nil
}

func (s *server) BounceCheque(ctx context.Context, req *treasuryv1.BounceChequeRequest) (*treasuryv1.OfflineDonation, error) {
	campaign, id, r, err := ofCampaignChanged(ctx, req, "offlineDonations")
	if err != nil {
		return nil, err
	}
	return donationAnswer(s.service.BounceCheque(ctx, r, campaign, id, Day(req.GetBounceDate())))
}

func (s *server) ReverseOfflineDonation(ctx context.Context, req *treasuryv1.ReverseOfflineDonationRequest) (*treasuryv1.OfflineDonation, error) {
	campaign, id, r, err := ofCampaignChanged(ctx, req, "offlineDonations")
	if err != nil {
		return nil, err
	}
	return donationAnswer(s.service.ReverseDonation(ctx, r, campaign, id, req.GetReason()))
}

func donationToProto(g Donation) *treasuryv1.OfflineDonation {
	group := "collectives/" + g.Campaign.Collective
	return &treasuryv1.OfflineDonation{
		Name:          g.Name(),
		Amount:        wire.Money(g.Amount),
		Method:        methods[g.Method],
		ReceiveDate:   string(g.ReceivedOn),
		Document:      g.Document,
		Pledge:        nameOr(g.Pledge, pledgeName(g.Campaign, g.Pledge)),
		OutsideBooks:  g.OutsideBooks,
		Stage:         g.Stage,
		State:         donationStates[g.State],
		Deposit:       nameOr(g.Deposit, group+"/deposits/"+g.Deposit.String()),
		BankDate:      string(g.BankedOn),
		BounceDate:    string(g.BouncedOn),
		ReverseReason: g.ReverseReason,
		BankLine:      nameOr(g.BankLine, lineName(g.Campaign.Collective, g.BankLine)),
		Creator:       g.CreatedBy,
		CreateTime:    wire.Time(g.CreateTime),
		UpdateTime:    wire.Time(g.UpdateTime),
	}
}
