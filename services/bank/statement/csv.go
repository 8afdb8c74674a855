package statement

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/internal/calendar"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/money"
)

// CSVFormat tells how to read a CSV file. Columns are counted from 1; zero is none.
type CSVFormat struct {
	// Separator stands between fields.
	Separator rune
	Encoding  Encoding
	Quotes    Quotes
	// SkipLines is how many lines stand before the first movement.
	SkipLines int
	// Header is the line above the movements, instead of SkipLines. Section is a text above the header of the account
	// that is meant, for files of several accounts.
	Header, Section string
	// DateLayout is a layout of package time, and DecimalMark "," or ".".
	DateLayout, DecimalMark string

	// Date, Amount, Debit, Credit and Reference are columns. A format has Amount, which is signed, or Debit and Credit.
	Date, Amount, Debit, Credit, Reference int
	// Text are the columns that pledges are looked for in.
	Text []int
	// Sign is the column that tells the direction of an Amount that has no sign, by DebitWord or CreditWord.
	Sign                  int
	DebitWord, CreditWord string
	// State is the column that tells whether a line was booked, by one of the words in Booked.
	State  int
	Booked []string
	// Fee is the column of what the bank took besides the amount; each fee becomes a movement of its own.
	Fee int
}

// Encoding is how the text of a file is written.
type Encoding int

// The encodings. GuessEncoding reads UTF-8 when the file is that, else Windows-1252 when it has a character of only
// that, else ISO 8859-15.
const (
	GuessEncoding Encoding = iota
	UTF8
	Latin9
	Windows1252
)

// Quotes is what the quotes in a file are.
type Quotes int

// The kinds of quotes: found out from the file, put around fields by the bank, or characters of the text.
const (
	GuessQuotes Quotes = iota
	QuotesAroundFields
	QuotesInText
)

// Check returns the first contradiction in a format.
//
// Errors: INVALID_ARGUMENT on a field that begins with "csv.".
func (f CSVFormat) Check() error {
	bothWords := f.DebitWord != "" && f.CreditWord != "" && !strings.EqualFold(f.DebitWord, f.CreditWord)
	// Only what contradicts itself is refused here. What does not fit the file is found out when the file is read.
	switch {
	case slices.Contains(f.Text, f.Reference):
		return errs.Invalid("csv.reference_column", "must be none of text_columns: the reference is stored, and what payers wrote is not")
	case (f.Amount > 0) == (f.Debit > 0 || f.Credit > 0):
		return errs.Invalid("csv.amount_column", "is required, or debit_column and credit_column instead of it")
	case f.Sign > 0 && f.Amount == 0:
		return errs.Invalid("csv.sign_column", "requires amount_column")
	case f.Sign > 0 && !bothWords:
		return errs.Invalid("csv.debit_word", "is required with sign_column, and so is credit_word, which must differ from it")
	// The two words exchanged would turn every receipt into a payment.
	case slices.Contains(creditWords, strings.ToLower(f.DebitWord)), slices.Contains(debitWords, strings.ToLower(f.CreditWord)):
		return errs.Invalid("csv.debit_word", "must be the word for money that left the account, and credit_word the word for money that arrived")
	case f.Sign == 0 && f.DebitWord+f.CreditWord != "":
		return errs.Invalid("csv.sign_column", "is required with debit_word and credit_word")
	case (f.State > 0) != (len(f.Booked) > 0):
		return errs.Invalid("csv.booked_states", "is required with state_column, and must be empty without it")
	case f.Header != "" && f.SkipLines > 0:
		return errs.Invalid("csv.skip_lines", "must be zero when there is a header")
	case f.Section != "" && f.Header == "":
		return errs.Invalid("csv.section", "requires header")
	}
	return nil
}

// csvContent is what a file holds of the account that is meant.
type csvContent struct {
	lines []Movement
	// notBooked is how many lines are not booked, by their state.
	notBooked int
	// others are the other accounts in the file.
	others []string
}

// maxRecordBytes is far above the length of any line that a bank writes.
const maxRecordBytes = 64 << 10

