package donations

import (
	"context"
	"testing"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"

	donationsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/donations/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/rpc"
	"github.com/cagnotte/cagnotte/services/internal/stripesim"
	"github.com/cagnotte/cagnotte/services/internal/wire"
	"github.com/cagnotte/cagnotte/services/money"
)

func (e *env) server() (donationsv1.DonationsServiceServer, context.Context) {
	return NewServer(e.donations), rpc.WithCaller(e.t.Context(), rpc.Caller{Origin: site, Address: network.Addr(), Network: network})
}

func request() *donationsv1.CreateDonationRequest {
	return &donationsv1.CreateDonationRequest{
		Parent: vallon.String(), RequestId: uuid.NewString(),
		Donation: &donationsv1.Donation{Amount: wire.Money(money.Amount{Minor: 20_00, Currency: money.EUR}), ReturnUrl: site + "/merci"},
	}
}

// jobs returns how many refresh jobs there are.
func (e *env) refreshJobs() (n int) {
	e.t.Helper()
	if err := e.pool.QueryRow(e.t.Context(), "SELECT count(*) FROM river.river_job WHERE kind = 'donation_refresh'").Scan(&n); err != nil {
		e.t.Fatal(err)
	}
	return n
}

func TestServer(t *testing.T) {
	e := newEnv(t)
	server, ctx := e.server()
	created, err := server.CreateDonation(ctx, request())
	if err != nil {
		t.Fatal(err)
	}
	if created.GetState() != donationsv1.DonationState_DONATION_STATE_CREATED || created.GetCheckoutUrl() == "" ||
		created.GetLocale() != "fr" || created.GetExpireTime() == nil || created.GetPayTime() != nil || created.GetBookTime() != nil {
		t.Errorf("created = %v", created)
	}
	got, err := server.GetDonation(ctx, &donationsv1.GetDonationRequest{Name: created.GetName()})
	if err != nil || got.String() != created.String() {
		t.Errorf("got = %v, %v", got, err)
	}
	status := func() *donationsv1.DonationStatus {
		t.Helper()
		s, err := server.GetDonationStatus(ctx, &donationsv1.GetDonationStatusRequest{Name: created.GetName() + "/status"})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	first := status()
	if first.GetOutcome() != donationsv1.DonationOutcome_DONATION_OUTCOME_OPEN || first.GetCheckoutUrl() != created.GetCheckoutUrl() ||
		first.GetReturnUrl() != site+"/merci" || first.GetName() != created.GetName()+"/status" {
		t.Errorf("status = %v", first)
	}
	t.Run("has Stripe asked once in ten seconds, however often a donor asks", func(t *testing.T) {
		for range 5 {
			status()
		}
		if n := e.refreshJobs(); n != 1 {
			t.Errorf("%d jobs", n)
		}
		e.endRefreshJobs()
		e.clock.Advance(lookSoonest)
		status()
		if n := e.refreshJobs(); n != 2 {
			t.Errorf("%d jobs after ten seconds", n)
		}
		e.endRefreshJobs()
	})
	t.Run("the answer heals a lost webhook", func(t *testing.T) {
		id := uuid.MustParse(created.GetName()[len(created.GetName())-36:])
		if err := e.donations.Refresh(ctx, id); err != nil {
			t.Fatal(err)
		}
		if got := status().GetOutcome(); got != donationsv1.DonationOutcome_DONATION_OUTCOME_OPEN {
			t.Errorf("unpaid: %v", got)
		}
		if err := e.sim.Pay(e.sim.Sessions("")[0].ID, stripesim.CardOK); err != nil {
			t.Fatal(err)
		}
		if err := e.donations.Refresh(ctx, id); err != nil {
			t.Fatal(err)
		}
		after := status()
		if after.GetOutcome() != donationsv1.DonationOutcome_DONATION_OUTCOME_RECEIVED || after.GetCheckoutUrl() != "" {
			t.Errorf("paid: %v", after)
		}
		before := e.refreshJobs()
		e.clock.Advance(lookLatest)
		status()
		if e.refreshJobs() != before {
			t.Error("a donation whose end is known is looked up again")
		}
	})
	t.Run("a name that names nothing", func(t *testing.T) {
		elsewhere := "collectives/vallon/campaigns/other/donations/" + created.GetName()[len(created.GetName())-36:]
		for _, name := range []string{elsewhere, vallon.String() + "/donations/" + uuid.NewString(), vallon.String() + "/donations/x", "x"} {
			if _, err := server.GetDonation(ctx, &donationsv1.GetDonationRequest{Name: name}); errs.Code(err) != codes.NotFound {
				t.Errorf("%s: %v", name, err)
			}
			if _, err := server.GetDonationStatus(ctx, &donationsv1.GetDonationStatusRequest{Name: name + "/status"}); errs.Code(err) != codes.NotFound {
				t.Errorf("%s/status: %v", name, err)
			}
		}
	})
}
