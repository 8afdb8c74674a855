package access_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"google.golang.org/grpc/codes"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/access"
	"github.com/cagnotte/cagnotte/services/internal/errstest"
	"github.com/cagnotte/cagnotte/services/internal/pgtest"
)

// clock is a time that tests move.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func newClock() *clock { return &clock{at: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) forward(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// fresh returns the service on a database with two collectives.
func fresh(t *testing.T) (*access.Service, *pgxpool.Pool, *clock) {
	t.Helper()
	pool, clock := pgtest.New(t), newClock()
	for _, id := range []string{"vallon", "marseille"} {
		_, err := pool.Exec(context.Background(), `
			INSERT INTO collectives.collectives (id, display_name, stripe_account, time_zone, created_at, updated_at)
			VALUES ($1, $1, '', 'Europe/Paris', now(), now())`, id)
		if err != nil {
			t.Fatal(err)
		}
	}
	return access.New(access.Config{Pool: pool, Now: clock.now}), pool, clock
}

func create(t *testing.T, s *access.Service, k access.Key) (access.Key, string) {
	t.Helper()
	k.DisplayName = "Laptop"
	created, secret, err := s.Create(context.Background(), k)
	if err != nil {
		t.Fatal(err)
	}
	return created, secret
}

func TestKeyOpensItsCollective(t *testing.T) {
	s, _, _ := fresh(t)
	ctx := context.Background()
	for _, role := range []access.Role{access.RoleOwner, access.RoleEditor, access.RoleTreasurer, access.RoleAuditor} {
		_, secret := create(t, s, access.Key{Collective: "vallon", ID: "k-" + string(role), Role: role})
		got, err := s.Authenticate(ctx, secret)
		if err != nil {
			t.Fatal(err)
		}
		name := "collectives/vallon/apiKeys/k-" + string(role)
		want := access.Principal{
			Name: name, Key: name, Member: name, DisplayName: "Laptop", Fresh: true, Grants: []access.Grant{{Collective: "vallon", Role: role}},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		if !regexp.MustCompile(`^cag_[a-z2-7]{16}_[A-Za-z0-9_-]{43}$`).MatchString(secret) {
			t.Errorf("a key of another form: %q", secret)
		}
	}
	secret, err := s.CreateOperatorKey(ctx, "First login")
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.Authenticate(ctx, secret)
	if err != nil || !got.IsOperator() || got.Collectives() != nil || !strings.HasPrefix(got.Key, "instance/apiKeys/") {
		t.Errorf("operator: %+v, %v", got, err)
	}
}

func TestSecretsAreNotKept(t *testing.T) {
	s, pool, _ := fresh(t)
	_, key := create(t, s, access.Key{Collective: "vallon", Role: access.RoleOwner})
	secret := key[strings.LastIndex(key[:21], "_")+1:]
	var row string
	var hash []byte
	err := pool.QueryRow(context.Background(), "SELECT k::text, k.secret_hash FROM access.api_keys AS k").Scan(&row, &hash)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(row, secret) || len(secret) != 43 {
		t.Errorf("the row holds the secret: %s", row)
	}
	if want := sha256.Sum256([]byte(secret)); string(hash) != string(want[:]) {
		t.Error("the hash is not that of the secret part")
	}
}

func TestAuthenticateRefuses(t *testing.T) {
	s, _, _ := fresh(t)
	ctx := context.Background()
	_, good := create(t, s, access.Key{Collective: "vallon", ID: "good", Role: access.RoleOwner})
	_, other := create(t, s, access.Key{Collective: "vallon", ID: "other", Role: access.RoleOwner})
	_, revoked := create(t, s, access.Key{Collective: "vallon", ID: "revoked", Role: access.RoleOwner})
	if _, err := s.Revoke(ctx, "vallon", "revoked"); err != nil {
		t.Fatal(err)
	}
	// The last character holds two bits that base64 does not use: its neighbour decodes
	// to the same bytes.
	twin := good[:len(good)-1] + string(good[len(good)-1]+1)
	for rule, key := range map[string]string{
		"an empty key":                     "",
		"another word":                     "hello",
		"a key without a secret":           good[:21],
		"a secret that is cut":             good[:len(good)-1],
		"a secret with more behind it":     good + "A",
		"the secret of another key":        good[:21] + other[21:],
		"an unknown id":                    "cag_aaaaaaaaaaaaaaaa_" + good[21:],
		"a revoked key":                    revoked,
		"a key in capitals":                strings.ToUpper(good),
		"a key with a space":               " " + good,
		"a key with a NUL":                 "cag_\x00_" + good[21:],
		"another text for the same secret": twin,
	} {
		t.Run(rule, func(t *testing.T) {
			p, err := s.Authenticate(ctx, key)
			errstest.Want(t, err, codes.Unauthenticated, errorsv1.ErrorReason_INVALID_KEY)
			if !p.IsZero() {
				t.Errorf("and says who it is: %+v", p)
			}
		})
	}
	if _, err := s.Authenticate(ctx, good); err != nil {
		t.Errorf("the good key: %v", err)
	}
}

func TestCreateRefuses(t *testing.T) {
	s, _, _ := fresh(t)
	ctx := context.Background()
	create(t, s, access.Key{Collective: "vallon", ID: "taken", Role: access.RoleOwner})
	create(t, s, access.Key{ID: "taken", Role: access.RoleOperator})
	for _, test := range []struct {
		rule   string
		key    access.Key
		code   codes.Code
		reason errorsv1.ErrorReason
		fields []string
	}{
		{"an operator in a collective", access.Key{Collective: "vallon", Role: access.RoleOperator, DisplayName: "x"}, codes.InvalidArgument, errorsv1.ErrorReason_INVALID_FIELD, []string{"api_key.role"}},
		{"an owner of the instance", access.Key{Role: access.RoleOwner, DisplayName: "x"}, codes.InvalidArgument, errorsv1.ErrorReason_INVALID_FIELD, []string{"api_key.role"}},
		{"no role", access.Key{Collective: "vallon", DisplayName: "x"}, codes.InvalidArgument, errorsv1.ErrorReason_INVALID_FIELD, []string{"api_key.role"}},
		{"no display name", access.Key{Collective: "vallon", Role: access.RoleOwner, DisplayName: "  "}, codes.InvalidArgument, errorsv1.ErrorReason_INVALID_FIELD, []string{"api_key.display_name"}},
		{"a display name of two lines", access.Key{Collective: "vallon", Role: access.RoleOwner, DisplayName: "a\nb"}, codes.InvalidArgument, errorsv1.ErrorReason_INVALID_FIELD, []string{"api_key.display_name"}},
		{"a display name too long", access.Key{Collective: "vallon", Role: access.RoleOwner, DisplayName: strings.Repeat("é", 81)}, codes.InvalidArgument, errorsv1.ErrorReason_INVALID_FIELD, []string{"api_key.display_name"}},
		{"a missing collective", access.Key{Collective: "nowhere", Role: access.RoleOwner, DisplayName: "x"}, codes.NotFound, errorsv1.ErrorReason_NOT_FOUND, nil},
		{"a taken id, sent twice", access.Key{Collective: "vallon", ID: "taken", Role: access.RoleOwner, DisplayName: "Laptop"}, codes.AlreadyExists, errorsv1.ErrorReason_API_KEY_EXISTS, nil},
		{"a taken id of the instance", access.Key{ID: "taken", Role: access.RoleOperator, DisplayName: "x"}, codes.AlreadyExists, errorsv1.ErrorReason_API_KEY_EXISTS, nil},
	} {
		t.Run(test.rule, func(t *testing.T) {
			_, secret, err := s.Create(ctx, test.key)
			errstest.Want(t, err, test.code, test.reason, test.fields...)
			if secret != "" {
				t.Error("and gives a secret")
			}
		})
	}
	t.Run("and takes the same id in another collective", func(t *testing.T) {
		create(t, s, access.Key{Collective: "marseille", ID: "taken", Role: access.RoleOwner})
	})
}

func TestRevoke(t *testing.T) {
	s, _, clock := fresh(t)
	ctx := context.Background()
	create(t, s, access.Key{Collective: "vallon", ID: "k-1", Role: access.RoleOwner})
	create(t, s, access.Key{Collective: "marseille", ID: "k-2", Role: access.RoleOwner})
	first, err := s.Revoke(ctx, "vallon", "k-1")
	if err != nil || !first.RevokeTime.Equal(clock.now()) {
		t.Fatalf("%+v, %v", first, err)
	}
	clock.forward(time.Hour)
	t.Run("twice answers the same", func(t *testing.T) {
		second, err := s.Revoke(ctx, "vallon", "k-1")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(first, second); diff != "" {
			t.Errorf("(-first +second)\n%s", diff)
		}
	})
	t.Run("answers alike for a missing key and for one of another collective", func(t *testing.T) {
		_, missing := s.Revoke(ctx, "vallon", "k-0")
		_, foreign := s.Revoke(ctx, "vallon", "k-2")
		errstest.Want(t, missing, codes.NotFound, errorsv1.ErrorReason_NOT_FOUND)
		if strings.ReplaceAll(missing.Error(), "k-0", "k-2") != foreign.Error() {
			t.Errorf("missing: %v; foreign: %v", missing, foreign)
		}
	})
}

func TestLastUse(t *testing.T) {
	s, pool, clock := fresh(t)
	ctx := context.Background()
	_, secret := create(t, s, access.Key{Collective: "vallon", ID: "k-1", Role: access.RoleOwner})
	lastUse := func() (at *time.Time) {
		t.Helper()
		if err := pool.QueryRow(ctx, "SELECT last_used_at FROM access.api_keys WHERE id = 'k-1'").Scan(&at); err != nil {
			t.Fatal(err)
		}
		return at
	}
	use := func() {
		t.Helper()
		if _, err := s.Authenticate(ctx, secret); err != nil {
			t.Fatal(err)
		}
	}
	if at := lastUse(); at != nil {
		t.Errorf("a new key was used at %v", at)
	}
	start := clock.now()
	for _, step := range []struct {
		after, want time.Duration
	}{{0, 0}, {59 * time.Second, 0}, {time.Second, time.Minute}, {30 * time.Second, time.Minute}, {time.Hour, time.Hour + 90*time.Second}} {
		clock.forward(step.after)
		use()
		if at := lastUse(); at == nil || !at.Equal(start.Add(step.want)) {
			t.Errorf("after %v: last use %v, want %v", clock.now().Sub(start), at, start.Add(step.want))
		}
	}

	t.Run("a refused secret is no use", func(t *testing.T) {
		before := lastUse()
		clock.forward(time.Hour)
		if _, err := s.Authenticate(ctx, secret[:len(secret)-1]+"~"); err == nil {
			t.Fatal("was accepted")
		}
		if !lastUse().Equal(*before) {
			t.Error("it was written down")
		}
	})
	t.Run("waits for nobody who holds the row", func(t *testing.T) {
		before := lastUse()
		tx, err := pool.Begin(ctx)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = tx.Rollback(ctx) }()
		if _, err := tx.Exec(ctx, "SELECT FROM access.api_keys WHERE id = 'k-1' FOR UPDATE"); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		var calls sync.WaitGroup
		for range 8 {
			calls.Go(func() {
				if _, err := s.Authenticate(ctx, secret); err != nil {
					t.Error(err)
				}
			})
		}
		calls.Wait()
		// The lock would be waited for 5 s, and touch gives up after 1 s.
		if took := time.Since(start); took > 900*time.Millisecond {
			t.Errorf("took %v", took)
		}
		if !lastUse().Equal(*before) {
			t.Error("the row was written though it was held")
		}
	})
	t.Run("does not fail the call when it cannot be written", func(t *testing.T) {
		if _, err := pgtest.Owner(t, pool).Exec(ctx, "REVOKE UPDATE (last_used_at, revoked_at) ON access.api_keys FROM cagnotte_service"); err != nil {
			t.Fatal(err)
		}
		use()
	})
}

