package access_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/access"
	"github.com/cagnotte/cagnotte/services/internal/errstest"
)

func TestTheLastOwnerStays(t *testing.T) {
	w := newTown(t)
	operator := w.operator("olga@example.org")
	marie := w.join(operator, "vallon", "marie@example.org", access.RoleOwner)
	w.join(operator, "marseille", "other@example.org", access.RoleOwner)
	last := w.membership(marie, "vallon")
	t.Run("cannot leave, be removed, or get another role", func(t *testing.T) {
		for _, by := range []context.Context{marie, operator} {
			errstest.Want(t, w.EndMembership(by, "vallon", last.ID), codes.FailedPrecondition, errorsv1.ErrorReason_LAST_OWNER)
			_, err := w.ChangeRole(by, "vallon", last.ID, access.RoleEditor)
			errstest.Want(t, err, codes.FailedPrecondition, errorsv1.ErrorReason_LAST_OWNER)
		}
		errstest.Want(t, w.EndMembership(operator, "", w.membership(operator, "").ID), codes.FailedPrecondition, errorsv1.ErrorReason_LAST_OPERATOR)
	})
	t.Run("of two who leave, or remove each other, at once, one stays", func(t *testing.T) {
		for i := range 6 {
			second := w.join(operator, "vallon", fmt.Sprintf("second-%d@example.org", i), access.RoleOwner)
			one, two := w.membership(marie, "vallon"), w.membership(second, "vallon")
			if i%2 == 1 {
				one, two = two, one
			}
			var calls sync.WaitGroup
			calls.Go(func() { _ = w.EndMembership(marie, "vallon", one.ID) })
			calls.Go(func() { _ = w.EndMembership(second, "vallon", two.ID) })
			calls.Wait()
			left, err := w.Memberships(t.Context(), "vallon", access.FirstPlace, 10)
			if err != nil || len(left) != 1 || left[0].Role != access.RoleOwner {
				t.Fatalf("left: %+v, %v", left, err)
			}
			if left[0].ID != one.ID && left[0].ID != two.ID {
				t.Fatal("another one is left")
			}
			if left[0].Email != "marie@example.org" {
				// The other one stayed, and takes her place.
				marie = w.signInAgain(left[0].Email)
			}
			w.clock.forward(time.Hour)
		}
	})
}

func TestChangeOfRole(t *testing.T) {
	w := newTown(t)
	operator := w.operator("olga@example.org")
	owner := w.join(operator, "vallon", "marie@example.org", access.RoleOwner)
	karim := w.join(owner, "vallon", "karim@example.org", access.RoleTreasurer)
	before := w.membership(karim, "vallon")
	w.clock.forward(time.Minute)
	w.told, w.audited = nil, nil
	for range 2 {
		changed, err := w.ChangeRole(owner, "vallon", w.membership(karim, "vallon").ID, access.RoleEditor)
		if err != nil || changed.ID == before.ID || changed.Role != access.RoleEditor || !changed.CreateTime.After(before.CreateTime) {
			t.Fatalf("%+v, %v", changed, err)
		}
	}
	if len(w.told) != 1 || w.told[0].Kind != access.RoleChanged || w.told[0].Before != access.RoleTreasurer || len(w.audited) != 1 {
		t.Errorf("told %+v, audited %+v", w.told, w.audited)
	}
	ended, err := w.GetMembership(t.Context(), "vallon", before.ID)
	if err != nil || ended.EndTime.IsZero() || ended.Role != access.RoleTreasurer {
		t.Errorf("%+v, %v", ended, err)
	}
	_, err = w.ChangeRole(owner, "vallon", before.ID, access.RoleAuditor)
	errstest.Want(t, err, codes.FailedPrecondition, errorsv1.ErrorReason_MEMBERSHIP_ENDED)
	_, err = w.ChangeRole(owner, "vallon", ended.ID, access.RoleOperator)
	errstest.Want(t, err, codes.InvalidArgument, errorsv1.ErrorReason_INVALID_FIELD, "membership.role")
	t.Run("the database ends a row once, and changes none", func(t *testing.T) {
		for _, statement := range []string{
			"UPDATE access.memberships SET ended_at = now() WHERE ended_at IS NOT NULL",
			"UPDATE access.memberships SET role = 'owner'",
			"DELETE FROM access.memberships",
		} {
			if _, err := w.pool.Exec(t.Context(), statement); err == nil {
				t.Errorf("%s works", statement)
			}
		}
	})
}

func TestWhoIsRemovedIsOut(t *testing.T) {
	w := newTown(t)
	operator := w.operator("olga@example.org")
	owner := w.join(operator, "vallon", "marie@example.org", access.RoleOwner)
	_, err := w.Invite(owner, access.Invitation{Collective: "vallon", Email: "karim@example.org", Role: access.RoleTreasurer}, uuid.New())
	if err != nil {
		t.Fatal(err)
	}
	_, token, err := w.AcceptInvitation(t.Context(), w.lastToken("karim@example.org"), "Karim", "fr", firefox, network)
	if err != nil {
		t.Fatal(err)
	}
	karim := w.signIn(token)
	_, key, err := w.Create(karim, access.Key{Collective: "vallon", DisplayName: "Script", Role: access.RoleAuditor})
	if err != nil {
		t.Fatal(err)
	}
	m := w.membership(karim, "vallon")
	for range 2 {
		if err := w.EndMembership(owner, "vallon", m.ID); err != nil {
			t.Fatal(err)
		}
	}
	for what, credential := range map[string]string{"session": token, "key": key} {
		_, err := w.Authenticate(t.Context(), credential)
		if err == nil {
			t.Errorf("the %s works", what)
		}
	}
	// What was under way when he was removed decides nothing.
	_, _, err = w.Create(karim, access.Key{Collective: "vallon", DisplayName: "Late", Role: access.RoleAuditor})
	errstest.Want(t, err, codes.NotFound, errorsv1.ErrorReason_NOT_FOUND)
}

func TestWhoIsOwnerNoMoreChangesNoPeople(t *testing.T) {
	w := newTown(t)
	owner := w.join(w.operator("olga@example.org"), "vallon", "marie@example.org", access.RoleOwner)
	// His calls were let in while he was an owner.
	karim := w.join(owner, "vallon", "karim@example.org", access.RoleOwner)
	other := w.membership(w.join(owner, "vallon", "ines@example.org", access.RoleTreasurer), "vallon")
	his, err := w.ChangeRole(owner, "vallon", w.membership(karim, "vallon").ID, access.RoleAuditor)
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.ChangeRole(karim, "vallon", his.ID, access.RoleOwner)
	errstest.Want(t, err, codes.NotFound, errorsv1.ErrorReason_NOT_FOUND)
	_, err = w.ChangeRole(karim, "vallon", other.ID, access.RoleAuditor)
	errstest.Want(t, err, codes.NotFound, errorsv1.ErrorReason_NOT_FOUND)
	_, err = w.Invite(karim, access.Invitation{Collective: "vallon", Email: "karim+1@example.org", Role: access.RoleOwner}, uuid.New())
	errstest.Want(t, err, codes.NotFound, errorsv1.ErrorReason_NOT_FOUND)
	errstest.Want(t, w.EndMembership(karim, "vallon", other.ID), codes.NotFound, errorsv1.ErrorReason_NOT_FOUND)
	if err := w.EndMembership(karim, "vallon", his.ID); err != nil {
		t.Errorf("he leaves: %v", err)
	}
}
