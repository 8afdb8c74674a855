package treasury

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	treasuryv1 "github.com/cagnotte/cagnotte/proto/cagnotte/treasury/v1"
	"github.com/cagnotte/cagnotte/services/campaigns"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/page"
	"github.com/cagnotte/cagnotte/services/internal/wire"
	"github.com/cagnotte/cagnotte/services/money"
)

var lineStates = map[LineState]treasuryv1.BankLineState{
	"":            treasuryv1.BankLineState_BANK_LINE_STATE_UNSPECIFIED,
	LineUnmatched: treasuryv1.BankLineState_BANK_LINE_STATE_UNMATCHED,
	LineSuggested: treasuryv1.BankLineState_BANK_LINE_STATE_SUGGESTED,
	LineMatched:   treasuryv1.BankLineState_BANK_LINE_STATE_MATCHED,
	LineIgnored:   treasuryv1.BankLineState_BANK_LINE_STATE_IGNORED,
}

var clearingKinds = map[ClearingKind]treasuryv1.ClearingKind{
	ClearingCheque:         treasuryv1.ClearingKind_CLEARING_KIND_CHEQUE,
	ClearingUnknownReceipt: treasuryv1.ClearingKind_CLEARING_KIND_UNKNOWN_RECEIPT,
	ClearingExpense:        treasuryv1.ClearingKind_CLEARING_KIND_EXPENSE,
}

// dateLayouts are the contract's ways to write a day, as Go writes them.
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

func (s *server) ImportBankStatement(
	ctx context.Context, req *treasuryv1.ImportBankStatementRequest,
) (*treasuryv1.ImportBankStatementResponse, error) {
	collective, err := collectiveID(req.GetParent())
	if err != nil {
		return nil, err
	}
	r, err := request(ctx, req.GetRequestId())
	if err != nil {
		return nil, err
	}
	f := StatementFile{
		Collective: collective, Content: req.GetContent(), Account: req.GetAccount(),
		Currency: money.Currency(cmp.Or(req.GetCurrencyCode(), string(money.EUR))),
	}
	f.Opening, f.Closing = wire.AmountOrNil(req.GetOpeningBalance()), wire.AmountOrNil(req.GetClosingBalance())
	if csv := req.GetCsv(); csv != nil {
		if f.CSV, err = csvFromProto(csv); err != nil {
			return nil, err
		}
		if !f.Currency.Valid() {
			return nil, errs.Invalid("currency_code", "must be a currency of ISO 4217")
		}
	}
	done, err := s.service.ImportStatement(ctx, r, f)
	if err != nil {
		return nil, err
	}
	return &treasuryv1.ImportBankStatementResponse{
		BankStatements:      each(done.Statements, statementToProto),
		BookedLineCount:     int32(done.Booked),
		RecognisedLineCount: int32(done.Recognised),
		OpenLineCount:       int32(done.Open),
		LeftOutAccounts:     done.LeftOut,
		NotBookedLineCount:  int32(done.NotBooked),
	}, nil
}

var csvEncodings = map[treasuryv1.CsvEncoding]csvEncoding{
	treasuryv1.CsvEncoding_CSV_ENCODING_UNSPECIFIED:  guessEncoding,
	treasuryv1.CsvEncoding_CSV_ENCODING_UTF_8:        utf8Encoding,
	treasuryv1.CsvEncoding_CSV_ENCODING_ISO_8859_15:  latin9Encoding,
	treasuryv1.CsvEncoding_CSV_ENCODING_WINDOWS_1252: windows1252Encoding,
}

var csvQuotes = map[treasuryv1.CsvQuotes]quoting{
	treasuryv1.CsvQuotes_CSV_QUOTES_UNSPECIFIED:   guessQuotes,
	treasuryv1.CsvQuotes_CSV_QUOTES_AROUND_FIELDS: quotesAroundFields,
	treasuryv1.CsvQuotes_CSV_QUOTES_IN_TEXT:       quotesInText,
}

