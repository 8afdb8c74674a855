package bank

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"

	bankv1 "github.com/cagnotte/cagnotte/proto/cagnotte/bank/v1"
	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	moneyv1 "github.com/cagnotte/cagnotte/proto/cagnotte/money/v1"
	"github.com/cagnotte/cagnotte/services/bank/statement"
	"github.com/cagnotte/cagnotte/services/campaigns"
	"github.com/cagnotte/cagnotte/services/collectives"
	"github.com/cagnotte/cagnotte/services/internal/calendar"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/page"
	"github.com/cagnotte/cagnotte/services/internal/wire"
	"github.com/cagnotte/cagnotte/services/money"
	"github.com/cagnotte/cagnotte/services/treasury"
)

// server turns messages into calls of the Service and back, and refuses names and enums that cannot be right.
type server struct {
	bankv1.UnimplementedBankServiceServer
	service *Service
}

// NewServer returns the service as gRPC.
func NewServer(s *Service) bankv1.BankServiceServer { return &server{service: s} }

// collectiveID reads `collectives/{collective}`.
func collectiveID(name string) (string, error) {
	id, ok := collectives.ParseName(name)
	if !ok {
		return "", errs.NotFound(name)
	}
	return id, nil
}

// ofCollective reads `collectives/{collective}/{kind}/{id}`.
// A name that cannot be one is NOT_FOUND, like one that names nothing.
func ofCollective(name, kind string) (collective string, id uuid.UUID, err error) {
	parent, last, ok := strings.Cut(name, "/"+kind+"/")
	if !ok {
		return "", uuid.Nil, errs.NotFound(name)
	}
	if collective, err = collectiveID(parent); err != nil {
		return "", uuid.Nil, errs.NotFound(name)
	}
	if id, err = uuid.Parse(last); err != nil {
		return "", uuid.Nil, errs.NotFound(name)
	}
	return collective, id, nil
}

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

// dateLayouts are the layouts of package time for the contract's date_format.
// An empty format is the one that is usual in France.
var dateLayouts = map[string]string{
	"":           "02/01/2006",
	"dd/mm/yyyy": "02/01/2006",
	"yyyy-mm-dd": "2006-01-02",
	"dd-mm-yyyy": "02-01-2006",
	"dd.mm.yyyy": "02.01.2006",
	"dd/mm/yy":   "02/01/06",
	"yyyymmdd":   "20060102",
	"mm/dd/yyyy": "01/02/2006",
}

func (s *server) ImportBankStatement(ctx context.Context, req *bankv1.ImportBankStatementRequest) (*bankv1.ImportBankStatementResponse, error) {
	collective, err := collectiveID(req.GetParent())
	if err != nil {
		return nil, err
	}
	r, err := treasury.NewRequest(ctx, req.GetRequestId())
	if err != nil {
		return nil, err
	}
	// The balances may be given for a CSV file, which has none. A CAMT.053 file has its own.
	f := statement.File{
		Content: req.GetContent(), Account: req.GetAccount(), Currency: money.Currency(cmp.Or(req.GetCurrencyCode(), string(money.EUR))),
		Opening: balance(req.GetOpeningBalance()), Closing: balance(req.GetClosingBalance()),
	}
	if csv := req.GetCsv(); csv != nil {
		if f.CSV, err = csvFromProto(csv); err != nil {
			return nil, err
		}
		// A CAMT.053 file names its currency, so only here it is checked.
		if !f.Currency.Valid() {
			return nil, errs.Invalid("currency_code", "must be a currency of ISO 4217")
		}
	}
	asked := Import{Collective: collective, File: f, Detect: req.GetDetect()}
	if req.GetValidateOnly() {
		p, err := s.service.PreviewStatement(ctx, asked)
		if err != nil {
			return nil, err
		}
		return previewToProto(p), nil
	}
	done, err := s.service.ImportStatement(ctx, r, asked)
	if err != nil {
		return nil, err
	}
	answer := &bankv1.ImportBankStatementResponse{
		BookedLineCount:     int32(done.Booked),
		RecognisedLineCount: int32(done.Recognised),
		OpenLineCount:       int32(done.Open),
		LeftOutAccounts:     done.OtherAccounts,
		NotBookedLineCount:  int32(done.NotBooked),
	}
	for _, st := range done.Statements {
		answer.BankStatements = append(answer.BankStatements, statementToProto(st))
	}
	return answer, nil
}

