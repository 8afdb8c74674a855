package app_test

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	donationsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/donations/v1"
	"github.com/cagnotte/cagnotte/services/internal/apptest"
	"github.com/cagnotte/cagnotte/services/internal/stripesim"
)

// In a burst whose webhooks were all lost, a donation costs less than a tenth of a call to Stripe over its whole life, beyond
// what the program asks without any donation.
func TestADonationWhoseWebhooksWereLostCostsLessThanATenthOfACall(t *testing.T) {
	const donations = 300
	byCard := func(e *apptest.Env, session string) error { return e.Sim.Pay(session, stripesim.CardOK) }
	for name, c := range map[string]struct {
		feeDelay time.Duration
		monthly  bool
		pay      func(e *apptest.Env, session string) error
		// away are the times that the program is down; it catches up after each.
		away []time.Duration
		want string
	}{
		"by card": {
			pay: byCard, away: []time.Duration{time.Hour}, want: "succeeded, booked",
		},
		"by card, when the fee comes late": {
			feeDelay: 20 * time.Minute,
			pay:      byCard, away: []time.Duration{time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute, 16 * time.Minute},
			want: "succeeded, booked",
		},
		"by debit": {
			pay:  func(e *apptest.Env, session string) error { return e.Sim.PayByDebit(session, stripesim.IBANPaid) },
			away: []time.Duration{time.Hour, 6 * time.Hour, 24 * time.Hour, 2 * 24 * time.Hour, aWeek}, want: "succeeded, booked",
		},
		"of a first month": {
			monthly: true, pay: byCard, away: []time.Duration{time.Hour}, want: "succeeded, booked",
		},
		"that nobody paid": {
			pay:  func(*apptest.Env, string) error { return nil },
			away: []time.Duration{time.Hour, 24 * time.Hour}, want: "expired, not booked",
		},
	} {
		t.Run(name, func(t *testing.T) {
			// Each has a program and a database of its own, and mostly waits for the program to start.
			t.Parallel()
			e := apptest.Start(t, apptest.Config{FeeDelay: c.feeDelay})
			campaign, _ := e.Campaign("vallon")
			if err := e.Sim.OfferDebits("", true); err != nil {
				t.Fatal(err)
			}
			e.Sim.SetDelivery(stripesim.Delivery{Drop: true})
			catchUps := func() (calls map[string]int) {
				before := len(e.Sim.Requests())
				for _, away := range c.away {
					e.StopApp()
					e.Clock.Advance(away)
					startAndRest(t, e)
				}
				return callsByPath(e.Sim.Requests()[before:])
			}
			quiet := catchUps()
			for range donations {
				req := donationTo(campaign)
				if c.monthly {
					req.Recurrence = donationsv1.Recurrence_RECURRENCE_MONTHLY
				}
				give(t, e.Conn, req)
			}
			for _, session := range e.Sim.Sessions("") {
				if err := c.pay(e, session.ID); err != nil {
					t.Fatal(err)
				}
			}
			calls := catchUps()
			if diff := cmp.Diff(map[string]int{c.want: donations}, donationsByState(t, e)); diff != "" {
				t.Errorf("donations (-want +got):\n%s", diff)
			}
			wantBooksOfStripe(t, e, "vallon")
			sum := 0
			for _, path := range slices.Sorted(maps.Keys(calls)) {
				t.Logf("%4d calls, %d without donations: %s", calls[path], quiet[path], path)
				sum += calls[path] - quiet[path]
			}
			if float64(sum)/donations >= .1 {
				t.Errorf("%d calls for %d donations", sum, donations)
			}
		})
	}
}

// startAsLeader starts the program. One that was stopped as it became the leader may have left its term behind; nobody waits for
// its end here.
func startAsLeader(t *testing.T, e *apptest.Env) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), e.DatabaseURL)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if _, err := conn.Exec(t.Context(), "DELETE FROM river.river_leader"); err != nil {
		t.Fatal(err)
	}
	e.StartApp()
}

// startAndRest starts the program, and waits until it has caught up and has nothing left to do.
func startAndRest(t *testing.T, e *apptest.Env) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), e.DatabaseURL)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	var start time.Time
	if err := conn.QueryRow(t.Context(), "SELECT clock_timestamp()").Scan(&start); err != nil {
		t.Fatal(err)
	}
	startAsLeader(t, e)
	e.Eventually("the program has caught up and is at rest", func() bool {
		var done bool
		if err := conn.QueryRow(t.Context(), `
			SELECT coalesce(NOT bool_or(j.state NOT IN ('completed', 'cancelled', 'discarded'))
				AND bool_or(j.kind = 'stripe_account' AND j.created_at >= $1)
				AND bool_or(j.kind = 'donations_upkeep' AND j.created_at >= $1), false)
			FROM river.river_job AS j`, start).Scan(&done); err != nil {
			t.Fatal(err)
		}
		return done
	})
}

var idInPath = regexp.MustCompile(`/(cs|pi|ch|py|in|sub|txn|po|acct)_[^/?]+`)

// callsByPath counts requests, whatever their ids and parameters.
func callsByPath(requests []stripesim.Request) map[string]int {
	calls := map[string]int{}
	for _, r := range requests {
		path, _, _ := strings.Cut(r.Path, "?")
		calls[r.Method+" "+idInPath.ReplaceAllString(path, "/{id}")]++
	}
	return calls
}

// donationsByState counts the donations by state, and whether they are booked.
func donationsByState(t *testing.T, e *apptest.Env) map[string]int {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), e.DatabaseURL)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	rows, err := conn.Query(t.Context(), `
		SELECT
			d.state,
			d.booked_at IS NOT NULL,
			count(*)::integer
		FROM donations.donations AS d
		GROUP BY 1, 2`)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]int{}
	var state string
	var booked bool
	var n int
	if _, err := pgx.ForEachRow(rows, []any{&state, &booked, &n}, func() error {
		not := "not "
		if booked {
			not = ""
		}
		found[fmt.Sprintf("%s, %sbooked", state, not)] = n
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return found
}
