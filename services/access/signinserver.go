package access

import (
	"context"
	"net/netip"

	accessv1 "github.com/cagnotte/cagnotte/proto/cagnotte/access/v1"
	"github.com/cagnotte/cagnotte/services/internal/wire"
)

// NetworkFrom returns the network of a call's caller: rpc.CallerFrom's, which this package cannot import.
type NetworkFrom func(context.Context) netip.Prefix

type signInServer struct {
	accessv1.UnimplementedSignInServiceServer
	service *Service
	network NetworkFrom
}

// NewSignInServer returns the gRPC server of the ways in.
func NewSignInServer(s *Service, network NetworkFrom) accessv1.SignInServiceServer {
	return &signInServer{service: s, network: network}
}

func (s *signInServer) RequestSignInLink(ctx context.Context, req *accessv1.RequestSignInLinkRequest) (*accessv1.RequestSignInLinkResponse, error) {
	token, err := s.service.RequestLink(ctx, req.GetEmail(), req.GetLanguage(), s.network(ctx))
	if err != nil {
		return nil, err
	}
	return &accessv1.RequestSignInLinkResponse{BrowserToken: token}, nil
}

func (s *signInServer) RedeemSignInLink(ctx context.Context, req *accessv1.RedeemSignInLinkRequest) (*accessv1.Session, error) {
	made, token, err := s.service.RedeemLink(ctx, req.GetToken(), req.GetBrowserToken(), req.GetDevice(), s.network(ctx))
	return newSession(made, token, err)
}

func (s *signInServer) LookUpInvitation(ctx context.Context, req *accessv1.LookUpInvitationRequest) (*accessv1.Invitation, error) {
	i, known, err := s.service.LookUpInvitation(ctx, req.GetToken(), s.network(ctx))
	if err != nil {
		return nil, err
	}
	answer := s.service.invitationToProto(i, false)
	answer.HasMember = known
	return answer, nil
}

func (s *signInServer) AcceptInvitation(ctx context.Context, req *accessv1.AcceptInvitationRequest) (*accessv1.Session, error) {
	made, token, err := s.service.AcceptInvitation(ctx, req.GetToken(), req.GetDisplayName(), req.GetLanguage(), req.GetDevice(), s.network(ctx))
	return newSession(made, token, err)
}

func (s *signInServer) BeginPasskeySignIn(ctx context.Context, _ *accessv1.BeginPasskeySignInRequest) (*accessv1.PasskeyCeremony, error) {
	ceremony, options, err := s.service.BeginPasskeySignIn(ctx, s.network(ctx))
	return ceremonyToProto(ceremony, options, err)
}

func (s *signInServer) FinishPasskeySignIn(ctx context.Context, req *accessv1.FinishPasskeySignInRequest) (*accessv1.Session, error) {
	made, token, err := s.service.FinishPasskeySignIn(ctx, req.GetCeremony(), req.GetCredentialJson(), req.GetDevice())
	return newSession(made, token, err)
}

func ceremonyToProto(ceremony, options string, err error) (*accessv1.PasskeyCeremony, error) {
	if err != nil {
		return nil, err
	}
	return &accessv1.PasskeyCeremony{Ceremony: ceremony, OptionsJson: options}, nil
}

// newSession is the answer that makes a session: the only one with its token.
func newSession(made Session, token string, err error) (*accessv1.Session, error) {
	if err != nil {
		return nil, err
	}
	answer := sessionToProto(made)
	answer.Token, answer.Current = token, true
	return answer, nil
}

func sessionToProto(s Session) *accessv1.Session {
	return &accessv1.Session{
		Name:        s.Name(),
		Member:      memberName(s.Member),
		Device:      s.Device,
		CreateTime:  wire.Time(s.CreateTime),
		LastUseTime: wire.Time(s.LastUseTime),
		ExpireTime:  wire.Time(s.ExpireTime()),
	}
}
