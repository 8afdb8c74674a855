package app_test

import (
	"bytes"
	"fmt"
	"image"
	"image/png"
	"regexp"
	"testing"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	accessv1 "github.com/cagnotte/cagnotte/proto/cagnotte/access/v1"
	approvalsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/approvals/v1"
	bankv1 "github.com/cagnotte/cagnotte/proto/cagnotte/bank/v1"
	campaignsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
	collectivesv1 "github.com/cagnotte/cagnotte/proto/cagnotte/collectives/v1"
	imagesv1 "github.com/cagnotte/cagnotte/proto/cagnotte/images/v1"
	instancev1 "github.com/cagnotte/cagnotte/proto/cagnotte/instance/v1"
	treasuryv1 "github.com/cagnotte/cagnotte/proto/cagnotte/treasury/v1"
	"github.com/cagnotte/cagnotte/services/internal/apptest"
)

// auditedPeople has the cases of what members do with themselves, with one another, and with texts and images; and of what
// the operator does. It continues auditedCalls.
var auditedPeople = map[string]func(*auditWalk) auditedCall{
	accessv1.MembersService_UpdateMember_FullMethodName: func(w *auditWalk) auditedCall {
		token, _ := w.member(accessv1.Role_ROLE_EDITOR)
		request := func(language string) *accessv1.UpdateMemberRequest {
			return &accessv1.UpdateMemberRequest{
				Member: &accessv1.Member{Name: "members/me", Language: language}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"language"}},
			}
		}
		return auditedCall{by: token, request: request("en"), refused: request("xx")}
	},
	accessv1.MembersService_RevokeSession_FullMethodName: func(w *auditWalk) auditedCall {
		token, session := w.member(accessv1.Role_ROLE_EDITOR)
		return auditedCall{by: token, request: &accessv1.RevokeSessionRequest{Name: session.GetName()}}
	},
	accessv1.MembersService_SignOut_FullMethodName: func(w *auditWalk) auditedCall {
		token, _ := w.member(accessv1.Role_ROLE_EDITOR)
		return auditedCall{by: token, request: &accessv1.SignOutRequest{Name: "members/me"}}
	},
	accessv1.MembersService_RequestEmailChange_FullMethodName: func(w *auditWalk) auditedCall {
		token, _ := w.member(accessv1.Role_ROLE_EDITOR)
		// Each request replaces the one before, and mails another link.
		return auditedCall{
			by: token, request: &accessv1.RequestEmailChangeRequest{Name: "members/me", Email: "elsewhere@example.org"},
			refused: &accessv1.RequestEmailChangeRequest{Name: "members/me", Email: "no address"}, again: 1,
		}
	},
	accessv1.MembersService_RedeemEmailChange_FullMethodName: func(w *auditWalk) auditedCall {
		token, _ := w.member(accessv1.Role_ROLE_EDITOR)
		before := len(w.box.Mails())
		w.call(token, accessv1.MembersService_RequestEmailChange_FullMethodName, &accessv1.RequestEmailChangeRequest{Name: "members/me", Email: "redeemed@example.org"})
		link := ""
		w.e.Eventually("the link to the new address arrives", func() bool {
			for _, m := range w.box.Mails()[before:] {
				if found := newAddressPattern.FindStringSubmatch(m.Text); found != nil {
					link = found[1]
				}
			}
			return link != ""
		})
		return auditedCall{
			by: token, request: &accessv1.RedeemEmailChangeRequest{Name: "members/me", Token: link},
			refused: &accessv1.RedeemEmailChangeRequest{Name: "members/me", Token: "another"},
		}
	},
	accessv1.MembersService_DeletePasskey_FullMethodName: func(w *auditWalk) auditedCall {
		token, session := w.member(accessv1.Role_ROLE_EDITOR)
		member, id := session.GetMember()[len("members/"):], uuid.NewString()
		w.execute(fmt.Sprintf(`INSERT INTO access.passkeys (id, member, credential_id, public_key, aaguid, flags, sign_count, display_name, created_at)
			VALUES ('%s', '%s', sha256('%s'), '\x01', '\x00000000000000000000000000000000', 0, 0, 'Phone', now())`, id, member, id))
		return auditedCall{
			by: token, request: &accessv1.DeletePasskeyRequest{Name: session.GetMember() + "/passkeys/" + id},
			refused: &accessv1.DeletePasskeyRequest{Name: session.GetMember() + "/passkeys/" + uuid.NewString()},
		}
	},
	accessv1.MembersService_UpdateMembership_FullMethodName: func(w *auditWalk) auditedCall {
		_, session := w.member(accessv1.Role_ROLE_EDITOR)
		request := func(name string) *accessv1.UpdateMembershipRequest {
			return &accessv1.UpdateMembershipRequest{Membership: &accessv1.Membership{Name: name, Role: accessv1.Role_ROLE_AUDITOR}}
		}
		return auditedCall{
			by: w.e.OperatorKey, request: request(w.membership(session.GetMember())),
			refused: request(w.collective + "/memberships/" + uuid.NewString()),
		}
	},
	accessv1.MembersService_DeleteMembership_FullMethodName: func(w *auditWalk) auditedCall {
		_, session := w.member(accessv1.Role_ROLE_EDITOR)
		return auditedCall{
			by: w.e.OperatorKey, request: &accessv1.DeleteMembershipRequest{Name: w.membership(session.GetMember())},
			refused: &accessv1.DeleteMembershipRequest{Name: w.collective + "/memberships/" + uuid.NewString()},
		}
	},
	accessv1.MembersService_CreateInvitation_FullMethodName: func(w *auditWalk) auditedCall {
		return auditedCall{by: w.e.OperatorKey, request: w.invitation("walk@example.org", accessv1.Role_ROLE_EDITOR), refused: w.invitation("no address", accessv1.Role_ROLE_EDITOR)}
	},
	accessv1.MembersService_RevokeInvitation_FullMethodName: func(w *auditWalk) auditedCall {
		made := &accessv1.Invitation{}
		w.answer(w.e.OperatorKey, accessv1.MembersService_CreateInvitation_FullMethodName, w.invitation("gone@example.org", accessv1.Role_ROLE_EDITOR), made)
		return auditedCall{
			by: w.e.OperatorKey, request: &accessv1.RevokeInvitationRequest{Name: made.GetName()},
			refused: &accessv1.RevokeInvitationRequest{Name: w.collective + "/invitations/" + uuid.NewString()},
		}
	},

	collectivesv1.ApplicationsService_UpdateOpening_FullMethodName: func(w *auditWalk) auditedCall {
		return auditedCall{by: w.e.OperatorKey, request: &collectivesv1.UpdateOpeningRequest{
			Opening: &collectivesv1.Opening{Name: "instance/opening", Mode: collectivesv1.OpeningMode_OPENING_MODE_ALL},
		}}
	},
	collectivesv1.ApplicationsService_ApproveApplication_FullMethodName: func(w *auditWalk) auditedCall {
		return auditedCall{
			by: w.e.OperatorKey, request: &collectivesv1.ApproveApplicationRequest{Name: w.application("approved"), CollectiveId: "approved"},
			refused: &collectivesv1.ApproveApplicationRequest{Name: "instance/applications/" + uuid.NewString(), CollectiveId: "other"},
		}
	},
	collectivesv1.ApplicationsService_RejectApplication_FullMethodName: func(w *auditWalk) auditedCall {
		return auditedCall{
			by: w.e.OperatorKey, request: &collectivesv1.RejectApplicationRequest{Name: w.application("rejected"), Reason: "Too far"},
			refused: &collectivesv1.RejectApplicationRequest{Name: "instance/applications/" + uuid.NewString(), Reason: "Too far"},
		}
	},
	collectivesv1.CollectivesService_UpdateCollectiveProfile_FullMethodName: func(w *auditWalk) auditedCall {
		request := func(about string) *collectivesv1.UpdateCollectiveProfileRequest {
			texts := map[string]*collectivesv1.CollectiveText{"en": {About: "Neighbours"}}
			if about != "" {
				texts["fr"] = &collectivesv1.CollectiveText{About: about}
			}
			return &collectivesv1.UpdateCollectiveProfileRequest{CollectiveProfile: &collectivesv1.CollectiveProfile{Name: w.collective + "/profile", Texts: texts}}
		}
		// A text in English alone is refused.
		return auditedCall{by: w.owner, request: request("Des voisins"), refused: request("")}
	},
	imagesv1.ImagesService_CreateImage_FullMethodName: func(w *auditWalk) auditedCall {
		request := func(content []byte) *imagesv1.CreateImageRequest {
			return &imagesv1.CreateImageRequest{Parent: w.collective, Image: &imagesv1.Image{Content: content}}
		}
		return auditedCall{by: w.owner, request: request(w.picture()), refused: request([]byte("no picture"))}
	},
	campaignsv1.CampaignsService_CopyCampaign_FullMethodName: func(w *auditWalk) auditedCall {
		request := func(from string) *campaignsv1.CopyCampaignRequest {
			return &campaignsv1.CopyCampaignRequest{Name: from, CampaignId: "copied"}
		}
		return auditedCall{by: w.owner, request: request(w.draft("original")), refused: request(w.collective + "/campaigns/missing")}
	},
	campaignsv1.CampaignsService_RenameCampaign_FullMethodName: func(w *auditWalk) auditedCall {
		request := func(name, id string) *campaignsv1.RenameCampaignRequest {
			return &campaignsv1.RenameCampaignRequest{Name: name, CampaignId: id}
		}
		w.draft("taken")
		return auditedCall{by: w.owner, request: request(w.draft("named"), "renamed"), refused: request(w.draft("kept"), "taken")}
	},
	campaignsv1.CampaignsService_DeleteCampaign_FullMethodName: func(w *auditWalk) auditedCall {
		return auditedCall{
			by: w.owner, request: &campaignsv1.DeleteCampaignRequest{Name: w.draft("deleted")},
			refused: &campaignsv1.DeleteCampaignRequest{Name: w.published("undeleted")},
		}
	},
	campaignsv1.NewsService_CreateNewsItem_FullMethodName: func(w *auditWalk) auditedCall {
		return auditedCall{by: w.owner, request: w.newsItem(w.campaign), refused: w.newsItem(w.collective + "/campaigns/missing")}
	},
	campaignsv1.NewsService_UpdateNewsItem_FullMethodName: func(w *auditWalk) auditedCall {
		request := func(name string) *campaignsv1.UpdateNewsItemRequest {
			return &campaignsv1.UpdateNewsItemRequest{NewsItem: &campaignsv1.NewsItem{
				Name: name, Texts: map[string]*campaignsv1.NewsText{"fr": {Title: "Autre", Text: "Gagné"}},
			}}
		}
		return auditedCall{by: w.owner, request: request(w.news(false)), refused: request(w.campaign + "/news/" + uuid.NewString())}
	},
	campaignsv1.NewsService_PublishNewsItem_FullMethodName: func(w *auditWalk) auditedCall {
		return auditedCall{
			by: w.owner, request: &campaignsv1.PublishNewsItemRequest{Name: w.news(false)},
			refused: &campaignsv1.PublishNewsItemRequest{Name: w.campaign + "/news/" + uuid.NewString()},
		}
	},
	campaignsv1.NewsService_WithdrawNewsItem_FullMethodName: func(w *auditWalk) auditedCall {
		return auditedCall{
			by: w.owner, request: &campaignsv1.WithdrawNewsItemRequest{Name: w.news(true)},
			refused: &campaignsv1.WithdrawNewsItemRequest{Name: w.campaign + "/news/" + uuid.NewString()},
		}
	},
	campaignsv1.NewsService_DeleteNewsItem_FullMethodName: func(w *auditWalk) auditedCall {
		return auditedCall{
			by: w.owner, request: &campaignsv1.DeleteNewsItemRequest{Name: w.news(false)},
			refused: &campaignsv1.DeleteNewsItemRequest{Name: w.campaign + "/news/" + uuid.NewString()},
		}
	},

	instancev1.InstanceService_CheckStripe_FullMethodName: func(w *auditWalk) auditedCall {
		// Each check stores what it found.
		return auditedCall{by: w.e.OperatorKey, request: &instancev1.CheckStripeRequest{Name: "instance"}, again: 1}
	},
	instancev1.InstanceService_SendTestMail_FullMethodName: func(w *auditWalk) auditedCall {
		// It goes to the person who asks, and a repeat sends another one.
		token, _ := w.joins("instance", accessv1.Role_ROLE_OPERATOR)
		return auditedCall{by: token, request: &instancev1.SendTestMailRequest{Name: "instance", RequestId: uuid.NewString()}, again: 1}
	},
	instancev1.InstanceService_CreateLedgerVerification_FullMethodName: func(w *auditWalk) auditedCall {
		return auditedCall{by: w.e.OperatorKey, request: &instancev1.CreateLedgerVerificationRequest{Parent: "instance", RequestId: uuid.NewString()}}
	},

	approvalsv1.ApprovalsService_ApprovePendingChange_FullMethodName: func(w *auditWalk) auditedCall {
		k, change := w.pending("approves")
		return auditedCall{
			by: k.second.token, request: &approvalsv1.ApprovePendingChangeRequest{Name: change},
			refused: &approvalsv1.ApprovePendingChangeRequest{Name: k.collective + "/pendingChanges/" + uuid.NewString()},
		}
	},
	approvalsv1.ApprovalsService_RejectPendingChange_FullMethodName: func(w *auditWalk) auditedCall {
		k, change := w.pending("rejects")
		return auditedCall{
			by: k.second.token, request: &approvalsv1.RejectPendingChangeRequest{Name: change},
			refused: &approvalsv1.RejectPendingChangeRequest{Name: k.collective + "/pendingChanges/" + uuid.NewString()},
		}
	},
	approvalsv1.ApprovalsService_CancelPendingChange_FullMethodName: func(w *auditWalk) auditedCall {
		k, change := w.pending("cancels")
		return auditedCall{
			by: k.owner.token, request: &approvalsv1.CancelPendingChangeRequest{Name: change},
			refused: &approvalsv1.CancelPendingChangeRequest{Name: k.collective + "/pendingChanges/" + uuid.NewString()},
		}
	},
	approvalsv1.ApprovalsService_UpdateTwoPersonRule_FullMethodName: func(w *auditWalk) auditedCall {
		k := newDesk(w.t, w.e, "rules")
		return auditedCall{by: k.owner, request: &approvalsv1.UpdateTwoPersonRuleRequest{
			TwoPersonRule: &approvalsv1.TwoPersonRule{Name: k.collective + "/twoPersonRule", Mode: approvalsv1.TwoPersonMode_TWO_PERSON_MODE_ON},
		}}
	},

	bankv1.BankService_SplitBankLine_FullMethodName: func(w *auditWalk) auditedCall {
		request := func(line string, second int64) *bankv1.SplitBankLineRequest {
			return &bankv1.SplitBankLineRequest{Name: line, RequestId: uuid.NewString(), Parts: []*bankv1.BankLinePart{
				{Amount: apptest.Euros(8_00)}, {Amount: apptest.Euros(second)},
			}}
		}
		return auditedCall{by: w.books.key, request: request(w.line(18_00), 10_00), refused: request(w.line(19_00), 10_00)}
	},
	treasuryv1.TreasuryService_CreateExpenseAttachment_FullMethodName: func(w *auditWalk) auditedCall {
		request := func(content []byte) *treasuryv1.CreateExpenseAttachmentRequest {
			return &treasuryv1.CreateExpenseAttachmentRequest{
				Parent: w.expense("walk-4"), RequestId: uuid.NewString(), ExpenseAttachment: &treasuryv1.ExpenseAttachment{Content: content},
			}
		}
		return auditedCall{by: w.books.key, request: request(w.picture()), refused: request([]byte("no document"))}
	},
}

