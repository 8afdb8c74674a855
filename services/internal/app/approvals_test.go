package app_test

import (
	"context"
	"crypto/sha256"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	accessv1 "github.com/cagnotte/cagnotte/proto/cagnotte/access/v1"
	approvalsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/approvals/v1"
	collectivesv1 "github.com/cagnotte/cagnotte/proto/cagnotte/collectives/v1"
	noticesv1 "github.com/cagnotte/cagnotte/proto/cagnotte/notices/v1"
	"github.com/cagnotte/cagnotte/services/internal/apptest"
)

// person is a member with a session, which proved to be there now.
type person struct{ id, token string }

// newPerson makes a member of a collective, or of the instance when that is empty, as the owner of the database.
func newPerson(t *testing.T, e *apptest.Env, collective, role string) person {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), e.DatabaseURL)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	now := e.Clock.Now()
	p := person{id: uuid.Must(uuid.NewV7()).String()}
	secret, token := strings.Repeat("s", 43), strings.ReplaceAll(uuid.NewString(), "-", "")[:20]
	p.token = "cas_" + token + "_" + secret
	email := token + "@example.org"
	hash, emailHash := sha256.Sum256([]byte(secret)), sha256.Sum256([]byte(email))
	batch := &pgx.Batch{}
	batch.Queue(`INSERT INTO access.members (id, email, email_hash, display_name, language, created_at) VALUES ($1, $2, $3, $4, 'fr', $5)`,
		p.id, email, emailHash[:], "Person "+role, now)
	batch.Queue(`INSERT INTO access.memberships (id, member, collective, role, created_at, created_by) VALUES ($1, $2, nullif($3, ''), $4, $5, '')`,
		uuid.Must(uuid.NewV7()), p.id, collective, role, now)
	batch.Queue(`INSERT INTO access.sessions (token, secret_hash, member, device, created_at, proved_at, last_used_at, ends_at)
		VALUES ($1, $2, $3, 'Firefox', $4, $4, $4, $5)`, token, hash[:], p.id, now, now.AddDate(0, 1, 0))
	if err := conn.SendBatch(t.Context(), batch).Close(); err != nil {
		t.Fatal(err)
	}
	return p
}

// guardedDesk is a collective with two people, so that the rule is active, and what a test asks of it.
type guardedDesk struct {
	e                *apptest.Env
	conn             grpc.ClientConnInterface
	slug, collective string
	owner, second    person
	// rootKey is an owner's key of no person.
	rootKey string
}

func newGuardedDesk(t *testing.T, e *apptest.Env, conn grpc.ClientConnInterface, slug string) *guardedDesk {
	t.Helper()
	_, rootKey := e.Campaign(slug)
	g := &guardedDesk{e: e, conn: conn, slug: slug, collective: "collectives/" + slug, rootKey: rootKey}
	g.owner, g.second = newPerson(t, e, slug, "owner"), newPerson(t, e, slug, "treasurer")
	e.Clock.Advance(time.Minute)
	return g
}

func (g *guardedDesk) as(t *testing.T, token string) context.Context {
	return apptest.WithKey(t.Context(), token)
}

