package access

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base32"
	"encoding/base64"
	"strings"
	"time"

	"github.com/go-webauthn/webauthn/webauthn"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/mail"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

// Key is an API key as it is stored, without its secret.
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
	// EndTime is when it stops to work; zero for a key without an end.
	EndTime time.Time
	// Pending: it works once a second member has agreed.
	Pending bool
	// Maker is the resource name of the key or member that made it; empty for the command line.
	Maker string
	// Person is the id of the member whose key it is; uuid.Nil for a key of no person.
	Person uuid.UUID
	// PersonName is that member's name for people; empty for a key of no person.
	PersonName string
	// Root is the id of the first key of a chain of keys of no person, in which each made the next. It is of the same
	// collective, and empty when this key is the first.
	Root string
}

// Member returns whose key it is: `members/{member}` for a person's. For a key of no person it is the resource name of the
// first key of its chain; a key that the operator's key or the command line made is a first key. Two keys with the same
// Member belong to one member. Revoking keys changes no Member.
func (k Key) Member() string {
	if k.Person != uuid.Nil {
		return memberName(k.Person)
	}
	return keyName(k.Collective, cmp.Or(k.Root, k.ID))
}

// MadeByOperator reports whether the key was made by an operator's key of no person, or on the command line.
func (k Key) MadeByOperator() bool {
	return k.Maker == "" || strings.HasPrefix(k.Maker, instance+"/")
}

// Name returns the key's resource name.
func (k Key) Name() string { return keyName(k.Collective, k.ID) }