var newAddressPattern = regexp.MustCompile(`/me/email/confirm\?token=(\S+)`)

var invitedPattern = regexp.MustCompile(`/invitation\?token=(\S+)`)

func (w *auditWalk) invitation(email string, role accessv1.Role) *accessv1.CreateInvitationRequest {
	return &accessv1.CreateInvitationRequest{
		Parent: w.collective, RequestId: uuid.NewString(), Invitation: &accessv1.Invitation{Email: email, Role: role, Language: "fr"},
	}
}

// member makes a member of the collective, and returns a session of theirs.
func (w *auditWalk) member(role accessv1.Role) (token string, session *accessv1.Session) {
	w.t.Helper()
	return w.joins(w.collective, role)
}

// joins is member for the instance too.
func (w *auditWalk) joins(parent string, role accessv1.Role) (token string, session *accessv1.Session) {
	w.t.Helper()
	w.number++
	before := len(w.box.Mails())
	invitation := w.invitation(fmt.Sprintf("member%d@example.org", w.number), role)
	invitation.Parent = parent
	w.call(w.e.OperatorKey, accessv1.MembersService_CreateInvitation_FullMethodName, invitation)
	invited := ""
	w.e.Eventually("the invitation arrives", func() bool {
		for _, m := range w.box.Mails()[before:] {
			if found := invitedPattern.FindStringSubmatch(m.Text); found != nil {
				invited = found[1]
			}
		}
		return invited != ""
	})
	session = &accessv1.Session{}
	w.answer("", accessv1.SignInService_AcceptInvitation_FullMethodName, &accessv1.AcceptInvitationRequest{
		Token: invited, DisplayName: fmt.Sprintf("Member %d", w.number), Language: "fr",
	}, session)
	return session.GetToken(), session
}

