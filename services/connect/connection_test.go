package connect_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc/codes"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/collectives"
	"github.com/cagnotte/cagnotte/services/internal/errstest"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/internal/stripe"
)

func TestAnAccountThatIsDisconnectedIsLeftAlone(t *testing.T) {
	s, groups, pool := fresh(t, nil, nil)
	ctx := context.Background()
	create(t, groups, vallon)
	create(t, groups, collectives.Collective{ID: "platform", DisplayName: "Platform"})
	account := vallon.StripeAccount
	set := func(connected bool, at time.Time) {
		t.Helper()
		if err := postgres.InTx(ctx, pool, func(ctx context.Context, tx pgx.Tx) error {
			return s.SetConnectedTx(ctx, tx, account, connected, at)
		}); err != nil {
			t.Fatal(err)
		}
	}
	check := func(want bool) {
		t.Helper()
		accounts := []string{""}
		err := s.CheckConnected(ctx, "vallon")
		if want {
			accounts = append(accounts, account)
			if err != nil {
				t.Error(err)
			}
		} else {
			errstest.Want(t, err, codes.FailedPrecondition, errorsv1.ErrorReason_STRIPE_ACCOUNT_DISCONNECTED)
			errstest.Want(t, s.CheckTakesDonations(ctx, "vallon"), codes.FailedPrecondition, errorsv1.ErrorReason_STRIPE_ACCOUNT_DISCONNECTED)
		}
		taking, err := s.TakingDonations(ctx, []string{"platform", "vallon", "missing"})
		takes := map[string]bool{"platform": true}
		if want {
			takes["vallon"] = true
		}
		if diff := cmp.Diff(takes, taking); err != nil || diff != "" {
			t.Errorf("%v (-want +got)\n%s", err, diff)
		}
		got, err := s.StripeAccounts(ctx)
		if diff := cmp.Diff(accounts, got); err != nil || diff != "" {
			t.Errorf("%v (-want +got)\n%s", err, diff)
		}
		if err := s.CheckConnected(ctx, "platform"); err != nil {
			t.Errorf("the platform's own: %v", err)
		}
	}
	check(true)
	for range 2 {
		set(false, start.Add(time.Hour))
		check(false)
	}
	t.Run("whatever comes late", func(t *testing.T) {
		set(true, start)
		check(false)
	})
	t.Run("until it is connected again", func(t *testing.T) {
		for range 2 {
			set(true, start.Add(2*time.Hour))
			check(true)
		}
		set(false, start.Add(time.Hour))
		check(true)
	})
	errstest.Want(t, s.CheckConnected(ctx, "nowhere"), codes.NotFound, errorsv1.ErrorReason_NOT_FOUND)
}

// An account that is connected again while an earlier reading, which was refused, is on its way back.
func TestOfTwoReadingsTheOneThatBeganLaterHolds(t *testing.T) {
	account := vallon.StripeAccount
	var inner func()
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if read := inner; read != nil {
			inner = nil
			read()
			w.WriteHeader(http.StatusForbidden)
			_, _ = w.Write([]byte(`{"error":{"type":"invalid_request_error","code":"account_invalid"}}`))
			return
		}
		_, _ = w.Write([]byte(`{"id":"` + account + `","object":"account","charges_enabled":true,"payouts_enabled":true,"details_submitted":true}`))
	}))
	t.Cleanup(api.Close)
	client, err := stripe.New(stripe.Config{APIKey: "sk_test_simulated", BaseURL: api.URL})
	if err != nil {
		t.Fatal(err)
	}
	now := start
	s, groups, _ := fresh(t, client, func() time.Time {
		now = now.Add(time.Second)
		return now
	})
	create(t, groups, vallon)
	read := func() {
		if _, err := s.ReadAccount(t.Context(), account); err != nil {
			t.Error(err)
		}
	}
	inner = read
	read()
	if err := s.CheckTakesDonations(t.Context(), "vallon"); err != nil {
		t.Error(err)
	}
}
