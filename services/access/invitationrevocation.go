package access

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

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