// recordSource ends a record that is too long, as behind a quote that is never closed, and so bounds the memory of its
// columns.
type recordSource struct {
	text *strings.Reader
	// left is how many bytes the record may still take. It is set anew before each record.
	left int
}

var errLongRecord = errors.New("statement: a line is too long")

func (s *recordSource) Read(p []byte) (int, error) {
	if s.left == 0 {
		return 0, errLongRecord
	}
	n, err := s.text.Read(p[:min(len(p), s.left)])
	s.left -= n
	return n, err
}

// readCSV reads the movements of one account in a CSV file, in one currency.
//
// Some banks put no quotes around fields and write what payers type as it is: read as the bank's, a payer's quotes
// would swallow lines. Other banks quote every field and leave the quotes within it as they are. So when the format does
// not tell what the quotes are, a file that is not valid CSV is read in these two ways. A file that is valid CSV, and has
// more movements when its quotes are read as characters, is refused: a payer's text with line breaks, within the bank's
// quotes, would otherwise be read as movements.
func readCSV(content []byte, f CSVFormat, currency money.Currency) (csvContent, error) {
	text, err := f.decode(content)
	if err != nil {
		return csvContent{}, err
	}
	// The lines before the movements need not be CSV.
	for range f.SkipLines {
		_, rest, found := strings.Cut(text, "\n")
		if !found {
			return csvContent{}, unreadable("it has no line after the lines to skip")
		}
		text = rest
	}
	// A quote that is a character is replaced by another one, which means nothing to a CSV reader. The length stays the
	// same, so places in errors are right.
	inText := strings.ReplaceAll(text, `"`, `'`)
	if f.Quotes == QuotesInText {
		return f.read(inText, currency)
	}
	read, err := f.read(text, currency)
	// Without quotes there is one reading. An error that is not about CSV is about a line, and another reading would
	// not mend it.
	if !strings.Contains(text, `"`) || err != nil && !errors.Is(err, errNoCSV) {
		return read, err
	}
	// The bank quoted every field, and left the quotes in them as they were.
	if doubled, ok := f.doubleQuotes(text); ok && err != nil {
		return f.read(doubled, currency)
	}
	if f.Quotes == QuotesAroundFields {
		return read, err
	}
	// The other reading: all quotes are characters.
	letters, errLetters := f.read(inText, currency)
	switch {
	// The file is no CSV with its quotes around fields, and does not begin with one.
	case err != nil && !strings.HasPrefix(text, `"`):
		return letters, errLetters
	case err == nil && errLetters == nil && len(letters.lines)+letters.notBooked > len(read.lines)+read.notBooked:
		return csvContent{}, with(refused(errorsv1.ErrorReason_STATEMENT_UNREADABLE, "csv.quotes",
			"is required: the file can be read in two ways, with different movements"), Problem{Kind: ProblemAmbiguous})
	}
	return read, err
}

