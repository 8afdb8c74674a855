package console

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"io"
	"net/url"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"

	bankv1 "github.com/cagnotte/cagnotte/proto/cagnotte/bank/v1"
)

const (
	// maxStatement is the largest file that the service reads, and maxStatementForm a form with it.
	maxStatement     = 4 << 20
	maxStatementForm = 6 << 20
)

var bankImportFields = []field{
	{Name: "file", Label: "bank.file", Hint: "bank.fileHint", Kind: "file", Path: "content", Accept: ".xml,.csv,.txt,text/csv,text/xml,application/xml"},
	{Name: "opening_balance", Label: "bank.openingTyped", Hint: "bank.openingHint", Kind: "money", Suffix: "€"},
	{Name: "closing_balance", Label: "bank.closingTyped", Hint: "bank.closingHint", Kind: "money", Suffix: "€"},
	{Name: "account", Label: "bank.whichAccount", Kind: "radio"},
	{Name: "packed", Kind: "hidden"},
	{Name: "csv", Kind: "hidden"},
}

// bankImportPage asks for a file, and says what is wrong with one.
type bankImportPage struct {
	bankPage
	Form *form
	// Problem says why the file is refused, and Help what to do; empty before a file.
	Problem, Help string
	// Description is the service's own, for who helps.
	Description string
	// Accounts asks which account is meant.
	Accounts *fieldView
	File     *fieldView
	// Opening and Closing are the balances of a CSV file, as typed.
	Opening, Closing *fieldView
	// FileKept tells that the file goes on with the form, so that only what is wrong has to be typed again.
	FileKept bool
}

func bankImportForm(v *visit) error {
	return bankShowImport(v, v.newForm(bankImportFields), nil)
}

// pack makes a file of a bank small enough to go back and forth in a form: nothing of it is stored before it is confirmed.
func pack(content []byte) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write(content) // a buffer takes it all
	_ = w.Close()
	return base64.StdEncoding.EncodeToString(b.Bytes())
}

// unpack is the inverse of pack; nil for what is none. It reads no more than a file may have, and one byte.
func unpack(packed string) []byte {
	raw, err := base64.StdEncoding.DecodeString(packed)
	if err != nil {
		return nil
	}
	r, err := gzip.NewReader(bytes.NewReader(raw))
	if err != nil {
		return nil
	}
	content, err := io.ReadAll(io.LimitReader(r, maxStatement+1))
	if err != nil {
		return nil
	}
	return content
}

// bankImportRequest is the request that a form makes: with the format that was found out before, when it has one.
func bankImportRequest(v *visit, f *form) *bankv1.ImportBankStatementRequest {
	r := &bankv1.ImportBankStatementRequest{
		Parent: v.collective, RequestId: f.RequestID, Content: unpack(f.Value("packed")),
		// A file is read in euros unless it names another currency, so balances are typed in euros too.
		OpeningBalance: f.money("opening_balance", "EUR"), ClosingBalance: f.money("closing_balance", "EUR"),
	}
	if u, ok := f.file("file"); ok {
		r.Content = u.Body
		// What was found out of a file that was kept is not about another one.
		f.set("csv", "")
		f.set("account", "")
	}
	csv := &bankv1.CsvFormat{}
	switch typed := f.Value("csv"); {
	case typed != "" && protojson.Unmarshal([]byte(typed), csv) == nil:
		r.Format = &bankv1.ImportBankStatementRequest_Csv{Csv: csv}
		// In a file of several parts the account is named above its movements.
		if account := f.Value("account"); account != "" {
			csv.Section = account
		}
	default:
		r.Format = &bankv1.ImportBankStatementRequest_Detect{Detect: true}
		r.Account = f.Value("account")
	}
	return r
}

