package access

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

// Actor is who acts, held until the transaction ends.
type Actor struct {
	// Name is as in [Principal]: the key's resource name, or `members/{member}`.
	Name string
	// Member is whose it is, as in [Principal]; for a key that an operator made for a collective, the key's own name, since
	// others hold it.
	Member string
	// Role is the one that it acts with. A member without a role in the collective may be an operator.
	Role Role
	// KeySince is when the key was made; zero for a session.
	KeySince time.Time
	// KeyEnd is when the key ends; zero for a session, and for a key without an end.
	KeyEnd time.Time
	// RoleSince is since when the person has the role; zero for a key of no person.
	RoleSince time.Time
}

// HoldTx returns who has this name, and locks the key, and a person's membership, until the transaction ends, so that nobody
// revokes or ends them before. It is called in the transaction that writes a decision of theirs. The name is [Principal]'s
// Name; the collective is that of the decision, and empty for the instance.
//
// Errors: UNAUTHENTICATED (INVALID_KEY) when the key was revoked since the call began; NOT_FOUND when the person has no role
// there any more, or there is no such key.
func HoldTx(ctx context.Context, tx pgx.Tx, collective, name string) (Actor, error) {
	return holdTx(ctx, tx, collective, name)
}

// holdTx is HoldTx that prefers a membership with one of these roles.
func holdTx(ctx context.Context, tx pgx.Tx, collective, name string, preferred ...Role) (Actor, error) {
	if id, ok := parseMemberName(name); ok {
		role, since, err := holdMembershipTx(ctx, tx, collective, id, preferred)
		return Actor{Name: name, Member: name, Role: role, RoleSince: since}, err
	}
	k, err := holdKeyTx(ctx, tx, name)
	if err != nil {
		return Actor{}, err
	}
	a := Actor{Name: name, Member: k.Member(), Role: k.Role, KeySince: k.CreateTime, KeyEnd: k.EndTime}
	if k.Person != uuid.Nil {
		var role Role
		role, a.RoleSince, err = holdMembershipTx(ctx, tx, k.Collective, k.Person, preferred)
		// A key does not outlive the role that it came with.
		if err == nil && role != RoleOperator && !role.covers(k.Role) {
			err = errs.NotFound(scopeName(collective))
		}
		if err == nil {
			a.Member, err = holderTx(ctx, tx, k)
		}
	}
	return a, err
}

const ownKeySQL = `
SELECT m.role
FROM access.memberships AS m
WHERE m.member = @member
	AND m.collective = @collective
	AND m.ended_at IS NULL`

// holderTx returns who holds a key: its [Key.Member], but for a key of a collective that a person made as an operator. That one
// is made for others and handed to them, so its holder is not known, and the key's own name stands for them.
func holderTx(ctx context.Context, tx pgx.Tx, k Key) (string, error) {
	if k.Person == uuid.Nil || k.Collective == "" {
		return k.Member(), nil
	}
	role, err := postgres.One(ctx, tx, pgx.RowTo[Role], ownKeySQL, pgx.NamedArgs{"member": k.Person, "collective": k.Collective})
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return "", postgres.Error(err)
	}
	if role.covers(k.Role) {
		return k.Member(), nil
	}
	return k.Name(), nil
}

// isPersonTx reports whether a name, as in [Principal], is a person's, who alone acts with it.
func isPersonTx(ctx context.Context, tx pgx.Tx, name string) (bool, error) {
	if _, ok := parseMemberName(name); ok || name == "" {
		return ok, nil
	}
	var holder string
	// Members do not see the operator's keys.
	err := postgres.SeeAllTx(ctx, tx, func() error {
		k, err := KeyTx(ctx, tx, name)
		if err == nil {
			holder, err = holderTx(ctx, tx, k)
		}
		return err
	})
	_, ok := parseMemberName(holder)
	return ok, err
}

// MemberTx returns whose a name is, for all names that rows store: a person's is the person, and a key's may have been
// revoked. NOT_FOUND when there is no such key.
func MemberTx(ctx context.Context, tx pgx.Tx, name string) (string, error) {
	if _, ok := parseMemberName(name); ok {
		return name, nil
	}
	if !strings.HasPrefix(name, instance+"/") {
		k, err := KeyTx(ctx, tx, name)
		return k.Member(), err
	}
	// Members do not see the operator's keys.
	var k Key
	err := postgres.SeeAllTx(ctx, tx, func() (err error) {
		k, err = KeyTx(ctx, tx, name)
		return err
	})
	return k.Member(), err
}

// holdMembershipSQL prefers the roles that are asked for, and then the role in the collective to that of an operator.
const holdMembershipSQL = `
SELECT
	m.role,
	m.created_at
FROM access.memberships AS m
WHERE m.member = @member
	AND ` + membershipScope + ` IN (@collective, '')
	AND m.ended_at IS NULL
ORDER BY
	m.role = ANY(@preferred::text[]) DESC,
	coalesce(m.collective, '') DESC,
	m.id
LIMIT 1
FOR SHARE OF m`

func holdMembershipTx(ctx context.Context, tx pgx.Tx, collective string, member uuid.UUID, preferred []Role) (role Role, since time.Time, err error) {
	err = tx.QueryRow(ctx, holdMembershipSQL, pgx.NamedArgs{
		"member": member, "collective": collective, "preferred": append([]Role{}, preferred...),
	}).Scan(&role, &since)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", time.Time{}, errs.NotFound(scopeName(collective))
	}
	return role, since, postgres.Error(err)
}

