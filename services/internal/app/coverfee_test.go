package app_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	campaignsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
	donationsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/donations/v1"
	"github.com/cagnotte/cagnotte/services/internal/apptest"
	"github.com/cagnotte/cagnotte/services/internal/stripesim"
)

func TestCoveringTheFee(t *testing.T) {
	e := apptest.Start(t, apptest.Config{})
	e.OverBoth(t, func(t *testing.T, conn grpc.ClientConnInterface) {
		slug := "vallon-grpc"
		if conn != grpc.ClientConnInterface(e.Conn) {
			slug = "vallon-rest"
		}
		campaign, owner := e.Campaign(slug)
		c, err := campaignsv1.NewCampaignsServiceClient(conn).GetCampaign(t.Context(), &campaignsv1.GetCampaignRequest{Name: campaign})
		if err != nil {
			t.Fatal(err)
		}
		want := &campaignsv1.FeeEstimate{BasisPoints: 150, Fixed: apptest.Euros(25)}
		if diff := cmp.Diff(want, c.GetFeeEstimate(), protocmp.Transform()); diff != "" {
			t.Errorf("the public estimate (-want +got):\n%s", diff)
		}

		req := donationTo(campaign)
		req.Donation.Amount, req.CoverFee = apptest.Euros(10_00), true
		d := give(t, conn, req)
		if d.GetAmount().GetAmountMinor() != 10_41 || d.GetFeeCover().GetAmountMinor() != 41 {
			t.Errorf("the donation is %v, of it for the fee %v", d.GetAmount(), d.GetFeeCover())
		}
		if s := session(t, e, d); s.AmountMinor != 10_41 {
			t.Errorf("Stripe asks for %d", s.AmountMinor)
		}
		if again := give(t, conn, req); again.GetName() != d.GetName() {
			t.Errorf("the same request made %s and %s", d.GetName(), again.GetName())
		}
		other := proto.Clone(req).(*donationsv1.CreateDonationRequest)
		other.CoverFee = false
		_, err = donationsv1.NewDonationsServiceClient(conn).CreateDonation(t.Context(), other)
		wantError(t, err, codes.AlreadyExists, "REQUEST_ID_REUSED", "")

		// The campaign's largest donation is 800 €: it bounds what the collective is to have, and not the whole.
		top := donationTo(campaign)
		top.Donation.Amount, top.CoverFee = apptest.Euros(800_00), true
		if got := give(t, conn, top); got.GetAmount().GetAmountMinor() != 812_44 {
			t.Errorf("the largest donation is %v", got.GetAmount())
		}

		pay(t, e, d)
		e.Eventually("the whole counts", func() bool { settled, _ := progress(t, e.Conn, campaign); return settled == 10_41 })
		// The fee is Stripe's own figure, 1.5 % + 0.25 € of the whole, and what was wanted is left.
		if diff := cmp.Diff(map[string]int64{"754": -10_41, "512": 10_00, "627": 41}, byPrefix(balances(t, conn, owner, "collectives/"+slug))); diff != "" {
			t.Errorf("the books (-want +got):\n%s", diff)
		}

		dear := donationTo(campaign)
		dear.CoverFee = true
		abroad := give(t, conn, dear)
		if err := e.Sim.Pay(session(t, e, abroad).ID, stripesim.CardInternational); err != nil {
			t.Fatal(err)
		}
		e.Eventually("a donation from abroad counts whole, whatever it cost", func() bool {
			settled, _ := progress(t, e.Conn, campaign)
			return settled == 10_41+abroad.GetAmount().GetAmountMinor()
		})
	})
}

// byPrefix shortens account codes to three digits.
func byPrefix(balances map[string]int64) map[string]int64 {
	out := map[string]int64{}
	for code, minor := range balances {
		out[code[:3]] += minor
	}
	return out
}
