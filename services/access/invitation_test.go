package access_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"google.golang.org/grpc/codes"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/access"
	"github.com/cagnotte/cagnotte/services/internal/errstest"
)

func TestInvitations(t *testing.T) {
	w := newTown(t)
	operator := w.operator("olga@example.org")
	owner := w.join(operator, "vallon", "marie@example.org", access.RoleOwner)
	invite := func(by context.Context, collective, email string, role access.Role) (access.Invitation, error) {
		return w.Invite(by, access.Invitation{Collective: collective, Email: email, Role: role}, uuid.New())
	}
	accept := func(token string) error {
		_, _, err := w.AcceptInvitation(t.Context(), token, "Somebody", "", firefox, network)
		return err
	}
	t.Run("make the member, and work once", func(t *testing.T) {
		treasurer := w.join(owner, "vallon", "karim@example.org", access.RoleTreasurer)
		if diff := cmp.Diff([]access.Grant{{Collective: "vallon", Role: access.RoleTreasurer}}, access.PrincipalFrom(treasurer).Grants); diff != "" {
			t.Error(diff)
		}
		errstest.Want(t, accept(w.lastToken("karim@example.org")), codes.FailedPrecondition, errorsv1.ErrorReason_INVITATION_INVALID)
	})
	t.Run("add a role to a member who is one elsewhere", func(t *testing.T) {
		w.join(operator, "marseille", "karim@example.org", access.RoleAuditor)
		all := w.grants(w.join(operator, "marseille", "other@example.org", access.RoleOwner))
		if len(all) != 1 {
			t.Errorf("%v", all)
		}
	})
	t.Run("say what they invite to, and change nothing by that", func(t *testing.T) {
		made, err := invite(owner, "vallon", "lea@example.org", access.RoleEditor)
		if err != nil {
			t.Fatal(err)
		}
		token := w.lastToken("lea@example.org")
		for range 2 {
			i, known, err := w.LookUpInvitation(t.Context(), token, network)
			if err != nil || known || i.ID != made.ID || i.CollectiveName != "vallon" {
				t.Fatalf("%+v, %v, %v", i, known, err)
			}
		}
		if _, err := w.RevokeInvitation(owner, "vallon", made.ID); err != nil {
			t.Fatal(err)
		}
		errstest.Want(t, accept(token), codes.FailedPrecondition, errorsv1.ErrorReason_INVITATION_INVALID)
	})
	t.Run("expire after 7 days", func(t *testing.T) {
		if _, err := invite(owner, "vallon", "late@example.org", access.RoleEditor); err != nil {
			t.Fatal(err)
		}
		token := w.lastToken("late@example.org")
		w.clock.forward(7 * 24 * time.Hour)
		errstest.Want(t, accept(token), codes.FailedPrecondition, errorsv1.ErrorReason_INVITATION_INVALID)
	})
	owner = w.signInAgain("marie@example.org")
	t.Run("replace the one before", func(t *testing.T) {
		if _, err := invite(owner, "vallon", "twice@example.org", access.RoleEditor); err != nil {
			t.Fatal(err)
		}
		first := w.lastToken("twice@example.org")
		if _, err := invite(owner, "vallon", "Twice@example.org", access.RoleAuditor); err != nil {
			t.Fatal(err)
		}
		errstest.Want(t, accept(first), codes.FailedPrecondition, errorsv1.ErrorReason_INVITATION_INVALID)
		if err := accept(w.lastToken("twice@example.org")); err != nil {
			t.Error(err)
		}
	})
	t.Run("sent twice are one", func(t *testing.T) {
		id := uuid.New()
		i := access.Invitation{Collective: "vallon", Email: "repeat@example.org", Role: access.RoleEditor}
		one, err := w.Invite(owner, i, id)
		if err != nil {
			t.Fatal(err)
		}
		two, err := w.Invite(owner, i, id)
		if err != nil || one.ID != two.ID {
			t.Errorf("%v and %v, %v", one.ID, two.ID, err)
		}
		i.Role = access.RoleOwner
		_, err = w.Invite(owner, i, id)
		errstest.Want(t, err, codes.AlreadyExists, errorsv1.ErrorReason_REQUEST_ID_REUSED)
	})
	t.Run("are refused for a member, for the other kind of role, and for no address", func(t *testing.T) {
		_, err := invite(owner, "vallon", "karim@example.org", access.RoleOwner)
		errstest.Want(t, err, codes.FailedPrecondition, errorsv1.ErrorReason_MEMBERSHIP_EXISTS)
		_, err = invite(owner, "vallon", "x@example.org", access.RoleOperator)
		errstest.Want(t, err, codes.InvalidArgument, errorsv1.ErrorReason_INVALID_FIELD, "invitation.role")
		_, err = invite(operator, "", "x@example.org", access.RoleOwner)
		errstest.Want(t, err, codes.InvalidArgument, errorsv1.ErrorReason_INVALID_FIELD, "invitation.role")
		_, err = invite(owner, "vallon", "X <x@example.org>", access.RoleEditor)
		errstest.Want(t, err, codes.InvalidArgument, errorsv1.ErrorReason_INVALID_FIELD, "invitation.email")
	})
	t.Run("of somebody who was removed work no more", func(t *testing.T) {
		second := w.join(owner, "vallon", "second@example.org", access.RoleOwner)
		if _, err := invite(second, "vallon", "alter-ego@example.org", access.RoleOwner); err != nil {
			t.Fatal(err)
		}
		token := w.lastToken("alter-ego@example.org")
		if err := w.EndMembership(owner, "vallon", w.membership(second, "vallon").ID); err != nil {
			t.Fatal(err)
		}
		errstest.Want(t, accept(token), codes.FailedPrecondition, errorsv1.ErrorReason_INVITATION_INVALID)
	})
	t.Run("leave no address behind when nobody came", func(t *testing.T) {
		w.clock.forward(40 * 24 * time.Hour)
		if err := w.Forget(t.Context()); err != nil {
			t.Fatal(err)
		}
		var left int
		err := w.pool.QueryRow(t.Context(), "SELECT count(*) FROM access.invitations WHERE accepted_at IS NULL").Scan(&left)
		if err != nil || left != 0 {
			t.Errorf("%d are left, %v", left, err)
		}
	})
}

