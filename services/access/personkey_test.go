package access_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc/codes"

	accessv1 "github.com/cagnotte/cagnotte/proto/cagnotte/access/v1"
	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/access"
	"github.com/cagnotte/cagnotte/services/internal/errstest"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

// key makes a key of the caller's and returns its name and secret.
func (w *town) key(by context.Context, collective string, role access.Role) (name, secret string) {
	w.t.Helper()
	k, secret, err := w.Create(by, access.Key{Collective: collective, DisplayName: "Script", Role: role})
	if err != nil {
		w.t.Fatal(err)
	}
	return k.Name(), secret
}

func TestKeysOfPersons(t *testing.T) {
	w := newTown(t)
	operator := w.operator("olga@example.org")
	owner := w.join(operator, "vallon", "marie@example.org", access.RoleOwner)
	treasurer := w.join(owner, "vallon", "karim@example.org", access.RoleTreasurer)
	editor := w.join(owner, "vallon", "lea@example.org", access.RoleEditor)
	works := func(secret string) bool {
		_, err := w.Authenticate(t.Context(), secret)
		return err == nil
	}
	t.Run("have a role that the person's covers", func(t *testing.T) {
		for _, test := range []struct {
			by   context.Context
			role access.Role
			ok   bool
		}{
			{owner, access.RoleOwner, true},
			{owner, access.RoleEditor, true},
			{owner, access.RoleTreasurer, true},
			{owner, access.RoleAuditor, true},
			{treasurer, access.RoleTreasurer, true},
			{treasurer, access.RoleAuditor, true},
			{treasurer, access.RoleOwner, false},
			{treasurer, access.RoleEditor, false},
			{editor, access.RoleEditor, true},
			{editor, access.RoleAuditor, false},
			{editor, access.RoleOwner, false},
			{editor, access.RoleTreasurer, false},
			{operator, access.RoleOwner, true},
		} {
			_, _, err := w.Create(test.by, access.Key{Collective: "vallon", DisplayName: "Script", Role: test.role})
			if test.ok && err != nil {
				t.Errorf("%s: %v", test.role, err)
			}
			if !test.ok {
				errstest.Want(t, err, codes.FailedPrecondition, errorsv1.ErrorReason_ROLE_TOO_HIGH)
			}
		}
		_, _, err := w.Create(treasurer, access.Key{Collective: "marseille", DisplayName: "Script", Role: access.RoleAuditor})
		errstest.Want(t, err, codes.NotFound, errorsv1.ErrorReason_NOT_FOUND)
	})
	t.Run("count as the person, also those that such a key makes", func(t *testing.T) {
		_, secret := w.key(owner, "vallon", access.RoleOwner)
		_, second := w.key(holding(t, w.Service, secret), "vallon", access.RoleAuditor)
		for _, s := range []string{secret, second} {
			p := access.PrincipalFrom(holding(t, w.Service, s))
			if p.Member != access.PrincipalFrom(owner).Member || p.Name != p.Key || p.Session != "" || p.Language != "fr" {
				t.Errorf("%+v", p)
			}
		}
		_, low := w.key(holding(t, w.Service, secret), "vallon", access.RoleEditor)
		_, _, err := w.Create(holding(t, w.Service, low), access.Key{Collective: "vallon", DisplayName: "Script", Role: access.RoleOwner})
		errstest.Want(t, err, codes.FailedPrecondition, errorsv1.ErrorReason_ROLE_TOO_HIGH)
	})
	t.Run("end on their day", func(t *testing.T) {
		end := w.clock.now().Add(24 * time.Hour)
		k, secret, err := w.Create(owner, access.Key{Collective: "vallon", DisplayName: "Short", Role: access.RoleAuditor, EndTime: end})
		if err != nil || !works(secret) {
			t.Fatal(err)
		}
		w.clock.forward(24 * time.Hour)
		if works(secret) {
			t.Error("works after its end")
		}
		got, err := access.NewServer(w.Service).GetApiKey(owner, &accessv1.GetApiKeyRequest{Name: k.Name()})
		if err != nil || got.GetState() != accessv1.ApiKeyState_API_KEY_STATE_ENDED || !got.GetEndTime().AsTime().Equal(end) {
			t.Errorf("%v, %v", got, err)
		}
		_, short, err := w.Create(owner, access.Key{Collective: "vallon", DisplayName: "Short", Role: access.RoleOwner, EndTime: w.clock.now().Add(time.Hour)})
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = w.Create(holding(t, w.Service, short), access.Key{Collective: "vallon", DisplayName: "Longer", Role: access.RoleOwner})
		errstest.Want(t, err, codes.InvalidArgument, errorsv1.ErrorReason_INVALID_FIELD, "api_key.end_time")
		for _, bad := range []time.Time{w.clock.now(), w.clock.now().AddDate(6, 0, 0)} {
			_, _, err := w.Create(owner, access.Key{Collective: "vallon", DisplayName: "Bad", Role: access.RoleAuditor, EndTime: bad})
			errstest.Want(t, err, codes.InvalidArgument, errorsv1.ErrorReason_INVALID_FIELD, "api_key.end_time")
		}
	})
	t.Run("stop with a role that does not cover them", func(t *testing.T) {
		_, books := w.key(treasurer, "vallon", access.RoleTreasurer)
		_, reads := w.key(treasurer, "vallon", access.RoleAuditor)
		if _, err := w.ChangeRole(owner, "vallon", w.membership(treasurer, "vallon").ID, access.RoleAuditor); err != nil {
			t.Fatal(err)
		}
		if works(books) || !works(reads) {
			t.Errorf("treasurer's key works: %v; auditor's works: %v", works(books), works(reads))
		}
	})
	t.Run("are seen and revoked by the person, and by owners", func(t *testing.T) {
		server := access.NewServer(w.Service)
		mine, _ := w.key(editor, "vallon", access.RoleEditor)
		other, _ := w.key(owner, "vallon", access.RoleEditor)
		list, err := server.ListApiKeys(editor, &accessv1.ListApiKeysRequest{Parent: "collectives/vallon"})
		if err != nil || len(list.GetApiKeys()) == 0 {
			t.Fatal(list, err)
		}
		for _, k := range list.GetApiKeys() {
			if k.GetMember() != access.PrincipalFrom(editor).Member {
				t.Errorf("an editor sees the key of %s", k.GetMember())
			}
		}
		_, err = server.GetApiKey(editor, &accessv1.GetApiKeyRequest{Name: other})
		errstest.Want(t, err, codes.NotFound, errorsv1.ErrorReason_NOT_FOUND)
		_, err = server.RevokeApiKey(editor, &accessv1.RevokeApiKeyRequest{Name: other})
		errstest.Want(t, err, codes.NotFound, errorsv1.ErrorReason_NOT_FOUND)
		if _, err = server.RevokeApiKey(editor, &accessv1.RevokeApiKeyRequest{Name: mine}); err != nil {
			t.Error(err)
		}
	})
}

