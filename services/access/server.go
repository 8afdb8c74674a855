package access

import (
	"context"

	"github.com/google/uuid"

	accessv1 "github.com/cagnotte/cagnotte/proto/cagnotte/access/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/page"
	"github.com/cagnotte/cagnotte/services/internal/wire"
)

type server struct {
	accessv1.UnimplementedAccessServiceServer
	service *Service
}

// NewServer returns the gRPC server of the service. It reads the caller with [PrincipalFrom]. It checks no rights: the
// interceptors of package rpc do.
func NewServer(s *Service) accessv1.AccessServiceServer { return &server{service: s} }

func (s *server) GetPrincipal(ctx context.Context, req *accessv1.GetPrincipalRequest) (*accessv1.Principal, error) {
	p := PrincipalFrom(ctx)
	if err := authorizeNamed(p, req.GetMethod(), req.GetResource()); err != nil {
		return nil, err
	}
	answer := &accessv1.Principal{
		Name: p.Name, Member: p.Member, ApiKey: p.Key, Session: p.Session, DisplayName: p.DisplayName, Language: p.Language,
		ProveTime: wire.Time(p.ProveTime),
	}
	if p.Key != "" && len(p.Grants) == 1 {
		answer.Role = roleToProto[p.Grants[0].Role]
		if c := p.Grants[0].Collective; c != "" {
			answer.Collective = scopeName(c)
		}
	}
	if p.Session == "" {
		return answer, nil
	}
	m, err := s.service.member(ctx, p.memberID())
	if err != nil {
		return nil, err
	}
	answer.Email = m.Email
	all, err := s.service.MembershipsOf(ctx, m.ID)
	if err != nil {
		return nil, err
	}
	for _, each := range all {
		answer.Memberships = append(answer.Memberships, membershipToProto(ctx, each))
	}
	return answer, nil
}

// CreateApiKey ignores the output-only fields of the key that is sent.
func (s *server) CreateApiKey(ctx context.Context, req *accessv1.CreateApiKeyRequest) (*accessv1.ApiKey, error) {
	collective, ok := parseScope(req.GetParent())
	if !ok {
		return nil, errs.NotFound(req.GetParent())
	}
	// Of keys only an owner's and the operator's make keys: an auditor's changes nothing.
	if p := PrincipalFrom(ctx); p.Session == "" && !managesKeys(p, collective) {
		return nil, errs.NotFound(req.GetParent())
	}
	end, err := wire.Instant("api_key.end_time", req.GetApiKey().GetEndTime())
	if err != nil {
		return nil, err
	}
	k, secret, err := s.service.Create(ctx, Key{
		EndTime:     end,
		Collective:  collective,
		ID:          req.GetApiKeyId(),
		DisplayName: req.GetApiKey().GetDisplayName(),
		Role:        roleFromProto(req.GetApiKey().GetRole()),
	})
	if err != nil {
		return nil, err
	}
	answer := s.keyToProto(k)
	answer.Secret = secret
	return answer, nil
}

func (s *server) ListApiKeys(ctx context.Context, req *accessv1.ListApiKeysRequest) (*accessv1.ListApiKeysResponse, error) {
	collective, ok := parseScope(req.GetParent())
	if !ok {
		return nil, errs.NotFound(req.GetParent())
	}
	// Who may not see all sees its own.
	var own string
	if p := PrincipalFrom(ctx); !seesKeys(p, collective) {
		own = p.Member
	}
	keys, next, err := page.List(req, req.GetParent()+" "+own, newest, func(before position, count int) ([]Key, error) {
		return s.service.list(ctx, collective, own, before, count)
	}, func(k Key) position { return position{k.CreateTime, k.ID} })
	if err != nil {
		return nil, err
	}
	answer := &accessv1.ListApiKeysResponse{NextPageToken: next}
	for _, k := range keys {
		answer.ApiKeys = append(answer.ApiKeys, s.keyToProto(k))
	}
	return answer, nil
}

func (s *server) GetApiKey(ctx context.Context, req *accessv1.GetApiKeyRequest) (*accessv1.ApiKey, error) {
	k, err := s.service.get(ctx, req.GetName())
	if err != nil {
		return nil, err
	}
	if p := PrincipalFrom(ctx); !seesKeys(p, k.Collective) && !p.holds(k) {
		return nil, errs.NotFound(req.GetName())
	}
	return s.keyToProto(k), nil
}

func (s *server) RevokeApiKey(ctx context.Context, req *accessv1.RevokeApiKeyRequest) (*accessv1.ApiKey, error) {
	collective, id, ok := parseKeyName(req.GetName())
	if !ok {
		return nil, errs.NotFound(req.GetName())
	}
	if p := PrincipalFrom(ctx); !managesKeys(p, collective) {
		if k, err := s.service.get(ctx, req.GetName()); err != nil || p.Session == "" || !p.holds(k) {
			return nil, errs.NotFound(req.GetName())
		}
	}
	k, err := s.service.Revoke(ctx, collective, id)
	if err != nil {
		return nil, err
	}
	return s.keyToProto(k), nil
}

// holds reports whether k is a key of the person that p is.
func (p Principal) holds(k Key) bool { return k.Person != uuid.Nil && k.Person == p.memberID() }

// managesKeys reports whether p makes and revokes keys of others too. A context without a caller is the program itself.
func managesKeys(p Principal, collective string) bool {
	return p.IsZero() || p.IsOperator() || p.Role(collective) == RoleOwner
}

// seesKeys reports whether p sees the keys of others too.
func seesKeys(p Principal, collective string) bool {
	role := p.Role(collective)
	return managesKeys(p, collective) || role == RoleTreasurer || role == RoleAuditor
}

func (s *server) keyToProto(k Key) *accessv1.ApiKey {
	return &accessv1.ApiKey{
		Name:        k.Name(),
		DisplayName: k.DisplayName,
		Role:        roleToProto[k.Role],
		CreateTime:  wire.Time(k.CreateTime),
		LastUseTime: wire.Time(k.LastUseTime),
		RevokeTime:  wire.Time(k.RevokeTime),
		Maker:       maker(k),
		Member:      k.Member(),
		EndTime:     wire.Time(k.EndTime),
		State:       keyState(k, s.service.now()),

		MemberDisplayName: k.PersonName,
	}
}

// maker returns the name of the key that made k, or nothing when members of the collective may not see that name.
func maker(k Key) string {
	if k.Collective != "" && k.MadeByOperator() {
		return ""
	}
	return k.Maker
}

var roleToProto = map[Role]accessv1.Role{
	RoleOwner:     accessv1.Role_ROLE_OWNER,
	RoleEditor:    accessv1.Role_ROLE_EDITOR,
	RoleTreasurer: accessv1.Role_ROLE_TREASURER,
	RoleAuditor:   accessv1.Role_ROLE_AUDITOR,
	RoleOperator:  accessv1.Role_ROLE_OPERATOR,
}

// roleFromProto returns the zero Role for an unknown one.
func roleFromProto(r accessv1.Role) Role {
	for role, wire := range roleToProto {
		if wire == r {
			return role
		}
	}
	return ""
}
