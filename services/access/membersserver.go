package access

import (
	"context"
	"strings"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/emptypb"

	accessv1 "github.com/cagnotte/cagnotte/proto/cagnotte/access/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/fieldmask"
	"github.com/cagnotte/cagnotte/services/internal/page"
	"github.com/cagnotte/cagnotte/services/internal/wire"
)

type membersServer struct {
	accessv1.UnimplementedMembersServiceServer
	service *Service
	network NetworkFrom
}

// NewMembersServer returns the gRPC server of members and what is theirs. It reads the caller with [PrincipalFrom]. The
// interceptors of package rpc check the rights by role; what is a member's own is checked here.
func NewMembersServer(s *Service, network NetworkFrom) accessv1.MembersServiceServer {
	return &membersServer{service: s, network: network}
}

func (s *membersServer) GetMember(ctx context.Context, req *accessv1.GetMemberRequest) (*accessv1.Member, error) {
	id, err := own(ctx, req.GetName())
	if err != nil {
		return nil, err
	}
	m, err := s.service.member(ctx, id)
	if err != nil {
		return nil, err
	}
	return memberToProto(m), nil
}

func (s *membersServer) UpdateMember(ctx context.Context, req *accessv1.UpdateMemberRequest) (*accessv1.Member, error) {
	id, err := own(ctx, req.GetMember().GetName())
	if err != nil {
		return nil, err
	}
	m, err := s.service.UpdateMember(ctx, id, func(m *Member) error {
		merged := memberToProto(*m)
		if err := fieldmask.Apply(merged, req.GetMember(), req.GetUpdateMask(), "display_name", "language"); err != nil {
			return err
		}
		m.DisplayName, m.Language = merged.GetDisplayName(), merged.GetLanguage()
		return nil
	})
	if err != nil {
		return nil, err
	}
	return memberToProto(m), nil
}

func (s *membersServer) ListSessions(ctx context.Context, req *accessv1.ListSessionsRequest) (*accessv1.ListSessionsResponse, error) {
	id, err := own(ctx, req.GetParent())
	if err != nil {
		return nil, err
	}
	found, next, err := page.List(req, memberName(id)+"/sessions", newest, func(before position, count int) ([]Session, error) {
		return s.service.sessions(ctx, id, before, count)
	}, func(x Session) position { return position{x.LastUseTime, x.ID} })
	if err != nil {
		return nil, err
	}
	answer := &accessv1.ListSessionsResponse{NextPageToken: next}
	for _, each := range found {
		p := sessionToProto(each)
		p.Current = each.Name() == PrincipalFrom(ctx).Session
		answer.Sessions = append(answer.Sessions, p)
	}
	return answer, nil
}

func (s *membersServer) RevokeSession(ctx context.Context, req *accessv1.RevokeSessionRequest) (*emptypb.Empty, error) {
	member, session, ok := parseSessionName(req.GetName())
	if !ok {
		return nil, errs.NotFound(req.GetName())
	}
	id, err := own(ctx, member)
	if err != nil {
		return nil, errs.NotFound(req.GetName())
	}
	return nothing(s.service.EndSessions(ctx, id, session))
}

func (s *membersServer) SignOut(ctx context.Context, req *accessv1.SignOutRequest) (*emptypb.Empty, error) {
	id, err := own(ctx, req.GetName())
	if err != nil {
		return nil, err
	}
	_, session, _ := parseSessionName(PrincipalFrom(ctx).Session)
	if req.GetEverywhere() {
		session = ""
	}
	return nothing(s.service.EndSessions(ctx, id, session))
}

func (s *membersServer) BeginPasskeyRegistration(ctx context.Context, req *accessv1.BeginPasskeyRegistrationRequest) (*accessv1.PasskeyCeremony, error) {
	id, err := own(ctx, req.GetParent())
	if err != nil {
		return nil, err
	}
	ceremony, options, err := s.service.BeginRegistration(ctx, id)
	return ceremonyToProto(ceremony, options, err)
}

