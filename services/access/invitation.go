package access

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/netip"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

const (
	invitationLife = 7 * 24 * time.Hour
	// invitationsKept is how long one that was not accepted stays after it expired, with its address.
	invitationsKept = 30 * 24 * time.Hour
)

// Invitation is an invitation to a collective, or to the instance.
type Invitation struct {
	ID uuid.UUID
	// Collective is its id; empty for the instance.
	Collective string
	// CollectiveName is its name for people; empty for the instance.
	CollectiveName string
	Email          string
	Role           Role
	// Language of the mail: `fr` or `en`.
	Language string
	// Inviter is who invited, as in [Principal]'s Name; empty for the command line.
	Inviter, InviterName string
	// ByOperator: the inviter is an operator, whom members do not see.
	ByOperator bool
	CreateTime time.Time
	ExpireTime time.Time
	// AcceptTime and RevokeTime are zero if it was not.
	AcceptTime, RevokeTime time.Time
	// Waiting: a second member must agree before it can be accepted. Approved: one agreed, or nobody has to.
	Waiting, Approved bool
	// PendingChange is the name of the change that waits; set by [Service.Invite] alone.
	PendingChange string
	requestID     uuid.UUID
}

// Name returns the invitation's resource name.
func (i Invitation) Name() string { return scopeName(i.Collective) + "/invitations/" + i.ID.String() }

// pending reports whether it can be accepted.
func (i Invitation) pending(now time.Time) bool { return i.open(now) && !i.Waiting }

// open reports whether it can be accepted, now or once a second member has agreed.
func (i Invitation) open(now time.Time) bool {
	return i.AcceptTime.IsZero() && i.RevokeTime.IsZero() && now.Before(i.ExpireTime)
}

const invitationColumns = `
	i.id,
	coalesce(i.collective, ''),
	coalesce((SELECT c.display_name FROM collectives.collectives AS c WHERE c.id = i.collective), ''),
	i.email,
	i.role,
	i.language,
	i.inviter,
	i.inviter_name,
	i.by_operator,
	i.request_id,
	i.created_at,
	i.expires_at,
	i.accepted_at,
	i.revoked_at,
	i.waiting,
	i.approved`

const invitationSQL = `
SELECT` + invitationColumns + `
FROM access.invitations AS i
WHERE i.id = @id
	AND ` + invitationScope + ` = @collective`

const invitationByRequestSQL = `
SELECT` + invitationColumns + `
FROM access.invitations AS i
WHERE i.request_id = @id
	AND ` + invitationScope + ` = @collective`

func invitationTx(ctx context.Context, tx pgx.Tx, sql, collective string, id uuid.UUID) (Invitation, error) {
	rows, err := tx.Query(ctx, sql, pgx.NamedArgs{"collective": collective, "id": id})
	if err != nil {
		return Invitation{}, postgres.Error(err)
	}
	i, err := pgx.CollectExactlyOneRow(rows, rowToInvitation)
	if errors.Is(err, pgx.ErrNoRows) {
		return Invitation{}, errs.NotFound(Invitation{Collective: collective, ID: id}.Name())
	}
	return i, postgres.Error(err)
}

// GetInvitation returns an invitation; NOT_FOUND when there is none.
func (s *Service) GetInvitation(ctx context.Context, collective string, id uuid.UUID) (i Invitation, err error) {
	err = postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		i, err = invitationTx(ctx, tx, invitationSQL, collective, id)
		return err
	})
	return i, err
}

const listInvitationsSQL = `
SELECT` + invitationColumns + `
FROM access.invitations AS i
WHERE ` + invitationScope + ` = @collective
	AND (i.created_at, i.id) < (@before_time, @before_id)
ORDER BY
	i.created_at DESC,
	i.id DESC
LIMIT @count`

// newestPlace is before every row.
var newestPlace = place{Time: newest.CreateTime, ID: uuid.Max}

// Invitations returns up to count invitations, newest first.
func (s *Service) Invitations(ctx context.Context, collective string, before place, count int) ([]Invitation, error) {
	rows, err := s.cfg.Pool.Query(ctx, listInvitationsSQL, pgx.NamedArgs{
		"collective": collective, "before_time": before.Time, "before_id": before.ID, "count": count,
	})
	if err != nil {
		return nil, postgres.Error(err)
	}
	found, err := pgx.CollectRows(rows, rowToInvitation)
	return found, postgres.Error(err)
}

