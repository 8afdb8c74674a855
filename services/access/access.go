package access

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base32"
	"encoding/base64"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

// Role is what a key may do. The zero Role may nothing.
type Role string

// The roles. All but the operator act within one collective.
const (
	// RoleOwner does everything in its collective, keys included.
	RoleOwner Role = "owner"
	// RoleEditor writes campaigns, and reads campaigns and donations.
	RoleEditor Role = "editor"
	// RoleTreasurer reads the money: donations, ledger, exports.
	RoleTreasurer Role = "treasurer"
	// RoleAuditor reads all of its collective and changes nothing.
	RoleAuditor Role = "auditor"
	// RoleOperator runs the instance.
	RoleOperator Role = "operator"
)

// Principal is who calls. The zero Principal is nobody: a call without a key.
type Principal struct {
	// Key is the resource name of the key: `collectives/{collective}/apiKeys/{api_key}`
	// or `instance/apiKeys/{api_key}`.
	Key string
	// DisplayName is the key's name for people.
	DisplayName string
	// Role is the key's role.
	Role Role
	// Collective is the id of the key's collective; empty for the operator.
	Collective string
	// Member is the name of the key that stands for the whole member; see [Key.Member].
	Member string
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
	// Maker is the resource name of the key that made it; empty for the command line.
	Maker string
	// Root is the id of the key, of the same collective, that stands for the member; empty for the key itself.
	Root string
}

// Member returns the resource name of the key that stands for whoever holds this one: the first key of a chain of keys of
// which each made the next. A key that the operator or the command line made begins a member of its own. It never changes,
// whatever is revoked.
func (k Key) Member() string { return keyName(k.Collective, cmp.Or(k.Root, k.ID)) }

// MadeByOperator reports whether the key was made by the operator's key, or on the command line.
func (k Key) MadeByOperator() bool {
	return k.Maker == "" || strings.HasPrefix(k.Maker, instance+"/")
}

// Name returns the key's resource name.
func (k Key) Name() string { return keyName(k.Collective, k.ID) }

func keyName(collective, id string) string {
	if collective == "" {
		return instance + "/apiKeys/" + id
	}
	return "collectives/" + collective + "/apiKeys/" + id
}

// parseKeyName splits a key's resource name; ok is false when it is not one.
func parseKeyName(name string) (collective, id string, ok bool) {
	scope, id, ok := strings.Cut(name, "/apiKeys/")
	if !ok || id == "" || strings.Contains(id, "/") {
		return "", "", false
	}
	collective, ok = parseScope(scope)
	return collective, id, ok
}

// instance is the scope of what belongs to no collective: the first segment of its names, and its parent.
const instance = "instance"

// parseScope returns the collective's id in a parent, which is empty for the instance; ok is false when it is neither.
func parseScope(parent string) (collective string, ok bool) {
	if parent == instance {
		return "", true
	}
	collective, ok = strings.CutPrefix(parent, "collectives/")
	return collective, ok && collective != "" && !strings.Contains(collective, "/")
}

// Config is what a Service needs. The zero value of everything but Pool works.
type Config struct {
	// Pool is the database.
	Pool *pgxpool.Pool
	// Now tells the time; time.Now when nil.
	Now func() time.Time
	// TellTx tells the other members of a key that was made or revoked, in the same transaction; nobody is told when nil.
	TellTx func(ctx context.Context, tx pgx.Tx, change KeyChange) error
}

// KeyChange is a key that was made or revoked just now.
type KeyChange struct {
	// Key is the key as it is now: it has a RevokeTime when it was revoked.
	Key Key
	// By is who did it; nobody for the command line.
	By Principal
}

// Service keeps the keys and checks them. It is safe for concurrent use and keeps
// nothing in memory: a revoked key stops at the next call, on every copy of the
// program.
type Service struct {
	pool   *pgxpool.Pool
	now    func() time.Time
	tellTx func(ctx context.Context, tx pgx.Tx, change KeyChange) error
}

// New returns a Service.
func New(c Config) *Service {
	s := &Service{pool: c.Pool, now: c.Now, tellTx: c.TellTx}
	if s.tellTx == nil {
		s.tellTx = func(context.Context, pgx.Tx, KeyChange) error { return nil }
	}
	if s.now == nil {
		s.now = time.Now
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
	invalid := invalidKey()
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
		Member:      row.key.Member(),
	}, nil
}

func invalidKey() error {
	return errs.New(errorsv1.ErrorReason_INVALID_KEY, "The API key is unknown or was revoked.")
}

// useInterval is how exactly a key's last use is known: the busiest key costs one
// write a minute.
const useInterval = time.Minute

// Create makes a key and returns it with its secret, which is kept nowhere. An
// empty id is made up. An id that is taken is ALREADY_EXISTS (API_KEY_EXISTS), a
// missing collective NOT_FOUND, a role of the wrong kind INVALID_ARGUMENT.
//
// The caller in the context is its maker, and a maker that was revoked meanwhile is
// UNAUTHENTICATED (INVALID_KEY). Other members are told in the same transaction.
func (s *Service) Create(ctx context.Context, k Key) (Key, string, error) {
	if err := checkRole(k); err != nil {
		return Key{}, "", err
	}
	if err := checkDisplayName(k.DisplayName); err != nil {
		return Key{}, "", err
	}
	token, secret := randomID(), randomSecret()
	if k.ID == "" {
		k.ID = randomID()
	}
	k.CreateTime = s.now().UTC().Truncate(time.Microsecond)
	k.LastUseTime, k.RevokeTime = time.Time{}, time.Time{}
	by := PrincipalFrom(ctx)
	err := postgres.InTx(ctx, s.pool, func(ctx context.Context, tx pgx.Tx) error {
		k.Maker, k.Root = by.Key, ""
		if by.Key != "" {
			maker, err := HoldTx(ctx, tx, by.Key)
			if err != nil {
				return err
			}
			if maker.Role != RoleOperator {
				k.Root = cmp.Or(maker.Root, maker.ID)
			}
		}
		if err := insertTx(ctx, tx, k, token, hashSecret(secret)); err != nil {
			return err
		}
		return s.tellTx(ctx, tx, KeyChange{Key: k, By: by})
	})
	if err != nil {
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

// Revoke ends a key for ever, and tells other members in the same transaction. A
// second time it changes nothing and answers the same. A missing one is NOT_FOUND.
// A caller in the context whose own key was revoked meanwhile is UNAUTHENTICATED
// (INVALID_KEY): of two keys that revoke each other, one stays.
func (s *Service) Revoke(ctx context.Context, collective, id string) (k Key, err error) {
	by := PrincipalFrom(ctx)
	err = postgres.InTx(ctx, s.pool, func(ctx context.Context, tx pgx.Tx) error {
		if err := lockRevocationsTx(ctx, tx, collective); err != nil {
			return err
		}
		if by.Key != "" {
			if _, err := HoldTx(ctx, tx, by.Key); err != nil {
				return err
			}
		}
		var revoked bool
		if k, revoked, err = revokeTx(ctx, tx, collective, id, s.now().UTC().Truncate(time.Microsecond)); err != nil || !revoked {
			return err
		}
		return s.tellTx(ctx, tx, KeyChange{Key: k, By: by})
	})
	if err != nil {
		return Key{}, err
	}
	return k, nil
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
func randomID() string {
	b := make([]byte, idBytes)
	_, _ = rand.Read(b) // it never fails
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b))
}

func randomSecret() string {
	b := make([]byte, secretBytes)
	_, _ = rand.Read(b) // it never fails
	return base64.RawURLEncoding.EncodeToString(b)
}