func TestSecondMemberKnowsPersons(t *testing.T) {
	w := newTown(t)
	operator := w.operator("olga@example.org")
	marie := w.join(operator, "vallon", "marie@example.org", access.RoleOwner)
	karim := w.join(marie, "vallon", "karim@example.org", access.RoleTreasurer)
	lea := w.join(marie, "vallon", "lea@example.org", access.RoleEditor)
	script, _ := w.key(marie, "vallon", access.RoleTreasurer)
	w.clock.forward(time.Minute)
	asked := w.clock.now()
	w.clock.forward(time.Minute)
	late := w.join(marie, "vallon", "late@example.org", access.RoleTreasurer)
	lateKey, _ := w.key(karim, "vallon", access.RoleTreasurer)
	if _, err := w.ChangeRole(marie, "vallon", w.membership(lea, "vallon").ID, access.RoleTreasurer); err != nil {
		t.Fatal(err)
	}
	name := func(of context.Context) string { return access.PrincipalFrom(of).Name }
	check := func(by, agrees string) error {
		return postgres.InTx(t.Context(), w.pool, func(ctx context.Context, tx pgx.Tx) error {
			_, _, err := access.CheckSecondMemberTx(ctx, tx, "vallon", by, agrees, asked)
			return err
		})
	}
	for rule, test := range map[string]struct {
		asked, agrees string
		code          codes.Code
		reason        errorsv1.ErrorReason
	}{
		"another person agrees":                       {name(marie), name(karim), codes.OK, 0},
		"the operator agrees":                         {name(marie), name(operator), codes.OK, 0},
		"another person agrees to what a key asked":   {script, name(karim), codes.OK, 0},
		"the same person does not":                    {name(marie), name(marie), codes.FailedPrecondition, errorsv1.ErrorReason_SECOND_MEMBER_NEEDED},
		"nor by a key":                                {name(marie), script, codes.FailedPrecondition, errorsv1.ErrorReason_SECOND_MEMBER_NEEDED},
		"nor by a session to what a key asked":        {script, name(marie), codes.FailedPrecondition, errorsv1.ErrorReason_SECOND_MEMBER_NEEDED},
		"who joined after it does not":                {name(marie), name(late), codes.FailedPrecondition, errorsv1.ErrorReason_MEMBER_TOO_YOUNG},
		"who got the role after it does not":          {name(marie), name(lea), codes.FailedPrecondition, errorsv1.ErrorReason_MEMBER_TOO_YOUNG},
		"a key that was made after it does not":       {name(marie), lateKey, codes.FailedPrecondition, errorsv1.ErrorReason_KEY_TOO_YOUNG},
		"a person of whom nobody has heard does not":  {name(marie), "members/" + uuid.NewString(), codes.NotFound, errorsv1.ErrorReason_NOT_FOUND},
		"another agrees to what somebody unknown did": {"members/" + uuid.NewString(), name(karim), codes.OK, 0},
	} {
		t.Run(rule, func(t *testing.T) {
			err := check(test.asked, test.agrees)
			if test.code == codes.OK {
				if err != nil {
					t.Error(err)
				}
				return
			}
			errstest.Want(t, err, test.code, test.reason)
		})
	}
	t.Run("who has left does not agree, and what they asked for stays theirs", func(t *testing.T) {
		if err := w.EndMembership(marie, "vallon", w.membership(karim, "vallon").ID); err != nil {
			t.Fatal(err)
		}
		errstest.Want(t, check(name(marie), name(karim)), codes.NotFound, errorsv1.ErrorReason_NOT_FOUND)
		if err := check(name(karim), name(marie)); err != nil {
			t.Error(err)
		}
	})
	t.Run("a removal waits for a decision that is under way", func(t *testing.T) {
		held, removed := make(chan struct{}), make(chan error, 1)
		second := w.join(marie, "vallon", "second@example.org", access.RoleOwner)
		err := postgres.InTx(t.Context(), w.pool, func(ctx context.Context, tx pgx.Tx) error {
			if _, err := access.HoldTx(ctx, tx, "vallon", name(second)); err != nil {
				return err
			}
			go func() {
				close(held)
				removed <- w.EndMembership(marie, "vallon", w.membership(second, "vallon").ID)
			}()
			<-held
			select {
			case err := <-removed:
				t.Errorf("removed meanwhile: %v", err)
			case <-time.After(300 * time.Millisecond):
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := <-removed; err != nil {
			t.Error(err)
		}
	})
	t.Run("others are persons, and keys of none", func(t *testing.T) {
		other := func(member string, roles ...access.Role) (others bool) {
			err := postgres.InTx(t.Context(), w.pool, func(ctx context.Context, tx pgx.Tx) (err error) {
				others, err = access.OtherMemberTx(ctx, tx, "vallon", member, roles...)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			return others
		}
		// Her own keys are no other member.
		if other(name(marie), access.RoleOwner) {
			t.Error("there is another owner")
		}
		create(t, w.Service, access.Key{Collective: "vallon", ID: "root", Role: access.RoleOwner})
		if !other(name(marie), access.RoleOwner) || !other("collectives/vallon/apiKeys/root", access.RoleOwner) {
			t.Error("there is no other owner")
		}
	})
}

// What the first role covers it may do whatever the other one may, by the table.
func TestCoveredRolesHaveNoFurtherRights(t *testing.T) {
	for _, pair := range [][2]access.Role{
		{access.RoleOwner, access.RoleEditor}, {access.RoleOwner, access.RoleTreasurer}, {access.RoleOwner, access.RoleAuditor}, {access.RoleTreasurer, access.RoleAuditor},
	} {
		for _, method := range access.Methods() {
			may := map[access.Role]bool{}
			for _, role := range access.Roles(method) {
				may[role] = true
			}
			if may[pair[1]] && !may[pair[0]] {
				t.Errorf("%s: %s may, and %s, who can make keys of that role, may not", method, pair[1], pair[0])
			}
		}
	}
}

func TestOldProofsAreAskedForAgain(t *testing.T) {
	w := newTown(t)
	operator := w.operator("olga@example.org")
	token := func(of context.Context) access.Principal { return access.PrincipalFrom(of) }
	const method = "/cagnotte.access.v1.MembersService/CreateInvitation"
	req := &accessv1.CreateInvitationRequest{Parent: "collectives/vallon"}
	if err := access.Authorize(token(operator), method, req); err != nil {
		t.Error(err)
	}
	old := token(operator)
	old.Fresh = false
	errstest.Want(t, access.Authorize(old, method, req), codes.FailedPrecondition, errorsv1.ErrorReason_REAUTHENTICATION_REQUIRED)
	// Somebody without the right learns nothing of it.
	old.Grants = []access.Grant{{Collective: "marseille", Role: access.RoleOwner}}
	errstest.Want(t, access.Authorize(old, method, req), codes.NotFound, errorsv1.ErrorReason_NOT_FOUND)
	errstest.Want(t, access.RequireFresh(access.WithPrincipal(t.Context(), old)), codes.FailedPrecondition, errorsv1.ErrorReason_REAUTHENTICATION_REQUIRED)
	_, secret := w.key(operator, "vallon", access.RoleOwner)
	if err := access.RequireFresh(holding(t, w.Service, secret)); err != nil {
		t.Errorf("a key: %v", err)
	}
}
