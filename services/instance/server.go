package instance

import (
	"context"
	"strings"

	"github.com/google/uuid"

	instancev1 "github.com/cagnotte/cagnotte/proto/cagnotte/instance/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/page"
	"github.com/cagnotte/cagnotte/services/internal/stripe"
	"github.com/cagnotte/cagnotte/services/internal/wire"
	"github.com/cagnotte/cagnotte/services/webhooks"
)

type server struct {
	instancev1.UnimplementedInstanceServiceServer
	service *Service
}

// NewServer returns the service as gRPC.
func NewServer(s *Service) instancev1.InstanceServiceServer { return &server{service: s} }

func (s *server) GetInstance(ctx context.Context, _ *instancev1.GetInstanceRequest) (*instancev1.Instance, error) {
	st, err := s.service.Get(ctx)
	if err != nil {
		return nil, err
	}
	answer := &instancev1.Instance{
		Name: name, Version: st.Version, AppliedMigrations: st.Applied, NeededMigrations: st.Needed, PublicUrl: st.PublicURL,
		Mail: &instancev1.MailState{
			Configured: st.Mail.Configured, LastTestTime: wire.Time(st.Mail.TestTime), LastTestFailureReason: st.Mail.TestFailure,
		},
		Stripe: &instancev1.StripeState{
			Livemode: st.Stripe.Livemode, KeyCount: int32(st.Stripe.KeyCount), Restricted: st.Stripe.Restricted,
			ApiVersion: stripe.APIVersion, Account: st.Stripe.Account,
		},
		Queue: &instancev1.QueueState{
			WaitingCount: st.Queue.Waiting, OldestWaitingTime: wire.Time(st.Queue.OldestWaiting), RunningCount: st.Queue.Running,
			RetryingCount: st.Queue.Retrying, DiscardedCount: st.Queue.Discarded,
		},
		OpenWork: &instancev1.OpenWork{
			DeadEventCount: st.Open.DeadEvents, ParkedTransactionCount: st.Open.Parked, NoticeCount: st.Open.Notices,
			ApplicationCount: st.Open.Applications, FailingAccountCount: st.Open.FailingAccounts,
		},
	}
	if st.Stripe.Check != nil {
		answer.Stripe.LastCheck = checkToProto(*st.Stripe.Check)
	}
	for _, e := range st.Endpoints {
		answer.Endpoints = append(answer.Endpoints, &instancev1.EndpointState{
			Kind: kindsToProto[e.Kind], Url: e.URL, SettingsSecretCount: int32(e.SettingsSecrets), StoredSecretCount: int32(e.StoredSecrets),
			StoredEndpoint: e.Stored, StoreTime: wire.Time(e.StoreTime), LastReceiveTime: wire.Time(e.LastDelivery),
		})
	}
	if st.Verification != nil {
		answer.LastVerification = verificationToProto(*st.Verification)
	}
	return answer, nil
}

func (s *server) SendTestMail(ctx context.Context, req *instancev1.SendTestMailRequest) (*instancev1.SendTestMailResponse, error) {
	id, err := uuid.Parse(req.GetRequestId())
	if err != nil {
		return nil, errs.Invalid("request_id", "must be a UUID")
	}
	email, err := s.service.SendTestMail(ctx, id)
	if err != nil {
		return nil, err
	}
	return &instancev1.SendTestMailResponse{Email: email}, nil
}

func (s *server) CheckStripe(ctx context.Context, _ *instancev1.CheckStripeRequest) (*instancev1.StripeCheck, error) {
	check, err := s.service.CheckStripe(ctx)
	if err != nil {
		return nil, err
	}
	return checkToProto(check), nil
}

func (s *server) SetUpStripeEndpoints(ctx context.Context, req *instancev1.SetUpStripeEndpointsRequest) (*instancev1.SetUpStripeEndpointsResponse, error) {
	results, err := s.service.SetUpEndpoints(ctx, req.GetReplace())
	if err != nil {
		return nil, err
	}
	answer := &instancev1.SetUpStripeEndpointsResponse{}
	for _, r := range results {
		answer.Results = append(answer.Results, &instancev1.EndpointResult{
			Kind: kindsToProto[r.Kind], Url: r.URL, Outcome: outcomesToProto[r.Outcome], Endpoint: r.Endpoint,
			FailureCode: r.FailureCode, Message: r.Message,
		})
	}
	return answer, nil
}

func (s *server) CreateLedgerVerification(ctx context.Context, req *instancev1.CreateLedgerVerificationRequest) (*instancev1.LedgerVerification, error) {
	id, err := uuid.Parse(req.GetRequestId())
	if err != nil {
		return nil, errs.Invalid("request_id", "must be a UUID")
	}
	v, err := s.service.StartVerification(ctx, id)
	if err != nil {
		return nil, err
	}
	return verificationToProto(v), nil
}

