package approvals

import (
	"context"
	"strings"

	approvalsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/approvals/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/fieldmask"
	"github.com/cagnotte/cagnotte/services/internal/page"
	"github.com/cagnotte/cagnotte/services/internal/wire"
)

type server struct {
	approvalsv1.UnimplementedApprovalsServiceServer
	service *Service
}

// NewServer returns the service as gRPC.
func NewServer(s *Service) approvalsv1.ApprovalsServiceServer { return &server{service: s} }

var kindsToProto = map[Kind]approvalsv1.PendingChangeKind{
	BankAccount:    approvalsv1.PendingChangeKind_PENDING_CHANGE_KIND_BANK_ACCOUNT,
	RefundApproval: approvalsv1.PendingChangeKind_PENDING_CHANGE_KIND_REFUND_APPROVAL,
	AlertEmails:    approvalsv1.PendingChangeKind_PENDING_CHANGE_KIND_ALERT_EMAILS,
	Rule:           approvalsv1.PendingChangeKind_PENDING_CHANGE_KIND_TWO_PERSON_RULE,
	APIKey:         approvalsv1.PendingChangeKind_PENDING_CHANGE_KIND_API_KEY,
	Invitation:     approvalsv1.PendingChangeKind_PENDING_CHANGE_KIND_INVITATION,
	MemberRole:     approvalsv1.PendingChangeKind_PENDING_CHANGE_KIND_MEMBER_ROLE,

	ReceiptDeclaration: approvalsv1.PendingChangeKind_PENDING_CHANGE_KIND_RECEIPT_DECLARATION,
}

var statesToProto = map[State]approvalsv1.PendingChangeState{
	Pending:  approvalsv1.PendingChangeState_PENDING_CHANGE_STATE_PENDING,
	Approved: approvalsv1.PendingChangeState_PENDING_CHANGE_STATE_APPROVED,
	Rejected: approvalsv1.PendingChangeState_PENDING_CHANGE_STATE_REJECTED,
	Canceled: approvalsv1.PendingChangeState_PENDING_CHANGE_STATE_CANCELED,
	Expired:  approvalsv1.PendingChangeState_PENDING_CHANGE_STATE_EXPIRED,
}

var modesToProto = map[Mode]approvalsv1.TwoPersonMode{
	Automatic: approvalsv1.TwoPersonMode_TWO_PERSON_MODE_AUTOMATIC,
	On:        approvalsv1.TwoPersonMode_TWO_PERSON_MODE_ON,
	Off:       approvalsv1.TwoPersonMode_TWO_PERSON_MODE_OFF,
}

// inverse has the keys of a map by its values. An unspecified enum is the zero key.
func inverse[K, V comparable](m map[K]V) map[V]K {
	inverted := map[V]K{}
	for k, v := range m {
		inverted[v] = k
	}
	return inverted
}

var (
	statesByProto = inverse(statesToProto)
	modesByProto  = inverse(modesToProto)
)

func (s *server) GetPendingChange(ctx context.Context, req *approvalsv1.GetPendingChangeRequest) (*approvalsv1.PendingChange, error) {
	collective, id, err := parseName(req.GetName())
	if err != nil {
		return nil, err
	}
	c, err := s.service.Get(ctx, collective, id)
	return s.answer(ctx, c, err)
}

func (s *server) ListPendingChanges(ctx context.Context, req *approvalsv1.ListPendingChangesRequest) (*approvalsv1.ListPendingChangesResponse, error) {
	collective := strings.TrimPrefix(req.GetParent(), "collectives/")
	state := statesByProto[req.GetState()]
	filter := req.GetParent() + "/pendingChanges " + string(state)
	found, next, err := page.List(req, filter, newest, func(before Position, count int) ([]Change, error) {
		return s.service.List(ctx, collective, state, before, count)
	}, func(c Change) Position { return Position{c.CreateTime, c.ID} })
	if err != nil {
		return nil, err
	}
	resp := &approvalsv1.ListPendingChangesResponse{NextPageToken: next}
	for _, c := range found {
		p, err := s.answer(ctx, c, nil)
		if err != nil {
			return nil, err
		}
		resp.PendingChanges = append(resp.PendingChanges, p)
	}
	return resp, nil
}