const revokePendingSQL = `
UPDATE access.invitations AS i
SET revoked_at = @now
WHERE ` + invitationScope + ` = @collective
	AND i.email = @email
	AND i.accepted_at IS NULL
	AND i.revoked_at IS NULL
RETURNING` + invitationColumns

const insertInvitationSQL = `
INSERT INTO access.invitations (
	id,
	collective,
	email,
	role,
	language,
	inviter,
	inviter_name,
	by_operator,
	request_id,
	created_at,
	expires_at,
	approved
)
VALUES (
	@id,
	nullif(@collective, ''),
	@email,
	@role,
	coalesce(nullif(@language, ''), (SELECT c.language FROM collectives.collectives AS c WHERE c.id = @collective), 'fr'),
	@inviter,
	@inviter_name,
	@by_operator,
	@request_id,
	@created_at,
	@expires_at,
	@approved
)`

// revokeInvitationsTx runs a statement that revokes invitations and returns them, and returns the names of those that waited for
// a second member.
func revokeInvitationsTx(ctx context.Context, tx pgx.Tx, sql string, args pgx.NamedArgs) (waited []string, err error) {
	revoked, err := postgres.All(ctx, tx, rowToInvitation, sql, args)
	for _, i := range revoked {
		if i.Waiting {
			waited = append(waited, i.Name())
		}
	}
	return waited, err
}

// Invite makes an invitation and queues its mail. One that is pending for the same address is revoked. A repeat of the
// request id returns the same invitation. The others are told. One that must wait for a second member has no mail yet.
//
// Errors: FAILED_PRECONDITION (MAIL_NOT_CONFIGURED, MEMBERSHIP_EXISTS); RESOURCE_EXHAUSTED (TOO_MANY_INVITATIONS);
// ALREADY_EXISTS (REQUEST_ID_REUSED); INVALID_ARGUMENT; NOT_FOUND for a collective that does not exist.
func (s *Service) Invite(ctx context.Context, i Invitation, requestID uuid.UUID) (made Invitation, err error) {
	if (i.Role == RoleOperator) != (i.Collective == "") || !i.Role.known() {
		return Invitation{}, errs.Invalid("invitation.role", "must be OPERATOR in the instance, and one of the others in a collective")
	}
	if i.Email, err = normalEmail("invitation.email", i.Email); err != nil {
		return Invitation{}, err
	}
	if !s.cfg.Mail.Enabled() {
		return Invitation{}, errs.New(errorsv1.ErrorReason_MAIL_NOT_CONFIGURED, "This service sends no mail.")
	}
	id, err := uuid.NewV7()
	if err != nil {
		return Invitation{}, errs.Internal(err)
	}
	by := PrincipalFrom(ctx)
	err = postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		if err := LockPeopleTx(ctx, tx, i.Collective); err != nil {
			return err
		}
		made, err = invitationTx(ctx, tx, invitationByRequestSQL, i.Collective, requestID)
		if err == nil {
			if made.Email != i.Email || made.Role != i.Role {
				return errs.New(errorsv1.ErrorReason_REQUEST_ID_REUSED, "The request id was sent before with another invitation.")
			}
			return nil
		} else if errs.As(err).Reason != errorsv1.ErrorReason_NOT_FOUND {
			return err
		}
		if !by.IsZero() {
			if err := holdManagerTx(ctx, tx, i.Collective, by); err != nil {
				return err
			}
		}
		m, known, err := memberByEmailTx(ctx, tx, emailHash(i.Email))
		if err != nil {
			return err
		}
		if known {
			if _, member, err := currentMembershipTx(ctx, tx, i.Collective, m.ID); err != nil {
				return err
			} else if member {
				return errs.New(errorsv1.ErrorReason_MEMBERSHIP_EXISTS, "This person is a member already. Change the role instead.")
			}
		}
		now := s.nowMicros()
		wait, err := s.attempts().TakeTx(ctx, tx, "invitations", scopeName(i.Collective), invitationsLimit, now)
		if err != nil {
			return err
		}
		if wait > 0 {
			return tooMany(errorsv1.ErrorReason_TOO_MANY_INVITATIONS, wait, "Too many invitations; wait before the next one.")
		}
		replaced, err := revokeInvitationsTx(ctx, tx, revokePendingSQL, pgx.NamedArgs{"collective": i.Collective, "email": i.Email, "now": now})
		if err != nil {
			return err
		}
		if err := s.cfg.WithdrawTx(ctx, tx, replaced); err != nil {
			return err
		}
		if made, err = s.insertInvitationTx(ctx, tx, i, id, requestID, by, now); err != nil {
			return err
		}
		if made, err = s.guardInvitationTx(ctx, tx, made); err != nil {
			return err
		}
		after := fields{"email": shortEmail(i.Email), "role": string(i.Role)}
		if made.Waiting {
			// Package approvals tells of it, and of what becomes of it.
			after["pending_change"] = made.PendingChange
			return s.auditTx(ctx, tx, i.Collective, made.Name(), nil, after)
		}
		if err := s.auditTx(ctx, tx, i.Collective, made.Name(), nil, after); err != nil {
			return err
		}
		return s.mailInvitationTx(ctx, tx, made)
	})
	if err != nil {
		return Invitation{}, err
	}
	return made, nil
}

