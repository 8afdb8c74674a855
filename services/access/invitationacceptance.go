package access

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/netip"

	"github.com/jackc/pgx/v5"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

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
