package app_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	accessv1 "github.com/cagnotte/cagnotte/proto/cagnotte/access/v1"
	approvalsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/approvals/v1"
	noticesv1 "github.com/cagnotte/cagnotte/proto/cagnotte/notices/v1"
	"github.com/cagnotte/cagnotte/services/internal/apptest"
	"github.com/cagnotte/cagnotte/services/internal/mailtest"
)

// guardedPeople is a guarded desk whose people invite each other.
type guardedPeople struct {
	*guardedDesk
	mails *mailtest.Server
}

func newGuardedPeople(t *testing.T) *guardedPeople {
	t.Helper()
	mails := mailtest.Start(t)
	e := apptest.Start(t, apptest.Config{SMTPURL: mails.URL()})
	return &guardedPeople{newGuardedDesk(t, e, e.Conn, "vallon"), mails}
}

func (g *guardedPeople) members() accessv1.MembersServiceClient {
	return accessv1.NewMembersServiceClient(g.conn)
}

func (g *guardedPeople) invite(t *testing.T, by, email string, role accessv1.Role) *accessv1.Invitation {
	t.Helper()
	i, err := g.members().CreateInvitation(g.as(t, by), &accessv1.CreateInvitationRequest{
		Parent: g.collective, Invitation: &accessv1.Invitation{Email: email, Role: role}, RequestId: uuid.NewString(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// token waits for the newest mail to an address after the first so many, and returns the token in it.
func (g *guardedPeople) token(email string, after int) (token string) {
	g.e.Eventually("a mail to "+email, func() bool {
		for _, m := range slices.Backward(g.mails.Mails()[after:]) {
			if found := mailedToken.FindStringSubmatch(m.Text); m.To == email && found != nil {
				token = found[1]
				return true
			}
		}
		return false
	})
	return token
}

func (g *guardedPeople) mailsTo(email string) (count int) {
	for _, m := range g.mails.Mails() {
		if m.To == email {
			count++
		}
	}
	return count
}

func (g *guardedPeople) accept(t *testing.T, token string) (*accessv1.Session, error) {
	t.Helper()
	return accessv1.NewSignInServiceClient(g.conn).AcceptInvitation(t.Context(), &accessv1.AcceptInvitationRequest{Token: token, DisplayName: "Karim", Language: "fr"})
}

// membership is the name of a person's present membership.
func (g *guardedPeople) membership(t *testing.T, p person) *accessv1.Membership {
	t.Helper()
	list, err := g.members().ListMemberships(g.as(t, g.e.OperatorKey), &accessv1.ListMembershipsRequest{Parent: g.collective})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range list.GetMemberships() {
		if m.GetMember() == "members/"+p.id {
			return m
		}
	}
	t.Fatalf("%s has no membership in %v", p.id, list)
	return nil
}

func (g *guardedPeople) setRole(t *testing.T, by string, p person, role accessv1.Role) (*accessv1.Membership, error) {
	t.Helper()
	return g.members().UpdateMembership(g.as(t, by), &accessv1.UpdateMembershipRequest{
		Membership: &accessv1.Membership{Name: g.membership(t, p).GetName(), Role: role},
	})
}

func (g *guardedPeople) invitation(t *testing.T, by, name string) (*accessv1.Invitation, error) {
	t.Helper()
	return g.members().GetInvitation(g.as(t, by), &accessv1.GetInvitationRequest{Name: name})
}

func (g *guardedPeople) reject(t *testing.T, token, name string) {
	t.Helper()
	if _, err := g.client().RejectPendingChange(g.as(t, token), &approvalsv1.RejectPendingChangeRequest{Name: name}); err != nil {
		t.Fatal(err)
	}
}

// auditCount is how many entries the audit log has.
func (g *guardedPeople) auditCount(t *testing.T) (count int) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), g.e.DatabaseURL)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	if err := conn.QueryRow(t.Context(), "SELECT count(*) FROM audit.entries").Scan(&count); err != nil {
		t.Fatal(err)
	}
	return count
}

// oneEntry fails unless a call leaves exactly one entry.
func (g *guardedPeople) oneEntry(t *testing.T, call func()) {
	t.Helper()
	before := g.auditCount(t)
	call()
	if got := g.auditCount(t) - before; got != 1 {
		t.Errorf("the call left %d entries, want 1", got)
	}
}

// canceled fails unless a change was canceled, waits in no list, and can be approved no more.
func (g *guardedPeople) canceled(t *testing.T, name string) {
	t.Helper()
	if state := g.state(t, name); state != approvalsv1.PendingChangeState_PENDING_CHANGE_STATE_CANCELED {
		t.Errorf("the change is %v", state)
	}
	list, err := g.client().ListPendingChanges(g.as(t, g.second.token), &approvalsv1.ListPendingChangesRequest{
		Parent: g.collective, State: approvalsv1.PendingChangeState_PENDING_CHANGE_STATE_PENDING,
	})
	if err != nil || slices.ContainsFunc(list.GetPendingChanges(), func(c *approvalsv1.PendingChange) bool { return c.GetName() == name }) {
		t.Errorf("it waits still: %v, %v", list, err)
	}
	wantError(t, g.approve(t, g.second.token, name), codes.FailedPrecondition, "CHANGE_DECIDED", "")
}

const (
	waitingInvitation = accessv1.InvitationState_INVITATION_STATE_PENDING_APPROVAL
	openInvitation    = accessv1.InvitationState_INVITATION_STATE_PENDING
	revokedInvitation = accessv1.InvitationState_INVITATION_STATE_REVOKED
)

func TestAnOwnerAloneMakesNoSecondPerson(t *testing.T) {
	g := newGuardedPeople(t)
	var i *accessv1.Invitation
	g.oneEntry(t, func() { i = g.invite(t, g.owner.token, "himself@example.org", accessv1.Role_ROLE_TREASURER) })
	if i.GetState() != waitingInvitation || i.GetPendingChange() == "" {
		t.Fatalf("the invitation is %v", i)
	}

	t.Run("the one who asked does not approve, and nothing was mailed", func(t *testing.T) {
		wantError(t, g.approve(t, g.owner.token, i.GetPendingChange()), codes.FailedPrecondition, "SECOND_MEMBER_NEEDED", "")
		if n := g.mailsTo("himself@example.org"); n != 0 {
			t.Errorf("%d mails", n)
		}
	})
	t.Run("who decides sees whom they approve, and a treasurer no other invitation", func(t *testing.T) {
		c, err := g.client().GetPendingChange(g.as(t, g.second.token), &approvalsv1.GetPendingChangeRequest{Name: i.GetPendingChange()})
		if err != nil || c.GetSubject() != i.GetName() || c.GetValueAfter() != "treasurer h…@example.org" || !c.GetApprovable() ||
			c.GetKind() != approvalsv1.PendingChangeKind_PENDING_CHANGE_KIND_INVITATION || c.GetExpireTime() == nil || c.GetRequesterDisplayName() == "" {
			t.Errorf("%v, %v", c, err)
		}
		got, err := g.invitation(t, g.second.token, i.GetName())
		if err != nil || got.GetEmail() != "himself@example.org" {
			t.Errorf("%v, %v", got, err)
		}
		other := g.invite(t, g.owner.token, "writer@example.org", accessv1.Role_ROLE_EDITOR)
		_, err = g.invitation(t, g.second.token, other.GetName())
		wantError(t, err, codes.NotFound, "NOT_FOUND", "")
		if other.GetState() != openInvitation || other.GetPendingChange() != "" {
			t.Errorf("an editor's invitation waits: %v", other)
		}
	})
	t.Run("it is told, with the address shortened", func(t *testing.T) {
		list, err := noticesv1.NewNoticesServiceClient(g.conn).ListNotices(g.as(t, g.second.token), &noticesv1.ListNoticesRequest{Parent: g.collective, PageSize: 200})
		if err != nil {
			t.Fatal(err)
		}
		waits := 0
		for _, n := range list.GetNotices() {
			if n.GetKind() == "invitation_waits" && n.GetSubject() == i.GetPendingChange() {
				waits++
			}
			if strings.Contains(n.String(), "himself@") || strings.Contains(n.String(), "writer@") {
				t.Errorf("the notice has the whole address: %v", n)
			}
		}
		if waits != 1 {
			t.Errorf("told %d times", waits)
		}
	})
	t.Run("rejected it is revoked", func(t *testing.T) {
		g.oneEntry(t, func() { g.reject(t, g.second.token, i.GetPendingChange()) })
		got, err := g.invitation(t, g.owner.token, i.GetName())
		if err != nil || got.GetState() != revokedInvitation {
			t.Errorf("%v, %v", got, err)
		}
	})
	t.Run("approved it is mailed and can be accepted, and who joins is too young for what was asked before", func(t *testing.T) {
		asked := g.ask(t, g.owner.token)
		i := g.invite(t, g.owner.token, "karim@example.org", accessv1.Role_ROLE_OWNER)
		g.oneEntry(t, func() {
			if err := g.approve(t, g.second.token, i.GetPendingChange()); err != nil {
				t.Fatal(err)
			}
		})
		session, err := g.accept(t, g.token("karim@example.org", 0))
		if err != nil {
			t.Fatal(err)
		}
		wantError(t, g.approve(t, session.GetToken(), asked), codes.FailedPrecondition, "MEMBER_TOO_YOUNG", "")
		g.reject(t, g.second.token, asked)
	})
	t.Run("revoked or replaced it waits no more", func(t *testing.T) {
		i := g.invite(t, g.owner.token, "gone@example.org", accessv1.Role_ROLE_OWNER)
		var again *accessv1.Invitation
		g.oneEntry(t, func() { again = g.invite(t, g.owner.token, "gone@example.org", accessv1.Role_ROLE_TREASURER) })
		g.canceled(t, i.GetPendingChange())
		for range 2 {
			revoke := func() {
				if _, err := g.members().RevokeInvitation(g.as(t, g.owner.token), &accessv1.RevokeInvitationRequest{Name: again.GetName()}); err != nil {
					t.Fatal(err)
				}
			}
			if g.state(t, again.GetPendingChange()) == approvalsv1.PendingChangeState_PENDING_CHANGE_STATE_PENDING {
				g.oneEntry(t, revoke)
			} else {
				revoke()
			}
			g.canceled(t, again.GetPendingChange())
		}
		if g.mailsTo("gone@example.org") != 0 {
			t.Error("it was mailed")
		}
	})
	t.Run("it waits no more when who invited has left", func(t *testing.T) {
		g.e.Clock.Advance(time.Minute)
		leaver := newPerson(t, g.e, g.slug, "owner")
		i := g.invite(t, leaver.token, "orphan@example.org", accessv1.Role_ROLE_OWNER)
		g.oneEntry(t, func() {
			if _, err := g.members().DeleteMembership(g.as(t, leaver.token), &accessv1.DeleteMembershipRequest{Name: g.membership(t, leaver).GetName()}); err != nil {
				t.Fatal(err)
			}
		})
		g.canceled(t, i.GetPendingChange())
	})
}

func TestPromotionsWaitAndRemovalsDoNot(t *testing.T) {
	g := newGuardedPeople(t)
	writer := newPerson(t, g.e, g.slug, "editor")
	var asked *accessv1.Membership
	g.oneEntry(t, func() {
		var err error
		if asked, err = g.setRole(t, g.owner.token, writer, accessv1.Role_ROLE_TREASURER); err != nil {
			t.Fatal(err)
		}
	})
	if asked.GetRole() != accessv1.Role_ROLE_EDITOR || asked.GetPendingChange() == "" {
		t.Fatalf("the membership is %v", asked)
	}
	t.Run("the same again is the same change, and leaves no entry", func(t *testing.T) {
		before := g.auditCount(t)
		again, err := g.setRole(t, g.owner.token, writer, accessv1.Role_ROLE_TREASURER)
		if err != nil || again.GetPendingChange() != asked.GetPendingChange() || g.auditCount(t) != before {
			t.Errorf("%v, %v", again, err)
		}
		_, err = g.setRole(t, g.owner.token, writer, accessv1.Role_ROLE_OWNER)
		wantError(t, err, codes.FailedPrecondition, "CHANGE_PENDING", "")
	})
	t.Run("it takes effect when it is approved", func(t *testing.T) {
		c, err := g.client().GetPendingChange(g.as(t, g.second.token), &approvalsv1.GetPendingChangeRequest{Name: asked.GetPendingChange()})
		if err != nil || c.GetValueBefore() != "editor Person editor" || c.GetValueAfter() != "treasurer Person editor" {
			t.Errorf("%v, %v", c, err)
		}
		g.oneEntry(t, func() {
			if err := g.approve(t, g.second.token, asked.GetPendingChange()); err != nil {
				t.Fatal(err)
			}
		})
		if got := g.membership(t, writer); got.GetRole() != accessv1.Role_ROLE_TREASURER || got.GetName() == asked.GetName() {
			t.Errorf("the membership is %v", got)
		}
		if count := noticesOf(t, g.guardedDesk, "member_role_changed"); count != 1 {
			t.Errorf("told %d times", count)
		}
	})
	t.Run("a treasurer becomes an owner in the same way, and an owner a treasurer at once", func(t *testing.T) {
		up, err := g.setRole(t, g.owner.token, writer, accessv1.Role_ROLE_OWNER)
		if err != nil || up.GetPendingChange() == "" {
			t.Fatalf("%v, %v", up, err)
		}
		if err := g.approve(t, g.second.token, up.GetPendingChange()); err != nil {
			t.Fatal(err)
		}
		down, err := g.setRole(t, g.owner.token, writer, accessv1.Role_ROLE_TREASURER)
		if err != nil || down.GetPendingChange() != "" || down.GetRole() != accessv1.Role_ROLE_TREASURER {
			t.Fatalf("%v, %v", down, err)
		}
	})
	t.Run("who has left meanwhile is promoted no more", func(t *testing.T) {
		up, err := g.setRole(t, g.owner.token, writer, accessv1.Role_ROLE_OWNER)
		if err != nil {
			t.Fatal(err)
		}
		g.oneEntry(t, func() {
			if _, err := g.members().DeleteMembership(g.as(t, g.owner.token), &accessv1.DeleteMembershipRequest{Name: up.GetName()}); err != nil {
				t.Fatal(err)
			}
		})
		g.canceled(t, up.GetPendingChange())
	})
	t.Run("who was demoted meanwhile is promoted no more", func(t *testing.T) {
		editor := newPerson(t, g.e, g.slug, "editor")
		up, err := g.setRole(t, g.owner.token, editor, accessv1.Role_ROLE_OWNER)
		if err != nil {
			t.Fatal(err)
		}
		g.oneEntry(t, func() {
			if _, err := g.setRole(t, g.owner.token, editor, accessv1.Role_ROLE_AUDITOR); err != nil {
				t.Fatal(err)
			}
		})
		g.canceled(t, up.GetPendingChange())
	})
	t.Run("who was demoted a moment ago does not decide, with whatever they hold", func(t *testing.T) {
		name := g.ask(t, g.owner.token)
		if m, err := g.setRole(t, g.owner.token, g.second, accessv1.Role_ROLE_AUDITOR); err != nil || m.GetRole() != accessv1.Role_ROLE_AUDITOR {
			t.Fatalf("a demotion waits: %v, %v", m, err)
		}
		wantError(t, g.approve(t, g.second.token, name), codes.NotFound, "NOT_FOUND", "")
	})
}

// One owner who is rid of the other is not rid of the rule.
func TestTheRuleOutlivesTheSecondPerson(t *testing.T) {
	g := newGuardedPeople(t)
	if _, err := g.members().DeleteMembership(g.as(t, g.owner.token), &accessv1.DeleteMembershipRequest{Name: g.membership(t, g.second).GetName()}); err != nil {
		t.Fatal(err)
	}
	name := g.ask(t, g.owner.token)
	i := g.invite(t, g.owner.token, "himself@example.org", accessv1.Role_ROLE_TREASURER)
	if i.GetState() != waitingInvitation {
		t.Fatalf("the invitation is %v", i)
	}
	t.Run("no key of no person approves, the operator's neither", func(t *testing.T) {
		wantError(t, g.approve(t, g.e.OperatorKey, name), codes.FailedPrecondition, "SECOND_MEMBER_NEEDED", "")
		wantError(t, g.approve(t, g.rootKey, i.GetPendingChange()), codes.FailedPrecondition, "SECOND_MEMBER_NEEDED", "")
		c, err := g.client().GetPendingChange(g.as(t, g.rootKey), &approvalsv1.GetPendingChangeRequest{Name: name})
		if err != nil || c.GetApprovable() {
			t.Errorf("%v, %v", c, err)
		}
	})
	t.Run("a person who is operator does, so that nobody is locked out", func(t *testing.T) {
		operator := newPerson(t, g.e, "", "operator")
		wantError(t, g.approve(t, operator.token, name), codes.FailedPrecondition, "MEMBER_TOO_YOUNG", "")
		if _, err := g.client().CancelPendingChange(g.as(t, g.owner.token), &approvalsv1.CancelPendingChangeRequest{Name: i.GetPendingChange()}); err != nil {
			t.Fatal(err)
		}
		g.e.Clock.Advance(1)
		i = g.invite(t, g.owner.token, "himself@example.org", accessv1.Role_ROLE_TREASURER)
		if err := g.approve(t, operator.token, i.GetPendingChange()); err != nil {
			t.Fatal(err)
		}
		if _, err := g.accept(t, g.token("himself@example.org", 0)); err != nil {
			t.Fatal(err)
		}
	})
}

// An invitation that was made before there was a second person does not make one without their knowledge.
func TestAnOldInvitationWaitsOnceTheRuleIsActive(t *testing.T) {
	mails := mailtest.Start(t)
	e := apptest.Start(t, apptest.Config{SMTPURL: mails.URL()})
	e.Campaign("vallon")
	g := &guardedPeople{&guardedDesk{e: e, conn: e.Conn, slug: "vallon", collective: "collectives/vallon"}, mails}
	g.owner = newPerson(t, e, "vallon", "owner")
	for _, email := range []string{"karim@example.org", "himself@example.org"} {
		if i := g.invite(t, g.owner.token, email, accessv1.Role_ROLE_TREASURER); i.GetState() != openInvitation {
			t.Fatalf("an invitation of the only owner waits: %v", i)
		}
	}
	old := g.token("himself@example.org", 0)
	session, err := g.accept(t, g.token("karim@example.org", 0))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		_, err = g.accept(t, old)
		wantError(t, err, codes.FailedPrecondition, "INVITATION_AWAITING_APPROVAL", "")
	}
	list, err := g.client().ListPendingChanges(g.as(t, session.GetToken()), &approvalsv1.ListPendingChangesRequest{Parent: g.collective})
	if err != nil || len(list.GetPendingChanges()) != 1 {
		t.Fatalf("%v, %v", list, err)
	}
	c := list.GetPendingChanges()[0]
	if c.GetRequester() != "members/"+g.owner.id {
		t.Errorf("asked by %s", c.GetRequester())
	}
	wantError(t, g.approve(t, g.owner.token, c.GetName()), codes.FailedPrecondition, "SECOND_MEMBER_NEEDED", "")
	sent := len(mails.Mails())
	if err := g.approve(t, session.GetToken(), c.GetName()); err != nil {
		t.Fatal(err)
	}
	if _, err := g.accept(t, g.token("himself@example.org", sent)); err != nil {
		t.Fatal(err)
	}
}