var problemKinds = map[statement.ProblemKind]bankv1.BankStatementProblemKind{
	statement.ProblemNotAStatement: bankv1.BankStatementProblemKind_BANK_STATEMENT_PROBLEM_KIND_NOT_A_STATEMENT,
	statement.ProblemPDF:           bankv1.BankStatementProblemKind_BANK_STATEMENT_PROBLEM_KIND_PDF,
	statement.ProblemWorkbook:      bankv1.BankStatementProblemKind_BANK_STATEMENT_PROBLEM_KIND_WORKBOOK,
	statement.ProblemColumns:       bankv1.BankStatementProblemKind_BANK_STATEMENT_PROBLEM_KIND_COLUMNS,
	statement.ProblemBroken:        bankv1.BankStatementProblemKind_BANK_STATEMENT_PROBLEM_KIND_BROKEN,
	statement.ProblemDay:           bankv1.BankStatementProblemKind_BANK_STATEMENT_PROBLEM_KIND_DAY,
	statement.ProblemAmount:        bankv1.BankStatementProblemKind_BANK_STATEMENT_PROBLEM_KIND_AMOUNT,
	statement.ProblemDirection:     bankv1.BankStatementProblemKind_BANK_STATEMENT_PROBLEM_KIND_DIRECTION,
	statement.ProblemState:         bankv1.BankStatementProblemKind_BANK_STATEMENT_PROBLEM_KIND_STATE,
	statement.ProblemEmpty:         bankv1.BankStatementProblemKind_BANK_STATEMENT_PROBLEM_KIND_EMPTY,
	statement.ProblemTooLarge:      bankv1.BankStatementProblemKind_BANK_STATEMENT_PROBLEM_KIND_TOO_LARGE,
	statement.ProblemFuture:        bankv1.BankStatementProblemKind_BANK_STATEMENT_PROBLEM_KIND_FUTURE,
	statement.ProblemUnbalanced:    bankv1.BankStatementProblemKind_BANK_STATEMENT_PROBLEM_KIND_UNBALANCED,
	statement.ProblemOtherAccount:  bankv1.BankStatementProblemKind_BANK_STATEMENT_PROBLEM_KIND_OTHER_ACCOUNT,
	statement.ProblemAccounts:      bankv1.BankStatementProblemKind_BANK_STATEMENT_PROBLEM_KIND_ACCOUNTS,
	statement.ProblemAmbiguous:     bankv1.BankStatementProblemKind_BANK_STATEMENT_PROBLEM_KIND_AMBIGUOUS,
	statement.ProblemNoAccount:     bankv1.BankStatementProblemKind_BANK_STATEMENT_PROBLEM_KIND_NO_ACCOUNT,
}

// previewToProto answers a preview: its statements as those of an import, without names.
func previewToProto(p Preview) *bankv1.ImportBankStatementResponse {
	preview := &bankv1.BankStatementPreview{StartDate: string(p.Start), EndDate: string(p.End), Columns: p.Columns}
	switch {
	case p.File.CSV != nil:
		preview.Format, preview.Csv = bankv1.BankFileFormat_BANK_FILE_FORMAT_CSV, csvToProto(p.File.CSV)
		preview.Encoding = preview.GetCsv().GetEncoding()
	case p.File.Content != nil:
		preview.Format = bankv1.BankFileFormat_BANK_FILE_FORMAT_CAMT053
	}
	answer := &bankv1.ImportBankStatementResponse{
		Preview: preview, LeftOutAccounts: p.OtherAccounts, NotBookedLineCount: int32(p.NotBooked),
	}
	if p.Problem != nil {
		e := errs.As(p.Err)
		problem := &bankv1.BankStatementProblem{
			Kind: problemKinds[p.Problem.Kind], Line: int32(p.Problem.Line), Accounts: p.Problem.Accounts, Date: string(p.FormUntil),
			Description: e.Message, ComputedBalance: wire.MoneyOrNil(p.Problem.Computed), ClosingBalance: wire.MoneyOrNil(p.Problem.Closing),
		}
		if e.Reason == errorsv1.ErrorReason_STATEMENT_FORM_CHANGED {
			problem.Kind = bankv1.BankStatementProblemKind_BANK_STATEMENT_PROBLEM_KIND_FORM_CHANGED
		}
		preview.Problem = problem
		return answer
	}
	for _, st := range p.Statements {
		sent := statementToProto(st)
		sent.Name, sent.CreateTime = "", nil
		answer.BankStatements = append(answer.BankStatements, sent)
	}
	for _, l := range p.Lines {
		line := &bankv1.BankLinePreview{BookDate: string(l.BookedOn), Amount: wire.Money(l.Amount), Text: l.Text, Imported: l.Imported}
		if l.Pledge.ID != uuid.Nil {
			line.Pledge = l.Pledge.Name()
		}
		preview.Lines = append(preview.Lines, line)
	}
	return answer
}

