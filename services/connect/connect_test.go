package connect_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/cagnotte/cagnotte/services/collectives"
	"github.com/cagnotte/cagnotte/services/connect"
	"github.com/cagnotte/cagnotte/services/internal/pgtest"
	"github.com/cagnotte/cagnotte/services/internal/stripe"
	"github.com/cagnotte/cagnotte/services/notices"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// vallon has an account.
var vallon = collectives.Collective{ID: "vallon", DisplayName: "Vallon contre caméras", StripeAccount: "acct_1vallon"}

// fresh returns a service on an empty database. Without a client it calls nothing; without a clock it is always start.
func fresh(t *testing.T, client *stripe.Client, now func() time.Time) (*connect.Service, *collectives.Service, *pgxpool.Pool) {
	t.Helper()
	if now == nil {
		now = func() time.Time { return start }
	}
	pool := pgtest.New(t)
	told := notices.New(notices.Config{Pool: pool, Now: now})
	groups := collectives.New(collectives.Config{Pool: pool, Notices: told, Now: now})
	return connect.New(connect.Config{
		Pool: pool, Collectives: groups, Notices: told, Stripe: client, PublicURL: "https://cagnotte.example", Now: now,
	}), groups, pool
}

func create(t *testing.T, s *collectives.Service, c collectives.Collective) {
	t.Helper()
	if _, err := s.Create(t.Context(), c); err != nil {
		t.Fatal(err)
	}
}

func TestEachAccountIsListedOnce(t *testing.T) {
	s, groups, _ := fresh(t, nil, nil)
	check := func(want ...string) {
		t.Helper()
		accounts, err := s.StripeAccounts(t.Context())
		if diff := cmp.Diff(want, accounts); err != nil || diff != "" {
			t.Errorf("%v (-want +got)\n%s", err, diff)
		}
	}
	check("") // the platform's own is there without collectives
	for id, account := range map[string]string{"one": "acct_b", "two": "acct_a", "three": "acct_a", "four": "", "five": ""} {
		create(t, groups, collectives.Collective{ID: id, DisplayName: id, StripeAccount: account})
	}
	check("", "acct_a", "acct_b")
}