func csvFromProto(p *treasuryv1.CsvFormat) (*csvFormat, error) {
	f := &csvFormat{
		separator:   []rune(cmp.Or(p.GetSeparator(), ";"))[0],
		encoding:    csvEncodings[p.GetEncoding()],
		quotes:      csvQuotes[p.GetQuotes()],
		skipLines:   int(p.GetSkipLines()),
		header:      strings.TrimSpace(p.GetHeader()),
		section:     strings.TrimSpace(p.GetSection()),
		dateLayout:  dateLayouts[p.GetDateFormat()],
		decimalMark: cmp.Or(p.GetDecimalMark(), ","),
		date:        int(p.GetDateColumn()),
		amount:      int(p.GetAmountColumn()),
		debit:       int(p.GetDebitColumn()),
		credit:      int(p.GetCreditColumn()),
		reference:   int(p.GetReferenceColumn()),
		sign:        int(p.GetSignColumn()),
		debitWord:   strings.TrimSpace(p.GetDebitWord()),
		creditWord:  strings.TrimSpace(p.GetCreditWord()),
		state:       int(p.GetStateColumn()),
		booked:      p.GetBookedStates(),
		fee:         int(p.GetFeeColumn()),
	}
	for _, column := range p.GetTextColumns() {
		f.text = append(f.text, int(column))
	}
	if slices.Contains(f.text, f.reference) {
		return nil, errs.Invalid("csv.reference_column", "must be none of text_columns: it is kept, and what payers wrote is not")
	}
	if (f.amount > 0) == (f.debit > 0 || f.credit > 0) {
		return nil, errs.Invalid("csv.amount_column", "must be said, or debit_column and credit_column instead")
	}
	switch {
	case f.sign > 0 && f.amount == 0:
		return nil, errs.Invalid("csv.sign_column", "must stand beside amount_column")
	case f.sign > 0 && (f.debitWord == "" || f.creditWord == "" || strings.EqualFold(f.debitWord, f.creditWord)):
		return nil, errs.Invalid("csv.debit_word", "must be said with sign_column, and credit_word, which is another one")
	case slices.Contains(creditWords, strings.ToLower(f.debitWord)), slices.Contains(debitWords, strings.ToLower(f.creditWord)):
		return nil, errs.Invalid("csv.debit_word", "must be the word for money that went, and credit_word that for money that came")
	case f.sign == 0 && f.debitWord+f.creditWord != "":
		return nil, errs.Invalid("csv.sign_column", "must be said with debit_word and credit_word")
	case (f.state > 0) != (len(f.booked) > 0):
		return nil, errs.Invalid("csv.booked_states", "must be said with state_column, and not without it")
	case f.header != "" && f.skipLines > 0:
		return nil, errs.Invalid("csv.skip_lines", "must be left out when header is said")
	case f.section != "" && f.header == "":
		return nil, errs.Invalid("csv.section", "must be said with header only")
	}
	return f, nil
}

func statementToProto(st Statement) *treasuryv1.BankStatement {
	return &treasuryv1.BankStatement{
		Name: st.Name(), Account: st.Account, OpeningBalance: wire.MoneyOrNil(st.Opening), ClosingBalance: wire.MoneyOrNil(st.Closing),
		ClosingDate: string(st.ClosingOn), LineCount: int32(st.Lines), NewLineCount: int32(st.NewLines),
		CreateTime: wire.Time(st.CreateTime),
	}
}

func (s *server) ListBankLines(ctx context.Context, req *treasuryv1.ListBankLinesRequest) (*treasuryv1.ListBankLinesResponse, error) {
	collective, err := collectiveID(req.GetParent())
	if err != nil {
		return nil, err
	}
	state, _ := known(lineStates, req.GetState())
	filter := fmt.Sprintf("bank lines of %s in %s of %q", collective, state, req.GetAccount())
	found, next, err := page.List(req, filter, newest, func(at Position, count int) ([]Line, error) {
		return s.service.Lines(ctx, collective, state, req.GetAccount(), at, count)
	}, func(l Line) Position { return Position{l.BookedOn.time(), l.ID} })
	return &treasuryv1.ListBankLinesResponse{BankLines: each(found, lineToProto), NextPageToken: next}, err
}

