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

// Membership is a role of a member in a collective, or in the instance. Its role never changes; it ends, and another one
// may begin.
type Membership struct {
	ID     uuid.UUID
	Member uuid.UUID
	// Collective is its id; empty for the instance.
	Collective string
	// CollectiveName is its name for people; empty for the instance.
	CollectiveName string
	// DisplayName and Email are the member's.
	DisplayName, Email string
	Role               Role
	CreateTime         time.Time
	// EndTime is zero while it holds.
	EndTime time.Time
	// PendingChange is the name of the change of its role that waits; set by [Service.ChangeRole] alone.
	PendingChange string
}

// Name returns the membership's resource name.
func (m Membership) Name() string { return scopeName(m.Collective) + "/memberships/" + m.ID.String() }

// covers reports whether a role has all rights of another one.
func (r Role) covers(other Role) bool {
	switch {
	case r == other:
		return true
	case r == RoleOwner:
		return other != RoleOperator
	case r == RoleTreasurer:
		return other == RoleAuditor
	}
	return false
}

// trusted reports whether the role counts for the two-person rule.
func (r Role) trusted() bool { return r == RoleOwner || r == RoleTreasurer }

// parseNameIn takes `collectives/{collective}/{kind}/{uuid}` or `instance/{kind}/{uuid}` apart.
func parseNameIn(kind, name string) (collective string, id uuid.UUID, ok bool) {
	scope, last, ok := strings.Cut(name, "/"+kind+"/")
	if !ok {
		return "", uuid.Nil, false
	}
	if collective, ok = parseScope(scope); !ok {
		return "", uuid.Nil, false
	}
	id, err := uuid.Parse(last)
	return collective, id, err == nil
}

const membershipColumns = `
	m.id,
	m.member,
	coalesce(m.collective, ''),
	coalesce((SELECT c.display_name FROM collectives.collectives AS c WHERE c.id = m.collective), ''),
	p.display_name,
	p.email,
	m.role,
	m.created_at,
	m.ended_at`

const membershipSQL = `
SELECT` + membershipColumns + `
FROM access.memberships AS m
JOIN access.members AS p ON p.id = m.member
WHERE m.id = @id
	AND ` + membershipScope + ` = @collective`

// GetMembership returns a membership, ended or not; NOT_FOUND when there is none.
func (s *Service) GetMembership(ctx context.Context, collective string, id uuid.UUID) (m Membership, err error) {
	err = postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		m, err = membershipTx(ctx, tx, membershipSQL, collective, id)
		return err
	})
	return m, err
}

func membershipTx(ctx context.Context, tx pgx.Tx, sql, collective string, id uuid.UUID) (Membership, error) {
	rows, err := tx.Query(ctx, sql, pgx.NamedArgs{"collective": collective, "id": id})
	if err != nil {
		return Membership{}, postgres.Error(err)
	}
	m, err := pgx.CollectExactlyOneRow(rows, rowToMembership)
	if errors.Is(err, pgx.ErrNoRows) {
		return Membership{}, errs.NotFound(Membership{Collective: collective, ID: id}.Name())
	}
	return m, postgres.Error(err)
}

const listMembershipsSQL = `
SELECT` + membershipColumns + `
FROM access.memberships AS m
JOIN access.members AS p ON p.id = m.member
WHERE ` + membershipScope + ` = @collective
	AND m.ended_at IS NULL
	AND (m.created_at, m.id) > (@after_time, @after_id)
ORDER BY
	m.created_at,
	m.id
LIMIT @count`

// place is where a list of memberships or invitations goes on.
type place struct {
	Time time.Time
	ID   uuid.UUID
}

// Memberships returns up to count memberships that hold, oldest first.
func (s *Service) Memberships(ctx context.Context, collective string, after place, count int) ([]Membership, error) {
	rows, err := s.cfg.Pool.Query(ctx, listMembershipsSQL, pgx.NamedArgs{
		"collective": collective, "after_time": after.Time, "after_id": after.ID, "count": count,
	})
	if err != nil {
		return nil, postgres.Error(err)
	}
	found, err := pgx.CollectRows(rows, rowToMembership)
	return found, postgres.Error(err)
}

const membershipsOfSQL = `
SELECT` + membershipColumns + `
FROM access.memberships AS m
JOIN access.members AS p ON p.id = m.member
WHERE m.member = @member
	AND m.ended_at IS NULL
ORDER BY
	m.collective IS NULL,
	4,
	m.id`