// read reads the movements below the header of the account that is meant, or all when the format has no header.
func (f CSVFormat) read(text string, currency money.Currency) (csvContent, error) {
	if f.Header == "" {
		part, err := f.movements(text, f.SkipLines, false, currency)
		return part.csvContent, err
	}
	// The account of a part is named above its header: in the head of the file, or in the rows after the last movement
	// of the part before.
	rows := strings.SplitAfter(text, "\n")
	var headers []int
	for i, row := range rows {
		if f.sameHeader(row) {
			headers = append(headers, i)
		}
	}
	if len(headers) == 0 {
		return csvContent{}, with(refused(errorsv1.ErrorReason_STATEMENT_UNREADABLE, "csv.header", "must be in the file, as a line of its own"),
			Problem{Kind: ProblemColumns})
	}
	var chosen []csvContent
	var others, accounts []string
	above := strings.Join(rows[:headers[0]], "")
	// Every part is read, also of other accounts: a part that cannot be read may hide where the next begins.
	for i, at := range headers {
		end, more := len(rows), i+1 < len(headers)
		if more {
			end = headers[i+1]
		}
		part, err := f.movements(strings.Join(rows[at+1:end], ""), at+1, more, currency)
		switch {
		case err != nil:
			return csvContent{}, err
		// Such as a header that is repeated on each page: what is below it may be of the same account or of another
		// one.
		case i > 0 && strings.TrimSpace(above) == "":
			return csvContent{}, unreadable("nothing above line %d tells to which account the movements below it belong", at+1)
		case f.Section == "" && len(headers) > 1:
			accounts = append(accounts, accountIn(above, at+1))
		case strings.Contains(above, f.Section):
			chosen = append(chosen, part.csvContent)
		default:
			others = append(others, accountIn(above, at+1))
		}
		// These rows were read with this part and are about the next.
		above = strings.Join(rows[min(at+1+part.rows, end):end], "")
	}
	if len(accounts) > 0 {
		return csvContent{}, with(refused(errorsv1.ErrorReason_STATEMENT_ACCOUNTS, "csv.section", fmt.Sprintf(
			"is required, such as the number of the account above its movements: the file has %d accounts", len(headers))),
			Problem{Kind: ProblemAccounts, Accounts: accounts})
	}
	if len(chosen) != 1 {
		return csvContent{}, refused(errorsv1.ErrorReason_STATEMENT_ACCOUNTS, "csv.section", fmt.Sprintf(
			"must be above the movements of exactly one account: it is above those of %d", len(chosen)))
	}
	chosen[0].others = others
	return chosen[0], nil
}

// sameHeader compares without quotes, and without the separators that some banks put at the ends of their lines.
func (f CSVFormat) sameHeader(row string) bool {
	plain := func(s string) string {
		return strings.TrimRight(strings.TrimSpace(strings.NewReplacer(`"`, "", `'`, "").Replace(s)), string(f.Separator)+" ")
	}
	return plain(row) == plain(f.Header)
}

var accountNumber = regexp.MustCompile(`[0-9A-Z]*[0-9]{8,}`)

// accountIn names an account that is not read: by the number above its movements, or else by their line.
func accountIn(above string, line int) string {
	if number := accountNumber.FindString(above); number != "" {
		return number
	}
	return fmt.Sprintf("line %d", line)
}

// doubleQuotes doubles the quotes within the fields of a file in which every field is quoted. ok is false when a field is
// not quoted or the lines differ in their number of fields: then a quote may be the bank's or a payer's.
func (f CSVFormat) doubleQuotes(text string) (doubled string, ok bool) {
	between := `"` + string(f.Separator) + `"`
	lines := strings.Split(text, "\n")
	// fields is how many separators the first line has between quotes; every other line must have as many.
	fields := 0
	for i, line := range lines {
		line = strings.TrimSuffix(line, "\r")
		if strings.TrimSpace(line) == "" {
			continue
		}
		line, opened := strings.CutPrefix(line, `"`)
		line, closed := strings.CutSuffix(line, `"`)
		if fields == 0 {
			fields = strings.Count(line, between)
		}
		if !opened || !closed || strings.Count(line, between) != fields {
			return "", false
		}
		values := strings.Split(line, between)
		for j, value := range values {
			// Two quotes within a quoted field are one quote to a CSV reader (RFC 4180).
			values[j] = strings.ReplaceAll(value, `"`, `""`)
		}
		lines[i] = `"` + strings.Join(values, between) + `"`
	}
	return strings.Join(lines, "\n"), true
}

var errNoCSV = errors.New("statement: no CSV")

// csvPart is a part of a file: movements, and the rows after them, which belong to the next part.
type csvPart struct {
	csvContent
	// rows is how many rows of text the movements take.
	rows int
}

