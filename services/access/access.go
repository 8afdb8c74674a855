package access

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"encoding/base64"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"google.golang.org/grpc/codes"

	"github.com/cagnotte/cagnotte/services/internal/errs"
)

// Role is what a key may do. The zero Role may nothing.
type Role string

// The roles. All but the operator act within one collective.
const (
	// RoleOwner does everything in its collective, keys included.
	RoleOwner Role = "owner"
	// RoleEditor writes campaigns, and reads campaigns and gifts.
	RoleEditor Role = "editor"
	// RoleTreasurer reads the money: gifts, ledger, exports.
	RoleTreasurer Role = "treasurer"
	// RoleAuditor reads all of its collective and changes nothing.
	RoleAuditor Role = "auditor"
	// RoleOperator runs the instance.
	RoleOperator Role = "operator"
)

// Principal is who calls. The zero Principal is nobody: a call without a key.
type Principal struct {
	// Key is the resource name of the key: `collectives/{collective}/apiKeys/{api_key}`
	// or `apiKeys/{api_key}`.
	Key string
	// DisplayName is the key's name for people.
	DisplayName string
	// Role is the key's role.
	Role Role
	// Collective is the id of the key's collective; empty for the operator.
	Collective string
}

// IsZero reports whether p is nobody.
func (p Principal) IsZero() bool { return p == Principal{} }

// Sees reports whether p reads as a member does what belongs to the collective of
// this id: its own members and the operator do.
func (p Principal) Sees(collective string) bool {
	return p.Role == RoleOperator || p.Collective != "" && p.Collective == collective
}

type principalKey struct{}

// WithPrincipal returns a context that carries the caller. The rpc package sets it
// once for each call, after the key was checked.
func WithPrincipal(ctx context.Context, p Principal) context.Context {
	return context.WithValue(ctx, principalKey{}, p)
}

// PrincipalFrom returns the caller; nobody when the context carries none.
func PrincipalFrom(ctx context.Context) Principal {
	p, _ := ctx.Value(principalKey{}).(Principal)
	return p
}

// Key is what is kept of an API key: everything but its secret.
type Key struct {
	// Collective is the owning collective's id; empty for the instance's keys.
	Collective string
	// ID is the last segment of the key's name, unique in its collective.
	ID string
	// DisplayName is its name for people.
	DisplayName string
	// Role is what it may do.
	Role Role
	// CreateTime is when it was created.
	CreateTime time.Time
	// LastUseTime is when it was last used, to the minute; zero when never.
	LastUseTime time.Time
	// RevokeTime is when it was revoked; zero while it works.
	RevokeTime time.Time
}

// Name returns the key's resource name.
func (k Key) Name() string { return keyName(k.Collective, k.ID) }

func keyName(collective, id string) string {
	if collective == "" {
		return "apiKeys/" + id
	}
	return "collectives/" + collective + "/apiKeys/" + id
}

// parseKeyName splits a key's resource name; ok is false when it is not one.
func parseKeyName(name string) (collective, id string, ok bool) {
	rest, scoped := strings.CutPrefix(name, "collectives/")
	if scoped {
		collective, rest, ok = strings.Cut(rest, "/")
		if !ok || collective == "" {
			return "", "", false
		}
	}
	id, ok = strings.CutPrefix(rest, "apiKeys/")
	return collective, id, ok && id != "" && !strings.Contains(id, "/")
}

// Config is what a Service needs. The zero value of everything but Pool works.
type Config struct {
	// Pool is the database.
	Pool *pgxpool.Pool
	// Now tells the time; time.Now when nil.
	Now func() time.Time
	// Random makes secrets and ids; crypto/rand when nil.
	Random io.Reader
}

// Service keeps the keys and checks them. It is safe for concurrent use and keeps
// nothing in memory: a revoked key stops at the next call, on every copy of the
// program.
type Service struct {
	pool   *pgxpool.Pool
	now    func() time.Time
	random io.Reader
}

// New returns a Service.
func New(c Config) *Service {
	s := &Service{pool: c.Pool, now: c.Now, random: c.Random}
	if s.now == nil {
		s.now = time.Now
	}
	if s.random == nil {
		s.random = rand.Reader
	}
	return s
}