const setInvitationSQL = `
UPDATE access.invitations AS i
SET
	waiting = @waiting,
	approved = @approved,
	expires_at = @expires_at
WHERE i.id = @id`

func setInvitationTx(ctx context.Context, tx pgx.Tx, i Invitation) error {
	_, err := tx.Exec(ctx, setInvitationSQL, pgx.NamedArgs{"id": i.ID, "waiting": i.Waiting, "approved": i.Approved, "expires_at": i.ExpireTime})
	return postgres.Error(err)
}

// guardInvitationTx has an invitation to a trusted role wait for a second member where that is the rule. The caller holds
// [LockPeopleTx].
func (s *Service) guardInvitationTx(ctx context.Context, tx pgx.Tx, i Invitation) (Invitation, error) {
	if i.Approved || !i.Role.trusted() {
		return i, nil
	}
	waiting, err := s.cfg.GuardPeopleTx(ctx, tx, Given{Invitation: i, Role: i.Role})
	if err != nil || waiting.Change == "" {
		return i, err
	}
	i.Waiting, i.PendingChange = true, waiting.Change
	return i, setInvitationTx(ctx, tx, i)
}

// mailInvitationTx queues the mail of an invitation and tells the others.
func (s *Service) mailInvitationTx(ctx context.Context, tx pgx.Tx, i Invitation) error {
	if _, err := s.cfg.Jobs.InsertTx(ctx, tx, invitationArgs{Invitation: i.ID}, nil); err != nil {
		return postgres.Error(err)
	}
	return s.cfg.TellPeopleTx(ctx, tx, PeopleChange{
		Kind: MemberInvited, Membership: Membership{Collective: i.Collective, Role: i.Role}, Invitation: i, By: PrincipalFrom(ctx),
	})
}

const lockInvitationByIDSQL = invitationSQL + `
FOR NO KEY UPDATE OF i`

// waitingTx locks and returns the invitation with a name; waits is false when it waits for nobody any more.
func (s *Service) waitingTx(ctx context.Context, tx pgx.Tx, name string) (i Invitation, waits bool, err error) {
	collective, id, ok := parseNameIn("invitations", name)
	if !ok {
		return i, false, errs.NotFound(name)
	}
	i, err = invitationTx(ctx, tx, lockInvitationByIDSQL, collective, id)
	if err != nil && errs.As(err).Reason == errorsv1.ErrorReason_NOT_FOUND {
		return i, false, nil
	}
	return i, err == nil && i.Waiting && i.open(s.now()), err
}

// ApproveInvitationTx has the mail of an invitation sent that waited for a second member. From now on it can be accepted for
// as long as any other. FAILED_PRECONDITION (CHANGE_OUTDATED) when it was revoked meanwhile.
func (s *Service) ApproveInvitationTx(ctx context.Context, tx pgx.Tx, name string) error {
	i, waits, err := s.waitingTx(ctx, tx, name)
	if err != nil {
		return err
	}
	if !waits {
		return outdated()
	}
	i.Waiting, i.Approved, i.ExpireTime = false, true, s.nowMicros().Add(invitationLife)
	if err := setInvitationTx(ctx, tx, i); err != nil {
		return err
	}
	return s.mailInvitationTx(ctx, tx, i)
}

// DropInvitationTx revokes an invitation that a second member did not agree to. Any other stays as it is.
func (s *Service) DropInvitationTx(ctx context.Context, tx pgx.Tx, name string) error {
	i, waits, err := s.waitingTx(ctx, tx, name)
	if err != nil || !waits {
		return err
	}
	_, err = tx.Exec(ctx, revokeInvitationSQL, pgx.NamedArgs{"id": i.ID, "collective": i.Collective, "now": s.nowMicros()})
	return postgres.Error(err)
}

