package treasury

import (
	"context"

	treasuryv1 "github.com/cagnotte/cagnotte/proto/cagnotte/treasury/v1"
	"github.com/cagnotte/cagnotte/services/internal/calendar"
	"github.com/cagnotte/cagnotte/services/internal/page"
	"github.com/cagnotte/cagnotte/services/internal/wire"
)

func (s *server) CreateDeposit(ctx context.Context, req *treasuryv1.CreateDepositRequest) (*treasuryv1.Deposit, error) {
	collective, err := collectiveID(req.GetParent())
	if err != nil {
		return nil, err
	}
	r, err := NewRequest(ctx, req.GetRequestId())
	if err != nil {
		return nil, err
	}
	sent := req.GetDeposit()
	d := Deposit{
		Collective: collective, BankedOn: calendar.Day(sent.GetBankDate()), Document: sent.GetDocument(), AllowDuplicate: sent.GetAllowDuplicate(),
	}
	// A name of another collective is refused in the words for a cheque that is not there.
	for _, name := range sent.GetCheques() {
		campaign, id, err := ofCampaign(name, "offlineDonations")
		if err != nil || campaign.Collective != collective {
			return nil, errNotHeld(name)
		}
		d.Cheques = append(d.Cheques, Cheque{Campaign: campaign, ID: id})
	}
	return depositAnswer(s.service.CreateDeposit(ctx, r, d))
}

var depositAnswer = answer(depositToProto)

func (s *server) GetDeposit(ctx context.Context, req *treasuryv1.GetDepositRequest) (*treasuryv1.Deposit, error) {
	collective, id, err := ofCollective(req.GetName(), "deposits")
	if err != nil {
		return nil, err
	}
	return depositAnswer(s.service.Deposit(ctx, collective, id))
}

func (s *server) ListDeposits(ctx context.Context, req *treasuryv1.ListDepositsRequest) (*treasuryv1.ListDepositsResponse, error) {
	collective, err := collectiveID(req.GetParent())
	if err != nil {
		return nil, err
	}
	found, next, err := page.List(req, "deposits of "+collective, newest, func(after Position, limit int) ([]Deposit, error) {
		return s.service.Deposits(ctx, collective, after, limit)
	}, func(d Deposit) Position { return Position{d.CreateTime, d.ID} })
	return &treasuryv1.ListDepositsResponse{Deposits: each(found, depositToProto), NextPageToken: next}, err
}

func depositToProto(d Deposit) *treasuryv1.Deposit {
	return &treasuryv1.Deposit{
		Name: d.Name(), Cheques: each(d.Cheques, Cheque.Name), BankDate: string(d.BankedOn), Document: d.Document,
		Total: wire.Money(d.Total), CreateTime: wire.Time(d.CreateTime),
		Items: each(d.Cheques, func(c Cheque) *treasuryv1.DepositCheque {
			return &treasuryv1.DepositCheque{Cheque: c.Name(), Amount: wire.Money(c.Amount), Document: c.Document, State: donationStates[c.State]}
		}),
	}
}