func keyName(collective, id string) string {
	return scopeName(collective) + "/apiKeys/" + id
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

const membersPrefix = "members/"

func memberName(id uuid.UUID) string { return membersPrefix + id.String() }

// parseMemberName returns the id in `members/{member}`; ok is false when the name is anything else.
func parseMemberName(name string) (id uuid.UUID, ok bool) {
	text, ok := strings.CutPrefix(name, membersPrefix)
	if !ok {
		return uuid.Nil, false
	}
	id, err := uuid.Parse(text)
	return id, err == nil && id.String() == text
}

// instance is the scope of what belongs to no collective: the first segment of its names, and its parent.
const instance = "instance"

// scopeName returns the parent of what belongs to a collective or, when that is empty, to the instance.
func scopeName(collective string) string {
	if collective == "" {
		return instance
	}
	return "collectives/" + collective
}

// parseScope returns the collective's id in a parent, which is empty for the instance; ok is false when it is neither.
func parseScope(parent string) (collective string, ok bool) {
	if parent == instance {
		return "", true
	}
	collective, ok = strings.CutPrefix(parent, "collectives/")
	return collective, ok && collective != "" && !strings.Contains(collective, "/")
}

// Config configures a Service. Pool is required. A command needs no more than that.
type Config struct {
	// Pool is the database.
	Pool *pgxpool.Pool
	// Now returns the time; time.Now when nil.
	Now func() time.Time
	// Jobs queues mails. It is required for links and invitations.
	Jobs *river.Client[pgx.Tx]
	// Mail sends them. When nil, links and invitations are MAIL_NOT_CONFIGURED.
	Mail *mail.Sender
	// PublicURL is the address for browsers, without a slash at its end: of links, and the origin of passkeys.
	PublicURL string
	// SecretKey keys the hashes of networks and addresses whose attempts are counted. It is required where they are.
	SecretKey []byte
	// TellTx tells the other members that a key was made or revoked, in the same transaction. When nil, nobody is told.
	TellTx func(ctx context.Context, tx pgx.Tx, change KeyChange) error
	// TellPeopleTx tells the other members that somebody was invited, joined or left, or has another role or address, in the same
	// transaction. When nil, nobody is told.
	TellPeopleTx func(ctx context.Context, tx pgx.Tx, change PeopleChange) error
	// AuditTx writes the audit log's entry of a change, in the same transaction: audit.WriteTx, which this package cannot
	// import. When nil, none is written.
	AuditTx func(ctx context.Context, tx pgx.Tx, change AuditChange) error
	// GuardKeyTx reports whether a new key of an owner's or treasurer's role waits for a second member, and asks for one.
	// It is called after the key is stored. When nil, no key waits.
	GuardKeyTx func(ctx context.Context, tx pgx.Tx, k Key) (waits bool, err error)
	// GuardPeopleTx reports whether a role of an owner or treasurer waits for a second member, and asks for one. It is called
	// under the lock of [LockPeopleTx]. When nil, no role waits.
	GuardPeopleTx func(ctx context.Context, tx pgx.Tx, g Given) (Waiting, error)
	// WithdrawTx cancels what waits for a second member about invitations, memberships or keys that have ended, by their
	// resource names, in the same transaction. When nil, nothing is canceled.
	WithdrawTx func(ctx context.Context, tx pgx.Tx, subjects []string) error
	// AlsoForget erases what other packages keep of people for a time only. The job that deletes this package's rows calls it
	// each hour. When nil, nothing else is erased.
	AlsoForget func(ctx context.Context) error
}

// Given is a role of an owner or treasurer that somebody would get: by an invitation, or, when that is zero, by a change of
// their role.
type Given struct {
	Invitation Invitation
	// Membership is the one that holds now.
	Membership Membership
	// Role is the role that they would have.
	Role Role
}

// Text is the role and the person, for people: "treasurer Karim", or a shortened address.
func (g Given) Text() string {
	if g.Invitation.ID != uuid.Nil {
		return string(g.Role) + " " + shortEmail(g.Invitation.Email)
	}
	return string(g.Role) + " " + g.Membership.DisplayName
}

// Waiting is a pending change.
type Waiting struct {
	// Change is its resource name; empty when nothing waits.
	Change string
	// Repeated: it waited before.
	Repeated bool
}

// AuditChange is what the audit log says of a change: audit.Change, which tells the rules.
type AuditChange struct {
	// Collective is its slug; empty for the instance.
	Collective string
	// Resource is the name of what changed.
	Resource string
	// Before and After are the fields that changed.
	Before, After map[string]string
}

// fields are the values of a change for the audit log, by the name of the field.
type fields = map[string]string

// KeyChange is the making or revoking of a key.
type KeyChange struct {
	// Key is the key as it is now: it has a RevokeTime when it was revoked.
	Key Key
	// By is who did it; the zero Principal for the command line.
	By Principal
}

// PeopleKind is what happened to a member.
type PeopleKind string

// The kinds of changes of people.
const (
	MemberInvited PeopleKind = "invited"
	MemberJoined  PeopleKind = "joined"
	RoleChanged   PeopleKind = "role_changed"
	MemberLeft    PeopleKind = "left"
	// EmailChanged: an owner, or the operator, has another address.
	EmailChanged PeopleKind = "email_changed"
)

// PeopleChange is a change of the people of a collective, or of the instance.
type PeopleChange struct {
	Kind PeopleKind
	// Membership is what it is about; for an invitation it has the collective and the role alone.
	Membership Membership
	// Invitation is set for [MemberInvited], and for [MemberJoined] by an invitation.
	Invitation Invitation
	// Before is the role of before, for [RoleChanged] and [MemberLeft].
	Before Role
	// EmailChange identifies the change of an address, for [EmailChanged].
	EmailChange uuid.UUID
	// By is who did it; the zero Principal for the command line.
	By Principal
}

// Service stores keys, members and sessions, and checks them. It is safe for concurrent use. It caches nothing: a revoked
// key or session fails from the next call on, on every copy of the program.
type Service struct {
	cfg Config
	// webauthn is nil where the public address allows no passkeys.
	webauthn *webauthn.WebAuthn
}

// New returns a Service.
func New(c Config) *Service {
	if c.TellTx == nil {
		c.TellTx = func(context.Context, pgx.Tx, KeyChange) error { return nil }
	}
	if c.TellPeopleTx == nil {
		c.TellPeopleTx = func(context.Context, pgx.Tx, PeopleChange) error { return nil }
	}
	if c.AuditTx == nil {
		c.AuditTx = func(context.Context, pgx.Tx, AuditChange) error { return nil }
	}
	if c.GuardKeyTx == nil {
		c.GuardKeyTx = func(context.Context, pgx.Tx, Key) (bool, error) { return false, nil }
	}
	if c.GuardPeopleTx == nil {
		c.GuardPeopleTx = func(context.Context, pgx.Tx, Given) (Waiting, error) { return Waiting{}, nil }
	}
	if c.AlsoForget == nil {
		c.AlsoForget = func(context.Context) error { return nil }
	}
	if c.WithdrawTx == nil {
		c.WithdrawTx = func(context.Context, pgx.Tx, []string) error { return nil }
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Service{cfg: c, webauthn: newWebAuthn(c.PublicURL)}
}

func (s *Service) now() time.Time { return s.cfg.Now() }

// nowMicros is the time as Postgres stores it.
func (s *Service) nowMicros() time.Time { return s.now().UTC().Truncate(time.Microsecond) }

func (s *Service) auditTx(ctx context.Context, tx pgx.Tx, collective, resource string, before, after fields) error {
	return s.cfg.AuditTx(ctx, tx, AuditChange{Collective: collective, Resource: resource, Before: before, After: after})
}

// touchKeySQL skips a row that another call has locked: that call writes the same minute.
const touchKeySQL = `
UPDATE access.api_keys
SET last_used_at = @now
WHERE token = (
	SELECT k.token
	FROM access.api_keys AS k
	WHERE k.token = @token
		AND (k.last_used_at IS NULL OR k.last_used_at <= @before)
	FOR NO KEY UPDATE SKIP LOCKED
)`

// Authenticate returns who sends a credential: the holder of an API key, or the member of a session. Bearer is the value of
// the Authorization header, without the word "Bearer". One that is malformed, unknown, wrong, revoked or ended is
// UNAUTHENTICATED (INVALID_KEY), in each case with the same answer.
//
// It writes the time of use at most once a minute. That waits for no other call, and its failure does not fail the call.
func (s *Service) Authenticate(ctx context.Context, bearer string) (Principal, error) {
	if token, secret, ok := splitCredential(sessionPrefix, bearer); ok {
		return s.authenticateSession(ctx, token, secret)
	}
	token, secret, ok := splitCredential(keyPrefix, bearer)
	if !ok {
		return Principal{}, invalidKey()
	}
	row, found, err := s.findToken(ctx, token)
	if err != nil {
		return Principal{}, err
	}
	// An unknown id is compared too, with a hash that no secret has: the time of the answer is the same for a wrong secret
	// and an unknown id.
	now := s.now()
	if matches := secretMatches(secret, row.hash); !found || !matches || !row.works(now) {
		return Principal{}, invalidKey()
	}
	if now.Sub(row.key.LastUseTime) >= useInterval {
		s.touch(ctx, touchKeySQL, token, now)
	}
	return Principal{
		Name:        row.key.Name(),
		Member:      row.key.Member(),
		Key:         row.key.Name(),
		DisplayName: row.key.DisplayName,
		Language:    row.language,
		Fresh:       true,
		Grants:      []Grant{{row.key.Collective, row.key.Role}},
	}, nil
}

func invalidKey() error {
	return errs.New(errorsv1.ErrorReason_INVALID_KEY, "The API key or session is unknown, was revoked, or has ended.")
}

// useInterval is how exactly the last use of a key is known. A busy key costs one write in this time.
const useInterval = time.Minute

// maxKeyLife is the longest time for which a key can be made that has an end.
const maxKeyLife = 5 * 366 * 24 * time.Hour

// Create makes a key and returns it with its secret, which is not stored. The id is generated when it is empty. The
// caller in the context is the maker: a member's key is that person's. Other members are told in the same transaction.
//
// Errors: ALREADY_EXISTS (API_KEY_EXISTS) when the id is taken, also by the same request sent before; NOT_FOUND for a
// collective that does not exist; INVALID_ARGUMENT for a role, a name or an end that is invalid; FAILED_PRECONDITION
// (ROLE_TOO_HIGH) for a role that the maker's own does not cover; UNAUTHENTICATED (INVALID_KEY) when the maker's own key
// was revoked since the call began.
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
	k.CreateTime = s.nowMicros()
	k.LastUseTime, k.RevokeTime = time.Time{}, time.Time{}
	if !k.EndTime.IsZero() && (!k.EndTime.After(k.CreateTime) || k.EndTime.After(k.CreateTime.Add(maxKeyLife))) {
		return Key{}, "", errs.Invalid("api_key.end_time", "must be in the future, and within 5 years")
	}
	by := PrincipalFrom(ctx)
	err := postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		if err := madeByTx(ctx, tx, &k, by); err != nil {
			return err
		}
		k.Pending = false
		if err := insertTx(ctx, tx, k, token, hashSecret(secret)); err != nil {
			return err
		}
		if k.Role == RoleOwner || k.Role == RoleTreasurer {
			waits, err := s.cfg.GuardKeyTx(ctx, tx, k)
			if err != nil {
				return err
			}
			if waits {
				k.Pending = true
				if err := setPendingTx(ctx, tx, k); err != nil {
					return err
				}
			}
		}
		if err := s.cfg.TellTx(ctx, tx, KeyChange{Key: k, By: by}); err != nil {
			return err
		}
		return s.auditTx(ctx, tx, k.Collective, k.Name(), nil, k.fields())
	})
	if err != nil {
		return Key{}, "", err
	}
	return k, joinKey(token, secret), nil
}