// pending is a collective with a change of the owner's that waits for a second person.
func (w *auditWalk) pending(slug string) (*guardedDesk, string) {
	w.t.Helper()
	k := newGuardedDesk(w.t, w.e, w.e.Conn, slug)
	w.call(k.owner.token, collectivesv1.CollectivesService_UpdateCollective_FullMethodName, &collectivesv1.UpdateCollectiveRequest{
		Collective: &collectivesv1.Collective{Name: k.collective, BankAccount: &collectivesv1.BankAccount{Holder: "Vallon", Iban: treasuryIBAN}},
		UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"bank_account"}},
	})
	list := &approvalsv1.ListPendingChangesResponse{}
	w.answer(k.owner.token, approvalsv1.ApprovalsService_ListPendingChanges_FullMethodName, &approvalsv1.ListPendingChangesRequest{Parent: k.collective}, list)
	if len(list.GetPendingChanges()) != 1 {
		w.t.Fatalf("%d changes wait", len(list.GetPendingChanges()))
	}
	return k, list.GetPendingChanges()[0].GetName()
}

// membership is the name of a member's in the collective.
func (w *auditWalk) membership(member string) string {
	w.t.Helper()
	list := &accessv1.ListMembershipsResponse{}
	w.answer(w.owner, accessv1.MembersService_ListMemberships_FullMethodName, &accessv1.ListMembershipsRequest{Parent: w.collective}, list)
	for _, m := range list.GetMemberships() {
		if m.GetMember() == member {
			return m.GetName()
		}
	}
	w.t.Fatalf("%s is no member", member)
	return ""
}