// MembershipsOf returns the memberships of a member that hold, those of collectives first.
func (s *Service) MembershipsOf(ctx context.Context, member uuid.UUID) ([]Membership, error) {
	rows, err := s.cfg.Pool.Query(ctx, membershipsOfSQL, pgx.NamedArgs{"member": member})
	if err != nil {
		return nil, postgres.Error(err)
	}
	found, err := pgx.CollectRows(rows, rowToMembership)
	return found, postgres.Error(err)
}

const insertMembershipSQL = `
INSERT INTO access.memberships (
	id,
	member,
	collective,
	role,
	created_at,
	created_by
)
VALUES (
	@id,
	@member,
	nullif(@collective, ''),
	@role,
	@created_at,
	@created_by
)`

// addMembershipTx gives a role. The caller holds [LockPeopleTx] and has seen that there is none.
func (s *Service) addMembershipTx(ctx context.Context, tx pgx.Tx, m Membership, by string) (Membership, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return Membership{}, errs.Internal(err)
	}
	m.ID, m.CreateTime, m.EndTime = id, s.nowMicros(), time.Time{}
	_, err = tx.Exec(ctx, insertMembershipSQL, pgx.NamedArgs{
		"id": id, "member": m.Member, "collective": m.Collective, "role": string(m.Role), "created_at": m.CreateTime, "created_by": by,
	})
	if err := postgres.ErrorFor(err, map[string]*errs.Error{
		"memberships_collective_fkey": errs.NotFound(scopeName(m.Collective)),
	}); err != nil {
		return Membership{}, err
	}
	return membershipTx(ctx, tx, membershipSQL, m.Collective, id)
}

const currentMembershipSQL = `
SELECT` + membershipColumns + `
FROM access.memberships AS m
JOIN access.members AS p ON p.id = m.member
WHERE m.member = @id
	AND ` + membershipScope + ` = @collective
	AND m.ended_at IS NULL`

// currentMembershipTx reports false when a member has no role there.
func currentMembershipTx(ctx context.Context, tx pgx.Tx, collective string, member uuid.UUID) (m Membership, found bool, err error) {
	m, err = membershipTx(ctx, tx, currentMembershipSQL, collective, member)
	if err != nil && errs.As(err).Reason == errorsv1.ErrorReason_NOT_FOUND {
		return Membership{}, false, nil
	}
	return m, err == nil, err
}

const lockPeopleSQL = `
SELECT pg_advisory_xact_lock(hashtextextended('cagnotte access people ' || @collective::text, 0))`

// LockPeopleTx makes the changes of one collective's people wait for each other, so that each sees how many owners are left.
// Whoever locks other rows of people, or pending changes, takes it first.
func LockPeopleTx(ctx context.Context, tx pgx.Tx, collective string) error {
	_, err := tx.Exec(ctx, lockPeopleSQL, pgx.NamedArgs{"collective": collective})
	return postgres.Error(err)
}

const endMembershipSQL = `
UPDATE access.memberships AS m
SET
	ended_at = @now,
	ended_by = @by
WHERE m.id = @id`

func (s *Service) endMembershipTx(ctx context.Context, tx pgx.Tx, m Membership, by string, now time.Time) error {
	_, err := tx.Exec(ctx, endMembershipSQL, pgx.NamedArgs{"id": m.ID, "by": by, "now": now})
	return postgres.Error(err)
}

// ChangeRole ends a membership and begins another with the role. With the role that it has nothing changes. Keys of the
// member that the new role does not cover are revoked, and a role that waited for a second member is canceled. The others are told. A promotion that must wait for a second member
// changes nothing yet.
//
// Errors: FAILED_PRECONDITION (LAST_OWNER, MEMBERSHIP_ENDED, CHANGE_PENDING); NOT_FOUND; INVALID_ARGUMENT for a role of the other kind.
func (s *Service) ChangeRole(ctx context.Context, collective string, id uuid.UUID, role Role) (changed Membership, err error) {
	if (role == RoleOperator) != (collective == "") || !role.known() {
		return Membership{}, errs.Invalid("membership.role", "must be OPERATOR in the instance, and one of the others in a collective")
	}
	by := PrincipalFrom(ctx)
	err = postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		m, err := s.lockedMembershipTx(ctx, tx, collective, id, by)
		if err != nil {
			return err
		}
		if err := holdManagerTx(ctx, tx, collective, by); err != nil {
			return err
		}
		if !m.EndTime.IsZero() {
			return errs.New(errorsv1.ErrorReason_MEMBERSHIP_ENDED, "%s has ended.", m.Name())
		}
		if changed = m; m.Role == role {
			return nil
		}
		// A role with fewer rights takes effect at once.
		if role.trusted() && !m.Role.covers(role) {
			waiting, err := s.cfg.GuardPeopleTx(ctx, tx, Given{Membership: m, Role: role})
			if err != nil {
				return err
			}
			if waiting.Change != "" {
				changed.PendingChange = waiting.Change
				if waiting.Repeated {
					return nil
				}
				return s.auditTx(ctx, tx, collective, waiting.Change, nil, fields{"role": string(role), "member": m.DisplayName})
			}
		}
		// Another role that waits for this membership is outdated.
		if err := s.cfg.WithdrawTx(ctx, tx, []string{m.Name()}); err != nil {
			return err
		}
		if changed, err = s.changeRoleTx(ctx, tx, m, role); err != nil {
			return err
		}
		return s.auditTx(ctx, tx, collective, changed.Name(), fields{"role": string(m.Role)}, fields{"role": string(role), "member": changed.DisplayName})
	})
	if err != nil {
		return Membership{}, err
	}
	return changed, nil
}