func TestARevokedKeyIsApprovedNoMore(t *testing.T) {
	e := apptest.Start(t, apptest.Config{})
	e.OverBoth(t, func(t *testing.T, conn grpc.ClientConnInterface) {
		g := newGuardedDesk(t, e, conn, "key-"+strings.ToLower(t.Name()[len(t.Name())-4:]))
		k := newKey(t, conn, g.owner.token, g.collective, "Laptop", accessv1.Role_ROLE_TREASURER)
		list, err := g.client().ListPendingChanges(g.as(t, g.second.token), &approvalsv1.ListPendingChangesRequest{Parent: g.collective})
		if err != nil || len(list.GetPendingChanges()) != 1 {
			t.Fatalf("%v, %v", list, err)
		}
		name := list.GetPendingChanges()[0].GetName()
		keys := accessv1.NewAccessServiceClient(conn)
		if _, err := keys.RevokeApiKey(g.as(t, g.owner.token), &accessv1.RevokeApiKeyRequest{Name: k.GetName()}); err != nil {
			t.Fatal(err)
		}
		wantError(t, g.approve(t, g.second.token, name), codes.FailedPrecondition, "CHANGE_DECIDED", "")
		if state := g.state(t, name); state != approvalsv1.PendingChangeState_PENDING_CHANGE_STATE_CANCELED {
			t.Errorf("it is %v", state)
		}
		if count := noticesOf(t, g, "key_approved"); count != 0 {
			t.Errorf("told %d times", count)
		}
		got, err := keys.GetApiKey(g.as(t, g.owner.token), &accessv1.GetApiKeyRequest{Name: k.GetName()})
		if err != nil || got.GetState() != accessv1.ApiKeyState_API_KEY_STATE_REVOKED {
			t.Errorf("%v, %v", got, err)
		}
	})
}