// madeByTx sets whose key it is: that of the person who makes it, or of the chain of the key that does. The maker is held.
func madeByTx(ctx context.Context, tx pgx.Tx, k *Key, by Principal) error {
	k.Maker, k.Root, k.Person, k.PersonName = by.Name, "", uuid.Nil, ""
	if by.IsZero() {
		return nil
	}
	actor, err := HoldTx(ctx, tx, k.Collective, by.Name)
	if err != nil {
		return err
	}
	// A key cannot outlive itself by making another one.
	if !actor.KeyEnd.IsZero() && (k.EndTime.IsZero() || k.EndTime.After(actor.KeyEnd)) {
		return errs.Invalid("api_key.end_time", "must not be after %s, when the key ends that makes it", actor.KeyEnd.UTC().Format(time.RFC3339))
	}
	if !by.IsOperator() && !actor.Role.covers(k.Role) {
		return errs.New(errorsv1.ErrorReason_ROLE_TOO_HIGH, "The role %s has rights that %s does not have.", k.Role, actor.Role)
	}
	if person := by.memberID(); person != uuid.Nil {
		k.Person = person
		return postgres.Error(tx.QueryRow(ctx, personNameSQL, pgx.NamedArgs{"id": person}).Scan(&k.PersonName))
	}
	if _, id, ok := parseKeyName(by.Member); ok && !by.IsOperator() {
		k.Root = id
	}
	return nil
}

