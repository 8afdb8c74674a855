package app_test

import (
	"testing"

	"github.com/google/uuid"
	"google.golang.org/grpc"

	donationsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/donations/v1"
	recurringv1 "github.com/cagnotte/cagnotte/proto/cagnotte/recurring/v1"
	refundsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/refunds/v1"
	"github.com/cagnotte/cagnotte/services/internal/apptest"
	"github.com/cagnotte/cagnotte/services/internal/stripesim"
)

// An account from which Stripe wants papers takes no gifts. What was given goes back all the same, and a monthly gift
// can be seen and ended: else it would go on, against its donor's will, once the papers are there.
func TestAnAccountThatTakesNoGiftsGivesBack(t *testing.T) {
	e := apptest.Start(t, apptest.Config{})
	e.OverBoth(t, func(t *testing.T, conn grpc.ClientConnInterface) {
		slug := "vallon-" + map[bool]string{true: "grpc", false: "rest"}[conn == grpc.ClientConnInterface(e.Conn)]
		campaign, owner := e.Campaign(slug)
		account := connected(t, e, owner, "collectives/"+slug)
		as := apptest.WithKey(t.Context(), owner)
		monthly := gift(campaign)
		monthly.Recurrence = donationsv1.Recurrence_RECURRENCE_MONTHLY
		month, once := give(t, conn, monthly), give(t, conn, gift(campaign))
		for _, s := range e.Sim.Sessions(account) {
			if err := e.Sim.Pay(s.ID, stripesim.CardOK); err != nil {
				t.Fatal(err)
			}
		}
		settles := func(minor int64) {
			t.Helper()
			e.Eventually("what was given is booked", func() bool { settled, _ := progress(t, conn, campaign); return settled == minor })
		}
		settles(40_00)
		if err := e.Sim.SetAccountState(account, stripesim.AccountState{
			DetailsSubmitted: true, CurrentlyDue: []string{"external_account"}, DisabledReason: "requirements.past_due",
		}); err != nil {
			t.Fatal(err)
		}
		e.Eventually("gifts are refused", func() bool { return !connection(t, conn, owner, "collectives/"+slug).GetChargesEnabled() })
		refusedGift(t, conn, campaign, "STRIPE_ACCOUNT_NOT_READY")

		if _, err := refundsv1.NewRefundsServiceClient(conn).CreateRefund(as, &refundsv1.CreateRefundRequest{
			Parent: once.GetName(), RequestId: uuid.NewString(), Reason: refundsv1.RefundReason_REFUND_REASON_REQUESTED_BY_DONOR,
		}); err != nil {
			t.Errorf("refund: %v", err)
		}
		settles(20_00)
		client := recurringv1.NewRecurringServiceClient(conn)
		r, err := client.GetRecurringDonation(as, &recurringv1.GetRecurringDonationRequest{Name: month.GetRecurringDonation()})
		if err != nil || r.GetState() != recurringActive {
			t.Errorf("the monthly gift is %v, %v", r, err)
		}
		list, err := client.ListRecurringDonations(as, &recurringv1.ListRecurringDonationsRequest{Parent: campaign})
		if err != nil || len(list.GetRecurringDonations()) != 1 {
			t.Errorf("listed: %v, %v", list, err)
		}
		r, err = client.CancelRecurringDonation(as, &recurringv1.CancelRecurringDonationRequest{Name: month.GetRecurringDonation()})
		if err != nil || r.GetState() != recurringCanceled {
			t.Errorf("ended: %v, %v", r, err)
		}
	})
}