// application is somebody's wish for a collective.
func (w *auditWalk) application(slug string) string {
	w.t.Helper()
	w.call(w.e.OperatorKey, collectivesv1.ApplicationsService_UpdateOpening_FullMethodName, &collectivesv1.UpdateOpeningRequest{
		Opening: &collectivesv1.Opening{Name: "instance/opening", Mode: collectivesv1.OpeningMode_OPENING_MODE_REQUEST},
	})
	made := &collectivesv1.Application{}
	w.answer("", collectivesv1.ApplicationsService_CreateApplication_FullMethodName, &collectivesv1.CreateApplicationRequest{
		Parent: "instance", RequestId: uuid.NewString(), Application: &collectivesv1.Application{
			DisplayName: "Causse libre", CollectiveId: slug, Purpose: "Une salle.", Applicant: "Marie", Email: slug + "@example.org", Language: "fr",
		},
	}, made)
	return made.GetName()
}

func (w *auditWalk) newsItem(campaign string) *campaignsv1.CreateNewsItemRequest {
	return &campaignsv1.CreateNewsItemRequest{
		Parent: campaign, RequestId: uuid.NewString(),
		NewsItem: &campaignsv1.NewsItem{Texts: map[string]*campaignsv1.NewsText{"fr": {Title: "Nouvelle", Text: "Le procès commence"}}},
	}
}

// news is a news item, published or not.
func (w *auditWalk) news(published bool) string {
	w.t.Helper()
	made := &campaignsv1.NewsItem{}
	w.answer(w.owner, campaignsv1.NewsService_CreateNewsItem_FullMethodName, w.newsItem(w.campaign), made)
	if published {
		w.call(w.owner, campaignsv1.NewsService_PublishNewsItem_FullMethodName, &campaignsv1.PublishNewsItemRequest{Name: made.GetName()})
	}
	return made.GetName()
}

// picture is a small PNG.
func (w *auditWalk) picture() []byte {
	w.t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewRGBA(image.Rect(0, 0, 640, 480))); err != nil {
		w.t.Fatal(err)
	}
	return b.Bytes()
}

// TestSigningInLeavesAnEntry accepts an invitation: one entry, of the member.
func TestSigningInLeavesAnEntry(t *testing.T) {
	w := newAuditWalk(t)
	w.leaves(t, 2, "an invitation and its acceptance", func() error {
		w.member(accessv1.Role_ROLE_EDITOR)
		return nil
	}, codes.OK)
}
