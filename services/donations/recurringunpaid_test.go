package donations

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/internal/stripe"
	"github.com/cagnotte/cagnotte/services/notices"
)

func TestAnUnpaidPeriodIsToldOnce(t *testing.T) {
	e := newEnv(t)
	first, subscription := e.paidMonthly()
	r := e.recurring(first)
	end := e.clock.Now().AddDate(0, 1, 0)
	for _, read := range []struct {
		rule      string
		status    stripe.SubscriptionStatus
		periodEnd time.Time
		want      int
	}{
		{"a paid period is not told", stripe.SubscriptionActive, end, 0},
		{"a paused one asks for nothing", stripe.SubscriptionPaused, end, 0},
		{"one that could not be collected is told", stripe.SubscriptionPastDue, end, 1},
		{"read again it is not told again", stripe.SubscriptionPastDue, end, 1},
		{"nor when it was tried for the last time", stripe.SubscriptionUnpaid, end, 1},
		{"nor when it is paid at last", stripe.SubscriptionActive, end, 1},
		{"the next one is another", stripe.SubscriptionUnpaid, end.AddDate(0, 1, 0), 2},
	} {
		if _, err := e.donations.applySubscription(t.Context(), "", stripe.Subscription{
			ID: subscription, Status: read.status, Recurring: first.ID, Amount: r.Amount, PeriodEnd: read.periodEnd,
		}, e.recurring(first).version); err != nil {
			t.Fatalf("%s: %v", read.rule, err)
		}
		rows, err := e.pool.Query(t.Context(), `SELECT n.subject FROM notices.notices AS n
			WHERE n.collective = $1 AND n.kind = $2 AND n.amount_minor = 2000 ORDER BY n.id`,
			first.Campaign.Collective, string(notices.RecurringFailing))
		if err != nil {
			t.Fatal(err)
		}
		told, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{r.Name(), r.Name()}[:read.want], told); diff != "" {
			t.Errorf("%s (-want +got)\n%s", read.rule, diff)
		}
	}
}
