package access

import (
	"context"
	"strings"
	"time"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
)

// Role is what a member or a key may do. The zero Role has no rights.
type Role string

// The roles. All but the operator act within one collective.
const (
	// RoleOwner does everything in its collective, people and keys included.
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

// Grant is a role in one collective or, when that is empty, in the instance.
type Grant struct {
	Collective string
	Role       Role
}

// Principal is who calls: an API key, or a member by a session. The zero Principal is a call without either.
type Principal struct {
	// Name is who acts, as rows store it: the key's resource name, or `members/{member}` for a session.
	Name string
	// Member is whose it is: `members/{member}`, or for a key of no person the name of its first key; see [Key.Member].
	Member string
	// Session is `members/{member}/sessions/{session}`; empty for a key.
	Session string
	// Key is the key's resource name; empty for a session.
	Key string
	// DisplayName is the key's name for people, or the member's.
	DisplayName string
	// Language is the member's, `fr` or `en`; empty for a key of no person.
	Language string
	// ProveTime is when the member last proved to be here; zero for a key.
	ProveTime time.Time
	// Fresh reports whether ProveTime is recent enough for what hurts; see [RequireFresh]. It is true for keys.
	Fresh bool
	// Grants are the roles, one for each collective: those of a member, or the one of a key.
	Grants []Grant
}

// IsZero reports whether the call came without a key and without a session.
func (p Principal) IsZero() bool { return p.Name == "" }

// Role returns p's role in a collective, or in the instance when collective is empty. It is empty when there is none.
func (p Principal) Role(collective string) Role {
	for _, g := range p.Grants {
		if g.Collective == collective {
			return g.Role
		}
	}
	return ""
}

// IsPerson reports whether p is a member, by a session or a key of theirs.
func (p Principal) IsPerson() bool { return strings.HasPrefix(p.Member, membersPrefix) }

// IsOperator reports whether p runs the instance.
func (p Principal) IsOperator() bool { return p.Role("") == RoleOperator }

// Sees reports whether p may read what members of the collective with this id may read: its members and the operator may.
func (p Principal) Sees(collective string) bool {
	return p.IsOperator() || collective != "" && p.Role(collective) != ""
}

// Collectives returns the ids of the collectives in which p has a role.
func (p Principal) Collectives() []string {
	var ids []string
	for _, g := range p.Grants {
		if g.Collective != "" {
			ids = append(ids, g.Collective)
		}
	}
	return ids
}

type principalKey struct{}

// WithPrincipal returns a context with the caller. The rpc package sets it once for each call, after it checked the
// credential.
func WithPrincipal(ctx context.Context, p Principal) context.Context {
	return context.WithValue(ctx, principalKey{}, p)
}

// PrincipalFrom returns the caller of a context; the zero Principal when it has none.
func PrincipalFrom(ctx context.Context) Principal {
	p, _ := ctx.Value(principalKey{}).(Principal)
	return p
}

// FreshFor is how long a proof counts as fresh.
const FreshFor = 10 * time.Minute

// RequireFresh is FAILED_PRECONDITION (REAUTHENTICATION_REQUIRED) when the caller of the context is a session whose last
// proof is older than [FreshFor]. Keys pass, and so does a context without a caller. It is for methods that hurt only
// sometimes; those that always do have it in the permission table.
func RequireFresh(ctx context.Context) error { return PrincipalFrom(ctx).requireFresh() }

func (p Principal) requireFresh() error {
	if p.Session == "" || p.Fresh {
		return nil
	}
	return errs.New(errorsv1.ErrorReason_REAUTHENTICATION_REQUIRED, "Sign in again with a passkey or a link: the last time is more than ten minutes ago.")
}
