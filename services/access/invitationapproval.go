package access

import (
	"context"

	"github.com/jackc/pgx/v5"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

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
