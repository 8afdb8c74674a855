package payouts

import (
	"context"
	"strings"

	payoutsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/payouts/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/page"
	"github.com/cagnotte/cagnotte/services/internal/stripe"
	"github.com/cagnotte/cagnotte/services/internal/wire"
	"github.com/cagnotte/cagnotte/services/money"
)

type server struct {
	payoutsv1.UnimplementedPayoutsServiceServer
	service *Service
}

// NewServer returns the service as gRPC. The access table decides who may see [Everybody].
func NewServer(s *Service) payoutsv1.PayoutsServiceServer { return &server{service: s} }

const (
	// listFilter and linesFilter keep page tokens of other lists out.
	listFilter  = "payouts "
	linesFilter = "payout lines "
)

func (s *server) ListPayouts(ctx context.Context, req *payoutsv1.ListPayoutsRequest) (*payoutsv1.ListPayoutsResponse, error) {
	collective, ok := parseParent(req.GetParent())
	if !ok {
		return nil, errs.NotFound(req.GetParent())
	}
	found, next, err := page.List(req, listFilter+collective, newest, func(after Position, count int) ([]Payout, error) {
		return s.service.List(ctx, collective, after, count)
	}, func(p Payout) Position { return Position{p.Arrival, p.ID} })
	if err != nil {
		return nil, err
	}
	resp := &payoutsv1.ListPayoutsResponse{NextPageToken: next}
	for _, p := range found {
		resp.Payouts = append(resp.Payouts, toProto(collective, p))
	}
	return resp, nil
}

func (s *server) GetPayout(ctx context.Context, req *payoutsv1.GetPayoutRequest) (*payoutsv1.Payout, error) {
	collective, p, err := s.find(ctx, req.GetName())
	if err != nil {
		return nil, err
	}
	return toProto(collective, p), nil
}

// find returns the payout of a resource name, as the collective of that name sees it. A name of another form is
// NOT_FOUND.
func (s *server) find(ctx context.Context, name string) (collective string, p Payout, err error) {
	collective, id, ok := parseName(name)
	if !ok {
		return "", Payout{}, errs.NotFound(name)
	}
	p, err = s.service.Get(ctx, collective, id)
	return collective, p, err
}

func (s *server) ListPayoutLines(ctx context.Context, req *payoutsv1.ListPayoutLinesRequest) (*payoutsv1.ListPayoutLinesResponse, error) {
	collective, p, err := s.find(ctx, req.GetParent())
	if err != nil {
		return nil, err
	}
	// The token has a position within the lines and the sum before it, which page.List cannot express.
	q := LineQuery{Collective: collective, Share: p.Share.Minor, Count: page.Size(req)}
	if token := req.GetPageToken(); token != "" {
		if err := page.Decode(token, linesFilter+req.GetParent(), &q.From); err != nil {
			return nil, err
		}
	}
	lines, next, err := s.service.Lines(ctx, p, q)
	if err != nil {
		return nil, err
	}
	resp := &payoutsv1.ListPayoutLinesResponse{}
	if next != nil {
		resp.NextPageToken = page.Encode(linesFilter+req.GetParent(), next)
	}
	for _, l := range lines {
		resp.Lines = append(resp.Lines, lineToProto(l, collective, p))
	}
	return resp, nil
}

func (s *server) GetPayoutLine(ctx context.Context, req *payoutsv1.GetPayoutLineRequest) (*payoutsv1.PayoutLine, error) {
	// A name without lines has an empty id, for which there is no line.
	parent, id, _ := strings.Cut(req.GetName(), "/lines/")
	collective, p, err := s.find(ctx, parent)
	if err != nil {
		return nil, err
	}
	l, err := s.service.Line(ctx, p, LineQuery{Collective: collective, Share: p.Share.Minor}, id)
	if err != nil {
		return nil, err
	}
	return lineToProto(l, collective, p), nil
}

var statesToProto = map[stripe.PayoutStatus]payoutsv1.PayoutState{
	stripe.PayoutPending:   payoutsv1.PayoutState_PAYOUT_STATE_PENDING,
	stripe.PayoutInTransit: payoutsv1.PayoutState_PAYOUT_STATE_IN_TRANSIT,
	stripe.PayoutPaid:      payoutsv1.PayoutState_PAYOUT_STATE_PAID,
	stripe.PayoutFailed:    payoutsv1.PayoutState_PAYOUT_STATE_FAILED,
	stripe.PayoutCanceled:  payoutsv1.PayoutState_PAYOUT_STATE_CANCELED,
}