// deciding are the roles of who may agree.
var deciding = []Role{RoleOwner, RoleTreasurer, RoleOperator}

const hasTrustedSQL = `
SELECT EXISTS (
	SELECT
	FROM access.memberships AS m
	WHERE m.collective = @collective
		AND m.role IN ('owner', 'treasurer')
		AND m.ended_at IS NULL
)`

// CheckSecondMemberTx is an error unless one may agree to what another asked for, and returns the members of both. Asked and
// agrees are names as in [Principal]: with whatever key or session, one is one person. Who agrees is held as by [HoldTx], and
// must be owner, treasurer or operator now, whatever they were when the call began.
//
// Nobody knows whose a key of no person is, so it agrees to nothing that a person asked for, nor where a person could decide.
// For the same reason no member agrees to what was asked with one ([CheckAskerTx]); an operator does.
//
//   - FAILED_PRECONDITION: PERSON_NEEDED, it was asked with a key of no person; SECOND_MEMBER_NEEDED, both are one member, or a person is needed; KEY_TOO_YOUNG and MEMBER_TOO_YOUNG, the key was made,
//     or the person got the role, after the time at which it was asked, unless that is zero
//   - UNAUTHENTICATED: INVALID_KEY, the agreeing key was revoked meanwhile; NOT_FOUND, the agreeing person has left, or has
//     another role
func CheckSecondMemberTx(ctx context.Context, tx pgx.Tx, collective, asked, agrees string, since time.Time) (asker, second string, err error) {
	by, err := holdTx(ctx, tx, collective, agrees, deciding...)
	if err != nil {
		return "", "", err
	}
	if !slices.Contains(deciding, by.Role) {
		return "", "", errs.NotFound(scopeName(collective))
	}
	first, err := MemberTx(ctx, tx, asked)
	if err != nil {
		return "", "", err
	}
	asksPerson, err := isPersonTx(ctx, tx, asked)
	if err != nil {
		return "", "", err
	}
	_, person := parseMemberName(by.Member)
	needsPerson := !person && asksPerson
	if !person && !asksPerson {
		if needsPerson, err = hasTrustedTx(ctx, tx, collective); err != nil {
			return "", "", err
		}
	}
	switch {
	case needsPerson:
		return "", "", errs.New(errorsv1.ErrorReason_SECOND_MEMBER_NEEDED, "A person must decide, by a session or a key of theirs. This API key is no person's.")
	case by.Member == first:
		return "", "", errs.New(errorsv1.ErrorReason_SECOND_MEMBER_NEEDED,
			"Another member than the one who asked must decide. Keys of which one made the other are one member's.")
	case !since.IsZero() && person && !asksPerson && by.Role != RoleOperator:
		return "", "", personNeeded()
	case !since.IsZero() && by.KeySince.After(since):
		return "", "", errs.New(errorsv1.ErrorReason_KEY_TOO_YOUNG, "This API key was made after the request. A member whose key is older must approve it.")
	case !since.IsZero() && by.RoleSince.After(since):
		return "", "", errs.New(errorsv1.ErrorReason_MEMBER_TOO_YOUNG, "You got this role after the request. A member who had it before must approve it.")
	}
	return first, by.Member, nil
}

// CheckAskerTx is an error unless one may ask for what a second member then approves. A key of no person may not where a
// person could: its holder would approve with their own session. So does a key that an operator made for the collective. The
// name is as in [Principal]; empty is the command line. FAILED_PRECONDITION: PERSON_NEEDED.
func CheckAskerTx(ctx context.Context, tx pgx.Tx, collective, asks string) error {
	person, err := isPersonTx(ctx, tx, asks)
	if err != nil || person {
		return err
	}
	if trusted, err := hasTrustedTx(ctx, tx, collective); err != nil || !trusted {
		return err
	}
	return personNeeded()
}

func personNeeded() error {
	return errs.New(errorsv1.ErrorReason_PERSON_NEEDED,
		"A person must ask for this, by a session or a key that they made as a member of the collective. Of this API key nobody knows who holds it.")
}

func hasTrustedTx(ctx context.Context, tx pgx.Tx, collective string) (trusted bool, err error) {
	err = tx.QueryRow(ctx, hasTrustedSQL, pgx.NamedArgs{"collective": collective}).Scan(&trusted)
	return trusted, postgres.Error(err)
}

// SameMemberTx reports whether two names, as in [Principal], are one member's.
func SameMemberTx(ctx context.Context, tx pgx.Tx, one, other string) (same bool, err error) {
	if one == other {
		return true, nil
	}
	a, err := MemberTx(ctx, tx, one)
	if err != nil {
		return false, err
	}
	b, err := MemberTx(ctx, tx, other)
	return err == nil && a == b, err
}

const countTrustedSQL = `
SELECT count(DISTINCT m.member)
FROM access.memberships AS m
WHERE m.collective = @collective
	AND m.role IN ('owner', 'treasurer')`

// CountTrustedTx returns how many people are or have been owner or treasurer of a collective.
func CountTrustedTx(ctx context.Context, tx pgx.Tx, collective string) (people int, err error) {
	err = tx.QueryRow(ctx, countTrustedSQL, pgx.NamedArgs{"collective": collective}).Scan(&people)
	return people, postgres.Error(err)
}