const personNameSQL = `
SELECT m.display_name
FROM access.members AS m
WHERE m.id = @id`

// fields are the key's for the audit log.
func (k Key) fields() fields {
	f := fields{"display_name": k.DisplayName, "role": string(k.Role)}
	if !k.EndTime.IsZero() {
		f["end_time"] = k.EndTime.UTC().Format(time.RFC3339)
	}
	return f
}

// CreateOperatorKey makes a key of the operator, for the first login and for operators who lost theirs. The display name
// is for people. The key is returned once and cannot be read again.
func (s *Service) CreateOperatorKey(ctx context.Context, displayName string) (string, error) {
	_, secret, err := s.Create(ctx, Key{DisplayName: displayName, Role: RoleOperator})
	return secret, err
}

// Revoke ends a key for good, and tells other members in the same transaction. Invitations that a key of no person made and
// that are still open are revoked too, and what waits for a second member about them or the key is canceled. Revoking it again
// changes nothing and returns the same key. An empty collective is the instance.
//
// Errors: NOT_FOUND for a key that does not exist; UNAUTHENTICATED (INVALID_KEY) when the caller's own key was revoked
// since the call began. So when two keys revoke each other, one of them stays.
func (s *Service) Revoke(ctx context.Context, collective, id string) (k Key, err error) {
	by := PrincipalFrom(ctx)
	err = postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		if err := LockPeopleTx(ctx, tx, collective); err != nil {
			return err
		}
		if err := lockRevocationsTx(ctx, tx, collective); err != nil {
			return err
		}
		if !by.IsZero() {
			if _, err := HoldTx(ctx, tx, collective, by.Name); err != nil {
				return err
			}
		}
		k, err = s.revokeKeyTx(ctx, tx, collective, id)
		return err
	})
	if err != nil {
		return Key{}, err
	}
	return k, nil
}

// revokeInvitationsOfKeySQL has those to all collectives where the key is an operator's.
const revokeInvitationsOfKeySQL = `
UPDATE access.invitations AS i
SET revoked_at = @now
WHERE i.inviter = @inviter
	AND (@collective = '' OR i.collective = @collective)
	AND i.accepted_at IS NULL
	AND i.revoked_at IS NULL
RETURNING` + invitationColumns

// revokeKeyTx is Revoke for a caller that has checked who may, under the locks of the collective.
func (s *Service) revokeKeyTx(ctx context.Context, tx pgx.Tx, collective, id string) (Key, error) {
	now := s.nowMicros()
	k, revoked, err := revokeTx(ctx, tx, collective, id, now)
	if err != nil || !revoked {
		return k, err
	}
	// Of keys only one that waited for a second member is the subject of a change.
	var ended []string
	if k.Pending {
		ended = append(ended, k.Name())
	}
	// For what a key of no person invited nobody answers any more.
	if k.Person == uuid.Nil {
		if err := lockInvitedTx(ctx, tx, collective); err != nil {
			return Key{}, err
		}
		invitations, err := revokeInvitationsTx(ctx, tx, revokeInvitationsOfKeySQL, pgx.NamedArgs{"inviter": k.Name(), "collective": collective, "now": now})
		if err != nil {
			return Key{}, err
		}
		ended = append(ended, invitations...)
	}
	if err := s.cfg.WithdrawTx(ctx, tx, ended); err != nil {
		return Key{}, err
	}
	if err := s.cfg.TellTx(ctx, tx, KeyChange{Key: k, By: PrincipalFrom(ctx)}); err != nil {
		return Key{}, err
	}
	return k, s.auditTx(ctx, tx, collective, k.Name(), k.fields(), nil)
}

// checkRole allows OPERATOR for keys of the instance only, and the other roles for keys of a collective only. So no owner
// can make an operator's key.
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
	if !PrintableLine(name, maxDisplayNameChars) {
		return errs.Invalid("api_key.display_name", "must be one line of 1 to %d characters", maxDisplayNameChars)
	}
	return nil
}

const idBytes = 10

// randomID returns 80 random bits as 16 lower-case letters and digits. The alphabet has no underscore, which ends the id
// in a key.
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