// Authenticate returns whose key the bearer is: the credential of the
// Authorization header, without the word "Bearer". Whoever sends no such header is
// nobody and is not asked about here. A key that is malformed, unknown, wrong or
// revoked is UNAUTHENTICATED (INVALID_KEY), always the same.
//
// It writes down the use of the key at most once a minute. That never makes it
// wait for another call, and when it fails the call goes on.
func (s *Service) Authenticate(ctx context.Context, bearer string) (Principal, error) {
	invalid := errs.New(codes.Unauthenticated, "INVALID_KEY", "The API key is unknown or was revoked.")
	token, secret, ok := splitKey(bearer)
	if !ok {
		return Principal{}, invalid
	}
	row, found, err := s.findToken(ctx, token)
	if err != nil {
		return Principal{}, err
	}
	// An unknown id is compared as well, with a hash that nothing has, so that time
	// does not tell a wrong secret from an unknown id.
	matches := secretMatches(secret, row.hash)
	if !found || !matches || !row.key.RevokeTime.IsZero() {
		return Principal{}, invalid
	}
	if now := s.now(); now.Sub(row.key.LastUseTime) >= useInterval {
		s.touch(ctx, token, now)
	}
	return Principal{
		Key:         row.key.Name(),
		DisplayName: row.key.DisplayName,
		Role:        row.key.Role,
		Collective:  row.key.Collective,
	}, nil
}

// useInterval is how exactly a key's last use is known: the busiest key costs one
// write a minute.
const useInterval = time.Minute

// Create makes a key and returns it with its secret, which is kept nowhere. An
// empty id is made up. An id that is taken is ALREADY_EXISTS (API_KEY_EXISTS), a
// missing collective NOT_FOUND, a role of the wrong kind INVALID_ARGUMENT.
func (s *Service) Create(ctx context.Context, k Key) (Key, string, error) {
	if err := checkRole(k); err != nil {
		return Key{}, "", err
	}
	if err := checkDisplayName(k.DisplayName); err != nil {
		return Key{}, "", err
	}
	token, err := s.randomID()
	if err != nil {
		return Key{}, "", err
	}
	secret, err := s.randomSecret()
	if err != nil {
		return Key{}, "", err
	}
	if k.ID == "" {
		if k.ID, err = s.randomID(); err != nil {
			return Key{}, "", err
		}
	}
	k.CreateTime = s.now().UTC().Truncate(time.Microsecond)
	k.LastUseTime, k.RevokeTime = time.Time{}, time.Time{}
	if err := s.insert(ctx, k, token, hashSecret(secret)); err != nil {
		return Key{}, "", err
	}
	return k, joinKey(token, secret), nil
}

// CreateOperatorKey makes a key of the instance, for the first login and for who
// has locked themself out. The display name is for people; the key is returned
// this once.
func (s *Service) CreateOperatorKey(ctx context.Context, displayName string) (string, error) {
	_, secret, err := s.Create(ctx, Key{DisplayName: displayName, Role: RoleOperator})
	return secret, err
}

// Revoke ends a key for ever. A second time it changes nothing and answers the
// same. A missing one is NOT_FOUND.
func (s *Service) Revoke(ctx context.Context, collective, id string) (Key, error) {
	return s.revoke(ctx, collective, id, s.now().UTC().Truncate(time.Microsecond))
}

// checkRole keeps the two kinds of keys apart, so that no owner can make itself
// the operator and no operator's key looks like a collective's.
func checkRole(k Key) error {
	switch k.Role {
	case RoleOwner, RoleEditor, RoleTreasurer, RoleAuditor:
		if k.Collective == "" {
			return errs.Invalid("api_key.role", "must be OPERATOR for a key of the instance")
		}
	case RoleOperator:
		if k.Collective != "" {
			return errs.Invalid("api_key.role", "must be OWNER, EDITOR, TREASURER or AUDITOR for a key of a collective")
		}
	default:
		return errs.Invalid("api_key.role", "must be a known role")
	}
	return nil
}

const maxDisplayNameChars = 80

func checkDisplayName(name string) error {
	if !printableLine(name, maxDisplayNameChars) {
		return errs.Invalid("api_key.display_name", "must be one line of 1 to %d characters", maxDisplayNameChars)
	}
	return nil
}

const idBytes = 10

// randomID returns 80 random bits in 16 lower-case letters and digits. Neither the
// alphabet nor a name's last segment has an underscore, which ends the id in a key.
func (s *Service) randomID() (string, error) {
	b := make([]byte, idBytes)
	if _, err := io.ReadFull(s.random, b); err != nil {
		return "", fmt.Errorf("make an id: %w", err)
	}
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b)), nil
}

func (s *Service) randomSecret() (string, error) {
	b := make([]byte, secretBytes)
	if _, err := io.ReadFull(s.random, b); err != nil {
		return "", fmt.Errorf("make a secret: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(b), nil
}