func TestWhoMayInviteNoMoreHasInvitedNobody(t *testing.T) {
	for _, test := range []struct {
		rule   string
		unmake func(w *town, owner context.Context, of access.Membership) error
	}{
		{"removed", func(w *town, owner context.Context, of access.Membership) error {
			return w.EndMembership(owner, "vallon", of.ID)
		}},
		{"another role", func(w *town, owner context.Context, of access.Membership) error {
			_, err := w.ChangeRole(owner, "vallon", of.ID, access.RoleAuditor)
			return err
		}},
	} {
		t.Run(test.rule, func(t *testing.T) {
			w := newTown(t)
			owner := w.join(w.operator("olga@example.org"), "vallon", "marie@example.org", access.RoleOwner)
			karim := w.join(owner, "vallon", "karim@example.org", access.RoleOwner)
			_, secret, err := w.Create(karim, access.Key{Collective: "vallon", DisplayName: "Script", Role: access.RoleOwner})
			if err != nil {
				t.Fatal(err)
			}
			var tokens []string
			for by, email := range map[string]string{"session": "karim+1@example.org", "key": "karim+2@example.org"} {
				ctx := karim
				if by == "key" {
					ctx = w.signIn(secret)
				}
				if _, err := w.Invite(ctx, access.Invitation{Collective: "vallon", Email: email, Role: access.RoleOwner}, uuid.New()); err != nil {
					t.Fatal(err)
				}
				tokens = append(tokens, w.lastToken(email))
			}
			if err := test.unmake(w, owner, w.membership(karim, "vallon")); err != nil {
				t.Fatal(err)
			}
			for _, token := range tokens {
				_, _, err := w.AcceptInvitation(t.Context(), token, "Karim", "fr", firefox, network)
				errstest.Want(t, err, codes.FailedPrecondition, errorsv1.ErrorReason_INVITATION_INVALID)
			}
		})
	}
}