func (s *server) GetLedgerVerification(ctx context.Context, req *instancev1.GetLedgerVerificationRequest) (*instancev1.LedgerVerification, error) {
	id, err := uuid.Parse(strings.TrimPrefix(req.GetName(), name+verificationsPart))
	if err != nil {
		return nil, errs.NotFound(req.GetName())
	}
	v, err := s.service.GetVerification(ctx, id)
	if err != nil {
		return nil, err
	}
	return verificationToProto(v), nil
}

// verificationsFilter keeps page tokens of other lists out.
const verificationsFilter = "ledger verifications"

func (s *server) ListLedgerVerifications(ctx context.Context, req *instancev1.ListLedgerVerificationsRequest) (*instancev1.ListLedgerVerificationsResponse, error) {
	found, next, err := page.List(req, verificationsFilter, newest, func(before Position, count int) ([]Verification, error) {
		return s.service.ListVerifications(ctx, before, count)
	}, func(v Verification) Position { return Position{v.CreateTime, v.ID} })
	if err != nil {
		return nil, err
	}
	answer := &instancev1.ListLedgerVerificationsResponse{NextPageToken: next}
	for _, v := range found {
		answer.LedgerVerifications = append(answer.LedgerVerifications, verificationToProto(v))
	}
	return answer, nil
}

var kindsToProto = map[webhooks.Endpoint]instancev1.EndpointKind{
	webhooks.EndpointPlatform: instancev1.EndpointKind_ENDPOINT_KIND_PLATFORM,
	webhooks.EndpointConnect:  instancev1.EndpointKind_ENDPOINT_KIND_CONNECT,
}

var outcomesToProto = map[Outcome]instancev1.EndpointOutcome{
	InOrder:  instancev1.EndpointOutcome_ENDPOINT_OUTCOME_IN_ORDER,
	Updated:  instancev1.EndpointOutcome_ENDPOINT_OUTCOME_UPDATED,
	Created:  instancev1.EndpointOutcome_ENDPOINT_OUTCOME_CREATED,
	Replaced: instancev1.EndpointOutcome_ENDPOINT_OUTCOME_REPLACED,
	Failed:   instancev1.EndpointOutcome_ENDPOINT_OUTCOME_FAILED,
}

var severitiesToProto = map[Severity]instancev1.FindingSeverity{
	OK:    instancev1.FindingSeverity_FINDING_SEVERITY_OK,
	Note:  instancev1.FindingSeverity_FINDING_SEVERITY_NOTE,
	Wrong: instancev1.FindingSeverity_FINDING_SEVERITY_WRONG,
}

var statesToProto = map[VerificationState]instancev1.VerificationState{
	Waiting: instancev1.VerificationState_VERIFICATION_STATE_WAITING,
	Running: instancev1.VerificationState_VERIFICATION_STATE_RUNNING,
	Sound:   instancev1.VerificationState_VERIFICATION_STATE_SOUND,
	Differs: instancev1.VerificationState_VERIFICATION_STATE_DIFFERS,
	Aborted: instancev1.VerificationState_VERIFICATION_STATE_FAILED,
}

func checkToProto(c StripeCheck) *instancev1.StripeCheck {
	p := &instancev1.StripeCheck{CheckTime: wire.Time(c.Time), WrongCount: int32(c.Wrong())}
	for _, f := range c.Findings {
		p.Findings = append(p.Findings, &instancev1.StripeFinding{
			Severity: severitiesToProto[f.Severity], Code: f.Code, Values: f.Values, Message: f.Message(),
		})
	}
	return p
}

func verificationToProto(v Verification) *instancev1.LedgerVerification {
	p := &instancev1.LedgerVerification{
		Name: v.Name(), State: statesToProto[v.State], Requester: v.Requester, CreateTime: wire.Time(v.CreateTime), EndTime: wire.Time(v.EndTime),
		BookCount: int32(v.BookCount), VerifiedCount: int32(len(v.Books)),
	}
	for _, b := range v.Books {
		p.DifferenceCount += int64(b.DifferenceCount)
		p.Books = append(p.Books, &instancev1.BookVerification{
			StripeAccount: b.Book, SealedCount: b.Sealed, UnsealedCount: b.Unsealed, CheckpointCount: b.Checkpoints,
			SignTime: wire.Time(b.SignTime), VerifierKey: b.VerifierKey, DifferenceCount: int64(b.DifferenceCount), Differences: b.Differences,
		})
	}
	return p
}
