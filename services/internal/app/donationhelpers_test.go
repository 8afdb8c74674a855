package app_test

import (
	"context"
	"strings"
	"testing"

	"github.com/google/uuid"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"pgregory.net/rapid"

	campaignsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
	donationsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/donations/v1"
	ledgerv1 "github.com/cagnotte/cagnotte/proto/cagnotte/ledger/v1"
	"github.com/cagnotte/cagnotte/services/internal/apptest"
	"github.com/cagnotte/cagnotte/services/internal/stripesim"
)

// donation asks for a donation of 20 €.
func donationTo(campaign string) *donationsv1.CreateDonationRequest {
	return &donationsv1.CreateDonationRequest{Parent: campaign, Donation: &donationsv1.Donation{Amount: apptest.Euros(20_00)}, RequestId: uuid.NewString()}
}

// give starts a donation and answers it.
func give(t *testing.T, conn grpc.ClientConnInterface, req *donationsv1.CreateDonationRequest) *donationsv1.Donation {
	t.Helper()
	d, err := donationsv1.NewDonationsServiceClient(conn).CreateDonation(t.Context(), req)
	if err != nil {
		t.Fatalf("start a donation: %v", err)
	}
	return d
}

// session finds the payment page of a donation at the simulator.
func session(t *testing.T, e *apptest.Env, d *donationsv1.Donation) stripesim.Session {
	t.Helper()
	for _, s := range e.Sim.Sessions("") {
		if s.URL == d.GetCheckoutUrl() {
			return s
		}
	}
	t.Fatalf("%s: no session at Stripe has the address %q", d.GetName(), d.GetCheckoutUrl())
	return stripesim.Session{}
}

// pay pays a donation as its donor does.
func pay(t *testing.T, e *apptest.Env, d *donationsv1.Donation) {
	t.Helper()
	if err := e.Sim.Pay(session(t, e, d).ID, stripesim.CardOK); err != nil {
		t.Fatalf("pay %s: %v", d.GetName(), err)
	}
}

func outcome(t *testing.T, conn grpc.ClientConnInterface, d *donationsv1.Donation) donationsv1.DonationOutcome {
	t.Helper()
	s, err := donationsv1.NewDonationsServiceClient(conn).GetDonationStatus(t.Context(),
		&donationsv1.GetDonationStatusRequest{Name: d.GetName() + "/status"})
	if err != nil {
		t.Fatalf("status of %s: %v", d.GetName(), err)
	}
	return s.GetOutcome()
}

func progress(t rapid.TB, conn grpc.ClientConnInterface, campaign string) (settled, pending int64) {
	t.Helper()
	c, err := campaignsv1.NewCampaignsServiceClient(conn).GetCampaign(context.Background(), &campaignsv1.GetCampaignRequest{Name: campaign})
	if err != nil {
		t.Fatalf("read %s: %v", campaign, err)
	}
	return c.GetProgress().GetSettled().GetAmountMinor(), c.GetProgress().GetPending().GetAmountMinor()
}

// balances are a collective's accounts that are not zero, by code, in cents.
func balances(t *testing.T, conn grpc.ClientConnInterface, key, collective string) map[string]int64 {
	t.Helper()
	list, err := ledgerv1.NewLedgerServiceClient(conn).ListAccounts(apptest.WithKey(t.Context(), key),
		&ledgerv1.ListAccountsRequest{Parent: collective + "/ledger"})
	if err != nil {
		t.Fatalf("accounts of %s: %v", collective, err)
	}
	out := map[string]int64{}
	for _, a := range list.GetAccounts() {
		for _, b := range a.GetBalances() {
			if b.GetAmountMinor() != 0 {
				out[a.GetCode()] += b.GetAmountMinor()
			}
		}
	}
	return out
}

// wantError checks code, reason and field of an error answer.
func wantError(t *testing.T, err error, code codes.Code, reason, field string) {
	t.Helper()
	s := status.Convert(err)
	var gotReason, gotField string
	for _, detail := range s.Details() {
		switch v := detail.(type) {
		case *errdetails.ErrorInfo:
			gotReason = v.GetReason()
		case *errdetails.BadRequest:
			gotField = v.GetFieldViolations()[0].GetField()
		}
	}
	if s.Code() != code || gotReason != reason || field != "" && gotField != field {
		t.Errorf("got %v %s on %q, want %v %s on %q (%v)", s.Code(), gotReason, gotField, code, reason, field, err)
	}
}

// stripeAccount finds the account for Stripe's balance: its number is the chart's business.
func stripeAccount(t *testing.T, conn grpc.ClientConnInterface, key, collective string) string {
	t.Helper()
	list, err := ledgerv1.NewLedgerServiceClient(conn).ListAccounts(apptest.WithKey(t.Context(), key),
		&ledgerv1.ListAccountsRequest{Parent: collective + "/ledger"})
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range list.GetAccounts() {
		if strings.Contains(a.GetDisplayName(), "Stripe") && a.GetType() == ledgerv1.AccountType_ACCOUNT_TYPE_ASSET {
			return a.GetCode()
		}
	}
	t.Fatal("the chart has no account for Stripe's balance")
	return ""
}

func countDonations(t *testing.T, e *apptest.Env, campaign string) int {
	t.Helper()
	list, err := donationsv1.NewDonationsServiceClient(e.Conn).ListDonations(apptest.WithKey(t.Context(), e.OperatorKey),
		&donationsv1.ListDonationsRequest{Parent: campaign, PageSize: 200})
	if err != nil {
		t.Fatal(err)
	}
	return len(list.GetDonations())
}