// csvToProto is the inverse of csvFromProto.
func csvToProto(f *statement.CSVFormat) *bankv1.CsvFormat {
	p := &bankv1.CsvFormat{
		Separator: string(f.Separator), SkipLines: int32(f.SkipLines), Header: f.Header, Section: f.Section, DecimalMark: f.DecimalMark,
		DateColumn: int32(f.Date), AmountColumn: int32(f.Amount), DebitColumn: int32(f.Debit), CreditColumn: int32(f.Credit),
		ReferenceColumn: int32(f.Reference), SignColumn: int32(f.Sign), DebitWord: f.DebitWord, CreditWord: f.CreditWord,
		StateColumn: int32(f.State), BookedStates: f.Booked, FeeColumn: int32(f.Fee),
	}
	for known, encoding := range encodings {
		if encoding == f.Encoding {
			p.Encoding = known
		}
	}
	for known, q := range quotes {
		if q == f.Quotes {
			p.Quotes = known
		}
	}
	for format, layout := range dateLayouts {
		if layout == f.DateLayout && format != "" {
			p.DateFormat = format
		}
	}
	for _, column := range f.Text {
		p.TextColumns = append(p.TextColumns, int32(column))
	}
	return p
}

// balance is nil for one that is not known.
func balance(m *moneyv1.Money) *money.Amount {
	if m == nil {
		return nil
	}
	a := wire.Amount(m)
	return &a
}

var encodings = map[bankv1.CsvEncoding]statement.Encoding{
	bankv1.CsvEncoding_CSV_ENCODING_UNSPECIFIED:  statement.GuessEncoding,
	bankv1.CsvEncoding_CSV_ENCODING_UTF_8:        statement.UTF8,
	bankv1.CsvEncoding_CSV_ENCODING_ISO_8859_15:  statement.Latin9,
	bankv1.CsvEncoding_CSV_ENCODING_WINDOWS_1252: statement.Windows1252,
}

var quotes = map[bankv1.CsvQuotes]statement.Quotes{
	bankv1.CsvQuotes_CSV_QUOTES_UNSPECIFIED:   statement.GuessQuotes,
	bankv1.CsvQuotes_CSV_QUOTES_AROUND_FIELDS: statement.QuotesAroundFields,
	bankv1.CsvQuotes_CSV_QUOTES_IN_TEXT:       statement.QuotesInText,
}

// csvFromProto sets the defaults of French banks: fields between semicolons, and a decimal comma. The contract bounds
// the texts and the columns; [statement.CSVFormat.Check] refuses what contradicts itself.
func csvFromProto(p *bankv1.CsvFormat) (*statement.CSVFormat, error) {
	f := &statement.CSVFormat{
		Separator:   []rune(cmp.Or(p.GetSeparator(), ";"))[0],
		Encoding:    encodings[p.GetEncoding()],
		Quotes:      quotes[p.GetQuotes()],
		SkipLines:   int(p.GetSkipLines()),
		Header:      strings.TrimSpace(p.GetHeader()),
		Section:     strings.TrimSpace(p.GetSection()),
		DateLayout:  dateLayouts[p.GetDateFormat()],
		DecimalMark: cmp.Or(p.GetDecimalMark(), ","),
		Date:        int(p.GetDateColumn()),
		Amount:      int(p.GetAmountColumn()),
		Debit:       int(p.GetDebitColumn()),
		Credit:      int(p.GetCreditColumn()),
		Reference:   int(p.GetReferenceColumn()),
		Sign:        int(p.GetSignColumn()),
		DebitWord:   strings.TrimSpace(p.GetDebitWord()),
		CreditWord:  strings.TrimSpace(p.GetCreditWord()),
		State:       int(p.GetStateColumn()),
		Booked:      p.GetBookedStates(),
		Fee:         int(p.GetFeeColumn()),
	}
	for _, column := range p.GetTextColumns() {
		f.Text = append(f.Text, int(column))
	}
	return f, f.Check()
}

func (s *server) GetBankStatement(ctx context.Context, req *bankv1.GetBankStatementRequest) (*bankv1.BankStatement, error) {
	collective, id, err := ofCollective(req.GetName(), "bankStatements")
	if err != nil {
		return nil, err
	}
	st, err := s.service.Statement(ctx, collective, id)
	if err != nil {
		return nil, err
	}
	return statementToProto(st), nil
}

func (s *server) ListBankStatements(ctx context.Context, req *bankv1.ListBankStatementsRequest) (*bankv1.ListBankStatementsResponse, error) {
	collective, err := collectiveID(req.GetParent())
	if err != nil {
		return nil, err
	}
	found, next, err := page.List(req, "bank statements of "+collective, newest, func(after Position, limit int) ([]Statement, error) {
		return s.service.Statements(ctx, collective, after, limit)
	}, func(st Statement) Position { return Position{st.CreateTime, st.ID} })
	answer := &bankv1.ListBankStatementsResponse{NextPageToken: next}
	for _, st := range found {
		answer.BankStatements = append(answer.BankStatements, statementToProto(st))
	}
	return answer, err
}