func (s *server) MatchBankLine(ctx context.Context, req *treasuryv1.MatchBankLineRequest) (*treasuryv1.BankLine, error) {
	collective, id, r, err := ofCollectiveChanged(ctx, req, "bankLines")
	if err != nil {
		return nil, err
	}
	target, err := targetFromProto(collective, req.GetTarget())
	if err != nil {
		return nil, err
	}
	return lineAnswer(s.service.MatchLine(ctx, r, collective, id, target))
}

// targetFromProto reads what a line is said to be; names of other collectives are refused.
func targetFromProto(collective string, p *treasuryv1.BankLineTarget) (t Target, err error) {
	switch target := p.GetTarget().(type) {
	case *treasuryv1.BankLineTarget_Pledge:
		t.Kind, t.name = TargetPledge, target.Pledge
		if t.Campaign, t.ID, err = ofCampaign(target.Pledge, "pledges"); err != nil || t.Campaign.Collective != collective {
			return t, errs.Invalid("target.pledge", "must be a pledge of the collective's")
		}
	case *treasuryv1.BankLineTarget_Campaign:
		t.Kind, t.name = TargetCampaign, target.Campaign
		if t.Campaign, err = campaigns.ParseName(target.Campaign); err != nil || t.Campaign.Collective != collective {
			return t, errs.Invalid("target.campaign", "must be a campaign of the collective")
		}
	case *treasuryv1.BankLineTarget_Expense:
		t.Kind, t.name = TargetExpense, target.Expense
		var of string
		if of, t.ID, err = ofCollective(target.Expense, "expenses"); err != nil || of != collective {
			return t, errs.Invalid("target.expense", "must be an expense of the collective's")
		}
	case *treasuryv1.BankLineTarget_Transaction:
		t.Kind, t.name = TargetTransaction, target.Transaction
		number, own := strings.CutPrefix(target.Transaction, transactionPrefix(collective))
		if t.Transaction, err = strconv.ParseInt(number, 10, 64); err != nil || !own || t.Transaction <= 0 {
			return t, errs.Invalid("target.transaction", "must be a transaction of the collective's")
		}
	default:
		t.Kind = TargetUnknownReceipt
	}
	return t, nil
}

func transactionPrefix(collective string) string {
	return "collectives/" + collective + "/ledger/transactions/"
}

func (s *server) UnmatchBankLine(ctx context.Context, req *treasuryv1.UnmatchBankLineRequest) (*treasuryv1.BankLine, error) {
	collective, id, r, err := ofCollectiveChanged(ctx, req, "bankLines")
	if err != nil {
		return nil, err
	}
	return lineAnswer(s.service.UnmatchLine(ctx, r, collective, id, req.GetReason()))
}

func (s *server) IgnoreBankLine(ctx context.Context, req *treasuryv1.IgnoreBankLineRequest) (*treasuryv1.BankLine, error) {
	collective, id, r, err := ofCollectiveChanged(ctx, req, "bankLines")
	if err != nil {
		return nil, err
	}
	return lineAnswer(s.service.IgnoreLine(ctx, r, collective, id, req.GetReason()))
}

var lineAnswer = answer(lineToProto)