func (s *membersServer) FinishPasskeyRegistration(ctx context.Context, req *accessv1.FinishPasskeyRegistrationRequest) (*accessv1.Passkey, error) {
	id, err := own(ctx, req.GetParent())
	if err != nil {
		return nil, err
	}
	made, err := s.service.FinishRegistration(ctx, id, req.GetCeremony(), req.GetCredentialJson(), req.GetDisplayName(), req.GetDevice())
	if err != nil {
		return nil, err
	}
	return passkeyToProto(made), nil
}

func (s *membersServer) ListPasskeys(ctx context.Context, req *accessv1.ListPasskeysRequest) (*accessv1.ListPasskeysResponse, error) {
	id, err := own(ctx, req.GetParent())
	if err != nil {
		return nil, err
	}
	found, next, err := page.List(req, memberName(id)+"/passkeys", newestPlace, func(before place, count int) ([]Passkey, error) {
		return s.service.Passkeys(ctx, id, before, count)
	}, func(p Passkey) place { return place{p.CreateTime, p.ID} })
	if err != nil {
		return nil, err
	}
	answer := &accessv1.ListPasskeysResponse{NextPageToken: next}
	for _, p := range found {
		answer.Passkeys = append(answer.Passkeys, passkeyToProto(p))
	}
	return answer, nil
}

func (s *membersServer) DeletePasskey(ctx context.Context, req *accessv1.DeletePasskeyRequest) (*emptypb.Empty, error) {
	member, last, _ := strings.Cut(req.GetName(), "/passkeys/")
	id, err := own(ctx, member)
	if err != nil {
		return nil, errs.NotFound(req.GetName())
	}
	passkey, err := uuid.Parse(last)
	if err != nil {
		return nil, errs.NotFound(req.GetName())
	}
	return nothing(s.service.DeletePasskey(ctx, id, passkey))
}

func passkeyToProto(p Passkey) *accessv1.Passkey {
	return &accessv1.Passkey{
		Name: p.Name(), DisplayName: p.DisplayName, CreateTime: wire.Time(p.CreateTime), LastUseTime: wire.Time(p.LastUseTime),
		CloneWarningTime: wire.Time(p.CloneWarningTime), BackedUp: p.credential.Flags.BackupState,
	}
}

func (s *membersServer) RequestEmailChange(ctx context.Context, req *accessv1.RequestEmailChangeRequest) (*emptypb.Empty, error) {
	if _, err := own(ctx, req.GetName()); err != nil {
		return nil, err
	}
	return nothing(s.service.RequestEmailChange(ctx, req.GetEmail(), s.network(ctx)))
}

func (s *membersServer) RedeemEmailChange(ctx context.Context, req *accessv1.RedeemEmailChangeRequest) (*accessv1.Member, error) {
	if _, err := own(ctx, req.GetName()); err != nil {
		return nil, err
	}
	m, err := s.service.RedeemEmailChange(ctx, req.GetToken(), s.network(ctx))
	if err != nil {
		return nil, err
	}
	return memberToProto(m), nil
}

func (s *membersServer) ListMemberships(ctx context.Context, req *accessv1.ListMembershipsRequest) (*accessv1.ListMembershipsResponse, error) {
	collective, ok := parseScope(req.GetParent())
	if !ok {
		return nil, errs.NotFound(req.GetParent())
	}
	found, next, err := page.List(req, req.GetParent()+"/memberships", place{}, func(after place, count int) ([]Membership, error) {
		return s.service.Memberships(ctx, collective, after, count)
	}, func(m Membership) place { return place{m.CreateTime, m.ID} })
	if err != nil {
		return nil, err
	}
	answer := &accessv1.ListMembershipsResponse{NextPageToken: next}
	for _, m := range found {
		answer.Memberships = append(answer.Memberships, membershipToProto(ctx, m))
	}
	return answer, nil
}

