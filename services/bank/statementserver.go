package bank

import (
	"cmp"
	"context"
	"strings"

	"github.com/google/uuid"

	bankv1 "github.com/cagnotte/cagnotte/proto/cagnotte/bank/v1"
	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	moneyv1 "github.com/cagnotte/cagnotte/proto/cagnotte/money/v1"
	"github.com/cagnotte/cagnotte/services/bank/statement"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/page"
	"github.com/cagnotte/cagnotte/services/internal/wire"
	"github.com/cagnotte/cagnotte/services/money"
	"github.com/cagnotte/cagnotte/services/treasury"
)

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
	statement.ProblemIntraday:      bankv1.BankStatementProblemKind_BANK_STATEMENT_PROBLEM_KIND_INTRADAY,
	statement.ProblemNotification:  bankv1.BankStatementProblemKind_BANK_STATEMENT_PROBLEM_KIND_NOTIFICATION,
}

var fileFormats = map[statement.Format]bankv1.BankFileFormat{
	"":                 bankv1.BankFileFormat_BANK_FILE_FORMAT_CAMT053,
	statement.CAMT053:  bankv1.BankFileFormat_BANK_FILE_FORMAT_CAMT053,
	statement.CSV:      bankv1.BankFileFormat_BANK_FILE_FORMAT_CSV,
	statement.OFX:      bankv1.BankFileFormat_BANK_FILE_FORMAT_OFX,
	statement.CFONB120: bankv1.BankFileFormat_BANK_FILE_FORMAT_CFONB120,
	statement.MT940:    bankv1.BankFileFormat_BANK_FILE_FORMAT_MT940,
	statement.QIF:      bankv1.BankFileFormat_BANK_FILE_FORMAT_QIF,
}

// previewToProto answers a preview: its statements as those of an import, without names.
func previewToProto(p Preview) *bankv1.ImportBankStatementResponse {
	preview := &bankv1.BankStatementPreview{StartDate: string(p.Start), EndDate: string(p.End), Columns: p.Columns}
	switch {
	case p.File.CSV != nil:
		preview.Format, preview.Csv = bankv1.BankFileFormat_BANK_FILE_FORMAT_CSV, csvToProto(p.File.CSV)
		preview.Encoding = preview.GetCsv().GetEncoding()
	case p.File.Content != nil:
		preview.Format = fileFormats[p.File.Format]
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