var reconciliationsToProto = map[Reconciliation]payoutsv1.Reconciliation{
	ReconciliationPending:       payoutsv1.Reconciliation_RECONCILIATION_PENDING,
	ReconciliationMatched:       payoutsv1.Reconciliation_RECONCILIATION_MATCHED,
	ReconciliationDiffers:       payoutsv1.Reconciliation_RECONCILIATION_DIFFERS,
	ReconciliationNotApplicable: payoutsv1.Reconciliation_RECONCILIATION_NOT_APPLICABLE,
}

var problemsToProto = map[Problem]payoutsv1.Problem{
	ProblemSum:     payoutsv1.Problem_PROBLEM_SUM,
	ProblemOwn:     payoutsv1.Problem_PROBLEM_OWN,
	ProblemAmount:  payoutsv1.Problem_PROBLEM_AMOUNT,
	ProblemFee:     payoutsv1.Problem_PROBLEM_FEE,
	ProblemMissing: payoutsv1.Problem_PROBLEM_MISSING,
}

var lineKindsToProto = map[LineKind]payoutsv1.PayoutLineKind{
	LineDonation:     payoutsv1.PayoutLineKind_PAYOUT_LINE_KIND_DONATION,
	LineRefund:       payoutsv1.PayoutLineKind_PAYOUT_LINE_KIND_REFUND,
	LineDispute:      payoutsv1.PayoutLineKind_PAYOUT_LINE_KIND_DISPUTE,
	LineFee:          payoutsv1.PayoutLineKind_PAYOUT_LINE_KIND_FEE,
	LinePayout:       payoutsv1.PayoutLineKind_PAYOUT_LINE_KIND_PAYOUT,
	LineUndetailed:   payoutsv1.PayoutLineKind_PAYOUT_LINE_KIND_UNDETAILED,
	LineUnclassified: payoutsv1.PayoutLineKind_PAYOUT_LINE_KIND_UNCLASSIFIED,
}

// toProto returns a payout under the name by which it was asked for.
func toProto(collective string, p Payout) *payoutsv1.Payout {
	out := &payoutsv1.Payout{
		Name:               nameOf(collective, p.ID),
		StripeAccount:      p.Account,
		ShareAmount:        wire.Money(p.Share),
		State:              statesToProto[p.State],
		Automatic:          p.Automatic,
		ArrivalTime:        wire.Time(p.Arrival),
		CreateTime:         wire.Time(p.Created),
		Transaction:        p.Transaction,
		FailureTransaction: p.FailureTransaction,
		Reconciliation:     reconciliationsToProto[p.Reconciliation],
		ReconcileTime:      wire.Time(p.ReconcileTime),
	}
	// The whole amount would tell a collective how much the others have.
	if collective == Everybody || p.Share == p.Amount {
		out.Amount = wire.Money(p.Amount)
	}
	// The ledger transaction exists only once the line at the bank was posted.
	if !p.BankTime.IsZero() {
		out.BankTransaction = BankReference(p.ID)
	}
	for _, f := range p.Findings {
		out.Findings = append(out.Findings, &payoutsv1.Finding{
			Problem:     problemsToProto[f.Problem],
			Transaction: f.Transaction,
			Expected:    wire.Money(money.Amount{Minor: f.Expected, Currency: p.Amount.Currency}),
			Found:       wire.Money(money.Amount{Minor: f.Found, Currency: p.Amount.Currency}),
			FindTime:    wire.Time(f.Time),
		})
	}
	return out
}

// lineToProto returns a line. A kind without an entry in lineKindsToProto is OTHER.
func lineToProto(l Line, seenBy string, p Payout) *payoutsv1.PayoutLine {
	kind, known := lineKindsToProto[l.Kind]
	if !known {
		kind = payoutsv1.PayoutLineKind_PAYOUT_LINE_KIND_OTHER
	}
	currency := p.Amount.Currency
	out := &payoutsv1.PayoutLine{
		Name:          nameOf(seenBy, p.ID) + "/lines/" + l.ID(seenBy),
		Kind:          kind,
		Transaction:   l.Transaction,
		EffectiveTime: wire.Time(l.Time),
		Gross:         wire.Money(money.Amount{Minor: l.Gross, Currency: currency}),
		Fee:           wire.Money(money.Amount{Minor: l.Fee, Currency: currency}),
		Net:           wire.Money(money.Amount{Minor: l.Net, Currency: currency}),
	}
	if l.Collective != "" {
		out.Collective = "collectives/" + l.Collective
	}
	// Each name continues the one before, since a donation has a campaign and a campaign a collective.
	if l.Campaign != "" {
		out.Campaign = out.Collective + "/campaigns/" + l.Campaign
	}
	if l.Donation != "" {
		out.Donation = out.Campaign + "/donations/" + l.Donation
	}
	return out
}
