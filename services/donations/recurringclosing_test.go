package donations

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	recurringv1 "github.com/cagnotte/cagnotte/proto/cagnotte/recurring/v1"
	"github.com/cagnotte/cagnotte/services/internal/stripe"
	"github.com/cagnotte/cagnotte/services/money"
	"github.com/cagnotte/cagnotte/services/wall"
)

// A month that is renewed while its campaign closes is charged an hour later, so ends must not wait for later runs.
func TestOneRunEndsAllMonthlyDonationsOfAClosedCampaign(t *testing.T) {
	e := newEnv(t, wall.Limits{Off: true})
	var all []Donation
	for range 2*recurringCount + 1 {
		first, _ := e.paidMonthly()
		all = append(all, first)
	}
	if _, err := e.campaigns.Close(t.Context(), vallon); err != nil {
		t.Fatal(err)
	}
	before := len(e.sim.Requests())
	e.keep()
	for _, first := range all {
		if r := e.recurring(first); !r.CancelAtPeriodEnd || r.Pending() || r.EndReason != EndedByCampaign {
			t.Fatalf("%+v", r)
		}
	}
	if n := len(e.sim.Requests()) - before; n != 2*len(all) {
		t.Errorf("%d calls for %d monthly donations", n, len(all))
	}
	e.clock.Advance(9 * aWeek)
	if n := len(e.sim.BalanceTransactions("")); n != len(all) {
		t.Errorf("%d payments: months were taken for a campaign that is closed", n)
	}
}

func TestThoseThatStripeChargesNextEndFirst(t *testing.T) {
	e := newEnv(t)
	var want []uuid.UUID
	now := e.clock.Now()
	for _, read := range []struct {
		status stripe.SubscriptionStatus
		ends   time.Time
	}{
		{stripe.SubscriptionActive, now.AddDate(0, 1, 0)},
		{stripe.SubscriptionActive, now.AddDate(0, 0, 2)},
		{stripe.SubscriptionActive, now.Add(-time.Minute)}, // renewed, and not read yet
		{stripe.SubscriptionPastDue, now.AddDate(0, 1, 0)}, // Stripe tries any time
	} {
		first, subscription := e.paidMonthly()
		if _, err := e.donations.applySubscription(t.Context(), "", stripe.Subscription{
			ID: subscription, Status: read.status, Recurring: first.ID, Amount: first.Amount, PeriodEnd: read.ends,
		}, e.recurring(first).version); err != nil {
			t.Fatal(err)
		}
		want = append(want, first.ID)
	}
	slices.Reverse(want)
	if _, err := e.campaigns.Close(t.Context(), vallon); err != nil {
		t.Fatal(err)
	}
	now = e.clock.Now()
	if err := e.donations.endOfClosedCampaigns(t.Context(), now); err != nil {
		t.Fatal(err)
	}
	rows, err := e.pool.Query(t.Context(), dueChangesSQL, pgx.NamedArgs{"now": now, "livemode": false, "count": recurringCount})
	if err != nil {
		t.Fatal(err)
	}
	got, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// Until upkeep runs, the page would promise a next donation.
func TestTheEndOfACampaignIsShownAtOnce(t *testing.T) {
	e := newEnv(t)
	first, _ := e.paidMonthly()
	server := NewRecurringServer(e.donations)
	told := func() []*recurringv1.RecurringDonation {
		t.Helper()
		one, err := server.GetRecurringDonation(t.Context(), &recurringv1.GetRecurringDonationRequest{Name: e.recurring(first).Name()})
		if err != nil {
			t.Fatal(err)
		}
		list, err := server.ListRecurringDonations(t.Context(), &recurringv1.ListRecurringDonationsRequest{Parent: vallon.String()})
		if err != nil {
			t.Fatal(err)
		}
		return append(list.GetRecurringDonations(), one)
	}
	for _, r := range told() {
		if r.GetEndReason() != 0 || r.GetChangePending() {
			t.Errorf("it ends before the campaign: %v", r)
		}
	}
	if _, err := e.campaigns.Close(t.Context(), vallon); err != nil {
		t.Fatal(err)
	}
	for _, r := range told() {
		if r.GetEndReason() != recurringv1.RecurringDonationEndReason_RECURRING_DONATION_END_REASON_CAMPAIGN_CLOSED || !r.GetChangePending() {
			t.Errorf("%v", r)
		}
	}
	_, err := e.donations.ChangeRecurring(t.Context(), vallon, first.ID, money.Amount{Minor: 5_00, Currency: money.EUR}, Visit{})
	wantReason(t, err, errorsv1.ErrorReason_RECURRING_ENDED)
	e.keep()
	for _, r := range told() {
		if !r.GetCancelAtPeriodEnd() || r.GetChangePending() {
			t.Errorf("%v", r)
		}
	}
}