// movements reads a part that begins after a number of lines of the file. When more parts follow, it ends with the first
// record that is no movement, and no movement may come after that.
func (f CSVFormat) movements(text string, before int, more bool, currency money.Currency) (part csvPart, err error) {
	source := &recordSource{text: strings.NewReader(text)}
	reader := csv.NewReader(source)
	// Lines may have different numbers of fields: some banks leave out empty ones at the end.
	reader.Comma, reader.FieldsPerRecord = f.Separator, -1
	words := wordColumns{}
	// last is the line of the last record, for errors that have none; ended tells that the movements of this part are
	// over.
	last, ended := 0, false
	for {
		source.left = maxRecordBytes
		record, err := reader.Read()
		switch {
		case errors.Is(err, io.EOF):
			// The movements take the whole part.
			if !ended {
				part.rows = strings.Count(text, "\n") + 1
			}
			return part, words.check(f)
		case err != nil:
			// The error quotes nothing, since the text may be a payer's.
			at, column := last, 0
			if wrong := (*csv.ParseError)(nil); errors.As(err, &wrong) {
				at, column = wrong.Line, wrong.Column
			}
			return part, errors.Join(with(unreadable("its CSV cannot be read at line %d, column %d", before+at, column),
				Problem{Kind: ProblemBroken, Line: before + at}), errNoCSV)
		}
		at, _ := reader.FieldPos(0)
		last = at
		switch {
		// Such a record is about the next account.
		case more && f.otherwise(record, currency):
			if !ended {
				ended, part.rows = true, at-1
			}
			continue
		case f.empty(record):
			continue
		// A movement there might be of either account.
		case ended:
			return part, with(unreadable("line %d is a movement after a line that is none", before+at), Problem{Kind: ProblemBroken, Line: before + at})
		}
		booked, err := f.isBooked(record)
		if err == nil && !booked {
			part.notBooked++
			continue
		}
		var line Movement
		if err == nil {
			line, err = f.line(record, currency)
		}
		if err != nil {
			return part, with(unreadable("line %d %s", before+at, err), Problem{Kind: lineProblem(err), Line: before + at})
		}
		// The words in all columns are compared with the sign that was read, and checked at the end of the part.
		words.add(record, line.Amount.Minor > 0)
		part.lines = append(part.lines, line)
		fee, err := f.feeOf(record, line)
		if err != nil {
			return part, with(unreadable("line %d %s", before+at, err), Problem{Kind: lineProblem(err), Line: before + at})
		}
		if fee.Amount.Minor != 0 {
			part.lines = append(part.lines, fee)
		}
		if len(part.lines) > maxMovements {
			return part, with(unreadable("it has more than %d movements", maxMovements), Problem{Kind: ProblemTooLarge})
		}
	}
}

// otherwise reports a record that is not empty and has neither a day nor an amount, as above the next account.
// The test is strict: a record with a day or an amount is a movement that cannot be read, and is refused.
func (f CSVFormat) otherwise(record []string, currency money.Currency) bool {
	if _, err := f.day(record); err == nil {
		return false
	}
	if _, err := f.amountOf(record, currency); err == nil {
		return false
	}
	return strings.TrimSpace(strings.Join(record, "")) != ""
}

// isBooked reports whether the state of a line says that the bank booked it.
func (f CSVFormat) isBooked(record []string) (bool, error) {
	if f.State == 0 {
		return true, nil
	}
	state := field(record, f.State)
	// An empty state tells nothing, so the line is neither booked nor skipped.
	if state == "" {
		return false, errLineState
	}
	return slices.ContainsFunc(f.Booked, func(word string) bool { return strings.EqualFold(word, state) }), nil
}

// feeOf returns the fee that the bank took with a line, as a movement that leaves the account; its amount is zero for none.
func (f CSVFormat) feeOf(record []string, line Movement) (Movement, error) {
	text := field(record, f.Fee)
	if text == "" {
		return Movement{}, nil
	}
	amount, err := parseDecimal(text, line.Amount.Currency, f.DecimalMark)
	if err != nil {
		return Movement{}, errLineFee
	}
	// A fee may have a minus or none; it always leaves the account. It is marked so that it never becomes a
	// donation.
	fee := Movement{BookedOn: line.BookedOn, Amount: amount, Text: line.Text, Reversal: true}
	if fee.Amount.Minor > 0 {
		fee.Amount.Minor = -fee.Amount.Minor
	}
	if line.Reference != "" {
		fee.Reference = line.Reference + "/fee"
	}
	return fee, nil
}

// field returns a column's text, empty when the record has none.
func field(record []string, column int) string {
	if column < 1 || column > len(record) {
		return ""
	}
	return strings.TrimSpace(record[column-1])
}