// changeRoleTx is ChangeRole for a caller that holds [LockPeopleTx], has checked who may, and writes the audit log.
func (s *Service) changeRoleTx(ctx context.Context, tx pgx.Tx, m Membership, role Role) (changed Membership, err error) {
	by, now := PrincipalFrom(ctx), s.nowMicros()
	if err := s.keepOneTx(ctx, tx, m); err != nil {
		return Membership{}, err
	}
	if err := s.endMembershipTx(ctx, tx, m, by.Name, now); err != nil {
		return Membership{}, err
	}
	if changed, err = s.addMembershipTx(ctx, tx, Membership{Member: m.Member, Collective: m.Collective, Role: role}, by.Name); err != nil {
		return Membership{}, err
	}
	ended, err := revokeKeysOfTx(ctx, tx, m, role, now)
	if err != nil {
		return Membership{}, err
	}
	if role != RoleOwner {
		invitations, err := revokeInvitationsOfTx(ctx, tx, m.Collective, m.Member, now)
		if err != nil {
			return Membership{}, err
		}
		ended = append(ended, invitations...)
	}
	if err := s.cfg.WithdrawTx(ctx, tx, ended); err != nil {
		return Membership{}, err
	}
	return changed, s.cfg.TellPeopleTx(ctx, tx, PeopleChange{Kind: RoleChanged, Membership: changed, Before: m.Role, By: by})
}

// ApproveRoleTx gives a member the role that waited for a second member. The name is that of the membership when it was asked
// for. The caller holds [LockPeopleTx]. FAILED_PRECONDITION (CHANGE_OUTDATED) when that membership has ended.
func (s *Service) ApproveRoleTx(ctx context.Context, tx pgx.Tx, name string, role Role) error {
	collective, id, ok := parseNameIn("memberships", name)
	if !ok {
		return errs.NotFound(name)
	}
	m, err := membershipTx(ctx, tx, membershipSQL, collective, id)
	if err != nil {
		return err
	}
	if !m.EndTime.IsZero() {
		return outdated()
	}
	_, err = s.changeRoleTx(ctx, tx, m, role)
	return err
}

// EndMembership ends a membership: the member leaves, or somebody removes it. The member's keys in the collective are
// revoked, and its invitations. Its sessions end if somebody else removed it, or if it was the last membership. An ended
// one stays as it is. The others are told.
//
// Errors: FAILED_PRECONDITION (LAST_OWNER, LAST_OPERATOR); NOT_FOUND.
func (s *Service) EndMembership(ctx context.Context, collective string, id uuid.UUID) error {
	by := PrincipalFrom(ctx)
	// The sessions of a member who is removed, and what it has elsewhere, are not the caller's to see.
	ctx = postgres.WithScope(ctx, postgres.AllScope())
	return postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		m, err := s.lockedMembershipTx(ctx, tx, collective, id, by)
		if err != nil || !m.EndTime.IsZero() {
			return err
		}
		if by.memberID() != m.Member {
			if err := holdManagerTx(ctx, tx, collective, by); err != nil {
				return err
			}
		}
		if err := s.keepOneTx(ctx, tx, m); err != nil {
			return err
		}
		now := s.nowMicros()
		if err := s.endMembershipTx(ctx, tx, m, by.Name, now); err != nil {
			return err
		}
		keys, err := revokeKeysOfTx(ctx, tx, m, "", now)
		if err != nil {
			return err
		}
		invitations, err := revokeInvitationsOfTx(ctx, tx, collective, m.Member, now)
		if err != nil {
			return err
		}
		if err := s.cfg.WithdrawTx(ctx, tx, slices.Concat([]string{m.Name()}, keys, invitations)); err != nil {
			return err
		}
		var others bool
		if err := tx.QueryRow(ctx, hasMembershipSQL, pgx.NamedArgs{"member": m.Member}).Scan(&others); err != nil {
			return postgres.Error(err)
		}
		if by.memberID() != m.Member || !others {
			if _, err := endSessionsTx(ctx, tx, m.Member, "", now); err != nil {
				return err
			}
		}
		if err := s.auditTx(ctx, tx, collective, m.Name(), fields{"role": string(m.Role), "member": m.DisplayName}, nil); err != nil {
			return err
		}
		return s.cfg.TellPeopleTx(ctx, tx, PeopleChange{Kind: MemberLeft, Membership: m, Before: m.Role, By: by})
	})
}

