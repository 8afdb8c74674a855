package app_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/timestamppb"

	accessv1 "github.com/cagnotte/cagnotte/proto/cagnotte/access/v1"
	donationsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/donations/v1"
	recurringv1 "github.com/cagnotte/cagnotte/proto/cagnotte/recurring/v1"
	"github.com/cagnotte/cagnotte/services/internal/apptest"
)

// A collective's donations are listed to its members and the operator, and to nobody else, by state and time.
func TestDonationsOfACollectiveAreListed(t *testing.T) {
	e := apptest.Start(t, apptest.Config{})
	_, stranger := e.Campaign("elsewhere")
	e.OverBoth(t, func(t *testing.T, conn grpc.ClientConnInterface) {
		slug := "vallon-" + strings.ToLower(strings.TrimPrefix(t.Name(), "TestDonationsOfACollectiveAreListed/"))
		campaign, owner := e.Campaign(slug, "https://vallon.example")
		collective := "collectives/" + slug
		req := donationTo(campaign)
		req.Donation.ReturnUrl = "https://vallon.example/merci"
		paid := give(t, conn, req)
		if paid.GetReturnUrl() != "" {
			t.Errorf("return_url is answered: %v", paid)
		}
		monthly := donationTo(campaign)
		monthly.Recurrence = donationsv1.Recurrence_RECURRENCE_MONTHLY
		open := give(t, conn, monthly)
		pay(t, e, paid)
		e.Eventually("the donation is booked", func() bool { settled, _ := progress(t, e.Conn, campaign); return settled == 20_00 })

		list := func(ctx context.Context, req *donationsv1.ListDonationsRequest) (string, error) {
			found, err := donationsv1.NewDonationsServiceClient(conn).ListDonations(ctx, req)
			var names []string
			for _, d := range found.GetDonations() {
				if d.GetReturnUrl() != "" {
					t.Errorf("return_url is answered: %v", d)
				}
				names = append(names, d.GetName())
			}
			return strings.Join(names, " "), err
		}
		succeeded := []donationsv1.DonationState{donationsv1.DonationState_DONATION_STATE_SUCCEEDED}
		later := timestamppb.New(e.Clock.Now().Add(time.Hour))
		as := map[string]context.Context{
			"owner": apptest.WithKey(t.Context(), owner), "editor": apptest.WithKey(t.Context(), e.Key(collective, accessv1.Role_ROLE_EDITOR)),
			"auditor": apptest.WithKey(t.Context(), e.Key(collective, accessv1.Role_ROLE_AUDITOR)), "operator": apptest.WithKey(t.Context(), e.OperatorKey),
		}
		for who, ctx := range as {
			for name, c := range map[string]struct {
				req  *donationsv1.ListDonationsRequest
				want string
			}{
				"all":     {&donationsv1.ListDonationsRequest{Parent: collective}, open.GetName() + " " + paid.GetName()},
				"a state": {&donationsv1.ListDonationsRequest{Parent: collective, States: succeeded}, paid.GetName()},
				"a time":  {&donationsv1.ListDonationsRequest{Parent: collective, States: succeeded, EndTime: later}, paid.GetName()},
				"later":   {&donationsv1.ListDonationsRequest{Parent: collective, StartTime: later}, ""},
			} {
				if got, err := list(ctx, c.req); err != nil || got != c.want {
					t.Errorf("%s, to the %s: %q, %v; want %q", name, who, got, err, c.want)
				}
			}
			recurring, err := recurringv1.NewRecurringServiceClient(conn).ListRecurringDonations(ctx, &recurringv1.ListRecurringDonationsRequest{
				Parent: collective, States: []recurringv1.RecurringDonationState{recurringv1.RecurringDonationState_RECURRING_DONATION_STATE_CREATED},
			})
			if err != nil || len(recurring.GetRecurringDonations()) != 1 {
				t.Errorf("the monthly donations, to the %s: %v, %v", who, recurring, err)
			}
		}
		_, err := list(apptest.WithKey(t.Context(), stranger), &donationsv1.ListDonationsRequest{Parent: collective})
		wantError(t, err, codes.NotFound, "NOT_FOUND", "")
		_, err = list(t.Context(), &donationsv1.ListDonationsRequest{Parent: collective})
		wantError(t, err, codes.Unauthenticated, "UNAUTHENTICATED", "")
		_, err = list(as["owner"], &donationsv1.ListDonationsRequest{Parent: collective, States: []donationsv1.DonationState{0}})
		wantError(t, err, codes.InvalidArgument, "INVALID_FIELD", "states[0]")
		_, err = list(as["owner"], &donationsv1.ListDonationsRequest{Parent: collective, StartTime: later, EndTime: timestamppb.New(e.Clock.Now())})
		wantError(t, err, codes.InvalidArgument, "INVALID_FIELD", "end_time")
	})
}