// outdated is approvals.Outdated, which this package cannot import.
func outdated() error {
	return errs.New(errorsv1.ErrorReason_CHANGE_OUTDATED, "What this would change is not any more what it was when it was asked.")
}

// insertInvitationTx stores an invitation.
func (s *Service) insertInvitationTx(ctx context.Context, tx pgx.Tx, i Invitation, id, requestID uuid.UUID, by Principal, now time.Time) (Invitation, error) {
	_, err := tx.Exec(ctx, insertInvitationSQL, pgx.NamedArgs{
		"id": id, "collective": i.Collective, "email": i.Email, "role": string(i.Role), "language": i.Language, "inviter": by.Name,
		"inviter_name": by.DisplayName, "by_operator": by.Role(i.Collective) == "" || i.Collective == "", "request_id": requestID,
		"created_at": now, "expires_at": now.Add(invitationLife), "approved": i.Approved,
	})
	if err := postgres.ErrorFor(err, map[string]*errs.Error{
		"invitations_collective_fkey": errs.NotFound(scopeName(i.Collective)),
	}); err != nil {
		return Invitation{}, err
	}
	return invitationTx(ctx, tx, invitationSQL, i.Collective, id)
}

// InviteFirstTx invites the first owner of a collective that the caller's transaction creates. There is nobody to tell yet,
// and the audit log has it with what the caller does. The caller in the context may be nobody: then the collective was open
// to all. Errors: FAILED_PRECONDITION (MAIL_NOT_CONFIGURED); INVALID_ARGUMENT.
func (s *Service) InviteFirstTx(ctx context.Context, tx pgx.Tx, collective, email, language string) error {
	email, err := normalEmail("application.email", email)
	if err != nil {
		return err
	}
	if !s.cfg.Mail.Enabled() {
		return errs.New(errorsv1.ErrorReason_MAIL_NOT_CONFIGURED, "This service sends no mail.")
	}
	// Its collective is the applicant's, however many others the operator invites meanwhile: nobody has to agree.
	i := Invitation{Collective: collective, Email: email, Language: language, Role: RoleOwner, Approved: true}
	i, err = s.insertInvitationTx(ctx, tx, i, uuid.Must(uuid.NewV7()), uuid.New(), PrincipalFrom(ctx), s.nowMicros())
	if err != nil {
		return err
	}
	_, err = s.cfg.Jobs.InsertTx(ctx, tx, invitationArgs{Invitation: i.ID}, nil)
	return postgres.Error(err)
}

const revokeInvitationSQL = `
UPDATE access.invitations AS i
SET revoked_at = @now
WHERE i.id = @id
	AND ` + invitationScope + ` = @collective
	AND i.accepted_at IS NULL
	AND i.revoked_at IS NULL
	AND i.expires_at > @now`

// RevokeInvitation revokes an invitation that is pending, or waits for a second member: then that change is canceled. Any other
// stays as it is. NOT_FOUND when there is none.
func (s *Service) RevokeInvitation(ctx context.Context, collective string, id uuid.UUID) (i Invitation, err error) {
	err = postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		if err := LockPeopleTx(ctx, tx, collective); err != nil {
			return err
		}
		revoked, err := tx.Exec(ctx, revokeInvitationSQL, pgx.NamedArgs{"id": id, "collective": collective, "now": s.nowMicros()})
		if err != nil {
			return postgres.Error(err)
		}
		if i, err = invitationTx(ctx, tx, invitationSQL, collective, id); err != nil || revoked.RowsAffected() == 0 {
			return err
		}
		if err := s.cfg.WithdrawTx(ctx, tx, []string{i.Name()}); err != nil {
			return err
		}
		return s.auditTx(ctx, tx, collective, i.Name(), fields{"email": shortEmail(i.Email), "role": string(i.Role)}, nil)
	})
	return i, err
}

// revokeInvitationsOfSQL has those that were made with the member's keys too. An operator invites to collectives as well.
const revokeInvitationsOfSQL = `
UPDATE access.invitations AS i
SET revoked_at = @now
WHERE (` + invitationScope + ` = @collective OR @collective = '' AND i.by_operator)
	AND i.accepted_at IS NULL
	AND i.revoked_at IS NULL
	AND (i.inviter = @inviter OR i.inviter IN (
		SELECT coalesce('collectives/' || k.collective, 'instance') || '/apiKeys/' || k.id
		FROM access.api_keys AS k
		WHERE k.person = @member
	))
RETURNING` + invitationColumns

