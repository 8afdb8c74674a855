package access

import (
	"context"
	"errors"
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

const revokePendingSQL = `
UPDATE access.invitations AS i
SET revoked_at = @now
WHERE ` + invitationScope + ` = @collective
	AND i.email = @email
	AND i.accepted_at IS NULL
	AND i.revoked_at IS NULL
RETURNING` + invitationColumns

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

// mailInvitationTx queues the mail of an invitation and tells the others.
func (s *Service) mailInvitationTx(ctx context.Context, tx pgx.Tx, i Invitation) error {
	if _, err := s.cfg.Jobs.InsertTx(ctx, tx, invitationArgs{Invitation: i.ID}, nil); err != nil {
		return postgres.Error(err)
	}
	return s.cfg.TellPeopleTx(ctx, tx, PeopleChange{
		Kind: MemberInvited, Membership: Membership{Collective: i.Collective, Role: i.Role}, Invitation: i, By: PrincipalFrom(ctx),
	})
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

func rowToInvitation(r pgx.CollectableRow) (i Invitation, err error) {
	var accepted, revoked *time.Time
	err = r.Scan(&i.ID, &i.Collective, &i.CollectiveName, &i.Email, &i.Role, &i.Language, &i.Inviter, &i.InviterName, &i.ByOperator,
		&i.requestID, &i.CreateTime, &i.ExpireTime, &accepted, &revoked, &i.Waiting, &i.Approved)
	i.AcceptTime, i.RevokeTime = orZero(accepted), orZero(revoked)
	return i, err
}
