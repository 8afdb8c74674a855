package app_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	donationsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/donations/v1"
	recurringv1 "github.com/cagnotte/cagnotte/proto/cagnotte/recurring/v1"
	refundsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/refunds/v1"
	"github.com/cagnotte/cagnotte/services/internal/apptest"
	"github.com/cagnotte/cagnotte/services/internal/stripesim"
)

// given is a collective with an account of its own, a donation of 20 € and a monthly one, both booked.
type given struct {
	collective, campaign, owner, account string
	once, month                          *donationsv1.Donation
}

func givenTo(t *testing.T, e *apptest.Env, conn grpc.ClientConnInterface) given {
	t.Helper()
	slug := "vallon-" + map[bool]string{true: "grpc", false: "rest"}[conn == grpc.ClientConnInterface(e.Conn)]
	g := given{collective: "collectives/" + slug}
	g.campaign, g.owner = e.Campaign(slug)
	g.account = connected(t, e, g.owner, g.collective)
	monthly := donationTo(g.campaign)
	monthly.Recurrence = donationsv1.Recurrence_RECURRENCE_MONTHLY
	g.month, g.once = give(t, conn, monthly), give(t, conn, donationTo(g.campaign))
	for _, s := range e.Sim.Sessions(g.account) {
		if err := e.Sim.Pay(s.ID, stripesim.CardOK); err != nil {
			t.Fatal(err)
		}
	}
	g.settles(t, e, 40_00)
	e.Eventually("the monthly donation goes on", func() bool {
		r, err := recurringv1.NewRecurringServiceClient(conn).GetRecurringDonation(apptest.WithKey(t.Context(), g.owner),
			&recurringv1.GetRecurringDonationRequest{Name: g.month.GetRecurringDonation()})
		return err == nil && r.GetState() == recurringActive
	})
	return g
}

func (g given) settles(t *testing.T, e *apptest.Env, minor int64) {
	t.Helper()
	e.Eventually("what was given is booked", func() bool { settled, _ := progress(t, e.Conn, g.campaign); return settled == minor })
}

// refund asks for the donation that was given once.
func (g given) refund() *refundsv1.CreateRefundRequest {
	return &refundsv1.CreateRefundRequest{
		Parent: g.once.GetName(), RequestId: uuid.NewString(),
		Refund: &refundsv1.Refund{Reason: refundsv1.RefundReason_REFUND_REASON_REQUESTED_BY_DONOR},
	}
}

// An account from which Stripe wants papers takes no donations. What was given goes back all the same, and a monthly donation
// can be seen and ended: else it would go on, against its donor's will, once the papers are there.
func TestAnAccountThatTakesNoDonationsGivesBack(t *testing.T) {
	e := apptest.Start(t, apptest.Config{})
	e.OverBoth(t, func(t *testing.T, conn grpc.ClientConnInterface) {
		g := givenTo(t, e, conn)
		as := apptest.WithKey(t.Context(), g.owner)
		if err := e.Sim.SetAccountState(g.account, stripesim.AccountState{
			DetailsSubmitted: true, CurrentlyDue: []string{"external_account"}, DisabledReason: "requirements.past_due",
		}); err != nil {
			t.Fatal(err)
		}
		e.Eventually("it takes no payments", func() bool { return !connection(t, conn, g.owner, g.collective).GetChargesEnabled() })
		refusedDonation(t, conn, g.campaign, "STRIPE_ACCOUNT_NOT_READY")

		if _, err := refundsv1.NewRefundsServiceClient(conn).CreateRefund(as, g.refund()); err != nil {
			t.Errorf("refund: %v", err)
		}
		g.settles(t, e, 20_00)
		client := recurringv1.NewRecurringServiceClient(conn)
		list, err := client.ListRecurringDonations(as, &recurringv1.ListRecurringDonationsRequest{Parent: g.campaign})
		if err != nil || len(list.GetRecurringDonations()) != 1 {
			t.Errorf("listed: %v, %v", list, err)
		}
		r, err := client.CancelRecurringDonation(as, &recurringv1.CancelRecurringDonationRequest{Name: g.month.GetRecurringDonation()})
		if err != nil || r.GetState() != recurringCanceled {
			t.Errorf("ended: %v, %v", r, err)
		}
	})
}