// bankPreview shows how a file is read. It stores nothing, so it may be sent again.
func bankPreview(v *visit) error {
	f, err := v.readForm(bankImportFields)
	if err != nil {
		return err
	}
	request := bankImportRequest(v, f)
	if len(request.GetContent()) == 0 {
		f.fail("file", v.T("bank.fileMissing"))
		return bankShowImport(v, f, nil)
	}
	if len(request.GetContent()) > maxStatement {
		f.fail("file", v.T("bank.BANK_STATEMENT_PROBLEM_KIND_TOO_LARGE"))
		return bankShowImport(v, f, nil)
	}
	f.set("packed", pack(request.GetContent()))
	if f.failed() { // a balance that is no amount
		return bankShowImport(v, f, nil)
	}
	request.ValidateOnly = true
	seen, err := v.bank().ImportBankStatement(v.ctx(), request)
	if err != nil {
		if status.Code(err) == codes.InvalidArgument && f.refused(v, err) {
			return bankShowImport(v, f, nil)
		}
		return err
	}
	// The file tells its format anew when it is imported, with its balances. Only a part of it that was chosen, or is to be, is
	// told by the format.
	f.set("csv", "")
	accounts := seen.GetPreview().GetProblem().GetKind() == bankv1.BankStatementProblemKind_BANK_STATEMENT_PROBLEM_KIND_ACCOUNTS
	if csv := seen.GetPreview().GetCsv(); csv != nil && (accounts || request.GetCsv() != nil) {
		text, err := protojson.Marshal(csv)
		if err != nil {
			return err
		}
		f.set("csv", string(text))
	}
	if problem := seen.GetPreview().GetProblem(); problem != nil {
		if seen.GetPreview().GetCsv() != nil && bankBalanceWrong(v, f, problem) {
			problem = nil
		}
		return bankShowImport(v, f, problem)
	}
	return bankShowPreview(v, f, seen)
}

// bankBalanceWrong notes at its field that a typed balance differs from the movements of the file; false when none was typed,
// or the problem is another one.
func bankBalanceWrong(v *visit, f *form, problem *bankv1.BankStatementProblem) bool {
	field := "closing_balance"
	if f.Value(field) == "" {
		field = "opening_balance"
	}
	if problem.GetKind() != bankv1.BankStatementProblemKind_BANK_STATEMENT_PROBLEM_KIND_UNBALANCED || f.Value(field) == "" {
		return false
	}
	f.fail(field, v.T("bank.problemTyped", "computed", v.Money(problem.GetComputedBalance()), "closing", v.Money(problem.GetClosingBalance())))
	return true
}

// bankShowImport asks for a file. The problem is that of the file before; nil for none.
func bankShowImport(v *visit, f *form, problem *bankv1.BankStatementProblem) error {
	p := bankImportPage{bankPage: bankTabs(v, "-"), Form: f}
	if problem != nil {
		p.Problem, p.Help, p.Description = bankProblemWords(v, problem), v.T("bank.exportHelp"), problem.GetDescription()
		if problem.GetKind() == bankv1.BankStatementProblemKind_BANK_STATEMENT_PROBLEM_KIND_ACCOUNTS && len(problem.GetAccounts()) > 0 {
			fields := append([]field{}, bankImportFields...)
			for i := range fields {
				if fields[i].Name != "account" {
					continue
				}
				fields[i].Required = true
				for _, account := range problem.GetAccounts() {
					fields[i].Options = append(fields[i].Options, option{Value: account, Label: account})
				}
			}
			f.fields = fields
			var err error
			if p.Accounts, err = f.Field("account"); err != nil {
				return err
			}
		}
	}
	var err error
	if p.File, err = f.Field("file"); err != nil {
		return err
	}
	// A file that was read before goes on without being chosen again, so the form does not ask for one by itself.
	p.File.Required = true
	if p.Opening, err = f.Field("opening_balance"); err != nil {
		return err
	}
	if p.Closing, err = f.Field("closing_balance"); err != nil {
		return err
	}
	if p.FileKept = problem == nil && f.Value("packed") != "" && f.errors["file"] == ""; p.FileKept {
		p.File.Required, p.File.Label = false, v.T("bank.otherFile")
		p.File.Hint = v.T("bank.fileKept")
	}
	if f.failed() || problem != nil {
		return v.refuse("bank/import", v.T("bank.importTitle"), p)
	}
	return v.show("bank/import", v.T("bank.importTitle"), p)
}