func TestDatabaseKeepsKindsApart(t *testing.T) {
	_, pool, _ := fresh(t)
	owner := pgtest.Owner(t, pool)
	insert := func(role, collective string) error {
		_, err := owner.Exec(context.Background(), `
			INSERT INTO access.api_keys (token, secret_hash, collective, id, display_name, role, created_at)
			VALUES ($1, $2, NULLIF($3, ''), 'id', 'x', $4, now())`,
			"aaaaaaaaaaaaaaaa", make([]byte, 32), collective, role)
		return err
	}
	for _, bad := range [][2]string{{"operator", "vallon"}, {"owner", ""}, {"king", "vallon"}} {
		var pgErr *pgconn.PgError
		if err := insert(bad[0], bad[1]); !errors.As(err, &pgErr) || pgErr.Code != "23514" {
			t.Errorf("role %q of %q: %v, want a check violation", bad[0], bad[1], err)
		}
	}
	for _, statement := range []string{
		"UPDATE access.api_keys SET role = 'owner'",
		"UPDATE access.api_keys SET secret_hash = ''",
		"DELETE FROM access.api_keys",
	} {
		var pgErr *pgconn.PgError
		if _, err := pool.Exec(context.Background(), statement); !errors.As(err, &pgErr) || pgErr.Code != "42501" {
			t.Errorf("%s: %v, want insufficient privilege", statement, err)
		}
	}
}