// empty reports a line without day and amount, as at the end of some files.
func (f CSVFormat) empty(record []string) bool {
	return field(record, f.Date)+field(record, f.Amount)+field(record, f.Debit)+field(record, f.Credit) == ""
}

var (
	errLineDay     = errors.New("has no day, or its day is written in another way")
	errLineAmount  = errors.New("has no amount, or its amount is written in another way")
	errLineAmounts = errors.New("has an amount on both sides")
	errLineSign    = errors.New("has neither debit_word nor credit_word in the column of signs")
	errLineSigned  = errors.New("has a signed amount beside a word for its direction")
	errLineState   = errors.New("has no state")
	errLineFee     = errors.New("has a fee that is written in another way")
)

// lineProblem is the kind of an error about a line.
func lineProblem(err error) ProblemKind {
	switch err {
	case errLineDay:
		return ProblemDay
	case errLineSign, errLineSigned:
		return ProblemDirection
	case errLineState:
		return ProblemState
	}
	return ProblemAmount
}

// line reads a record as a movement. Its errors are the ends of sentences that begin with the line's number.
func (f CSVFormat) line(record []string, currency money.Currency) (line Movement, err error) {
	if line.BookedOn, err = f.day(record); err != nil {
		return line, err
	}
	if line.Amount, err = f.amountOf(record, currency); err != nil {
		return line, err
	}
	line.Reference = provided(field(record, f.Reference))
	var texts []string
	for _, column := range f.Text {
		texts = append(texts, field(record, column))
	}
	line.Text = strings.Join(texts, " ")
	return line, nil
}

// timeOfDay is what may follow a day.
var timeOfDay = regexp.MustCompile(`^[ T][0-9]{1,2}:[0-9]{2}(:[0-9]{2}([.,][0-9]+)?)?( ?(UTC|Z|[+-][0-9]{2}:?[0-9]{2}))?$`)

// day reads the day; a time of that day may follow it and is not read.
func (f CSVFormat) day(record []string) (calendar.Day, error) {
	text := field(record, f.Date)
	if n := len(f.DateLayout); len(text) > n && timeOfDay.MatchString(text[n:]) {
		text = text[:n]
	}
	on, err := time.Parse(f.DateLayout, text)
	if err != nil {
		return "", errLineDay
	}
	return calendar.Day(on.Format(time.DateOnly)), nil
}

// amountOf reads the amount from its one column, by its sign or by a word beside it, or from the columns of debits and
// credits. It is never zero.
func (f CSVFormat) amountOf(record []string, currency money.Currency) (money.Amount, error) {
	side := func(column int) (money.Amount, error) {
		text := field(record, column)
		if text == "" {
			return money.Amount{Currency: currency}, nil
		}
		return parseDecimal(text, currency, f.DecimalMark)
	}
	if f.Amount > 0 {
		amount, err := side(f.Amount)
		if err != nil || amount.Minor == 0 {
			return money.Amount{}, errLineAmount
		}
		if f.Sign == 0 {
			return amount, nil
		}
		word := field(record, f.Sign)
		switch {
		// A sign and a word could contradict each other.
		case amount.Minor < 0:
			return money.Amount{}, errLineSigned
		case strings.EqualFold(word, f.CreditWord):
			return amount, nil
		case strings.EqualFold(word, f.DebitWord):
			return amount.Neg()
		}
		return money.Amount{}, errLineSign
	}
	// An empty column is zero, and so is one that the format does not have.
	went, err := side(f.Debit)
	if err != nil {
		return money.Amount{}, errLineAmount
	}
	came, err := side(f.Credit)
	switch {
	case err != nil, went.Minor == 0 && came.Minor == 0:
		return money.Amount{}, errLineAmount
	case went.Minor != 0 && came.Minor != 0:
		return money.Amount{}, errLineAmounts
	// Banks write debits with a minus or without one; both leave the account.
	case went.Minor > 0:
		return went.Neg()
	case went.Minor < 0:
		return went, nil
	}
	return came, nil
}