// bankProblemWords says what is wrong with a file: where, and what is expected.
func bankProblemWords(v *visit, p *bankv1.BankStatementProblem) string {
	said := v.T("bank." + p.GetKind().String())
	switch p.GetKind() {
	case bankv1.BankStatementProblemKind_BANK_STATEMENT_PROBLEM_KIND_FORM_CHANGED:
		said = v.T("bank.problemForm", "day", v.Day(p.GetDate()))
	case bankv1.BankStatementProblemKind_BANK_STATEMENT_PROBLEM_KIND_UNBALANCED:
		if p.GetComputedBalance() != nil && p.GetClosingBalance() != nil {
			said = v.T("bank.problemUnbalanced", "computed", v.Money(p.GetComputedBalance()), "closing", v.Money(p.GetClosingBalance()))
		}
	case bankv1.BankStatementProblemKind_BANK_STATEMENT_PROBLEM_KIND_OTHER_ACCOUNT:
		if len(p.GetAccounts()) == 1 {
			said += " " + v.T("bank.problemAccount", "account", p.GetAccounts()[0])
		}
	}
	if p.GetLine() > 0 {
		said = v.T("bank.problemLine", "line", v.Number(int64(p.GetLine()))) + " " + said
	}
	return said
}

// bankPreviewPage shows how a file is read.
type bankPreviewPage struct {
	bankPage
	Form                           *form
	Format, Encoding, Start, End   string
	Statements                     []bankStatementRow
	New, Known, NotBooked, LeftOut string
	Lines                          []bankPreviewRow
	More                           string
	// Nothing tells that all of it was imported before.
	Nothing bool
	Columns []bankColumnRow
}

type bankPreviewRow struct {
	Day, Amount, Text, Pledge string
	Imported                  bool
}

// bankColumnRow tells what a column of a CSV file is read as.
type bankColumnRow struct{ Title, Meaning string }

func bankShowPreview(v *visit, f *form, seen *bankv1.ImportBankStatementResponse) error {
	preview := seen.GetPreview()
	p := bankPreviewPage{
		bankPage: bankTabs(v, "-"), Form: f, Format: v.T("bank." + preview.GetFormat().String()),
		Start: v.Day(preview.GetStartDate()), End: v.Day(preview.GetEndDate()),
	}
	if preview.GetCsv() != nil {
		p.Encoding = v.T("bank." + preview.GetEncoding().String())
		p.Columns = bankColumnRows(v, preview)
	}
	lines, fresh := int64(0), int64(0)
	for _, s := range seen.GetBankStatements() {
		p.Statements = append(p.Statements, bankStatementView(v, s))
		lines, fresh = lines+int64(s.GetLineCount()), fresh+int64(s.GetNewLineCount())
	}
	p.New, p.Nothing = v.N("bank.newLines", fresh), fresh == 0
	if known := lines - fresh; known > 0 {
		p.Known = v.N("bank.knownLines", known)
	}
	if n := int64(seen.GetNotBookedLineCount()); n > 0 {
		p.NotBooked = v.N("bank.notBooked", n)
	}
	for i, account := range seen.GetLeftOutAccounts() {
		if i > 0 {
			p.LeftOut += ", "
		}
		p.LeftOut += account
	}
	for _, l := range preview.GetLines() {
		row := bankPreviewRow{Day: v.Day(l.GetBookDate()), Amount: signed(v, l.GetAmount()), Text: l.GetText(), Imported: l.GetImported()}
		if l.GetPledge() != "" {
			row.Pledge = v.T("bank.namesPledge")
		}
		p.Lines = append(p.Lines, row)
	}
	if rest := lines - int64(len(preview.GetLines())); rest > 0 {
		p.More = v.N("bank.moreLines", rest)
	}
	return v.show("bank/preview", v.T("bank.previewTitle"), p)
}

// bankColumnRows says which column is read as what.
func bankColumnRows(v *visit, preview *bankv1.BankStatementPreview) []bankColumnRow {
	csv := preview.GetCsv()
	type read struct {
		column int32
		key    string
	}
	all := []read{
		{csv.GetDateColumn(), "bank.columnDay"},
		{csv.GetAmountColumn(), "bank.columnAmount"},
		{csv.GetDebitColumn(), "bank.columnDebit"},
		{csv.GetCreditColumn(), "bank.columnCredit"},
		{csv.GetSignColumn(), "bank.columnSign"},
		{csv.GetStateColumn(), "bank.columnState"},
		{csv.GetFeeColumn(), "bank.columnFee"},
	}
	for _, column := range csv.GetTextColumns() {
		all = append(all, read{column, "bank.columnText"})
	}
	var rows []bankColumnRow
	for _, r := range all {
		if r.column == 0 {
			continue
		}
		title := v.T("bank.columnNumber", "number", v.Number(int64(r.column)))
		if int(r.column) <= len(preview.GetColumns()) && preview.GetColumns()[r.column-1] != "" {
			title = preview.GetColumns()[r.column-1]
		}
		rows = append(rows, bankColumnRow{title, v.T(r.key)})
	}
	return rows
}

