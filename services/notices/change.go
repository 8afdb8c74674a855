package notices

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/access"
)

// Change is what somebody changed of what guards a collective's money: who, and from what to what.
type Change struct {
	// Actor and DisplayName are the name of the API key, or `members/{member}`, and what people call it; empty for the
	// command line.
	Actor, DisplayName string
	// Member is whose it is, as in [access.Principal].
	Member string
	// Operator reports a change by the operator, who has no role in the collective, or by the command line.
	Operator bool
	// Before and After are short and hold no secret: an IBAN and addresses are shortened. They are empty for nothing.
	Before, After string
}

// maxChangeChars is more than any setting has, shortened.
const maxChangeChars = 1000

// TellChangeTx tells all members, and the operator too, what the caller in the context changes. It is told once for each
// key of the notice.
func (s *Service) TellChangeTx(ctx context.Context, tx pgx.Tx, n Notice, before, after string, alsoTo ...string) error {
	_, err := s.TellChangeOnceTx(ctx, tx, n, before, after, alsoTo...)
	return err
}

// TellChangeOnceTx is TellChangeTx that reports whether it was told now; false when it was told before.
func (s *Service) TellChangeOnceTx(ctx context.Context, tx pgx.Tx, n Notice, before, after string, alsoTo ...string) (told bool, err error) {
	by := access.PrincipalFrom(ctx)
	n.Change = &Change{
		Actor: by.Name, DisplayName: by.DisplayName, Member: by.Member, Operator: n.Collective == "" || by.Role(n.Collective) == "",
		Before: cut(before, maxChangeChars), After: cut(after, maxChangeChars),
	}
	return s.tellTx(ctx, tx, n, alsoTo...)
}

func cut(text string, maxChars int) string {
	if runes := []rune(text); len(runes) > maxChars {
		return string(runes[:maxChars-1]) + "…"
	}
	return text
}

// TellKeyTx tells of an API key that was made or revoked; it is access.Config's TellTx. Of the first one, which the operator
// makes for a collective, there is nobody to tell.
func (s *Service) TellKeyTx(ctx context.Context, tx pgx.Tx, change access.KeyChange) error {
	k := change.Key
	if k.Pending && k.RevokeTime.IsZero() {
		// Package approvals tells of it, as [KeyWaits], and of what becomes of it.
		return nil
	}
	if k.RevokeTime.IsZero() && k.MadeByOperator() {
		others, err := access.OtherMemberTx(ctx, tx, k.Collective, k.Member(), access.RoleOwner, access.RoleEditor,
			access.RoleTreasurer, access.RoleAuditor, access.RoleOperator)
		if err != nil || !others {
			return err
		}
	}
	label := string(k.Role) + " " + k.DisplayName
	n := Notice{Collective: k.Collective, Kind: KeyCreated, Key: k.ID, Subject: k.Name()}
	if k.RevokeTime.IsZero() {
		return s.TellChangeTx(ctx, tx, n, "", label)
	}
	n.Kind = KeyRevoked
	return s.TellChangeTx(ctx, tx, n, label, "")
}

// TellPeopleTx tells of somebody who was invited, joined or left, or has another role or address; it is access.Config's TellPeopleTx. Of
// the first member of a collective there is nobody to tell.
func (s *Service) TellPeopleTx(ctx context.Context, tx pgx.Tx, change access.PeopleChange) error {
	m := change.Membership
	others, err := access.OtherMemberTx(ctx, tx, m.Collective, change.By.Member, access.RoleOwner, access.RoleEditor,
		access.RoleTreasurer, access.RoleAuditor, access.RoleOperator)
	if err != nil || !others {
		return err
	}
	n := Notice{Collective: m.Collective, Key: m.ID.String(), Subject: m.Name()}
	label := func(role access.Role) string { return string(role) + " " + m.DisplayName }
	switch change.Kind {
	case access.MemberInvited:
		n.Kind, n.Key, n.Subject = MemberInvited, change.Invitation.ID.String(), change.Invitation.Name()
		return s.TellChangeTx(ctx, tx, n, "", string(m.Role)+" "+change.Invitation.ShortEmail())
	case access.MemberJoined:
		n.Kind = MemberJoined
		return s.TellChangeTx(ctx, tx, n, "", label(m.Role))
	case access.RoleChanged:
		n.Kind = MemberRoleChanged
		return s.TellChangeTx(ctx, tx, n, label(change.Before), label(m.Role))
	case access.EmailChanged:
		n.Kind, n.Key = MemberEmailChanged, change.EmailChange.String()
		return s.TellChangeTx(ctx, tx, n, "", label(m.Role))
	default:
		n.Kind = MemberLeft
		return s.TellChangeTx(ctx, tx, n, label(change.Before), "")
	}
}
