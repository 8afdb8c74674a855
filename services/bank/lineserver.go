package bank

import (
	"context"
	"strconv"
	"strings"

	"github.com/google/uuid"

	bankv1 "github.com/cagnotte/cagnotte/proto/cagnotte/bank/v1"
	"github.com/cagnotte/cagnotte/services/campaigns"
	"github.com/cagnotte/cagnotte/services/internal/calendar"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/page"
	"github.com/cagnotte/cagnotte/services/internal/wire"
	"github.com/cagnotte/cagnotte/services/treasury"
)

// change is a request that changes a line.
type change interface {
	GetName() string
	GetRequestId() string
}

// lineChanged reads which line a request changes, and the request itself.
func lineChanged(ctx context.Context, req change) (collective string, id uuid.UUID, r treasury.Request, err error) {
	if collective, id, err = ofCollective(req.GetName(), "bankLines"); err != nil {
		return collective, id, r, err
	}
	r, err = treasury.NewRequest(ctx, req.GetRequestId())
	return collective, id, r, err
}

// lineStates has an empty state, since a list may be asked for in any state.
var lineStates = map[LineState]bankv1.BankLineState{
	"":            bankv1.BankLineState_BANK_LINE_STATE_UNSPECIFIED,
	LineUnmatched: bankv1.BankLineState_BANK_LINE_STATE_UNMATCHED,
	LineSuggested: bankv1.BankLineState_BANK_LINE_STATE_SUGGESTED,
	LineMatched:   bankv1.BankLineState_BANK_LINE_STATE_MATCHED,
	LineIgnored:   bankv1.BankLineState_BANK_LINE_STATE_IGNORED,
	LineSplit:     bankv1.BankLineState_BANK_LINE_STATE_SPLIT,
	LineWithdrawn: bankv1.BankLineState_BANK_LINE_STATE_WITHDRAWN,
}

func (s *server) GetBankLine(ctx context.Context, req *bankv1.GetBankLineRequest) (*bankv1.BankLine, error) {
	collective, id, err := ofCollective(req.GetName(), "bankLines")
	if err != nil {
		return nil, err
	}
	return lineAnswer(s.service.Line(ctx, collective, id))
}

func (s *server) ListBankLines(ctx context.Context, req *bankv1.ListBankLinesRequest) (*bankv1.ListBankLinesResponse, error) {
	collective, err := collectiveID(req.GetParent())
	if err != nil {
		return nil, err
	}
	// No state, and a state that is not known, leave all.
	f := LineFilter{Account: req.GetAccount()}
	for state, p := range lineStates {
		if p == req.GetState() {
			f.State = state
		}
	}
	if f.StartDate, err = calendar.ParseDay("start_date", req.GetStartDate()); err != nil {
		return nil, err
	}
	if f.EndDate, err = calendar.ParseDay("end_date", req.GetEndDate()); err != nil {
		return nil, err
	}
	// The filter is part of the page token, so that a token does not continue another list.
	list := struct {
		Collective string
		LineFilter
	}{collective, f}
	found, next, err := page.List(req, list, newest, func(after Position, limit int) ([]Line, error) {
		return s.service.Lines(ctx, collective, f, after, limit)
		// Lines are in the order of their days, and not of the time at which they were stored.
	}, func(l Line) Position { return Position{l.BookedOn.UTC(), l.ID} })
	answer := &bankv1.ListBankLinesResponse{NextPageToken: next}
	for _, l := range found {
		answer.BankLines = append(answer.BankLines, lineToProto(l))
	}
	return answer, err
}

func (s *server) MatchBankLine(ctx context.Context, req *bankv1.MatchBankLineRequest) (*bankv1.BankLine, error) {
	collective, id, r, err := lineChanged(ctx, req)
	if err != nil {
		return nil, err
	}
	target, err := targetFromProto(collective, req.GetTarget())
	if err != nil {
		return nil, err
	}
	return lineAnswer(s.service.MatchLine(ctx, r, collective, id, target))
}

