package donations

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/timestamppb"

	donationsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/donations/v1"
	recurringv1 "github.com/cagnotte/cagnotte/proto/cagnotte/recurring/v1"
	"github.com/cagnotte/cagnotte/services/campaigns"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/pgtest"
)

// lists are a collective's two lists, as one: both have the same filters.
type lists struct {
	e   *env
	ctx context.Context
}

// names returns all pages of the request, of either list.
func (l lists) names(monthly bool, req *donationsv1.ListDonationsRequest) (names []string, err error) {
	l.e.t.Helper()
	for {
		var next string
		if monthly {
			var states []recurringv1.RecurringDonationState
			for _, s := range req.GetStates() {
				states = append(states, recurringv1.RecurringDonationState(s))
			}
			page, err := NewRecurringServer(l.e.donations).ListRecurringDonations(l.ctx, &recurringv1.ListRecurringDonationsRequest{
				Parent: req.GetParent(), PageSize: req.GetPageSize(), PageToken: req.GetPageToken(),
				States: states, StartTime: req.GetStartTime(), EndTime: req.GetEndTime(),
			})
			if err != nil {
				return nil, err
			}
			for _, r := range page.GetRecurringDonations() {
				names = append(names, r.GetName())
			}
			next = page.GetNextPageToken()
		} else {
			page, err := NewServer(l.e.donations).ListDonations(l.ctx, req)
			if err != nil {
				return nil, err
			}
			for _, d := range page.GetDonations() {
				names = append(names, d.GetName())
			}
			next = page.GetNextPageToken()
		}
		if req.PageToken = next; next == "" {
			return names, nil
		}
	}
}