func TestARevokedKeyOfNoPersonLeavesNoInvitation(t *testing.T) {
	mails := mailtest.Start(t)
	e := apptest.Start(t, apptest.Config{SMTPURL: mails.URL()})
	_, ownerKey := e.Campaign("vallon")
	g := &guardedPeople{&guardedDesk{e: e, conn: e.Conn, slug: "vallon", collective: "collectives/vallon"}, mails}
	g.owner = newPerson(t, e, "vallon", "owner")
	kept := g.invite(t, g.owner.token, "kept@example.org", accessv1.Role_ROLE_EDITOR)
	gone := g.invite(t, ownerKey, "gone@example.org", accessv1.Role_ROLE_EDITOR)
	token := g.token("gone@example.org", 0)
	keys := accessv1.NewAccessServiceClient(e.Conn)
	who, err := keys.GetPrincipal(g.as(t, ownerKey), &accessv1.GetPrincipalRequest{})
	if err != nil {
		t.Fatal(err)
	}
	g.oneEntry(t, func() {
		if _, err := keys.RevokeApiKey(g.as(t, g.owner.token), &accessv1.RevokeApiKeyRequest{Name: who.GetApiKey()}); err != nil {
			t.Fatal(err)
		}
	})
	_, err = g.accept(t, token)
	wantError(t, err, codes.FailedPrecondition, "INVITATION_INVALID", "")
	for name, want := range map[string]accessv1.InvitationState{kept.GetName(): openInvitation, gone.GetName(): revokedInvitation} {
		if i, err := g.invitation(t, g.owner.token, name); err != nil || i.GetState() != want {
			t.Errorf("%v, %v", i, err)
		}
	}
}
