package app_test

import (
	"context"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	accessv1 "github.com/cagnotte/cagnotte/proto/cagnotte/access/v1"
	collectivesv1 "github.com/cagnotte/cagnotte/proto/cagnotte/collectives/v1"
	noticesv1 "github.com/cagnotte/cagnotte/proto/cagnotte/notices/v1"
	"github.com/cagnotte/cagnotte/services/internal/app"
	"github.com/cagnotte/cagnotte/services/internal/apptest"
	"github.com/cagnotte/cagnotte/services/internal/mailtest"
)

var mailedToken = regexp.MustCompile(`\?token=([A-Za-z0-9_-]+)`)

// From an empty instance to a collective at work, by people: the command line's link, invitations, roles, keys, removal.
func TestPeople(t *testing.T) {
	mails := mailtest.Start(t)
	e := apptest.Start(t, apptest.Config{SMTPURL: mails.URL(), Localhost: true})
	e.OverBoth(t, func(t *testing.T, conn grpc.ClientConnInterface) {
		suffix := strings.ToLower(strings.TrimPrefix(t.Name(), "TestPeople/"))
		collective := "collectives/people-" + suffix
		signIn, members, keys := accessv1.NewSignInServiceClient(conn), accessv1.NewMembersServiceClient(conn), accessv1.NewAccessServiceClient(conn)
		as := func(token string) context.Context { return apptest.WithKey(t.Context(), token) }
		tokenFor := func(email string) (token string) {
			e.Eventually("a mail to "+email, func() bool {
				for _, m := range slices.Backward(mails.Mails()) {
					if m.To == email {
						token = mailedToken.FindStringSubmatch(m.Text)[1]
						return true
					}
				}
				return false
			})
			return token
		}
		invite := func(by, parent, email string, role accessv1.Role) (*accessv1.Invitation, error) {
			return members.CreateInvitation(as(by), &accessv1.CreateInvitationRequest{
				Parent: parent, Invitation: &accessv1.Invitation{Email: email, Role: role}, RequestId: uuid.NewString(),
			})
		}
		join := func(by, email string, role accessv1.Role) string {
			t.Helper()
			if _, err := invite(by, collective, email, role); err != nil {
				t.Fatal(err)
			}
			made, err := signIn.AcceptInvitation(t.Context(), &accessv1.AcceptInvitationRequest{Token: tokenFor(email), DisplayName: email, Language: "fr"})
			if err != nil {
				t.Fatal(err)
			}
			return made.GetToken()
		}

		link, err := app.CreateMember(t.Context(), e.DatabaseURL, e.URL, app.Person{Email: "op-" + suffix + "@example.org", Name: "Olga", Language: "fr", Role: "operator"}, e.Clock.Now)
		if err != nil {
			t.Fatal(err)
		}
		at, err := url.Parse(link)
		if err != nil || !strings.HasPrefix(link, e.URL+"/console/sign-in/link?") {
			t.Fatalf("%q, %v", link, err)
		}
		session, err := signIn.RedeemSignInLink(t.Context(), &accessv1.RedeemSignInLinkRequest{Token: at.Query().Get("token")})
		if err != nil {
			t.Fatal(err)
		}
		operator := session.GetToken()
		_, err = collectivesv1.NewCollectivesServiceClient(conn).CreateCollective(as(operator), &collectivesv1.CreateCollectiveRequest{
			CollectiveId: strings.TrimPrefix(collective, "collectives/"),
			Collective:   &collectivesv1.Collective{DisplayName: "People", TimeZone: "Europe/Paris"},
		})
		if err != nil {
			t.Fatal(err)
		}
		owner := join(operator, "owner-"+suffix+"@example.org", accessv1.Role_ROLE_OWNER)
		treasurer := join(owner, "treasurer-"+suffix+"@example.org", accessv1.Role_ROLE_TREASURER)

		t.Run("a session says who it is, and where", func(t *testing.T) {
			who, err := keys.GetPrincipal(as(owner), &accessv1.GetPrincipalRequest{})
			if err != nil || who.GetName() != who.GetMember() || who.GetSession() == "" || who.GetEmail() != "owner-"+suffix+"@example.org" ||
				len(who.GetMemberships()) != 1 || who.GetMemberships()[0].GetCollectiveDisplayName() != "People" {
				t.Errorf("%v, %v", who, err)
			}
			list, err := collectivesv1.NewCollectivesServiceClient(conn).ListCollectives(as(owner), &collectivesv1.ListCollectivesRequest{})
			if err != nil || len(list.GetCollectives()) != 1 {
				t.Errorf("%v, %v", list, err)
			}
		})
		t.Run("a treasurer manages nobody, and learns no address", func(t *testing.T) {
			_, err := invite(treasurer, collective, "x@example.org", accessv1.Role_ROLE_OWNER)
			wantError(t, err, codes.NotFound, "NOT_FOUND", "")
			list, err := members.ListMemberships(as(treasurer), &accessv1.ListMembershipsRequest{Parent: collective})
			if err != nil || len(list.GetMemberships()) != 2 {
				t.Fatalf("%v, %v", list, err)
			}
			for _, m := range list.GetMemberships() {
				if m.GetRole() == accessv1.Role_ROLE_OWNER && m.GetEmail() != "" {
					t.Errorf("sees %v", m)
				}
				_, err := members.UpdateMembership(as(treasurer), &accessv1.UpdateMembershipRequest{
					Membership: &accessv1.Membership{Name: m.GetName(), Role: accessv1.Role_ROLE_OWNER},
				})
				wantError(t, err, codes.NotFound, "NOT_FOUND", "")
				if m.GetRole() == accessv1.Role_ROLE_OWNER {
					_, err = members.DeleteMembership(as(treasurer), &accessv1.DeleteMembershipRequest{Name: m.GetName()})
					wantError(t, err, codes.NotFound, "NOT_FOUND", "")
				}
			}
		})
		t.Run("what is a person's own needs that person's session", func(t *testing.T) {
			who, err := keys.GetPrincipal(as(treasurer), &accessv1.GetPrincipalRequest{})
			if err != nil {
				t.Fatal(err)
			}
			for _, by := range []string{owner, operator} {
				_, err := members.GetMember(as(by), &accessv1.GetMemberRequest{Name: who.GetMember()})
				wantError(t, err, codes.NotFound, "NOT_FOUND", "")
				_, err = members.RevokeSession(as(by), &accessv1.RevokeSessionRequest{Name: who.GetSession()})
				wantError(t, err, codes.NotFound, "NOT_FOUND", "")
			}
			_, err = members.GetMember(as(e.Key(collective, accessv1.Role_ROLE_AUDITOR)), &accessv1.GetMemberRequest{Name: "members/me"})
			wantError(t, err, codes.NotFound, "NOT_FOUND", "")
			changed, err := members.UpdateMember(as(treasurer), &accessv1.UpdateMemberRequest{Member: &accessv1.Member{Name: "members/me", DisplayName: "Karim"}})
			if err != nil || changed.GetDisplayName() != "Karim" || changed.GetLanguage() != "fr" {
				t.Errorf("%v, %v", changed, err)
			}
			sessions, err := members.ListSessions(as(treasurer), &accessv1.ListSessionsRequest{Parent: "members/me"})
			if err != nil || len(sessions.GetSessions()) != 1 || !sessions.GetSessions()[0].GetCurrent() || sessions.GetSessions()[0].GetToken() != "" {
				t.Errorf("%v, %v", sessions, err)
			}
		})
		t.Run("another session of the person proves nothing ten minutes later", func(t *testing.T) {
			e.Clock.Advance(11 * time.Minute)
			_, err := invite(owner, collective, "x@example.org", accessv1.Role_ROLE_EDITOR)
			wantError(t, err, codes.FailedPrecondition, "REAUTHENTICATION_REQUIRED", "")
			asked, err := signIn.RequestSignInLink(t.Context(), &accessv1.RequestSignInLinkRequest{Email: "owner-" + suffix + "@example.org"})
			if err != nil {
				t.Fatal(err)
			}
			// The newest mail is that of the link once its job has run.
			e.Eventually("a session by the link", func() bool {
				made, err := signIn.RedeemSignInLink(as(owner), &accessv1.RedeemSignInLinkRequest{
					Token: tokenFor("owner-" + suffix + "@example.org"), BrowserToken: asked.GetBrowserToken(),
				})
				if err == nil {
					_, err := keys.GetPrincipal(as(owner), &accessv1.GetPrincipalRequest{})
					wantError(t, err, codes.Unauthenticated, "INVALID_KEY", "")
					owner = made.GetToken()
				}
				return err == nil
			})
			if _, err := invite(owner, collective, "x-"+suffix+"@example.org", accessv1.Role_ROLE_EDITOR); err != nil {
				t.Error(err)
			}
		})
		t.Run("a member's key works until the member is removed, and so does the session", func(t *testing.T) {
			// The role waits for nobody: with the treasurer who joined, the two-person rule is active.
			karim := join(owner, "karim-"+suffix+"@example.org", accessv1.Role_ROLE_AUDITOR)
			made, err := keys.CreateApiKey(as(karim), &accessv1.CreateApiKeyRequest{
				Parent: collective, ApiKey: &accessv1.ApiKey{DisplayName: "Script", Role: accessv1.Role_ROLE_AUDITOR},
			})
			if err != nil {
				t.Fatal(err)
			}
			who, err := keys.GetPrincipal(as(made.GetSecret()), &accessv1.GetPrincipalRequest{})
			if err != nil || !strings.HasPrefix(who.GetMember(), "members/") || who.GetMember() != made.GetMember() {
				t.Errorf("%v, %v", who, err)
			}
			_, err = keys.CreateApiKey(as(made.GetSecret()), &accessv1.CreateApiKeyRequest{
				Parent: collective, ApiKey: &accessv1.ApiKey{DisplayName: "More", Role: accessv1.Role_ROLE_AUDITOR},
			})
			wantError(t, err, codes.NotFound, "NOT_FOUND", "")
			list, err := members.ListMemberships(as(owner), &accessv1.ListMembershipsRequest{Parent: collective})
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range list.GetMemberships() {
				if m.GetMember() == made.GetMember() {
					if _, err := members.DeleteMembership(as(owner), &accessv1.DeleteMembershipRequest{Name: m.GetName()}); err != nil {
						t.Fatal(err)
					}
				}
			}
			for _, credential := range []string{karim, made.GetSecret()} {
				_, err := keys.GetPrincipal(as(credential), &accessv1.GetPrincipalRequest{})
				wantError(t, err, codes.Unauthenticated, "INVALID_KEY", "")
			}
		})
		t.Run("the others are told, and no address to who may not see it", func(t *testing.T) {
			kinds := map[string]int{}
			told, err := noticesv1.NewNoticesServiceClient(conn).ListNotices(as(treasurer), &noticesv1.ListNoticesRequest{Parent: collective})
			if err != nil {
				t.Fatal(err)
			}
			for _, n := range told.GetNotices() {
				kinds[n.GetKind()]++
				if n.GetKind() == "member_invited" && n.GetAfter() != "" {
					t.Errorf("a treasurer sees %q", n.GetAfter())
				}
			}
			if kinds["member_joined"] != 2 || kinds["member_left"] != 1 || kinds["member_invited"] != 2 || kinds["key_created"] == 0 {
				t.Errorf("%v", kinds)
			}
		})
	})
}
