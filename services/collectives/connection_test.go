package collectives_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc/codes"

	"github.com/cagnotte/cagnotte/services/collectives"
	"github.com/cagnotte/cagnotte/services/internal/errstest"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

func TestAnAccountThatIsDisconnectedIsLeftAlone(t *testing.T) {
	s, pool := fresh(t)
	ctx := context.Background()
	mustCreate(t, s, vallon())
	mustCreate(t, s, collectives.Collective{ID: "platform", DisplayName: "Platform"})
	account := vallon().StripeAccount
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
			errstest.Want(t, err, codes.FailedPrecondition, "STRIPE_ACCOUNT_DISCONNECTED")
			errstest.Want(t, s.CheckTakesGifts(ctx, "vallon"), codes.FailedPrecondition, "STRIPE_ACCOUNT_DISCONNECTED")
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
	errstest.Want(t, s.CheckConnected(ctx, "nowhere"), codes.NotFound, "NOT_FOUND")
}
