package collectives_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"google.golang.org/grpc/codes"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/collectives"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/errstest"
	"github.com/cagnotte/cagnotte/services/internal/pgtest"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func fresh(t *testing.T) (*collectives.Service, *pgxpool.Pool) {
	t.Helper()
	pool := pgtest.New(t)
	return collectives.New(collectives.Config{Pool: pool, Now: func() time.Time { return start }}), pool
}

func vallon() collectives.Collective {
	return collectives.Collective{ID: "vallon", DisplayName: "Vallon contre caméras", StripeAccount: "acct_1vallon", TimeZone: "Europe/Paris"}
}

func mustCreate(t *testing.T, s *collectives.Service, c collectives.Collective) collectives.Collective {
	t.Helper()
	created, err := s.Create(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	return created
}

// equal compares all that is stored and told of a collective.
func equal(a, b collectives.Collective) bool {
	return cmp.Equal(a, b, cmp.AllowUnexported(collectives.Collective{}))
}

func TestCreate(t *testing.T) {
	s, _ := fresh(t)
	ctx := context.Background()
	created := mustCreate(t, s, vallon())
	want := vallon()
	want.CreateTime, want.UpdateTime, want.Language = start, start, "fr"
	if diff := cmp.Diff(want, created, cmpopts.IgnoreUnexported(collectives.Collective{}), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	t.Run("answers the same when sent twice", func(t *testing.T) {
		if again := mustCreate(t, s, vallon()); !equal(again, created) {
			t.Errorf("got %+v, want %+v", again, created)
		}
	})
	t.Run("answers the same to many at once", func(t *testing.T) {
		c := vallon()
		c.ID = "many"
		results := make([]collectives.Collective, 8)
		var calls sync.WaitGroup
		for i := range results {
			calls.Go(func() {
				var err error
				if results[i], err = s.Create(ctx, c); err != nil {
					t.Error(err)
				}
			})
		}
		calls.Wait()
		for _, r := range results {
			if !equal(r, results[0]) {
				t.Errorf("got %+v and %+v", r, results[0])
			}
		}
	})
	t.Run("refuses a taken id with other settings", func(t *testing.T) {
		other := vallon()
		other.DisplayName = "Another one"
		_, err := s.Create(ctx, other)
		errstest.Want(t, err, codes.AlreadyExists, errorsv1.ErrorReason_COLLECTIVE_EXISTS)
	})
	t.Run("takes Europe/Paris for no zone, twice", func(t *testing.T) {
		c := collectives.Collective{ID: "nozone", DisplayName: "No zone"}
		if got := mustCreate(t, s, c); got.TimeZone != "Europe/Paris" || !equal(got, mustCreate(t, s, c)) {
			t.Errorf("got %+v", got)
		}
	})
	t.Run("reads what it wrote", func(t *testing.T) {
		got, err := s.Get(ctx, "vallon")
		if err != nil || !equal(got, created) {
			t.Errorf("got %+v, %v", got, err)
		}
		_, err = s.Get(ctx, "nowhere")
		errstest.Want(t, err, codes.NotFound, errorsv1.ErrorReason_NOT_FOUND)
	})
}

func TestSettingsAreChecked(t *testing.T) {
	s, _ := fresh(t)
	for _, test := range []struct {
		rule   string
		change func(*collectives.Collective)
		field  string
	}{
		{"no id", func(c *collectives.Collective) { c.ID = "" }, "collective_id"},
		{"an id in capitals", func(c *collectives.Collective) { c.ID = "Vallon" }, "collective_id"},
		{"no display name", func(c *collectives.Collective) { c.DisplayName = " " }, "collective.display_name"},
		{"a display name of two lines", func(c *collectives.Collective) { c.DisplayName = "a\nb" }, "collective.display_name"},
		{"a display name too long", func(c *collectives.Collective) { c.DisplayName = strings.Repeat("é", 121) }, "collective.display_name"},
		{"a display name with a link", func(c *collectives.Collective) { c.DisplayName = "Gagnez sur www.evil" }, "collective.display_name"},
		{"a display name with a mark that nobody sees", func(c *collectives.Collective) { c.DisplayName = "Val\u200blon" }, "collective.display_name"},
		{"a display name that turns the direction", func(c *collectives.Collective) { c.DisplayName = "Vallon\u202eevil" }, "collective.display_name"},
		{"an account that is none", func(c *collectives.Collective) { c.StripeAccount = "cus_1" }, "collective.stripe_account"},
		{"a zone that is none", func(c *collectives.Collective) { c.TimeZone = "Europe/Rodez" }, "collective.time_zone"},
		{"the machine's zone", func(c *collectives.Collective) { c.TimeZone = "Local" }, "collective.time_zone"},
		{"a path for a zone", func(c *collectives.Collective) { c.TimeZone = "../../etc/passwd" }, "collective.time_zone"},
	} {
		t.Run("refuses "+test.rule, func(t *testing.T) {
			c := vallon()
			test.change(&c)
			_, err := s.Create(context.Background(), c)
			errstest.Want(t, err, codes.InvalidArgument, errorsv1.ErrorReason_INVALID_FIELD, test.field)
		})
	}
}

func TestLocation(t *testing.T) {
	location, err := vallon().Location()
	if err != nil || location.String() != "Europe/Paris" {
		t.Errorf("%v, %v", location, err)
	}
	if _, err := (collectives.Collective{TimeZone: "Nowhere/Land"}).Location(); errs.Code(err) != codes.Internal {
		t.Errorf("%v, want INTERNAL", err)
	}
}

func TestSoleOwners(t *testing.T) {
	s, _ := fresh(t)
	ctx := context.Background()
	for id, account := range map[string]string{"one": "acct_b", "two": "acct_a", "three": "acct_a", "four": "", "five": ""} {
		mustCreate(t, s, collectives.Collective{ID: id, DisplayName: id, StripeAccount: account})
	}
	for account, want := range map[string]string{"acct_b": "one", "acct_a": "", "acct_c": "", "": ""} {
		if got, err := s.SoleOwner(ctx, account); err != nil || got != want {
			t.Errorf("sole owner of %q: %q, %v; want %q", account, got, err, want)
		}
	}
}

func TestTheOneCollectiveOwnsWhatThePlatformsAccountMoves(t *testing.T) {
	s, _ := fresh(t)
	ctx := context.Background()
	for _, step := range []struct{ create, account, want string }{
		{"connected", "acct_a", ""},
		{"alone", "", "alone"},
		{"another", "", ""},
	} {
		mustCreate(t, s, collectives.Collective{ID: step.create, DisplayName: step.create, StripeAccount: step.account})
		for range 2 {
			if got, err := s.SoleOwner(ctx, ""); err != nil || got != step.want {
				t.Errorf("after %s: sole owner %q, %v; want %q", step.create, got, err, step.want)
			}
		}
	}
}

func setAccount(account string) func(*collectives.Collective) error {
	return func(c *collectives.Collective) error {
		c.StripeAccount = account
		return nil
	}
}

// markInUse makes a donation, as far as collectives can tell.
func markInUse(t *testing.T, s *collectives.Service, pool *pgxpool.Pool, id string) (account string, err error) {
	t.Helper()
	err = postgres.InTx(context.Background(), pool, func(ctx context.Context, tx pgx.Tx) error {
		account, err = s.MarkInUseTx(ctx, tx, id)
		return err
	})
	return account, err
}

func TestAccountIsFixedByTheFirstDonation(t *testing.T) {
	s, pool := fresh(t)
	ctx := context.Background()
	mustCreate(t, s, vallon())
	if _, err := s.Update(ctx, "vallon", "", setAccount("acct_2")); err != nil {
		t.Fatalf("before the first donation: %v", err)
	}
	t.Run("a donation that rolls back fixes nothing", func(t *testing.T) {
		boom := errors.New("boom")
		err := postgres.InTx(ctx, pool, func(ctx context.Context, tx pgx.Tx) error {
			if _, err := s.MarkInUseTx(ctx, tx, "vallon"); err != nil {
				return err
			}
			return boom
		})
		if !errors.Is(err, boom) {
			t.Fatal(err)
		}
		if _, err := s.Update(ctx, "vallon", "", setAccount("acct_3")); err != nil {
			t.Errorf("%v", err)
		}
	})
	before, err := s.Get(ctx, "vallon")
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		account, err := markInUse(t, s, pool, "vallon")
		if err != nil || account != "acct_3" {
			t.Fatalf("%q, %v", account, err)
		}
	}
	t.Run("refuses another account", func(t *testing.T) {
		_, err := s.Update(ctx, "vallon", "", setAccount(""))
		errstest.Want(t, err, codes.FailedPrecondition, errorsv1.ErrorReason_STRIPE_ACCOUNT_IN_USE)
	})
	t.Run("is no change that others see", func(t *testing.T) {
		if after, err := s.Get(ctx, "vallon"); err != nil || !equal(after, before) {
			t.Errorf("got %+v, %v; want %+v", after, err, before)
		}
	})
	t.Run("lets other settings change", func(t *testing.T) {
		_, err := s.Update(ctx, "vallon", "", func(c *collectives.Collective) error {
			c.DisplayName = "Vallon"
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
	t.Run("holds in the database, for its owner too", func(t *testing.T) {
		owner := pgtest.Owner(t, pool)
		for _, statement := range []string{
			"UPDATE collectives.collectives SET stripe_account = '' WHERE id = 'vallon'",
			"UPDATE collectives.collectives SET account_in_use = false WHERE id = 'vallon'",
		} {
			if _, err := owner.Exec(ctx, statement); !postgres.Constraint(err, "collectives_stripe_account_in_use") {
				t.Errorf("%s: %v", statement, err)
			}
		}
	})
	t.Run("says which collective is missing", func(t *testing.T) {
		_, err := markInUse(t, s, pool, "nowhere")
		errstest.Want(t, err, codes.NotFound, errorsv1.ErrorReason_NOT_FOUND)
	})
}

// A donation and a change of the account at the same moment: whichever comes first, the
// donation's account is the collective's for ever.
func TestAccountRace(t *testing.T) {
	s, pool := fresh(t)
	ctx := context.Background()
	for round := range 20 {
		c := vallon()
		c.ID = "race-" + string(rune('a'+round))
		mustCreate(t, s, c)
		accounts := make([]string, 4)
		var calls sync.WaitGroup
		for i := range accounts {
			calls.Go(func() {
				var err error
				if accounts[i], err = markInUse(t, s, pool, c.ID); err != nil {
					t.Error(err)
				}
			})
		}
		calls.Go(func() {
			if _, err := s.Update(ctx, c.ID, "", setAccount("acct_2")); err != nil && errs.As(err).Reason != errorsv1.ErrorReason_STRIPE_ACCOUNT_IN_USE {
				t.Error(err)
			}
		})
		calls.Wait()
		after, err := s.Get(ctx, c.ID)
		if err != nil {
			t.Fatal(err)
		}
		for _, account := range accounts {
			if account != after.StripeAccount {
				t.Fatalf("a donation went to %q, and the collective has %q", account, after.StripeAccount)
			}
		}
	}
}

func TestServiceRoleCannotForget(t *testing.T) {
	_, pool := fresh(t)
	for _, statement := range []string{"DELETE FROM collectives.collectives", "UPDATE collectives.collectives SET id = 'x'"} {
		var pgErr *pgconn.PgError
		if _, err := pool.Exec(context.Background(), statement); !errors.As(err, &pgErr) || pgErr.Code != "42501" {
			t.Errorf("%s: %v, want insufficient privilege", statement, err)
		}
	}
}

// Whose that is which moves on an account does not depend on who comes later, nor on who may not use it.
func TestWhoCameLaterOwnsNothingOfBefore(t *testing.T) {
	_, pool := fresh(t)
	ctx := context.Background()
	began := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	create := func(at time.Duration, c collectives.Collective) {
		t.Helper()
		s := collectives.New(collectives.Config{Pool: pool, Now: func() time.Time { return began.Add(at) }})
		c.DisplayName = c.ID
		mustCreate(t, s, c)
	}
	hosted := collectives.Collective{ID: "hosted"}
	hosted.OwnAccountRequired = true
	create(0, hosted)
	create(time.Hour, collectives.Collective{ID: "alpha"})
	s := collectives.New(collectives.Config{Pool: pool})
	for _, step := range []struct {
		then string
		want map[time.Duration]string
	}{
		{"alpha alone", map[time.Duration]string{0: "alpha", time.Hour: "alpha", 9 * time.Hour: "alpha"}},
		{"beta came", map[time.Duration]string{time.Hour: "alpha", 2*time.Hour - 1: "alpha", 2 * time.Hour: "", 9 * time.Hour: "", 0: ""}},
	} {
		owners, err := s.Owners(ctx, "")
		if err != nil {
			t.Fatal(err)
		}
		for at, want := range step.want {
			if got := owners.At(began.Add(at)); got != want {
				t.Errorf("%s: after %s it is %q, want %q", step.then, at, got, want)
			}
		}
		if got, err := s.SoleOwner(ctx, ""); err != nil || (step.then == "alpha alone") != (got == "alpha") {
			t.Errorf("%s: the one collective is %q, %v", step.then, got, err)
		}
		if step.then == "alpha alone" {
			create(2*time.Hour, collectives.Collective{ID: "beta"})
		}
	}
}
