package app_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	treasuryv1 "github.com/cagnotte/cagnotte/proto/cagnotte/treasury/v1"
	"github.com/cagnotte/cagnotte/services/internal/apptest"
	"github.com/cagnotte/cagnotte/services/wall"
)

func TestAPledgeIsMade(t *testing.T) {
	e := apptest.Start(t, apptest.Config{Wall: wall.Limits{Near: wall.Network{Soft: 8, Hard: 8, Interval: time.Hour}}})
	y := newTreasury(t, e, "vallon")
	e.OverBoth(t, func(t *testing.T, conn grpc.ClientConnInterface) {
		hand := treasuryv1.NewTreasuryServiceClient(conn)
		req := &treasuryv1.CreatePledgeRequest{
			Parent: y.campaign, RequestId: uuid.NewString(), Pledge: &treasuryv1.Pledge{Amount: apptest.Euros(25_50), Method: treasuryv1.OfflineMethod_OFFLINE_METHOD_TRANSFER},
		}
		p, err := hand.CreatePledge(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		slip := p.GetTransfer()
		if slip.GetIban() != treasuryIBAN || slip.GetRemittanceText() != p.GetReference() || !strings.HasPrefix(slip.GetEpcQrSvg(), "<svg ") ||
			!strings.Contains(slip.GetEpcPayload(), "\nEUR25.50\n\n\n"+p.GetReference()) {
			t.Errorf("the slip is %v", slip)
		}
		again, err := hand.CreatePledge(t.Context(), req)
		if err != nil || !proto.Equal(p, again) {
			t.Errorf("sent twice: %v, err = %v", again, err)
		}
		seen, err := hand.GetPledge(t.Context(), &treasuryv1.GetPledgeRequest{Name: p.GetName()})
		if err != nil || !proto.Equal(p, seen) {
			t.Errorf("seen is %v, err = %v", seen, err)
		}
		if settled, pending := progress(t, e.Conn, y.campaign); settled != 0 || pending != 0 {
			t.Errorf("a promise counts: %d, %d", settled, pending)
		}
		written := strings.ToLower(strings.ReplaceAll(p.GetReference(), "-", " "))
		found, err := hand.ListPledges(apptest.WithKey(t.Context(), y.reader), &treasuryv1.ListPledgesRequest{Parent: y.campaign, Reference: written})
		if err != nil || len(found.GetPledges()) != 1 || found.GetPledges()[0].GetName() != p.GetName() {
			t.Errorf("found %v, err = %v", found, err)
		}
		offered, err := hand.ListPledgeMethods(t.Context(), &treasuryv1.ListPledgeMethodsRequest{Parent: y.campaign})
		if err != nil || len(offered.GetMethods()) != 3 {
			t.Errorf("offered are %v, err = %v", offered, err)
		}
		req.RequestId, req.Pledge.Method = uuid.NewString(), treasuryv1.OfflineMethod_OFFLINE_METHOD_CHEQUE
		if p, err = hand.CreatePledge(t.Context(), req); err != nil || len(p.GetCheque().GetPostalAddress()) != 2 || p.GetTransfer() != nil {
			t.Errorf("by cheque: %v, err = %v", p, err)
		}
		req.RequestId, req.Pledge.Amount = uuid.NewString(), apptest.Euros(50)
		_, err = hand.CreatePledge(t.Context(), req)
		wantError(t, err, codes.InvalidArgument, "AMOUNT_TOO_SMALL", "pledge.amount.amount_minor")
		_, err = hand.ListPledges(t.Context(), &treasuryv1.ListPledgesRequest{Parent: y.campaign})
		wantError(t, err, codes.Unauthenticated, "UNAUTHENTICATED", "")
	})
	hand := treasuryv1.NewTreasuryServiceClient(e.Conn)
	req := func() *treasuryv1.CreatePledgeRequest {
		return &treasuryv1.CreatePledgeRequest{
			Parent: y.campaign, RequestId: uuid.NewString(), Pledge: &treasuryv1.Pledge{Amount: apptest.Euros(5_00), Method: treasuryv1.OfflineMethod_OFFLINE_METHOD_CASH},
		}
	}
	t.Run("from allowed pages only", func(t *testing.T) {
		header := http.Header{"Origin": {"https://elsewhere.example"}}
		_, err := treasuryv1.NewTreasuryServiceClient(&apptest.RESTConn{URL: e.URL, Header: header}).CreatePledge(t.Context(), req())
		wantError(t, err, codes.PermissionDenied, "ORIGIN_NOT_ALLOWED", "")
	})
	t.Run("and not too many, nor then donations, from one network", func(t *testing.T) {
		for range 8 {
			if _, err := hand.CreatePledge(t.Context(), req()); err != nil {
				wantError(t, err, codes.ResourceExhausted, "TOO_MANY_DONATIONS", "")
				return
			}
		}
		t.Error("nothing limits pledges")
	})
	t.Run("it expires, and money that comes is a donation all the same", func(t *testing.T) {
		list, err := hand.ListPledges(apptest.WithKey(t.Context(), y.reader), &treasuryv1.ListPledgesRequest{Parent: y.campaign, PageSize: 1})
		if err != nil {
			t.Fatal(err)
		}
		name := list.GetPledges()[0].GetName()
		e.Clock.Advance(91 * 24 * time.Hour)
		p, err := hand.GetPledge(t.Context(), &treasuryv1.GetPledgeRequest{Name: name})
		if err != nil || p.GetState() != treasuryv1.PledgeState_PLEDGE_STATE_EXPIRED {
			t.Errorf("it is %v, err = %v", p, err)
		}
		late := y.cash(5_00)
		late.OfflineDonation.Pledge = name
		if _, err := hand.CreateOfflineDonation(y.ctx(t), late); err != nil {
			t.Fatal(err)
		}
		if p, err = hand.GetPledge(t.Context(), &treasuryv1.GetPledgeRequest{Name: name}); err != nil || p.GetState() != treasuryv1.PledgeState_PLEDGE_STATE_FULFILLED {
			t.Errorf("it is %v, err = %v", p, err)
		}
		late = y.cash(5_00)
		late.OfflineDonation.Pledge = name
		_, err = hand.CreateOfflineDonation(y.ctx(t), late)
		wantError(t, err, codes.FailedPrecondition, "PLEDGE_FULFILLED", "")
	})
}
