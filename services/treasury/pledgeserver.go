package treasury

import (
	"context"

	treasuryv1 "github.com/cagnotte/cagnotte/proto/cagnotte/treasury/v1"
	"github.com/cagnotte/cagnotte/services/campaigns"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/page"
	"github.com/cagnotte/cagnotte/services/internal/rpc"
	"github.com/cagnotte/cagnotte/services/internal/wire"
)

func (s *server) CreatePledge(ctx context.Context, req *treasuryv1.CreatePledgeRequest) (*treasuryv1.Pledge, error) {
	campaign, err := campaigns.ParseName(req.GetParent())
	if err != nil {
		return nil, err
	}
	r, err := NewRequest(ctx, req.GetRequestId())
	if err != nil {
		return nil, err
	}
	sent := req.GetPledge()
	method, ok := known(methods, sent.GetMethod())
	if !ok {
		return nil, errs.Invalid("pledge.method", "is required")
	}
	// Both come from the gateway and not from the message.
	caller := rpc.CallerFrom(ctx)
	p, err := s.service.CreatePledge(ctx, r, NewPledge{
		Campaign: campaign, Amount: wire.Amount(sent.GetAmount()), Method: method, Locale: sent.GetLocale(),
		Origin: caller.Origin, Address: caller.Address, Solution: req.GetChallengeSolution(),
	})
	if err != nil {
		return nil, err
	}
	return s.withSlip(ctx, p)
}

func (s *server) GetPledge(ctx context.Context, req *treasuryv1.GetPledgeRequest) (*treasuryv1.Pledge, error) {
	campaign, id, err := ParsePledgeName(req.GetName())
	if err != nil {
		return nil, err
	}
	p, err := s.service.Pledge(ctx, campaign, id)
	if err != nil {
		return nil, err
	}
	return s.withSlip(ctx, p)
}

func (s *server) ListPledges(ctx context.Context, req *treasuryv1.ListPledgesRequest) (*treasuryv1.ListPledgesResponse, error) {
	campaign, err := campaigns.ParseName(req.GetParent())
	if err != nil {
		return nil, err
	}
	// Without the reference in it a token of the whole list would continue a search.
	filter := "pledges of " + campaign.String() + " like " + req.GetReference()
	found, next, err := page.List(req, filter, newest, func(after Position, limit int) ([]Pledge, error) {
		return s.service.Pledges(ctx, campaign, req.GetReference(), after, limit)
	}, func(p Pledge) Position { return Position{p.CreateTime, p.ID} })
	return &treasuryv1.ListPledgesResponse{Pledges: each(found, s.pledgeToProto), NextPageToken: next}, err
}

func (s *server) ListPledgeMethods(ctx context.Context, req *treasuryv1.ListPledgeMethodsRequest) (*treasuryv1.ListPledgeMethodsResponse, error) {
	campaign, err := campaigns.ParseName(req.GetParent())
	if err != nil {
		return nil, err
	}
	offered, err := s.service.PledgeMethods(ctx, campaign)
	return &treasuryv1.ListPledgeMethodsResponse{
		Methods: each(offered, func(m Method) treasuryv1.OfflineMethod { return methods[m] }),
	}, err
}

// withSlip adds the slip to a pledge that is open.
// A slip has the collective's account or address. A pledge that expired or is
// fulfilled has none.
func (s *server) withSlip(ctx context.Context, p Pledge) (*treasuryv1.Pledge, error) {
	answer := s.pledgeToProto(p)
	if answer.GetState() != treasuryv1.PledgeState_PLEDGE_STATE_OPEN {
		return answer, nil
	}
	slip, err := s.service.Slip(ctx, p)
	switch {
	case err != nil:
		return nil, err
	case slip.IBAN != "":
		answer.Transfer = &treasuryv1.TransferSlip{
			Holder: slip.Holder, Iban: slip.IBAN, Bic: slip.BIC, RemittanceText: p.Reference, EpcPayload: slip.EPC, EpcQrSvg: slip.QR,
		}
	case slip.Payee != "":
		answer.Cheque = &treasuryv1.ChequeSlip{Payee: slip.Payee, PostalAddress: slip.PostalAddress}
	}
	return answer, nil
}

// The state is told by the donation and the clock; it is stored nowhere. A donation counts also when it came after the
// pledge expired.
func (s *server) pledgeToProto(p Pledge) *treasuryv1.Pledge {
	state := treasuryv1.PledgeState_PLEDGE_STATE_OPEN
	switch {
	case p.Fulfilled():
		state = treasuryv1.PledgeState_PLEDGE_STATE_FULFILLED
	case !s.service.now().Before(p.ExpireTime):
		state = treasuryv1.PledgeState_PLEDGE_STATE_EXPIRED
	}
	return &treasuryv1.Pledge{
		Name:       p.Name(),
		Amount:     wire.Money(p.Amount),
		Method:     methods[p.Method],
		Reference:  p.Reference,
		State:      state,
		Locale:     p.Locale,
		CreateTime: wire.Time(p.CreateTime),
		ExpireTime: wire.Time(p.ExpireTime),
	}
}