// revokeInvitationsOfTx revokes what somebody has invited who may not invite any more, since nobody answers for it. It returns
// the names of those that waited for a second member.
func revokeInvitationsOfTx(ctx context.Context, tx pgx.Tx, collective string, member uuid.UUID, now time.Time) (waited []string, err error) {
	if err := lockInvitedTx(ctx, tx, collective); err != nil {
		return nil, err
	}
	return revokeInvitationsTx(ctx, tx, revokeInvitationsOfSQL, pgx.NamedArgs{
		"collective": collective, "inviter": memberName(member), "member": member, "now": now,
	})
}

const waitingOfOperatorsSQL = `
SELECT DISTINCT i.collective
FROM access.invitations AS i
WHERE i.waiting
	AND i.by_operator
	AND i.collective IS NOT NULL
	AND i.revoked_at IS NULL
ORDER BY i.collective`

// lockInvitedTx is [LockPeopleTx] for the collectives to which operators have invited, for a caller that has locked the people of
// the instance. For any other collective it does nothing.
func lockInvitedTx(ctx context.Context, tx pgx.Tx, collective string) error {
	if collective != "" {
		return nil
	}
	invited, err := postgres.All(ctx, tx, pgx.RowTo[string], waitingOfOperatorsSQL, nil)
	for _, c := range invited {
		if err := LockPeopleTx(ctx, tx, c); err != nil {
			return err
		}
	}
	return err
}

const invitationByTokenSQL = `
SELECT` + invitationColumns + `
FROM access.invitations AS i
WHERE i.token_hash = @hash`

const lockInvitationSQL = invitationByTokenSQL + `
FOR NO KEY UPDATE OF i`

// byTokenTx returns the invitation that a link's token invites to. FAILED_PRECONDITION (INVITATION_INVALID) when it cannot
// be accepted.
func (s *Service) byTokenTx(ctx context.Context, tx pgx.Tx, sql, token string) (Invitation, error) {
	hash := sha256.Sum256([]byte(token))
	rows, err := tx.Query(ctx, sql, pgx.NamedArgs{"hash": hash[:]})
	if err != nil {
		return Invitation{}, postgres.Error(err)
	}
	i, err := pgx.CollectExactlyOneRow(rows, rowToInvitation)
	if errors.Is(err, pgx.ErrNoRows) || err == nil && !i.open(s.now()) {
		return Invitation{}, invitationInvalid()
	}
	if err == nil && i.Waiting {
		return Invitation{}, awaitingApproval()
	}
	return i, postgres.Error(err)
}

func invitationInvalid() error {
	return errs.New(errorsv1.ErrorReason_INVITATION_INVALID, "The invitation has been used, was revoked, or has expired, or nobody could approve it.")
}

func awaitingApproval() error {
	return errs.New(errorsv1.ErrorReason_INVITATION_AWAITING_APPROVAL, "A second person of the collective must approve this invitation first. Then a new mail comes.")
}

// LookUpInvitation returns what a link invites to, and whether a member has its address. FAILED_PRECONDITION
// (INVITATION_INVALID, INVITATION_AWAITING_APPROVAL); RESOURCE_EXHAUSTED (TOO_MANY_ATTEMPTS).
func (s *Service) LookUpInvitation(ctx context.Context, token string, network netip.Prefix) (i Invitation, known bool, err error) {
	if err := s.countAttempt(ctx, network); err != nil {
		return Invitation{}, false, err
	}
	err = postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		if i, err = s.byTokenTx(ctx, tx, invitationByTokenSQL, token); err != nil {
			return err
		}
		_, known, err = memberByEmailTx(ctx, tx, emailHash(i.Email))
		return err
	})
	return i, known, err
}

const acceptSQL = `
UPDATE access.invitations AS i
SET
	accepted_at = @now,
	membership = @membership
WHERE i.id = @id`