func TestLists(t *testing.T) {
	e := newEnv(t)
	other := campaigns.Name{Collective: "vallon", Campaign: "other"}
	for _, statement := range []string{
		// Another campaign of the collective, and one of the same name elsewhere.
		`INSERT INTO donations.donations (id, collective, campaign, request_id, fingerprint, amount_minor, currency, locale, return_url,
			stripe_account, livemode, state, paid_at, recurring_id, created_at, updated_at)
		SELECT gen_random_uuid(), v.collective, v.campaign, gen_random_uuid(), sha256('x'), 100, 'EUR', 'fr', '', '', false, v.state,
			CASE WHEN v.state IN ('succeeded', 'refunded') THEN v.at END, NULL, v.at, v.at
		FROM (
			SELECT c.collective, c.campaign, s.state, '2026-03-01'::timestamptz + c.n * interval '1 hour' + s.n * interval '1 minute'
			FROM (VALUES ('vallon', 'avocate', 0), ('vallon', 'other', 1), ('elsewhere', 'avocate', 2)) AS c (collective, campaign, n)
			CROSS JOIN (VALUES ('succeeded', 0), ('expired', 1), ('refunded', 2), ('succeeded', 3), ('created', 4)) AS s (state, n)
		) AS v (collective, campaign, state, at)`,
		// Of the same states, as far as both have them.
		`INSERT INTO donations.recurring (id, collective, campaign, amount_minor, currency, locale, stripe_account, livemode, state,
			subscription_id, created_at, updated_at)
		SELECT d.id, d.collective, d.campaign, d.amount_minor, d.currency, d.locale, d.stripe_account, d.livemode,
			CASE d.state WHEN 'succeeded' THEN 'active' WHEN 'refunded' THEN 'past_due' ELSE d.state END, d.id::text, d.created_at, d.updated_at
		FROM donations.donations AS d`,
	} {
		if _, err := pgtest.Owner(t, e.pool).Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	start := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	at := func(d time.Duration) *timestamppb.Timestamp { return timestamppb.New(start.Add(d)) }
	l := lists{e, t.Context()}
	type states = []donationsv1.DonationState
	const (
		succeeded = donationsv1.DonationState_DONATION_STATE_SUCCEEDED
		expired   = donationsv1.DonationState_DONATION_STATE_EXPIRED
		refunded  = donationsv1.DonationState_DONATION_STATE_REFUNDED
	)
	// The states of a monthly donation in the place of those of a donation.
	monthly := map[donationsv1.DonationState]recurringv1.RecurringDonationState{
		succeeded: recurringv1.RecurringDonationState_RECURRING_DONATION_STATE_ACTIVE,
		expired:   recurringv1.RecurringDonationState_RECURRING_DONATION_STATE_EXPIRED,
		refunded:  recurringv1.RecurringDonationState_RECURRING_DONATION_STATE_PAST_DUE,
	}
	for name, c := range map[string]struct {
		req  *donationsv1.ListDonationsRequest
		want string
	}{
		"a campaign":                      {&donationsv1.ListDonationsRequest{Parent: vallon.String()}, "0:04 0:03 0:02 0:01 0:00"},
		"a collective":                    {&donationsv1.ListDonationsRequest{Parent: "collectives/vallon"}, "1:04 1:03 1:02 1:01 1:00 0:04 0:03 0:02 0:01 0:00"},
		"a state":                         {&donationsv1.ListDonationsRequest{Parent: vallon.String(), States: states{succeeded}}, "0:03 0:00"},
		"two states, one of them twice":   {&donationsv1.ListDonationsRequest{Parent: vallon.String(), States: states{succeeded, refunded, succeeded}}, "0:03 0:02 0:00"},
		"a collective's state":            {&donationsv1.ListDonationsRequest{Parent: "collectives/vallon", States: states{expired}}, "1:01 0:01"},
		"from a time, which is included":  {&donationsv1.ListDonationsRequest{Parent: vallon.String(), StartTime: at(2 * time.Minute)}, "0:04 0:03 0:02"},
		"until a time, which is not":      {&donationsv1.ListDonationsRequest{Parent: vallon.String(), EndTime: at(2 * time.Minute)}, "0:01 0:00"},
		"an hour of a collective's state": {&donationsv1.ListDonationsRequest{Parent: "collectives/vallon", States: states{succeeded}, StartTime: at(time.Minute), EndTime: at(time.Hour)}, "0:03"},
		"no time at all":                  {&donationsv1.ListDonationsRequest{Parent: vallon.String(), StartTime: at(0), EndTime: at(0)}, ""},
		"another campaign":                {&donationsv1.ListDonationsRequest{Parent: other.String(), States: states{refunded}}, "1:02"},
		"a campaign that is not there":    {&donationsv1.ListDonationsRequest{Parent: "collectives/vallon/campaigns/none"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			for _, isMonthly := range []bool{false, true} {
				for _, size := range []int32{0, 1, 3} {
					req := &donationsv1.ListDonationsRequest{
						Parent: c.req.GetParent(), PageSize: size, States: slices.Clone(c.req.GetStates()),
						StartTime: c.req.GetStartTime(), EndTime: c.req.GetEndTime(),
					}
					if isMonthly {
						for i, s := range req.GetStates() {
							req.States[i] = donationsv1.DonationState(monthly[s])
						}
					}
					names, err := l.names(isMonthly, req)
					if err != nil {
						t.Fatal(err)
					}
					got := []string{}
					for _, name := range names {
						var created time.Time
						id := name[strings.LastIndex(name, "/")+1:]
						if err := e.pool.QueryRow(t.Context(), "SELECT created_at FROM donations.donations WHERE id = $1", id).Scan(&created); err != nil {
							t.Fatal(err)
						}
						got = append(got, created.UTC().Format("15:04")[1:])
					}
					if diff := cmp.Diff(strings.Fields(c.want), got); diff != "" {
						t.Errorf("monthly: %v, pages of %d (-want +got):\n%s", isMonthly, size, diff)
					}
				}
			}
		})
	}

	t.Run("refuses an end before the start", func(t *testing.T) {
		for _, isMonthly := range []bool{false, true} {
			_, err := l.names(isMonthly, &donationsv1.ListDonationsRequest{Parent: vallon.String(), StartTime: at(time.Hour), EndTime: at(0)})
			if e := errs.As(err); err == nil || e.Code != codes.InvalidArgument || len(e.Fields) != 1 || e.Fields[0].Field != "end_time" {
				t.Errorf("monthly: %v: %v", isMonthly, err)
			}
		}
	})
	t.Run("a token continues its own list alone", func(t *testing.T) {
		first, err := NewServer(e.donations).ListDonations(l.ctx, &donationsv1.ListDonationsRequest{Parent: vallon.String(), PageSize: 1, States: states{succeeded}})
		if err != nil || first.GetNextPageToken() == "" {
			t.Fatalf("%v, %v", first, err)
		}
		token := first.GetNextPageToken()
		for name, req := range map[string]*donationsv1.ListDonationsRequest{
			"forged":           {Parent: vallon.String(), States: states{succeeded}, PageToken: "forged"},
			"of other states":  {Parent: vallon.String(), States: states{expired}, PageToken: token},
			"of another time":  {Parent: vallon.String(), States: states{succeeded}, PageToken: token, StartTime: at(0)},
			"of the campaigns": {Parent: "collectives/vallon", States: states{succeeded}, PageToken: token},
		} {
			if _, err := l.names(false, req); errs.Code(err) != codes.InvalidArgument {
				t.Errorf("%s: %v", name, err)
			}
		}
		if _, err := l.names(true, &donationsv1.ListDonationsRequest{
			Parent: vallon.String(), States: states{donationsv1.DonationState(recurringv1.RecurringDonationState_RECURRING_DONATION_STATE_ACTIVE)}, PageToken: token,
		}); errs.Code(err) != codes.InvalidArgument {
			t.Errorf("of the monthly donations: %v", err)
		}
	})
}

// A page of a list touches the rows that it answers, and not those of other campaigns, states and times. The progress of a
// campaign touches none of its booked donations but one.
func TestAPageOfAListTouchesItsOwnRows(t *testing.T) {
	e := newEnv(t)
	owner := pgtest.Owner(t, e.pool)
	for _, statement := range []string{
		`INSERT INTO donations.donations (id, collective, campaign, request_id, fingerprint, amount_minor, currency, locale, return_url,
			stripe_account, livemode, state, paid_at, booked_at, created_at, updated_at)
		SELECT gen_random_uuid(), 'vallon', CASE WHEN n % 1000 = 0 THEN 'quiet' ELSE 'avocate' END, gen_random_uuid(), sha256('x'), 100,
			'EUR', 'fr', '', '', false, CASE WHEN n % 5000 = 0 THEN 'disputed' ELSE 'succeeded' END, now(), now(),
			'2026-01-01'::timestamptz + n * interval '1 minute', now()
		FROM generate_series(1, 20000) AS n`,
		`INSERT INTO donations.recurring (id, collective, campaign, amount_minor, currency, locale, stripe_account, livemode, state,
			subscription_id, created_at, updated_at)
		SELECT d.id, d.collective, d.campaign, d.amount_minor, d.currency, d.locale, d.stripe_account, d.livemode,
			CASE d.state WHEN 'disputed' THEN 'past_due' ELSE 'active' END, d.id::text, d.created_at, d.updated_at
		FROM donations.donations AS d`,
		"VACUUM ANALYZE donations.donations",
		"VACUUM ANALYZE donations.recurring",
	} {
		if _, err := owner.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	quiet := Filter{Collective: "vallon", Campaign: "quiet"}
	all := Filter{Collective: "vallon"}
	disputed := Filter{Collective: "vallon", States: []string{"disputed"}}
	pastDue := Filter{Collective: "vallon", States: []string{"past_due"}}
	early := Filter{Collective: "vallon", End: time.Date(2026, 1, 1, 1, 0, 0, 0, time.UTC)}
	for name, c := range map[string]struct {
		statement string
		args      pgx.NamedArgs
	}{
		"a quiet campaign": {listCampaignSQL, quiet.args(names(states, nil), newest, 11)},
		"a collective":     {listCollectiveSQL, all.args(names(states, nil), newest, 11)},
		"a rare state":     {listCollectiveSQL, disputed.args(nil, newest, 11)},
		"a time long ago":  {listCollectiveSQL, early.args(names(states, nil), newest, 11)},
		"a campaign's progress": {pendingSQL, pgx.NamedArgs{
			"collectives": []string{"vallon"}, "campaigns": []string{"avocate"},
		}},
		"what was booked on a day": {bookedSQL, pgx.NamedArgs{
			"collective": "vallon", "campaign": "avocate", "start_time": early.End, "end_time": early.End.AddDate(0, 0, 1),
		}},
		"monthly: a quiet campaign": {listRecurringOfCampaignSQL, quiet.args(names(recurringStates, nil), newest, 11)},
		"monthly: a collective":     {listRecurringOfCollectiveSQL, all.args(names(recurringStates, nil), newest, 11)},
		"monthly: a rare state":     {listRecurringOfCollectiveSQL, pastDue.args(nil, newest, 11)},
		"monthly: a time long ago":  {listRecurringOfCollectiveSQL, early.args(names(recurringStates, nil), newest, 11)},
	} {
		var text []byte
		if err := e.pool.QueryRow(t.Context(), "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) "+c.statement, c.args).Scan(&text); err != nil {
			t.Fatal(err)
		}
		var plans []struct {
			Plan struct {
				Hit  int `json:"Shared Hit Blocks"`
				Read int `json:"Shared Read Blocks"`
			}
		}
		if err := json.Unmarshal(text, &plans); err != nil {
			t.Fatal(err)
		}
		// Nine states, eleven rows, and an index three levels deep. The tables have hundreds of blocks.
		n := plans[0].Plan.Hit + plans[0].Plan.Read
		t.Logf("%s: %d blocks", name, n)
		if n > 100 {
			t.Errorf("%s: %d blocks\n%s", name, n, text)
		}
	}
}