func statementToProto(st Statement) *bankv1.BankStatement {
	return &bankv1.BankStatement{
		Name: st.Name(), Account: st.Account, OpeningBalance: wire.MoneyOrNil(st.Opening), ClosingBalance: wire.MoneyOrNil(st.Closing),
		ClosingDate: string(st.ClosingOn), LineCount: int32(st.Lines), NewLineCount: int32(st.NewLines),
		CreateTime: wire.Time(st.CreateTime),
	}
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
	return lineAnswer(s.service.UnmatchLine(ctx, r, collective, id, req.GetReason()))
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

func (s *server) SplitBankLine(ctx context.Context, req *bankv1.SplitBankLineRequest) (*bankv1.BankLine, error) {
	collective, id, r, err := lineChanged(ctx, req)
	if err != nil {
		return nil, err
	}
	var parts []Part
	for i, sent := range req.GetParts() {
		part := Part{Amount: wire.Amount(sent.GetAmount())}
		if sent.GetTarget() != nil {
			target, err := targetFromProto(collective, sent.GetTarget())
			if err != nil {
				return nil, partError(err, i)
			}
			part.Target = &target
		}
		parts = append(parts, part)
	}
	return lineAnswer(s.service.SplitLine(ctx, r, collective, id, parts))
}

// partError names the fields of an error about a part as they are in the request.
func partError(err error, part int) error {
	e := *errs.As(err)
	e.Fields = slices.Clone(e.Fields)
	for i := range e.Fields {
		e.Fields[i].Field = "parts[" + strconv.Itoa(part) + "]." + e.Fields[i].Field
	}
	return &e
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
}

func (s *server) SuggestBankLineMatches(ctx context.Context, req *bankv1.SuggestBankLineMatchesRequest) (*bankv1.SuggestBankLineMatchesResponse, error) {
	collective, id, err := ofCollective(req.GetName(), "bankLines")
	if err != nil {
		return nil, err
	}
	found, err := s.service.Suggestions(ctx, collective, id)
	if err != nil {
		return nil, err
	}
	answer := &bankv1.SuggestBankLineMatchesResponse{}
	for _, g := range found {
		p := &bankv1.BankLineSuggestion{
			Target: suggestedTarget(collective, g.Target), Kind: suggestionKinds[g.Kind], Amount: wire.Money(g.Amount),
			Date: string(g.On), DaysLater: int32(g.DaysLater), Document: g.Document, Payee: g.Payee, WholeLine: g.WholeLine,
		}
		if g.Campaign != (campaigns.Name{}) {
			p.Campaign = g.Campaign.String()
		}
		for _, r := range g.Reasons {
			p.Reasons = append(p.Reasons, reasons[r])
		}
		answer.Suggestions = append(answer.Suggestions, p)
	}
	return answer, nil
}

// suggestedTarget is a target as MatchBankLine takes it.
func suggestedTarget(collective string, t Target) *bankv1.BankLineTarget {
	switch t.Kind {
	case TargetPledge:
		return &bankv1.BankLineTarget{Target: &bankv1.BankLineTarget_Pledge{Pledge: pledgeName(collective, t.Campaign.Campaign, t.ID)}}
	case TargetExpense:
		return &bankv1.BankLineTarget{Target: &bankv1.BankLineTarget_Expense{Expense: treasury.Expense{Collective: collective, ID: t.ID}.Name()}}
	}
	return &bankv1.BankLineTarget{Target: &bankv1.BankLineTarget_Transaction{Transaction: transactionPrefix(collective) + strconv.FormatInt(t.Transaction, 10)}}
}

func (s *server) GetBankPosition(ctx context.Context, req *bankv1.GetBankPositionRequest) (*bankv1.BankPosition, error) {
	collective, err := collectiveID(strings.TrimSuffix(req.GetName(), "/bankPosition"))
	if err != nil {
		return nil, err
	}
	p, err := s.service.BankPosition(ctx, collective)
	if err != nil {
		return nil, err
	}
	answer := &bankv1.BankPosition{
		Name: req.GetName(), BookBalance: wire.Money(p.Book), StatementBalance: wire.MoneyOrNil(p.Statement), StatementDate: string(p.StatementOn),
		OpenLines: wire.Money(p.Open), OpenLineCount: int32(p.OpenCount), IgnoredLines: wire.Money(p.Ignored),
	}
	// Without a closing balance there is nothing to compare with. Both amounts are in one currency here.
	if p.Statement != nil {
		difference, err := p.Book.Sub(*p.Statement)
		if err != nil {
			return nil, errs.Internal(err)
		}
		answer.Difference = wire.Money(difference)
	}
	return answer, nil
}