func lineToProto(l Line) *treasuryv1.BankLine {
	named := campaigns.Name{Collective: l.Collective, Campaign: l.PledgeCampaign}
	p := &treasuryv1.BankLine{
		Name:          l.Name(),
		Account:       l.Account,
		BookDate:      string(l.BookedOn),
		Amount:        wire.Money(l.Amount),
		BankReference: l.BankReference,
		State:         lineStates[l.State],
		Pledge:        nameOr(l.Pledge, pledgeName(named, l.Pledge)),
		IgnoreReason:  l.IgnoreReason,
		BankStatement: Statement{Collective: l.Collective, ID: l.Statement}.Name(),
		CreateTime:    wire.Time(l.CreateTime),
		UpdateTime:    wire.Time(l.UpdateTime),
	}
	if l.Target == "" {
		return p
	}
	given := campaigns.Name{Collective: l.Collective, Campaign: l.DonationCampaign}
	p.Target = &treasuryv1.BankLineTarget{OfflineDonation: nameOr(l.Donation, donationName(given, l.Donation))}
	switch l.Target {
	case TargetPledge:
		// Suggested is what the text names; matched it may have been to another.
		p.Target.Target = &treasuryv1.BankLineTarget_Pledge{Pledge: p.GetPledge()}
		if l.State == LineMatched {
			p.Target.Target = &treasuryv1.BankLineTarget_Pledge{Pledge: pledgeName(given, l.DonationPledge)}
		}
	case TargetCampaign:
		p.Target.Target = &treasuryv1.BankLineTarget_Campaign{Campaign: given.String()}
	case TargetExpense:
		p.Target.Target = &treasuryv1.BankLineTarget_Expense{Expense: expenseName(l.Collective, l.Expense)}
	case TargetTransaction:
		name := transactionPrefix(l.Collective) + strconv.FormatInt(l.Transaction, 10)
		p.Target.Target = &treasuryv1.BankLineTarget_Transaction{Transaction: name}
	case TargetUnknownReceipt:
		p.Target.Target = &treasuryv1.BankLineTarget_UnknownReceipt{UnknownReceipt: true}
	}
	return p
}

func (s *server) ListClearingItems(ctx context.Context, req *treasuryv1.ListClearingItemsRequest) (*treasuryv1.ListClearingItemsResponse, error) {
	collective, err := collectiveID(req.GetParent())
	if err != nil {
		return nil, err
	}
	found, next, err := page.List(req, "clearing of "+collective, Position{}, func(at Position, count int) ([]ClearingItem, error) {
		return s.service.Clearing(ctx, collective, at, count)
	}, func(c ClearingItem) Position { return Position{c.Since.time(), c.ID} })
	return &treasuryv1.ListClearingItemsResponse{
		Items: each(found, func(c ClearingItem) *treasuryv1.ClearingItem { return clearingToProto(collective, c) }), NextPageToken: next,
	}, err
}

func clearingToProto(collective string, c ClearingItem) *treasuryv1.ClearingItem {
	name := lineName(collective, c.ID)
	switch c.Kind {
	case ClearingCheque:
		name = donationName(campaigns.Name{Collective: collective, Campaign: c.Campaign}, c.ID)
	case ClearingExpense:
		name = expenseName(collective, c.ID)
	}
	return &treasuryv1.ClearingItem{
		Name: name, Kind: clearingKinds[c.Kind], Amount: wire.Money(c.Amount), SinceDate: string(c.Since), AgeDays: int32(c.AgeDays),
		Document: c.Document,
	}
}

func (s *server) GetBankPosition(ctx context.Context, req *treasuryv1.GetBankPositionRequest) (*treasuryv1.BankPosition, error) {
	collective, err := collectiveID(strings.TrimSuffix(req.GetName(), "/bankPosition"))
	if err != nil {
		return nil, err
	}
	p, err := s.service.BankPosition(ctx, collective)
	if err != nil {
		return nil, err
	}
	answer := &treasuryv1.BankPosition{
		Name: req.GetName(), BookBalance: wire.Money(p.Book), StatementBalance: wire.MoneyOrNil(p.Statement), StatementDate: string(p.StatementOn),
		OpenLines: wire.Money(p.Open), OpenLineCount: int32(p.OpenCount), IgnoredLines: wire.Money(p.Ignored),
	}
	if p.Statement != nil {
		difference, err := p.Book.Sub(*p.Statement)
		if err != nil {
			return nil, errs.Internal(err)
		}
		answer.Difference = wire.Money(difference)
	}
	return answer, nil
}