func (g *guardedDesk) get(t *testing.T) *collectivesv1.Collective {
	t.Helper()
	c, err := collectivesv1.NewCollectivesServiceClient(g.conn).GetCollective(g.as(t, g.owner.token), &collectivesv1.GetCollectiveRequest{Name: g.collective})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (g *guardedDesk) update(t *testing.T, token string, c *collectivesv1.Collective, fields ...string) (*collectivesv1.Collective, error) {
	t.Helper()
	c.Name = g.collective
	return collectivesv1.NewCollectivesServiceClient(g.conn).UpdateCollective(g.as(t, token),
		&collectivesv1.UpdateCollectiveRequest{Collective: c, UpdateMask: &fieldmaskpb.FieldMask{Paths: fields}})
}

// ask asks for another bank account and returns the name of the change.
func (g *guardedDesk) ask(t *testing.T, token string) string {
	t.Helper()
	c, err := g.update(t, token, &collectivesv1.Collective{BankAccount: bankAccounts[0]}, "bank_account")
	if err != nil || len(c.GetPendingChanges()) != 1 {
		t.Fatalf("%v, %v", c, err)
	}
	return c.GetPendingChanges()[0]
}

func (g *guardedDesk) client() approvalsv1.ApprovalsServiceClient {
	return approvalsv1.NewApprovalsServiceClient(g.conn)
}

func (g *guardedDesk) approve(t *testing.T, token, name string) error {
	t.Helper()
	_, err := g.client().ApprovePendingChange(g.as(t, token), &approvalsv1.ApprovePendingChangeRequest{Name: name})
	return err
}

func (g *guardedDesk) state(t *testing.T, name string) approvalsv1.PendingChangeState {
	t.Helper()
	c, err := g.client().GetPendingChange(g.as(t, g.owner.token), &approvalsv1.GetPendingChangeRequest{Name: name})
	if err != nil {
		t.Fatal(err)
	}
	return c.GetState()
}

func TestGuardedSettingsWaitForASecondPerson(t *testing.T) {
	e := apptest.Start(t, apptest.Config{})
	e.OverBoth(t, func(t *testing.T, conn grpc.ClientConnInterface) {
		g := newGuardedDesk(t, e, conn, "vallon-"+strings.ToLower(t.Name()[len(t.Name())-4:]))
		pending := approvalsv1.PendingChangeState_PENDING_CHANGE_STATE_PENDING
		before := g.get(t)
		// The name is not guarded and changes; the account waits.
		asked, err := g.update(t, g.owner.token, &collectivesv1.Collective{DisplayName: "Vallon libre", BankAccount: bankAccounts[0]}, "display_name", "bank_account")
		if err != nil || len(asked.GetPendingChanges()) != 1 || asked.GetDisplayName() != "Vallon libre" {
			t.Fatalf("%v, %v", asked, err)
		}
		if got := g.get(t); got.GetBankAccount() != nil || got.GetDisplayName() != "Vallon libre" || got.GetEtag() == before.GetEtag() {
			t.Errorf("it is %v", got)
		}
		name := asked.GetPendingChanges()[0]

		t.Run("the same request again is the same change, and another one is refused", func(t *testing.T) {
			if again := g.ask(t, g.owner.token); again != name {
				t.Errorf("it is %s, want %s", again, name)
			}
			_, err := g.update(t, g.second.token, &collectivesv1.Collective{BankAccount: bankAccounts[1]}, "bank_account")
			wantError(t, err, codes.NotFound, "NOT_FOUND", "")
			_, err = g.update(t, g.owner.token, &collectivesv1.Collective{BankAccount: bankAccounts[1]}, "bank_account")
			wantError(t, err, codes.FailedPrecondition, "CHANGE_PENDING", "")
		})
		t.Run("all are told, and see it shortened", func(t *testing.T) {
			resp, err := noticesv1.NewNoticesServiceClient(conn).ListNotices(g.as(t, g.second.token), &noticesv1.ListNoticesRequest{Parent: g.collective})
			if err != nil {
				t.Fatal(err)
			}
			told := 0
			for _, n := range resp.GetNotices() {
				if n.GetKind() == "bank_account_waits" && n.GetSubject() == name && n.GetDeadline() != nil {
					told++
				}
			}
			if told != 1 {
				t.Errorf("told %d times: %v", told, resp)
			}
			list, err := g.client().ListPendingChanges(g.as(t, g.second.token), &approvalsv1.ListPendingChangesRequest{Parent: g.collective, State: pending})
			if err != nil || len(list.GetPendingChanges()) != 1 {
				t.Fatalf("%v, %v", list, err)
			}
			c := list.GetPendingChanges()[0]
			if c.GetName() != name || !c.GetApprovable() || c.GetCancelable() || strings.Contains(c.GetValueAfter(), strings.ReplaceAll(bankAccounts[0].GetIban(), " ", "")) || c.GetValueAfter() == "" {
				t.Errorf("the second person sees %v", c)
			}
			own, err := g.client().GetPendingChange(g.as(t, g.owner.token), &approvalsv1.GetPendingChangeRequest{Name: name})
			if err != nil || own.GetApprovable() || !own.GetCancelable() {
				t.Errorf("the requester sees %v, %v", own, err)
			}
		})
		t.Run("the requester approves by no session and by no key", func(t *testing.T) {
			wantError(t, g.approve(t, g.owner.token, name), codes.FailedPrecondition, "SECOND_MEMBER_NEEDED", "")
			_, err := g.client().RejectPendingChange(g.as(t, g.owner.token), &approvalsv1.RejectPendingChangeRequest{Name: name})
			wantError(t, err, codes.FailedPrecondition, "SECOND_MEMBER_NEEDED", "")
			_, err = g.client().CancelPendingChange(g.as(t, g.second.token), &approvalsv1.CancelPendingChangeRequest{Name: name})
			wantError(t, err, codes.FailedPrecondition, "ANOTHER_MEMBERS_CHANGE", "")
		})
		t.Run("nor does who came after, or an auditor", func(t *testing.T) {
			late := newPerson(t, e, g.slug, "owner")
			wantError(t, g.approve(t, late.token, name), codes.FailedPrecondition, "MEMBER_TOO_YOUNG", "")
			auditor := newPerson(t, e, g.slug, "auditor")
			wantError(t, g.approve(t, auditor.token, name), codes.NotFound, "NOT_FOUND", "")
			young := e.Key(g.collective, accessv1.Role_ROLE_EDITOR)
			wantError(t, g.approve(t, young, name), codes.NotFound, "NOT_FOUND", "")
		})
		t.Run("the second person does, and twice at once applies it once", func(t *testing.T) {
			var group sync.WaitGroup
			failed := make([]error, 4)
			for i := range failed {
				group.Go(func() { failed[i] = g.approve(t, g.second.token, name) })
			}
			group.Wait()
			for _, err := range failed {
				if err != nil {
					t.Error(err)
				}
			}
			if got := g.get(t).GetBankAccount().GetIban(); !strings.EqualFold(got, strings.ReplaceAll(bankAccounts[0].GetIban(), " ", "")) {
				t.Errorf("the account is %q", got)
			}
			if count := noticesOf(t, g, "bank_account_changed"); count != 1 {
				t.Errorf("told %d times", count)
			}
			_, err := g.client().CancelPendingChange(g.as(t, g.owner.token), &approvalsv1.CancelPendingChangeRequest{Name: name})
			wantError(t, err, codes.FailedPrecondition, "CHANGE_DECIDED", "")
		})
		t.Run("a change back waits too, and what is rejected or canceled stays undone", func(t *testing.T) {
			c, err := g.update(t, g.owner.token, &collectivesv1.Collective{AlertEmails: []string{"thief@example.net"}}, "alert_emails")
			if err != nil || len(c.GetPendingChanges()) != 1 {
				t.Fatal(c, err)
			}
			if _, err := g.client().RejectPendingChange(g.as(t, g.second.token), &approvalsv1.RejectPendingChangeRequest{Name: c.GetPendingChanges()[0]}); err != nil {
				t.Fatal(err)
			}
			wantError(t, g.approve(t, g.second.token, c.GetPendingChanges()[0]), codes.FailedPrecondition, "CHANGE_DECIDED", "")
			c, err = g.update(t, g.owner.token, &collectivesv1.Collective{RefundApproval: apptest.Euros(5_00)}, "refund_approval")
			if err != nil || len(c.GetPendingChanges()) != 1 {
				t.Fatal(c, err)
			}
			for range 2 {
				if _, err := g.client().CancelPendingChange(g.as(t, g.owner.token), &approvalsv1.CancelPendingChangeRequest{Name: c.GetPendingChanges()[0]}); err != nil {
					t.Fatal(err)
				}
			}
			if got := g.get(t); len(got.GetAlertEmails()) != 0 || got.GetRefundApproval() != nil {
				t.Errorf("it is %v", got)
			}
		})
	})
}

func noticesOf(t *testing.T, g *guardedDesk, kind string) (count int) {
	t.Helper()
	resp, err := noticesv1.NewNoticesServiceClient(g.conn).ListNotices(g.as(t, g.owner.token), &noticesv1.ListNoticesRequest{Parent: g.collective, PageSize: 200})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range resp.GetNotices() {
		if n.GetKind() == kind {
			count++
		}
	}
	return count
}

func TestAPendingChangeExpires(t *testing.T) {
	e := apptest.Start(t, apptest.Config{})
	g := newGuardedDesk(t, e, e.Conn, "vallon")
	name := g.ask(t, g.owner.token)
	e.Clock.Advance(7 * 24 * time.Hour)
	// Its session's proof is old by now, so an older key approves.
	_, err := g.client().ApprovePendingChange(g.as(t, g.second.token), &approvalsv1.ApprovePendingChangeRequest{Name: name})
	wantError(t, err, codes.FailedPrecondition, "REAUTHENTICATION_REQUIRED", "")
	wantError(t, g.approve(t, e.OperatorKey, name), codes.FailedPrecondition, "CHANGE_DECIDED", "")
	// The job comes by when the program starts, and every ten minutes.
	e.StopApp()
	e.StartApp()
	g.conn = e.Conn
	e.Eventually("it has expired", func() bool {
		return g.state(t, name) == approvalsv1.PendingChangeState_PENDING_CHANGE_STATE_EXPIRED
	})
	if count := noticesOf(t, g, "change_dropped"); count != 1 {
		t.Errorf("told %d times", count)
	}
}

func TestAPendingChangeIsRefusedWhenItIsOutdated(t *testing.T) {
	e := apptest.Start(t, apptest.Config{})
	g := newGuardedDesk(t, e, e.Conn, "vallon")
	name := g.ask(t, g.owner.token)
	// The rule is turned off by both persons, and then the account changes at once.
	rule := g.collective + "/twoPersonRule"
	set := func(token string, mode approvalsv1.TwoPersonMode) *approvalsv1.TwoPersonRule {
		t.Helper()
		r, err := g.client().UpdateTwoPersonRule(g.as(t, token), &approvalsv1.UpdateTwoPersonRuleRequest{
			TwoPersonRule: &approvalsv1.TwoPersonRule{Name: rule, Mode: mode},
		})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	off := set(g.owner.token, approvalsv1.TwoPersonMode_TWO_PERSON_MODE_OFF)
	if !off.GetActive() || off.GetPendingChange() == "" || off.GetMode() != approvalsv1.TwoPersonMode_TWO_PERSON_MODE_AUTOMATIC {
		t.Fatalf("the rule is %v", off)
	}
	if again := set(g.owner.token, approvalsv1.TwoPersonMode_TWO_PERSON_MODE_OFF); again.GetPendingChange() != off.GetPendingChange() {
		t.Errorf("asked twice: %v", again)
	}
	wantError(t, g.approve(t, e.OperatorKey, off.GetPendingChange()), codes.FailedPrecondition, "SECOND_MEMBER_NEEDED", "")
	if err := g.approve(t, g.second.token, off.GetPendingChange()); err != nil {
		t.Fatal(err)
	}
	read, err := g.client().GetTwoPersonRule(g.as(t, g.owner.token), &approvalsv1.GetTwoPersonRuleRequest{Name: rule})
	want := approvalsv1.TwoPersonMode_TWO_PERSON_MODE_OFF
	if err != nil || read.GetActive() || read.GetMode() != want || read.GetPendingChange() != "" {
		t.Fatalf("%v, %v", read, err)
	}
	if c, err := g.update(t, g.owner.token, &collectivesv1.Collective{BankAccount: bankAccounts[1]}, "bank_account"); err != nil || len(c.GetPendingChanges()) != 0 {
		t.Fatalf("%v, %v", c, err)
	}
	wantError(t, g.approve(t, g.second.token, name), codes.FailedPrecondition, "CHANGE_OUTDATED", "")
	if got := g.get(t).GetBankAccount().GetIban(); got != strings.ReplaceAll(bankAccounts[1].GetIban(), " ", "") {
		t.Errorf("the account is %q", got)
	}
	// Turning it on again needs nobody.
	if on := set(g.owner.token, approvalsv1.TwoPersonMode_TWO_PERSON_MODE_ON); !on.GetActive() || on.GetPendingChange() != "" {
		t.Errorf("the rule is %v", on)
	}
}

func TestAKeyOfATreasurerWaits(t *testing.T) {
	e := apptest.Start(t, apptest.Config{})
	g := newGuardedDesk(t, e, e.Conn, "vallon")
	works := func(secret string) bool {
		_, err := accessv1.NewAccessServiceClient(e.Conn).GetPrincipal(g.as(t, secret), &accessv1.GetPrincipalRequest{})
		return err == nil
	}
	make := func(role accessv1.Role) *accessv1.ApiKey {
		return newKey(t, e.Conn, g.owner.token, g.collective, "Laptop", role)
	}
	waits := func() []*approvalsv1.PendingChange {
		t.Helper()
		resp, err := g.client().ListPendingChanges(g.as(t, g.second.token), &approvalsv1.ListPendingChangesRequest{
			Parent: g.collective, State: approvalsv1.PendingChangeState_PENDING_CHANGE_STATE_PENDING,
		})
		if err != nil {
			t.Fatal(err)
		}
		return resp.GetPendingChanges()
	}
	if k := make(accessv1.Role_ROLE_EDITOR); !works(k.GetSecret()) || len(waits()) != 0 {
		t.Error("an editor's key waits")
	}
	good := make(accessv1.Role_ROLE_TREASURER)
	if works(good.GetSecret()) || good.GetState() != accessv1.ApiKeyState_API_KEY_STATE_PENDING_APPROVAL {
		t.Fatalf("a treasurer's key works at once: %v", good)
	}
	change := waits()[0]
	if diff := cmp.Diff([]string{good.GetName(), "treasurer Laptop"}, []string{change.GetSubject(), change.GetValueAfter()}); diff != "" {
		t.Error(diff)
	}
	// The key itself is no second person: it does not work, and it is the requester's.
	if err := g.approve(t, good.GetSecret(), change.GetName()); status.Code(err) != codes.Unauthenticated {
		t.Errorf("the key approves itself: %v", err)
	}
	if err := g.approve(t, g.second.token, change.GetName()); err != nil {
		t.Fatal(err)
	}
	if !works(good.GetSecret()) {
		t.Error("an approved key does not work")
	}
	// Now it works, and still is the owner's.
	name := g.ask(t, g.owner.token)
	wantError(t, g.approve(t, good.GetSecret(), name), codes.FailedPrecondition, "SECOND_MEMBER_NEEDED", "")

	bad := make(accessv1.Role_ROLE_OWNER)
	for _, c := range waits() {
		if c.GetSubject() == bad.GetName() {
			if _, err := g.client().RejectPendingChange(g.as(t, g.second.token), &approvalsv1.RejectPendingChangeRequest{Name: c.GetName()}); err != nil {
				t.Fatal(err)
			}
		}
	}
	k, err := accessv1.NewAccessServiceClient(e.Conn).GetApiKey(g.as(t, g.owner.token), &accessv1.GetApiKeyRequest{Name: bad.GetName()})
	if err != nil || k.GetRevokeTime() == nil || works(bad.GetSecret()) {
		t.Errorf("a rejected key is %v, %v", k, err)
	}
}

func TestTheRuleIsActiveOnceTwoPeopleWereTrusted(t *testing.T) {
	e := apptest.Start(t, apptest.Config{})
	_, ownerKey := e.Campaign("vallon")
	e.Key("collectives/vallon", accessv1.Role_ROLE_TREASURER)
	active := func() bool {
		t.Helper()
		r, err := approvalsv1.NewApprovalsServiceClient(e.Conn).GetTwoPersonRule(apptest.WithKey(t.Context(), ownerKey),
			&approvalsv1.GetTwoPersonRuleRequest{Name: "collectives/vallon/twoPersonRule"})
		if err != nil {
			t.Fatal(err)
		}
		return r.GetActive()
	}
	for i, c := range []struct {
		role   string
		active bool
	}{{"owner", false}, {"editor", false}, {"auditor", false}, {"treasurer", true}, {"owner", true}} {
		newPerson(t, e, "vallon", c.role)
		if got := active(); got != c.active {
			t.Errorf("after %d people, the last a %s: %t", i+1, c.role, got)
		}
	}
	// It stays so when they leave.
	conn, err := pgx.Connect(t.Context(), e.DatabaseURL)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	if _, err := conn.Exec(t.Context(), "UPDATE access.memberships SET ended_at = created_at WHERE role <> 'editor'"); err != nil {
		t.Fatal(err)
	}
	if !active() {
		t.Error("it ends when people leave")
	}
}