func (s *server) ApprovePendingChange(ctx context.Context, req *approvalsv1.ApprovePendingChangeRequest) (*approvalsv1.PendingChange, error) {
	collective, id, err := parseName(req.GetName())
	if err != nil {
		return nil, err
	}
	c, err := s.service.Approve(ctx, collective, id)
	return s.answer(ctx, c, err)
}

func (s *server) RejectPendingChange(ctx context.Context, req *approvalsv1.RejectPendingChangeRequest) (*approvalsv1.PendingChange, error) {
	collective, id, err := parseName(req.GetName())
	if err != nil {
		return nil, err
	}
	c, err := s.service.Reject(ctx, collective, id)
	return s.answer(ctx, c, err)
}

func (s *server) CancelPendingChange(ctx context.Context, req *approvalsv1.CancelPendingChangeRequest) (*approvalsv1.PendingChange, error) {
	collective, id, err := parseName(req.GetName())
	if err != nil {
		return nil, err
	}
	c, err := s.service.Cancel(ctx, collective, id)
	return s.answer(ctx, c, err)
}

// answer is a change as the caller sees it, or the error as it is.
func (s *server) answer(ctx context.Context, c Change, err error) (*approvalsv1.PendingChange, error) {
	if err != nil {
		return nil, err
	}
	approve, cancel, err := s.service.May(ctx, c)
	if err != nil {
		return nil, err
	}
	return &approvalsv1.PendingChange{
		Name: c.Name(), Kind: kindsToProto[c.Kind], Subject: c.Subject, ValueBefore: c.BeforeText, ValueAfter: c.AfterText,
		State: statesToProto[c.State], Requester: c.Requester, RequesterDisplayName: c.RequesterName,
		Decider: c.Decider, DeciderDisplayName: c.DeciderName,
		CreateTime: wire.Time(c.CreateTime), ExpireTime: wire.Time(c.ExpireTime), DecideTime: wire.Time(c.DecideTime),
		Approvable: approve, Cancelable: cancel,
	}, nil
}

// ruleCollective reads the collective in the name of a rule.
func ruleCollective(name string) (string, error) {
	collective, ok := strings.CutSuffix(strings.TrimPrefix(name, "collectives/"), "/twoPersonRule")
	if !ok {
		return "", errs.NotFound(name)
	}
	return collective, nil
}

func (s *server) GetTwoPersonRule(ctx context.Context, req *approvalsv1.GetTwoPersonRuleRequest) (*approvalsv1.TwoPersonRule, error) {
	collective, err := ruleCollective(req.GetName())
	if err != nil {
		return nil, err
	}
	r, err := s.service.GetRule(ctx, collective)
	return ruleAnswer(r, err)
}

func (s *server) UpdateTwoPersonRule(ctx context.Context, req *approvalsv1.UpdateTwoPersonRuleRequest) (*approvalsv1.TwoPersonRule, error) {
	sent := req.GetTwoPersonRule()
	collective, err := ruleCollective(sent.GetName())
	if err != nil {
		return nil, err
	}
	// The mode is the one field that there is to change.
	merged := &approvalsv1.TwoPersonRule{}
	if err := fieldmask.Apply(merged, sent, req.GetUpdateMask(), "mode"); err != nil {
		return nil, err
	}
	mode, ok := modesByProto[merged.GetMode()]
	if !ok {
		r, err := s.service.GetRule(ctx, collective)
		return ruleAnswer(r, err)
	}
	r, err := s.service.UpdateRule(ctx, collective, mode)
	return ruleAnswer(r, err)
}

func ruleAnswer(r TwoPersonRule, err error) (*approvalsv1.TwoPersonRule, error) {
	if err != nil {
		return nil, err
	}
	p := &approvalsv1.TwoPersonRule{Name: r.Name(), Mode: modesToProto[r.Mode], Active: r.Active}
	if r.Waiting.State == Pending {
		p.PendingChange = r.Waiting.Name()
	}
	return p, nil
}