func (s *membersServer) GetMembership(ctx context.Context, req *accessv1.GetMembershipRequest) (*accessv1.Membership, error) {
	collective, id, ok := parseNameIn("memberships", req.GetName())
	if !ok {
		return nil, errs.NotFound(req.GetName())
	}
	m, err := s.service.GetMembership(ctx, collective, id)
	if err != nil {
		return nil, err
	}
	return membershipToProto(ctx, m), nil
}

func (s *membersServer) UpdateMembership(ctx context.Context, req *accessv1.UpdateMembershipRequest) (*accessv1.Membership, error) {
	sent := req.GetMembership()
	collective, id, ok := parseNameIn("memberships", sent.GetName())
	if !ok {
		return nil, errs.NotFound(sent.GetName())
	}
	merged := &accessv1.Membership{}
	if err := fieldmask.Apply(merged, sent, req.GetUpdateMask(), "role"); err != nil {
		return nil, err
	}
	m, err := s.service.ChangeRole(ctx, collective, id, roleFromProto(merged.GetRole()))
	if err != nil {
		return nil, err
	}
	return membershipToProto(ctx, m), nil
}

// DeleteMembership is for owners and the operator; anybody else may leave.
func (s *membersServer) DeleteMembership(ctx context.Context, req *accessv1.DeleteMembershipRequest) (*emptypb.Empty, error) {
	collective, id, ok := parseNameIn("memberships", req.GetName())
	if !ok {
		return nil, errs.NotFound(req.GetName())
	}
	if p := PrincipalFrom(ctx); !managesKeys(p, collective) {
		m, err := s.service.GetMembership(ctx, collective, id)
		if err != nil || p.Session == "" || m.Member != p.memberID() {
			return nil, errs.NotFound(req.GetName())
		}
	}
	return nothing(s.service.EndMembership(ctx, collective, id))
}

func (s *membersServer) CreateInvitation(ctx context.Context, req *accessv1.CreateInvitationRequest) (*accessv1.Invitation, error) {
	collective, ok := parseScope(req.GetParent())
	if !ok {
		return nil, errs.NotFound(req.GetParent())
	}
	requestID, err := uuid.Parse(req.GetRequestId())
	if err != nil {
		return nil, errs.Invalid("request_id", "must be a UUID")
	}
	sent := req.GetInvitation()
	made, err := s.service.Invite(ctx, Invitation{
		Collective: collective, Email: sent.GetEmail(), Role: roleFromProto(sent.GetRole()), Language: sent.GetLanguage(),
	}, requestID)
	return s.invitation(ctx, made, err)
}

func (s *membersServer) GetInvitation(ctx context.Context, req *accessv1.GetInvitationRequest) (*accessv1.Invitation, error) {
	collective, id, ok := parseNameIn("invitations", req.GetName())
	if !ok {
		return nil, errs.NotFound(req.GetName())
	}
	i, err := s.service.GetInvitation(ctx, collective, id)
	if err == nil && !managesKeys(PrincipalFrom(ctx), collective) && !(i.Waiting && i.open(s.service.now())) {
		return nil, errs.NotFound(req.GetName())
	}
	return s.invitation(ctx, i, err)
}

func (s *membersServer) ListInvitations(ctx context.Context, req *accessv1.ListInvitationsRequest) (*accessv1.ListInvitationsResponse, error) {
	collective, ok := parseScope(req.GetParent())
	if !ok {
		return nil, errs.NotFound(req.GetParent())
	}
	found, next, err := page.List(req, req.GetParent()+"/invitations", newestPlace, func(before place, count int) ([]Invitation, error) {
		return s.service.Invitations(ctx, collective, before, count)
	}, func(i Invitation) place { return place{i.CreateTime, i.ID} })
	if err != nil {
		return nil, err
	}
	answer := &accessv1.ListInvitationsResponse{NextPageToken: next}
	for _, i := range found {
		answer.Invitations = append(answer.Invitations, s.service.invitationToProto(i, PrincipalFrom(ctx).IsOperator()))
	}
	return answer, nil
}