// bankImport imports a file that was looked at.
func bankImport(v *visit) error {
	f, err := v.readForm(bankImportFields)
	if err != nil {
		return err
	}
	request := bankImportRequest(v, f)
	if len(request.GetContent()) == 0 || len(request.GetContent()) > maxStatement {
		return v.redirect(v.path("/bank/import"))
	}
	if f.failed() { // a balance that is no amount
		return bankShowImport(v, f, nil)
	}
	done, err := v.bank().ImportBankStatement(v.ctx(), request)
	if err != nil {
		if f.refused(v, err) {
			return bankShowImport(v, f, nil)
		}
		return err
	}
	to := v.path("/bank")
	if statements := done.GetBankStatements(); len(statements) > 0 {
		query := url.Values{}
		query.Set("booked", v.Number(int64(done.GetBookedLineCount())))
		query.Set("recognised", v.Number(int64(done.GetRecognisedLineCount())))
		to = v.path("/bank/statements/") + lastOf(statements[len(statements)-1].GetName()) + "?" + query.Encode()
	}
	return v.done("bank.imported", to)
}

// bankStatementRow is a statement in a list.
type bankStatementRow struct{ Path, Account, Opening, Closing, Day, Lines, New, Imported string }

func bankStatementView(v *visit, s *bankv1.BankStatement) bankStatementRow {
	row := bankStatementRow{
		Path: v.path("/bank/statements/") + lastOf(s.GetName()), Account: spacedAccount(s.GetAccount()), Day: v.Day(s.GetClosingDate()),
		Lines: v.N("bank.lineCount", int64(s.GetLineCount())), New: v.N("bank.newCount", int64(s.GetNewLineCount())),
	}
	if s.GetOpeningBalance() != nil {
		row.Opening = v.Money(s.GetOpeningBalance())
	}
	if s.GetClosingBalance() != nil {
		row.Closing = v.Money(s.GetClosingBalance())
	}
	if zone, err := v.zone(); err == nil && s.GetCreateTime() != nil {
		row.Imported = v.DateTime(s.GetCreateTime().AsTime(), zone)
	}
	return row
}

type bankStatementsPage struct {
	bankPage
	Statements []bankStatementRow
	Pager      pager
}

func bankStatements(v *visit) error {
	list, err := v.bank().ListBankStatements(v.ctx(), &bankv1.ListBankStatementsRequest{Parent: v.collective, PageToken: v.pageToken()})
	if err != nil {
		return err
	}
	p := bankStatementsPage{bankPage: bankTabs(v, "/statements"), Pager: v.pager(list.GetNextPageToken())}
	for _, s := range list.GetBankStatements() {
		p.Statements = append(p.Statements, bankStatementView(v, s))
	}
	return v.show("bank/statements", v.T("bank.statementsTitle"), p)
}

// bankStatementPage is one statement, and what its import has done.
type bankStatementPage struct {
	bankPage
	bankStatementRow
	Booked, Recognised, Open string
}

func bankStatement(v *visit) error {
	s, err := v.bank().GetBankStatement(v.ctx(), &bankv1.GetBankStatementRequest{Name: v.collective + "/bankStatements/" + v.r.PathValue("statement")})
	if err != nil {
		return err
	}
	n, err := v.bank().CountOpenBankLines(v.ctx(), &bankv1.CountOpenBankLinesRequest{Parent: v.collective})
	if err != nil {
		return err
	}
	p := bankStatementPage{bankPage: bankTabs(v, "-"), bankStatementRow: bankStatementView(v, s), Open: bankOpenWords(v, n)}
	return v.show("bank/statement", v.T("bank.statementTitle", "day", p.Day), p)
}