// AcceptInvitation takes an invitation's token, once. The member with its address gets the membership, and is created with
// this name and language when there is none. It returns a session of the member. The others are told.
//
// An invitation to a trusted role may be older than the rule that asks for a second member. It waits for one now, asked for by
// who invited: nobody becomes the second person by an invitation that was made before there was one.
//
// Errors: FAILED_PRECONDITION (INVITATION_INVALID, INVITATION_AWAITING_APPROVAL); RESOURCE_EXHAUSTED (TOO_MANY_ATTEMPTS); INVALID_ARGUMENT for the name.
func (s *Service) AcceptInvitation(ctx context.Context, token, displayName, language, userAgent string, network netip.Prefix) (made Session, secret string, err error) {
	if err := s.countAttempt(ctx, network); err != nil {
		return Session{}, "", err
	}
	var waits bool
	err = postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		waits = false
		looked, err := s.byTokenTx(ctx, tx, invitationByTokenSQL, token)
		if err != nil {
			return err
		}
		// In this order, as all who change people do.
		if err := LockPeopleTx(ctx, tx, looked.Collective); err != nil {
			return err
		}
		i, err := s.byTokenTx(ctx, tx, lockInvitationSQL, token)
		if err != nil {
			return err
		}
		inviter, err := asInviterTx(ctx, tx, i)
		if err != nil {
			return err
		}
		i, err = s.guardInvitationTx(inviter, tx, i)
		if err != nil && errs.As(err).Reason == errorsv1.ErrorReason_PERSON_NEEDED {
			// A key of no person invited, which asks a second member for nothing: a person must invite again.
			return invitationInvalid()
		}
		if err != nil {
			return err
		}
		if waits = i.Waiting; waits {
			// It is asked for in this transaction, which must be kept.
			return s.auditTx(inviter, tx, i.Collective, i.Name(), nil, fields{
				"email": shortEmail(i.Email), "role": string(i.Role), "pending_change": i.PendingChange,
			})
		}
		if language == "" {
			language = i.Language
		}
		m, err := s.memberWithTx(ctx, tx, Member{Email: i.Email, DisplayName: displayName, Language: language})
		if err != nil {
			return err
		}
		membership, has, err := currentMembershipTx(ctx, tx, i.Collective, m.ID)
		if err != nil {
			return err
		}
		if !has {
			if membership, err = s.addMembershipTx(ctx, tx, Membership{Member: m.ID, Collective: i.Collective, Role: i.Role}, i.Inviter); err != nil {
				return err
			}
		}
		if _, err := tx.Exec(ctx, acceptSQL, pgx.NamedArgs{"id": i.ID, "membership": membership.ID, "now": s.nowMicros()}); err != nil {
			return postgres.Error(err)
		}
		if made, secret, err = s.newSessionTx(ctx, tx, m.ID, userAgent); err != nil {
			return err
		}
		// From here on it is the member who acts.
		by := Principal{Name: m.Name(), Member: m.Name(), Session: made.Name(), DisplayName: m.DisplayName, Grants: []Grant{{i.Collective, membership.Role}}}
		ctx = WithPrincipal(ctx, by)
		if err := s.auditTx(ctx, tx, i.Collective, membership.Name(), nil, fields{"role": string(membership.Role), "member": m.DisplayName}); err != nil || has {
			return err
		}
		return s.cfg.TellPeopleTx(ctx, tx, PeopleChange{Kind: MemberJoined, Membership: membership, Invitation: i, By: by})
	})
	if err == nil && waits {
		err = awaitingApproval()
	}
	if err != nil {
		return Session{}, "", err
	}
	return made, secret, nil
}

// asInviterTx returns a context whose caller is who made an invitation.
func asInviterTx(ctx context.Context, tx pgx.Tx, i Invitation) (context.Context, error) {
	p := Principal{Name: i.Inviter, DisplayName: i.InviterName}
	if !i.ByOperator {
		p.Grants = []Grant{{i.Collective, RoleOwner}}
	}
	if i.Inviter != "" {
		var err error
		if p.Member, err = MemberTx(ctx, tx, i.Inviter); err != nil {
			return nil, err
		}
	}
	return WithPrincipal(ctx, p), nil
}

func rowToInvitation(r pgx.CollectableRow) (i Invitation, err error) {
	var accepted, revoked *time.Time
	err = r.Scan(&i.ID, &i.Collective, &i.CollectiveName, &i.Email, &i.Role, &i.Language, &i.Inviter, &i.InviterName, &i.ByOperator,
		&i.requestID, &i.CreateTime, &i.ExpireTime, &accepted, &revoked, &i.Waiting, &i.Approved)
	i.AcceptTime, i.RevokeTime = orZero(accepted), orZero(revoked)
	return i, err
}