const hasMembershipSQL = `
SELECT EXISTS (
	SELECT
	FROM access.memberships AS m
	WHERE m.member = @member
		AND m.ended_at IS NULL
)`

// lockedMembershipTx returns a membership under the lock of its collective's people, for a caller that still has its role.
func (s *Service) lockedMembershipTx(ctx context.Context, tx pgx.Tx, collective string, id uuid.UUID, by Principal) (Membership, error) {
	if err := LockPeopleTx(ctx, tx, collective); err != nil {
		return Membership{}, err
	}
	if !by.IsZero() {
		if _, err := HoldTx(ctx, tx, collective, by.Name); err != nil {
			// Whoever has left may repeat that.
			if m, found := membershipTx(ctx, tx, membershipSQL, collective, id); found == nil && m.Member == by.memberID() && !m.EndTime.IsZero() {
				return m, nil
			}
			return Membership{}, err
		}
	}
	return membershipTx(ctx, tx, membershipSQL, collective, id)
}

// holdManagerTx holds a caller who changes the people of a collective, and refuses one who is its owner no more: the role
// may have changed since the call began.
func holdManagerTx(ctx context.Context, tx pgx.Tx, collective string, by Principal) error {
	if by.IsZero() {
		return nil
	}
	actor, err := HoldTx(ctx, tx, collective, by.Name)
	if err == nil && actor.Role != RoleOwner && !by.IsOperator() {
		err = errs.NotFound(scopeName(collective))
	}
	return err
}

const lastSQL = `
SELECT NOT EXISTS (
	SELECT
	FROM access.memberships AS m
	WHERE ` + membershipScope + ` = @collective
		AND m.role = @role
		AND m.id <> @id
		AND m.ended_at IS NULL
)`

// keepOneTx is an error when m is the last owner of its collective, or the last operator.
func (s *Service) keepOneTx(ctx context.Context, tx pgx.Tx, m Membership) error {
	if m.Role != RoleOwner && m.Role != RoleOperator {
		return nil
	}
	var last bool
	err := tx.QueryRow(ctx, lastSQL, pgx.NamedArgs{"collective": m.Collective, "role": string(m.Role), "id": m.ID}).Scan(&last)
	switch {
	case err != nil || !last:
		return postgres.Error(err)
	case m.Role == RoleOperator:
		return errs.New(errorsv1.ErrorReason_LAST_OPERATOR, "The instance needs an operator. Invite another one first.")
	}
	return errs.New(errorsv1.ErrorReason_LAST_OWNER, "%s needs an owner. Make another member an owner first.", scopeName(m.Collective))
}

const revokeKeysOfSQL = `
UPDATE access.api_keys AS k
SET revoked_at = @now
WHERE ` + keyScope + ` = @collective
	AND k.person = @member
	AND k.revoked_at IS NULL
	AND NOT (k.role = ANY(@covered::text[]))
RETURNING` + keyColumns

// revokeKeysOfTx revokes the keys of a member that a role does not cover; all of them when the role is empty. It returns the
// names of those that waited for a second member.
func revokeKeysOfTx(ctx context.Context, tx pgx.Tx, m Membership, role Role, now time.Time) (waited []string, err error) {
	covered := []string{}
	for _, r := range []Role{RoleOwner, RoleEditor, RoleTreasurer, RoleAuditor, RoleOperator} {
		if role.covers(r) {
			covered = append(covered, string(r))
		}
	}
	revoked, err := postgres.All(ctx, tx, rowToKey, revokeKeysOfSQL, pgx.NamedArgs{
		"collective": m.Collective, "member": m.Member, "covered": covered, "now": now,
	})
	for _, k := range revoked {
		if k.Pending {
			waited = append(waited, k.Name())
		}
	}
	return waited, err
}

func (r Role) known() bool { return grantOf(r) != 0 }

func rowToMembership(r pgx.CollectableRow) (m Membership, err error) {
	var ended *time.Time
	err = r.Scan(&m.ID, &m.Member, &m.Collective, &m.CollectiveName, &m.DisplayName, &m.Email, &m.Role, &m.CreateTime, &ended)
	m.EndTime = orZero(ended)
	return m, err
}