func (s *membersServer) RevokeInvitation(ctx context.Context, req *accessv1.RevokeInvitationRequest) (*accessv1.Invitation, error) {
	collective, id, ok := parseNameIn("invitations", req.GetName())
	if !ok {
		return nil, errs.NotFound(req.GetName())
	}
	i, err := s.service.RevokeInvitation(ctx, collective, id)
	return s.invitation(ctx, i, err)
}

func (s *membersServer) invitation(ctx context.Context, i Invitation, err error) (*accessv1.Invitation, error) {
	if err != nil {
		return nil, err
	}
	return s.service.invitationToProto(i, PrincipalFrom(ctx).IsOperator()), nil
}

func nothing(err error) (*emptypb.Empty, error) {
	if err != nil {
		return nil, err
	}
	return &emptypb.Empty{}, nil
}

func memberToProto(m Member) *accessv1.Member {
	return &accessv1.Member{
		Name: m.Name(), Email: m.Email, DisplayName: m.DisplayName, Language: m.Language, CreateTime: wire.Time(m.CreateTime),
	}
}

// membershipToProto shows the address to owners, the operator, and the member itself.
func membershipToProto(ctx context.Context, m Membership) *accessv1.Membership {
	answer := &accessv1.Membership{
		Name:                  m.Name(),
		Member:                memberName(m.Member),
		DisplayName:           m.DisplayName,
		Role:                  roleToProto[m.Role],
		CreateTime:            wire.Time(m.CreateTime),
		EndTime:               wire.Time(m.EndTime),
		CollectiveDisplayName: m.CollectiveName,
		PendingChange:         m.PendingChange,
	}
	if p := PrincipalFrom(ctx); managesKeys(p, m.Collective) || p.memberID() == m.Member {
		answer.Email = m.Email
	}
	return answer
}

// invitationToProto names an inviter who is an operator to the operator alone.
func (s *Service) invitationToProto(i Invitation, toOperator bool) *accessv1.Invitation {
	answer := &accessv1.Invitation{
		Name:                  i.Name(),
		Email:                 i.Email,
		Role:                  roleToProto[i.Role],
		Language:              i.Language,
		State:                 invitationState(i, s.now()),
		CollectiveDisplayName: i.CollectiveName,
		CreateTime:            wire.Time(i.CreateTime),
		ExpireTime:            wire.Time(i.ExpireTime),
		AcceptTime:            wire.Time(i.AcceptTime),
		RevokeTime:            wire.Time(i.RevokeTime),
		PendingChange:         i.PendingChange,
	}
	if !i.ByOperator || toOperator {
		answer.Inviter, answer.InviterDisplayName = i.Inviter, i.InviterName
	}
	return answer
}

func invitationState(i Invitation, now time.Time) accessv1.InvitationState {
	switch {
	case !i.AcceptTime.IsZero():
		return accessv1.InvitationState_INVITATION_STATE_ACCEPTED
	case !i.RevokeTime.IsZero():
		return accessv1.InvitationState_INVITATION_STATE_REVOKED
	case i.pending(now):
		return accessv1.InvitationState_INVITATION_STATE_PENDING
	case i.open(now):
		return accessv1.InvitationState_INVITATION_STATE_PENDING_APPROVAL
	}
	return accessv1.InvitationState_INVITATION_STATE_EXPIRED
}

// keyState returns whether a key works. A person's key that is not covered any more was revoked with the membership.
func keyState(k Key, now time.Time) accessv1.ApiKeyState {
	switch {
	case !k.RevokeTime.IsZero():
		return accessv1.ApiKeyState_API_KEY_STATE_REVOKED
	case !k.EndTime.IsZero() && !now.Before(k.EndTime):
		return accessv1.ApiKeyState_API_KEY_STATE_ENDED
	case k.Pending:
		return accessv1.ApiKeyState_API_KEY_STATE_PENDING_APPROVAL
	}
	return accessv1.ApiKeyState_API_KEY_STATE_WORKING
}