// targetFromProto reads a target; resources of other collectives are refused.
func targetFromProto(collective string, p *bankv1.BankLineTarget) (t Target, err error) {
	// The names are read here. Whether a pledge or an expense of the name exists is found out in the transaction of the
	// match.
	switch target := p.GetTarget().(type) {
	case *bankv1.BankLineTarget_Pledge:
		t.Kind = TargetPledge
		if t.Campaign, t.ID, err = treasury.ParsePledgeName(target.Pledge); err != nil || t.Campaign.Collective != collective {
			return t, errs.Invalid("target.pledge", "must be a pledge of the collective")
		}
	case *bankv1.BankLineTarget_Campaign:
		t.Kind = TargetCampaign
		if t.Campaign, err = campaigns.ParseName(target.Campaign); err != nil || t.Campaign.Collective != collective {
			return t, errs.Invalid("target.campaign", "must be a campaign of the collective")
		}
	case *bankv1.BankLineTarget_Expense:
		t.Kind = TargetExpense
		var of string
		if of, t.ID, err = treasury.ParseExpenseName(target.Expense); err != nil || of != collective {
			return t, errs.Invalid("target.expense", "must be an expense of the collective")
		}
	case *bankv1.BankLineTarget_Transaction:
		t.Kind = TargetTransaction
		// Ids of transactions are numbers that name no collective; the match looks only at what the transaction
		// moved for this one.
		number, own := strings.CutPrefix(target.Transaction, transactionPrefix(collective))
		if t.Transaction, err = strconv.ParseInt(number, 10, 64); err != nil || !own || t.Transaction <= 0 {
			return t, errs.Invalid("target.transaction", "must be a transaction of the collective")
		}
	// The contract requires one target, so this is that of an unknown receipt.
	default:
		t.Kind = TargetUnknownReceipt
	}
	return t, nil
}

func transactionPrefix(collective string) string {
	return "collectives/" + collective + "/ledger/transactions/"
}

func (s *server) UnmatchBankLine(ctx context.Context, req *bankv1.UnmatchBankLineRequest) (*bankv1.BankLine, error) {
	collective, id, r, err := lineChanged(ctx, req)
	if err != nil {
		return nil, err
	}
	expected, err := wire.Instant("expected_update_time", req.GetExpectedUpdateTime())
	if err != nil {
		return nil, err
	}
	return lineAnswer(s.service.UnmatchLine(ctx, r, collective, id, req.GetReason(), expected))
}

func (s *server) IgnoreBankLine(ctx context.Context, req *bankv1.IgnoreBankLineRequest) (*bankv1.BankLine, error) {
	collective, id, r, err := lineChanged(ctx, req)
	if err != nil {
		return nil, err
	}
	return lineAnswer(s.service.IgnoreLine(ctx, r, collective, id, req.GetReason()))
}

// lineAnswer converts what a call of the service returns.
func lineAnswer(l Line, err error) (*bankv1.BankLine, error) {
	if err != nil {
		return nil, err
	}
	return lineToProto(l), nil
}

func lineToProto(l Line) *bankv1.BankLine {
	p := &bankv1.BankLine{
		Name:          l.Name(),
		Account:       l.Account,
		BookDate:      string(l.BookedOn),
		Amount:        wire.Money(l.Amount),
		BankReference: l.BankReference,
		State:         lineStates[l.State],
		Pledge:        pledgeName(l.Collective, l.PledgeCampaign, l.Pledge),
		IgnoreReason:  l.IgnoreReason,
		BankStatement: statementName(l.Collective, l.Statement),
		CreateTime:    wire.Time(l.CreateTime),
		UpdateTime:    wire.Time(l.UpdateTime),
	}
	if l.SplitFrom != uuid.Nil {
		p.SplitFrom = lineName(l.Collective, l.SplitFrom)
	}
	for _, part := range l.Parts {
		p.Parts = append(p.Parts, lineName(l.Collective, part))
	}
	// A line that is unmatched or ignored has no target.
	if l.Target == "" {
		return p
	}
	campaign := campaigns.Name{Collective: l.Collective, Campaign: l.DonationCampaign}
	p.Target = &bankv1.BankLineTarget{}
	// A donation is there once it is booked, whatever the line was matched with.
	if l.Donation != uuid.Nil {
		p.Target.OfflineDonation = treasury.OfflineDonation{Campaign: campaign, ID: l.Donation}.Name()
	}
	switch l.Target {
	case TargetPledge:
		// The text names what is suggested. A member may have matched another pledge.
		p.Target.Target = &bankv1.BankLineTarget_Pledge{Pledge: p.GetPledge()}
		if l.State == LineMatched {
			p.Target.Target = &bankv1.BankLineTarget_Pledge{Pledge: pledgeName(l.Collective, l.DonationCampaign, l.DonationPledge)}
		}
	case TargetCampaign:
		p.Target.Target = &bankv1.BankLineTarget_Campaign{Campaign: campaign.String()}
	case TargetExpense:
		p.Target.Target = &bankv1.BankLineTarget_Expense{Expense: treasury.Expense{Collective: l.Collective, ID: l.Expense}.Name()}
	case TargetTransaction:
		name := transactionPrefix(l.Collective) + strconv.FormatInt(l.Transaction, 10)
		p.Target.Target = &bankv1.BankLineTarget_Transaction{Transaction: name}
	case TargetUnknownReceipt:
		p.Target.Target = &bankv1.BankLineTarget_UnknownReceipt{UnknownReceipt: true}
	}
	return p
}