// Once an account is deauthorised Stripe is told nothing more about it, whoever asks and whatever waits; what is known
// of it stays to be read, and a pending end stays.
func TestADeauthorisedAccountIsWrittenToNoMore(t *testing.T) {
	e := apptest.Start(t, apptest.Config{})
	e.OverBoth(t, func(t *testing.T, conn grpc.ClientConnInterface) {
		g := givenTo(t, e, conn)
		as := apptest.WithKey(t.Context(), g.owner)
		books := balances(t, conn, g.owner, g.collective)
		// An end that Stripe did not take waits.
		monthly := recurringv1.NewRecurringServiceClient(conn)
		end := &recurringv1.CancelRecurringDonationRequest{Name: g.month.GetRecurringDonation()}
		e.Sim.AddFault(stripesim.Fault{Method: http.MethodDelete, PathPrefix: "/v1/subscriptions/", Times: 1, Status: 500})
		if r, err := monthly.CancelRecurringDonation(as, end); err != nil || !r.GetChangePending() {
			t.Fatalf("while Stripe fails: %v, %v", r, err)
		}
		if err := e.Sim.Deauthorize(g.account); err != nil {
			t.Fatal(err)
		}
		e.Eventually("it is known", func() bool { return !connection(t, conn, g.owner, g.collective).GetConnected() })
		from := len(e.Sim.Requests())

		refusedDonation(t, conn, g.campaign, "STRIPE_ACCOUNT_DISCONNECTED")
		_, err := refundsv1.NewRefundsServiceClient(conn).CreateRefund(as, g.refund())
		wantError(t, err, codes.FailedPrecondition, "STRIPE_ACCOUNT_DISCONNECTED", "")
		if r, err := monthly.CancelRecurringDonation(as, end); err != nil || !r.GetChangePending() || !r.GetAccountDisconnected() {
			t.Errorf("an end while it is disconnected: %v, %v", r, err)
		}
		_, err = onboard(t, conn, g.owner, g.collective, uuid.NewString())
		wantError(t, err, codes.FailedPrecondition, "STRIPE_ACCOUNT_DISCONNECTED", "")
		e.Clock.Advance(time.Hour) // what waits is due, and the timers begin with the program
		e.StopApp()
		e.StartApp()
		for what, read := range map[string]func(context.Context) error{
			"the donation": func(ctx context.Context) error {
				_, err := donationsv1.NewDonationsServiceClient(e.Conn).GetDonation(ctx, &donationsv1.GetDonationRequest{Name: g.once.GetName()})
				return err
			},
			"the monthly donation": func(ctx context.Context) error {
				_, err := recurringv1.NewRecurringServiceClient(e.Conn).GetRecurringDonation(ctx,
					&recurringv1.GetRecurringDonationRequest{Name: g.month.GetRecurringDonation()})
				return err
			},
			"the refunds": func(ctx context.Context) error {
				_, err := refundsv1.NewRefundsServiceClient(e.Conn).ListRefunds(ctx, &refundsv1.ListRefundsRequest{Parent: g.once.GetName()})
				return err
			},
		} {
			if err := read(as); err != nil {
				t.Errorf("%s: %v", what, err)
			}
		}
		if diff := cmp.Diff(books, balances(t, e.Conn, g.owner, g.collective)); diff != "" {
			t.Errorf("the books (-before +after)\n%s", diff)
		}
		for _, r := range e.Sim.Requests()[from:] {
			if r.Method != http.MethodGet && (r.Account == g.account || r.Account == "") {
				t.Errorf("%s %s of account %q", r.Method, r.Path, r.Account)
			}
		}
	})
}
