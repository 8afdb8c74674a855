package campaigns

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"google.golang.org/grpc/codes"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/internal/errstest"
	"github.com/cagnotte/cagnotte/services/internal/pgtest"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/money"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// clock is a time that tests move.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) set(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = at
}

var (
	start  = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	avocat = Name{Collective: "vallon", Campaign: "avocat"}
)

// fresh returns the service on a database with two collectives.
func fresh(t *testing.T) (*Service, *pgxpool.Pool, *clock) {
	t.Helper()
	pool, clock := pgtest.New(t), &clock{at: start}
	for id, displayName := range map[string]string{"vallon": "Vallon contre caméras", "marseille": "Technopolice Marseille"} {
		_, err := pool.Exec(context.Background(), `
			INSERT INTO collectives.collectives (id, display_name, stripe_account, time_zone, created_at, updated_at)
			VALUES ($1, $2, '', 'Europe/Paris', now(), now())`, id, displayName)
		if err != nil {
			t.Fatal(err)
		}
	}
	return New(Config{Pool: pool, Now: clock.now}), pool, clock
}

// failer is a test, one of rapid's included.
type failer interface {
	Helper()
	Errorf(format string, args ...any)
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

func mustCreate(t failer, s *Service, name Name, content Content) Campaign {
	t.Helper()
	c, err := s.Create(context.Background(), name, content)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func must(t failer, verb func(context.Context, Name) (Campaign, error), name Name) Campaign {
	t.Helper()
	c, err := verb(context.Background(), name)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// diff compares whole campaigns, the version included.
func diff(want, got Campaign) string { return cmp.Diff(want, got, cmp.AllowUnexported(Campaign{})) }

func TestCreate(t *testing.T) {
	s, _, clock := fresh(t)
	ctx := context.Background()
	created := mustCreate(t, s, avocat, lawyer())
	want := Campaign{
		Name: avocat, Content: lawyer(), State: StateDraft, CollectiveDisplayName: "Vallon contre caméras", timeZone: "Europe/Paris",
		CreateTime: start, UpdateTime: start, version: 1,
	}
	want.Currency = "EUR"
	if d := diff(want, created); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	clock.set(start.Add(time.Hour))
	t.Run("answers the same when sent twice", func(t *testing.T) {
		if d := diff(created, mustCreate(t, s, avocat, lawyer())); d != "" {
			t.Errorf("(-first +second)\n%s", d)
		}
	})
	t.Run("answers the same for another spelling of an origin", func(t *testing.T) {
		c := lawyer()
		c.AllowedOrigins[0] = "HTTPS://vallon.example:443"
		if d := diff(created, mustCreate(t, s, avocat, c)); d != "" {
			t.Errorf("(-first +second)\n%s", d)
		}
	})
	t.Run("answers the one that is published by now", func(t *testing.T) {
		must(t, publishes(s), avocat)
		if c := mustCreate(t, s, avocat, lawyer()); c.State != StatePublished {
			t.Errorf("got %v", c.State)
		}
	})
	t.Run("refuses a taken name with other content", func(t *testing.T) {
		c := lawyer()
		c.Goal = eur(900_00)
		_, err := s.Create(ctx, avocat, c)
		errstest.Want(t, err, codes.AlreadyExists, errorsv1.ErrorReason_CAMPAIGN_EXISTS)
	})
	t.Run("takes the same slug in another collective", func(t *testing.T) {
		mustCreate(t, s, Name{Collective: "marseille", Campaign: "avocat"}, lawyer())
	})
	t.Run("survives content with the least in it, twice", func(t *testing.T) {
		least := Content{Texts: map[string]Text{"fr": {Title: "Peu"}}, Goal: eur(1)}
		name := Name{Collective: "vallon", Campaign: "peu"}
		if d := diff(mustCreate(t, s, name, least), mustCreate(t, s, name, least)); d != "" {
			t.Errorf("(-first +second)\n%s", d)
		}
	})
	t.Run("answers the same to many at once", func(t *testing.T) {
		name := Name{Collective: "vallon", Campaign: "many"}
		var calls sync.WaitGroup
		for range 8 {
			calls.Go(func() {
				if _, err := s.Create(ctx, name, lawyer()); err != nil {
					t.Error(err)
				}
			})
		}
		calls.Wait()
	})
	t.Run("refuses a missing collective", func(t *testing.T) {
		_, err := s.Create(ctx, Name{Collective: "nowhere", Campaign: "avocat"}, lawyer())
		errstest.Want(t, err, codes.NotFound, errorsv1.ErrorReason_NOT_FOUND)
	})
	t.Run("refuses a bad slug", func(t *testing.T) {
		// The second would hide the page where donors manage monthly donations.
		for _, slug := range []string{"Avocat", "monthly"} {
			_, err := s.Create(ctx, Name{Collective: "vallon", Campaign: slug}, lawyer())
			errstest.Want(t, err, codes.InvalidArgument, errorsv1.ErrorReason_INVALID_FIELD, "campaign_id")
		}
	})
	t.Run("refuses bad content", func(t *testing.T) {
		_, err := s.Create(ctx, Name{Collective: "vallon", Campaign: "bad"}, Content{Goal: eur(1)})
		errstest.Want(t, err, codes.InvalidArgument, errorsv1.ErrorReason_INVALID_FIELD, `campaign.texts["fr"]`)
	})
	t.Run("reads what it wrote, and says what is missing", func(t *testing.T) {
		if got, err := s.Get(ctx, avocat); err != nil || !got.equal(created.Content) {
			t.Errorf("got %+v, %v", got, err)
		}
		_, err := s.Get(ctx, Name{Collective: "vallon", Campaign: "none"})
		errstest.Want(t, err, codes.NotFound, errorsv1.ErrorReason_NOT_FOUND)
	})
}

func setGoal(minor int64) func(*Content) error {
	return func(c *Content) error {
		c.Goal.Minor = minor
		return nil
	}
}

func TestUpdate(t *testing.T) {
	s, _, clock := fresh(t)
	ctx := context.Background()
	created := mustCreate(t, s, avocat, lawyer())
	clock.set(start.Add(time.Hour))
	first, err := s.Update(ctx, avocat, created.etag(), setGoal(900_00))
	if err != nil {
		t.Fatal(err)
	}
	want := created
	want.Goal, want.UpdateTime, want.version = eur(900_00), clock.now(), 2
	if d := diff(want, first); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	clock.set(start.Add(2 * time.Hour))
	t.Run("changes nothing when sent twice", func(t *testing.T) {
		second, err := s.Update(ctx, avocat, "", setGoal(900_00))
		if err != nil {
			t.Fatal(err)
		}
		read, err := s.Get(ctx, avocat)
		if err != nil || diff(first, second) != "" || diff(first, read) != "" {
			t.Errorf("%v (-first +second)\n%s%s", err, diff(first, second), diff(first, read))
		}
	})
	t.Run("refuses a stale etag", func(t *testing.T) {
		_, err := s.Update(ctx, avocat, created.etag(), setGoal(1000_00))
		errstest.Want(t, err, codes.Aborted, errorsv1.ErrorReason_ETAG_MISMATCH)
	})
	t.Run("refuses bad content and keeps the good", func(t *testing.T) {
		_, err := s.Update(ctx, avocat, "", setGoal(100_00))
		errstest.Want(t, err, codes.InvalidArgument, errorsv1.ErrorReason_INVALID_FIELD, "campaign.stages[0].amount", "campaign.stages[1].amount")
		if read, err := s.Get(ctx, avocat); err != nil || diff(first, read) != "" {
			t.Errorf("%v\n%s", err, diff(first, read))
		}
	})
	t.Run("keeps what change refuses to change", func(t *testing.T) {
		boom := errors.New("boom")
		_, err := s.Update(ctx, avocat, "", func(c *Content) error {
			c.Goal = eur(1)
			return boom
		})
		if !errors.Is(err, boom) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("says what is missing", func(t *testing.T) {
		_, err := s.Update(ctx, Name{Collective: "vallon", Campaign: "none"}, "", setGoal(1))
		errstest.Want(t, err, codes.NotFound, errorsv1.ErrorReason_NOT_FOUND)
	})
	t.Run("lets one of many with the same etag win", func(t *testing.T) {
		read, err := s.Get(ctx, avocat)
		if err != nil {
			t.Fatal(err)
		}
		outcomes := make([]error, 8)
		var calls sync.WaitGroup
		for i := range outcomes {
			calls.Go(func() { _, outcomes[i] = s.Update(ctx, avocat, read.etag(), setGoal(1000_00+int64(i))) })
		}
		calls.Wait()
		won := 0
		for _, err := range outcomes {
			if err == nil {
				won++
				continue
			}
			errstest.Want(t, err, codes.Aborted, errorsv1.ErrorReason_ETAG_MISMATCH)
		}
		if won != 1 {
			t.Errorf("%d updates won, want 1", won)
		}
	})
	t.Run("loses none of many without an etag", func(t *testing.T) {
		before, err := s.Get(ctx, avocat)
		if err != nil {
			t.Fatal(err)
		}
		var calls sync.WaitGroup
		for range 8 {
			calls.Go(func() {
				if _, err := s.Update(ctx, avocat, "", func(c *Content) error { c.Goal.Minor++; return nil }); err != nil {
					t.Error(err)
				}
			})
		}
		calls.Wait()
		if after, err := s.Get(ctx, avocat); err != nil || after.Goal.Minor != before.Goal.Minor+8 {
			t.Errorf("%v, %v; want %d", after.Goal, err, before.Goal.Minor+8)
		}
	})
}

func TestUpdateOfPublished(t *testing.T) {
	s, _, clock := fresh(t)
	ctx := context.Background()
	inDollars := func(c *Content) error {
		*c = Content{Texts: c.Texts, Goal: money.Amount{Minor: 800_00, Currency: "USD"}, Deadline: c.Deadline}
		return nil
	}
	inEuros := func(c *Content) error {
		*c = lawyer()
		return nil
	}
	deadline := func(at time.Time) func(*Content) error {
		return func(c *Content) error {
			c.Deadline = at
			return nil
		}
	}
	mustCreate(t, s, avocat, lawyer())
	for rule, change := range map[string]func(*Content) error{
		"lets a draft change its currency":  inDollars,
		"lets a draft have a deadline past": deadline(start.Add(-time.Hour)),
	} {
		t.Run(rule, func(t *testing.T) {
			if _, err := s.Update(ctx, avocat, "", change); err != nil {
				t.Error(err)
			}
		})
	}
	if _, err := s.Update(ctx, avocat, "", inEuros); err != nil {
		t.Fatal(err)
	}
	must(t, publishes(s), avocat)
	t.Run("refuses another currency", func(t *testing.T) {
		_, err := s.Update(ctx, avocat, "", inDollars)
		errstest.Want(t, err, codes.FailedPrecondition, errorsv1.ErrorReason_CURRENCY_FIXED)
	})
	t.Run("refuses a deadline that has passed", func(t *testing.T) {
		_, err := s.Update(ctx, avocat, "", deadline(start))
		errstest.Want(t, err, codes.InvalidArgument, errorsv1.ErrorReason_INVALID_FIELD, "campaign.deadline")
	})
	t.Run("takes a deadline to come, and none", func(t *testing.T) {
		for _, at := range []time.Time{start.Add(time.Hour), {}, start.Add(2 * time.Hour)} {
			if c, err := s.Update(ctx, avocat, "", deadline(at)); err != nil || !c.Deadline.Equal(at) {
				t.Errorf("%v: %v, %v", at, c.Deadline, err)
			}
		}
	})
	t.Run("lets the rest change after the deadline", func(t *testing.T) {
		clock.set(start.Add(3 * time.Hour))
		if _, err := s.Update(ctx, avocat, "", setGoal(950_00)); err != nil {
			t.Error(err)
		}
	})
	t.Run("refuses everything once closed", func(t *testing.T) {
		must(t, s.Close, avocat)
		_, err := s.Update(ctx, avocat, "stale", setGoal(990_00))
		errstest.Want(t, err, codes.FailedPrecondition, errorsv1.ErrorReason_CAMPAIGN_CLOSED)
	})
	t.Run("lets what is shown change once closed", func(t *testing.T) {
		for _, shown := range []Shown{{Listed: true}, {Listed: true, ExpensesShown: true}, {DonationsShown: true}, {}} {
			c, err := s.Update(ctx, avocat, "", func(c *Content) error { c.Shown = shown; return nil })
			if err != nil || c.Shown != shown {
				t.Errorf("%v: %v, %v", shown, c.Shown, err)
			}
		}
		_, err := s.Update(ctx, avocat, "stale", func(c *Content) error { c.Listed = true; return nil })
		errstest.Want(t, err, codes.Aborted, errorsv1.ErrorReason_ETAG_MISMATCH)
	})
}

func TestDatabaseKeepsItsPromises(t *testing.T) {
	s, pool, _ := fresh(t)
	ctx := context.Background()
	owner := pgtest.Owner(t, pool)
	for _, slug := range []string{"draft", "published", "closed"} {
		mustCreate(t, s, Name{Collective: "vallon", Campaign: slug}, lawyer())
	}
	must(t, publishes(s), Name{Collective: "vallon", Campaign: "published"})
	must(t, publishes(s), Name{Collective: "vallon", Campaign: "closed"})
	must(t, s.Close, Name{Collective: "vallon", Campaign: "closed"})
	for _, test := range []struct{ slug, set, constraint string }{
		{"draft", "texts = '{}'", "campaigns_texts_check"},
		{"draft", `texts = '{"fr": {"title": ""}}'`, "campaigns_texts_check"},
		{"draft", "currency = 'eur'", "campaigns_currency_check"},
		{"draft", "goal_minor = 0", "campaigns_goal_check"},
		{"draft", "minimum_minor = 0", "campaigns_bounds_check"},
		{"draft", "minimum_minor = maximum_minor + 1, presets_minor = '{}'", "campaigns_bounds_check"},
		{"draft", "maximum_minor = 100000000", "campaigns_bounds_check"},
		{"draft", "presets_minor = '{1}'", "campaigns_presets_check"},
		{"draft", "presets_minor = '{500, NULL}'", "campaigns_presets_check"},
		{"draft", "stages = '{}'", "campaigns_stages_check"},
		{"draft", "allowed_origins = '{NULL}'", "campaigns_allowed_origins_check"},
		{"draft", "state = 'open', published_at = now()", "campaigns_state_check"},
		{"draft", "state = 'published'", "campaigns_published_at_check"},
		{"draft", "closed_at = now()", "campaigns_closed_at_check"},
		{"published", "state = 'draft', published_at = NULL", "campaigns_keep_promises"},
		{"published", "currency = 'USD'", "campaigns_keep_promises"},
		{"closed", "state = 'published', closed_at = NULL", "campaigns_keep_promises"},
		{"closed", "goal_minor = 1", "campaigns_keep_promises"},
	} {
		t.Run(test.slug+": "+test.set, func(t *testing.T) {
			_, err := owner.Exec(ctx, "UPDATE campaigns.campaigns SET "+test.set+" WHERE id = $1", test.slug)
			if !postgres.Constraint(err, test.constraint) {
				t.Errorf("got %v, want a violation of %s", err, test.constraint)
			}
		})
	}
	t.Run("published: DELETE", func(t *testing.T) {
		_, err := owner.Exec(ctx, "DELETE FROM campaigns.campaigns WHERE id = 'published'")
		if !postgres.Constraint(err, "campaigns_delete_drafts") {
			t.Errorf("got %v, want a violation of campaigns_delete_drafts", err)
		}
	})
	for _, statement := range []string{"TRUNCATE campaigns.campaigns", "UPDATE campaigns.campaigns SET created_at = now()"} {
		var pgErr *pgconn.PgError
		if _, err := pool.Exec(ctx, statement); !errors.As(err, &pgErr) || pgErr.Code != "42501" {
			t.Errorf("%s: %v, want insufficient privilege", statement, err)
		}
	}
}
