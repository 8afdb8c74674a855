package app_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"

	accessv1 "github.com/cagnotte/cagnotte/proto/cagnotte/access/v1"
	approvalsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/approvals/v1"
	collectivesv1 "github.com/cagnotte/cagnotte/proto/cagnotte/collectives/v1"
	refundsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/refunds/v1"
	"github.com/cagnotte/cagnotte/services/internal/apptest"
)

// An owner who also holds a key of no person would ask with it, and approve with their session.
func TestAKeyOfNoPersonAsksForNothingGuarded(t *testing.T) {
	g := newGuardedPeople(t)
	ctx := g.as(t, g.rootKey)
	refused := func(t *testing.T, key string) {
		t.Helper()
		before := g.auditCount(t)
		_, err := g.update(t, key, &collectivesv1.Collective{DisplayName: "Autre", BankAccount: bankAccounts[0]}, "display_name", "bank_account")
		wantError(t, err, codes.FailedPrecondition, "PERSON_NEEDED", "")
		_, err = g.update(t, key, &collectivesv1.Collective{AlertEmails: []string{"thief@example.net"}}, "alert_emails")
		wantError(t, err, codes.FailedPrecondition, "PERSON_NEEDED", "")
		_, err = g.members().CreateInvitation(g.as(t, key), &accessv1.CreateInvitationRequest{
			Parent: g.collective, Invitation: &accessv1.Invitation{Email: "himself@example.org", Role: accessv1.Role_ROLE_TREASURER}, RequestId: uuid.NewString(),
		})
		wantError(t, err, codes.FailedPrecondition, "PERSON_NEEDED", "")
		_, err = accessv1.NewAccessServiceClient(g.conn).CreateApiKey(g.as(t, key), &accessv1.CreateApiKeyRequest{
			Parent: g.collective, ApiKey: &accessv1.ApiKey{DisplayName: "Laptop", Role: accessv1.Role_ROLE_TREASURER},
		})
		wantError(t, err, codes.FailedPrecondition, "PERSON_NEEDED", "")
		_, err = g.client().UpdateTwoPersonRule(g.as(t, key), &approvalsv1.UpdateTwoPersonRuleRequest{
			TwoPersonRule: &approvalsv1.TwoPersonRule{Name: g.collective + "/twoPersonRule", Mode: approvalsv1.TwoPersonMode_TWO_PERSON_MODE_OFF},
		})
		wantError(t, err, codes.FailedPrecondition, "PERSON_NEEDED", "")
		if got := g.get(t); got.GetDisplayName() == "Autre" || g.auditCount(t) != before {
			t.Errorf("something changed: %v", got)
		}
	}
	t.Run("the root key of the collective", func(t *testing.T) { refused(t, g.rootKey) })
	t.Run("the operator's key", func(t *testing.T) { refused(t, g.e.OperatorKey) })

	operator := newPerson(t, g.e, "", "operator")
	t.Run("a key that an operator's session made, whoever it was handed to", func(t *testing.T) {
		// It must be older than what it would decide, and be made before the rule would have it wait.
		handed := newKey(t, g.conn, operator.token, g.collective, "Handed", accessv1.Role_ROLE_OWNER)
		list, err := g.client().ListPendingChanges(g.as(t, g.second.token), &approvalsv1.ListPendingChangesRequest{Parent: g.collective})
		if err != nil || len(list.GetPendingChanges()) != 1 {
			t.Fatalf("%v, %v", list, err)
		}
		if err := g.approve(t, g.owner.token, list.GetPendingChanges()[0].GetName()); err != nil {
			t.Fatal(err)
		}
		g.e.Clock.Advance(time.Minute)
		refused(t, handed.GetSecret())
		// Nor does the owner who holds it approve with it what they asked for by their session.
		asked := g.ask(t, g.owner.token)
		wantError(t, g.approve(t, handed.GetSecret(), asked), codes.FailedPrecondition, "SECOND_MEMBER_NEEDED", "")
		wantError(t, g.approve(t, g.rootKey, asked), codes.FailedPrecondition, "SECOND_MEMBER_NEEDED", "")
		g.reject(t, g.second.token, asked)
	})
	t.Run("a key that a member made is that member", func(t *testing.T) {
		own := newKey(t, g.conn, g.owner.token, g.collective, "Own", accessv1.Role_ROLE_OWNER)
		list, err := g.client().ListPendingChanges(g.as(t, g.second.token), &approvalsv1.ListPendingChangesRequest{Parent: g.collective})
		if err != nil || len(list.GetPendingChanges()) == 0 {
			t.Fatalf("%v, %v", list, err)
		}
		if err := g.approve(t, g.second.token, list.GetPendingChanges()[0].GetName()); err != nil {
			t.Fatal(err)
		}
		asked := g.ask(t, own.GetSecret())
		wantError(t, g.approve(t, g.owner.token, asked), codes.FailedPrecondition, "SECOND_MEMBER_NEEDED", "")
		if err := g.approve(t, g.second.token, asked); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("what is not guarded changes", func(t *testing.T) {
		if _, err := g.update(t, g.rootKey, &collectivesv1.Collective{DisplayName: "Autre"}, "display_name"); err != nil {
			t.Fatal(err)
		}
		if _, err := g.members().CreateInvitation(ctx, &accessv1.CreateInvitationRequest{
			Parent: g.collective, Invitation: &accessv1.Invitation{Email: "writer@example.org", Role: accessv1.Role_ROLE_EDITOR}, RequestId: uuid.NewString(),
		}); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("a new collective is set up with the operator's key", func(t *testing.T) {
		g.e.Campaign("nouveau")
		fresh := &guardedPeople{&guardedDesk{e: g.e, conn: g.conn, slug: "nouveau", collective: "collectives/nouveau"}, g.mails}
		if _, err := fresh.update(t, g.e.OperatorKey, &collectivesv1.Collective{BankAccount: bankAccounts[0]}, "bank_account"); err != nil {
			t.Fatal(err)
		}
		for _, email := range []string{"one@example.org", "two@example.org"} {
			if i := fresh.invite(t, g.e.OperatorKey, email, accessv1.Role_ROLE_OWNER); i.GetState() != openInvitation {
				t.Errorf("it is %v", i)
			}
		}
		for _, email := range []string{"one@example.org", "two@example.org"} {
			if _, err := fresh.accept(t, fresh.token(email, 0)); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// A key of no person invited a third owner before there were two. Nobody could approve what it asks for, so it is invalid.
func TestAnOldInvitationByAKeyOfNoPersonIsInvalid(t *testing.T) {
	g := newGuardedPeople(t)
	fresh := &guardedPeople{&guardedDesk{e: g.e, conn: g.conn, slug: "nouveau", collective: "collectives/nouveau"}, g.mails}
	_, ownerKey := g.e.Campaign("nouveau")
	fresh.invite(t, ownerKey, "third@example.org", accessv1.Role_ROLE_OWNER)
	token := fresh.token("third@example.org", 0)
	fresh.owner, fresh.second = newPerson(t, g.e, "nouveau", "owner"), newPerson(t, g.e, "nouveau", "treasurer")
	_, err := fresh.accept(t, token)
	wantError(t, err, codes.FailedPrecondition, "INVITATION_INVALID", "")
}

// A refund above the limit is asked for and decided by persons as soon as there are any.
func TestARefundThatAKeyOfNoPersonAsksFor(t *testing.T) {
	e := apptest.Start(t, apptest.Config{})
	k := newDesk(t, e, "vallon")
	k.setApproval(t, 10_00)
	d, _ := k.paid(t, 50_00)
	client := refundsv1.NewRefundsServiceClient(e.Conn)
	approve := func(key string, r *refundsv1.Refund) error {
		_, err := client.ApproveRefund(apptest.WithKey(t.Context(), key), &refundsv1.ApproveRefundRequest{Name: r.GetName()})
		return err
	}
	// There is no person yet: keys decide.
	old := k.create(t, k.treasurer, ask(d, 11_00))
	e.Clock.Advance(time.Minute)
	owner, second := newPerson(t, e, k.slug, "owner"), newPerson(t, e, k.slug, "treasurer")
	e.Clock.Advance(time.Minute)

	t.Run("asked before there were persons: no key decides, and no member who may hold the key", func(t *testing.T) {
		wantError(t, approve(k.second, old), codes.FailedPrecondition, "SECOND_MEMBER_NEEDED", "")
		wantError(t, approve(owner.token, old), codes.FailedPrecondition, "PERSON_NEEDED", "")
		if _, err := client.RejectRefund(apptest.WithKey(t.Context(), second.token), &refundsv1.RejectRefundRequest{Name: old.GetName()}); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("asked now it is refused, and up to the limit it is made", func(t *testing.T) {
		k.refuse(t, ask(d, 11_00), codes.FailedPrecondition, "PERSON_NEEDED")
		k.becomes(t, k.create(t, k.treasurer, ask(d, 2_00)), refundsv1.RefundState_REFUND_STATE_SUCCEEDED)
	})
	t.Run("a person asks, another one approves, and no key of no person does", func(t *testing.T) {
		r := k.create(t, second.token, ask(d, 11_00))
		wantError(t, approve(k.second, r), codes.FailedPrecondition, "SECOND_MEMBER_NEEDED", "")
		wantError(t, approve(second.token, r), codes.FailedPrecondition, "SECOND_MEMBER_NEEDED", "")
		if err := approve(owner.token, r); err != nil {
			t.Fatal(err)
		}
		k.becomes(t, r, refundsv1.RefundState_REFUND_STATE_SUCCEEDED)
	})
}