// pledgeName is the resource name of a pledge; empty for none.
func pledgeName(collective, campaign string, id uuid.UUID) string {
	if id == uuid.Nil {
		return ""
	}
	return treasury.Pledge{Campaign: campaigns.Name{Collective: collective, Campaign: campaign}, ID: id}.Name()
}

func (s *server) CountOpenBankLines(ctx context.Context, req *bankv1.CountOpenBankLinesRequest) (*bankv1.CountOpenBankLinesResponse, error) {
	collective, err := collectiveID(req.GetParent())
	if err != nil {
		return nil, err
	}
	n, err := s.service.OpenLines(ctx, collective)
	if err != nil {
		return nil, err
	}
	return &bankv1.CountOpenBankLinesResponse{OpenLineCount: int32(n.Open), SuggestedLineCount: int32(n.Suggested), More: n.More}, nil
}

var suggestionKinds = map[SuggestionKind]bankv1.BankLineSuggestionKind{
	SuggestPledge:   bankv1.BankLineSuggestionKind_BANK_LINE_SUGGESTION_KIND_PLEDGE,
	SuggestExpense:  bankv1.BankLineSuggestionKind_BANK_LINE_SUGGESTION_KIND_EXPENSE,
	SuggestPayout:   bankv1.BankLineSuggestionKind_BANK_LINE_SUGGESTION_KIND_PAYOUT,
	SuggestDeposit:  bankv1.BankLineSuggestionKind_BANK_LINE_SUGGESTION_KIND_DEPOSIT,
	SuggestDonation: bankv1.BankLineSuggestionKind_BANK_LINE_SUGGESTION_KIND_DONATION,
	SuggestPayment:  bankv1.BankLineSuggestionKind_BANK_LINE_SUGGESTION_KIND_PAYMENT,
	SuggestBounce:   bankv1.BankLineSuggestionKind_BANK_LINE_SUGGESTION_KIND_BOUNCE,
	SuggestTopUp:    bankv1.BankLineSuggestionKind_BANK_LINE_SUGGESTION_KIND_TOP_UP,
	SuggestOther:    bankv1.BankLineSuggestionKind_BANK_LINE_SUGGESTION_KIND_OTHER,
}

var reasons = map[Reason]bankv1.BankLineSuggestionReason{
	ReasonReference: bankv1.BankLineSuggestionReason_BANK_LINE_SUGGESTION_REASON_REFERENCE,
	ReasonDocument:  bankv1.BankLineSuggestionReason_BANK_LINE_SUGGESTION_REASON_DOCUMENT,
	ReasonPayee:     bankv1.BankLineSuggestionReason_BANK_LINE_SUGGESTION_REASON_PAYEE,
	ReasonAmount:    bankv1.BankLineSuggestionReason_BANK_LINE_SUGGESTION_REASON_AMOUNT,
	ReasonPart:      bankv1.BankLineSuggestionReason_BANK_LINE_SUGGESTION_REASON_PART_OF_AMOUNT,
	ReasonMore:      bankv1.BankLineSuggestionReason_BANK_LINE_SUGGESTION_REASON_MORE_THAN_AMOUNT,
	ReasonDay:       bankv1.BankLineSuggestionReason_BANK_LINE_SUGGESTION_REASON_DAY,
	ReasonAddsUp:    bankv1.BankLineSuggestionReason_BANK_LINE_SUGGESTION_REASON_ADDS_UP,
}
